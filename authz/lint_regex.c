/* Expressions that are dangerous, or that the original would not understand. */
#include <string.h>

#include "authz/lint_rules.h"
#include "authz/regex.h"

/* Constructs of PCRE2 that Python's expressions lack. */
static const struct foreign {
	const char *text, *what;
} foreign[] = {
	{ "(?R", "recursion (?R)" },
	{ "(?0", "recursion (?0)" },
	{ "(?1", "a call of a group (?1)" },
	{ "(?&", "a call of a group (?&...)" },
	{ "(?P>", "a call of a group (?P>...)" },
	{ "(?|", "a branch reset (?|...)" },
	{ "(?C", "a callout (?C)" },
	{ "(*", "a verb (*...)" },
	{ "\\Q", "\\Q...\\E" },
	{ "\\K", "\\K" },
	{ "\\R", "\\R" },
	{ "\\X", "\\X" },
	{ "\\h", "\\h" },
	{ "\\H", "\\H" },
	{ "\\G", "\\G" },
	{ "\\p", "\\p{...}" },
	{ "\\P", "\\P{...}" },
	{ "[[:", "a class name [:...:]" },
	{ "\\g", "\\g{...}" },
	{ "\\z", "\\z" },
};

const char *
regex_foreign(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		for (size_t k = 0; k < sizeof(foreign) / sizeof(foreign[0]); k++) {
			size_t n = strlen(foreign[k].text);

			if (len - i >= n && memcmp(p + i, foreign[k].text, n) == 0)
				return foreign[k].what;
		}
		if (p[i] == '\\')
			i++;
	}
	return NULL;
}

#define DEPTH 64

/* Whether a repeat stands at s: *, +, or {n,} */
static bool
repeats(const char *s, size_t len)
{
	const char *close;

	if (len == 0)
		return false;
	if (*s == '*' || *s == '+')
		return true;
	close = *s == '{' ? memchr(s, '}', len) : NULL;
	return close && close > s + 1 && memchr(s, ',', (size_t)(close - s)) && (close[-1] == ',' || close - s > 3);
}

/* A group that is repeated and repeats something, or offers alternatives, inside. */
static bool
nested_repeat(const char *p, size_t len)
{
	bool inner[DEPTH] = { false };
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\\')
			i++;
		else if (p[i] == '[') {
			while (i + 1 < len && p[i + 1] != ']')
				i += p[i + 1] == '\\' ? 2 : 1;
		} else if (p[i] == '(' && depth + 1 < DEPTH)
			inner[++depth] = false;
		else if (p[i] == ')' && depth) {
			bool had = inner[depth--];

			if (repeats(p + i + 1, len - i - 1) && had)
				return true;
			inner[depth] |= had;
		} else if (p[i] == '|' || repeats(p + i, len - i))
			inner[depth] = true;
	}
	return false;
}

/* Tries long paths made of the letters of the pattern, which is what attackers do. */
bool
regex_backtracks(const char *pattern, size_t len, bool caseless)
{
	struct arena *a = arena_new();
	struct regex *rx = NULL;
	char path[2048], why[120];
	bool bad = false;
	size_t at;

	if (a && !regex_compile(a, (struct span){ pattern, len }, caseless, "user", &rx, &at, why)) {
		static const char letters[] = "a1/ -._x";

		for (size_t k = 0; letters[k] && !bad; k++) {
			memset(path, letters[k], sizeof(path) - 2);
			path[0] = '/';
			path[sizeof(path) - 2] = '\n';
			path[sizeof(path) - 1] = '\0';
			bad = regex_search(rx, path, sizeof(path) - 1, true) == REGEX_LIMIT;
		}
	}
	regex_free(rx);
	arena_free(a);
	return bad || nested_repeat(pattern, len);
}
