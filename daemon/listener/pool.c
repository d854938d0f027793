#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/reaper.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"

#define WAIT_LIMIT	10000	/* ms a client waits for a session to be forked */
#define STARTING_MAX	4	/* sessions being forked at the same time */
#define START_LIMIT	15000	/* ms a session may take to report ready */
#define DELAY_FIRST	1000	/* ms without starts after a session died before use; doubles */
#define DELAY_LAST	60000
#define GATHER_MS	4	/* ms that sessions are left to be forked together, while there are enough */
#define SHRINK_EVERY	10000	/* ms without shortage until one spare less is kept */

/* A client for whom there is no session yet. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	int fd;
	int64_t deadline;
	struct addr peer, local;
	char listener[65];
};

struct pool {
	struct session_list list[SESSION_STATES];
	unsigned count[SESSION_STATES];
	TAILQ_HEAD(, waiting) waiting;
	unsigned waiting_count;
	unsigned wanted;		/* spares, between the configured minimum and maximum */
	int64_t shortage;		/* when a client last had to wait */
	uint64_t next_serial, next_number;
	int64_t delay, not_before;	/* start throttle */
	struct event tick, soon;
};

static void on_tick(evutil_socket_t, short, void *);
static void on_soon(evutil_socket_t, short, void *);

int
pool_start(struct server *s)
{
	struct pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		return -ENOMEM;
	for (int i = 0; i < SESSION_STATES; i++)
		TAILQ_INIT(&p->list[i]);
	TAILQ_INIT(&p->waiting);
	p->delay = DELAY_FIRST;
	/* Numbers stand in logs that live longer than one run of the server. */
	p->next_number = (uint64_t)s->started << 8 & UINT64_C(0xffffffffff);
	s->pool = p;
	if (reaper_start(s, session_process_gone) != 0)
		return -ENOMEM;
	evtimer_assign(&p->tick, s->base, on_tick, s);
	evtimer_assign(&p->soon, s->base, on_soon, s);
	return 0;
}

unsigned
pool_busy(const struct server *s)
{
	return s->pool->count[SESSION_BUSY];
}

unsigned
pool_ending(const struct server *s)
{
	return s->pool->count[SESSION_ENDING];
}

unsigned
pool_spares(const struct server *s)
{
	return s->pool->count[SESSION_SPARE];
}

unsigned
pool_left(const struct server *s)
{
	unsigned n = 0;

	for (int i = 0; i < SESSION_STATES; i++)
		n += s->pool->count[i];
	return n;
}

unsigned
pool_waiting(const struct server *s)
{
	return s->pool->waiting_count;
}

struct session_list *
pool_list(const struct server *s, enum session_state state)
{
	return &s->pool->list[state];
}

static void
move(struct session *n, enum session_state to)
{
	struct pool *p = n->server->pool;

	TAILQ_REMOVE(&p->list[n->state], n, link);
	p->count[n->state]--;
	n->state = to;
	TAILQ_INSERT_TAIL(&p->list[to], n, link);
	p->count[to]++;
}

static void
arm_tick(struct server *s, int64_t ms)
{
	struct timeval in = { ms / 1000, (ms % 1000) * 1000 };

	evtimer_add(&s->pool->tick, &in);
}

/* ------------------------------------------------------------------- starting */

static bool
may_start(struct server *s)
{
	const struct pool *p = s->pool;

	return !s->stopping && templates_ready(s) && !keeper_awaited(s) && p->count[SESSION_STARTING] < STARTING_MAX &&
	    clock_ms() >= p->not_before;
}

static unsigned
missing(const struct server *s)
{
	const struct pool *p = s->pool;
	unsigned want = p->wanted > p->waiting_count ? p->wanted : p->waiting_count;
	unsigned have = p->count[SESSION_SPARE] + p->count[SESSION_STARTING];

	if (want < (unsigned)s->settings->spare_sessions_min)
		want = (unsigned)s->settings->spare_sessions_min;
	if (s->options->inetd)
		want = s->ready ? p->waiting_count : 1;
	return want > have ? want - have : 0;
}

static void
throttle(struct server *s)
{
	struct pool *p = s->pool;

	p->not_before = clock_ms() + p->delay;
	log_problem(LOG_LEVEL_ERROR, "start-throttled", "sessions die before they are used", 0);
	p->delay = p->delay * 2 > DELAY_LAST ? DELAY_LAST : p->delay * 2;
	arm_tick(s, 500);
}

static void
fill_now(struct server *s)
{
	struct pool *p = s->pool;

	while (missing(s) > 0 && may_start(s)) {
		struct session *n = session_start(s, ++p->next_serial);

		if (n == NULL) {
			if (!keeper_awaited(s))
				throttle(s);
			return;
		}
		n->state = SESSION_STARTING;
		TAILQ_INSERT_TAIL(&p->list[SESSION_STARTING], n, link);
		p->count[SESSION_STARTING]++;
	}
	if (missing(s) > 0 || p->count[SESSION_STARTING] > 0)
		arm_tick(s, 1000);
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	fill_now(arg);
}

/*
 * After what is at hand: a client that has just got its session need not wait for the next one to be forked. While
 * there is no crowd and half of the spares are left, those that are missing are forked together: a template that is
 * awake forks cheaper.
 */
void
pool_fill(struct server *s)
{
	static const struct timeval at_once = { 0, 0 }, together = { 0, GATHER_MS * 1000 };
	struct pool *p = s->pool;
	unsigned least = (unsigned)s->settings->spare_sessions_min;

	if (missing(s) == 0)
		return;
	if (p->wanted > least || p->waiting_count > 0 || p->count[SESSION_SPARE] < (least + 1) / 2)
		evtimer_add(&p->soon, &at_once);
	else if (!evtimer_pending(&p->soon, NULL))
		evtimer_add(&p->soon, &together);
}

static struct session *
find_serial(struct server *s, uint64_t serial)
{
	static const enum session_state where[] = { SESSION_STARTING, SESSION_ENDING };
	struct session *n;

	for (size_t i = 0; i < 2; i++)
		TAILQ_FOREACH(n, &s->pool->list[where[i]], link)
			if (n->serial == serial)
				return n;
	return NULL;
}

/* A process whose session is gone already: it ends by itself, its channels being closed, and is reaped like others. */
static void
adopt(struct server *s, enum member m, pid_t pid, int pid_fd)
{
	struct session *n = session_adopt(s, m, pid, pid_fd);

	if (n == NULL)
		return;
	TAILQ_INSERT_TAIL(&s->pool->list[SESSION_ENDING], n, link);
	s->pool->count[SESSION_ENDING]++;
	arm_tick(s, 1000);
}

void
pool_spawned(struct server *s, enum member m, uint64_t serial, pid_t pid, int pid_fd)
{
	struct session *n = find_serial(s, serial);

	if (n != NULL && n->process[m].pid_fd < 0) {
		session_forked(n, m, pid, pid_fd);
		return;
	}
	adopt(s, m, pid, pid_fd);
}

void
pool_spawn_failed(struct server *s, uint64_t serial, int error)
{
	struct session *n = find_serial(s, serial);

	log_problem(LOG_LEVEL_ERROR, "fork-failed", "session process", error);
	throttle(s);
	if (n != NULL)
		session_end(n);
}

/* ------------------------------------------------------------------ clients */

static void
refuse(struct server *s, int fd, const char *listener, const char *text)
{
	s->sessions_refused++;
	doors_refuse(s, fd, listener, text);
}

static void
drop_waiting(struct server *s, struct waiting *w)
{
	TAILQ_REMOVE(&s->pool->waiting, w, link);
	s->pool->waiting_count--;
	free(w);
}

/* Gives the client to a spare. false: there is none. */
static bool
serve(struct server *s, int fd, const char *listener, const struct addr *peer, const struct addr *local)
{
	struct pool *p = s->pool;
	struct session *n;

	if (keeper_awaited(s))
		return false;
	while ((n = TAILQ_FIRST(&p->list[SESSION_SPARE])) != NULL) {
		int r = session_serve(n, fd, p->next_number + 1, listener, peer, local);

		if (r != 0) {
			log_problem(LOG_LEVEL_WARNING, "spare-lost", "monitor", r);
			session_end(n);
			continue;
		}
		p->next_number++;
		s->sessions_served++;
		move(n, SESSION_BUSY);
		close(fd);
		return true;
	}
	return false;
}

/* A session has become a spare: who has waited longest gets it. */
static void
serve_waiting(struct server *s)
{
	struct waiting *w, *next;

	TAILQ_FOREACH_SAFE(w, &s->pool->waiting, link, next) {
		if (!serve(s, w->fd, w->listener, &w->peer, &w->local))
			return;
		drop_waiting(s, w);
	}
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

	if (p->waiting_count == 0 && serve(s, fd, listener, peer, local)) {
		pool_fill(s);
		return;
	}
	grow(s);
	w = calloc(1, sizeof *w);
	if (w == NULL || p->waiting_count >= (unsigned)s->settings->max_sessions) {
		free(w);
		srclimit_leave(s->sources, peer);
		doors_left(s, listener);
		refuse(s, fd, listener, "The server is too busy; try again later.");
		return;
	}
	w->fd = fd;
	w->deadline = clock_ms() + WAIT_LIMIT;
	w->peer = *peer;
	w->local = *local;
	(void)str_copy(w->listener, sizeof w->listener, listener);
	TAILQ_INSERT_TAIL(&p->waiting, w, link);
	p->waiting_count++;
	arm_tick(s, 1000);
	pool_fill(s);
}

/* ------------------------------------------------------------- what sessions do */

/*
 * REIN: now that no process has the connection any more and its slots are free, it is one that has just come.  Not after
 * a crash, nor when the administrator wants the client to go.
 */
static void
serve_again(struct session *n)
{
	struct service *v = n->service;
	int fd = v->back_fd;

	v->back_fd = -1;
	if (n->crashed || n->protocol_broken)
		close(fd);
	else if (n->told_to_stop)
		doors_refuse(n->server, fd, v->listener, "The server ends this session.");
	else
		doors_return(n->server, fd, v->listener, &v->peer, &v->local);
}

/* What a session's end means for its client's address and for the templates. */
static void
account_for(struct session *n)
{
	struct server *s = n->server;
	struct service *v = n->service;
	bool bad = n->crashed || n->protocol_broken;

	if (bad) {
		s->crashes++;
		templates_renew(s, "crash");
	}
	if (v == NULL)
		return;
	if (bad) {
		struct srclimit_rules rules = server_rules(s, v->listener);

		srclimit_penalise(s->sources, &rules, &v->peer, (int64_t)s->settings->penalty_crash * 1000, clock_ms());
	} else {
		s->pool->delay = DELAY_FIRST;
	}
	/* Holding a connection open without logging in is as bad as a wrong password. */
	if (n->exit_code == SP_EXIT_GRACE) {
		struct srclimit_rules rules = server_rules(s, v->listener);

		srclimit_penalise(s->sources, &rules, &v->peer, (int64_t)s->settings->penalty_failure * 1000, clock_ms());
	}
	srclimit_leave(s->sources, &v->peer);
	doors_left(s, v->listener);
	if (v->claimed)
		claim_release(s->claims, v->user, v->class);
	if (v->back_fd >= 0)
		serve_again(n);
}

static bool
is_complete(const struct session *n)
{
	for (int m = 0; m < MEMBER_COUNT; m++)
		if (n->process[m].pid_fd < 0)
			return false;
	return true;
}

/* A process was forked, has reported, or has ended. */
void
pool_session_changed(struct session *n)
{
	struct server *s = n->server;

	if (n->state == SESSION_STARTING && n->reported_ready && is_complete(n)) {
		if (session_verify(n) != 0) {
			session_end(n);
			session_kill(n);
			server_session_unsound(s);
			return;
		}
		n->was_ready = true;
		move(n, SESSION_SPARE);
		server_spare_ready(s);
		serve_waiting(s);
		pool_fill(s);
	}
	if (n->state == SESSION_ENDING && session_is_gone(n)) {
		TAILQ_REMOVE(&s->pool->list[SESSION_ENDING], n, link);
		s->pool->count[SESSION_ENDING]--;
		account_for(n);
		session_free(n);
		pool_fill(s);
		server_check_stopped(s);
	}
}

/* The session has begun to end: no client is served by it any more. */
void
pool_session_ended(struct session *n)
{
	struct server *s = n->server;
	bool unused = n->state == SESSION_STARTING || n->state == SESSION_SPARE;

	move(n, SESSION_ENDING);
	if (unused && !s->stopping && !n->told_to_stop)
		throttle(s);
	arm_tick(s, 1000);
}

/* --------------------------------------------------------------------- upkeep */

static void
end_waiting(struct server *s, int64_t now, const char *text)
{
	struct waiting *w, *next;

	TAILQ_FOREACH_SAFE(w, &s->pool->waiting, link, next) {
		if (w->deadline > now)
			return;
		refuse(s, w->fd, w->listener, text);
		srclimit_leave(s->sources, &w->peer);
		doors_left(s, w->listener);
		drop_waiting(s, w);
	}
}

static void
retire_spare(struct session *n)
{
	/* Not a death before use. */
	n->told_to_stop = true;
	session_end(n);
}

static void
retire_old(struct server *s, int64_t now)
{
	struct session *n, *next;
	int64_t oldest = now - (int64_t)s->settings->spare_lifetime * 1000;

	TAILQ_FOREACH_SAFE(n, &s->pool->list[SESSION_SPARE], link, next)
		if (n->born < oldest || n->generation != templates_generation(s))
			retire_spare(n);
	TAILQ_FOREACH_SAFE(n, &s->pool->list[SESSION_STARTING], link, next)
		if (n->born + START_LIMIT < now) {
			log_problem(LOG_LEVEL_ERROR, "session-start", "not ready in time", 0);
			session_end(n);
		}
}

static void
kill_late(struct server *s, int64_t now)
{
	struct session *n, *next;

	TAILQ_FOREACH_SAFE(n, &s->pool->list[SESSION_ENDING], link, next) {
		if (n->deadline > now)
			continue;
		session_kill(n);
		if (session_is_gone(n))
			pool_session_changed(n);
	}
}

static void
shrink(struct server *s, int64_t now)
{
	struct pool *p = s->pool;

	if (p->wanted <= (unsigned)s->settings->spare_sessions_min || now - p->shortage < SHRINK_EVERY)
		return;
	p->shortage = now;
	p->wanted--;
	if (p->count[SESSION_SPARE] > p->wanted)
		retire_spare(TAILQ_FIRST(&p->list[SESSION_SPARE]));
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct pool *p = s->pool;
	int64_t now = clock_ms();

	(void)fd, (void)what;
	end_waiting(s, now, "The server is too busy; try again later.");
	retire_old(s, now);
	kill_late(s, now);
	shrink(s, now);
	fill_now(s);
	if (p->count[SESSION_ENDING] > 0 || p->waiting_count > 0 || missing(s) > 0 || p->count[SESSION_STARTING] > 0)
		arm_tick(s, 1000);
	else
		arm_tick(s, p->wanted > (unsigned)s->settings->spare_sessions_min ? SHRINK_EVERY : 60000);
}

void
pool_retire_spares(struct server *s)
{
	struct session *n, *next;

	for (int i = SESSION_STARTING; i <= SESSION_SPARE; i++)
		TAILQ_FOREACH_SAFE(n, &s->pool->list[i], link, next)
			retire_spare(n);
}

void
pool_end_spares(struct server *s)
{
	end_waiting(s, INT64_MAX, "The server is stopping; try again later.");
	pool_retire_spares(s);
}

void
pool_retire_old_spares(struct server *s)
{
	retire_old(s, clock_ms());
	pool_fill(s);
}

void
pool_kill_all(struct server *s)
{
	struct session *n, *next;

	for (int i = 0; i < SESSION_STATES; i++)
		TAILQ_FOREACH_SAFE(n, &s->pool->list[i], link, next) {
			session_end(n);
			n->deadline = 0;
		}
	kill_late(s, INT64_MAX);
	arm_tick(s, 1000);
}
