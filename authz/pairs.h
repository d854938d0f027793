/*
 * A cheap test before a costly one: which pairs of neighbouring letters a path
 * holds, against pairs that any match of a pattern must hold.  Letter case is
 * ignored, so it may let too much through, never too little.
 */
#ifndef AUTHZ_PAIRS_H
#define AUTHZ_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAIRS_WORDS 16
#define PAIRS_NEEDED 8

/* The pairs of a path. */
struct pairs {
	uint64_t has[PAIRS_WORDS];
};

/* Some pairs that a match must hold. */
struct pairs_needed {
	uint8_t count, next;
	uint16_t pair[PAIRS_NEEDED];
};

/* Takes a folded text. */
void pairs_collect(struct pairs *, const char *folded, size_t len);
/* Adds the pairs of a folded literal; the last ones are kept. Literals come in the order of the pattern. */
void pairs_need(struct pairs_needed *, const char *folded, size_t len);

static inline bool
pairs_possible(const struct pairs *p, const struct pairs_needed *n)
{
	for (unsigned i = n->count; i-- > 0;)
		if (!(p->has[n->pair[i] / 64] & 1ull << n->pair[i] % 64))
			return false;
	return true;
}

#endif
