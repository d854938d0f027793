/* Reads SFTPPlus permission sets and path rules (dialects 3.1, 3.2). */
#include "authz/sftpplus.h"

#include <string.h>

const struct permission_row sftpplus_permissions[] = {
	{ "full-control", AUTHZ_ALL_FILES },
	{ "read", AUTHZ_READ | AUTHZ_STAT | AUTHZ_GETACL },
	{ "list", AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_STAT | AUTHZ_READLINK | AUTHZ_GETACL },
	{ "traverse", AUTHZ_TRAVERSE },
	{ "create-folder", AUTHZ_MKDIR },
	{ "write", AUTHZ_CREATE | AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_APPNEW },
	{ "rename", AUTHZ_RENFROM | AUTHZ_RENTO | AUTHZ_RENREPL },
	{ "delete-file", AUTHZ_DELFILE },
	{ "delete-folder", AUTHZ_DELDIR },
	{ "set-attributes", AUTHZ_CHMOD | AUTHZ_MTIME | AUTHZ_CHOWN | AUTHZ_SETACL | AUTHZ_UMASK },
};
const size_t sftpplus_permission_count = sizeof(sftpplus_permissions) / sizeof(sftpplus_permissions[0]);

#define EXPECTED_PERMISSIONS \
	"allow-NAME or deny-NAME with a NAME out of read, list, traverse, create-folder, write, rename, delete-file, " \
	"delete-folder, set-attributes, full-control (such as deny-write)"

struct permission {
	bool deny, old_spelling;
	const struct permission_row *row;	/* NULL: unknown */
};

static bool
begins(struct span s, const char *word)
{
	size_t n = strlen(word);

	return s.len >= n && memcmp(s.at, word, n) == 0;
}

static struct permission
read_permission(struct span s)
{
	struct permission p = { begins(s, "deny-"), false, NULL };
	size_t skip = p.deny ? 5 : begins(s, "allow-") ? 6 : 0;

	p.old_spelling = skip == 0;
	s.at += skip;
	s.len -= skip;
	for (size_t i = 0; i < sftpplus_permission_count; i++)
		if (span_is(s, sftpplus_permissions[i].name))
			p.row = &sftpplus_permissions[i];
	return p;
}

bool
sftpplus_is_permission(struct span s)
{
	return read_permission(span_trim(s)).row != NULL;
}

static void
mistake(struct compiler *c, const struct source *src, const struct lines *line, struct span where, bool warning,
    const char *what, const char *expected)
{
	char q[QUOTED_MAX];

	complain(c, src, line->number, (unsigned)(where.at - line->start) + 1, warning, expected, "%s: %s",
	    what, quoted(where, q));
}

/* CHDIR comes with any allow permission; only deny-full-control takes it away (B3). */
static uint32_t
enter_right(uint32_t allowed, uint32_t choices)
{
	if (choices & AUTHZ_SFTPPLUS_CWD_LIST)
		return allowed & (AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_READ) ? AUTHZ_CHDIR : 0;
	return allowed ? AUTHZ_CHDIR : 0;
}

bool
sftpplus_parse_set(struct compiler *c, const struct source *src, const struct lines *line, struct span s,
    struct permission_set *set)
{
	uint32_t allow = 0, deny = 0;
	bool good = true;

	set->text = span_trim(s);
	set->source = src;
	set->line = line->number;
	for (;;) {
		const char *comma = memchr(s.at, ',', s.len);
		struct span word = { s.at, comma ? (size_t)(comma - s.at) : s.len };
		struct permission p;

		s.at += word.len + 1;
		s.len -= word.len + (comma != NULL);
		word = span_trim(word);
		p = read_permission(word);
		if (!p.row) {
			mistake(c, src, line, word, false, word.len ? "unknown permission" : "a permission is missing",
			    EXPECTED_PERMISSIONS);
			good = false;
		} else {
			if (p.old_spelling)
				mistake(c, src, line, word, true, "old spelling of a permission",
				    "the same with allow- in front");
			*(p.deny ? &deny : &allow) |= p.row->rights;
		}
		if (!comma)
			break;
	}
	allow |= enter_right(allow, c->layer->policy->subject.choices);
	if (deny != AUTHZ_ALL_FILES)
		deny &= ~(uint32_t)AUTHZ_CHDIR;
	set->rights = allow & ~deny;
	return good;
}

/* -------------------------------------------------------------- expressions */

/*
 * An expression with a method ends at the last '/' of the line: permissions
 * hold none, so commas and slashes before it belong to the expression.
 */
struct expression {
	char method;			/* 0: a plain glob */
	struct span body, modifiers, rest;	/* rest: what follows the comma */
	bool comma;
};

static const char *
split_method(struct span s, struct expression *e)
{
	const char *close = memrchr(s.at, '/', s.len), *comma;

	e->method = s.at[0];
	if (close == s.at + 1)
		return "the expression is not closed";
	e->body = (struct span){ s.at + 2, (size_t)(close - s.at) - 2 };
	e->rest = (struct span){ close + 1, s.len - (size_t)(close + 1 - s.at) };
	comma = memchr(e->rest.at, ',', e->rest.len);
	e->comma = comma != NULL;
	e->modifiers = (struct span){ close + 1, comma ? (size_t)(comma - close) - 1 : e->rest.len };
	e->rest.at += e->modifiers.len + e->comma;
	e->rest.len -= e->modifiers.len + e->comma;
	e->modifiers = span_trim(e->modifiers);
	return NULL;
}

static void
split_plain(struct span s, struct expression *e)
{
	const char *comma = memchr(s.at, ',', s.len);
	size_t n = comma ? (size_t)(comma - s.at) : s.len;

	e->comma = comma != NULL;
	e->body = span_trim((struct span){ s.at, n });
	e->rest = (struct span){ s.at + n + e->comma, s.len - n - e->comma };
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
compile_glob(
    struct compiler *c, const struct source *src, const struct lines *line, struct path_rule *r, struct span body)
{
	const char *at,
	    *wrong = glob_compile(c->layer->policy->arena, body, c->layer->policy->subject.user, &r->glob, &at);

	r->method = METHOD_GLOB;
	if (wrong && wrong[0])
		complain(c, src, line->number, (unsigned)(at - line->start) + 1, false,
		    "a path pattern between the bars", "%s", wrong);
	else if (wrong)
		complain(c, src, line->number, 0, false, NULL, "out of memory");
	return !wrong;
}

static bool
compile_regex(struct compiler *c, const struct source *src, const struct lines *line, struct path_rule *r,
    const struct expression *e)
{
	char why[120];
	size_t at;
	const char *wrong;

	r->method = e->method == 'm' ? METHOD_REGEX : METHOD_NOT_REGEX;
	wrong = regex_compile(c->layer->policy->arena, e->body, e->modifiers.len == 1,
	    c->layer->policy->subject.user, &r->regex, &at, why);
	if (wrong)
		complain(c, src, line->number,
		    (unsigned)(e->body.at - line->start + (long)(at < e->body.len ? at : e->body.len)) + 1, false,
		    "a regular expression", "the regular expression does not compile: %s",
		    wrong[0] ? wrong : "out of memory");
	return !wrong;
}

static bool
compile_date(struct compiler *c, const struct source *src, const struct lines *line, struct path_rule *r,
    const struct expression *e)
{
	const char *at, *wrong = dateglob_compile(c->layer->policy->arena, e->body, e->modifiers,
	    c->layer->policy->subject.user, &r->date, &at);

	r->method = METHOD_DATE;
	if (wrong)
		complain(c, src, line->number, at ? (unsigned)(at - line->start) + 1 : 0, false,
		    "a glob with parts such as {year.decimal}, {month.padded}, {day.padded}, then / and an offset "
		    "such as -1d",
		    "%s", wrong[0] ? wrong : "out of memory");
	return !wrong;
}

static bool
compile_plain(struct compiler *c, const struct source *src, const struct lines *line, struct path_rule *r,
    const struct expression *e)
{
	return compile_glob(c, src, line, r, e->body);
}

/* The ways to write an expression; none: as a plain glob. */
static const struct method_row {
	char letter;
	const char *modifier;		/* the one it takes, NULL: reads them itself */
	bool (*compile)(struct compiler *, const struct source *, const struct lines *, struct path_rule *,
	    const struct expression *);
} methods[] = {
	{ '\0', "", compile_plain },
	{ 'g', "", compile_plain },
	{ 'm', "i", compile_regex },
	{ 'e', "i", compile_regex },
	{ 't', NULL, compile_date },
};

static bool
compile_expression(struct compiler *c, const struct source *src, const struct lines *line, struct path_rule *r,
    const struct expression *e)
{
	const struct method_row *row = methods;
	struct span where = { e->body.at - 2, 1 };

	while (row < methods + sizeof(methods) / sizeof(methods[0]) && row->letter != e->method)
		row++;
	if (row == methods + sizeof(methods) / sizeof(methods[0])) {
		mistake(c, src, line, where, false, "unknown method", "g/GLOB/, m/REGEX/, e/REGEX/ or t/GLOB/");
		return false;
	}
	if (e->modifiers.len && row->modifier && !(row->modifier[0] && span_is(e->modifiers, row->modifier))) {
		mistake(c, src, line, e->modifiers, false, "unknown modifier",
		    row->modifier[0] ? "i, or nothing" : "nothing after g/GLOB/");
		return false;
	}
	return row->compile(c, src, line, r, e);
}

void
sftpplus_free_rule(struct path_rule *r)
{
	regex_free(r->regex);
	dateglob_free(r->date);
}

bool
sftpplus_parse_rule(struct compiler *c, const struct source *src, const struct lines *line, struct path_rule *r)
{
	struct span s = span_trim((struct span){ line->start, line->len });
	struct expression e = { 0 };
	const char *wrong = NULL;
	bool good;

	memset(r, 0, sizeof(*r));
	if (s.len > 1 && s.at[1] == '/' && is_letter(s.at[0]))
		wrong = split_method(s, &e);
	else
		split_plain(s, &e);
	if (wrong) {
		mistake(c, src, line, s, false, wrong, "a / behind the expression, then a comma and permissions");
		return false;
	}
	good = compile_expression(c, src, line, r, &e);
	r->expression =
	    e.method ? (struct span){ s.at, (size_t)(e.body.at - s.at) + e.body.len + 1 + e.modifiers.len } : e.body;
	if (!e.comma || span_trim(e.rest).len == 0) {
		mistake(c, src, line, s, false, "a rule without a permission", "EXPRESSION, PERMISSION");
		return false;
	}
	return sftpplus_parse_set(c, src, line, e.rest, &r->set) && good;
}
