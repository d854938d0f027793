/* Compiles and matches path globs; see glob.h. */
#include "authz/glob.h"

#include <string.h>

#define USER_MARK "${USER}"

enum token_kind { LITERAL, ANY_ONE, ANY_MANY, ONE_OF };

struct range {
	uint32_t low, high;
};

struct glob_token {
	enum token_kind kind;
	bool negated;			/* ONE_OF */
	const char *text;		/* LITERAL, folded */
	size_t len;
	const struct range *ranges;	/* ONE_OF */
	size_t range_count;
};

/* ----------------------------------------------------------- letter case */

static const struct fold_row {
	uint32_t low, high;
	int add;			/* to a capital; 1: capitals are the even ones, -1: the odd ones */
} fold_rows[] = {
	{ 'A', 'Z', 32 },
	{ 0xc0, 0xd6, 32 }, { 0xd8, 0xde, 32 },
	{ 0x100, 0x12f, 1 }, { 0x132, 0x137, 1 }, { 0x139, 0x148, -1 }, { 0x14a, 0x177, 1 }, { 0x179, 0x17e, -1 },
	{ 0x391, 0x3a1, 32 }, { 0x3a3, 0x3a9, 32 },
	{ 0x400, 0x40f, 80 }, { 0x410, 0x42f, 32 }, { 0x460, 0x481, 1 }, { 0x48a, 0x4bf, 1 },
};

static uint32_t
fold(uint32_t c)
{
	for (size_t i = 0; i < sizeof(fold_rows) / sizeof(fold_rows[0]); i++) {
		const struct fold_row *r = &fold_rows[i];

		if (c < r->low || c > r->high)
			continue;
		if (r->add > 1)
			return c + (uint32_t)r->add;
		return c + ((c & 1) == (r->add < 0));
	}
	return c;
}

/* The capital of a folded letter, or the letter itself. */
static uint32_t
unfold(uint32_t c)
{
	static const int back[] = { 32, 80, 1 };

	for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++)
		if (c > (uint32_t)back[i] && fold(c - (uint32_t)back[i]) == c)
			return c - (uint32_t)back[i];
	return c;
}

bool
text_fold(char *dst, const char *src, size_t len)
{
	bool ascii = true;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)src[i];

		if (c < 0x80) {
			dst[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
			continue;
		}
		ascii = false;
		dst[i] = src[i];
		if ((c & 0xe0) == 0xc0 && i + 1 < len && (src[i + 1] & 0xc0) == 0x80) {
			uint32_t f = fold((c & 0x1fu) << 6 | ((unsigned char)src[i + 1] & 0x3fu));

			dst[i] = (char)(0xc0 | f >> 6);
			dst[++i] = (char)(0x80 | (f & 0x3f));
		}
	}
	return ascii;
}

/* One character of UTF-8, or one byte where it is none; *n is its length. */
static uint32_t
decode(const char *s, size_t len, size_t *n)
{
	unsigned char c = (unsigned char)s[0];
	size_t want = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
	uint32_t v = want == 1 ? c : c & (0x7fu >> want);

	*n = 1;
	if (c < 0xc0 || c >= 0xf8 || want > len)
		return c;
	for (size_t i = 1; i < want; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return c;
		v = v << 6 | ((unsigned char)s[i] & 0x3fu);
	}
	*n = want;
	return v;
}

/* -------------------------------------------------------------- compilation */

struct builder {
	struct arena *arena;
	const char *user;
	struct glob_token *tokens;
	size_t count;
	char *text;			/* literal bytes, folded, of the whole alternative */
	size_t text_len;
	bool nomem;
};

static bool
at_user(struct span s)
{
	return s.len >= strlen(USER_MARK) && memcmp(s.at, USER_MARK, strlen(USER_MARK)) == 0;
}

static void
add_literal(struct builder *b, const char *s, size_t n)
{
	struct glob_token *t = b->count ? &b->tokens[b->count - 1] : NULL;

	if (n == 0)
		return;
	if (!t || t->kind != LITERAL) {
		t = &b->tokens[b->count++];
		*t = (struct glob_token){ .kind = LITERAL, .text = b->text + b->text_len };
	}
	memcpy(b->text + b->text_len, s, n);
	b->text_len += n;
	t->len += n;
}

/* The end of a set: a ']' that is not its first member; 0 when there is none and '[' is an ordinary character. */
static size_t
set_length(struct span s)
{
	size_t i = 1;

	if (i < s.len && s.at[i] == '!')
		i++;
	if (i < s.len && s.at[i] == ']')
		i++;
	for (; i < s.len; i++)
		if (s.at[i] == ']')
			return i + 1;
	return 0;
}

static size_t
add_ranges(struct range *r, const char *s, size_t len)
{
	size_t count = 0;

	for (size_t i = 0, n; i < len; i += n) {
		r[count].low = r[count].high = decode(s + i, len - i, &n);
		if (i + n + 1 < len && s[i + n] == '-') {
			size_t m;

			r[count].high = decode(s + i + n + 1, len - i - n - 1, &m);
			n += 1 + m;
		}
		count++;
	}
	return count;
}

static void
add_set(struct builder *b, const char *s, size_t len)
{
	struct glob_token *t = &b->tokens[b->count++];
	struct range *r;
	size_t user = strlen(b->user), room = len + (len / strlen(USER_MARK)) * user;

	*t = (struct glob_token){ .kind = ONE_OF, .negated = s[1] == '!' };
	s += 1 + t->negated;
	len -= 2 + t->negated;
	t->ranges = r = arena_alloc(b->arena, (room + 1) * sizeof(*r));
	if (!r) {
		b->nomem = true;
		return;
	}
	while (len) {
		size_t plain = 0;

		while (plain < len && !at_user((struct span){ s + plain, len - plain }))
			plain++;
		t->range_count += add_ranges(r + t->range_count, s, plain);
		s += plain;
		len -= plain;
		if (len == 0)
			break;
		for (size_t i = 0, n; i < user; i += n, t->range_count++)
			r[t->range_count].low = r[t->range_count].high = decode(b->user + i, user - i, &n);
		s += strlen(USER_MARK);
		len -= strlen(USER_MARK);
	}
}

static void
add_star(struct builder *b)
{
	if (b->count && b->tokens[b->count - 1].kind == ANY_MANY)
		return;
	b->tokens[b->count++] = (struct glob_token){ .kind = ANY_MANY };
}

static void
build_tokens(struct builder *b, struct span s)
{
	while (s.len && !b->nomem) {
		size_t n = 1;

		if (at_user(s)) {
			add_literal(b, b->user, strlen(b->user));
			n = strlen(USER_MARK);
		} else if (*s.at == '*')
			add_star(b);
		else if (*s.at == '?')
			b->tokens[b->count++] = (struct glob_token){ .kind = ANY_ONE };
		else if (*s.at == '[' && (n = set_length(s)))
			add_set(b, s.at, n);
		else
			add_literal(b, s.at, n = 1);
		s.at += n;
		s.len -= n;
	}
}

/* Notes what literal text a path must begin and end with. */
static void
find_shape(struct glob_alt *a)
{
	const struct glob_token *first = a->tokens, *last = a->tokens + a->count - 1;

	a->shape = GLOB_GENERAL;
	if (a->count == 0) {
		a->shape = GLOB_LITERAL;
		return;
	}
	if (first->kind == LITERAL)
		a->head = (struct span){ first->text, first->len };
	if (last->kind == LITERAL)
		a->tail = (struct span){ last->text, last->len };
	if (a->count == 1 && first->kind == LITERAL)
		a->shape = GLOB_LITERAL;
	else if (a->count == 2 && first->kind == LITERAL && last->kind == ANY_MANY)
		a->shape = GLOB_PREFIX;
	else if (a->count == 2 && first->kind == ANY_MANY && last->kind == LITERAL)
		a->shape = GLOB_SUFFIX;
}

static size_t
count_marks(struct span s)
{
	size_t n = 0;

	for (; s.len; s.at++, s.len--)
		n += at_user(s);
	return n;
}

static bool
build_alt(struct arena *arena, struct span s, const char *user, struct glob_alt *a)
{
	struct builder b = { .arena = arena, .user = user };
	size_t literal = s.len + count_marks(s) * strlen(user);

	b.tokens = arena_alloc(arena, (s.len + 1) * sizeof(*b.tokens));
	b.text = arena_alloc(arena, literal + 1);
	if (!b.tokens || !b.text)
		return false;
	build_tokens(&b, s);
	text_fold(b.text, b.text, b.text_len);
	memset(a, 0, sizeof(*a));
	a->tokens = b.tokens;
	a->count = b.count;
	find_shape(a);
	return !b.nomem;
}

/* Length of the alternative at the beginning of s: up to a '|' outside of a set. */
static size_t
alt_length(struct span s)
{
	size_t i = 0, n;

	while (i < s.len && s.at[i] != '|') {
		n = s.at[i] == '[' ? set_length((struct span){ s.at + i, s.len - i }) : 0;
		i += n ? n : 1;
	}
	return i;
}

const char *
glob_compile(struct arena *arena, struct span s, const char *user, struct glob *g, const char **at)
{
	size_t room = 1;

	memset(g, 0, sizeof(*g));
	s = span_trim(s);
	if (s.len && *s.at == '!') {
		g->negated = true;
		s.at++;
		s.len--;
	}
	for (size_t i = 0; i < s.len; i++)
		room += s.at[i] == '|';
	*at = NULL;
	g->alts = arena_alloc(arena, room * sizeof(*g->alts));
	if (!g->alts)
		return "";
	for (;;) {
		size_t n = alt_length(s);
		struct span alt = span_trim((struct span){ s.at, n });

		*at = s.at;
		if (alt.len == 0)
			return "an empty alternative";
		*at = NULL;
		if (!build_alt(arena, alt, user, &g->alts[g->count++]))
			return "";
		if (n == s.len)
			return NULL;
		s.at += n + 1;
		s.len -= n + 1;
	}
}

/* ----------------------------------------------------------------- matching */

static bool
in_set(const struct glob_token *t, uint32_t c)
{
	uint32_t other = unfold(c);

	for (size_t i = 0; i < t->range_count; i++) {
		const struct range *r = &t->ranges[i];

		if ((c >= r->low && c <= r->high) || (other >= r->low && other <= r->high) ||
		    (r->low == r->high && fold(r->low) == c))
			return !t->negated;
	}
	return t->negated;
}

/* How many bytes at s the token takes; 0: it does not match there. */
static size_t
token_takes(const struct glob_token *t, const char *s, size_t len)
{
	size_t n;
	uint32_t c;

	if (t->kind == LITERAL)
		return t->len <= len && memcmp(s, t->text, t->len) == 0 ? t->len : 0;
	if (len == 0)
		return 0;
	c = decode(s, len, &n);
	return t->kind == ANY_ONE || in_set(t, c) ? n : 0;
}

/*
 * A mismatch lets the last '*' take one character more; earlier ones never
 * have to be tried again, so the work is at most length times tokens.
 */
bool
glob_alt_match(const struct glob_alt *a, const char *s, size_t len)
{
	size_t t = 0, i = 0, star = SIZE_MAX, star_at = 0;

	if (a->head.len > len || a->tail.len > len || memcmp(s, a->head.at ? a->head.at : "", a->head.len) != 0 ||
	    memcmp(s + len - a->tail.len, a->tail.at ? a->tail.at : "", a->tail.len) != 0)
		return false;
	if (a->shape != GLOB_GENERAL)
		return a->shape != GLOB_LITERAL || len == a->head.len;
	while (t < a->count || i < len) {
		size_t n = 0;

		if (t < a->count && a->tokens[t].kind == ANY_MANY) {
			star = t++;
			star_at = i;
			if (t == a->count)
				return true;
			continue;
		}
		if (t < a->count && (n = token_takes(&a->tokens[t], s + i, len - i))) {
			t++;
			i += n;
			continue;
		}
		if (star == SIZE_MAX || star_at >= len)
			return false;
		i = ++star_at;
		t = star + 1;
		if (a->tokens[t].kind == LITERAL) {
			const char *next = memmem(s + i, len - i, a->tokens[t].text, a->tokens[t].len);

			if (!next)
				return false;
			i = star_at = (size_t)(next - s);
		}
	}
	return true;
}

/* ------------------------------------------------------------------- states */

/* The alternative as a list of places: one before each byte of text and each wild card. */
static size_t
place_count(const struct glob_alt *a)
{
	size_t n = 0;

	for (size_t t = 0; t < a->count; t++)
		n += a->tokens[t].kind == LITERAL ? a->tokens[t].len : 1;
	return n;
}

/* '*' may take nothing. */
static void
pass_stars(const struct glob_alt *a, uint8_t *states)
{
	size_t at = 0;

	for (size_t t = 0; t < a->count; at += a->tokens[t].kind == LITERAL ? a->tokens[t].len : 1, t++)
		if (a->tokens[t].kind == ANY_MANY)
			states[at + 1] |= states[at];
}

/* Takes one character of n bytes. */
static void
step_states(const struct glob_alt *a, const char *s, size_t n, const uint8_t *now, uint8_t *next)
{
	size_t at = 0;

	for (size_t t = 0; t < a->count; t++) {
		const struct glob_token *k = &a->tokens[t];

		if (k->kind == LITERAL) {
			for (size_t i = 0; i + n <= k->len; i++)
				next[at + i + n] |= now[at + i] && memcmp(k->text + i, s, n) == 0;
			at += k->len;
			continue;
		}
		next[at] |= k->kind == ANY_MANY && now[at];
		next[at + 1] |= k->kind != ANY_MANY && now[at] && token_takes(k, s, n) == n;
		at++;
	}
}

size_t
glob_alt_states(const struct glob_alt *a, const char *folded, size_t len, uint8_t states[GLOB_STATES_MAX], bool *all)
{
	size_t count = place_count(a) + 1, n;
	uint8_t next[GLOB_STATES_MAX];

	*all = false;
	if (count > GLOB_STATES_MAX)
		return 0;
	memset(states, 0, count);
	states[0] = 1;
	pass_stars(a, states);
	for (size_t i = 0; i < len; i += n) {
		(void)decode(folded + i, len - i, &n);
		memset(next, 0, count);
		step_states(a, folded + i, n, states, next);
		pass_stars(a, next);
		memcpy(states, next, count);
	}
	*all = count > 1 && a->tokens[a->count - 1].kind == ANY_MANY && states[count - 2];
	return count;
}

bool
glob_match(const struct glob *g, const char *folded, size_t len)
{
	for (size_t i = 0; i < g->count; i++)
		if (glob_alt_match(&g->alts[i], folded, len))
			return !g->negated;
	return g->negated;
}

/* With several alternatives nothing is common to all matches. */
void
glob_pairs(const struct glob *g, struct pairs_needed *need)
{
	memset(need, 0, sizeof(*need));
	for (size_t i = 0; g->count == 1 && i < g->alts[0].count; i++)
		if (g->alts[0].tokens[i].kind == LITERAL)
			pairs_need(need, g->alts[0].tokens[i].text, g->alts[0].tokens[i].len);
}
