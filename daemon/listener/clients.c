/*
 * Clients and the sessions they get: those who wait for one, those who give
 * way to others, and what is settled when they have gone.
 */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/elsewhere.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/pool_inside.h"
#include "daemon/listener/selftest.h"
#include "daemon/listener/server.h"
#include "daemon/listener/tell.h"

#define WAIT_LIMIT	10000	/* ms a client waits for a session to be forked */

#define TOO_BUSY	"The server is too busy; try again later."

unsigned
pool_clients(const struct server *s)
{
	return s->pool->clients + elsewhere_clients(s);
}

/* ------------------------------------------------------------------ those who wait */

static void
drop_waiting(struct server *s, struct waiting *w)
{
	TAILQ_REMOVE(&s->pool->waiting, w, link);
	s->pool->waiting_count--;
	crowd_leave(&w->member);
	free(w);
}

/* Nobody serves it, and nobody will. */
static void
give_up(struct server *s, struct waiting *w, const char *reason, const char *text)
{
	admission_refuse(s, w->fd, w->listener, &w->peer, reason, text);
	admission_left(s, w->listener, &w->peer);
	s->pool->clients--;
	drop_waiting(s, w);
}

void
pool_hand_over(struct server *s)
{
	struct waiting *w, *next;

	TAILQ_FOREACH_SAFE(w, &s->pool->waiting, link, next) {
		/* Told is taken, whatever becomes of it there. */
		if (!tell_client(s, w->fd, w->listener, &w->peer, &w->local))
			return;
		admission_left(s, w->listener, &w->peer);
		s->pool->clients--;
		drop_waiting(s, w);
	}
}

/* Gives the client to a spare. NULL: there is none. */
static struct session *
serve(struct server *s, int fd, const char *listener, const struct addr *peer, const struct addr *local)
{
	struct pool *p = s->pool;
	struct session *n;

	if (keeper_awaited(s))
		return NULL;
	while ((n = TAILQ_FIRST(&p->list[SESSION_SPARE])) != NULL) {
		int r;

		/* What was killed a moment ago is said when it is reaped. */
		if (!session_is_whole(n)) {
			session_end(n);
			continue;
		}
		r = session_serve(n, fd, p->next_number + 1, listener, peer, local);

		if (r != 0) {
			log_problem(EVENT_SPARE_LOST, "monitor", r);
			session_end(n);
			continue;
		}
		p->next_number++;
		if (strcmp(listener, SELFTEST_LISTENER) != 0)
			s->sessions_served++;
		pace_worked(&p->pace, n->born);
		pool_move(n, SESSION_BUSY);
		close(fd);
		return n;
	}
	return NULL;
}

void
pool_serve_waiting(struct server *s)
{
	struct waiting *w, *next;

	TAILQ_FOREACH_SAFE(w, &s->pool->waiting, link, next) {
		struct session *n = serve(s, w->fd, w->listener, &w->peer, &w->local);

		if (n == NULL)
			return;
		crowd_replace(&w->member, &n->service->member);
		n->service->member.session = n;
		drop_waiting(s, w);
	}
}

void
pool_end_waiting(struct server *s, int64_t now, const char *text)
{
	struct waiting *w, *next;

	TAILQ_FOREACH_SAFE(w, &s->pool->waiting, link, next) {
		if (w->deadline <= now)
			give_up(s, w, now == INT64_MAX ? "stopping" : "no_session_in_time", text);
	}
}

/* Who has failed to log in lately waits behind those who have not. */
static void
stand_in_line(struct pool *p, struct waiting *w)
{
	struct waiting *behind = NULL;

	if (!w->suspect)
		TAILQ_FOREACH(behind, &p->waiting, link)
			if (behind->suspect)
				break;
	if (behind != NULL)
		TAILQ_INSERT_BEFORE(behind, w, link);
	else
		TAILQ_INSERT_TAIL(&p->waiting, w, link);
	p->waiting_count++;
}

/* Clients came faster than sessions: keep more spares for a while. */
static void
grow(struct server *s)
{
	struct pool *p = s->pool;
	unsigned max = (unsigned)s->settings->spare_sessions_max;

	p->shortage = clock_ms();
	if (p->wanted < (unsigned)s->settings->spare_sessions_min)
		p->wanted = (unsigned)s->settings->spare_sessions_min;
	p->wanted = p->wanted * 2 + 1 > max ? max : p->wanted * 2 + 1;
}

void
pool_client(struct server *s, int fd, const char *listener, const struct addr *peer, const struct addr *local)
{
	struct pool *p = s->pool;
	struct waiting *w;
	struct session *n = p->waiting_count == 0 ? serve(s, fd, listener, peer, local) : NULL;

	p->clients++;
	if (n != NULL) {
		admission_unknown(s, &n->service->member, listener, peer);
		n->service->member.session = n;
		pool_fill(s);
		return;
	}
	grow(s);
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		p->clients--;
		admission_left(s, listener, peer);
		admission_refuse(s, fd, listener, peer, "no_memory", TOO_BUSY);
		return;
	}
	w->fd = fd;
	w->deadline = clock_ms() + WAIT_LIMIT;
	w->peer = *peer;
	w->local = *local;
	(void)str_copy(w->listener, sizeof w->listener, listener);
	w->suspect = srclimit_is_suspect(s->sources, peer, clock_ms());
	stand_in_line(p, w);
	admission_unknown(s, &w->member, listener, peer);
	pool_tick_in(s, 1000);
	pool_fill(s);
}

/* --------------------------------------------------------------- those who give way */

static void
penalise(struct session *n, int64_t seconds)
{
	struct server *s = n->server;
	struct srclimit_rules rules = server_rules(s, n->service->listener);

	tell_penalty(n, seconds * 1000);
	srclimit_penalise(s->sources, &rules, &n->service->peer, seconds * 1000, clock_ms());
}

void
pool_drop(struct server *s, struct crowd_member *m)
{
	struct session *n = m->session;

	if (m->away) {
		elsewhere_drop(s, m);
		return;
	}
	if (n == NULL) {
		give_up(s, (struct waiting *)(void *)((char *)m - offsetof(struct waiting, member)), "gave_way", TOO_BUSY);
		return;
	}
	/* Holding a connection open without logging in is as bad as a wrong password. */
	if (admission_was_silent(m))
		penalise(n, s->settings->penalty_failure);
	admission_dropped(s, n->service->listener, &n->service->peer, "gave_way");
	pool_release(n);
	session_stop(n, GAVE_WAY, STOP_NOW, SP_END_GAVE_WAY);
}

/*
 * Nobody logs in by rules that are no longer there.  A login that is being looked at is refused by its claim
 * (got_claim()): whoever was released gets none.
 */
void
pool_end_gone(struct server *s)
{
	struct waiting *w, *next;
	struct session *n, *after;

	TAILQ_FOREACH_SAFE(w, &s->pool->waiting, link, next)
		if (section_is_gone(s, w->listener))
			give_up(s, w, "listener_removed", SECTION_GONE);
	TAILQ_FOREACH_SAFE(n, &s->pool->list[SESSION_BUSY], link, after) {
		struct service *v = n->service;

		if (v->claimed || v->released || !section_is_gone(s, v->listener))
			continue;
		admission_dropped(s, v->listener, &v->peer, "listener_removed");
		pool_release(n);
		session_stop(n, SECTION_GONE, STOP_NOW, SP_END_REMOVED);
	}
}

/* ---------------------------------------------------------------------- the end */

void
pool_release(struct session *n)
{
	struct server *s = n->server;
	struct service *v = n->service;

	if (v == NULL || v->released)
		return;
	v->released = true;
	tell_end(n);
	s->pool->clients--;
	crowd_leave(&v->member);
	admission_left(s, v->listener, &v->peer);
	if (v->claimed)
		claim_release(s->claims, v->user, v->class);
}

/*
 * REIN: now that no process has the connection any more and its slots are free, it is one that has just come.  Not
 * after a crash, nor when the administrator wants the client to go.
 */
static void
serve_again(struct session *n)
{
	struct service *v = n->service;
	int fd = v->back_fd;

	v->back_fd = -1;
	if (n->crashed || n->protocol_broken)
		close(fd);
	else if (n->stopped != STOP_NOT)
		admission_refuse(n->server, fd, v->listener, &v->peer, "kick", "The server ends this session.");
	else if (!tell_client(n->server, fd, v->listener, &v->peer, &v->local))
		doors_return(n->server, fd, v->listener, &v->peer, &v->local);
}

void
pool_account_for(struct session *n)
{
	struct server *s = n->server;
	bool bad = n->crashed || n->protocol_broken;

	if (bad) {
		s->crashes++;
		templates_renew(s, "crash");
	}
	if (n->service == NULL)
		return;
	if (bad)
		penalise(n, s->settings->penalty_crash);
	/* Not to log in within the time is as bad as a wrong password. */
	if (n->exit_code == SP_EXIT_GRACE)
		penalise(n, s->settings->penalty_failure);
	if (n->lingers)
		claim_linger_end(s->claims, n->service->user);
	pool_release(n);
	if (n->service->quiet && !n->service->claimed)
		admission_stranger(s, n->service->listener, &n->service->peer);
	if (n->service->back_fd >= 0)
		serve_again(n);
}
