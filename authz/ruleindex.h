/*
 * Finds the first of many globs that matches a path without trying them all:
 * an alternative with literal text at its beginning or end is looked up by that
 * text, only the others are tried one by one.  First-match order is kept.
 */
#ifndef AUTHZ_RULEINDEX_H
#define AUTHZ_RULEINDEX_H

#include "authz/glob.h"

#define INDEX_PATH_MAX 4096

struct index_node;

struct index_table {
	struct index_node **buckets;
	uint32_t mask;
	size_t longest;			/* of the texts in it */
	uint64_t lengths[INDEX_PATH_MAX / 64 + 1];	/* which lengths occur */
};

struct rule_index {
	struct index_table heads, tails;
};

/* Makes room for n alternatives. -ENOMEM. */
int index_begin(struct rule_index *, struct arena *, size_t n);
/* Enters an alternative of rule number order (entered in rising order). 1: taken, 0: it has no literal end to look up,
 * -ENOMEM. */
int index_add(struct rule_index *, struct arena *, const struct glob_alt *, uint32_t order);
/* The lowest rule number below limit with a matching alternative, or limit. */
uint32_t index_find(const struct rule_index *, const char *folded, size_t len, uint32_t limit);

#endif
