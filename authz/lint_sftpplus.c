/* Lint of SFTPPlus rules. */
#include <string.h>

#include "authz/lint_rules.h"
#include "authz/sftpplus.h"

/* Why an alternative can match no path; NULL: it can. */
static const char *
hopeless(const struct glob_alt *a)
{
	if (a->head.len && *a->head.at != '/')
		return "paths begin with a slash";
	if (a->tail.len && a->tail.at[a->tail.len - 1] == '/' && !(a->shape == GLOB_LITERAL && a->tail.len == 1))
		return "paths do not end in a slash";
	if ((a->head.len && memmem(a->head.at, a->head.len, "//", 2)) ||
	    (a->tail.len && memmem(a->tail.at, a->tail.len, "//", 2)))
		return "paths hold no two slashes side by side";
	return NULL;
}

static void
look_for_hopeless(const struct path_rule *r, const struct lint_run *run)
{
	char q[QUOTED_MAX];

	for (size_t i = 0; r->method == METHOD_GLOB && i < r->glob.count; i++) {
		const char *why = hopeless(&r->glob.alts[i]);

		if (why)
			LINT_AT(
			    run, NEVER_MATCHES, r->set.source, r->set.line, "%s: %s", quoted(r->expression, q), why);
	}
	if (r->method == METHOD_REGEX && r->expression.len > 4 && r->expression.at[2] == '^' &&
	    !strchr("/\\.([", r->expression.at[3]))
		LINT_AT(run, NEVER_MATCHES, r->set.source, r->set.line, "%s: paths begin with a slash",
		    quoted(r->expression, q));
}

static bool
ends_with(struct span s, struct span end)
{
	return s.len >= end.len && memcmp(s.at + s.len - end.len, end.at, end.len) == 0;
}

static bool
begins_with(struct span s, struct span start)
{
	return s.len >= start.len && memcmp(s.at, start.at, start.len) == 0;
}

/* Whether whatever the narrow alternative matches the wide one matches, too; false where it is not plain to see. */
static bool
alt_covers(const struct glob_alt *wide, const struct glob_alt *narrow)
{
	if (wide->shape == GLOB_GENERAL)
		return wide->count == 1 && glob_alt_match(wide, "", 0);	/* "*" */
	if (wide->shape == GLOB_PREFIX)
		return narrow->head.len && begins_with(narrow->head, wide->head);
	if (wide->shape == GLOB_SUFFIX)
		return narrow->tail.len && ends_with(narrow->tail, wide->tail);
	return narrow->shape == GLOB_LITERAL && narrow->head.len == wide->head.len &&
	       begins_with(narrow->head, wide->head);
}

static bool
rule_covers(const struct path_rule *wide, const struct path_rule *narrow)
{
	if (wide->expression.len == narrow->expression.len &&
	    memcmp(wide->expression.at, narrow->expression.at, wide->expression.len) == 0)
		return true;
	if (wide->method != METHOD_GLOB || narrow->method != METHOD_GLOB || wide->glob.negated || narrow->glob.negated)
		return false;
	for (size_t k = 0; k < narrow->glob.count; k++) {
		bool covered = false;

		for (size_t i = 0; i < wide->glob.count && !covered; i++)
			covered = alt_covers(&wide->glob.alts[i], &narrow->glob.alts[k]);
		if (!covered)
			return false;
	}
	return true;
}

static void
look_for_shadows(const struct sftpplus *s, uint32_t n, const struct lint_run *run)
{
	const struct path_rule *r = &s->rules[n];
	char q[QUOTED_MAX], wide[QUOTED_MAX];

	for (uint32_t i = 0; i < n; i++)
		if (rule_covers(&s->rules[i], r)) {
			LINT_AT(run, SHADOWED, r->set.source, r->set.line,
			    "rule %u %s: rule %u %s matches all of it first", n + 1, quoted(r->expression, q), i + 1,
			    quoted(s->rules[i].expression, wide));
			return;
		}
}

/*
 * One begins with something and the other ends with something: paths that do both are in both, and neither is the
 * other's exception.
 */
static bool
rules_cross(const struct path_rule *a, const struct path_rule *b)
{
	if (a->method != METHOD_GLOB || b->method != METHOD_GLOB || a->glob.negated || b->glob.negated)
		return false;
	for (size_t i = 0; i < a->glob.count; i++)
		for (size_t k = 0; k < b->glob.count; k++) {
			enum glob_shape x = a->glob.alts[i].shape, y = b->glob.alts[k].shape;

			if ((x == GLOB_PREFIX && y == GLOB_SUFFIX) || (x == GLOB_SUFFIX && y == GLOB_PREFIX))
				return true;
		}
	return false;
}

/* A rule that only forbids is meant for all of its paths: those that an earlier one allows are told. */
static void
look_for_holes(const struct sftpplus *s, uint32_t n, const struct lint_run *run)
{
	const struct path_rule *r = &s->rules[n];
	char q[QUOTED_MAX], other[QUOTED_MAX];

	for (uint32_t i = 0; i < n && r->set.rights == 0; i++)
		if (s->rules[i].set.rights != 0 && rules_cross(&s->rules[i], r) && !rule_covers(&s->rules[i], r)) {
			LINT_AT(run, HALF_SHADOWED, r->set.source, r->set.line,
			    "rule %u %s: what also matches rule %u %s is allowed by that one", n + 1, quoted(r->expression, q),
			    i + 1, quoted(s->rules[i].expression, other));
			return;
		}
}

/* "/inbox/x*": members can be listed, the folder cannot. */
static void
look_for_folder(struct layer *l, const struct path_rule *r, const struct lint_run *run)
{
	for (size_t i = 0; r->method == METHOD_GLOB && !r->glob.negated && i < r->glob.count; i++) {
		const struct glob_alt *a = &r->glob.alts[i];
		char path[512], q[QUOTED_MAX];
		struct request req = { .path = path, .typed = path, .kind = AUTHZ_FOLDER, .want = AUTHZ_ALL };
		struct authz_hit hit = { 0 };

		if (a->shape != GLOB_PREFIX || a->head.len < 2 || a->head.len > sizeof(path) ||
		    a->head.at[a->head.len - 1] != '/')
			continue;
		req.len = a->head.len - 1;
		memcpy(path, a->head.at, req.len);
		path[req.len] = '\0';
		if ((r->set.rights & AUTHZ_LIST) &&
		    !(dialect_sftpplus.rights(l, &req, &hit) & (AUTHZ_LIST | AUTHZ_TRAVERSE)))
			LINT_AT(run, FOLDER_ITSELF, r->set.source, r->set.line,
			    "%s lets sub-folders be listed, but %s itself cannot be listed", quoted(r->expression, q),
			    path);
	}
}

/* "\.pdf" at the end, without "$". */
static bool
means_extension(struct span body)
{
	size_t i = body.len;

	while (i &&
	       ((body.at[i - 1] >= 'a' && body.at[i - 1] <= 'z') || (body.at[i - 1] >= 'A' && body.at[i - 1] <= 'Z') ||
		   (body.at[i - 1] >= '0' && body.at[i - 1] <= '9')))
		i--;
	return i < body.len && i >= 2 && body.at[i - 1] == '.' && body.at[i - 2] == '\\';
}

static void
look_at_regex(const struct path_rule *r, const struct lint_run *run)
{
	struct span body = { r->expression.at + 2, r->expression.len - 3 };
	bool caseless = r->expression.at[r->expression.len - 1] == 'i';
	const char *what;
	char q[QUOTED_MAX];

	body.len -= caseless;
	what = regex_foreign(body.at, body.len);
	quoted(r->expression, q);
	if (what)
		LINT_AT(run, FOREIGN_SYNTAX, r->set.source, r->set.line, "%s: %s", q, what);
	if (regex_backtracks(body.at, body.len, caseless))
		LINT_AT(run, BACKTRACKS, r->set.source, r->set.line, "%s", q);
	if (means_extension(body))
		LINT_AT(run, UNANCHORED, r->set.source, r->set.line, "%s", q);
}

void
lint_sftpplus(struct layer *l, const struct lint_run *run)
{
	const struct sftpplus *s = l->state;
	char q[QUOTED_MAX];

	if (s->globals.source)
		lint_contradiction(run, s->globals.source, s->globals.line, s->globals.rights, "the global set");
	for (uint32_t i = 0; i < s->rule_count; i++) {
		const struct path_rule *r = &s->rules[i];

		look_for_hopeless(r, run);
		look_for_shadows(s, i, run);
		look_for_holes(s, i, run);
		look_for_folder(l, r, run);
		if (r->regex)
			look_at_regex(r, run);
		lint_contradiction(run, r->set.source, r->set.line, r->set.rights, quoted(r->expression, q));
	}
}

/* The folder an expression begins with, as written: up to the last slash before a wild card. */
void
folders_sftpplus(const struct layer *l, lint_folder_found *found, void *context)
{
	const struct sftpplus *s = l->state;

	for (uint32_t i = 0; i < s->rule_count; i++) {
		const struct path_rule *r = &s->rules[i];
		struct lint_folder f = {
			.any_case = true, .file = r->set.source->file, .line = r->set.source->line + r->set.line
		};
		struct span e = r->expression;
		size_t n = 0;
		char path[1024];

		while (r->method == METHOD_GLOB && e.len && (*e.at == '!' || *e.at == ' ')) {
			e.at++;
			e.len--;
		}
		while (n < e.len && !strchr("*?[|$", e.at[n]))
			n++;
		if (n < e.len)
			while (n && e.at[n - 1] != '/')
				n--;
		while (n > 1 && e.at[n - 1] == '/')
			n--;
		if (r->method != METHOD_GLOB || n < 2 || *e.at != '/' || n >= sizeof(path))
			continue;
		memcpy(path, e.at, n);
		path[n] = '\0';
		f.path = path;
		found(context, &f);
	}
}

/* ------------------------------------------------------------------ names, for renames */

/* One literal path of an expression, as far as it goes; advances *i behind it. */
static void
read_name(const struct path_rule *r, const char *user, struct span e, size_t *i, char *path, size_t size)
{
	bool regex = r->method == METHOD_REGEX || r->method == METHOD_NOT_REGEX;
	const char *stop = regex ? "^$.*+?()[]{}|" : r->method == METHOD_DATE ? "*?[|{" : "*?[|";
	size_t n = 0;

	while (*i < e.len && n + 1 < size) {
		const char *at = e.at + *i;

		if (e.len - *i >= 7 && memcmp(at, "${USER}", 7) == 0 && strlen(user) + n + 1 < size) {
			memcpy(path + n, user, strlen(user));
			n += strlen(user);
			*i += 7;
			continue;
		}
		if (strchr(stop, *at) || *at == '\0')
			break;
		if (regex && *at == '\\') {
			if (*i + 1 == e.len || strchr("./-_ +()[]{}", at[1]) == NULL)
				break;
			at++;
			(*i)++;
		}
		path[n++] = *at;
		(*i)++;
	}
	/* A letter that may be missing. */
	if (regex && *i < e.len && strchr("*?{", e.at[*i]) && n > 0)
		n--;
	while (n > 1 && path[n - 1] == '/')
		n--;
	path[n] = '\0';
}

static struct span
body_of(const struct path_rule *r)
{
	struct span e = r->expression;

	if (r->method == METHOD_GLOB || e.len < 4)
		return e;
	e.at += 2;
	e.len -= 2;
	while (e.len > 0 && e.at[e.len - 1] != e.at[-1])	/* modifiers, an offset */
		e.len--;
	e.len -= e.len > 0;
	return e;
}

static void
names_of_rule(const struct path_rule *r, const char *user, lint_folder_found *found, void *context)
{
	struct span e = body_of(r);
	char path[1024];
	struct lint_folder f = { .path = path, .any_case = true, .file = r->set.source->file,
	    .line = r->set.source->line + r->set.line };

	for (size_t i = 0; i < e.len;) {
		size_t escaped = e.at[i] == '\\';

		/* Where an alternative may begin. */
		if (i + escaped >= e.len || e.at[i + escaped] != '/' ||
		    (i > 0 && strchr("^(|!*?: \t", e.at[i - 1]) == NULL)) {
			i += 1 + escaped;
			continue;
		}
		read_name(r, user, e, &i, path, sizeof(path));
		if (path[0] == '/' && path[1] != '\0' && strstr(path, "//") == NULL)
			found(context, &f);
		i += path[0] == '\0';
	}
}

void
names_sftpplus(const struct layer *l, lint_folder_found *found, void *context)
{
	const struct sftpplus *s = l->state;

	for (uint32_t i = 0; i < s->rule_count; i++)
		names_of_rule(&s->rules[i], l->policy->subject.user, found, context);
}
