#include "config.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exitcode.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"

static struct rig r;

START_TEST(a_spare_that_is_not_needed_ends_quietly)
{
	rig_start(&r, "");
	rig_ready(&r);
	chan_close(&r.login);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	rig_remove(&r);
}
END_TEST

START_TEST(ready_needs_both)
{
	static const struct msg_agent_ready agent;
	struct pollfd p;

	rig_start(&r, "");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_READY, &agent), 0);
	p = (struct pollfd){ .fd = r.listener.fd, .events = POLLIN };
	ck_assert_int_eq(poll(&p, 1, 100), 0);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

START_TEST(client_that_leaves_has_never_authenticated)
{
	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	chan_close(&r.login);
	chan_close(&r.log);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_NOAUTH);
	ck_assert(rig_logged(&r, "event=connect session=4f2a rhost=192.0.2.7 rport=40000"));
	ck_assert(rig_logged(&r, "event=session-end session=4f2a rhost=192.0.2.7 how=never-authenticated"));
	rig_remove(&r);
}
END_TEST

START_TEST(agent_that_vanishes_ends_the_session)
{
	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_ORPHAN);
	rig_remove(&r);
}
END_TEST

START_TEST(listener_that_vanishes_ends_the_session)
{
	rig_survivors(500);
	rig_start(&r, "");
	rig_survivors(PATIENCE_MS);
	rig_live(&r, "alice", "secret");
	chan_close(&r.listener);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);	/* told to end, after some time to say what is left */
	rig_remove(&r);
}
END_TEST

/* The agent's last records come after the worker has gone. */
START_TEST(live_session_ends_when_both_are_gone)
{
	static struct msg_transfer_record t = { .direction = TRANSFER_IN, .complete = 1, .bytes = 42, .path = "/last" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	chan_close(&r.log);
	(void)poll(NULL, 0, 20);
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	ck_assert(rig_logged(&r, "transfers=1 bytes_in=42 bytes_out=0 how=ok"));
	rig_remove(&r);
}
END_TEST

START_TEST(survivor_is_not_waited_for_long)
{
	rig_survivors(500);
	rig_start(&r, "");
	rig_survivors(PATIENCE_MS);
	rig_live(&r, "alice", "secret");
	chan_close(&r.log);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_ORPHAN);
	rig_remove(&r);
}
END_TEST

START_TEST(stop_before_login_is_a_421)
{
	static const struct msg_stop stop = { .text = "Going down." };

	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	ck_assert_int_eq(chan_tell(&r.listener, MSG_STOP, &stop), 0);
	rig_expect(&r, &r.login, MSG_END_SESSION);
	ck_assert_str_eq(r.m.end_session.text, "Going down.");
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	rig_remove(&r);
}
END_TEST

START_TEST(stop_of_a_live_session_goes_to_the_agent)
{
	static const struct msg_stop stop = { .text = "Going down." };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.listener, MSG_STOP, &stop), 0);
	rig_expect(&r, &r.agent, MSG_AGENT_END);
	ck_assert_str_eq(r.m.agent_end.text, "Going down.");
	chan_close(&r.log);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	rig_remove(&r);
}
END_TEST

START_TEST(session_timeout_tells_the_client_first)
{
	rig_start(&r, "session_timeout = 1");
	rig_live(&r, "alice", "secret");
	rig_expect(&r, &r.agent, MSG_AGENT_END);
	ck_assert(rig_logged(&r, "event=session-timeout"));
	chan_close(&r.log);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	rig_remove(&r);
}
END_TEST

START_TEST(activity_is_passed_on)
{
	static const struct msg_agent_note note = { .what = "RETR /x", .bytes_in = 1, .bytes_out = 2 };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_NOTE, &note), 0);
	rig_expect(&r, &r.listener, MSG_ACTIVITY);
	ck_assert_str_eq(r.m.activity.what, "RETR /x");
	ck_assert_uint_eq(r.m.activity.bytes_out, 2);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* Notes come from the worker: they must not keep the listener, which serves all, busy. */
START_TEST(activity_is_rationed)
{
	static const struct msg_agent_note note = { .what = "RETR /x" };
	int64_t began = clock_ms();
	unsigned told = 0, periods;

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_NOTE, &note), 0);
	/* The monitor takes them all before it ends; what it told stays in the channel. */
	chan_close(&r.agent);
	chan_close(&r.log);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	periods = 1 + (unsigned)((clock_ms() - began) / 5000);
	while (chan_receive(&r.listener, &r.m, ~0u) == 0)
		told += r.m.type == MSG_ACTIVITY;
	ck_assert_uint_ge(told, 10);
	ck_assert_msg(told <= 20 * periods, "%u in %u periods", told, periods);
	rig_remove(&r);
}
END_TEST

Suite *
monitor_session_suite(void)
{
	Suite *s = suite_create("monitor/session");
	TCase *t = tcase_create("session");

	tcase_add_test(t, a_spare_that_is_not_needed_ends_quietly);
	tcase_add_test(t, ready_needs_both);
	tcase_add_test(t, client_that_leaves_has_never_authenticated);
	tcase_add_test(t, agent_that_vanishes_ends_the_session);
	tcase_add_test(t, listener_that_vanishes_ends_the_session);
	tcase_add_test(t, live_session_ends_when_both_are_gone);
	tcase_add_test(t, survivor_is_not_waited_for_long);
	tcase_add_test(t, stop_before_login_is_a_421);
	tcase_add_test(t, stop_of_a_live_session_goes_to_the_agent);
	tcase_add_test(t, session_timeout_tells_the_client_first);
	tcase_add_test(t, activity_is_passed_on);
	tcase_add_test(t, activity_is_rationed);
	suite_add_tcase(s, t);
	return s;
}
