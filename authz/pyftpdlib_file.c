/* Reads a pyftpdlib set-up; see pyftpdlib_file.h. */
#include "authz/pyftpdlib_file.h"

#include <stdlib.h>
#include <string.h>

#include "authz/pyftpdlib_read.h"
#include "common/str.h"

char *
pyftpdlib_keep(struct pyftpdlib_file *f, struct span s)
{
	return arena_strndup(f->policy.arena, s.at ? s.at : "", s.len);
}

struct account *
pyftpdlib_find_account(const struct pyftpdlib_file *f, const char *name)
{
	for (struct account *a = f->accounts; a; a = a->next)
		if (a->pub.name && strcmp(a->pub.name, name) == 0)
			return a;
	return NULL;
}

struct account *
pyftpdlib_add_account(struct pyftpdlib_file *f, struct span name)
{
	struct account *a = arena_alloc(f->policy.arena, sizeof(*a));

	if (!a)
		return NULL;
	a->pub.name = pyftpdlib_keep(f, name);
	*f->last_account = a;
	f->last_account = &a->next;
	return a;
}

bool
pyftpdlib_folder_exists(const struct pyftpdlib_file *f, const char *path)
{
	return !f->world->is_folder || f->world->is_folder(f->world->context, path);
}

bool
pyftpdlib_check_letters(struct pyftpdlib_file *f, const struct lines *line, struct span s, const char *user)
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
		    pyftpdlib_keep(f, span_trim((struct span){ rest.at + key, n - key }));
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
	if (pyftpdlib_check_letters(f, line, word, a->pub.name))
		a->pub.letters = pyftpdlib_keep(f, word);
	if (strcmp(a->pub.name, "anonymous") == 0 && word.len && strpbrk(a->pub.letters, "adfmwMT"))
		complain(&f->compiler, &f->source, line->number, 0, true, "letters out of " READ_LETTERS,
		    "anonymous may write");
}

static void
read_account(
    struct pyftpdlib_file *f, const struct lines *line, struct span name, struct span password, struct span rest)
{
	struct span home = word_or_quoted(&rest);
	char *copy = pyftpdlib_keep(f, name);
	struct account *a;

	if (!copy || name.len == 0 || home.len == 0) {
		WRONG(f, line, "user NAME PASSWORD HOME [LETTERS], or anonymous HOME [LETTERS]", "a field is missing");
		return;
	}
	if (pyftpdlib_find_account(f, copy)) {
		WRONG(f, line, NULL, "user %.64s is defined twice", copy);
		return;
	}
	a = pyftpdlib_add_account(f, name);
	if (!a)
		return;
	a->own = true;
	a->line = line->number;
	a->pub.password = pyftpdlib_keep(f, password);
	a->pub.any_password = strcmp(copy, "anonymous") == 0;
	a->pub.home = pyftpdlib_keep(f, home);
	if (a->pub.home && !pyftpdlib_folder_exists(f, a->pub.home))
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

	if (a && !a->own)
		return true;	/* there is no home to look in; it is refused for that */
	if (*dir.at == '=')
		return str_format(path, sizeof(path), "%.*s", (int)dir.len - 1, dir.at + 1) == 0 &&
		       pyftpdlib_folder_exists(f, path);
	return !a || str_format(path, sizeof(path), "%s%s", a->pub.home, virtual) != 0 || pyftpdlib_folder_exists(f, path);
}

static void
add_rule(struct pyftpdlib_file *f, const char *user, struct span text)
{
	struct rule *r = arena_alloc(f->policy.arena, sizeof(*r));

	if (!r)
		return;
	r->user = arena_strdup(f->policy.arena, user);
	r->text = pyftpdlib_keep(f, text);
	*f->last_rule = r;
	f->last_rule = &r->next;
}

/* The order of checks is the original's: letters, folder, user, home, containment. */
static void
line_override(struct pyftpdlib_file *f, const struct lines *line, struct span rest)
{
	struct span name = span_word(&rest), text = span_trim(rest), dir = text, letters = span_last_word(&dir);
	char *user = pyftpdlib_keep(f, name), virtual[4096] = "";
	struct account *a = user ? pyftpdlib_find_account(f, user) : NULL;
	const char *wrong;

	/* The folder is what is left: it may hold blanks, as in a layer. */
	if (span_is(letters, "recursive"))
		letters = span_last_word(&dir);
	if (!user || letters.len == 0 || dir.len == 0) {
		WRONG(f, line, "override NAME FOLDER LETTERS [recursive]", "the override is not complete");
		return;
	}
	if (!pyftpdlib_check_letters(f, line, letters, user))
		return;
	wrong = pyftpdlib_folder(dir, a ? a->pub.home : NULL, virtual, sizeof(virtual));
	if (!override_folder_exists(f, a, dir, virtual))
		WRONG(f, line, "an existing folder", "the folder of an override for %.64s does not exist", user);
	else if (!a)
		WRONG(f, line, "a user defined above", "an override for the unknown user %.64s", user);
	else if (!a->own)
		WRONG(f, line, NULL, "the authorizers of system users override no folders: %.64s has no user line", user);
	else if (wrong)
		WRONG(f, line, "a folder below the home", "%s", wrong);
	else
		add_rule(f, user, text);
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

/* ------------------------------------------------------------------- reading */

static const struct keyword {
	const char *word;
	void (*read)(struct pyftpdlib_file *, const struct lines *, struct span rest);
} keywords[] = {
	{ "user", line_user },
	{ "anonymous", line_anonymous },
	{ "override", line_override },
	{ "unix", pyftpdlib_line_system },
	{ "windows", pyftpdlib_line_windows },
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
		pyftpdlib_check_system(f);
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

bool
pyftpdlib_file_login(const struct pyftpdlib_file *f, const char *user, const char *password)
{
	const struct account *a;

	if (f->compiler.errors)
		return false;
	if (f->system.used)
		return pyftpdlib_system_login(f, user, password);
	a = pyftpdlib_find_account(f, user);
	return a && (a->pub.any_password || strcmp(a->pub.password, password) == 0);
}

/* The letters of a user; NULL: there is no such user. */
static const char *
letters_of(const struct pyftpdlib_file *f, const char *user)
{
	const struct account *a = pyftpdlib_find_account(f, user);
	bool anonymous = strcmp(user, "anonymous") == 0;

	if (!f->system.used)
		return a ? a->pub.letters : NULL;
	if (anonymous ? !f->system.anonymous_user : !pyftpdlib_user_known(f, user))
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
	const struct account *a = pyftpdlib_find_account(f, user);

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
