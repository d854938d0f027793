#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
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

/* The listener counts it; what is no ordinary end is said all the same. */
START_TEST(quiet_clients_that_never_log_in_leave_no_lines)
{
	rig_start(&r, "");
	rig_ready(&r);
	rig_quiet_client(&r);
	chan_close(_i == 0 ? &r.login : &r.agent);
	chan_close(&r.log);
	ck_assert_int_eq(rig_wait(&r), _i == 0 ? SP_EXIT_NOAUTH : SP_EXIT_ORPHAN);
	ck_assert(!rig_logged(&r, "event=connect"));
	ck_assert_int_eq(rig_logged(&r, "event=session-end session=4f2a rhost=192.0.2.7 how=orphaned"), _i != 0);
	ck_assert_int_eq(rig_logged(&r, "event=session-end"), _i != 0);
	rig_remove(&r);
}
END_TEST

/* Beyond what the listener allows, it is counted there; but who logs in has all lines. */
START_TEST(lines_about_strangers_are_counted)
{
	static const struct msg_log said = { .level = LOG_LEVEL_WARNING, .text = "event=not-ftp command=GET" };
	/* Exempt where the monitor says it, and costs the worker nothing. */
	static const struct msg_log claimed = { .level = LOG_LEVEL_ERROR, .text = "event=syscall-refused" };
	bool logs_in = _i != 0;

	rig_start(&r, "");
	rig_ready(&r);
	rig_quiet_client(&r);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(chan_tell(&r.log, MSG_LOG, &said), 0);
	if (logs_in) {
		rig_login(&r, "alice", "secret");
		rig_admit(&r, NULL, NULL);
		ck_assert_int_eq(rig_end(&r), 0);
	} else {
		ck_assert_int_eq(chan_tell(&r.log, MSG_LOG, &claimed), 0);
		chan_close(&r.log);
		rig_expect(&r, &r.listener, MSG_UNSAID);
		if (r.m.unsaid.event == EVENT_SYSCALL_REFUSED)
			rig_expect(&r, &r.listener, MSG_UNSAID);
		ck_assert_uint_eq(r.m.unsaid.event, EVENT_NOT_FTP);
		ck_assert_uint_eq(r.m.unsaid.count, 3);
		rig_wait(&r);
	}
	ck_assert(!rig_logged(&r, "event=syscall-refused"));
	ck_assert_int_eq(rig_logged(&r, "event=not-ftp session=4f2a rhost=192.0.2.7 role=worker command=GET\n"), logs_in);
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

/* The templates were renewed by a reload while the client waited: it is not served by the server's settings instead. */
START_TEST(a_listener_that_is_not_known_is_refused)
{
	static struct msg_client client = { .session = 1, .agent_pid = 1234 };
	struct addr a;
	int pair[2];

	rig_start(&r, "[listener known]\nlisten = 127.0.0.1:2121\ntls = off\n");
	rig_ready(&r);
	ck_assert_int_eq(addr_parse(&a, "192.0.2.7", 1000), 0);
	memcpy(client.peer, &a.sa, client.peer_len = addr_len(&a));
	memcpy(client.local, &a.sa, client.local_len = addr_len(&a));
	(void)str_copy(client.listener, sizeof client.listener, _i == 0 ? "removed" : "known");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(chan_send(&r.listener, MSG_CLIENT, 1, &client, pair, 1), 0);
	close(pair[0]);
	if (_i == 0) {
		ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
		ck_assert_int_eq(chan_receive(&r.login, &r.m, ST_LOGIN), SP_ECLOSED);
	} else {
		rig_expect(&r, &r.login, MSG_SERVE);
		ck_assert_str_eq(r.m.serve.listener, "known");
		msg_close(&r.m);
		rig_end(&r);
	}
	close(pair[1]);
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

/* A transfer has a record of its own; one that broke off is no session that ended well. */
START_TEST(transfers_are_on_record)
{
	static struct msg_transfer_record t = { .direction = TRANSFER_IN, .complete = 1, .bytes = 42, .milliseconds = 7, .path = "/a b" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	t.complete = 0, t.how = FINISH_UNWRITABLE, t.error = ENOSPC;
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	t.direction = TRANSFER_OUT, t.how = FINISH_STOPPED, t.error = 0, t.ascii = 1;
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	ck_assert(rig_logged(&r, "event=transfer session=4f2a rhost=192.0.2.7 user=alice direction=upload path=\"/a b\" bytes=42 milliseconds=7 "
	    "type=binary complete=yes\n"));
	ck_assert(rig_logged(&r, "complete=no how=unwritable errno=28 error=\"No space left on device\"\n"));
	ck_assert(rig_logged(&r, "direction=download path=\"/a b\" bytes=42 milliseconds=7 type=ascii complete=no how=session-ended\n"));
	ck_assert(rig_logged(&r, "transfers=3 incomplete=2 bytes_in=84 bytes_out=42 how=broken-off"));
	rig_remove(&r);
}
END_TEST

/* Nobody is left to tell of the transfer that ran: the monitor does, once, with what is known. */
START_TEST(a_transfer_without_an_end_is_on_record)
{
	static struct msg_transfer_record t = { .direction = TRANSFER_OUT, .complete = 1, .bytes = 42, .path = "/first" };
	static const struct msg_pulse p = { .state = PULSE_BROKEN_OFF, .moved = 17 };
	static const struct msg_agent_note note = { .what = "STOR x", .moved = 5 };
	bool told = _i % 2 == 1, second = _i >= 2;

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	inflight_begin(r.inflight, TRANSFER_OUT, "/first", clock_ms());
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	t.direction = TRANSFER_DELETED;		/* none that begins */
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	if (second)
		inflight_begin(r.inflight, TRANSFER_IN, "/se\ncond", clock_ms());
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_NOTE, &note), 0);
	chan_close(&r.agent);
	if (told)
		ck_assert_int_eq(chan_tell(&r.log, MSG_PULSE, &p), 0);
	chan_close(&r.log);
	(void)rig_wait(&r);
	ck_assert_int_eq(rig_logged(&r, "how=killed"), second);
	ck_assert_int_eq(rig_logged(&r, told ? "direction=upload path=\"/se\\x0acond\" bytes=17 " :
	    "direction=upload path=\"/se\\x0acond\" bytes=5 "), second);
	ck_assert_int_eq(rig_logged(&r, "transfers=3 incomplete=1 "), second);
	rig_remove(&r);
}
END_TEST

/* The agent may write there what it likes: it is one record, escaped, of a known direction. */
START_TEST(what_an_agent_notes_is_a_claim)
{
	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	memset(r.inflight, 0xff, sizeof *r.inflight);
	chan_close(&r.agent);
	chan_close(&r.log);
	(void)rig_wait(&r);
	ck_assert(rig_logged(&r, "direction=download path=\"\\xff\\xff"));
	ck_assert(rig_logged(&r, "transfers=1 incomplete=1 "));
	ck_assert(!rig_logged(&r, "\xff"));
	rig_remove(&r);
}
END_TEST

START_TEST(downloads_are_recorded_as_audit_says)
{
	static struct msg_transfer_record t = { .direction = TRANSFER_OUT, .complete = 1, .path = "/read" };

	rig_start(&r, "audit = no\n");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	t.complete = 0;
	(void)str_copy(t.path, sizeof t.path, "/cut");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	ck_assert(!rig_logged(&r, "path=/read"));
	ck_assert(rig_logged(&r, "path=/cut"));
	rig_remove(&r);
}
END_TEST

/* The rig's log is on a disk that is full. */
static void
let_log_grow(rlim_t bytes)
{
	struct rlimit limit;

	ck_assert_int_eq(prlimit(r.pid, RLIMIT_FSIZE, NULL, &limit), 0);
	limit.rlim_cur = bytes;
	ck_assert_int_eq(prlimit(r.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

/* audit_full = refuse: what cannot be recorded ends the session, by way of the worker, which tells the client. */
START_TEST(sessions_without_records_end)
{
	static const struct msg_agent_log m = { .level = LOG_LEVEL_INFO, .text = "event=access op=DELE path=/f" };

	(void)signal(SIGXFSZ, SIG_IGN);	/* as the template does */
	rig_start(&r, "audit_full = refuse\n");
	rig_live(&r, "alice", "secret");
	let_log_grow(1);
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	rig_expect(&r, &r.agent, MSG_AGENT_END);
	ck_assert_ptr_nonnull(strstr(r.m.agent_end.text, "cannot record"));
	chan_close(&r.log);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	rig_remove(&r);
}
END_TEST

/* And by default they go on; what is missing is said as soon as there is room. */
START_TEST(sessions_go_on_without_records)
{
	static const struct msg_agent_log m = { .level = LOG_LEVEL_INFO, .text = "event=access op=DELE path=/f" };
	static const struct msg_agent_log next = { .level = LOG_LEVEL_INFO, .text = "event=access op=MKD path=/d" };

	(void)signal(SIGXFSZ, SIG_IGN);	/* as the template does */
	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	let_log_grow(1);
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	(void)poll(NULL, 0, 50);
	let_log_grow(RLIM_INFINITY);
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &next), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	ck_assert(rig_logged(&r, "event=log-gap lost="));
	ck_assert(rig_logged(&r, "op=MKD path=/d"));
	ck_assert(!rig_logged(&r, "op=DELE"));
	rig_remove(&r);
}
END_TEST

START_TEST(nobody_logs_in_without_records)
{
	(void)signal(SIGXFSZ, SIG_IGN);	/* as the template does */
	rig_start(&r, "audit_full = refuse\n");
	rig_ready(&r);
	let_log_grow(1);
	rig_client(&r);
	rig_login(&r, "alice", "secret");
	rig_expect(&r, &r.login, MSG_LOGIN_REFUSED);
	ck_assert_uint_eq(r.m.login_refused.code, 421);
	(void)rig_end(&r);
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

/* The log says what every reason is called, before a login and after it. */
START_TEST(the_end_is_logged_with_its_reason)
{
	struct msg_stop stop = { .text = "Going down.", .why = (uint8_t)(_i / 2) };
	char how[64];

	rig_start(&r, "");
	if (_i % 2 == 0) {
		rig_ready(&r);
		rig_client(&r);
	} else {
		rig_live(&r, "alice", "secret");
	}
	ck_assert_int_eq(chan_tell(&r.listener, MSG_STOP, &stop), 0);
	if (_i % 2 == 0) {
		rig_expect(&r, &r.login, MSG_END_SESSION);
	} else {
		rig_expect(&r, &r.agent, MSG_AGENT_END);
		rig_expect(&r, &r.log, MSG_HURRY);	/* what is closed unread loses what was sent before */
		/* A worker that has something else to say comes too late. */
		ck_assert_int_eq(chan_tell(&r.log, MSG_PULSE, &(struct msg_pulse){ .state = PULSE_IDLE }), 0);
		chan_close(&r.log);
		chan_close(&r.agent);
	}
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	if (_i % 2 != 0 && stop.why == SP_END_CLIENT)
		stop.why = SP_END_IDLE;
	snprintf(how, sizeof how, " how=%s\n", sp_end_word(stop.why));
	ck_assert_msg(rig_logged(&r, how), "%s", how);
	rig_remove(&r);
}
END_TEST

START_TEST(a_reason_that_is_none_breaks_the_protocol)
{
	static const struct msg_stop stop = { .text = "Going down.", .why = SP_END_COUNT };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.listener, MSG_STOP, &stop), 0);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
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

/* Of many notes the last is the one that stays true; what was too short for a note is told by its record. */
START_TEST(the_last_activity_is_told)
{
	static const struct msg_agent_note running = { .what = "RETR /x" }, over = { .what = "", .bytes_out = 7 };
	static const struct msg_transfer_record t = { .direction = TRANSFER_IN, .complete = 1, .bytes = 42, .path = "/short" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_NOTE, &running), 0);
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_NOTE, &over), 0);
	do
		rig_expect(&r, &r.listener, MSG_ACTIVITY);
	while (r.m.activity.bytes_out != 7);
	ck_assert_str_eq(r.m.activity.what, "");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_TRANSFER_RECORD, &t), 0);
	rig_expect(&r, &r.listener, MSG_ACTIVITY);
	ck_assert_uint_eq(r.m.activity.bytes_in, 42);
	ck_assert_uint_eq(r.m.activity.bytes_out, 7);
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
	tcase_add_loop_test(t, lines_about_strangers_are_counted, 0, 2);
	tcase_add_loop_test(t, quiet_clients_that_never_log_in_leave_no_lines, 0, 2);
	tcase_add_test(t, agent_that_vanishes_ends_the_session);
	tcase_add_test(t, listener_that_vanishes_ends_the_session);
	tcase_add_loop_test(t, a_listener_that_is_not_known_is_refused, 0, 2);
	tcase_add_test(t, live_session_ends_when_both_are_gone);
	tcase_add_test(t, transfers_are_on_record);
	tcase_add_loop_test(t, a_transfer_without_an_end_is_on_record, 0, 4);
	tcase_add_test(t, what_an_agent_notes_is_a_claim);
	tcase_add_test(t, downloads_are_recorded_as_audit_says);
	tcase_add_test(t, sessions_without_records_end);
	tcase_add_test(t, sessions_go_on_without_records);
	tcase_add_test(t, nobody_logs_in_without_records);
	tcase_add_test(t, survivor_is_not_waited_for_long);
	tcase_add_test(t, stop_before_login_is_a_421);
	tcase_add_loop_test(t, the_end_is_logged_with_its_reason, 0, 2 * SP_END_COUNT);
	tcase_add_test(t, a_reason_that_is_none_breaks_the_protocol);
	tcase_add_test(t, stop_of_a_live_session_goes_to_the_agent);
	tcase_add_test(t, session_timeout_tells_the_client_first);
	tcase_add_test(t, activity_is_passed_on);
	tcase_add_test(t, activity_is_rationed);
	tcase_add_test(t, the_last_activity_is_told);
	suite_add_tcase(s, t);
	return s;
}
