/* The system authorizers of a pyftpdlib set-up: accounts are those of the system, with settings on top. */
#include <string.h>

#include "authz/pyftpdlib_read.h"
#include "common/str.h"

static bool
system_user(const struct pyftpdlib_file *f, const char *name, const char **password, const char **shell)
{
	*password = *shell = NULL;
	return f->world->system_user && f->world->system_user(f->world->context, name, password, shell);
}

static bool
shell_valid(const struct pyftpdlib_file *f, const char *name)
{
	const char *password, *shell;

	if (!f->system.valid_shell || f->system.windows || strcmp(name, "anonymous") == 0 ||
	    !system_user(f, name, &password, &shell))
		return true;
	return !shell || !f->world->valid_shell || f->world->valid_shell(f->world->context, shell);
}

/* Windows accounts cannot be enumerated here, so none is called unknown. */
bool
pyftpdlib_user_known(const struct pyftpdlib_file *f, const char *name)
{
	const char *password, *shell;

	if (strcmp(name, "anonymous") == 0 && f->system.anonymous_user)
		name = f->system.anonymous_user;
	else if (strcmp(name, "anonymous") == 0)
		return false;
	return f->system.windows || !f->world->system_user || system_user(f, name, &password, &shell);
}

static bool
listed(const struct pyftpdlib_names *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], name) == 0)
			return true;
	return false;
}

static bool
turned_away(const struct pyftpdlib_file *f, const char *name)
{
	return listed(&f->system.rejected, name) || (f->system.allowed.n && !listed(&f->system.allowed, name));
}

static void
read_names(struct pyftpdlib_file *f, struct pyftpdlib_names *out, struct span s)
{
	const char **v = arena_alloc(f->policy.arena, (s.len + 1) * sizeof(*v));

	out->v = v;
	while (v && s.len) {
		const char *comma = memchr(s.at, ',', s.len);
		size_t n = comma ? (size_t)(comma - s.at) : s.len;
		char *name = pyftpdlib_keep(f, span_trim((struct span){ s.at, n }));

		if (name && *name)
			v[out->n++] = name;
		s.at += n + (comma != NULL);
		s.len -= n + (comma != NULL);
	}
}

/* override=NAME:KEY:VALUE; empty values count as not given. */
static void
read_override_user(struct pyftpdlib_file *f, const struct lines *line, struct span s)
{
	const char *colon = memchr(s.at, ':', s.len),
		   *second = colon ? memchr(colon + 1, ':', s.len - (size_t)(colon + 1 - s.at)) : NULL;
	struct span name = { s.at, colon ? (size_t)(colon - s.at) : 0 }, key, value;
	char *user = pyftpdlib_keep(f, name);
	struct account *a;

	if (!second || !user || !*user) {
		WRONG(f, line, "override=NAME:KEY:VALUE", "an override of a user is not complete");
		return;
	}
	key = (struct span){ colon + 1, (size_t)(second - colon) - 1 };
	value = (struct span){ second + 1, s.len - (size_t)(second + 1 - s.at) };
	a = pyftpdlib_find_account(f, user);
	if (!a && !(a = pyftpdlib_add_account(f, name)))
		return;
	if (span_is(key, "perm") && span_is(value, "-"))
		value.len = 0;
	a->given |= value.len != 0;
	if (span_is(key, "perm") && value.len && pyftpdlib_check_letters(f, line, value, user))
		a->pub.letters = pyftpdlib_keep(f, value);
	else if (span_is(key, "password") && value.len)
		a->pub.password = pyftpdlib_keep(f, value);
	else if (span_is(key, "homedir") && value.len)
		a->pub.home = pyftpdlib_keep(f, value);
	else if (span_is(key, "msg_login") || span_is(key, "msg_quit"))
		*(span_is(key, "msg_login") ? &a->pub.login_message : &a->pub.quit_message) = pyftpdlib_keep(f, value);
	else if (!span_is(key, "perm") && !span_is(key, "password") && !span_is(key, "homedir"))
		WRONG(f, line, "password, homedir, perm, msg_login or msg_quit",
		    "an override of a user has an unknown key");
}

static bool
read_bool(struct pyftpdlib_file *f, const struct lines *line, struct span s)
{
	char word[8] = "";

	if (s.len < sizeof(word))
		memcpy(word, s.at, s.len);
	if (str_same(word, "true") || str_same(word, "yes") || str_same(word, "1"))
		return true;
	if (!str_same(word, "false") && !str_same(word, "no") && !str_same(word, "0"))
		WRONG(f, line, "True or False", "not a truth value");
	return false;
}

static void
read_setting(struct pyftpdlib_file *f, const struct lines *line, struct span word)
{
	const char *eq = memchr(word.at, '=', word.len);
	struct span key = { word.at, eq ? (size_t)(eq - word.at) : word.len }, value = { word.at + word.len, 0 };
	char q[QUOTED_MAX];

	if (eq)
		value = (struct span){ eq + 1, word.len - key.len - 1 };
	if (span_is(key, "global_perm")) {
		if (pyftpdlib_check_letters(f, line, value, "global_perm"))
			f->system.letters = pyftpdlib_keep(f, value);
	} else if (span_is(key, "allowed_users"))
		read_names(f, &f->system.allowed, value);
	else if (span_is(key, "rejected_users"))
		read_names(f, &f->system.rejected, value);
	else if (span_is(key, "require_valid_shell"))
		f->system.valid_shell = read_bool(f, line, value);
	else if (span_is(key, "anonymous_user"))
		f->system.anonymous_user = value.len ? pyftpdlib_keep(f, value) : NULL;
	else if (span_is(key, "override"))
		read_override_user(f, line, value);
	else if (span_is(key, "msg_login") || span_is(key, "msg_quit"))
		*(span_is(key, "msg_login") ? &f->system.login_message : &f->system.quit_message) = pyftpdlib_keep(f, value);
	else if (!span_is(key, "anonymous_password"))
		WRONG(f, line,
		    "global_perm, allowed_users, rejected_users, require_valid_shell, anonymous_user, msg_login, msg_quit or override",
		    "unknown setting %s", quoted(word, q));
}

/* A word up to a blank outside double quotes, without the quotes. */
static struct span
setting_word(struct pyftpdlib_file *f, struct span *rest)
{
	struct span s = span_trim(*rest);
	char *word = pyftpdlib_keep(f, s);
	bool quotes = false;
	size_t i = 0, n = 0;

	for (; word && i < s.len && (quotes || !blank(s.at[i])); i++) {
		if (s.at[i] == '"')
			quotes = !quotes;
		else
			word[n++] = s.at[i];
	}
	*rest = (struct span){ s.at + i, s.len - i };
	return (struct span){ word, n };
}

void
pyftpdlib_line_system(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	struct span word;

	if (f->system.used) {
		WRONG(f, line, NULL, "a second line for the users of the system; a program has one authorizer");
		return;
	}
	f->system.used = true;
	f->system_line = line->number;
	while ((word = setting_word(f, &rest)).len)
		read_setting(f, line, word);
}

void
pyftpdlib_line_windows(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	f->system.windows |= !f->system.used;
	pyftpdlib_line_system(f, line, rest);
}

/* The system authorizers' rules, once everything is read. */
static void
check_names(struct pyftpdlib_file *f, const struct lines *line, const struct pyftpdlib_names *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i], "anonymous") == 0)
			WRONG(f, line, NULL, "anonymous can be neither allowed nor rejected");
		else if (!pyftpdlib_user_known(f, l->v[i]))
			WRONG(f, line, NULL, "unknown user %.64s", l->v[i]);
		else if (l == &f->system.allowed && !shell_valid(f, l->v[i]))
			WRONG(f, line, NULL, "allowed user %.64s has no valid shell", l->v[i]);
	}
}

static void
check_overridden(struct pyftpdlib_file *f, const struct lines *line, const struct account *a)
{
	if (!a->given)
		WRONG(f, line, NULL, "the override of %.64s has no value", a->pub.name);
	else if (turned_away(f, a->pub.name))
		WRONG(f, line, NULL, "%.64s is overridden but may not log in", a->pub.name);
	else if (a->pub.password && strcmp(a->pub.name, "anonymous") == 0)
		WRONG(f, line, NULL, "anonymous cannot have a password");
	else if (!pyftpdlib_user_known(f, a->pub.name))
		WRONG(f, line, NULL, "the override is for the unknown user %.64s", a->pub.name);
	else if (a->pub.home && !pyftpdlib_folder_exists(f, a->pub.home))
		WRONG(f, line, NULL, "the home of %.64s is not an existing folder", a->pub.name);
	else if (!shell_valid(f, a->pub.name))
		WRONG(f, line, NULL, "the overridden user %.64s has no valid shell", a->pub.name);
}

void
pyftpdlib_check_system(struct pyftpdlib_file *f)
{
	struct lines line = { .number = f->system_line };

	if (f->system.allowed.n && f->system.rejected.n)
		WRONG(f, &line, "one of them", "allowed_users and rejected_users exclude each other");
	check_names(f, &line, &f->system.allowed);
	check_names(f, &line, &f->system.rejected);
	if (f->system.anonymous_user && !pyftpdlib_user_known(f, "anonymous"))
		WRONG(f, &line, NULL, "the anonymous_user %.64s does not exist", f->system.anonymous_user);
	for (struct account *a = f->accounts; a; a = a->next)
		if (!a->own) {
			check_overridden(f, &line, a);
		} else {
			struct lines own = { .number = a->line };

			WRONG(f, &own, "override=NAME:KEY:VALUE on that line",
			    "%.64s has a line of its own beside one for the users of the system; a program has one authorizer",
			    a->pub.name);
		}
}

bool
pyftpdlib_system_login(const struct pyftpdlib_file *f, const char *user, const char *password)
{
	const struct account *a = pyftpdlib_find_account(f, user);
	const char *stored, *shell;
	bool known;

	if (strcmp(user, "anonymous") == 0)
		return f->system.anonymous_user != NULL;
	if (turned_away(f, user) || !shell_valid(f, user))
		return false;
	known = system_user(f, user, &stored, &shell);
	if (a && a->pub.password)
		return strcmp(a->pub.password, password) == 0;
	if (!known)
		return f->system.windows;	/* the identity source vouches for him */
	return stored && strcmp(stored, password) == 0;
}
