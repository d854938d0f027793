#include "config.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
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
}

void
account_free(struct account *a)
{
	struct account_chunk *c, *next;

	if (a->resolved != NULL)
		conf_resolved_free(a->resolved);
	for (c = a->pool; c != NULL; c = next) {
		next = c->next;
		explicit_bzero(c->data, c->used);
		free(c);
	}
	memset(a, 0, sizeof *a);
}

static bool
is_ours(const struct account *a, const char *text)
{
	for (const struct account_chunk *c = a->pool; c != NULL; c = c->next)
		if ((uintptr_t)text >= (uintptr_t)c->data && (uintptr_t)text < (uintptr_t)(c->data + c->used))
			return true;
	return false;
}

/* The text is a copy made for this account alone. */
static void
wipe(const char *text)
{
	explicit_bzero((char *)(uintptr_t)text, strlen(text));
}

void
account_forget_password(struct account *a)
{
	if (a->verifier != NULL && is_ours(a, a->verifier))
		wipe(a->verifier);
	a->verifier = NULL;
	a->verifier_kind = VERIFY_NEVER;
	for (size_t i = 0; i < a->pair_count; i++) {
		if (strcmp(a->pairs[i].key, "password") != 0)
			continue;
		wipe(a->pairs[i].value);
		/* Settings of a pair are copies as well; those of a section are everybody's. */
		if (a->settled && a->resolved->s.password != NULL)
			wipe(a->resolved->s.password);
	}
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
account_add_pair(struct account *a, const char *key, const char *value)
{
	if (a->pair_count == a->pair_room) {
		size_t room = a->pair_room == 0 ? 16 : 2 * a->pair_room;
		struct conf_pair *more = account_alloc(a, room * sizeof *more);

		if (more == NULL)
			return -ENOMEM;
		if (a->pair_count > 0)
			memcpy(more, a->pairs, a->pair_count * sizeof *more);
		a->pairs = more;
		a->pair_room = room;
	}
	key = account_keep(a, key);
	value = account_keep(a, value);
	if (key == NULL || value == NULL)
		return -ENOMEM;
	a->pairs[a->pair_count++] = (struct conf_pair){ key, value };
	return 0;
}
