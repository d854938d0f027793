/* Bounded regular expressions; see regex.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "authz/regex.h"

#include <pcre2.h>
#include <string.h>

#define USER_MARK	"${USER}"
#define MATCH_LIMIT	50000		/* steps: well below a millisecond each ten thousand */
#define DEPTH_LIMIT	5000
#define HEAP_LIMIT	2048		/* KiB */
#define PATTERN_MAX	8192

struct regex {
	char *pattern;			/* with the user in it */
	size_t len;
	bool caseless;
	bool literal;			/* nothing but text between anchors */
	bool at_start, at_end;
	char *text;
	size_t text_len;
	pcre2_code *code;		/* literal ones: made when first needed */
	pcre2_match_data *data;
	pcre2_match_context *context;
};

/* ---------------------------------------------------------- preparing text */

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

/* What Python and PCRE2 write differently, outside of classes or everywhere. */
static const struct spelling {
	const char *python, *pcre2;
	bool in_class;
} spellings[] = {
	{ "\\Z", "\\z", false },
	{ "\\v", "\\x0b", true },
	{ "{,", "{0,", false },		/* a repeat: at most so many */
};

/* A pattern being rewritten. */
struct rewrite {
	const char *in;
	size_t len;
	char *out;
	bool in_class, first;		/* first: a ']' here would belong to the class */
};

static void
put(struct rewrite *w, const char *s, size_t n)
{
	memcpy(w->out, s, n);
	w->out += n;
}

static void
skip(struct rewrite *w, size_t n)
{
	w->in += n;
	w->len -= n;
}

static bool
take_user(struct rewrite *w, const char *user)
{
	size_t n = strlen(USER_MARK);

	if (w->len < n || memcmp(w->in, USER_MARK, n) != 0)
		return false;
	for (; *user; user++) {
		if (!is_word(*user))
			put(w, "\\", 1);
		put(w, user, 1);
	}
	skip(w, n);
	return true;
}

/* Whether the brace at s begins a repeat and not text. */
static bool
closes_repeat(const char *s, size_t len)
{
	size_t i = 2;

	while (i < len && s[i] >= '0' && s[i] <= '9')
		i++;
	return i < len && s[i] == '}';
}

static bool
take_spelling(struct rewrite *w)
{
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		const struct spelling *p = &spellings[i];
		size_t n = strlen(p->python);

		if (w->len < n || memcmp(w->in, p->python, n) != 0 || (w->in_class && !p->in_class) ||
		    (*w->in == '{' && !closes_repeat(w->in, w->len)))
			continue;
		put(w, p->pcre2, strlen(p->pcre2));
		skip(w, n);
		return true;
	}
	return false;
}

/* Python knows no names of classes: a '[' within a class stands for itself. */
static void
take_character(struct rewrite *w)
{
	char c = *w->in;
	bool opens = c == '[' && !w->in_class, first = w->first;

	if (c == '[' && w->in_class)
		put(w, "\\", 1);
	if (opens)
		w->in_class = true;
	else if (c == ']' && w->in_class && !first)
		w->in_class = false;
	w->first = opens || (first && c == '^' && w->in[-1] == '[');
	put(w, w->in, 1);
	skip(w, 1);
}

/* Puts the quoted user in, and writes what differs the way PCRE2 does. */
static bool
expand(struct arena *a, struct span s, const char *user, struct regex *rx)
{
	struct rewrite w = { .in = s.at, .len = s.len };

	/* Nothing grows to more than twice its length. */
	rx->pattern = w.out = arena_alloc(a, s.len * 2 + (s.len / strlen(USER_MARK) + 1) * strlen(user) * 2 + 1);
	if (!rx->pattern)
		return false;
	while (w.len) {
		if (take_user(&w, user) || take_spelling(&w)) {
			w.first = false;
			continue;
		}
		if (*w.in == '\\' && w.len > 1) {
			put(&w, w.in, 2);
			skip(&w, 2);
			w.first = false;
		} else
			take_character(&w);
	}
	rx->len = (size_t)(w.out - rx->pattern);
	return true;
}

/* -------------------------------------------------------------- plain text */

static bool
is_plain(char c)
{
	return is_word(c) || (c > ' ' && c < 0x7f && !strchr("\\^$.|?*+()[]{}", c)) || c == ' ';
}

/* ".*" or ".*?" at s, its length. */
static size_t
dot_star(const char *s, size_t len)
{
	if (len < 2 || s[0] != '.' || s[1] != '*')
		return 0;
	return len > 2 && s[2] == '?' ? 3 : 2;
}

/* Recognises ^text$, each anchor optional, with .* where it changes nothing. */
static bool
take_literal(struct arena *a, struct regex *rx)
{
	const char *s = rx->pattern;
	size_t i = 0, len = rx->len, n;

	rx->text = arena_alloc(a, len + 1);
	if (!rx->text)
		return false;
	if (len && s[0] == '^') {
		rx->at_start = true;
		i++;
	} else
		i += dot_star(s, len);
	for (; i < len; i += n) {
		n = 1;
		if (s[i] == '$' && i + 1 == len) {
			rx->at_end = true;
			continue;
		}
		if ((n = dot_star(s + i, len - i)) && i + n == len)
			continue;
		n = s[i] == '\\' && i + 1 < len && !is_word(s[i + 1]) ? 2 : 1;
		if (n == 1 && !is_plain(s[i]))
			return true;
		if (i + n < len && strchr("*+?{", s[i + n]))
			return true;
		rx->text[rx->text_len++] = s[i + n - 1];
	}
	rx->literal = true;
	return true;
}

static bool
same_bytes(const char *a, const char *b, size_t n, bool caseless)
{
	return caseless ? strncasecmp(a, b, n) == 0 : memcmp(a, b, n) == 0;
}

static bool
search_literal(const struct regex *rx, const char *s, size_t len)
{
	size_t n = rx->text_len;

	if (n > len || (rx->at_start && rx->at_end && n != len))
		return false;
	if (rx->at_start)
		return same_bytes(s, rx->text, n, rx->caseless);
	if (rx->at_end)
		return same_bytes(s + len - n, rx->text, n, rx->caseless);
	if (!rx->caseless)
		return n == 0 || memmem(s, len, rx->text, n);
	for (size_t i = 0; i + n <= len; i++)
		if (strncasecmp(s + i, rx->text, n) == 0)
			return true;
	return false;
}

/* -------------------------------------------------------------------- PCRE2 */

/*
 * Before it starts, PCRE2 looks for letters that a match must hold; the one of a
 * lookahead it wants a second time behind the first ("(?=a).*a" on "/a"), and so
 * misses matches.  Such patterns do without.
 */
static uint32_t
start_option(const struct regex *rx)
{
	return memmem(rx->pattern, rx->len, "(?=", 3) ? PCRE2_NO_START_OPTIMIZE : 0;
}

static int
make_code(struct regex *rx, size_t *at)
{
	uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |
	    (rx->caseless ? PCRE2_CASELESS : 0) | start_option(rx);
	pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
	int error = PCRE2_ERROR_NOMEMORY;
	PCRE2_SIZE offset = 0;

	if (cc) {
		pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
		pcre2_set_max_pattern_length(cc, PATTERN_MAX);
		rx->code = pcre2_compile((PCRE2_SPTR)rx->pattern, rx->len, options, &error, &offset, cc);
		pcre2_compile_context_free(cc);
	}
	*at = offset;
	if (!rx->code)
		return error;
	rx->data = pcre2_match_data_create(1, NULL);
	rx->context = pcre2_match_context_create(NULL);
	if (!rx->data || !rx->context)
		return PCRE2_ERROR_NOMEMORY;
	pcre2_set_match_limit(rx->context, MATCH_LIMIT);
	pcre2_set_depth_limit(rx->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(rx->context, HEAP_LIMIT);
	return 0;
}

const char *
regex_compile(struct arena *a, struct span pattern, bool caseless, const char *user,
    struct regex **out, size_t *at, char why[120])
{
	struct regex *rx = arena_alloc(a, sizeof(*rx));
	int error;

	*out = rx;
	*at = 0;
	if (!rx || !expand(a, pattern, user, rx))
		return "";
	rx->caseless = caseless;
	/* Verbs such as (*LIMIT_MATCH=...) are PCRE2's own, Python has none. */
	if (rx->len >= 2 && rx->pattern[0] == '(' && rx->pattern[1] == '*')
		return "nothing to repeat";
	if (!take_literal(a, rx))
		return "";
	if (rx->literal && rx->len <= PATTERN_MAX)
		return NULL;
	error = make_code(rx, at);
	if (error == 0)
		return NULL;
	if (error == PCRE2_ERROR_NOMEMORY)
		return "";
	pcre2_get_error_message(error, (PCRE2_UCHAR *)why, 120);
	return why;
}

enum regex_answer
regex_search(struct regex *rx, const char *path, size_t len, bool ascii)
{
	size_t at;
	int r;

	if (rx->literal && (ascii || !rx->caseless) && (!len || path[len - 1] != '\n'))
		return search_literal(rx, path, len) ? REGEX_YES : REGEX_NO;
	if (!rx->code && make_code(rx, &at) != 0)
		return REGEX_LIMIT;
	r = pcre2_match(rx->code, (PCRE2_SPTR)path, len, 0, 0, rx->data, rx->context);
	if (r >= 0)
		return REGEX_YES;
	return r == PCRE2_ERROR_NOMATCH ? REGEX_NO : REGEX_LIMIT;
}

enum regex_reach
regex_below(struct regex *rx, const char *dir, size_t len)
{
	size_t at;
	int r;

	if (!rx->code && make_code(rx, &at) != 0)
		return REGEX_BELOW_SOME;
	r = pcre2_match(rx->code, (PCRE2_SPTR)dir, len, 0, PCRE2_PARTIAL_HARD, rx->data, rx->context);
	if (r == PCRE2_ERROR_NOMATCH)
		return REGEX_BELOW_NONE;
	return r >= 0 ? REGEX_BELOW_ALL : REGEX_BELOW_SOME;
}

struct span
regex_pattern(const struct regex *rx)
{
	return (struct span){ rx->pattern, rx->len };
}

/* Length of a class at s; 0: it does not end. */
static size_t
class_length(const char *s, size_t len)
{
	size_t i = 1;

	if (i < len && s[i] == '^')
		i++;
	if (i < len && s[i] == ']')
		i++;
	for (; i < len && s[i] != ']'; i++) {
		if (s[i] == '[')
			return 0;	/* a set inside, or none: not worth telling */
		if (s[i] == '\\')
			i++;
	}
	return i < len ? i + 1 : 0;
}

/* Length of a counted repeat at s; 0: the brace stands for itself. */
static size_t
repeat_length(const char *s, size_t len)
{
	size_t i = 1;

	while (i < len && ((s[i] >= '0' && s[i] <= '9') || s[i] == ','))
		i++;
	return i < len && s[i] == '}' && i > 1 ? i + 1 : 0;
}

enum piece { PIECE_LETTER, PIECE_OTHER, PIECE_UNKNOWN };

/* What stands at s, and its length: a letter that must occur, or something that need not be one letter. */
static enum piece
next_piece(const char *s, size_t len, size_t *n)
{
	bool escaped = s[0] == '\\' && len > 1;

	*n = escaped ? 2 : 1;
	if (escaped && is_word(s[1]))
		return strchr("dDwWsSbBAz", s[1]) ? PIECE_OTHER : PIECE_UNKNOWN;
	if (s[0] == '[' || s[0] == '{') {
		*n = s[0] == '[' ? class_length(s, len) : repeat_length(s, len);
		return *n ? PIECE_OTHER : PIECE_UNKNOWN;
	}
	if (strchr("(|", s[0]) && !escaped)
		return PIECE_UNKNOWN;
	if (!escaped && !is_plain(s[0]))
		return PIECE_OTHER;
	return (s[*n - 1] & 0x80) || (*n < len && strchr("*?{", s[*n])) ? PIECE_OTHER : PIECE_LETTER;
}

/* Patterns with groups or alternatives are not looked into. */
void
regex_pairs(const struct regex *rx, struct pairs_needed *need)
{
	char run[64];
	size_t used = 0, n;

	memset(need, 0, sizeof(*need));
	for (size_t i = 0; i < rx->len; i += n) {
		enum piece piece = next_piece(rx->pattern + i, rx->len - i, &n);

		if (piece == PIECE_UNKNOWN) {
			need->count = 0;
			return;
		}
		if (piece == PIECE_LETTER) {
			char c = rx->pattern[i + n - 1];

			run[used++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
		}
		/* A repeated letter ends the run: what follows need not stand next to it. */
		if (piece == PIECE_OTHER || used == sizeof(run) || (i + n < rx->len && rx->pattern[i + n] == '+')) {
			pairs_need(need, run, used);
			used = 0;
		}
	}
	pairs_need(need, run, used);
}

void
regex_free(struct regex *rx)
{
	if (!rx)
		return;
	pcre2_match_context_free(rx->context);
	pcre2_match_data_free(rx->data);
	pcre2_code_free(rx->code);
}
