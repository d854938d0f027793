/*
 * The end of many sessions: in turns, so that the machine can follow.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/str.h"
#include "daemon/listener/pool_inside.h"
#include "daemon/listener/server.h"

#define TURN_MS		10
#define TURN_MOST	16	/* sessions that are told to end in one turn */
#define ENDING_MOST	64	/* sessions that are ending at the same time */

struct ending {
	struct event turn;
	char text[257];
	enum stop_level level;	/* STOP_NOT: nobody is told any more */
	enum sp_end why;
	bool kill;
};

/* Sessions whose processes still have something to do before they are gone. */
static unsigned
ending_now(const struct server *s)
{
	const struct session *n;
	unsigned count = 0;

	TAILQ_FOREACH(n, pool_list(s, SESSION_ENDING), link)
		count += !session_is_given_up(n);
	return count;
}

/* True when some are left for the next turn. */
static bool
tell_some(struct server *s)
{
	struct ending *x = s->pool->ending;
	struct session *n, *next;
	unsigned left = ending_now(s) < ENDING_MOST ? TURN_MOST : 0;

	TAILQ_FOREACH_SAFE(n, pool_list(s, SESSION_BUSY), link, next) {
		enum stop_level level = n->service->blocked && x->level < STOP_SOON ? STOP_SOON : x->level;

		if (n->stopped >= level)
			continue;
		if (left-- == 0)
			return true;
		session_stop(n, x->text, level, x->why);
	}
	return false;
}

static bool
kill_some(struct server *s)
{
	struct session *n, *next;
	unsigned killed = 0;

	TAILQ_FOREACH(n, pool_list(s, SESSION_ENDING), link)
		killed += n->given_up != 0 && !session_is_given_up(n);
	for (int i = 0; i < SESSION_STATES; i++)
		TAILQ_FOREACH_SAFE(n, pool_list(s, (enum session_state)i), link, next) {
			if (n->given_up != 0)
				continue;
			if (killed++ >= ENDING_MOST)
				return true;
			session_end(n);
			session_kill(n, true);
		}
	return false;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, TURN_MS * 1000 };
	struct server *s = arg;
	struct ending *x = s->pool->ending;
	bool more = x->kill ? kill_some(s) : x->level != STOP_NOT && tell_some(s);

	(void)fd, (void)what;
	if (more)
		evtimer_add(&x->turn, &soon);
}

static struct ending *
begin(struct server *s)
{
	struct pool *p = s->pool;

	if (p->ending == NULL && (p->ending = calloc(1, sizeof *p->ending)) != NULL)
		evtimer_assign(&p->ending->turn, s->base, on_turn, s);
	return p->ending;
}

void
pool_end_all(struct server *s, const char *text, bool now, enum sp_end why)
{
	struct ending *x = begin(s);
	enum stop_level level = now ? STOP_NOW : STOP_IN_ORDER;

	if (x == NULL)
		return;
	if (x->level < level)
		x->level = level;
	x->why = why;
	(void)str_copy(x->text, sizeof x->text, text);
	on_turn(-1, 0, s);
}

bool
pool_tells(const struct server *s)
{
	const struct ending *x = s->pool->ending;

	return x != NULL && !x->kill && evtimer_pending(&x->turn, NULL);
}

void
pool_end_none(struct server *s)
{
	if (s->pool->ending != NULL && !s->stopping)
		s->pool->ending->level = STOP_NOT;
}

void
pool_kill_all(struct server *s)
{
	struct ending *x = begin(s);

	if (x == NULL)
		return;
	x->kill = true;
	on_turn(-1, 0, s);
	pool_tick_in(s, 0);
}
