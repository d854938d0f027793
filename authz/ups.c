/*
 * NcFTPd's user permission strings (dialects 5).  A layer's text holds, in any
 * mixture, strings ("-W +n", also with the word ups in front), the user classes
 * of the original's configuration, and passwd-ups / authd-ups lines:
 *
 *	layer = ups -W +c
 *
 *	layer = ups
 *		begin-new-user-class WriteOnly
 *		u-restricted-groups=wrt_only
 *		u-restrict-mode=homedir,-R
 *		end-user-class
 *
 * Everything starts with all letters; the class the user falls into speaks
 * first, then the records in order.  Later operations win.
 */
#include "authz/lint_rules.h"
#include "authz/ups.h"

#include <errno.h>
#include <string.h>

static const struct letter groups[] = {		/* rights here are letters of a state */
	{ 'w', 1 << 1 | 1 << 2 | 1 << 3 },				/* m a c */
	{ 'W', 0x3fff & ~(1 << 0 | 1 << 6 | 1 << 7 | 1 << 11) },	/* all but r L C u */
	{ 'R', 1 << 0 },						/* r, meant to grow */
	{ '*', UPS_EVERYTHING },
};

static const struct ups_row {
	const char *letters;		/* all of them held ... */
	uint32_t rights;		/* ... gives these */
} rows[] = {
	{ "r", AUTHZ_READ | AUTHZ_STAT | AUTHZ_GETACL },
	{ "m", AUTHZ_OVERWRITE },
	{ "a", AUTHZ_APPEND },
	{ "c", AUTHZ_CREATE | AUTHZ_APPNEW },
	{ "d", AUTHZ_DELFILE },
	{ "n", AUTHZ_RENFROM | AUTHZ_RENTO },
	{ "L", AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_READLINK | AUTHZ_STAT | AUTHZ_GETACL },
	{ "C", AUTHZ_CHDIR },
	{ "M", AUTHZ_MKDIR },
	{ "D", AUTHZ_DELDIR },
	{ "t", AUTHZ_MTIME },
	{ "u", AUTHZ_UMASK },
	{ "o", AUTHZ_CHMOD | AUTHZ_SETACL | AUTHZ_CHOWN },
	{ "l", AUTHZ_SYMLINK },
	{ "nm", AUTHZ_RENREPL },
};

/* One string that was applied. */
struct applied {
	struct span text;
	const struct source *source;
	unsigned line;
	uint32_t touched;
};

/* A class behind one that everybody is in. */
struct unreached {
	const struct source *source;
	unsigned line;
};

struct ups {
	uint32_t state, rights;
	struct applied *applied;
	size_t count;
	struct unreached *unreached;
	size_t unreached_count;
};

/* A user class being read. */
struct class {
	bool open, named, has_groups, has_mode;
	bool chosen;			/* the user is in it */
	bool everybody;			/* its groups are "all", or not given */
	unsigned line;
	struct span mode;
	unsigned mode_line;
};

struct reader {
	struct layer *layer;
	struct compiler *compiler;
	const struct source *source;
	const struct lines *line;
	struct class class;
	bool class_found, all_taken;	/* all_taken: a class for everybody is complete */
	struct applied *records;	/* strings of records, applied after the classes */
	size_t record_count;
};

static uint32_t
letters_of(char c)
{
	const char *p = strchr(UPS_LETTERS, c);

	if (!c)
		return 0;
	return p ? 1u << (p - UPS_LETTERS) : letter_rights(groups, sizeof(groups) / sizeof(groups[0]), c);
}

const char *
ups_apply(struct span s, uint32_t *state, uint32_t *touched, const char **at)
{
	uint32_t now = *state, seen = 0;

	for (size_t i = 0; i < s.len;) {
		bool add = s.at[i] == '+';
		size_t first;

		*at = s.at + i;
		if (blank(s.at[i])) {
			i++;
			continue;
		}
		if (!add && s.at[i] != '-')
			return "an operation begins with + or -";
		first = ++i;
		for (; i < s.len && !blank(s.at[i]) && s.at[i] != '+' && s.at[i] != '-'; i++) {
			uint32_t l = letters_of(s.at[i]);

			*at = s.at + i;
			if (!l)
				return "unknown letter";
			now = add ? now | l : now & ~l;
			seen |= l;
		}
		if (i == first)
			return "no letter after the + or -";
	}
	*state = now;
	if (touched)
		*touched = seen;
	return NULL;
}

uint32_t
ups_rights(uint32_t state, uint32_t choices)
{
	uint32_t rights = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t need = 0;

		for (const char *p = rows[i].letters; *p; p++)
			need |= letters_of(*p);
		if ((state & need) == need)
			rights |= rows[i].rights;
	}
	if ((choices & AUTHZ_UPS_REPLACE_N) && (rights & AUTHZ_RENTO))
		rights |= AUTHZ_RENREPL;
	return rights;
}

static void
print_letters(uint32_t state, struct text *t)
{
	for (int i = 0; i < UPS_COUNT; i++)
		if (state & 1u << i)
			text_add(t, "%c", UPS_LETTERS[i]);
}

void
ups_print(uint32_t state, struct text *t)
{
	uint32_t off = UPS_EVERYTHING & ~state;

	if (off == 0 || state == 0) {
		text_add(t, off ? "-*" : "+*");
		return;
	}
	text_add(t, __builtin_popcount(off) < __builtin_popcount(state) ? "+* -" : "-* +");
	print_letters(__builtin_popcount(off) < __builtin_popcount(state) ? off : state, t);
}

/* -------------------------------------------------------------- the reader */

static void
wrong(struct reader *r, const char *at, const char *what, const char *expected)
{
	char q[QUOTED_MAX];
	size_t left = at ? r->line->len - (size_t)(at - r->line->start) : 0;

	complain(r->compiler, r->source, r->line->number, at ? (unsigned)(at - r->line->start) + 1 : 0, false, expected,
	    left ? "%s: %s" : "%s", what, quoted((struct span){ at, left }, q));
}

/* Checks a string where it stands; true when it is good. */
static bool
check(struct reader *r, struct span s)
{
	uint32_t state = 0;
	const char *at = s.at, *bad = ups_apply(s, &state, NULL, &at);

	if (bad)
		wrong(
		    r, at, bad, "+ or - and letters out of rmacdnLCMDtuolRWw*, no comma, no blank inside an operation");
	return !bad;
}

/* Applies a string that was checked. */
static void
apply(struct ups *u, const struct applied *a)
{
	const char *at;
	struct applied *mine = &u->applied[u->count++];

	*mine = *a;
	ups_apply(a->text, &u->state, &mine->touched, &at);
}

static void
record(struct reader *r, struct span s)
{
	s = span_trim(s);
	if (!check(r, s))
		return;
	r->records[r->record_count++] = (struct applied){ s, r->source, r->line->number, 0 };
}

/* Whether the user is in one of the comma-separated Unix groups; "all" and "none" have their meaning. */
static bool
in_groups(const struct authz_subject *who, struct span list)
{
	while (list.len) {
		const char *comma = memchr(list.at, ',', list.len);
		struct span name = { list.at, comma ? (size_t)(comma - list.at) : list.len };

		list.at += name.len + (comma != NULL);
		list.len -= name.len + (comma != NULL);
		name = span_trim(name);
		if (span_is(name, "all"))
			return true;
		for (size_t i = 0; i < who->group_name_count && !span_is(name, "none"); i++)
			if (span_is(name, who->group_names[i]))
				return true;
	}
	return false;
}

/* Cuts the next item off a mode: items are separated by commas, and no string holds one. */
static struct span
mode_item(struct span *mode)
{
	const char *comma = memchr(mode->at, ',', mode->len);
	struct span item = { mode->at, comma ? (size_t)(comma - mode->at) : mode->len };

	mode->at += item.len + (comma != NULL);
	mode->len -= item.len + (comma != NULL);
	return span_trim(item);
}

#define EXPECTED_ITEM "homedir, unrestricted, subdir-of-homedir=PATH, root=PATH or a permission string"

static bool
is_place(struct span s)
{
	return span_is(s, "homedir") || span_is(s, "unrestricted") ||
	    (s.len > 5 && memcmp(s.at, "root=", 5) == 0) ||
	    (s.len > 18 && memcmp(s.at, "subdir-of-homedir=", 18) == 0);
}

static void
check_mode(struct reader *r, struct span mode)
{
	unsigned places = 0;
	bool more = true;

	if (mode.len == 0) {
		wrong(r, NULL, "u-restrict-mode is empty", EXPECTED_ITEM);
		return;
	}
	while (more) {
		struct span item;

		more = memchr(mode.at, ',', mode.len) != NULL;
		item = mode_item(&mode);
		if (is_place(item)) {
			if (++places == 2)
				wrong(r, item.at, "a second place",
				    "one of homedir, unrestricted, subdir-of-homedir=PATH, root=PATH");
		} else if (item.len == 0 || (*item.at != '+' && *item.at != '-'))
			wrong(r, item.at, "unknown item", EXPECTED_ITEM);
		else
			check(r, item);
	}
}

/* A class is complete: the first one the user is in decides. */
static void
end_class(struct reader *r, struct ups *u)
{
	struct class *c = &r->class;
	struct span mode = c->mode;

	if (c->open && !c->has_groups && c->has_mode)
		c->chosen = c->everybody = true;
	if (c->open && r->all_taken)
		u->unreached[u->unreached_count++] = (struct unreached){ r->source, c->line };
	r->all_taken |= c->open && c->everybody;
	if (c->open && c->chosen && !r->class_found) {
		r->class_found = true;
		while (mode.len) {
			struct applied a = { mode_item(&mode), r->source, c->mode_line, 0 };

			if (a.text.len && !is_place(a.text) && (*a.text.at == '+' || *a.text.at == '-'))
				apply(u, &a);
		}
	}
	memset(c, 0, sizeof(*c));
}

static void
begin_class(struct reader *r, struct ups *u, struct span rest)
{
	(void)rest;
	if (r->class.named)
		wrong(r, r->line->start, "a class inside a class", "end-user-class first");
	end_class(r, u);
	r->class.open = r->class.named = true;
	r->class.line = r->line->number;
}

static void
finish_class(struct reader *r, struct ups *u, struct span rest)
{
	(void)rest;
	if (!r->class.named)
		wrong(r, r->line->start, "no class is open here", "begin-new-user-class before it");
	end_class(r, u);
}

/* Outside a block, a pair of the two options is a class of its own. */
static void
class_groups(struct reader *r, struct ups *u, struct span list)
{
	if (r->class.has_groups && !r->class.named)
		end_class(r, u);
	if (!r->class.open)
		r->class.line = r->line->number;
	r->class.open = r->class.has_groups = true;
	r->class.chosen = in_groups(&r->layer->policy->subject, list);
	r->class.everybody = span_is(span_trim(list), "all");
}

static void
class_mode(struct reader *r, struct ups *u, struct span mode)
{
	if (r->class.has_mode && !r->class.named)
		end_class(r, u);
	if (!r->class.open)
		r->class.line = r->line->number;
	r->class.open = r->class.has_mode = true;
	r->class.mode = span_trim(mode);
	r->class.mode_line = r->line->number;
	check_mode(r, r->class.mode);
}

static void
record_line(struct reader *r, struct ups *u, struct span rest)
{
	(void)u;
	record(r, rest);
}

static const struct keyword {
	const char *word;
	char after;			/* what separates the word from its value */
	void (*act)(struct reader *, struct ups *, struct span rest);
} keywords[] = {
	{ "begin-new-user-class", ' ', begin_class },
	{ "end-user-class", ' ', finish_class },
	{ "u-restricted-groups", '=', class_groups },
	{ "u-restrict-mode", '=', class_mode },
	{ "passwd-ups", ' ', record_line },
	{ "authd-ups", ' ', record_line },
	{ "ups", ' ', record_line },
};

static void
read_line(struct reader *r, struct ups *u, struct span s)
{
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		const struct keyword *k = &keywords[i];
		size_t n = strlen(k->word);
		struct span rest = { s.at + n, s.len - n };

		if (s.len < n || memcmp(s.at, k->word, n) != 0)
			continue;
		if (k->after == '=') {
			rest = span_trim(rest);
			if (rest.len == 0 || *rest.at != '=')
				continue;
			rest.at++;
			rest.len--;
		} else if (rest.len && !blank(*rest.at))
			continue;
		k->act(r, u, rest);
		return;
	}
	record(r, s);
}

/* Room for every string: classes hold more than one a line, so commas count too. */
static size_t
string_count(const struct layer *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->source_count; i++) {
		n += lines_count(l->sources[i].text) + 1;
		for (const char *p = l->sources[i].text; (p = strchr(p, ',')); p++)
			n++;
	}
	return n;
}

static int
ups_compile(struct layer *l, struct compiler *c)
{
	struct arena *a = l->policy->arena;
	size_t n = string_count(l);
	struct ups *u = arena_alloc(a, sizeof(*u));
	struct reader r = { .layer = l, .compiler = c };
	struct lines line;

	l->state = u;
	if (!u || !(u->applied = arena_alloc(a, n * sizeof(*u->applied))) ||
	    !(u->unreached = arena_alloc(a, n * sizeof(*u->unreached))) ||
	    !(r.records = arena_alloc(a, n * sizeof(*r.records))))
		return -ENOMEM;
	u->state = UPS_EVERYTHING;
	for (size_t i = 0; i < l->source_count; i++) {
		r.source = &l->sources[i];
		r.line = &line;
		lines_begin(&line, r.source->text);
		while (lines_next(&line)) {
			struct span s = span_trim((struct span){ line.start, line.len });

			if (s.len && *s.at != '#')
				read_line(&r, u, s);
		}
		if (r.class.named)
			complain(c, r.source, line.number, 0, false, "end-user-class", "the last class is not closed");
		end_class(&r, u);
	}
	for (size_t i = 0; i < r.record_count; i++)
		apply(u, &r.records[i]);
	u->rights = ups_rights(u->state, l->policy->subject.choices) | AUTHZ_PASSWD;
	return 0;
}

/* The class (or group) modifies first, the account's record next, the authenticator's answer last (D6). */
static bool
ups_joins(enum authz_scope last, const struct authz_source *next)
{
	return last != AUTHZ_SCOPE_SERVER && next->scope != AUTHZ_SCOPE_SERVER;
}

/* ---------------------------------------------------------------- decision */

enum { BY_STATE, BY_LAST_UPLOAD };

static uint32_t
ups_layer_rights(struct layer *l, const struct request *r, struct authz_hit *hit)
{
	const struct ups *u = l->state;
	const char *last = l->policy->last_upload;

	/* Whoever may upload may stamp what he just uploaded. */
	if (last && (r->want & AUTHZ_MTIME) && !(u->rights & AUTHZ_MTIME) && strcmp(last, r->typed) == 0) {
		hit->a = BY_LAST_UPLOAD;
		return u->rights | AUTHZ_MTIME;
	}
	return u->rights;
}

static uint32_t
ups_session(struct layer *l, struct authz_hit *hit)
{
	(void)hit;
	return ((const struct ups *)l->state)->rights;
}

/* Whoever may upload may stamp what was uploaded last. */
static uint32_t
ups_most(const struct layer *l)
{
	uint32_t rights = ((const struct ups *)l->state)->rights;

	return rights & (AUTHZ_CREATE | AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_APPNEW) ? rights | AUTHZ_MTIME : rights;
}

/* The first letter that would give something of what is missing, or gives something of what is held. */
static uint32_t
letter_for(const struct ups *u, uint32_t rights)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!(rows[i].rights & rights))
			continue;
		for (const char *p = rows[i].letters; *p; p++)
			if (!(u->state & letters_of(*p)))
				return letters_of(*p);
	}
	return 0;
}

static void
ups_cite(const struct layer *l, const struct request *r, const struct authz_hit *hit, uint32_t missing, struct text *t)
{
	const struct ups *u = l->state;
	const struct applied *by = NULL;
	uint32_t letter = letter_for(u, missing);
	char q[QUOTED_MAX];

	(void)r;
	if (hit->a == BY_LAST_UPLOAD && !missing) {
		text_add(t, "the file this session uploaded last may be stamped; ");
	} else if (missing && !letter) {
		text_add(t, "no letter gives %s; ", authz_right_word(missing));
	} else if (missing) {
		for (size_t i = 0; i < u->count; i++)
			if (u->applied[i].touched & letter)
				by = &u->applied[i];
		print_letters(letter, t);
		if (by) {
			text_add(t, " removed by %s (", quoted(by->text, q));
			cite_place(t, by->source, by->line);
			text_add(t, "); ");
		}
	} else if (u->count == 0)
		text_add(t, "no string removes anything; ");
	text_add(t, "state: ");
	ups_print(u->state, t);
}

/* --------------------------------------------------------------------- lint */

void
lint_ups(struct layer *l, const struct lint_run *run)
{
	const struct ups *u = l->state;
	uint32_t state = UPS_EVERYTHING;
	char q[QUOTED_MAX];

	for (size_t i = 0; i < u->unreached_count; i++)
		LINT_AT(run, SHADOWED, u->unreached[i].source, u->unreached[i].line,
		    "a class before this one takes everybody");
	for (size_t i = 0; i < u->count; i++) {
		uint32_t before = state;
		const char *at;

		ups_apply(u->applied[i].text, &state, NULL, &at);
		if (before == state && u->applied[i].text.len)
			LINT_AT(run, NO_EFFECT, u->applied[i].source, u->applied[i].line, "%s changes nothing here",
			    quoted(u->applied[i].text, q));
	}
}

const struct dialect dialect_ups = {
	.name = "ups",
	.joins = ups_joins,
	.compile = ups_compile,
	.rights = ups_layer_rights,
	.session = ups_session,
	.cite = ups_cite,
	.most = ups_most,
};
