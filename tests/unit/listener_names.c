/* Host names in passive_address: what sallyctl resolve is asked, and what is kept. The tests' sallyctl is a script. */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/names.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "tests/unit/listener.h"
#include "tests/unit/run.h"

static struct server server;
static struct options options;
static char dir[64], logged[65536];
static size_t logged_len;
static int idle;	/* events that wait where no names are looked up */

static void
collect(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level;
	if (logged_len + len + 1 < sizeof logged) {
		memcpy(logged + logged_len, text, len);
		logged_len += len;
		logged[logged_len] = '\0';
	}
}

static const char *
in_dir(const char *name)
{
	static char path[2][96];
	static unsigned turn;
	char *at = path[turn++ % 2];

	(void)str_format(at, sizeof path[0], "%s/%s", dir, name);
	return at;
}

static void
write_file(const char *name, const char *text)
{
	FILE *out = fopen(in_dir(name), "we");

	ck_assert_ptr_nonnull(out);
	ck_assert_int_ge(fputs(text, out), 0);
	ck_assert_int_eq(fclose(out), 0);
}

/* What was asked since the last call: the arguments, a line for each time. */
static const char *
asked(void)
{
	static char text[4096];
	FILE *in = fopen(in_dir("asked"), "re");
	size_t n = in == NULL ? 0 : fread(text, 1, sizeof text - 1, in);

	text[n] = '\0';
	if (in != NULL)
		fclose(in);
	(void)unlink(in_dir("asked"));
	return text;
}

/* A configuration with one listener for each name. */
static void
configure(const char *const *names)
{
	static const char *const listeners[] = { "one", "two", "three" };
	char why[128];

	server.conf = conf_new();
	for (size_t i = 0; i < 3 && names[i] != NULL; i++) {
		ck_assert_int_eq(conf_set(server.conf, SC_LISTENER, listeners[i], "listen", "127.0.0.1:2121", why, sizeof why), 0);
		ck_assert_int_eq(conf_set(server.conf, SC_LISTENER, listeners[i], "passive_address", names[i], why, sizeof why), 0);
	}
	server.settings = conf_server(server.conf);
	ck_assert_int_eq(sections_reload(&server), 0);
	names_start(&server);
}

static void
wait_answers(void)
{
	while (names_awaited(&server))
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
}

static void
begin(void)
{
	static const char template[] = "/tmp/sallyport-names-XXXXXX";
	char script[512];

	memcpy(dir, template, sizeof template);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)str_format(script, sizeof script, "#!/bin/sh\necho \"$@\" >>%s/asked\ncat %s/answers\n", dir, dir);
	write_file("sallyctl", script);
	ck_assert_int_eq(chmod(in_dir("sallyctl"), 0755), 0);
	write_file("answers", "a.test 192.0.2.1 -\nb.test 192.0.2.2 -\nc.test 192.0.2.3 -\n");
	memset(&server, 0, sizeof server);
	options = (struct options){ .libexec = dir };
	server.options = &options;
	server.base = event_base_new();
	logged_len = 0;
	logged[0] = '\0';
	log_set_sink(collect, NULL);
	ck_assert_int_eq(pool_start(&server), 0);
	idle = event_base_get_num_events(server.base, EVENT_BASE_COUNT_ADDED);
}

static void
end(void)
{
	static const char *const files[] = { "sallyctl", "answers", "asked" };

	names_stop(&server);
	event_base_free(server.base);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		(void)unlink(in_dir(files[i]));
	ck_assert_int_eq(rmdir(dir), 0);
}

static const char *
known(const char *name)
{
	static char text[128];
	struct addr_map_row row = { .target = name };
	const struct addr_map map = { 1, &row };

	names_known(&server, &map, AF_INET, text, sizeof text);
	return text;
}

/* The old configuration is no longer needed by any section. */
static void
replace(struct conf *old)
{
	sections_retire(&server);
	names_settle(&server);
	conf_free(old);
}

START_TEST(names_that_nobody_names_are_forgotten)
{
	struct conf *old;

	configure((const char *const[]){ "a.test", "b.test", NULL });
	wait_answers();
	ck_assert_str_eq(asked(), "resolve b.test a.test\n");
	ck_assert_str_eq(known("b.test"), "b.test=192.0.2.2");
	/* One listener is gone, and the other one's name is another. */
	old = server.conf;
	configure((const char *const[]){ "c.test", NULL });
	wait_answers();
	ck_assert_str_eq(known("b.test"), "b.test=192.0.2.2");
	replace(old);
	ck_assert_str_eq(known("a.test"), "");
	ck_assert_str_eq(known("b.test"), "");
	ck_assert_str_eq(known("c.test"), "c.test=192.0.2.3");
	(void)asked();
	names_start(&server);
	wait_answers();
	ck_assert_str_eq(asked(), "resolve c.test\n");
}
END_TEST

START_TEST(a_reload_that_fails_leaves_what_was_known)
{
	struct conf *old, *bad;

	configure((const char *const[]){ "a.test", NULL });
	wait_answers();
	old = server.conf;
	configure((const char *const[]){ "c.test", NULL });
	wait_answers();
	bad = server.conf;
	server.conf = old;
	ck_assert_int_eq(sections_reload(&server), 0);
	names_settle(&server);
	conf_free(bad);
	ck_assert_str_eq(known("a.test"), "a.test=192.0.2.1");
	ck_assert_str_eq(known("c.test"), "");
}
END_TEST

/* Neither at once nor later: sallyctl resolve without names is a mistake. Loops over what is going on just then. */
START_TEST(without_names_nobody_is_asked)
{
	struct conf *old;

	configure((const char *const[]){ "a.test", NULL });
	if (_i == 0)
		wait_answers();
	old = server.conf;
	configure((const char *const[]){ NULL });
	replace(old);
	wait_answers();
	ck_assert_str_eq(known("a.test"), "");
	ck_assert_int_eq(event_base_get_num_events(server.base, EVENT_BASE_COUNT_ADDED), idle);
	(void)asked();
	names_start(&server);
	ck_assert(!names_awaited(&server));
	ck_assert_str_eq(asked(), "");
}
END_TEST

/* Names that come while others are being asked for wait for their turn, and are not said to be unknown. */
START_TEST(names_that_come_late_are_asked_for_next)
{
	struct conf *old;

	configure((const char *const[]){ "a.test", NULL });
	ck_assert(names_awaited(&server));
	old = server.conf;
	write_file("answers", "a.test 192.0.2.1 -\n");
	configure((const char *const[]){ "c.test", NULL });
	replace(old);
	wait_answers();
	ck_assert_ptr_null(strstr(logged, "passive-address-unresolved"));
	write_file("answers", "c.test 192.0.2.3 -\n");
	while (*known("c.test") == '\0')
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
	ck_assert_str_eq(known("c.test"), "c.test=192.0.2.3");
}
END_TEST

Suite *
listener_names_suite(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("reloads");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, names_that_nobody_names_are_forgotten);
	tcase_add_test(t, a_reload_that_fails_leaves_what_was_known);
	tcase_add_loop_test(t, without_names_nobody_is_asked, 0, 2);
	tcase_add_test(t, names_that_come_late_are_asked_for_next);
	suite_add_tcase(s, t);
	return s;
}
