#include "config.h"

#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "tests/unit/monitor.h"

static struct rig r;

/* What a worker says, and what stands in the log of it. */
#define HEAD " session=4f2a rhost=192.0.2.7 user=alice role=worker"

static const struct { const char *said, *written; } lines[] = {
	{ "event=not-ftp command=GET", "event=not-ftp" HEAD " command=GET\n" },
	{ "event=command-refused op=RETR typed=\"/a b\" reason=1",
	  "event=command-refused" HEAD " op=RETR typed=\"/a b\" reason=1\n" },
	{ "event=command-refused typed=\"a\\\"b\\\\c\\x0a\"", "event=command-refused" HEAD " typed=\"a\\\"b\\\\c\\x0a\"\n" },
	{ "event=command-refused op=RETR cut=yes", "event=command-refused" HEAD " op=RETR cut=yes\n" },
	/* Lines of the monitor's own are not to be had, nor those of the agent, nor any that does not exist. */
	{ "event=auth-failure rhost=198.51.100.1 user=x", "event=claimed" HEAD " text=\"event=auth-failure rhost=198.51.100.1 user=x\"\n" },
	{ "event=login user=root", "event=claimed" HEAD " text=\"event=login user=root\"\n" },
	{ "event=transfer path=/x bytes=1", "event=claimed" HEAD " text=\"event=transfer path=/x bytes=1\"\n" },
	{ "event=access op=DELE verdict=allow", "event=claimed" HEAD " text=\"event=access op=DELE verdict=allow\"\n" },
	{ "event=log-gap lost=1", "event=claimed" HEAD " text=\"event=log-gap lost=1\"\n" },
	{ "event=anything", "event=claimed" HEAD " text=\"event=anything\"\n" },
	/* Nor are fields that the event does not have, and those of the session are the monitor's to say. */
	{ "event=not-ftp uid=0", "event=claimed" HEAD " text=\"event=not-ftp uid=0\"\n" },
	{ "event=not-ftp anything=0", "event=claimed" HEAD " text=\"event=not-ftp anything=0\"\n" },
	{ "event=not-ftp event=login command=b", "event=claimed" HEAD " text=\"event=not-ftp event=login command=b\"\n" },
	{ "event=not-ftp rhost=198.51.100.1 command=a", "event=not-ftp" HEAD " command=a\n" },
	{ "event=not-ftp session=1 role=monitor user=root", "event=not-ftp" HEAD "\n" },
	{ "event=not-ftp time=1 level=error", "event=claimed" HEAD " text=\"event=not-ftp time=1 level=error\"\n" },
	/*
	 * Whatever bytes a line that is made well carries: C1, the turn of the direction, no UTF-8 at all, and
	 * events of such.
	 */
	{ "event=not-ftp command=b\xc2\x9b" "31mc", "event=not-ftp" HEAD " command=\"b\\xc2\\x9b31mc\"\n" },
	{ "event=not-ftp command=\"b\xe2\x80\xae c\"", "event=not-ftp" HEAD " command=\"b\\xe2\\x80\\xae c\"\n" },
	{ "event=not-ftp command=\xff\xfe", "event=not-ftp" HEAD " command=\"\\xff\\xfe\"\n" },
	{ "event=not-ftp command=\xc3\xa4", "event=not-ftp" HEAD " command=\xc3\xa4\n" },
	{ "event=\xc2\x9bx a=b", "event=claimed" HEAD " text=\"event=\\xc2\\x9bx a=b\"\n" },
	{ "\xe2\x80\xae", "event=claimed" HEAD " text=\"\\xe2\\x80\\xae\"\n" },
	/* A number is one without quotes only. */
	{ "event=command-refused op=\"1\" typed=2 reason=03", "event=command-refused" HEAD " op=\"1\" typed=2 reason=03\n" },
	{ "event=not-ftp command=1234567890123456789012", "event=not-ftp" HEAD " command=1234567890123456789012\n" },
	/* What is not made like a line is a text. */
	{ "hello", "event=claimed" HEAD " text=hello\n" },
	{ "event=not-ftp command=\"open", "event=claimed" HEAD " text=\"event=not-ftp command=\\\"open\"\n" },
	{ "event=not-ftp command=b=c", "event=claimed" HEAD " text=\"event=not-ftp command=b=c\"\n" },
	{ "event=not-ftp  command=b", "event=claimed" HEAD " text=\"event=not-ftp  command=b\"\n" },
	{ "event=not-ftp command=\\q", "event=claimed" HEAD " text=\"event=not-ftp command=\\\\q\"\n" },
	{ "event=not-ftp Command=b", "event=claimed" HEAD " text=\"event=not-ftp Command=b\"\n" },
	{ "", "event=claimed" HEAD " text=\"\"\n" }
};

START_TEST(lines_of_the_worker)
{
	static struct msg_log m = { .level = LOG_LEVEL_INFO };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	(void)str_copy(m.text, sizeof m.text, lines[_i].said);
	ck_assert_int_eq(chan_tell(&r.log, MSG_LOG, &m), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	rig_wait(&r);
	ck_assert_msg(rig_logged(&r, lines[_i].written), "%s", lines[_i].said);
	rig_remove(&r);
}
END_TEST

START_TEST(lines_of_the_agent)
{
	static const struct msg_agent_log m = { .level = 200, .text = "event=access op=RETR path=/x rule=\"sallyport.conf:7\" kind=\xc2\x85" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	rig_wait(&r);
	ck_assert(rig_logged(&r, "info event=access session=4f2a rhost=192.0.2.7 user=alice role=agent op=RETR path=/x "
	    "rule=sallyport.conf:7 kind=\"\\xc2\\x85\"\n"));
	rig_remove(&r);
}
END_TEST

START_TEST(a_flood_is_rationed_and_counted)
{
	static const struct msg_log m = { .level = LOG_LEVEL_INFO, .text = "event=not-ftp" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(chan_tell(&r.log, MSG_LOG, &m), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	rig_wait(&r);
	ck_assert(rig_logged(&r, "event=not-ftp"));
	ck_assert(rig_logged(&r, "event=log-lines-dropped session=4f2a rhost=192.0.2.7 user=alice role=worker lost="));
	rig_remove(&r);
}
END_TEST

/* What the agent says is evidence: too much of it is delayed, and none of it lost. */
START_TEST(refusals_are_delayed_and_kept)
{
	static struct msg_agent_log m = { .level = LOG_LEVEL_NOTICE };
	int64_t began = clock_ms();

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	for (int i = 0; i < 560; i++) {
		(void)str_format(m.text, sizeof m.text, "event=access path=%d", i);
		ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	}
	while (!rig_logged(&r, "path=559\n")) {
		ck_assert_int_lt(clock_ms() - began, 15000);
		(void)poll(NULL, 0, 20);
	}
	/* Sixty more than may come at once, a hundred of them in a second. */
	ck_assert_int_ge(clock_ms() - began, 400);
	for (int i = 0; i < 560; i += 50) {
		(void)str_format(m.text, sizeof m.text, "role=agent path=%d\n", i);
		ck_assert_msg(rig_logged(&r, m.text), "%s", m.text);
	}
	ck_assert_int_eq(rig_end(&r), 0);
	rig_remove(&r);
}
END_TEST

Suite *
monitor_relay_suite(void)
{
	Suite *s = suite_create("monitor/relay");
	TCase *t = tcase_create("relay");

	tcase_add_loop_test(t, lines_of_the_worker, 0, (int)(sizeof lines / sizeof *lines));
	tcase_add_test(t, lines_of_the_agent);
	tcase_add_test(t, a_flood_is_rationed_and_counted);
	tcase_add_test(t, refusals_are_delayed_and_kept);
	suite_add_tcase(s, t);
	return s;
}
