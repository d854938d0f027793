/*
 * What sallyctl asks of the pool: who is served, and the end of some.
 */
#include "config.h"

#include <string.h>

#include "common/clock.h"
#include "common/str.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"

static void
facts_of(const struct session *n, struct session_facts *f)
{
	const struct service *v = n->service;

	*f = (struct session_facts){
		.number = v->number, .user = v->user, .class = v->class, .listener = v->listener, .peer = &v->peer,
		.logged_in = v->claimed, .since = v->since, .idle_ms = clock_ms() - v->last_report, .what = v->what,
		.blocked = v->blocked, .bytes_in = v->bytes_in, .bytes_out = v->bytes_out,
	};
	for (int m = 0; m < MEMBER_COUNT; m++)
		f->pid[m] = n->process[m].pid;
}

void
pool_each(const struct server *s, void (*f)(void *, const struct session_facts *), void *context)
{
	const struct session *n;

	TAILQ_FOREACH(n, pool_list(s, SESSION_BUSY), link) {
		struct session_facts facts;

		facts_of(n, &facts);
		f(context, &facts);
	}
}

static bool
is_meant(const struct session *n, const char *which)
{
	const struct service *v = n->service;
	char text[ADDR_TEXT_MAX];

	if (strcmp(v->user, which) == 0 || strcmp(addr_host(text, &v->peer), which) == 0)
		return true;
	return strcmp(session_id(text, v->number), which) == 0;
}

unsigned
pool_kick(struct server *s, const char *which, const char *text)
{
	struct session *n, *next;
	unsigned count = 0;

	TAILQ_FOREACH_SAFE(n, pool_list(s, SESSION_BUSY), link, next)
		if (is_meant(n, which)) {
			session_stop(n, text, n->stopped == STOP_NOT ? STOP_SOON : STOP_NOW);
			count++;
		}
	return count;
}

bool
pool_spare_pids(const struct server *s, pid_t pid[MEMBER_COUNT])
{
	const struct session *n = TAILQ_FIRST(pool_list(s, SESSION_SPARE));

	if (n == NULL)
		return false;
	for (int m = 0; m < MEMBER_COUNT; m++)
		pid[m] = n->process[m].pid;
	return true;
}
