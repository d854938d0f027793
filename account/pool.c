#include "config.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "account/account.h"
#include "common/str.h"

#define CHUNK_SIZE 4000

/* A piece of an account's pool; texts in it never move. */
struct account_chunk {
	struct account_chunk *next;
	size_t size, used;
	alignas(max_align_t) char data[];
};

void
account_init(struct account *a, const char *name)
{
	memset(a, 0, sizeof *a);
	(void)str_copy(a->name, sizeof a->name, name);
	a->uid = ACCOUNT_ID_NONE;
	a->gid = (gid_t)-1;
	a->dialect_uid = -1;
	a->enabled = true;
	a->values_end = &a->values;
}

void
account_free(struct account *a)
{
	struct account_chunk *c, *next;

	for (c = a->pool; c != NULL; c = next) {
		next = c->next;
		explicit_bzero(c->data, c->used);
		free(c);
	}
	memset(a, 0, sizeof *a);
	a->values_end = &a->values;
}

void *
account_alloc(struct account *a, size_t n)
{
	struct account_chunk *c = a->pool;
	size_t need = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	void *p;

	if (need < n)
		return NULL;
	if (c == NULL || need > c->size - c->used) {
		size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;

		c = malloc(sizeof *c + size);
		if (c == NULL)
			return NULL;
		c->size = size;
		c->used = 0;
		c->next = a->pool;
		a->pool = c;
	}
	p = c->data + c->used;
	c->used += need;
	return memset(p, 0, n);
}

const char *
account_keep(struct account *a, const char *text)
{
	size_t n;
	char *p;

	if (text == NULL)
		return NULL;
	n = strlen(text) + 1;
	p = account_alloc(a, n);
	return p == NULL ? NULL : memcpy(p, text, n);
}

int
account_add_value(struct account *a, const char *key, const char *value, const char *origin, unsigned line)
{
	struct account_value *v = account_alloc(a, sizeof *v);

	if (v == NULL)
		return -ENOMEM;
	v->key = account_keep(a, key);
	v->value = account_keep(a, value);
	v->origin = account_keep(a, origin);
	v->line = line;
	if (v->key == NULL || v->value == NULL || (origin != NULL && v->origin == NULL))
		return -ENOMEM;
	*a->values_end = v;
	a->values_end = &v->next;
	return 0;
}
