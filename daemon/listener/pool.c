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
#include "daemon/listener/keeper.h"
#include "daemon/listener/pool_inside.h"
#include "daemon/listener/reaper.h"
#include "daemon/listener/server.h"

#define STARTING_MAX	4	/* sessions being forked at the same time */
#define START_LIMIT	15000	/* ms a session may take to report ready */
#define ENDS_EVERY	250	/* ms between looks at sessions that are ending */
#define GATHER_MS	4	/* ms that sessions are left to be forked together, while there are enough */
#define SHRINK_EVERY	10000	/* ms without shortage until one spare less is kept */

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
pool_lasting(const struct server *s)
{
	const struct session *n;
	unsigned count = pool_left(s);

	TAILQ_FOREACH(n, &s->pool->list[SESSION_ENDING], link)
		if (session_is_given_up(n))
			count--;
	return count;
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

void
pool_move(struct session *n, enum session_state to)
{
	struct pool *p = n->server->pool;

	TAILQ_REMOVE(&p->list[n->state], n, link);
	p->count[n->state]--;
	n->state = to;
	TAILQ_INSERT_TAIL(&p->list[to], n, link);
	p->count[to]++;
}

void
pool_tick_in(struct server *s, int64_t ms)
{
	struct timeval in = { ms / 1000, (ms % 1000) * 1000 };
	int64_t at = clock_ms() + ms;

	/* Whatever happens often must not put off what is due. */
	if (evtimer_pending(&s->pool->tick, NULL) && s->pool->tick_at <= at)
		return;
	s->pool->tick_at = at;
	evtimer_add(&s->pool->tick, &in);
}

/* ------------------------------------------------------------------- starting */

static bool
may_start(struct server *s)
{
	const struct pool *p = s->pool;

	return !s->stopping && !s->left && templates_ready(s) && !keeper_awaited(s) && p->count[SESSION_STARTING] < STARTING_MAX &&
	    pace_allows(&p->pace, p->waiting_count > 0, p->count[SESSION_STARTING], clock_ms());
}

static unsigned
missing(const struct server *s)
{
	const struct pool *p = s->pool;
	unsigned want = p->wanted > p->waiting_count ? p->wanted : p->waiting_count;
	unsigned have = p->count[SESSION_SPARE] + p->count[SESSION_STARTING];

	if (want < (unsigned)s->settings->spare_sessions_min)
		want = (unsigned)s->settings->spare_sessions_min;
	/* The self-test wants a session even where none is kept prepared. */
	if (!s->ready && want == 0)
		want = 1;
	if (s->options->inetd)
		want = s->ready ? p->waiting_count : 1;
	return want > have ? want - have : 0;
}

static void
log_throttled(struct server *s, const char *cause, int code)
{
	struct log_line l;

	s->pool->unexplained = false;
	log_begin(&l, EVENT_START_THROTTLED);
	log_str(&l, FIELD_REASON, cause);
	log_num(&l, FIELD_PAUSE, s->pool->pace.until - s->pool->pace.failed);
	if (code == -EMFILE || code == -ENFILE)
		log_str(&l, FIELD_HINT, "raise the limit of open files (LimitNOFILE= of the service, ulimit -n), or lower max_sessions");
	else if (code == -EAGAIN || code == -ENOMEM)
		log_str(&l, FIELD_HINT, "raise the limit of processes and memory (TasksMax=, MemoryMax= of the service), or lower max_sessions");
	log_code(&l, code);
	log_end(&l);
}

/* Starting a session failed. cause NULL: that is known when its process is reaped. */
static void
throttle(struct server *s, const char *cause, int code)
{
	pool_tick_in(s, PACE_TRY_MS);
	if (!pace_failed(&s->pool->pace, clock_ms()))
		return;
	if (cause != NULL)
		log_throttled(s, cause, code);
	else
		s->pool->unexplained = true;
}

void
pool_explain(struct session *n, const char *cause)
{
	if (n->server->pool->unexplained && n->service == NULL && !n->told_to_stop)
		log_throttled(n->server, cause, 0);
}

static void
fill_now(struct server *s)
{
	struct pool *p = s->pool;

	while (missing(s) > 0 && may_start(s)) {
		struct session *n;
		int r = session_start(s, ++p->next_serial, &n);

		pace_start(&p->pace, clock_ms());
		if (r != 0) {
			if (!keeper_awaited(s))
				throttle(s, "the channels of a session", r);
			return;
		}
		n->state = SESSION_STARTING;
		TAILQ_INSERT_TAIL(&p->list[SESSION_STARTING], n, link);
		p->count[SESSION_STARTING]++;
	}
	if (missing(s) > 0 || p->count[SESSION_STARTING] > 0)
		pool_tick_in(s, p->waiting_count > 0 ? PACE_TRY_MS : 1000);
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

	if (missing(s) == 0 || s->left)
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
	pool_tick_in(s, 1000);
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

	throttle(s, "a process of a session", error);
	if (n != NULL)
		session_end(n);
}

static bool
is_complete(const struct session *n)
{
	for (int m = 0; m < MEMBER_COUNT; m++)
		if (n->process[m].pid_fd < 0)
			return false;
	return true;
}

static void
retire_spare(struct session *n)
{
	/* Not a death before use. */
	n->told_to_stop = true;
	session_end(n);
}

/* A process was forked, has reported, or has ended. */
void
pool_session_changed(struct session *n)
{
	struct server *s = n->server;

	if (n->state == SESSION_STARTING && n->reported_ready && is_complete(n)) {
		if (session_verify(n) != 0) {
			session_end(n);
			session_kill(n, true);
			server_session_unsound(s);
			return;
		}
		n->was_ready = true;
		pool_move(n, SESSION_SPARE);
		/* Forked before a reload: it knows neither new listeners nor what old ones now ask for. */
		if (n->generation != templates_generation(s)) {
			retire_spare(n);
			return;
		}
		server_spare_ready(s);
		pool_serve_waiting(s);
		pool_fill(s);
	}
	if (n->state == SESSION_ENDING && session_is_gone(n)) {
		TAILQ_REMOVE(&s->pool->list[SESSION_ENDING], n, link);
		s->pool->count[SESSION_ENDING]--;
		pool_account_for(n);
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

	pool_move(n, SESSION_ENDING);
	if (unused && !s->stopping && !s->left && !n->told_to_stop)
		throttle(s, NULL, 0);
	pool_tick_in(s, 1000);
}

/* --------------------------------------------------------------------- upkeep */

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
			log_problem(EVENT_SESSION_NOT_STARTED, "not ready in time", 0);
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
		session_kill(n, s->stopping && !n->agent_replaced);
		if (session_is_gone(n))
			pool_session_changed(n);
	}
}

void
pool_watch(struct session *n)
{
	n->server->pool->watching = true;
	pool_tick_in(n->server, n->deadline - clock_ms());
}

/* Sessions that were told to stop, and have neither done it nor said that a transfer still runs. */
static void
end_deaf(struct server *s, int64_t now)
{
	struct pool *p = s->pool;
	struct session *n, *next;

	if (!p->watching)
		return;
	p->watching = false;
	TAILQ_FOREACH_SAFE(n, &p->list[SESSION_BUSY], link, next) {
		if (n->deadline == 0)
			continue;
		if (n->deadline > now) {
			p->watching = true;
			continue;
		}
		session_end(n);
		n->deadline = now;
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
	pool_end_waiting(s, now, "The server is too busy; try again later.");
	retire_old(s, now);
	end_deaf(s, now);
	kill_late(s, now);
	shrink(s, now);
	fill_now(s);
	if (s->stopping || s->left)
		server_check_stopped(s);
	if (p->count[SESSION_ENDING] > 0 || p->watching)
		pool_tick_in(s, ENDS_EVERY);
	else if (p->waiting_count > 0 || (missing(s) > 0 && !s->left) || p->count[SESSION_STARTING] > 0)
		pool_tick_in(s, 1000);
	else
		pool_tick_in(s, p->wanted > (unsigned)s->settings->spare_sessions_min ? SHRINK_EVERY : 60000);
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
	pool_end_waiting(s, INT64_MAX, "The server is stopping; try again later.");
	pool_retire_spares(s);
}

void
pool_retire_old_spares(struct server *s)
{
	retire_old(s, clock_ms());
	pool_fill(s);
}
