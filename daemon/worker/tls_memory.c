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
#define SHELF	(256 * 1024)	/* address space for the objects of one size */

static struct {
	uint8_t *base;		/* CLASSES shelves, one behind the other; NULL: none */
	bool warming;
	uint32_t used[CLASSES];	/* bytes of each shelf */
	void *spare[CLASSES];	/* given back while warming up; each points to the next */
} shelves;

static bool
on_shelf(const void *p)
{
	return shelves.base != NULL && (const uint8_t *)p >= shelves.base &&
	    (const uint8_t *)p < shelves.base + (size_t)CLASSES * SHELF;
}

static size_t
class_of(const void *p)
{
	return (size_t)((const uint8_t *)p - shelves.base) / SHELF;
}

/* NULL: this one is malloc()'s. */
static void *
take(size_t n)
{
	const size_t c = (n - 1) / GRAIN, size = (c + 1) * GRAIN;
	void *p;

	if (c >= CLASSES)
		return NULL;
	if ((p = shelves.spare[c]) != NULL) {
		memcpy(&shelves.spare[c], p, sizeof p);
		return p;
	}
	if (shelves.used[c] + size > SHELF)
		return NULL;
	p = shelves.base + c * SHELF + shelves.used[c];
	shelves.used[c] += (uint32_t)size;
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

void
tls_memory_begin(void)
{
	void *p = mmap(NULL, (size_t)CLASSES * SHELF, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return;
	if (CRYPTO_set_mem_functions(get, resize, put) != 1) {
		(void)munmap(p, (size_t)CLASSES * SHELF);
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
