#include "config.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"

#define CHUNK_SIZE 4096

struct chunk {
	struct chunk *next;
	size_t size, used;
	alignas(max_align_t) char data[];
};

struct arena {
	struct chunk *first;
};

struct arena *
arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	while (a->first != NULL) {
		struct chunk *c = a->first;

		a->first = c->next;
		explicit_bzero(c->data, c->used);
		free(c);
	}
	free(a);
}

/* A chunk with room for size bytes at the head of the list. */
static struct chunk *
chunk_for(struct arena *a, size_t size)
{
	struct chunk *c = a->first;
	size_t room = size > CHUNK_SIZE - sizeof *c ? size : CHUNK_SIZE - sizeof *c;

	if (c != NULL && size <= c->size - c->used)
		return c;
	if (room > SIZE_MAX - sizeof *c || (c = calloc(1, sizeof *c + room)) == NULL)
		return NULL;
	c->size = room;
	c->next = a->first;
	a->first = c;
	return c;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct chunk *c;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	c = chunk_for(a, size);
	if (c == NULL)
		return NULL;
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p != NULL && n > 0)
		memcpy(p, s, n);
	return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_format(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = arena_alloc(a, (size_t)n + 1)) == NULL)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
