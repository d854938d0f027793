/*
 * The bandwidth limit of one direction: the session's own, and the one it
 * shares with the account's other sessions.
 */
#ifndef WORKER_RATE_H
#define WORKER_RATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/bucket.h"

struct rate {
	struct bucket own;
	struct bucket *shared;	/* NULL: none */
};

/* How many of n bytes may go now; when 0, *wait_ms says how long to wait. */
static inline size_t
rate_allow(const struct rate *r, size_t n, int *wait_ms)
{
	*wait_ms = 0;
	n = bucket_allow(&r->own, n, wait_ms);
	return r->shared == NULL ? n : bucket_allow(r->shared, n, wait_ms);
}

/* So many went. */
static inline void
rate_spend(struct rate *r, size_t n)
{
	bucket_spend(&r->own, n);
	if (r->shared != NULL)
		bucket_spend(r->shared, n);
}

#endif
