/*
 * What sallyctl asks of the pool: who is served, and the end of some.
 */
#include "config.h"

#include <string.h>

#include "common/clock.h"
#include "common/str.h"
#include "daemon/listener/elsewhere.h"
#include "daemon/listener/link.h"
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
		.blocked = v->blocked, .ending = n->stopped != STOP_NOT,
		.bytes_in = v->bytes_in, .bytes_out = v->bytes_out,
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
	elsewhere_each(s, f, context);
}

static bool
is_meant(const char *which, uint64_t number, const char *user, const struct addr *peer)
{
	char text[ADDR_TEXT_MAX];

	if (strcmp(user, which) == 0 || strcmp(addr_host(text, peer), which) == 0)
		return true;
	return strcmp(session_id(text, number), which) == 0;
}

struct kick {
	struct server *server;
	const char *which, *text;
	unsigned count;
};

static void
kick_elsewhere(void *context, const struct session_facts *f)
{
	struct kick *k = context;
	struct msg_link_kick m = { .session = f->number };

	if (!is_meant(k->which, f->number, f->user, f->peer))
		return;
	(void)str_copy(m.text, sizeof m.text, k->text);
	link_tell(k->server->older, MSG_LINK_KICK, &m, -1);
	k->count++;
}

unsigned
pool_kick(struct server *s, const char *which, const char *text)
{
	struct kick k = { .server = s, .which = which, .text = text };
	struct session *n, *next;

	TAILQ_FOREACH_SAFE(n, pool_list(s, SESSION_BUSY), link, next)
		if (is_meant(which, n->service->number, n->service->user, &n->service->peer)) {
			session_stop(n, text, n->stopped == STOP_NOT ? STOP_SOON : STOP_NOW, SP_END_KICKED);
			k.count++;
		}
	elsewhere_each(s, kick_elsewhere, &k);
	return k.count;
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
