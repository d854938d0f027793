/*
 * Memory that is given out piece by piece and freed at once, cleared first:
 * for parsed configurations, which hold password hashes.  Anyone may use it.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

struct arena;

/* NULL: no memory. */
struct arena *arena_new(void);
/* Zeroes and frees everything that came from it. NULL is allowed. */
void arena_free(struct arena *);
/* size bytes, zeroed, aligned for anything. NULL: no memory. */
void *arena_alloc(struct arena *, size_t size);
/* A copy of n bytes with a NUL behind. */
char *arena_strndup(struct arena *, const char *, size_t n);
char *arena_strdup(struct arena *, const char *);
char *arena_format(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
