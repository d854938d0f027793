/* Reads a pyftpdlib set-up; see pyftpdlib_file.h. */
#include "authz/pyftpdlib_file.h"

#include <stdlib.h>
#include <string.h>

#include "authz/pyftpdlib.h"
#include "common/str.h"

#define READ_LETTERS	"elr"
#define ALL_LETTERS	"elradfmwMT"

struct account {
	struct pyftpdlib_account pub;	/* must be first */
	bool given;			/* an override with at least one value */
	unsigned line;			/* of its user or anonymous line; 0: known by overrides only */
	struct account *next;
};

struct rule {				/* an override of a folder */
	char *user, *text;
	struct rule *next;
};

struct pyftpdlib_file {
	struct authz_policy policy;	/* for complain(): arena and subject */
	struct layer layer;
	struct source source;
	struct compiler compiler;
	const struct pyftpdlib_world *world;
	struct account *accounts, **last_account;
	struct rule *rules, **last_rule;
	struct pyftpdlib_system system;
	unsigned system_line;
};

static char *
keep(struct pyftpdlib_file *f, struct span s)
{
	return arena_strndup(f->policy.arena, s.at ? s.at : "", s.len);
}

#define WRONG(f, line, expected, ...) complain(&(f)->compiler, &(f)->source, (line)->number, 0, false, expected, __VA_ARGS__)

static struct account *
find_account(const struct pyftpdlib_file *f, const char *name)
{
	for (struct account *a = f->accounts; a; a = a->next)
		if (a->pub.name && strcmp(a->pub.name, name) == 0)
			return a;
	return NULL;
}

static struct account *
add_account(struct pyftpdlib_file *f, struct span name)
{
	struct account *a = arena_alloc(f->policy.arena, sizeof(*a));

	if (!a)
		return NULL;
	a->pub.name = keep(f, name);
	*f->last_account = a;
	f->last_account = &a->next;
	return a;
}

static bool
folder_exists(const struct pyftpdlib_file *f, const char *path)
{
	return !f->world->is_folder || f->world->is_folder(f->world->context, path);
}

static bool
check_letters(struct pyftpdlib_file *f, const struct lines *line, struct span s, const char *user)
{
	uint32_t rights;
	const char *bad;

	if (pyftpdlib_parse_letters(s, &rights, &bad))
		return true;
	WRONG(
	    f, line, "letters out of " ALL_LETTERS ", or -", "unknown permission letter %c for user %.64s", *bad, user);
	return false;
}

static bool
is_message(struct span s)
{
	return (s.len > 10 && memcmp(s.at, "msg_login=", 10) == 0) || (s.len > 9 && memcmp(s.at, "msg_quit=", 9) == 0);
}

/* A message goes on until the next one. */
static void
read_messages(struct pyftpdlib_file *f, struct account *a, struct span rest)
{
	rest = span_trim(rest);
	while (is_message(rest)) {
		size_t key = rest.at[4] == 'l' ? 10 : 9, n = key;

		while (
		    n < rest.len && !(blank(rest.at[n - 1]) && is_message((struct span){ rest.at + n, rest.len - n })))
			n++;
		*(key == 10 ? &a->pub.login_message : &a->pub.quit_message) =
		    keep(f, span_trim((struct span){ rest.at + key, n - key }));
		rest = (struct span){ rest.at + n, rest.len - n };
	}
}

/* A word, or what stands between double quotes, which may hold blanks. */
static struct span
word_or_quoted(struct span *rest)
{
	struct span s = span_trim(*rest);
	const char *end = s.len > 1 && *s.at == '"' ? memchr(s.at + 1, '"', s.len - 1) : NULL;

	if (!end || (end + 1 < s.at + s.len && !blank(end[1])))
		return span_word(rest);
	*rest = (struct span){ end + 1, s.len - (size_t)(end + 1 - s.at) };
	return (struct span){ s.at + 1, (size_t)(end - s.at) - 1 };
}

/* What stands behind the home: letters and messages. */
static void
read_letters(struct pyftpdlib_file *f, const struct lines *line, struct account *a, struct span rest)
{
	struct span all = rest, word = span_word(&rest);

	a->pub.letters = arena_strdup(f->policy.arena, READ_LETTERS);
	read_messages(f, a, is_message(word) ? all : rest);
	if (word.len == 0 || is_message(word))
		return;
	if (check_letters(f, line, word, a->pub.name))
		a->pub.letters = keep(f, word);
	if (strcmp(a->pub.name, "anonymous") == 0 && word.len && strpbrk(a->pub.letters, "adfmwMT"))
		complain(&f->compiler, &f->source, line->number, 0, true, "letters out of " READ_LETTERS,
		    "anonymous may write");
}

static void
read_account(
    struct pyftpdlib_file *f, const struct lines *line, struct span name, struct span password, struct span rest)
{
	struct span home = word_or_quoted(&rest);
	char *copy = keep(f, name);
	struct account *a;

	if (!copy || name.len == 0 || home.len == 0) {
		WRONG(f, line, "user NAME PASSWORD HOME [LETTERS], or anonymous HOME [LETTERS]", "a field is missing");
		return;
	}
	if (find_account(f, copy)) {
		WRONG(f, line, NULL, "user %.64s is defined twice", copy);
		return;
	}
	a = add_account(f, name);
	if (!a)
		return;
	a->line = line->number;
	a->pub.password = keep(f, password);
	a->pub.any_password = strcmp(copy, "anonymous") == 0;
	a->pub.home = keep(f, home);
	if (a->pub.home && !folder_exists(f, a->pub.home))
		WRONG(f, line, NULL, "the home of %.64s is not an existing folder", copy);
	read_letters(f, line, a, rest);
}

static void
line_user(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	struct span name = span_word(&rest), password = word_or_quoted(&rest);

	read_account(f, line, name, password, rest);
}

static void
line_anonymous(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	read_account(f, line, (struct span){ "anonymous", 9 }, (struct span){ "", 0 }, rest);
}

/* Does the overridden folder exist? dir is the virtual path, or NULL when it lies outside the home. */
static bool
override_folder_exists(struct pyftpdlib_file *f, const struct account *a, struct span dir, const char *virtual)
{
	char path[4096];

	if (*dir.at == '=')
		return str_format(path, sizeof(path), "%.*s", (int)dir.len - 1, dir.at + 1) == 0 &&
		       folder_exists(f, path);
	return !a || str_format(path, sizeof(path), "%s%s", a->pub.home, virtual) != 0 || folder_exists(f, path);
}

static void
add_rule(struct pyftpdlib_file *f, const char *user, struct span text)
{
	struct rule *r = arena_alloc(f->policy.arena, sizeof(*r));

	if (!r)
		return;
	r->user = arena_strdup(f->policy.arena, user);
	r->text = keep(f, text);
	*f->last_rule = r;
	f->last_rule = &r->next;
}

/* The order of checks is the original's: letters, folder, user, home, containment. */
static void
line_override(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	struct span name = span_word(&rest), text = span_trim(rest), dir = text, letters = span_last_word(&dir);
	char *user = keep(f, name), virtual[4096] = "";
	struct account *a = user ? find_account(f, user) : NULL;
	const char *wrong;

	/* The folder is what is left: it may hold blanks, as in a layer. */
	if (span_is(letters, "recursive"))
		letters = span_last_word(&dir);
	if (!user || letters.len == 0 || dir.len == 0) {
		WRONG(f, line, "override NAME FOLDER LETTERS [recursive]", "the override is not complete");
		return;
	}
	if (!check_letters(f, line, letters, user))
		return;
	wrong = pyftpdlib_folder(dir, a ? a->pub.home : NULL, virtual, sizeof(virtual));
	if (!override_folder_exists(f, a, dir, virtual))
		WRONG(f, line, "an existing folder", "the folder of an override for %.64s does not exist", user);
	else if (!a)
		WRONG(f, line, "a user defined above", "an override for the unknown user %.64s", user);
	else if (wrong)
		WRONG(f, line, "a folder below the home", "%s", wrong);
	else
		add_rule(f, user, text);
}

/* ----------------------------------------------------- the system authorizers */

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
static bool
user_known(const struct pyftpdlib_file *f, const char *name)
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
		char *name = keep(f, span_trim((struct span){ s.at, n }));

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
	char *user = keep(f, name);
	struct account *a;

	if (!second || !user || !*user) {
		WRONG(f, line, "override=NAME:KEY:VALUE", "an override of a user is not complete");
		return;
	}
	key = (struct span){ colon + 1, (size_t)(second - colon) - 1 };
	value = (struct span){ second + 1, s.len - (size_t)(second + 1 - s.at) };
	a = find_account(f, user);
	if (!a && !(a = add_account(f, name)))
		return;
	if (span_is(key, "perm") && span_is(value, "-"))
		value.len = 0;
	a->given |= value.len != 0;
	if (span_is(key, "perm") && value.len && check_letters(f, line, value, user))
		a->pub.letters = keep(f, value);
	else if (span_is(key, "password") && value.len)
		a->pub.password = keep(f, value);
	else if (span_is(key, "homedir") && value.len)
		a->pub.home = keep(f, value);
	else if (span_is(key, "msg_login") || span_is(key, "msg_quit"))
		*(span_is(key, "msg_login") ? &a->pub.login_message : &a->pub.quit_message) = keep(f, value);
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
		if (check_letters(f, line, value, "global_perm"))
			f->system.letters = keep(f, value);
	} else if (span_is(key, "allowed_users"))
		read_names(f, &f->system.allowed, value);
	else if (span_is(key, "rejected_users"))
		read_names(f, &f->system.rejected, value);
	else if (span_is(key, "require_valid_shell"))
		f->system.valid_shell = read_bool(f, line, value);
	else if (span_is(key, "anonymous_user"))
		f->system.anonymous_user = value.len ? keep(f, value) : NULL;
	else if (span_is(key, "override"))
		read_override_user(f, line, value);
	else if (!span_is(key, "msg_login") && !span_is(key, "msg_quit") && !span_is(key, "anonymous_password"))
		WRONG(f, line,
		    "global_perm, allowed_users, rejected_users, require_valid_shell, anonymous_user or override",
		    "unknown setting %s", quoted(word, q));
}

static void
line_system(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	struct span word;

	f->system.used = true;
	f->system_line = line->number;
	while ((word = span_word(&rest)).len)
		read_setting(f, line, word);
}

static void
line_windows(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	f->system.windows = true;
	line_system(f, line, rest);
}

static void
line_hook(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	struct span word = span_word(&rest);

	if (!span_is(word, "deny-prefix") || span_trim(rest).len == 0)
		WRONG(f, line, "hook deny-prefix PATH", "not a known hook");
	else
		add_rule(f, "", (struct span){ line->start, line->len });
}

/* The system authorizers' rules, once everything is read. */
static void
check_names(struct pyftpdlib_file *f, const struct lines *line, const struct pyftpdlib_names *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i], "anonymous") == 0)
			WRONG(f, line, NULL, "anonymous can be neither allowed nor rejected");
		else if (!user_known(f, l->v[i]))
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
	else if (!user_known(f, a->pub.name))
		WRONG(f, line, NULL, "the override is for the unknown user %.64s", a->pub.name);
	else if (a->pub.home && !folder_exists(f, a->pub.home))
		WRONG(f, line, NULL, "the home of %.64s is not an existing folder", a->pub.name);
	else if (!shell_valid(f, a->pub.name))
		WRONG(f, line, NULL, "the overridden user %.64s has no valid shell", a->pub.name);
}

static void
check_system(struct pyftpdlib_file *f)
{
	struct lines line = { .number = f->system_line };

	if (f->system.allowed.n && f->system.rejected.n)
		WRONG(f, &line, "one of them", "allowed_users and rejected_users exclude each other");
	check_names(f, &line, &f->system.allowed);
	check_names(f, &line, &f->system.rejected);
	if (f->system.anonymous_user && !user_known(f, "anonymous"))
		WRONG(f, &line, NULL, "the anonymous_user %.64s does not exist", f->system.anonymous_user);
	for (struct account *a = f->accounts; a; a = a->next)
		if (a->line == 0) {
			check_overridden(f, &line, a);
		} else {
			struct lines own = { .number = a->line };

			WRONG(f, &own, "override=NAME:KEY:VALUE on that line",
			    "%.64s has a line of its own beside one for the users of the system; a program has one authorizer",
			    a->pub.name);
		}
}

/* ------------------------------------------------------------------- reading */

static const struct keyword {
	const char *word;
	void (*read)(struct pyftpdlib_file *, const struct lines *, struct span rest);
} keywords[] = {
	{ "user", line_user },
	{ "anonymous", line_anonymous },
	{ "override", line_override },
	{ "unix", line_system },
	{ "windows", line_windows },
	{ "hook", line_hook },
};

static void
read_line(struct pyftpdlib_file *f, const struct lines *line)
{
	struct span rest = { line->start, line->len }, word = span_word(&rest);
	char q[QUOTED_MAX];

	if (word.len == 0 || *word.at == '#')
		return;
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (span_is(word, keywords[i].word)) {
			keywords[i].read(f, line, rest);
			return;
		}
	WRONG(f, line, "user, anonymous, override, unix, windows or hook", "unknown line %s", quoted(word, q));
}

struct pyftpdlib_file *
pyftpdlib_file_read(
    const char *text, const char *name, const struct pyftpdlib_world *world, struct authz_problems *problems)
{
	static const struct pyftpdlib_world nothing = { 0 };
	struct pyftpdlib_file *f = calloc(1, sizeof(*f));
	struct lines line;

	if (!f || !(f->policy.arena = arena_new())) {
		free(f);
		return NULL;
	}
	f->world = world ? world : &nothing;
	f->layer.policy = &f->policy;
	f->source.file = arena_strdup(f->policy.arena, name);
	f->source.line = 1;
	f->compiler = (struct compiler){ &f->layer, problems, 0 };
	f->last_account = &f->accounts;
	f->last_rule = &f->rules;
	f->system.valid_shell = true;
	lines_begin(&line, text);
	while (lines_next(&line))
		read_line(f, &line);
	if (f->system.used)
		check_system(f);
	return f;
}

void
pyftpdlib_file_free(struct pyftpdlib_file *f)
{
	if (!f)
		return;
	arena_free(f->policy.arena);
	free(f);
}

unsigned
pyftpdlib_file_errors(const struct pyftpdlib_file *f)
{
	return f->compiler.errors;
}

/* ------------------------------------------------------------------- answers */

static bool
system_login(const struct pyftpdlib_file *f, const char *user, const char *password)
{
	const struct account *a = find_account(f, user);
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

bool
pyftpdlib_file_login(const struct pyftpdlib_file *f, const char *user, const char *password)
{
	const struct account *a;

	if (f->compiler.errors)
		return false;
	if (f->system.used)
		return system_login(f, user, password);
	a = find_account(f, user);
	return a && (a->pub.any_password || strcmp(a->pub.password, password) == 0);
}

/* The letters of a user; NULL: there is no such user. */
static const char *
letters_of(const struct pyftpdlib_file *f, const char *user)
{
	const struct account *a = find_account(f, user);
	bool anonymous = strcmp(user, "anonymous") == 0;

	if (!f->system.used)
		return a ? a->pub.letters : NULL;
	if (anonymous ? !f->system.anonymous_user : !user_known(f, user))
		return NULL;
	if (a && a->pub.letters)
		return a->pub.letters;
	return anonymous ? READ_LETTERS : f->system.letters ? f->system.letters : ALL_LETTERS;
}

bool
pyftpdlib_file_layer(const struct pyftpdlib_file *f, const char *user, char *dst, size_t size)
{
	const char *letters = letters_of(f, user);
	struct text t;

	text_begin(&t, dst, size);
	if (!letters)
		return false;
	text_add(&t, "%s\n", *letters ? letters : "-");
	for (const struct rule *r = f->rules; r; r = r->next) {
		if (*r->user == '\0')
			text_add(&t, "%s\n", r->text);
		else if (strcmp(r->user, user) == 0)
			text_add(&t, "override %s\n", r->text);
	}
	return t.len + 1 < size;
}

const char *
pyftpdlib_file_home(const struct pyftpdlib_file *f, const char *user)
{
	const struct account *a = find_account(f, user);

	return a ? a->pub.home : NULL;
}

const struct pyftpdlib_account *
pyftpdlib_file_next(const struct pyftpdlib_file *f, const struct pyftpdlib_account *after)
{
	const struct account *next = after ? ((const struct account *)after)->next : f->accounts;

	return next ? &next->pub : NULL;
}

const struct pyftpdlib_system *
pyftpdlib_file_system(const struct pyftpdlib_file *f)
{
	return &f->system;
}
