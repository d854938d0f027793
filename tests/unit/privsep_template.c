/*
 * A whole template in a child of the test: it is exec'ed in life, and forked
 * here, with the same descriptors.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "privsep/chan.h"
#include "privsep/sandbox.h"
#include "privsep/spawn.h"
#include "privsep/template.h"
#include "privsep/verify.h"
#include "tests/unit/privsep.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

static struct chan listener;
static pid_t program;
static struct msg m;
static int warmed;

static bool another_parent;

/* Asked by the template only: who is its listener? */
pid_t
getppid(void)
{
	return another_parent ? 1 : (pid_t)syscall(SYS_getppid);
}

static int
warm_up(const struct conf *c)
{
	warmed = conf_server(c) != NULL;
	return warmed ? 0 : SP_EFORMAT;
}

/* A session that answers on its first channel and waits for the end of it. */
static int
session(const int *fds, unsigned n)
{
	struct chan agent;
	static struct msg_agent_ready ready;

	chan_init(&agent, fds[0], CH_AGENT, ROLE_AGENT);
	if (n != 2 || !warmed || chan_tell(&agent, MSG_AGENT_READY, &ready) != 0)
		return 1;
	return chan_receive(&agent, &m, ST_SPARE) == SP_ECLOSED ? SP_EXIT_ORPHAN : SP_EXIT_OK;
}

static void
begin(void)
{
	static const struct template t = { ROLE_AGENT, warm_up, session };
	static char name[] = "test", *argv[] = { name, NULL };
	struct conf *c = conf_new();
	int ends[2], conf_fd, filters_fd;

	ck_assert_int_eq(conf_load_text(c, "test", "[server]\nsandbox = best_effort\n", 30), 0);
	conf_fd = conf_seal(c, TO_AGENT);
	filters_fd = sandbox_seal(ROLE_AGENT);
	ck_assert_int_eq(chan_pair(ends), 0);
	program = fork();
	if (program == 0) {
		int away[] = { dup2(ends[1], 50), dup2(conf_fd, 51), dup2(filters_fd, 52) };

		dup2(away[0], TEMPLATE_CHANNEL_FD);
		dup2(away[1], TEMPLATE_CONFIG_FD);
		close(TEMPLATE_TLS_FD);
		dup2(away[2], TEMPLATE_FILTERS_FD);
		close_range(TEMPLATE_FILTERS_FD + 1, ~0u, 0);
		_exit(template_main(1, argv, &t));
	}
	close(ends[1]);
	close(conf_fd);
	close(filters_fd);
	conf_free(c);
	chan_init(&listener, ends[0], CH_TEMPLATE, ROLE_LISTENER);
}

static int
wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void
finish(void)
{
	chan_close(&listener);
	if (program > 0 && waitpid(program, NULL, WNOHANG) == 0) {
		kill(program, SIGKILL);
		waitpid(program, NULL, 0);
	}
}

static void
hello(void)
{
	ck_assert_int_eq(chan_receive(&listener, &m, ST_START), 0);
	ck_assert_int_eq(m.type, MSG_HELLO);
	ck_assert_str_eq(m.hello.version, PACKAGE_VERSION);
}

/* Asks for a session; its first channel, and its process. */
static int
spawn_one(uint64_t serial, struct spawned *child, int *other_fd)
{
	static struct msg_spawn_agent ask;
	int agent[2], files[2], fds[2];

	ck_assert_int_eq(chan_pair(agent), 0);
	ck_assert_int_eq(chan_pair(files), 0);
	fds[0] = agent[1];
	fds[1] = files[1];
	ask.serial = serial;
	ck_assert_int_eq(chan_send(&listener, MSG_SPAWN_AGENT, (uint32_t)serial, &ask, fds, 2), 0);
	close(agent[1]);
	close(files[1]);
	*other_fd = files[0];
	ck_assert_int_eq(chan_receive(&listener, &m, ST_SPARE), 0);
	ck_assert_int_eq(m.type, MSG_SPAWNED);
	ck_assert_uint_eq(m.spawned.serial, serial);
	child->pid = (pid_t)m.spawned.pid;
	child->pid_fd = msg_take_fd(&m, 0);
	return agent[0];
}

START_TEST(children_are_the_listeners)
{
	if (needs_plain_build(__func__))
		return;
	hello();
	for (uint64_t serial = 1; serial <= 3; serial++) {
		struct spawned child;
		struct chan c;
		char why[128];
		int other, fd = spawn_one(serial, &child, &other);
		struct role_id self = { geteuid(), getegid() };

		chan_init(&c, fd, CH_AGENT, ROLE_MONITOR);
		ck_assert_int_eq(chan_receive(&c, &m, ST_START), 0);
		ck_assert_int_eq(m.type, MSG_AGENT_READY);
		ck_assert_msg(verify_role(child.pid, ROLE_AGENT, PHASE_SPARE, &self, true, why, sizeof why) == 0, "%s", why);
		/* End of the channel is the lifeline; the child is ours, not the template's, to wait for. */
		chan_close(&c);
		close(other);
		ck_assert_int_eq(poll(&(struct pollfd){ .fd = child.pid_fd, .events = POLLIN }, 1, PATIENCE_MS), 1);
		ck_assert_int_eq(wait_for(child.pid), SP_EXIT_ORPHAN);
		close(child.pid_fd);
	}
}
END_TEST

START_TEST(the_end_of_its_channel_ends_it)
{
	if (needs_plain_build(__func__))
		return;
	hello();
	chan_close(&listener);
	ck_assert_int_eq(wait_for(program), SP_EXIT_OK);
	program = 0;
}
END_TEST

/* Another role's request, and a request without its channels. */
START_TEST(wrong_requests_end_it)
{
	static struct msg_spawn_agent ask = { .serial = 1 };
	static struct msg_spawn_monitor other = { .serial = 1 };
	int pairs[4] = { -1, -1, -1, -1 };

	if (needs_plain_build(__func__))
		return;
	hello();
	if (_i == 0) {
		ck_assert_int_eq(chan_tell(&listener, MSG_SPAWN_AGENT, &ask), 0);
	} else {
		ck_assert_int_eq(chan_pair(pairs), 0);
		ck_assert_int_eq(chan_pair(pairs + 2), 0);
		ck_assert_int_eq(chan_send(&listener, MSG_SPAWN_MONITOR, 1, &other, pairs, 4), 0);
	}
	ck_assert_int_eq(wait_for(program), SP_EXIT_PROTOCOL);
	program = 0;
	for (int i = 0; i < 4; i++)
		if (pairs[i] >= 0)
			close(pairs[i]);
}
END_TEST

START_TEST(its_death_leaves_children_alone)
{
	struct spawned child;
	int other, fd;

	if (needs_plain_build(__func__))
		return;
	hello();
	fd = spawn_one(1, &child, &other);
	kill(program, SIGKILL);
	waitpid(program, NULL, 0);
	program = 0;
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = child.pid_fd, .events = POLLIN }, 1, 200), 0);
	close(fd);
	ck_assert_int_eq(wait_for(child.pid), SP_EXIT_ORPHAN);
	close(other);
	close(child.pid_fd);
}
END_TEST

/* A child that finds itself with another parent was made for a listener that is dead already. */
START_TEST(orphans_do_not_begin)
{
	struct spawned child;
	int other, fd;

	if (needs_plain_build(__func__))
		return;
	another_parent = true;
	begin();
	hello();
	fd = spawn_one(1, &child, &other);
	ck_assert_int_eq(wait_for(child.pid), SP_EXIT_SANDBOX);
	close(fd);
	close(other);
	close(child.pid_fd);
	finish();
}
END_TEST

/* Plays the listener until it is killed. */
static void __attribute__((noreturn))
listen_and_die(int agent_fd, int files_fd)
{
	static struct msg_spawn_agent ask = { .serial = 1 };
	int fds[] = { agent_fd, files_fd };

	begin();
	hello();
	if (chan_send(&listener, MSG_SPAWN_AGENT, 1, &ask, fds, 2) != 0)
		_exit(1);
	for (;;)
		pause();
}

/* With all its channels open a session ends with the listener: by the signal that comes with the parent's death. */
START_TEST(the_listeners_death_ends_sessions)
{
	int agent[2], files[2];
	struct chan c;
	pid_t pid;

	if (needs_plain_build(__func__))
		return;
	ck_assert_int_eq(chan_pair(agent), 0);
	ck_assert_int_eq(chan_pair(files), 0);
	pid = fork();
	if (pid == 0) {
		close(agent[0]);
		close(files[0]);
		listen_and_die(agent[1], files[1]);
	}
	close(agent[1]);
	close(files[1]);
	chan_init(&c, agent[0], CH_AGENT, ROLE_MONITOR);
	ck_assert_int_eq(chan_receive(&c, &m, ST_START), 0);
	ck_assert_int_eq(m.type, MSG_AGENT_READY);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = c.fd, .events = POLLIN }, 1, PATIENCE_MS), 1);
	ck_assert_int_eq(chan_receive(&c, &m, ST_START), SP_ECLOSED);
	chan_close(&c);
	close(files[0]);
}
END_TEST

Suite *
privsep_template_suite(void)
{
	Suite *s = suite_create("template");
	TCase *t = tcase_create("life"), *d = tcase_create("death");

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, begin, finish);
	tcase_add_test(t, children_are_the_listeners);
	tcase_add_test(t, the_end_of_its_channel_ends_it);
	tcase_add_loop_test(t, wrong_requests_end_it, 0, 2);
	tcase_add_test(t, its_death_leaves_children_alone);
	suite_add_tcase(s, d);
	tcase_add_test(d, orphans_do_not_begin);
	tcase_add_test(d, the_listeners_death_ends_sessions);
	return s;
}
