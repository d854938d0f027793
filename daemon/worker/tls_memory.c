#include "config.h"

#include <openssl/crypto.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/worker/tls_memory.h"

#define GRAIN	16		/* sizes are rounded up to multiples of it */
#define CLASSES	64
#define LEAF	4096		/* bytes for objects of one size */
#define LEAVES	512
#define POOL	((size_t)LEAVES * LEAF)

static struct {
	uint8_t *base;		/* POOL bytes; NULL: none */
	bool warming;
	size_t leaves;		/* taken so far */
	uint8_t owner[LEAVES];	/* the class of each */
	uint8_t *next[CLASSES];	/* in the leaf that is being filled; NULL: there is none */
	void *spare[CLASSES];	/* given back while warming up; each points to the next */
} shelves;

static bool
on_shelf(const void *p)
{
	return shelves.base != NULL && (const uint8_t *)p >= shelves.base && (const uint8_t *)p < shelves.base + POOL;
}

static size_t
class_of(const void *p)
{
	return shelves.owner[((size_t)((const uint8_t *)p - shelves.base)) / LEAF];
}

/* Room for size bytes in a leaf of the class; NULL when all leaves are taken. */
static uint8_t *
find_room(size_t c, size_t size)
{
	size_t used = shelves.next[c] == NULL ? LEAF : (size_t)(shelves.next[c] - shelves.base) % LEAF;

	/* A full leaf's next byte is the first one of another. */
	if (used > 0 && used + size <= LEAF)
		return shelves.next[c];
	if (shelves.leaves == LEAVES)
		return NULL;
	shelves.owner[shelves.leaves] = (uint8_t)c;
	return shelves.base + shelves.leaves++ * LEAF;
}

/* NULL: this one is malloc()'s. */
static void *
take(size_t n)
{
	const size_t c = (n - 1) / GRAIN, size = (c + 1) * GRAIN;
	uint8_t *p;

	if (c >= CLASSES)
		return NULL;
	if (shelves.spare[c] != NULL) {
		void *q = shelves.spare[c];

		memcpy(&shelves.spare[c], q, sizeof q);
		return q;
	}
	p = find_room(c, size);
	if (p != NULL)
		shelves.next[c] = p + size;
	return p;
}

static void *
get(size_t n, const char *file, int line)
{
	void *p = n > 0 && shelves.warming ? take(n) : NULL;

	(void)file, (void)line;
	return p != NULL || n == 0 ? p : malloc(n);
}

static void
put(void *p, const char *file, int line)
{
	(void)file, (void)line;
	if (!on_shelf(p))
		free(p);
	else if (shelves.warming) {
		const size_t c = class_of(p);

		memcpy(p, &shelves.spare[c], sizeof p);
		shelves.spare[c] = p;
	}
}

static void *
resize(void *p, size_t n, const char *file, int line)
{
	size_t size;
	void *q;

	if (p == NULL)
		return get(n, file, line);
	if (n == 0) {
		put(p, file, line);
		return NULL;
	}
	if (!on_shelf(p))
		return realloc(p, n);
	size = (class_of(p) + 1) * GRAIN;
	if (n <= size)
		return p;
	q = get(n, file, line);
	if (q != NULL) {
		memcpy(q, p, size);
		put(p, file, line);
	}
	return q;
}

/*
 * The pool lies within one page of the kernel's page tables, which each
 * session has to have as a copy: what is beyond the next multiple is given back.
 */
static uint8_t *
map_pool(void)
{
	uint8_t *p = mmap(NULL, 2 * POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = (POOL - (uintptr_t)p % POOL) % POOL;
	if (before > 0)
		(void)munmap(p, before);
	(void)munmap(p + before + POOL, POOL - before);
	return p + before;
}

void
tls_memory_begin(void)
{
	uint8_t *p = map_pool();

	if (p == NULL)
		return;
	if (CRYPTO_set_mem_functions(get, resize, put) != 1) {
		(void)munmap(p, POOL);
		return;
	}
	shelves.base = p;
	shelves.warming = true;
}

void
tls_memory_settle(void)
{
	shelves.warming = false;
}
