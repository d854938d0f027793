#include "config.h"

#include <time.h>

#include "common/bucket.h"

#define SECOND 1000000000LL

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

void
bucket_init(struct bucket *b, uint64_t limit)
{
	atomic_store(&b->limit, limit);
	atomic_store(&b->busy_until, 0);
}

/* n * 1e9 / limit without overflow, at most an hour: a shared bucket may hold nonsense. */
static int64_t
price(size_t n, uint64_t limit)
{
	double ns = (double)n * (double)SECOND / (double)limit;

	return ns > 3600.0 * (double)SECOND ? 3600 * SECOND : (int64_t)ns;
}

size_t
bucket_allow(const struct bucket *b, size_t n, int *wait_ms)
{
	uint64_t limit = atomic_load(&b->limit);
	int64_t now, busy, credit;
	double bytes;

	if (limit == 0)
		return n;
	now = now_ns();
	busy = atomic_load(&b->busy_until);
	if (busy < now)
		busy = now;
	if (busy - now > 3600 * SECOND)
		busy = now + 3600 * SECOND;
	credit = now + SECOND - busy;
	bytes = credit <= 0 ? 0 : (double)credit * (double)limit / (double)SECOND;
	if (bytes < 1) {
		int64_t ms = (busy - now - SECOND) / 1000000 + 1 + (int64_t)(1000 / (limit < 1000 ? limit : 1000));

		if (ms > *wait_ms)
			*wait_ms = (int)ms;
		return 0;
	}
	return bytes < (double)n ? (size_t)bytes : n;
}

void
bucket_spend(struct bucket *b, size_t n)
{
	uint64_t limit = atomic_load(&b->limit);
	int64_t cost, now, old;

	if (limit == 0)
		return;
	cost = price(n, limit);
	now = now_ns();
	old = atomic_load(&b->busy_until);
	while (!atomic_compare_exchange_weak(&b->busy_until, &old, (old > now ? old : now) + cost))
		;
}
