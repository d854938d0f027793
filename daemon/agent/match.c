#include "config.h"

#include <stddef.h>
#include <string.h>

#include "authz/root.h"
#include "daemon/agent/match.h"

bool
match_is_pattern(const char *name)
{
	return strpbrk(name, ROOT_WILD_CARDS) != NULL;
}

static bool
in_range(const char *p, unsigned char c)
{
	return (unsigned char)p[0] <= c && c <= (unsigned char)p[2];
}

/* The set that begins at p[0] == '['. Its end, or NULL when it has none and the bracket is an ordinary character. */
static const char *
match_set(const char *p, unsigned char c, bool *hit)
{
	bool negated = p[1] == '!' || p[1] == '^';
	const char *first = p + 1 + negated;

	*hit = false;
	for (p = first; *p != '\0' && (*p != ']' || p == first); p++) {
		if (p[1] == '-' && p[2] != '\0' && p[2] != ']') {
			*hit |= in_range(p, c);
			p += 2;
		} else {
			*hit |= (unsigned char)*p == c;
		}
	}
	*hit ^= negated;
	return *p == ']' ? p + 1 : NULL;
}

/* One element of the pattern against one character: the rest of the pattern, NULL when they differ. */
static const char *
match_one(const char *p, unsigned char c)
{
	const char *end;
	bool hit;

	if (*p == '?')
		return p + 1;
	if (*p == '[' && (end = match_set(p, c, &hit)) != NULL)
		return hit ? end : NULL;
	if (*p == '\\' && p[1] != '\0')
		p++;
	return (unsigned char)*p == c ? p + 1 : NULL;
}

bool
match_name(const char *p, const char *s)
{
	const char *star = NULL, *retry = NULL, *next;

	if (*s == '.' && *p != '.' && !(*p == '\\' && p[1] == '.'))
		return false;
	while (*s != '\0') {
		if (*p == '*') {
			star = ++p;
			retry = s;
		} else if (*p != '\0' && (next = match_one(p, (unsigned char)*s)) != NULL) {
			p = next;
			s++;
		} else if (star != NULL) {
			p = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}
