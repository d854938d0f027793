/*
 * SFTPPlus's path rules (dialects 3):
 *
 *	layer = sftpplus
 *		allow-list, allow-write
 *		/inbox*, allow-full-control
 *		m/\.pdf$/i, allow-read
 *
 * The first line is the global set; the first rule whose expression matches the
 * virtual path replaces it.  An account without a set of its own, or with
 * "inherit", takes its groups': globals of the first, rules of all.
 */
#include "authz/sftpplus.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/str.h"

static bool
is_inherit(const char *text)
{
	struct lines l;
	struct span s;
	unsigned words = 0;
	bool inherit = false;

	lines_begin(&l, text);
	while (lines_next(&l)) {
		char word[16] = "";

		s = span_trim((struct span){ l.start, l.len });
		if (s.len == 0)
			continue;
		if (s.len == 7)
			memcpy(word, s.at, 7);
		inherit = str_same(word, "inherit");
		words++;
	}
	return inherit && words == 1;
}

/* Groups form one layer, and an account's "inherit" belongs to it. */
static bool
sftpplus_joins(enum authz_scope last, const struct authz_source *next)
{
	if (last != AUTHZ_SCOPE_GROUP && last != AUTHZ_SCOPE_OTHER_GROUP)
		return false;
	return next->scope <= AUTHZ_SCOPE_OTHER_GROUP ||
	       (next->scope >= AUTHZ_SCOPE_ACCOUNT && is_inherit(next->text ? next->text : ""));
}

/* An account's own set makes its groups' values be ignored. */
static bool
sftpplus_replaces(enum authz_scope last, const struct authz_source *next)
{
	return (last == AUTHZ_SCOPE_GROUP || last == AUTHZ_SCOPE_OTHER_GROUP) && next->scope >= AUTHZ_SCOPE_ACCOUNT &&
	    !is_inherit(next->text ? next->text : "");
}

/* -------------------------------------------------------------- compilation */

/* The first line of a source: its globals; those of further groups do not count. */
static void
read_globals(struct sftpplus *s, struct compiler *c, const struct source *src, const struct lines *line)
{
	struct permission_set set;
	struct span all = span_trim((struct span){ line->start, line->len });
	const char *comma = memchr(all.at, ',', all.len);
	struct span first = { all.at, comma ? (size_t)(comma - all.at) : all.len };
	char q[QUOTED_MAX];

	if (comma && !sftpplus_is_permission(first) &&
	    (strchr("/*?[!", *all.at) || (all.len > 1 && all.at[1] == '/'))) {
		complain(c, src, line->number, 1, false, "global permissions, which apply where no rule matches",
		    "the first line is a path rule: %s", quoted(all, q));
		return;
	}
	if (sftpplus_parse_set(c, src, line, all, &set) && !s->globals.text.at && src->scope != AUTHZ_SCOPE_OTHER_GROUP)
		s->globals = set;
}

/* A rule with a mistake is not kept: then the layer denies everything. */
static void
read_source(struct sftpplus *s, struct compiler *c, const struct source *src)
{
	struct lines line;
	bool globals = false;

	lines_begin(&line, src->text);
	while (lines_next(&line)) {
		struct span text = span_trim((struct span){ line.start, line.len });

		if (text.len == 0 || *text.at == '#' || *text.at == ';')
			continue;
		if (!globals) {
			globals = true;
			read_globals(s, c, src, &line);
		} else if (sftpplus_parse_rule(c, src, &line, &s->rules[s->rule_count])) {
			struct path_rule *r = &s->rules[s->rule_count++];

			if (r->method == METHOD_GLOB && sftpplus_is_permission(r->expression))
				complain(c, src, line.number, 1, true, "one line of global permissions, the first",
				    "a later line that begins with a permission is a rule for a path of that name");
		} else
			sftpplus_free_rule(&s->rules[s->rule_count]);
	}
	if (!globals)
		complain(
		    c, src, 0, 0, false, "permissions such as allow-read, allow-list", "the permissions are empty");
}

/* A rule goes into the index if all its alternatives do. */
static int
index_rule(struct sftpplus *s, struct arena *a, uint32_t n)
{
	const struct path_rule *r = &s->rules[n];
	bool scan = r->method != METHOD_GLOB || r->glob.negated;

	for (size_t i = 0; !scan && i < r->glob.count; i++) {
		int taken = index_add(&s->index, a, &r->glob.alts[i], n);

		if (taken < 0)
			return taken;
		scan = taken == 0;
	}
	if (scan)
		s->scanned[s->scanned_count++] = n;
	return 0;
}

static int
build_index(struct sftpplus *s, struct arena *a)
{
	size_t alts = 0;

	for (uint32_t i = 0; i < s->rule_count; i++)
		alts += s->rules[i].glob.count;
	s->scanned = arena_alloc(a, (s->rule_count + 1) * sizeof(*s->scanned));
	if (!s->scanned || index_begin(&s->index, a, alts) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->rule_count; i++) {
		struct path_rule *r = &s->rules[i];

		if (r->method == METHOD_GLOB)
			glob_pairs(&r->glob, &r->pairs);
		else if (r->regex)
			regex_pairs(r->regex, &r->pairs);
		if (index_rule(s, a, i) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int
sftpplus_compile(struct layer *l, struct compiler *c)
{
	struct arena *a = l->policy->arena;
	struct sftpplus *s = arena_alloc(a, sizeof(*s));
	size_t rules = 0;

	l->state = s;
	for (size_t i = 0; i < l->source_count; i++)
		rules += lines_count(l->sources[i].text);
	if (!s || !(s->rules = arena_alloc(a, rules * sizeof(*s->rules))))
		return -ENOMEM;
	for (size_t i = 0; i < l->source_count; i++) {
		const struct source *src = &l->sources[i];

		if (!is_inherit(src->text))
			read_source(s, c, src);
		else if (src->scope < AUTHZ_SCOPE_ACCOUNT)
			complain(c, src, 0, 1, false, "permissions", "only an account can inherit");
	}
	/* The primary group has none. */
	if (!s->globals.text.at && !c->errors) {
		s->globals.rights = AUTHZ_ALL_FILES;
		s->globals.text = (struct span){ "allow-full-control", 18 };
	}
	return build_index(s, a);
}

static void
sftpplus_release(struct layer *l)
{
	struct sftpplus *s = l->state;

	for (uint32_t i = 0; s->rules && i < s->rule_count; i++)
		sftpplus_free_rule(&s->rules[i]);
}

/* ----------------------------------------------------------------- decision */

static enum regex_answer
date_matches(const struct path_rule *r, const char *folded, size_t len)
{
	int matches = dateglob_match(r->date, time(NULL), folded, len);

	return matches < 0 ? REGEX_LIMIT : matches ? REGEX_YES : REGEX_NO;
}

static enum regex_answer
rule_matches(const struct path_rule *r, const char *path, const char *folded, size_t len, bool ascii)
{
	enum regex_answer a;

	if (r->method == METHOD_GLOB)
		return glob_match(&r->glob, folded, len) ? REGEX_YES : REGEX_NO;
	if (r->method == METHOD_DATE)
		return date_matches(r, folded, len);
	a = regex_search(r->regex, path, len, ascii);
	if (a == REGEX_LIMIT || r->method == METHOD_REGEX)
		return a;
	return a == REGEX_YES ? REGEX_NO : REGEX_YES;
}

/* What a rule answers when its pattern cannot match. */
static enum regex_answer
without_match(const struct path_rule *r)
{
	return r->method == METHOD_NOT_REGEX || (r->method == METHOD_GLOB && r->glob.negated) ? REGEX_YES : REGEX_NO;
}

/* Rules the index does not hold are tried in order, up to the one it found. */
static uint32_t
scan_rules(
    const struct sftpplus *s, const char *path, const char *folded, size_t len, bool ascii, uint32_t best, bool *limit)
{
	struct pairs pairs;

	if (s->scanned_count == 0)
		return best;
	pairs_collect(&pairs, folded, len);
	for (uint32_t i = 0; i < s->scanned_count && s->scanned[i] < best; i++) {
		const struct path_rule *r = &s->rules[s->scanned[i]];
		enum regex_answer a = ascii && !pairs_possible(&pairs, &r->pairs) ? without_match(r) :
		    rule_matches(r, path, folded, len, ascii);

		if (a == REGEX_NO)
			continue;
		*limit = a == REGEX_LIMIT;
		return s->scanned[i];
	}
	return best;
}

static void
log_limit(const struct path_rule *r, const char *path)
{
	struct log_line l;

	log_begin(&l, EVENT_RULE_TOO_COSTLY);
	log_bytes(&l, FIELD_RULE, r->expression.at, r->expression.len);
	log_str(&l, FIELD_EFFECT, "denied");
	log_str(&l, FIELD_PATH, path);	/* last: a costly one may be cut */
	log_end(&l);
}

static uint32_t
sftpplus_rights(struct layer *l, const struct request *r, struct authz_hit *hit)
{
	const struct sftpplus *s = l->state;
	char folded[INDEX_PATH_MAX];
	uint32_t n = s->rule_count;
	bool limit = false, ascii;

	if (n == 0) {
		hit->rule = &s->globals;
		return s->globals.rights | AUTHZ_PASSWD;
	}
	hit->a = BY_LIMIT;
	if (r->len > sizeof(folded))
		return 0;
	ascii = text_fold(folded, r->path, r->len);
	n = index_find(&s->index, folded, r->len, n);
	n = scan_rules(s, r->path, folded, r->len, ascii, n, &limit);
	hit->a = n == s->rule_count ? BY_GLOBALS : BY_RULE;
	hit->b = n;
	hit->rule = n == s->rule_count ? &s->globals : &s->rules[n].set;
	if (limit) {
		hit->a = BY_LIMIT;
		log_limit(&s->rules[n], r->path);
		return 0;
	}
	return ((const struct permission_set *)hit->rule)->rights | AUTHZ_PASSWD;
}

static uint32_t
sftpplus_session(struct layer *l, struct authz_hit *hit)
{
	const struct sftpplus *s = l->state;

	hit->rule = &s->globals;
	return s->globals.rights | AUTHZ_PASSWD;
}

static uint32_t
sftpplus_most(const struct layer *l)
{
	const struct sftpplus *s = l->state;
	uint32_t most = s->globals.rights;

	for (uint32_t i = 0; i < s->rule_count; i++)
		most |= s->rules[i].set.rights;
	return most | AUTHZ_PASSWD;
}

/* ------------------------------------------------------------- explanation */

static void
cite_helpful(struct text *t, uint32_t missing)
{
	for (size_t i = 1; i < sftpplus_permission_count; i++)
		if ((sftpplus_permissions[i].rights & missing) == missing) {
			text_add(t, "; allow-%s would help", sftpplus_permissions[i].name);
			return;
		}
	text_add(t, "; only allow-full-control gives %s", authz_right_word(missing));
}

/* A later rule that would have matched too. */
static void
cite_shadowed(const struct sftpplus *s, const struct request *r, uint32_t after, struct text *t)
{
	char folded[INDEX_PATH_MAX], q[QUOTED_MAX];
	bool ascii;

	if (!r || r->brief || r->len > sizeof(folded))
		return;
	ascii = text_fold(folded, r->path, r->len);
	for (uint32_t i = after + 1; i < s->rule_count; i++)
		if (rule_matches(&s->rules[i], r->path, folded, r->len, ascii) == REGEX_YES) {
			text_add(t, "; it shadows rule %u %s", i + 1, quoted(s->rules[i].expression, q));
			return;
		}
}

static void
sftpplus_cite(
    const struct layer *l, const struct request *r, const struct authz_hit *hit, uint32_t missing, struct text *t)
{
	const struct sftpplus *s = l->state;
	const struct permission_set *set = hit->rule;
	char q[QUOTED_MAX];

	if (!set) {
		text_add(t, "the path is too long to be judged");
		return;
	}
	if (set == &s->globals)
		text_add(t, "global permissions: ");
	else
		text_add(t, "rule %u %s: ", hit->b + 1, quoted(s->rules[hit->b].expression, q));
	text_add_escaped(t, set->text.at, set->text.len);
	text_add(t, " (");
	if (set->source)
		cite_place(t, set->source, set->line);
	else
		text_add(t, "the primary group sets none");
	text_add(t, ")");
	if (hit->a == BY_LIMIT)
		text_add(t, "; its expression costs too much on this path");
	else if (missing)
		cite_helpful(t, missing);
	if (set != &s->globals)
		cite_shadowed(s, r, hit->b, t);
}

/* ----------------------------------------------------------------- listings */

enum reach { REACHES_NONE, REACHES_ALL, REACHES_SOME };

/* Which members of the folder (ending in '/', folded) and things below them an alternative matches. */
static enum reach
alt_reach(const struct glob_alt *a, const char *dir, size_t len)
{
	size_t n = a->head.len < len ? a->head.len : len;

	if (n && memcmp(a->head.at, dir, n) != 0)
		return REACHES_NONE;
	if (a->shape == GLOB_LITERAL && a->head.len < len)
		return REACHES_NONE;
	if ((a->shape == GLOB_PREFIX && a->head.len <= len) ||
	    (a->count == 1 && a->shape == GLOB_GENERAL && !a->head.len && !a->tail.len && glob_alt_match(a, "", 0)))
		return REACHES_ALL;
	return REACHES_SOME;
}

static enum reach
rule_reach(const struct path_rule *r, const char *dir, size_t len)
{
	enum reach reach = REACHES_NONE;

	if (r->method != METHOD_GLOB || r->glob.negated)
		return REACHES_SOME;
	for (size_t i = 0; i < r->glob.count; i++) {
		enum reach one = alt_reach(&r->glob.alts[i], dir, len);

		if (one == REACHES_ALL)
			return one;
		if (one == REACHES_SOME)
			reach = one;
	}
	return reach;
}

static bool
sftpplus_uniform(struct layer *l, const char *folder, enum authz_kind kind, uint32_t *rights, uint32_t *inside)
{
	const struct sftpplus *s = l->state;
	size_t len = strlen(folder);
	char dir[INDEX_PATH_MAX + 1];

	(void)kind;
	if (len + 1 > sizeof(dir))
		return false;
	text_fold(dir, folder, len);
	if (len > 1)
		dir[len++] = '/';
	*rights = *inside = s->globals.rights | AUTHZ_PASSWD;
	for (uint32_t i = 0; i < s->rule_count; i++) {
		enum reach reach = rule_reach(&s->rules[i], dir, len);

		if (reach == REACHES_SOME)
			return false;
		if (reach == REACHES_ALL) {
			*rights = *inside = s->rules[i].set.rights | AUTHZ_PASSWD;
			break;
		}
	}
	return true;
}

static bool
sftpplus_judges_paths(const struct layer *l)
{
	return ((const struct sftpplus *)l->state)->rule_count > 0;
}

const struct dialect dialect_sftpplus = {
	.name = "sftpplus",
	.joins = sftpplus_joins,
	.replaces = sftpplus_replaces,
	.compile = sftpplus_compile,
	.rights = sftpplus_rights,
	.session = sftpplus_session,
	.cite = sftpplus_cite,
	.uniform = sftpplus_uniform,
	.escapes = sftpplus_escapes,
	.opens = sftpplus_opens,
	.judges_paths = sftpplus_judges_paths,
	.most = sftpplus_most,
	.release = sftpplus_release,
};
