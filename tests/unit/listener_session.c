/* A session as the listener sees it: the tests are its monitor, and its processes are children that sleep. */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/pool_inside.h"
#include "daemon/listener/reaper.h"
#include "daemon/listener/refusals.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"
#include "tests/unit/listener.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

static struct server server;
static struct options options;
static struct session *n;
static struct chan monitor;
static struct msg m;
static pid_t pids[MEMBER_COUNT];

/* The command line's, which is in the program and not in its library. */
void
server_override(const struct server *s, struct conf *c)
{
	(void)s, (void)c;
}

static struct process
sleeper(pid_t *pid)
{
	*pid = fork();
	if (*pid == 0)
		for (;;)
			(void)pause();
	ck_assert_int_gt(*pid, 0);
	return (struct process){ .session = n, .pid = *pid, .pid_fd = (int)syscall(SYS_pidfd_open, *pid, 0) };
}

/* A session that serves alice, or a spare one. */
static void
begin(void)
{
	int ends[2];

	memset(&server, 0, sizeof server);
	server.options = &options;
	server.base = event_base_new();
	server.conf = conf_new();
	server.settings = conf_server(server.conf);
	server.claims = claim_new();
	server.sources = srclimit_new();
	ck_assert_int_eq(pool_start(&server), 0);
	ck_assert_int_eq(chan_pair(ends), 0);
	/* As session_start() makes it: what is said last is read until there is no more. */
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	n = calloc(1, sizeof *n);
	n->server = &server;
	chan_init(&n->channel, ends[0], CH_SESSION, ROLE_LISTENER);
	chan_init(&monitor, ends[1], CH_SESSION, ROLE_MONITOR);
	for (int i = 0; i < MEMBER_COUNT; i++)
		n->process[i] = sleeper(&pids[i]);
	n->state = SESSION_BUSY;
	TAILQ_INSERT_TAIL(pool_list(&server, SESSION_BUSY), n, link);
	server.pool->count[SESSION_BUSY]++;
	server.pool->clients++;
	event_assign(&n->readable, server.base, ends[0], EV_READ | EV_PERSIST, NULL, NULL);
	n->service = calloc(1, sizeof *n->service);
	n->service->back_fd = -1;
	ck_assert_int_eq(claim_take(server.claims, "alice", "", 0, 0), CLAIM_COUNTED);
	n->service->claimed = true;
	(void)str_copy(n->service->user, sizeof n->service->user, "alice");
}

/* Has it ended? It is not reaped by this. */
static bool
has_ended(enum member member)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pids[member], &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

static void
end(void)
{
	/* The number of one that is reaped is somebody else's by now. */
	for (int i = 0; i < MEMBER_COUNT; i++)
		if (!has_ended((enum member)i))
			(void)kill(pids[i], SIGKILL);
	for (int i = 0; i < MEMBER_COUNT; i++)
		(void)waitpid(pids[i], NULL, 0);
	chan_close(&monitor);
	event_base_free(server.base);
	conf_free(server.conf);
	claim_free(server.claims);
	srclimit_free(server.sources);
}

static bool
is_alive(enum member member)
{
	siginfo_t info = { 0 };

	/* A killed process is one as soon as the kernel has come to it. */
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(waitid(P_PID, (id_t)pids[member], &info, WEXITED | WNOHANG | WNOWAIT), 0);
		if (info.si_pid != 0)
			return false;
		(void)usleep(1000);
	}
	return true;
}

static void
expect_stop(bool now, uint32_t patience)
{
	ck_assert_int_eq(chan_receive(&monitor, &m, ST_LIVE), 0);
	ck_assert_int_eq((int)m.type, MSG_STOP);
	ck_assert_str_eq(m.stop.text, "Enough.");
	ck_assert_int_eq(m.stop.now, now);
	ck_assert_uint_eq(m.stop.patience, patience);
}

START_TEST(stops_grow_more_urgent_and_never_less)
{
	session_stop(n, "Enough.", STOP_IN_ORDER, SP_END_KICKED);
	expect_stop(false, 5000);
	ck_assert_int_gt(n->deadline, clock_ms() + 5000);
	session_stop(n, "Enough.", STOP_SOON, SP_END_KICKED);
	expect_stop(false, 1000);
	session_stop(n, "Enough.", STOP_NOW, SP_END_KICKED);
	/* A transfer that is broken off ends with a request: the agent takes back what came of it. */
	expect_stop(true, 1000);
	ck_assert_int_le(n->deadline, clock_ms() + 3000);
	session_stop(n, "Again.", STOP_SOON, SP_END_STOPPED);
	session_stop(n, "Again.", STOP_NOW, SP_END_STOPPED);
	ck_assert_int_eq((int)recv(monitor.fd, &m, sizeof m, MSG_DONTWAIT), -1);
}
END_TEST

START_TEST(the_worker_is_killed_first)
{
	session_end(n);
	ck_assert_int_eq((int)n->state, SESSION_ENDING);
	ck_assert_uint_eq(claim_users(server.claims, "alice"), 1);
	session_kill(n, false);
	ck_assert(!is_alive(MEMBER_WORKER));
	ck_assert(is_alive(MEMBER_MONITOR));
	ck_assert(is_alive(MEMBER_AGENT));
	/* Its place is free, though two processes are left, and once only. */
	ck_assert_uint_eq(claim_users(server.claims, "alice"), 0);
	ck_assert_uint_eq(pool_clients(&server), 0);
	ck_assert(n->lingers);
	pool_release(n);
	ck_assert_uint_eq(pool_clients(&server), 0);
	ck_assert(!session_is_given_up(n));
	session_kill(n, false);
	ck_assert(!is_alive(MEMBER_MONITOR));
	ck_assert(!is_alive(MEMBER_AGENT));
	/* Nobody has reaped them: the kernel holds them, for all that is known, and nobody waits. */
	ck_assert_uint_eq(pool_lasting(&server), 1);
	n->given_up = clock_ms();
	ck_assert(session_is_given_up(n));
	ck_assert_uint_eq(pool_lasting(&server), 0);
	ck_assert_uint_eq(pool_left(&server), 1);
}
END_TEST

START_TEST(all_are_killed_at_once_where_that_is_meant)
{
	session_end(n);
	session_kill(n, true);
	for (int i = 0; i < MEMBER_COUNT; i++)
		ck_assert(!is_alive((enum member)i));
	ck_assert_int_ne(n->given_up, 0);
}
END_TEST

/* ------------------------------------------------------------------------- reaping */

/* Kills it, and waits until it has ended. */
static void
end_process(enum member member)
{
	siginfo_t info;

	ck_assert_int_eq(kill(pids[member], SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pids[member], &info, WEXITED | WNOWAIT), 0);
}

/* The server beside the session, whose programs there are not: it starts no others. */
static void
begin_reaping(void)
{
	begin();
	options = (struct options){ .libexec = "/nonexistent", .inetd = true };
	ck_assert_int_eq(server_init(&server), 0);
	ck_assert_int_eq(doors_open(&server), 0);
	options.inetd = false;
	ck_assert_int_ne(templates_start(&server), 0);
	for (int i = 0; i < MEMBER_COUNT; i++)
		ck_assert_int_eq(reaper_watch(&server, n->process[i].pid_fd, &n->process[i]), 0);
}

static void
turn_until_gone(void)
{
	while (pool_left(&server) > 0)
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
}

static bool
is_reaped(enum member member)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pids[member], &info, WEXITED | WNOHANG | WNOWAIT) < 0;
}

START_TEST(lingering_processes_are_reaped)
{
	session_end(n);
	session_kill(n, false);
	/* Killed, and counted although its session is not. */
	ck_assert(n->lingers);
	session_kill(n, true);
	turn_until_gone();
	for (int i = 0; i < MEMBER_COUNT; i++)
		ck_assert(is_reaped((enum member)i));
	ck_assert_uint_eq(claim_users(server.claims, "alice"), 0);
	ck_assert_uint_eq(pool_clients(&server), 0);
	/* A place more than what may linger: its own is free again. */
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(claim_linger(server.claims, "alice"), 0);
		claim_linger_end(server.claims, "alice");
	}
}
END_TEST

/* Loops over which of the three ends first: the others follow, all are reaped, and none twice. */
START_TEST(the_end_of_one_is_the_end_of_all)
{
	end_process((enum member)_i);
	while (n->state != SESSION_ENDING)
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
	ck_assert_int_gt(n->deadline, clock_ms());
	/*
	 * Sleepers do not see that their channels are closed: they are killed, the worker first, when their time is
	 * over.
	 */
	for (int round = 0; round < 2; round++) {
		n->deadline = clock_ms();
		while (n->deadline <= clock_ms())
			ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
	}
	ck_assert(n->killed);
	turn_until_gone();
	for (int i = 0; i < MEMBER_COUNT; i++)
		ck_assert(is_reaped((enum member)i));
	ck_assert_uint_eq(pool_clients(&server), 0);
}
END_TEST

START_TEST(what_a_monitor_said_last_is_heard)
{
	struct msg_totals last = { .transfers = 3, .bytes_in = 70, .bytes_out = 5 };

	ck_assert_int_eq(chan_tell(&monitor, MSG_TOTALS, &last), 0);
	end_process(MEMBER_MONITOR);
	session_process_gone(&n->process[MEMBER_MONITOR]);
	ck_assert_uint_eq(server.total.transfers, 3);
	ck_assert_uint_eq(server.total.bytes_in, 70);
	ck_assert(is_reaped(MEMBER_MONITOR));
	ck_assert_int_eq((int)n->state, SESSION_ENDING);
}
END_TEST

/* A child of the monitor may have the channel still. It keeps the listener from nothing. */
START_TEST(whoever_goes_on_talking_is_not_heard_for_ever)
{
	struct msg_totals one = { .transfers = 1 };
	int large = 64 << 20;
	unsigned sent = 0;

	if (needs_root("whoever_goes_on_talking_is_not_heard_for_ever"))
		return;
	ck_assert_int_eq(setsockopt(monitor.fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large), 0);
	ck_assert_int_eq(fcntl(monitor.fd, F_SETFL, O_NONBLOCK), 0);
	while (sent < 20000 && chan_tell(&monitor, MSG_TOTALS, &one) == 0)
		sent++;
	ck_assert_uint_eq(sent, 20000);
	end_process(MEMBER_MONITOR);
	session_process_gone(&n->process[MEMBER_MONITOR]);
	ck_assert_uint_ge(server.total.transfers, 512);
	ck_assert_uint_lt(server.total.transfers, sent);
	ck_assert_int_eq(n->channel.fd, -1);
}
END_TEST

/* ---------------------------------------------------------------------------- many */

#define CROWD	100

/* Sessions that have no processes; their monitors are the tests'. */
static void
add_crowd(struct chan monitors[CROWD])
{
	for (int i = 0; i < CROWD; i++) {
		struct session *x = calloc(1, sizeof *x);
		int ends[2];

		ck_assert_int_eq(chan_pair(ends), 0);
		chan_init(&x->channel, ends[0], CH_SESSION, ROLE_LISTENER);
		chan_init(&monitors[i], ends[1], CH_SESSION, ROLE_MONITOR);
		ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
		x->server = &server;
		x->state = SESSION_BUSY;
		for (int k = 0; k < MEMBER_COUNT; k++)
			x->process[k] = (struct process){ .session = x, .pid_fd = -1 };
		x->service = calloc(1, sizeof *x->service);
		x->service->back_fd = -1;
		event_assign(&x->readable, server.base, ends[0], EV_READ | EV_PERSIST, NULL, NULL);
		TAILQ_INSERT_TAIL(pool_list(&server, SESSION_BUSY), x, link);
		server.pool->count[SESSION_BUSY]++;
		server.pool->clients++;
	}
}

/*
 * The last message that has come is to break off. A channel that was closed without one is a client that heard
 * nothing.
 */
static bool
is_told(struct chan *c)
{
	int r;

	while ((r = chan_receive(c, &m, ST_LIVE)) == 0)
		if (m.type == MSG_STOP && m.stop.now)
			return true;
	ck_assert_int_eq(r, -EAGAIN);
	return false;
}

START_TEST(nobody_is_cut_off_who_was_not_told)
{
	static struct chan monitors[CROWD];
	bool told[CROWD] = { false };
	unsigned count = 0;

	add_crowd(monitors);
	server_stop(&server, "test");
	/*
	 * Asked again: transfers are broken off, and soon the time for last words is over, as on a machine with
	 * much to do.
	 */
	server_stop(&server, "test");
	while (count < CROWD) {
		event_active(&server.stop_end, EV_TIMEOUT, 0);
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
		for (int i = 0; i < CROWD; i++)
			if (!told[i] && is_told(&monitors[i])) {
				told[i] = true;
				count++;
			}
	}
	for (int i = 0; i < CROWD; i++)
		chan_close(&monitors[i]);
}
END_TEST

/* The event loop need not have heard of it. */
/* Loops over whether alice has logged in when her listener goes: then it ends her session no more. */
START_TEST(nobody_logs_in_by_a_listener_that_is_gone)
{
	static struct msg_claim claim = { .user = "alice" };

	server.refusals = refusals_new(EVENT_REFUSED);
	server.strangers = refusals_new(EVENT_NO_LOGIN);
	server.lines = refusals_new(EVENT_LINES_COUNTED);
	server.unsaid = refusals_new(EVENT_LINES_COUNTED);
	(void)str_copy(n->service->listener, sizeof n->service->listener, "removed");
	n->service->claimed = _i != 0;
	if (!n->service->claimed)
		claim_release(server.claims, "alice", "");
	pool_end_gone(&server);
	if (n->service->claimed) {
		ck_assert_int_eq((int)recv(monitor.fd, &m, sizeof m, MSG_DONTWAIT), -1);
		return;
	}
	ck_assert_int_eq(chan_receive(&monitor, &m, ST_LOGIN), 0);
	ck_assert_int_eq((int)m.type, MSG_STOP);
	ck_assert_str_eq(m.stop.text, SECTION_GONE);
	ck_assert_uint_eq(pool_clients(&server), 0);
	/* Its password was being looked at meanwhile. */
	ck_assert_int_eq(chan_send(&monitor, MSG_CLAIM, 1, &claim, NULL, 0), 0);
	ck_assert_int_eq(session_hear(n), SP_ECLOSED);
	ck_assert_uint_eq(claim_users(server.claims, "alice"), 0);
}
END_TEST

START_TEST(a_session_whose_process_has_ended_is_not_whole)
{
	ck_assert(session_is_whole(n));
	end_process((enum member)_i);
	ck_assert(!session_is_whole(n));
}
END_TEST

/* They have dropped nothing: no client may be given to them. */
START_TEST(a_session_that_has_not_dropped_its_rights_is_not_used)
{
	server.self = (struct role_id){ getuid(), getgid() };
	ck_assert_int_eq(session_verify(n), SP_ENOTDROPPED);
	server.self.uid++;
	ck_assert_int_eq(session_verify(n), SP_ENOTDROPPED);
}
END_TEST

Suite *
listener_session_suite(void)
{
	Suite *suite = suite_create("session");
	TCase *t = tcase_create("ends");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, stops_grow_more_urgent_and_never_less);
	tcase_add_test(t, the_worker_is_killed_first);
	tcase_add_test(t, all_are_killed_at_once_where_that_is_meant);
	suite_add_tcase(suite, t);
	t = tcase_create("reaping");
	tcase_add_checked_fixture(t, begin_reaping, end);
	tcase_add_test(t, lingering_processes_are_reaped);
	tcase_add_loop_test(t, the_end_of_one_is_the_end_of_all, 0, MEMBER_COUNT);
	tcase_add_test(t, what_a_monitor_said_last_is_heard);
	tcase_add_test(t, whoever_goes_on_talking_is_not_heard_for_ever);
	tcase_add_test(t, nobody_is_cut_off_who_was_not_told);
	tcase_add_loop_test(t, nobody_logs_in_by_a_listener_that_is_gone, 0, 2);
	tcase_add_loop_test(t, a_session_whose_process_has_ended_is_not_whole, 0, MEMBER_COUNT);
	tcase_add_test(t, a_session_that_has_not_dropped_its_rights_is_not_used);
	suite_add_tcase(suite, t);
	return suite;
}
