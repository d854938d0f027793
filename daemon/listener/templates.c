#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "daemon/listener/templates.h"
#include "privsep/chan.h"
#include "privsep/sandbox.h"
#include "privsep/spawn.h"

#define DELAY_FIRST	1000	/* ms before a template that died young is executed again; doubles */
#define DELAY_LAST	60000
#define COLLECT_MS	2	/* between looks for answers that are late */
#define COLLECT_LATEST_MS 50

static const struct {
	enum msg_role role;
	enum msg_type request;
	enum conf_audience audience;
} kinds[MEMBER_COUNT] = {
	[MEMBER_MONITOR] = { ROLE_MONITOR, MSG_SPAWN_MONITOR, TO_MONITOR },
	[MEMBER_WORKER] = { ROLE_WORKER, MSG_SPAWN_WORKER, TO_WORKER },
	[MEMBER_AGENT] = { ROLE_AGENT, MSG_SPAWN_AGENT, TO_AGENT },
};

/* One running program. */
struct program {
	struct server *server;
	enum member member;
	struct spawned process;
	struct chan channel;
	struct event readable, gone;
	bool ready, retired;
	unsigned forks, pending;
	int64_t born;
};

struct templates {
	struct program *now[MEMBER_COUNT];	/* NULL: being waited for */
	struct program *next[MEMBER_COUNT];	/* warming up */
	struct event retry, collect;
	int64_t delay;
	unsigned generation;
	bool stopped;
	bool all_due;			/* the retry is for all three */
	int log_fd;			/* log_share(), -1: none */
	int hold_fd;			/* the agents' locks, those of older templates too; -1: none */
	int filters_fd[MEMBER_COUNT];	/* made once: they depend on nothing but the tables */
};

enum msg_role
templates_role(enum member m)
{
	return kinds[m].role;
}

static const char *
name_of(const struct program *p)
{
	return role_row(kinds[p->member].role)->name;
}

static void
end_program(struct program *p)
{
	if (p->channel.fd >= 0)
		event_del(&p->readable);
	chan_close(&p->channel);
}

static void
free_program(struct program *p)
{
	end_program(p);
	event_del(&p->gone);
	close(p->process.pid_fd);
	free(p);
}

/* It has answered everything: closing its channel ends it. */
static void
retire(struct program *p)
{
	if (p == NULL)
		return;
	p->retired = true;
	if (p->pending == 0)
		end_program(p);
	else if (p->channel.fd >= 0)
		event_add(&p->readable, NULL);
}

static void
arm_retry(struct templates *t)
{
	struct timeval in = { t->delay / 1000, (t->delay % 1000) * 1000 };

	evtimer_add(&t->retry, &in);
	t->delay = t->delay * 2 > DELAY_LAST ? DELAY_LAST : t->delay * 2;
}

static void
log_end_of(const struct program *p, const siginfo_t *end)
{
	struct log_line l;

	log_begin_at(&l, p->retired ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, EVENT_TEMPLATE_ENDED);
	log_str(&l, FIELD_ROLE, name_of(p));
	log_num(&l, FIELD_PID, p->process.pid);
	log_num(&l, end->si_code == CLD_EXITED ? FIELD_EXIT : FIELD_SIGNAL, end->si_status);
	if (end->si_code == CLD_EXITED)
		log_str(&l, FIELD_MEANING, sp_exit_word(end->si_status));
	log_end(&l);
}

/* One of the fresh ones failed: none of them takes over. */
static void
give_up_next(struct templates *t)
{
	for (int m = 0; m < MEMBER_COUNT; m++) {
		retire(t->next[m]);
		t->next[m] = NULL;
	}
	t->all_due = true;
}

/* The fresh ones take over together, so that a session is never made of two configurations. */
static void
take_over(struct server *s)
{
	struct templates *t = s->templates;

	for (int m = 0; m < MEMBER_COUNT; m++)
		if (t->next[m] == NULL ? t->now[m] == NULL : !t->next[m]->ready)
			return;
	for (int m = 0; m < MEMBER_COUNT; m++) {
		if (t->next[m] == NULL)
			continue;
		retire(t->now[m]);
		t->now[m] = t->next[m];
		t->next[m] = NULL;
	}
	t->generation++;
	server_templates_ready(s);
}

static int
got_hello(struct program *p, const struct msg_hello *hello)
{
	if (p->ready)
		return SP_ESTATE;
	if (strcmp(hello->version, PACKAGE_VERSION) != 0)
		return SP_EVERSION;
	p->ready = true;
	p->server->templates->delay = DELAY_FIRST;
	take_over(p->server);
	return 0;
}

static int
got_answer(struct program *p, struct msg *m)
{
	if (m->type == MSG_HELLO)
		return got_hello(p, &m->hello);
	if (p->pending == 0)
		return SP_ESTATE;
	p->pending--;
	if (m->type == MSG_SPAWNED)
		pool_spawned(p->server, p->member, m->spawned.serial, (pid_t)m->spawned.pid, msg_take_fd(m, 0));
	else
		pool_spawn_failed(p->server, m->spawn_failed.serial, -(int)m->spawn_failed.error);
	return 0;
}

/* Takes one message. false: there is none, or the channel is closed now. */
static bool
take_message(struct program *p)
{
	static struct msg m;
	int r = chan_receive(&p->channel, &m, p->ready ? ST_SPARE : ST_START);

	if (r == -EAGAIN || r == -EINTR)
		return false;
	if (r == 0) {
		r = got_answer(p, &m);
		msg_close(&m);
	}
	if (r != 0 && r != SP_ECLOSED)
		log_violation(LOG_LEVEL_ERROR, name_of(p), msg_name(p->channel.bad_type), r);
	if (r != 0 || (p->retired && p->pending == 0)) {
		end_program(p);
		return false;
	}
	return true;
}

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct program *p = arg;
	struct server *s = p->server;
	struct templates *t = s->templates;
	siginfo_t end = { 0 };
	bool wanted = !p->retired, was_next = t->next[p->member] == p;

	(void)what;
	if (waitid(P_PIDFD, (id_t)fd, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
		return;
	log_end_of(p, &end);
	/* What it forked is ours to wait for: no answer that it still gave may be lost. */
	while (p->ready && p->channel.fd >= 0 && take_message(p))
		;
	if (was_next)
		t->next[p->member] = NULL;
	if (t->now[p->member] == p)
		t->now[p->member] = NULL;
	free_program(p);
	if (!wanted || t->stopped)
		return;
	if (was_next) {
		give_up_next(t);
		server_templates_failed(s, end.si_code == CLD_EXITED ? end.si_status : -1);
	}
	if (!t->stopped && !evtimer_pending(&t->retry, NULL))
		arm_retry(t);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct program *p = arg;

	(void)fd, (void)what;
	(void)take_message(p);
	/* A template in use is asked when there is something to expect: see templates_collect(). */
	if (p->ready && !p->retired && p->channel.fd >= 0)
		event_del(&p->readable);
}

void
templates_collect(struct server *s)
{
	static const struct timeval soon = { 0, COLLECT_MS * 1000 };
	bool more = false;

	for (int m = 0; m < MEMBER_COUNT; m++) {
		struct program *p = s->templates->now[m];

		while (p != NULL && p->pending > 0 && take_message(p))
			;
		more = more || (p != NULL && p->pending > 0 && p->channel.fd >= 0);
	}
	if (more)
		evtimer_add(&s->templates->collect, &soon);
	else
		evtimer_del(&s->templates->collect);
}

static void
on_collect(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	templates_collect(arg);
}

static int
execute(struct server *s, enum member member, int conf_fd, struct program *p)
{
	const struct role_row *row = role_row(kinds[member].role);
	char path[512];
	int ends[2], fds[7], r;

	if (str_format(path, sizeof path, "%s/%s", s->options->libexec, row->program) != 0)
		return -ENAMETOOLONG;
	r = chan_pair(ends);
	if (r != 0)
		return r;
	fds[0] = ends[1];
	fds[1] = conf_fd;
	/* The worker's certificates; for the monitor what it needs to start an agent inside a PAM session. */
	fds[2] = member == MEMBER_WORKER ? keeper_files_fd(s) :
	    member == MEMBER_MONITOR ? s->templates->filters_fd[MEMBER_AGENT] : -1;
	fds[3] = s->templates->filters_fd[member];
	fds[4] = member == MEMBER_MONITOR ? s->templates->log_fd : member == MEMBER_AGENT ? s->templates->hold_fd : -1;
	fds[5] = member == MEMBER_MONITOR ? s->templates->hold_fd : -1;
	/* For its verifiers. */
	fds[6] = member == MEMBER_MONITOR ? keeper_files_fd(s) : -1;
	r = fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0)
		r = ((row->flags & ROLE_STDERR) != 0 ? spawn_logging : spawn_program)(path, row->program, fds,
		    sizeof fds / sizeof fds[0], &p->process);
	close(ends[1]);
	if (r != 0) {
		log_problem(EVENT_CANNOT_EXECUTE, path, r);
		close(ends[0]);
		return r;
	}
	chan_init(&p->channel, ends[0], CH_TEMPLATE, ROLE_LISTENER);
	return 0;
}

static int
start_one(struct server *s, enum member member)
{
	struct program *p = calloc(1, sizeof *p);
	int conf_fd, r;

	if (p == NULL)
		return -ENOMEM;
	conf_fd = conf_seal(s->conf, kinds[member].audience);
	r = conf_fd < 0 ? conf_fd : execute(s, member, conf_fd, p);
	if (conf_fd >= 0)
		close(conf_fd);
	if (r != 0) {
		free(p);
		return r;
	}
	p->server = s;
	p->member = member;
	p->born = clock_ms();
	event_assign(&p->readable, s->base, p->channel.fd, EV_READ | EV_PERSIST, on_readable, p);
	event_assign(&p->gone, s->base, p->process.pid_fd, EV_READ | EV_PERSIST, on_gone, p);
	event_add(&p->readable, NULL);
	event_add(&p->gone, NULL);
	retire(s->templates->next[member]);
	s->templates->next[member] = p;
	return 0;
}

static int
start_missing(struct server *s, bool all)
{
	struct templates *t = s->templates;
	int r = 0;

	for (int m = 0; m < MEMBER_COUNT && r == 0; m++)
		if (all || (t->now[m] == NULL && t->next[m] == NULL))
			r = start_one(s, (enum member)m);
	return r;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd, (void)what;
	if (s->templates->stopped)
		return;
	if (start_missing(s, s->templates->all_due) != 0)
		arm_retry(s->templates);
	else
		s->templates->all_due = false;
}

int
templates_start(struct server *s)
{
	s->templates = calloc(1, sizeof *s->templates);
	if (s->templates == NULL)
		return -ENOMEM;
	s->templates->delay = DELAY_FIRST;
	s->templates->log_fd = log_share();
	s->templates->hold_fd = s->hold_fd >= 0 ? s->hold_fd : fd_sealed("holds", "", 0);
	evtimer_assign(&s->templates->retry, s->base, on_retry, s);
	evtimer_assign(&s->templates->collect, s->base, on_collect, s);
	for (int m = 0; m < MEMBER_COUNT; m++) {
		s->templates->filters_fd[m] = sandbox_seal(kinds[m].role);
		if (s->templates->filters_fd[m] < 0)
			return s->templates->filters_fd[m];
	}
	return start_missing(s, true);
}

void
templates_renew(struct server *s, const char *why)
{
	struct templates *t = s->templates;

	/* Fresh ones are on their way already, unless the configuration is another one now. */
	if (t->stopped || (t->next[MEMBER_MONITOR] != NULL && strcmp(why, "reload") != 0))
		return;
	log_problem(EVENT_TEMPLATES_RENEWED, why, 0);
	if (start_missing(s, true) != 0)
		arm_retry(t);
}

void
templates_stop(struct server *s)
{
	struct templates *t = s->templates;

	t->stopped = true;
	evtimer_del(&t->retry);
	evtimer_del(&t->collect);
	for (int m = 0; m < MEMBER_COUNT; m++) {
		retire(t->now[m]);
		retire(t->next[m]);
	}
}

bool
templates_ready(const struct server *s)
{
	const struct templates *t = s->templates;

	for (int m = 0; m < MEMBER_COUNT; m++)
		if (t->now[m] == NULL || t->now[m]->channel.fd < 0)
			return false;
	return true;
}

unsigned
templates_generation(const struct server *s)
{
	return s->templates->generation;
}

int
templates_hold_fd(const struct server *s)
{
	return s->templates->hold_fd;
}

pid_t
templates_pid(const struct server *s, enum member m)
{
	return s->templates->now[m] == NULL ? 0 : s->templates->now[m]->process.pid;
}

int
templates_spawn(struct server *s, enum member member, uint64_t serial, const int *fds, unsigned n)
{
	static const struct timeval in_any_case = { 0, COLLECT_LATEST_MS * 1000 };
	struct program *p = s->templates->now[member];
	struct msg_spawn_worker ask = { .serial = serial };	/* all three have these fields */
	int r = chan_send(&p->channel, kinds[member].request, ++p->channel.last_id, &ask, fds, n);

	if (r != 0)
		return r;
	p->pending++;
	/* Should the session never report, the reason is among the answers. */
	if (!evtimer_pending(&s->templates->collect, NULL))
		evtimer_add(&s->templates->collect, &in_any_case);
	if (++p->forks >= (uint64_t)s->settings->template_forks)
		templates_renew(s, "forks");
	return 0;
}
