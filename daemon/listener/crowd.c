#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/listener/crowd.h"

#define CHAINS	1024
#define RANKS	512	/* heavier sources than this count as equally heavy */
#define IDLE	2	/* weight of a client that keeps us waiting */
#define CHECKED	1	/* of one that waits for us */
#define SUSPECT	2	/* of a failed login */

TAILQ_HEAD(member_list, crowd_member);
TAILQ_HEAD(source_list, crowd_source);

struct crowd_source {
	struct crowd_source *next;		/* in its chain */
	TAILQ_ENTRY(crowd_source) link;		/* in its rank */
	struct addr_net net;
	unsigned count, checked;
	bool suspect;
	struct member_list members;		/* those who keep us waiting, the oldest first; then the checked, the latest first */
};

struct crowd {
	uint64_t seed;
	unsigned count;
	struct crowd_source *chain[CHAINS];
	struct source_list rank[RANKS];		/* by weight */
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
	unsigned weight = IDLE * (s->count - s->checked) + CHECKED * s->checked + (s->suspect ? SUSPECT : 0);

	return weight < RANKS ? weight : RANKS - 1;
}

static struct crowd_source **
place_of(struct crowd *c, const struct addr_net *net)
{
	struct crowd_source **at = &c->chain[addr_net_hash(net, c->seed) % CHAINS];

	while (*at != NULL && !addr_net_same(&(*at)->net, net))
		at = &(*at)->next;
	return at;
}

/* A source is taken from its rank, changed, and ranked again: behind those that have had that weight for longer. */
static void
unrank(struct crowd *c, struct crowd_source *s)
{
	if (s->count > 0)
		TAILQ_REMOVE(&c->rank[rank_of(s)], s, link);
}

static void
rank(struct crowd *c, struct crowd_source *s)
{
	if (s->count > 0)
		TAILQ_INSERT_TAIL(&c->rank[rank_of(s)], s, link);
}

static struct crowd_member *
first_checked(const struct crowd_source *s)
{
	struct crowd_member *m;

	TAILQ_FOREACH(m, &s->members, link)
		if (m->checked)
			return m;
	return NULL;
}

static void
insert(struct crowd_source *s, struct crowd_member *m)
{
	struct crowd_member *before = s->checked == 0 ? NULL : first_checked(s);

	if (before != NULL)
		TAILQ_INSERT_BEFORE(before, m, link);
	else
		TAILQ_INSERT_TAIL(&s->members, m, link);
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
	unrank(c, s);
	s->count++;
	c->count++;
	rank(c, s);
	m->checked = false;
	insert(s, m);
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
	unrank(c, s);
	s->count--;
	s->checked -= m->checked;
	c->count--;
	rank(c, s);
	memset(m, 0, sizeof *m);
	if (s->count > 0)
		return;
	at = place_of(c, &s->net);
	*at = s->next;
	free(s);
}

void
crowd_checked(struct crowd_member *m, bool now)
{
	struct crowd_source *s = m->source;

	if (s == NULL || m->checked == now)
		return;
	unrank(m->crowd, s);
	TAILQ_REMOVE(&s->members, m, link);
	if (!now)
		s->checked--;
	insert(s, m);
	m->checked = now;
	if (now)
		s->checked++;
	rank(m->crowd, s);
}

void
crowd_suspect(struct crowd_member *m)
{
	if (m->source == NULL || m->source->suspect)
		return;
	unrank(m->crowd, m->source);
	m->source->suspect = true;
	rank(m->crowd, m->source);
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
heaviest(const struct crowd *c)
{
	for (size_t i = RANKS - 1; c->count > 0 && i > 0; i--)
		if (!TAILQ_EMPTY(&c->rank[i]))
			return TAILQ_FIRST(&c->rank[i]);
	return NULL;
}

struct crowd_member *
crowd_eldest(const struct crowd *c)
{
	const struct crowd_source *s = heaviest(c);

	return s == NULL ? NULL : TAILQ_FIRST(&s->members);
}

struct crowd_member *
crowd_gives_way(const struct crowd *c, unsigned own, bool suspect)
{
	const struct crowd_source *s = heaviest(c);
	size_t weight = IDLE * own + (suspect ? SUSPECT : 0);
	struct crowd_member *m;

	if (s == NULL)
		return NULL;
	m = TAILQ_FIRST(&s->members);
	/* With it, the newcomer's source weighs that much more, and the other less. */
	if (rank_of(s) < weight + IDLE + (own == 0 ? 0U : m->checked ? CHECKED : IDLE))
		return NULL;
	return m;
}
