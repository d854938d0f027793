#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/names.h"
#include "daemon/listener/reaper.h"
#include "daemon/listener/selftest.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"
#include "privsep/spawn.h"
#include "privsep/verify.h"

#define KILL_AFTER		2000	/* ms after one of the three ended */
#define KILL_REST_AFTER		10000	/* and those that were spared then */
#define GIVEN_UP_AFTER		1000	/* ms after SIGKILL that the kernel holds a process back, in a file system that hangs */
#define LAST_WORDS		1024	/* messages that a monitor may have left behind: more than a socket holds */

/* The channels of a session, both ends. */
enum { PAIR_SESSION, PAIR_LOGIN, PAIR_LOG, PAIR_AGENT, PAIR_FILES, PAIR_SIGN, PAIR_COUNT };

static void
close_pairs(int pairs[PAIR_COUNT][2])
{
	for (int i = 0; i < PAIR_COUNT; i++)
		for (int end = 0; end < 2; end++)
			if (pairs[i][end] >= 0)
				close(pairs[i][end]);
}

static int
make_pairs(int pairs[PAIR_COUNT][2], bool sign)
{
	memset(pairs, -1, PAIR_COUNT * sizeof pairs[0]);
	for (int i = 0; i < (sign ? PAIR_COUNT : PAIR_SIGN); i++) {
		int r = chan_pair(pairs[i]);

		if (r != 0)
			return r;
	}
	return fcntl(pairs[PAIR_SESSION][0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* Which end goes to whom, in the order of the rows SPAWN_* of messages.def. */
static int
ask_templates(struct server *s, uint64_t serial, int pairs[PAIR_COUNT][2], bool sign)
{
	int monitor[] = { pairs[PAIR_SESSION][1], pairs[PAIR_LOGIN][0], pairs[PAIR_LOG][0], pairs[PAIR_AGENT][0] };
	int worker[] = { pairs[PAIR_LOGIN][1], pairs[PAIR_LOG][1], pairs[PAIR_FILES][0], pairs[PAIR_SIGN][0] };
	int agent[] = { pairs[PAIR_AGENT][1], pairs[PAIR_FILES][1] };
	int r = templates_spawn(s, MEMBER_MONITOR, serial, monitor, 4);

	if (r == 0)
		r = templates_spawn(s, MEMBER_WORKER, serial, worker, sign ? 4 : 3);
	if (r == 0)
		r = templates_spawn(s, MEMBER_AGENT, serial, agent, 2);
	return r;
}

static void on_message(evutil_socket_t, short, void *);

int
session_start(struct server *s, uint64_t serial, struct session **started)
{
	struct session *n = calloc(1, sizeof *n);
	bool sign = keeper_running(s);
	int pairs[PAIR_COUNT][2], r;

	if (n == NULL)
		return -ENOMEM;
	r = make_pairs(pairs, sign);
	if (r == 0 && sign)
		r = keeper_attach(s, pairs[PAIR_SIGN][1]);
	if (r == 0)
		r = ask_templates(s, serial, pairs, sign);
	if (r == 0) {
		chan_init(&n->channel, pairs[PAIR_SESSION][0], CH_SESSION, ROLE_LISTENER);
		pairs[PAIR_SESSION][0] = -1;
	}
	close_pairs(pairs);
	if (r != 0) {
		free(n);
		return r;
	}
	n->server = s;
	n->serial = serial;
	n->born = clock_ms();
	n->generation = templates_generation(s);
	for (int m = 0; m < MEMBER_COUNT; m++)
		n->process[m] = (struct process){ .session = n, .pid_fd = -1 };
	event_assign(&n->readable, s->base, n->channel.fd, EV_READ | EV_PERSIST, on_message, n);
	event_add(&n->readable, NULL);
	*started = n;
	return 0;
}

struct session *
session_adopt(struct server *s, enum member m, pid_t pid, int pid_fd)
{
	struct session *n = calloc(1, sizeof *n);

	if (n == NULL) {
		close(pid_fd);
		return NULL;
	}
	n->server = s;
	n->state = SESSION_ENDING;
	n->told_to_stop = true;
	n->deadline = clock_ms() + KILL_AFTER;
	chan_init(&n->channel, -1, CH_SESSION, ROLE_LISTENER);
	for (int i = 0; i < MEMBER_COUNT; i++)
		n->process[i] = (struct process){ .session = n, .pid_fd = -1 };
	n->process[m].pid = pid;
	n->process[m].pid_fd = pid_fd;
	/* Unwatched it is still killed and reaped when its time is over. */
	(void)reaper_watch(s, pid_fd, &n->process[m]);
	return n;
}

int
session_verify(struct session *n)
{
	const struct server *s = n->server;
	const struct role_id *ids[MEMBER_COUNT] = {
		[MEMBER_MONITOR] = &s->self,
		[MEMBER_WORKER] = s->root ? &s->worker : &s->self,
		[MEMBER_AGENT] = &s->self,
	};

	for (int m = 0; m < MEMBER_COUNT; m++) {
		char why[128] = "";
		struct log_line l;
		int r = verify_role(n->process[m].pid, templates_role((enum member)m), PHASE_SPARE, ids[m], s->lax, why,
		    sizeof why);

		if (r == 0)
			continue;
		log_begin(&l, EVENT_SESSION_NOT_VERIFIED);
		log_str(&l, FIELD_ROLE, role_row(templates_role((enum member)m))->name);
		log_num(&l, FIELD_PID, n->process[m].pid);
		log_str(&l, FIELD_REASON, why);
		log_code(&l, r);
		log_end(&l);
		return r;
	}
	return 0;
}

uint64_t
session_socket_number(int fd)
{
	uint64_t number = 0;
	socklen_t len = sizeof number;

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &number, &len) == 0 ? number : 0;
}

const char *
session_id(char *id, uint64_t number)
{
	str_number(id, number, 16);
	return id;
}

int
session_serve(struct session *n, int fd, uint64_t number, const char *listener, const struct addr *peer,
    const struct addr *local)
{
	static struct msg_client m;
	struct service *v = calloc(1, sizeof *v);
	int r;

	if (v == NULL)
		return -ENOMEM;
	m = (struct msg_client){ .session = number, .agent_pid = (uint32_t)n->process[MEMBER_AGENT].pid,
	    .worker_pid = (uint32_t)n->process[MEMBER_WORKER].pid };
	m.selftest = strcmp(listener, SELFTEST_LISTENER) == 0;
	/* A session refuses what comes by a listener that it does not know. */
	if (!m.selftest)
		(void)str_copy(m.listener, sizeof m.listener, listener);
	m.suspect = srclimit_is_suspect(n->server->sources, peer, clock_ms());
	m.quiet = !m.selftest && admission_quiet(n->server, listener, peer);
	if (!m.selftest)
		m.lines = (uint8_t)admission_lines(n->server, peer);
	m.peer_len = addr_len(peer);
	memcpy(m.peer, &peer->sa, m.peer_len);
	m.local_len = addr_len(local);
	memcpy(m.local, &local->sa, m.local_len);
	names_of_section(n->server, listener, local->sa.sa_family, m.names, sizeof m.names);
	r = chan_send(&n->channel, MSG_CLIENT, ++n->channel.last_id, &m, &fd, 1);
	if (r != 0) {
		admission_lines_back(n->server, peer, m.lines);
		free(v);
		return r;
	}
	v->number = number;
	v->lines = m.lines;
	v->quiet = m.quiet != 0;
	(void)str_copy(v->listener, sizeof v->listener, listener);
	v->peer = *peer;
	v->local = *local;
	v->socket = session_socket_number(fd);
	v->client_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	v->back_fd = -1;
	v->since = time(NULL);
	v->last_report = clock_ms();
	n->service = v;
	return 0;
}

/*
 * How long a request may still take, whether a transfer may go on, and when a session is ended that has not heard
 * of it.
 */
static const struct {
	uint32_t patience;
	bool now;
	int64_t limit;
} stops[] = {
	[STOP_IN_ORDER] = { 5000, false, 10000 },
	[STOP_SOON] = { 1000, false, 3000 },
	[STOP_NOW] = { 1000, true, 3000 },
};

static void
signal_process(const struct process *p, int number)
{
	const struct spawned child = { p->pid, p->pid_fd };

	(void)spawn_signal(&child, number);
}

void
session_hurry(const struct session *n)
{
	if (n->stopped == STOP_NOW && n->service != NULL && n->service->checking && !n->service->claimed &&
	    n->process[MEMBER_MONITOR].pid_fd >= 0)
		signal_process(&n->process[MEMBER_MONITOR], ROLE_SIGNAL_GIVE_WAY);
}

void
session_stop(struct session *n, const char *text, enum stop_level level, enum sp_end why)
{
	static struct msg_stop m;

	if (n->stopped >= level || n->channel.fd < 0)
		return;
	n->stopped = level;
	m.patience = stops[level].patience;
	m.now = stops[level].now;
	m.why = (uint8_t)why;
	(void)str_copy(m.text, sizeof m.text, text);
	/* Whoever does not take the message any more is killed in time. */
	(void)chan_tell(&n->channel, MSG_STOP, &m);
	session_hurry(n);
	n->deadline = clock_ms() + stops[level].limit;
	pool_watch(n);
}

static void
forget_channel(struct session *n)
{
	if (n->channel.fd >= 0)
		event_del(&n->readable);
	chan_close(&n->channel);
}

static bool
is_running(const struct process *p)
{
	return p->pid_fd >= 0;
}

static void
forget_client(struct session *n)
{
	if (n->service != NULL && n->service->client_fd >= 0) {
		close(n->service->client_fd);
		n->service->client_fd = -1;
	}
}

/* The client sees the end, though the kernel may hold the killed worker, and with it the connection. */
static void
hang_up(struct session *n)
{
	if (n->service != NULL && n->service->client_fd >= 0 && n->service->back_fd < 0)
		(void)shutdown(n->service->client_fd, SHUT_RDWR);
	forget_client(n);
}

void
session_end(struct session *n)
{
	if (n->channel.fd >= 0 && n->service != NULL && is_running(&n->process[MEMBER_MONITOR]))
		(void)shutdown(n->channel.fd, SHUT_WR);
	else
		forget_channel(n);
	if (n->state == SESSION_ENDING)
		return;
	n->deadline = clock_ms() + KILL_AFTER;
	pool_session_ended(n);
}

void
session_kill(struct session *n, bool all)
{
	/*
	 * Who outlived the others is given longer, once: a monitor may have a PAM session to close, an agent a file
	 * to finish.
	 */
	bool spare = !all && !n->killed && n->service != NULL;

	for (int m = 0; m < MEMBER_COUNT; m++)
		if (is_running(&n->process[m]) && !(spare && m != MEMBER_WORKER))
			signal_process(&n->process[m], SIGKILL);
	n->killed = true;
	hang_up(n);
	n->deadline = clock_ms() + KILL_REST_AFTER;
	if (!spare)
		n->given_up = clock_ms() + GIVEN_UP_AFTER;
	/* Limits are for clients, and this one is served no more; but nobody may pile up what the kernel cannot end. */
	pool_release(n);
	if (!n->lingers && n->service != NULL && n->service->claimed && is_running(&n->process[MEMBER_AGENT]))
		n->lingers = claim_linger(n->server->claims, n->service->user) == 0;
}

bool
session_is_given_up(const struct session *n)
{
	return n->given_up != 0 && clock_ms() >= n->given_up;
}

bool
session_is_whole(const struct session *n)
{
	struct pollfd p[MEMBER_COUNT];

	for (int m = 0; m < MEMBER_COUNT; m++)
		p[m] = (struct pollfd){ .fd = n->process[m].pid_fd, .events = POLLIN };
	return poll(p, MEMBER_COUNT, 0) == 0;
}

bool
session_is_gone(const struct session *n)
{
	for (int m = 0; m < MEMBER_COUNT; m++)
		if (is_running(&n->process[m]))
			return false;
	return true;
}

void
session_free(struct session *n)
{
	forget_channel(n);
	forget_client(n);
	if (n->service != NULL && n->service->back_fd >= 0)
		close(n->service->back_fd);
	if (n->service != NULL)
		free(n->service->asked);
	free(n->service);
	free(n);
}

static void
log_bad_end(const struct session *n, const struct process *p, const siginfo_t *end)
{
	struct log_line l;

	log_begin(&l, end->si_code == CLD_EXITED ? EVENT_PROCESS_FAILED : EVENT_PROCESS_KILLED);
	log_str(&l, FIELD_ROLE, role_row(templates_role((enum member)(p - n->process)))->name);
	log_num(&l, FIELD_PID, p->pid);
	if (n->service != NULL) {
		char peer[ADDR_TEXT_MAX], id[STR_NUMBER_MAX];

		log_str(&l, FIELD_SESSION, session_id(id, n->service->number));
		log_str(&l, FIELD_RHOST, addr_host(peer, &n->service->peer));
		if (n->service->user[0] != '\0')
			log_str(&l, FIELD_USER, n->service->user);
		if (n->service->what[0] != '\0')
			log_str(&l, FIELD_DOING, n->service->what);
	}
	if (end->si_code == CLD_EXITED) {
		log_str(&l, FIELD_MEANING, sp_exit_word(end->si_status));
	} else {
		log_num(&l, FIELD_SIGNAL, end->si_status);
		if (end->si_status == SIGSYS)
			log_str(&l, FIELD_REASON, "a system call that the sandbox forbids; the kernel's log has its number");
	}
	log_end(&l);
}

/* Why a session ended that was of no use to anybody. */
static void
explain(struct session *n, const struct process *p, const siginfo_t *end)
{
	const char *role = role_row(templates_role((enum member)(p - n->process)))->name;
	char cause[128];

	if (end->si_code == CLD_EXITED)
		(void)str_format(cause, sizeof cause, "a %s ended before it was used: %s", role, sp_exit_word(end->si_status));
	else
		(void)str_format(cause, sizeof cause, "a %s was killed before it was used: signal %d", role, end->si_status);
	pool_explain(n, cause);
}

/* Is the end of a process a sign of an attack or a bug? Those that we killed, or the administrator, are not. */
static bool
is_crash(const siginfo_t *end)
{
	if (end->si_code == CLD_EXITED)
		return end->si_status == SP_EXIT_CRASH || end->si_status == SP_EXIT_PROTOCOL;
	return end->si_status != SIGKILL && end->si_status != SIGTERM;
}

void
session_forked(struct session *n, enum member m, pid_t pid, int pid_fd)
{
	struct process *p = &n->process[m];
	int r = reaper_watch(n->server, pid_fd, p);

	p->pid = pid;
	p->pid_fd = pid_fd;
	/* Unwatched, its end would never be seen. */
	if (r != 0) {
		log_problem(EVENT_SESSION_NOT_STARTED, "process descriptor", r);
		session_end(n);
	}
	pool_session_changed(n);
}

static void
on_message(evutil_socket_t fd, short what, void *arg)
{
	struct session *n = arg;
	int r = session_hear(n);

	(void)fd, (void)what;
	if (r == 0 || r == -EAGAIN)
		return;
	forget_channel(n);
	session_end(n);
}

/*
 * What the monitor said before it ended.  A child that it had may still hold the channel, and may write for ever:
 * nobody else is served meanwhile, so that there is a limit.
 */
static void
hear_last_words(struct session *n)
{
	for (int i = 0; i < LAST_WORDS && n->channel.fd >= 0; i++)
		if (session_hear(n) != 0)
			return;
}

void
session_process_gone(void *context)
{
	struct process *p = context;
	struct session *n = p->session;
	siginfo_t end = { 0 };

	if (waitid(P_PIDFD, (id_t)p->pid_fd, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
		return;
	reaper_forget(n->server, p->pid_fd);
	close(p->pid_fd);
	p->pid_fd = -1;
	if (is_crash(&end))
		n->crashed = true;
	if (is_crash(&end) || (end.si_code == CLD_EXITED && end.si_status == SP_EXIT_SANDBOX) ||
	    (end.si_code != CLD_EXITED && !n->killed))
		log_bad_end(n, p, &end);
	/* The monitor's word counts most: it knows how the login went. */
	if (end.si_code == CLD_EXITED && end.si_status != 0 && (n->exit_code == 0 || p == &n->process[MEMBER_MONITOR]))
		n->exit_code = end.si_status;
	p->pid = 0;
	explain(n, p, &end);
	if (p == &n->process[MEMBER_MONITOR])
		hear_last_words(n);
	/* The monitor has another agent, a child of its own, and said so before. */
	if (p == &n->process[MEMBER_AGENT] && n->agent_replaced && n->state == SESSION_BUSY)
		return;
	session_end(n);
	/* Nobody is served any more, however long the others take. */
	if (!is_running(&n->process[MEMBER_WORKER])) {
		forget_client(n);
		pool_release(n);
	}
	pool_session_changed(n);
}
