#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/listener/crowd.h"

#define CHAINS	1024
#define RANKS	256	/* sources with more members than this count as equally large */

TAILQ_HEAD(member_list, crowd_member);
TAILQ_HEAD(source_list, crowd_source);

struct crowd_source {
	struct crowd_source *next;		/* in its chain */
	TAILQ_ENTRY(crowd_source) link;		/* in its rank */
	struct addr_net net;
	unsigned count;
	struct member_list members;		/* the oldest first */
};

struct crowd {
	uint64_t seed;
	unsigned count;
	struct crowd_source *chain[CHAINS];
	struct source_list rank[RANKS];		/* by number of members */
};

struct crowd *
crowd_new(void)
{
	struct crowd *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < RANKS; i++)
		TAILQ_INIT(&c->rank[i]);
	if (getrandom(&c->seed, sizeof c->seed, 0) != sizeof c->seed)
		c->seed = (uint64_t)(uintptr_t)c;
	return c;
}

void
crowd_free(struct crowd *c)
{
	free(c);
}

static size_t
rank_of(const struct crowd_source *s)
{
	return s->count < RANKS ? s->count : RANKS - 1;
}

static struct crowd_source **
place_of(struct crowd *c, const struct addr_net *net)
{
	struct crowd_source **at = &c->chain[addr_net_hash(net, c->seed) % CHAINS];

	while (*at != NULL && !addr_net_same(&(*at)->net, net))
		at = &(*at)->next;
	return at;
}

/* A source of another size stands behind those that have had it for longer. */
static void
resize(struct crowd *c, struct crowd_source *s, int by)
{
	if (s->count > 0)
		TAILQ_REMOVE(&c->rank[rank_of(s)], s, link);
	s->count = (unsigned)((int)s->count + by);
	c->count = (unsigned)((int)c->count + by);
	if (s->count > 0)
		TAILQ_INSERT_TAIL(&c->rank[rank_of(s)], s, link);
}

int
crowd_enter(struct crowd *c, struct crowd_member *m, const struct addr *a, int64_t now)
{
	struct addr_net net = addr_bucket(a);
	struct crowd_source **at = place_of(c, &net), *s = *at;

	if (s == NULL) {
		s = calloc(1, sizeof *s);
		if (s == NULL)
			return -ENOMEM;
		s->net = net;
		TAILQ_INIT(&s->members);
		*at = s;
	}
	resize(c, s, 1);
	TAILQ_INSERT_TAIL(&s->members, m, link);
	m->source = s;
	m->crowd = c;
	m->since = now;
	return 0;
}

void
crowd_leave(struct crowd_member *m)
{
	struct crowd_source *s = m->source, **at;
	struct crowd *c = m->crowd;

	if (s == NULL)
		return;
	TAILQ_REMOVE(&s->members, m, link);
	resize(c, s, -1);
	memset(m, 0, sizeof *m);
	if (s->count > 0)
		return;
	at = place_of(c, &s->net);
	*at = s->next;
	free(s);
}

void
crowd_replace(struct crowd_member *old, struct crowd_member *by)
{
	if (old->source == NULL)
		return;
	*by = *old;
	TAILQ_INSERT_AFTER(&old->source->members, old, by, link);
	TAILQ_REMOVE(&old->source->members, old, link);
	memset(old, 0, sizeof *old);
}

unsigned
crowd_count(const struct crowd *c)
{
	return c->count;
}

unsigned
crowd_of(const struct crowd *c, const struct addr *a)
{
	struct addr_net net = addr_bucket(a);
	const struct crowd_source *s = *place_of((struct crowd *)(uintptr_t)c, &net);

	return s == NULL ? 0 : s->count;
}

static const struct crowd_source *
largest(const struct crowd *c)
{
	for (size_t i = RANKS - 1; c->count > 0 && i > 0; i--)
		if (!TAILQ_EMPTY(&c->rank[i]))
			return TAILQ_FIRST(&c->rank[i]);
	return NULL;
}

struct crowd_member *
crowd_eldest(const struct crowd *c)
{
	const struct crowd_source *s = largest(c);

	return s == NULL ? NULL : TAILQ_FIRST(&s->members);
}

struct crowd_member *
crowd_gives_way(const struct crowd *c, unsigned own)
{
	const struct crowd_source *s = largest(c);

	if (s == NULL || (own > 0 && s->count < own + 2))
		return NULL;
	return TAILQ_FIRST(&s->members);
}
