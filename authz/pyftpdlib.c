/*
 * pyftpdlib's letters (dialects 2):
 *
 *	layer = pyftpdlib elr
 *		override uploads elradfmwMT recursive
 *		override temp elrd
 *		hook deny-prefix /restricted/
 *
 * Overrides are tried in the order in which they were first made, and the first
 * that covers the path replaces the base letters.  Folders are unique, so only
 * those named like the path, its parent or its ancestors can cover it: they are
 * found by hash, and the one made earliest wins.
 */
#include "authz/lint_rules.h"
#include "authz/pyftpdlib.h"

#include <errno.h>
#include <string.h>

#include "common/str.h"

#define WRITE_LETTERS "adfmwMT"

const struct letter pyftpdlib_letters[] = {
	{ 'e', AUTHZ_CHDIR },
	{ 'l', AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_STAT | AUTHZ_READLINK | AUTHZ_GETACL },
	{ 'r', AUTHZ_READ },
	{ 'a', AUTHZ_APPEND | AUTHZ_APPNEW },
	{ 'd', AUTHZ_DELFILE | AUTHZ_DELDIR },
	{ 'f', AUTHZ_RENFROM | AUTHZ_RENTO | AUTHZ_RENREPL },
	{ 'm', AUTHZ_MKDIR },
	{ 'w', AUTHZ_CREATE | AUTHZ_OVERWRITE },
	{ 'M', AUTHZ_CHMOD | AUTHZ_SETACL | AUTHZ_CHOWN | AUTHZ_UMASK },
	{ 'T', AUTHZ_MTIME },
};
const size_t pyftpdlib_letter_count = sizeof(pyftpdlib_letters) / sizeof(pyftpdlib_letters[0]);

bool
pyftpdlib_parse_letters(struct span s, uint32_t *rights, const char **bad)
{
	*rights = 0;
	if (s.len == 1 && *s.at == '-')
		return true;
	for (size_t i = 0; i < s.len; i++) {
		uint32_t r = letter_rights(pyftpdlib_letters, pyftpdlib_letter_count, s.at[i]);

		if (!r) {
			*bad = s.at + i;
			return false;
		}
		*rights |= r;
	}
	return true;
}

/* The part of a real path below the home. */
static const char *
below_home(struct span *s, const char *home)
{
	size_t n = home ? strlen(home) : 0;

	s->at++;
	s->len--;
	if (!home)
		return "the home folder is not known here, so a real path cannot be placed";
	while (n > 1 && home[n - 1] == '/')
		n--;
	if (!path_within(s->at, s->len, home, n))
		return "the folder is outside the home";
	s->at += n == 1 ? 0 : n;
	s->len -= n == 1 ? 0 : n;
	return NULL;
}

const char *
pyftpdlib_folder(struct span s, const char *home, char *dst, size_t size)
{
	size_t out = 0;
	const char *wrong;

	if (s.len && *s.at == '=' && (wrong = below_home(&s, home)))
		return wrong;
	for (size_t i = 0; i < s.len;) {
		size_t n = 0;

		while (i < s.len && s.at[i] == '/')
			i++;
		while (i + n < s.len && s.at[i + n] != '/')
			n++;
		if (n == 0 || (n == 1 && s.at[i] == '.')) {
			i += n;
			continue;
		}
		if (n == 2 && s.at[i] == '.' && s.at[i + 1] == '.') {
			if (out == 0)
				return "the folder is outside the home";
			while (out && dst[--out] != '/')
				;
			i += n;
			continue;
		}
		if (out + n + 2 > size)
			return "the folder's path is too long";
		dst[out++] = '/';
		memcpy(dst + out, s.at + i, n);
		out += n;
		i += n;
	}
	dst[out] = '\0';
	return out ? NULL : "the home folder itself cannot be overridden";
}

static void
bad_letter(struct compiler *c, const struct source *src, const struct lines *l, const char *at)
{
	char q[QUOTED_MAX];

	complain(c, src, l->number, (unsigned)(at - l->start) + 1, false, "letters out of elradfmwMT, or -",
	    "unknown permission letter %s", quoted((struct span){ at, 1 }, q));
}

static bool
same_folder(const struct override *o, const char *dir, size_t len)
{
	return o->len == len && memcmp(o->dir, dir, len) == 0;
}

/* Enters an override: made again it changes, but keeps its place (P082). */
static int
put_override(struct layer *l, const struct override *made, const char *dir)
{
	struct letters *s = l->state;
	uint32_t h = hash_bytes(dir, made->len) & s->bucket_mask;
	struct override *o;

	for (o = s->buckets[h]; o && !same_folder(o, dir, made->len); o = o->next)
		;
	if (!o) {
		o = &s->overrides[s->override_count];
		o->order = s->override_count++;
		o->dir = arena_strndup(l->policy->arena, dir, made->len);
		o->len = made->len;
		o->next = s->buckets[h];
		s->buckets[h] = o;
		if (!o->dir)
			return -ENOMEM;
	}
	o->rights = made->rights;
	o->recursive = made->recursive;
	o->line = made->line;
	o->text = made->text;
	return 0;
}

static int
parse_override(
    struct layer *l, struct compiler *c, const struct source *src, const struct lines *line, struct span rest)
{
	struct override o = { .line = line->number, .text = span_trim((struct span){ line->start, line->len }) };
	struct span field = span_last_word(&rest);
	char dir[4096];
	const char *bad, *wrong;

	if (span_is(field, "recursive")) {
		o.recursive = true;
		field = span_last_word(&rest);
	}
	if (rest.len == 0 || field.len == 0) {
		complain(c, src, line->number, 0, false, "override FOLDER LETTERS [recursive]",
		    "an override lacks its folder or letters");
		return 0;
	}
	if (!pyftpdlib_parse_letters(field, &o.rights, &bad)) {
		bad_letter(c, src, line, bad);
		return 0;
	}
	wrong = pyftpdlib_folder(rest, l->policy->subject.home, dir, sizeof(dir));
	if (wrong) {
		complain(c, src, line->number, (unsigned)(rest.at - line->start) + 1, false, "a folder below the home",
		    "%s", wrong);
		return 0;
	}
	o.len = strlen(dir);
	return put_override(l, &o, dir);
}

static void
parse_hook(struct layer *l, struct compiler *c, const struct source *src, const struct lines *line, struct span rest)
{
	struct letters *s = l->state;
	struct span word = span_word(&rest);

	rest = span_trim(rest);
	if (!span_is(word, "deny-prefix") || rest.len == 0) {
		complain(c, src, line->number, 0, false, "hook deny-prefix PATH", "not a known hook");
		return;
	}
	s->hooks[s->hook_count].prefix = rest;
	s->hooks[s->hook_count++].line = line->number;
}

/* pyftpdlib only warns when anonymous may write, and so do we (2.1). */
static void
warn_anonymous(
    struct layer *l, struct compiler *c, const struct source *src, const struct lines *line, struct span word)
{
	if (strcmp(l->policy->subject.user, "anonymous") != 0)
		return;
	for (size_t i = 0; i < word.len; i++)
		if (strchr(WRITE_LETTERS, word.at[i])) {
			complain(c, src, line->number, (unsigned)(word.at - line->start) + 1, true,
			    "letters out of elr", "anonymous is given a letter that changes files");
			return;
		}
}

static void
parse_base(struct layer *l, struct compiler *c, const struct source *src, const struct lines *line, struct span word,
    struct span rest)
{
	struct letters *s = l->state;
	const char *bad;
	char q[QUOTED_MAX];

	rest = span_trim(rest);
	if (s->base_text.at) {
		complain(c, src, line->number, 0, false,
		    "override FOLDER LETTERS [recursive], or hook deny-prefix PATH", "not a rule: %s", quoted(word, q));
		return;
	}
	s->base_text = word;
	s->base_line = line->number;
	if (rest.len)
		complain(c, src, line->number, (unsigned)(rest.at - line->start) + 1, false,
		    "the end of the line after the letters", "more than letters: %s", quoted(rest, q));
	if (!pyftpdlib_parse_letters(word, &s->base, &bad))
		bad_letter(c, src, line, bad);
	else
		warn_anonymous(l, c, src, line, word);
}

static int
letters_begin(struct layer *l)
{
	struct arena *a = l->policy->arena;
	size_t n = lines_count(l->sources[0].text), buckets = 4;
	struct letters *s = arena_alloc(a, sizeof(*s));

	while (buckets < n * 2)
		buckets *= 2;
	l->state = s;
	if (!s)
		return -ENOMEM;
	s->overrides = arena_alloc(a, n * sizeof(*s->overrides));
	s->hooks = arena_alloc(a, n * sizeof(*s->hooks));
	s->buckets = arena_alloc(a, buckets * sizeof(struct override *));
	s->bucket_mask = (uint32_t)buckets - 1;
	return s->overrides && s->hooks && s->buckets ? 0 : -ENOMEM;
}

static int
letters_compile(struct layer *l, struct compiler *c)
{
	const struct source *src = &l->sources[0];
	struct lines line;

	if (letters_begin(l) != 0)
		return -ENOMEM;
	lines_begin(&line, src->text);
	while (lines_next(&line)) {
		struct span rest = { line.start, line.len }, word = span_word(&rest);

		if (word.len == 0 || *word.at == '#')
			continue;
		if (span_is(word, "override")) {
			if (parse_override(l, c, src, &line, rest) != 0)
				return -ENOMEM;
		} else if (span_is(word, "hook"))
			parse_hook(l, c, src, &line, rest);
		else
			parse_base(l, c, src, &line, word, rest);
	}
	if (!((struct letters *)l->state)->base_text.at)
		complain(c, src, 0, 0, false, "letters out of elradfmwMT, or -", "the base letters are missing");
	return 0;
}

static const struct override *
find_override(const struct letters *s, uint32_t hash, const char *dir, size_t len)
{
	const struct override *o = s->buckets[hash & s->bucket_mask];

	while (o && !same_folder(o, dir, len))
		o = o->next;
	return o;
}

/* The hash grows with each folder on the way. */
const struct override *
pyftpdlib_covering(const struct letters *s, const char *path, size_t len, enum authz_kind kind)
{
	const struct override *best = NULL, *o;
	size_t parent = path_parent(path, len);
	uint32_t h = HASH_START;

	for (size_t n = 1; n <= len; n++) {
		bool covers;

		h = HASH_STEP(h, path[n - 1]);
		if (n == 1 || (n < len && path[n] != '/') || !(o = find_override(s, h, path, n)))
			continue;
		covers = o->recursive || n == len || (n == parent && kind != AUTHZ_FOLDER);
		if (covers && (!best || o->order < best->order))
			best = o;
	}
	return best;
}

static uint32_t
letters_rights(struct layer *l, const struct request *r, struct authz_hit *hit)
{
	const struct letters *s = l->state;
	const struct override *o;

	for (size_t i = 0; i < s->hook_count; i++)
		if (r->len >= s->hooks[i].prefix.len &&
		    memcmp(r->path, s->hooks[i].prefix.at, s->hooks[i].prefix.len) == 0) {
			hit->rule = &s->hooks[i];
			hit->a = BY_HOOK;
			return 0;
		}
	o = s->override_count ? pyftpdlib_covering(s, r->path, r->len, r->kind) : NULL;
	hit->a = o ? BY_OVERRIDE : BY_BASE;
	hit->rule = o;
	return (o ? o->rights : s->base) | AUTHZ_PASSWD;
}

static uint32_t
letters_session(struct layer *l, struct authz_hit *hit)
{
	const struct letters *s = l->state;

	hit->a = BY_BASE;
	return s->base | AUTHZ_PASSWD;
}

static uint32_t
letters_most(const struct layer *l)
{
	const struct letters *s = l->state;
	uint32_t most = s->base;

	for (uint32_t i = 0; i < s->override_count; i++)
		most |= s->overrides[i].rights;
	return most | AUTHZ_PASSWD;
}

/* The letters that would give what is missing. */
static void
cite_missing(struct text *t, uint32_t missing)
{
	for (size_t i = 0; i < pyftpdlib_letter_count; i++)
		if (pyftpdlib_letters[i].rights & missing) {
			text_add(t, "letter %c not in ", pyftpdlib_letters[i].letter);
			return;
		}
	text_add(t, "no letter gives %s: ", authz_right_word(missing));
}

static void
letters_cite(
    const struct layer *l, const struct request *r, const struct authz_hit *hit, uint32_t missing, struct text *t)
{
	const struct letters *s = l->state;
	const struct override *o = hit->rule;
	const struct hook *h = hit->rule;
	char q[QUOTED_MAX];
	unsigned line;

	(void)r;
	if (hit->a == BY_HOOK) {
		text_add(t, "hook deny-prefix %s", quoted(h->prefix, q));
		line = h->line;
	} else {
		if (missing)
			cite_missing(t, missing);
		text_add(t, hit->a == BY_OVERRIDE ? "%s" : "base letters %s",
		    quoted(hit->a == BY_OVERRIDE ? o->text : s->base_text, q));
		line = hit->a == BY_OVERRIDE ? o->line : s->base_line;
	}
	text_add(t, " (");
	cite_place(t, &l->sources[0], line);
	text_add(t, ")");
}

/* Members differ when an override or a hook speaks of something in the folder. */
static bool
letters_uniform(struct layer *l, const char *folder, enum authz_kind kind, uint32_t *rights, uint32_t *inside)
{
	const struct letters *s = l->state;
	size_t len = strlen(folder);
	const struct override *o;
	char child[4096 + 8];

	for (size_t i = 0; i < s->hook_count; i++)
		if (path_within(s->hooks[i].prefix.at, s->hooks[i].prefix.len, folder, len) ||
		    (s->hooks[i].prefix.len <= len &&
			memcmp(folder, s->hooks[i].prefix.at, s->hooks[i].prefix.len) == 0))
			return false;
	for (uint32_t i = 0; i < s->override_count; i++)
		if (s->overrides[i].len > len && path_within(s->overrides[i].dir, s->overrides[i].len, folder, len))
			return false;
	if (str_format(child, sizeof(child), "%s/x", len == 1 ? "" : folder) != 0)
		return false;
	o = pyftpdlib_covering(s, child, strlen(child), kind);
	*rights = o ? o->rights : s->base;
	if (str_format(child, sizeof(child), "%s/x/y", len == 1 ? "" : folder) != 0)
		return false;
	o = pyftpdlib_covering(s, child, strlen(child), AUTHZ_MISSING);
	*inside = o ? o->rights : s->base;
	return true;
}

/* --------------------------------------------------------------------- lint */

/* An earlier recursive override of a folder above always comes first. */
static const struct override *
shadow_of(const struct letters *s, const struct override *o)
{
	for (const struct override *e = s->overrides; e < o; e++)
		if (e->recursive && path_within(o->dir, o->len, e->dir, e->len))
			return e;
	return NULL;
}

static void
lint_hooks(const struct letters *s, const struct source *src, const struct lint_run *run)
{
	for (size_t i = 0; i < s->hook_count; i++) {
		const struct hook *h = &s->hooks[i];
		char q[QUOTED_MAX];

		if (*h->prefix.at != '/')
			LINT_AT(run, NEVER_MATCHES, src, h->line, "hook deny-prefix %s: paths begin with a slash",
			    quoted(h->prefix, q));
		else if (h->prefix.len > 1 && h->prefix.at[h->prefix.len - 1] == '/')
			LINT_AT(run, FOLDER_ITSELF, src, h->line,
			    "hook deny-prefix %s does not cover the folder itself", quoted(h->prefix, q));
	}
}

void
lint_pyftpdlib(struct layer *l, const struct lint_run *run)
{
	const struct letters *s = l->state;
	const struct source *src = &l->sources[0];
	char q[QUOTED_MAX], wide[QUOTED_MAX];

	lint_hooks(s, src, run);
	lint_contradiction(run, src, s->base_line, s->base, "the base set");
	for (uint32_t i = 0; i < s->override_count; i++) {
		const struct override *o = &s->overrides[i], *e = shadow_of(s, o);

		quoted(o->text, q);
		if (e)
			LINT_AT(run, SHADOWED, src, o->line, "%s: %s comes first", q, quoted(e->text, wide));
		else if (o->rights == s->base)
			LINT_AT(run, NO_EFFECT, src, o->line, "%s gives what the base letters give", q);
		lint_contradiction(run, src, o->line, o->rights, q);
	}
}

void
folders_pyftpdlib(const struct layer *l, lint_folder_found *found, void *context)
{
	const struct letters *s = l->state;

	for (uint32_t i = 0; i < s->override_count; i++) {
		const struct override *o = &s->overrides[i];
		struct lint_folder f = { .path = o->dir, .must_exist = true, .file = l->sources[0].file,
		    .line = l->sources[0].line + o->line };

		found(context, &f);
	}
}

void
names_pyftpdlib(const struct layer *l, lint_folder_found *found, void *context)
{
	const struct letters *s = l->state;

	folders_pyftpdlib(l, found, context);
	for (size_t i = 0; i < s->hook_count; i++) {
		struct span p = s->hooks[i].prefix;
		char path[1024];
		struct lint_folder f = { .path = path, .file = l->sources[0].file, .line = l->sources[0].line + s->hooks[i].line };

		while (p.len > 0 && p.at[p.len - 1] == '/')
			p.len--;
		if (p.len > 1 && *p.at == '/' && str_format(path, sizeof(path), "%.*s", (int)p.len, p.at) == 0)
			found(context, &f);
	}
}

static bool
letters_judge_paths(const struct layer *l)
{
	const struct letters *s = l->state;

	return s->override_count || s->hook_count;
}

const struct dialect dialect_pyftpdlib = {
	.name = "pyftpdlib",
	.compile = letters_compile,
	.rights = letters_rights,
	.session = letters_session,
	.cite = letters_cite,
	.uniform = letters_uniform,
	.escapes = pyftpdlib_escapes,
	.judges_paths = letters_judge_paths,
	.most = letters_most,
};
