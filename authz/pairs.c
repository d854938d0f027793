/* Pairs of letters as a filter; see pairs.h. */
#include "authz/pairs.h"

#include <string.h>

static unsigned
number(const char *s)
{
	unsigned v = (unsigned)(unsigned char)s[0] * 37 + (unsigned char)s[1];

	return (v ^ v >> 5) & (PAIRS_WORDS * 64 - 1);
}

void
pairs_collect(struct pairs *p, const char *s, size_t len)
{
	memset(p, 0, sizeof(*p));
	for (size_t i = 0; i + 1 < len; i++) {
		unsigned n = number(s + i);

		p->has[n / 64] |= 1ull << n % 64;
	}
}

/* Patterns of one site begin alike: their ends tell more. */
void
pairs_need(struct pairs_needed *need, const char *s, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		need->pair[need->next] = (uint16_t)number(s + i);
		need->next = (uint8_t)((need->next + 1) % PAIRS_NEEDED);
		if (need->count < PAIRS_NEEDED)
			need->count++;
	}
}
