/* A session as the listener sees it: the tests are its monitor, and its processes are children that sleep. */
#include "config.h"

#include <event2/event.h>
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
#include "daemon/listener/pool_inside.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"
#include "tests/unit/listener.h"
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

static void
end(void)
{
	for (int i = 0; i < MEMBER_COUNT; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
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
	session_stop(n, "Enough.", STOP_IN_ORDER);
	expect_stop(false, 5000);
	ck_assert_int_gt(n->deadline, clock_ms() + 5000);
	session_stop(n, "Enough.", STOP_SOON);
	expect_stop(false, 1000);
	session_stop(n, "Enough.", STOP_NOW);
	expect_stop(true, 0);
	ck_assert_int_le(n->deadline, clock_ms() + 2000);
	session_stop(n, "Again.", STOP_SOON);
	session_stop(n, "Again.", STOP_NOW);
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
	return suite;
}
