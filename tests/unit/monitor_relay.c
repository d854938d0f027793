#include "config.h"

#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "tests/unit/monitor.h"

static struct rig r;

/* What a worker says, and what stands in the log of it. */
static const struct { const char *said, *written; } lines[] = {
	{ "event=reply code=550", "event=reply session=4f2a rhost=192.0.2.7 user=alice role=worker code=550\n" },
	{ "event=x path=\"/a b\" n=1", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker path=\"/a b\" n=1\n" },
	{ "event=x path=\"a\\\"b\\\\c\\x0a\"", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker path=\"a\\\"b\\\\c\\x0a\"\n" },
	/* Lines of the monitor's own are not to be had. */
	{ "event=auth-failure rhost=198.51.100.1 user=x", "event=claimed session=4f2a rhost=192.0.2.7 user=alice role=worker\n" },
	{ "event=x rhost=198.51.100.1 n=1", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker n=1\n" },
	{ "event=login user=root", "event=claimed session=4f2a rhost=192.0.2.7 user=alice role=worker\n" },
	{ "event=transfer path=/x bytes=1", "event=claimed session=4f2a rhost=192.0.2.7 user=alice role=worker path=/x bytes=1\n" },
	{ "event=access op=DELE verdict=allow", "event=claimed session=4f2a rhost=192.0.2.7 user=alice role=worker op=DELE verdict=allow\n" },
	{ "event=log-gap lost=1", "event=claimed session=4f2a rhost=192.0.2.7 user=alice role=worker lost=1\n" },
	/* The last one of a name would count. */
	{ "event=x event=login a=b", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker a=b\n" },
	/*
	 * Whatever bytes a line that is made well carries: C1, the turn of the direction, no UTF-8 at all, and
	 * events of such.
	 */
	{ "event=x a=b\xc2\x9b" "31mc", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker a=\"b\\xc2\\x9b31mc\"\n" },
	{ "event=x a=\"b\xe2\x80\xae c\"", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker a=\"b\\xe2\\x80\\xae c\"\n" },
	{ "event=x a=\xff\xfe", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker a=\"\\xff\\xfe\"\n" },
	{ "event=x a=\xc3\xa4", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker a=\xc3\xa4\n" },
	{ "event=\xc2\x9bx a=b", "event=claimed session=4f2a rhost=192.0.2.7 user=alice role=worker a=b\n" },
	{ "\xe2\x80\xae", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"\\xe2\\x80\\xae\"\n" },
	/* A number is one without quotes only. */
	{ "event=x a=\"1\" b=2 c=03 d=1234567890123456789012", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker a=\"1\" b=2 c=03 "
	  "d=1234567890123456789012\n" },
	{ "event=x session=1 role=monitor user=root level=error", "event=x session=4f2a rhost=192.0.2.7 user=alice role=worker\n" },
	/* What is not made like a line is a text. */
	{ "hello", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=hello\n" },
	{ "event=x path=\"open", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"event=x path=\\\"open\"\n" },
	{ "event=x a=b=c", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"event=x a=b=c\"\n" },
	{ "event=x  a=b", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"event=x  a=b\"\n" },
	{ "event=x a=\\q", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"event=x a=\\\\q\"\n" },
	{ "event=x A=b", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"event=x A=b\"\n" },
	{ "", "event=note session=4f2a rhost=192.0.2.7 user=alice role=worker text=\"\"\n" }
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
	static const struct msg_agent_log m = { .level = 200, .text = "event=audit command=RETR path=/x rule=\"sallyport.conf:7\" a=\xc2\x85" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	rig_wait(&r);
	ck_assert(rig_logged(&r, "warning event=audit session=4f2a rhost=192.0.2.7 user=alice role=agent command=RETR path=/x rule=sallyport.conf:7 a=\"\\xc2\\x85\"\n"));
	rig_remove(&r);
}
END_TEST

START_TEST(a_flood_is_rationed_and_counted)
{
	static const struct msg_log m = { .level = LOG_LEVEL_INFO, .text = "event=flood" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(chan_tell(&r.log, MSG_LOG, &m), 0);
	chan_close(&r.log);
	chan_close(&r.agent);
	rig_wait(&r);
	ck_assert(rig_logged(&r, "event=flood"));
	ck_assert(rig_logged(&r, "event=log-lines-dropped session=4f2a rhost=192.0.2.7 user=alice role=worker lines="));
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
		(void)str_format(m.text, sizeof m.text, "event=access n=%d", i);
		ck_assert_int_eq(chan_tell(&r.agent, MSG_AGENT_LOG, &m), 0);
	}
	while (!rig_logged(&r, "n=559\n")) {
		ck_assert_int_lt(clock_ms() - began, 15000);
		(void)poll(NULL, 0, 20);
	}
	/* Sixty more than may come at once, a hundred of them in a second. */
	ck_assert_int_ge(clock_ms() - began, 400);
	for (int i = 0; i < 560; i += 50) {
		(void)str_format(m.text, sizeof m.text, "role=agent n=%d\n", i);
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
