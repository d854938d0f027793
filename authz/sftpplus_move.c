/* SFTPPlus rules that a renamed folder would leave behind; see move.c. */
#include "authz/sftpplus.h"

#include <string.h>

#include "common/str.h"

/*
 * A folder whose members are asked about: with '/' at its end, as it is and folded. NULL text: nothing is matched
 * there.
 */
struct region {
	const char *text, *folded;
	size_t len;
};

/* What a rule does to what lies below two folders. */
struct reach {
	bool all;		/* it matches everything below from */
	bool escapes;		/* it matches something below from that it would not below to */
};

static bool
covers(const struct glob *g, const struct region *at, uint8_t *states)
{
	bool all = false;

	for (size_t i = 0; i < g->count && at->text && !all; i++)
		(void)glob_alt_states(&g->alts[i], at->folded, at->len, states, &all);
	return all;
}

/* Can the patterns match something below a that is not matched below b? */
static bool
differs(const struct glob *g, const struct region *a, const struct region *b)
{
	static uint8_t here[GLOB_STATES_MAX], there[GLOB_STATES_MAX];
	bool all;

	if (!a->text || covers(g, b, there))
		return false;
	for (size_t i = 0; i < g->count; i++) {
		size_t n = glob_alt_states(&g->alts[i], a->folded, a->len, here, &all);

		if (n == 0)
			return true;	/* too long to be told */
		memset(there, 0, n);
		if (b->text)
			(void)glob_alt_states(&g->alts[i], b->folded, b->len, there, &all);
		for (size_t k = 0; k + 1 < n; k++)
			if (here[k] && !there[k])
				return true;
	}
	return false;
}

static struct reach
glob_reach(const struct glob *g, const struct region *from, const struct region *to)
{
	static const struct region nowhere;
	static uint8_t states[GLOB_STATES_MAX];
	bool all = covers(g, from, states);

	if (!g->negated)
		return (struct reach){ all, differs(g, from, to) };
	if (all)
		return (struct reach){ false, false };
	/* "!": what is not matched here and would be there; beyond the layer nothing is said at all. */
	return (struct reach){ !differs(g, from, &nowhere), !to->text || differs(g, to, from) };
}

static bool
searches(const struct path_rule *r, const struct region *at, const char *rest, size_t n)
{
	char path[INDEX_PATH_MAX];

	if (!at->text || at->len + n > sizeof(path))
		return false;
	memcpy(path, at->text, at->len);
	memcpy(path + at->len, rest, n);
	return (regex_search(r->regex, path, at->len + n, false) == REGEX_YES) == (r->method == METHOD_REGEX);
}

/*
 * An expression that may begin in the folder's name is tried with pieces of its own text behind both folders.  It stays
 * when one of them is matched below both; it is left behind when none shows that it would not be.
 */
static bool
pieces_differ(const struct path_rule *r, const struct region *from, const struct region *to)
{
	struct span p = regex_pattern(r->regex);
	bool same = false;

	for (size_t i = 0; i < p.len; i++) {
		size_t n = 0;
		char piece[256];

		for (size_t k = i; k < p.len && n < sizeof(piece) && !strchr("^$.*+?()[]{}|", p.at[k]); k++)
			if (p.at[k] != '\\' || (k + 1 < p.len && !strchr("./-_", p.at[k + 1])))
				piece[n++] = p.at[k];
			else if (k + 1 < p.len)
				piece[n++] = p.at[++k];
		if (n == 0 || piece[0] == '/' || (i > 0 && p.at[i - 1] == '\\'))
			continue;
		if (searches(r, from, piece, n)) {
			if (!searches(r, to, piece, n))
				return true;
			same = true;
		}
	}
	return !same;
}

static struct reach
regex_reach(const struct path_rule *r, const struct region *from, const struct region *to)
{
	enum regex_reach here = regex_below(r->regex, from->text, from->len);
	enum regex_reach there = to->text ? regex_below(r->regex, to->text, to->len) : REGEX_BELOW_NONE;
	bool negated = r->method == METHOD_NOT_REGEX;

	if (negated && to->text) {
		enum regex_reach swap = here;

		here = there;
		there = swap;
	}
	if (!to->text)
		return (struct reach){ here == REGEX_BELOW_ALL && !negated, negated ? here != REGEX_BELOW_ALL : true };
	if (here == REGEX_BELOW_NONE || there == REGEX_BELOW_ALL)
		return (struct reach){ negated ? false : here == REGEX_BELOW_ALL, false };
	if (here == REGEX_BELOW_ALL || there == REGEX_BELOW_NONE)
		return (struct reach){ !negated && here == REGEX_BELOW_ALL, true };
	return (struct reach){ false, pieces_differ(r, from, to) };
}

/*
 * What the pattern is now, and what it may become: neither tells alone, where a date stands in the folder's own
 * name.
 */
static struct reach
date_reach(const struct path_rule *r, const struct region *from, const struct region *to)
{
	const struct glob *now = dateglob_at(r->date, time(NULL)), *ever = dateglob_ever(r->date);

	return (struct reach){ false, !now || glob_reach(now, from, to).escapes || glob_reach(ever, from, to).escapes };
}

static struct reach
rule_reach(const struct path_rule *r, const struct region *from, const struct region *to)
{
	if (r->method == METHOD_GLOB)
		return glob_reach(&r->glob, from, to);
	return r->method == METHOD_DATE ? date_reach(r, from, to) : regex_reach(r, from, to);
}

static bool
make_region(struct region *r, const char *path, char text[INDEX_PATH_MAX], char folded[INDEX_PATH_MAX])
{
	*r = (struct region){ NULL, NULL, 0 };
	if (!path)
		return true;
	if (str_format(text, INDEX_PATH_MAX, "%s/", path) != 0)
		return false;
	r->len = strlen(text);
	text_fold(folded, text, r->len);
	r->text = text;
	r->folded = folded;
	return true;
}

/* Rules behind one that takes everything below decide nothing there. */
bool
sftpplus_escapes(struct layer *l, const char *from, const char *to, const uint32_t *but, struct authz_hit *hit)
{
	static char text[2][INDEX_PATH_MAX], folded[2][INDEX_PATH_MAX];
	const struct sftpplus *s = l->state;
	struct region here, there;
	struct request r = { .path = from, .len = strlen(from), .typed = from, .kind = AUTHZ_FOLDER, .want = AUTHZ_ALL };
	struct authz_hit own = { 0 };

	/*
	 * Nothing has a path below a name that is too long: what lies there may be judged anywhere, once it is
	 * moved on.
	 */
	if (s->rule_count == 0 || !make_region(&here, from, text[0], folded[0]))
		return false;
	(void)make_region(&there, to, text[1], folded[1]);
	(void)dialect_sftpplus.rights(l, &r, &own);
	for (uint32_t i = 0; i < s->rule_count; i++) {
		struct reach reach = rule_reach(&s->rules[i], &here, &there);

		if (reach.escapes && own.rule != &s->rules[i].set && !(but && !(s->rules[i].set.rights & ~*but))) {
			*hit = (struct authz_hit){ .rule = &s->rules[i].set, .a = BY_RULE, .b = i };
			return true;
		}
		if (reach.all)
			return false;
	}
	return false;
}

/* ------------------------------------------------------------------ more rights */

static bool
may_match(const struct path_rule *r, const struct region *at)
{
	static const struct region nowhere;
	const struct glob *now;

	if (r->method == METHOD_GLOB)
		return glob_reach(&r->glob, at, &nowhere).escapes;
	if (r->regex)
		return regex_below(r->regex, at->text, at->len) !=
		    (r->method == METHOD_REGEX ? REGEX_BELOW_NONE : REGEX_BELOW_ALL);
	now = dateglob_at(r->date, time(NULL));
	return !now || glob_reach(now, at, &nowhere).escapes || glob_reach(dateglob_ever(r->date), at, &nowhere).escapes;
}

static bool
matches_all(const struct path_rule *r, const struct region *at)
{
	static const struct region nowhere;

	if (r->method == METHOD_GLOB)
		return glob_reach(&r->glob, at, &nowhere).all;
	return r->regex && regex_below(r->regex, at->text, at->len) ==
	    (r->method == METHOD_REGEX ? REGEX_BELOW_ALL : REGEX_BELOW_NONE);
}

/* The last rule that decides anything below; the globals come after all rules. */
static uint32_t
last_below(const struct sftpplus *s, const struct region *at)
{
	uint32_t i = 0;

	while (i < s->rule_count && !matches_all(&s->rules[i], at))
		i++;
	return i;
}

static const struct permission_set *
set_of(const struct sftpplus *s, uint32_t i)
{
	return i == s->rule_count ? &s->globals : &s->rules[i].set;
}

static struct authz_hit
hit_of(const struct sftpplus *s, uint32_t i)
{
	return (struct authz_hit){ .rule = set_of(s, i), .a = i == s->rule_count ? BY_GLOBALS : BY_RULE, .b = i };
}

/* The rights that rules below the old name have in common: all of them, and those that let nothing be moved alone. */
struct common {
	uint32_t all, fixed;
};

static void
common_add(struct common *c, uint32_t rights)
{
	c->all &= rights;
	if (!(rights & AUTHZ_RENFROM))
		c->fixed &= rights;
}

static bool
gives_more(uint32_t rights, const struct common *c, bool alone)
{
	return rights & AUTHZ_OVER_MOVED & ~(alone && (rights & AUTHZ_RENTO) ? c->fixed : c->all);
}

/*
 * A rule that decides below the new name about what another one, further down, decides now: "!" and its kin among
 * them.
 */
static bool
begins(const struct sftpplus *s, const struct region *from, const struct region *to, bool alone, struct authz_hit *hit)
{
	struct common later = { UINT32_MAX, UINT32_MAX };
	uint32_t last = last_below(s, to);

	for (uint32_t i = last_below(s, from) + 1; i-- > 0;) {
		bool rule = i < s->rule_count;

		if (rule && i <= last && gives_more(s->rules[i].set.rights, &later, alone) &&
		    rule_reach(&s->rules[i], to, from).escapes) {
			*hit = hit_of(s, i);
			return true;
		}
		if (!rule || may_match(&s->rules[i], from))
			common_add(&later, set_of(s, i)->rights);
	}
	return false;
}

/* A rule that decides there about what an earlier one no longer does. */
static bool
takes_over(
    const struct sftpplus *s, const struct region *from, const struct region *to, bool alone, struct authz_hit *hit)
{
	struct common earlier = { UINT32_MAX, UINT32_MAX };
	uint32_t last = last_below(s, from);

	for (uint32_t i = 0, n = last_below(s, to); i <= n; i++) {
		bool rule = i < s->rule_count;

		if (gives_more(set_of(s, i)->rights, &earlier, alone) && (!rule || may_match(&s->rules[i], to))) {
			*hit = hit_of(s, i);
			return true;
		}
		if (rule && i <= last && rule_reach(&s->rules[i], from, to).escapes)
			common_add(&earlier, s->rules[i].set.rights);
	}
	return false;
}

/* Beyond the layer it allows everything. */
static bool
loses(const struct sftpplus *s, const struct region *from, bool alone, struct authz_hit *hit)
{
	for (uint32_t i = 0, n = last_below(s, from); i <= n; i++) {
		struct common c = { UINT32_MAX, UINT32_MAX };

		common_add(&c, set_of(s, i)->rights);
		if (!gives_more(AUTHZ_ALL, &c, alone) || (i < s->rule_count && !may_match(&s->rules[i], from)))
			continue;
		*hit = hit_of(s, i);
		return true;
	}
	return false;
}

bool
sftpplus_opens(struct layer *l, const char *from, const char *to, bool alone, struct authz_hit *hit)
{
	static char text[2][INDEX_PATH_MAX], folded[2][INDEX_PATH_MAX];
	const struct sftpplus *s = l->state;
	struct region here, there;

	if (s->rule_count == 0 || !make_region(&here, from, text[0], folded[0]))
		return false;
	(void)make_region(&there, to, text[1], folded[1]);
	if (!there.text)
		return loses(s, &here, alone, hit);
	return begins(s, &here, &there, alone, hit) || takes_over(s, &here, &there, alone, hit);
}
