/*
 * A token bucket for bytes a second, that may lie in memory shared by several
 * processes.  One second's worth may flow at once.  It is lock-free, and a
 * process that writes nonsense into a shared one harms only those who share
 * it: sessions of the same account.
 */
#ifndef COMMON_BUCKET_H
#define COMMON_BUCKET_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct bucket {
	_Atomic uint64_t limit;		/* bytes a second, 0: none */
	_Atomic int64_t busy_until;	/* ns, CLOCK_MONOTONIC: when all that was spent is paid for */
};

/* What an account's sessions share: the content of the memory that comes with CLAIMED and LOGIN_OK. */
struct bucket_pair {
	struct bucket up, down;
};

/* Nothing is spent yet. */
void bucket_init(struct bucket *, uint64_t bytes_per_second);

/*
 * How many of n bytes may go now.  When 0, *wait_ms is raised to the time
 * after which some may.
 */
size_t bucket_allow(const struct bucket *, size_t n, int *wait_ms);

/* So many went. */
void bucket_spend(struct bucket *, size_t n);

#endif
