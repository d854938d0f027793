/* Hash tables of literal beginnings and ends of globs; see ruleindex.h. */
#include "authz/ruleindex.h"

#include <errno.h>
#include <string.h>

/* Alternatives that share one literal text, in rising order. */
struct index_entry {
	const struct glob_alt *alt;
	uint32_t order;
	struct index_entry *next;
};

struct index_node {
	uint32_t hash;
	struct span text;
	struct index_entry *first, *last;
	struct index_node *next;
};

static int
table_begin(struct index_table *t, struct arena *a, size_t n)
{
	uint32_t size = 8;

	while (size < n * 2)
		size *= 2;
	t->mask = size - 1;
	t->buckets = arena_alloc(a, size * sizeof(struct index_node *));
	return t->buckets ? 0 : -ENOMEM;
}

int
index_begin(struct rule_index *x, struct arena *a, size_t n)
{
	return table_begin(&x->heads, a, n) == 0 && table_begin(&x->tails, a, n) == 0 ? 0 : -ENOMEM;
}

static uint32_t
hash_text(struct span s, bool backwards)
{
	uint32_t h = HASH_START;

	for (size_t i = 0; i < s.len; i++)
		h = HASH_STEP(h, s.at[backwards ? s.len - 1 - i : i]);
	return h;
}

static struct index_node *
table_node(struct index_table *t, struct arena *a, struct span text, bool backwards)
{
	uint32_t h = hash_text(text, backwards);
	struct index_node *n;

	for (n = t->buckets[h & t->mask]; n; n = n->next)
		if (n->hash == h && n->text.len == text.len && memcmp(n->text.at, text.at, text.len) == 0)
			return n;
	n = arena_alloc(a, sizeof(*n));
	if (!n)
		return NULL;
	n->hash = h;
	n->text = text;
	n->next = t->buckets[h & t->mask];
	t->buckets[h & t->mask] = n;
	t->lengths[text.len / 64] |= 1ull << text.len % 64;
	if (text.len > t->longest)
		t->longest = text.len;
	return n;
}

int
index_add(struct rule_index *x, struct arena *a, const struct glob_alt *alt, uint32_t order)
{
	bool backwards = alt->tail.len > alt->head.len;
	struct span text = backwards ? alt->tail : alt->head;
	struct index_entry *e;
	struct index_node *n;

	if (text.len == 0 || text.len > INDEX_PATH_MAX)
		return 0;
	n = table_node(backwards ? &x->tails : &x->heads, a, text, backwards);
	e = arena_alloc(a, sizeof(*e));
	if (!n || !e)
		return -ENOMEM;
	e->alt = alt;
	e->order = order;
	if (n->last)
		n->last->next = e;
	else
		n->first = e;
	n->last = e;
	return 1;
}

static uint32_t
try_entries(const struct index_node *n, const char *s, size_t len, uint32_t best)
{
	for (const struct index_entry *e = n->first; e && e->order < best; e = e->next) {
		enum glob_shape shape = e->alt->shape;

		if (shape == GLOB_PREFIX || shape == GLOB_SUFFIX || (shape == GLOB_LITERAL ? len == n->text.len :
		    glob_alt_match(e->alt, s, len)))
			return e->order;
	}
	return best;
}

static uint32_t
table_find(const struct index_table *t, const char *s, size_t len, bool backwards, uint32_t best)
{
	size_t longest = len < t->longest ? len : t->longest;
	uint32_t h = HASH_START;

	for (size_t i = 1; i <= longest; i++) {
		h = HASH_STEP(h, s[backwards ? len - i : i - 1]);
		if (!(t->lengths[i / 64] & 1ull << i % 64))
			continue;
		for (const struct index_node *n = t->buckets[h & t->mask]; n; n = n->next)
			if (n->hash == h && n->text.len == i && memcmp(n->text.at, backwards ? s + len - i : s, i) == 0)
				best = try_entries(n, s, len, best);
	}
	return best;
}

uint32_t
index_find(const struct rule_index *x, const char *folded, size_t len, uint32_t limit)
{
	if (x->heads.longest)
		limit = table_find(&x->heads, folded, len, false, limit);
	if (x->tails.longest)
		limit = table_find(&x->tails, folded, len, true, limit);
	return limit;
}
