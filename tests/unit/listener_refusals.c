#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/listener/refusals.h"
#include "tests/unit/listener.h"

static struct refusals *x;
static unsigned lines, clients;
static char last[512];

static void
collect(void *context, enum log_level level, const char *text, size_t len)
{
	const char *count = strstr(text, " count=");

	(void)context, (void)level, (void)len;
	ck_assert_ptr_nonnull(count);
	clients += (unsigned)strtoul(count + 7, NULL, 10);
	lines++;
	(void)snprintf(last, sizeof last, "%s", text);
}

static void
begin(void)
{
	lines = clients = 0;
	x = refusals_new(EVENT_REFUSED);
	ck_assert_ptr_nonnull(x);
	log_set_sink(collect, NULL);
}

static void
end(void)
{
	refusals_free(x);
}

static void
refuse(const char *from, const char *reason, const char *listener, int64_t now)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, from, 21), 0);
	refusals_note(x, &a, &(struct refusal){ .reason = reason, .listener = listener, .limit = 7 }, now);
}

START_TEST(one_line_a_minute)
{
	for (int64_t now = 1000; now < 61000; now++)
		refuse("192.0.2.1", "ban", "main", now);
	ck_assert_uint_eq(lines, 1);
	ck_assert_str_eq(last, "event=refused rhost=192.0.2.1 reason=ban value=7 listener=main count=1");
	refuse("192.0.2.1", "ban", "main", 61000);
	ck_assert_uint_eq(lines, 2);
	ck_assert_str_eq(last, "event=refused rhost=192.0.2.1 reason=ban value=7 listener=main count=60000");
}
END_TEST

START_TEST(sources_reasons_and_listeners_apart)
{
	static const char *const from[] = { "192.0.2.1", "192.0.2.2", "2001:db8::1" };

	for (int i = 0; i < 3; i++)
		for (size_t k = 0; k < 3; k++) {
			refuse(from[k], "ban", "main", 1000);
			refuse(from[k], "drain", "main", 1000);
			refuse(from[k], "drain", "", 1000);
		}
	ck_assert_uint_eq(lines, 9);
	refuse("2001:db8::2", "ban", "main", 1000);	/* the same /64 */
	ck_assert_uint_eq(lines, 9);
}
END_TEST

START_TEST(what_was_counted_is_said_without_another)
{
	ck_assert_int_eq(refusals_flush(x, 0), -1);
	refuse("192.0.2.1", "ban", "", 1000);
	ck_assert_int_eq(refusals_flush(x, 2000), 59000);
	refuse("192.0.2.1", "ban", "", 3000);
	refuse("192.0.2.1", "ban", "", 3000);
	ck_assert_uint_eq(lines, 1);
	ck_assert_int_eq(refusals_flush(x, 61000), 60000);
	ck_assert_uint_eq(lines, 2);
	ck_assert_uint_eq(clients, 3);
	/* Who is quiet for a minute is forgotten. */
	ck_assert_int_eq(refusals_flush(x, 121000), -1);
	ck_assert_uint_eq(lines, 2);
	refuse("192.0.2.1", "ban", "", 121000);
	ck_assert_uint_eq(lines, 3);
	refuse("192.0.2.1", "ban", "", 121000);
	refusals_end(x);
	ck_assert_uint_eq(lines, 4);
	ck_assert_uint_eq(clients, 5);
}
END_TEST

static unsigned
own_lines(const char *from, unsigned of, int64_t now)
{
	unsigned own = 0;
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, from, 21), 0);
	for (unsigned i = 0; i < of; i++)
		own += refusals_own_line(x, &a, &(struct refusal){ .reason = "", .listener = "main" }, now);
	return own;
}

/* The first of a source in a minute have lines of their own, the rest is counted; others are not touched by that. */
START_TEST(the_first_have_lines_of_their_own)
{
	ck_assert_uint_eq(own_lines("192.0.2.1", 200, 1000), 10);
	ck_assert_uint_eq(own_lines("192.0.2.2", 3, 1000), 3);
	ck_assert_uint_eq(own_lines("2001:db8::1", 6, 1000) + own_lines("2001:db8::2", 6, 1000), 10);
	for (int i = 0; i < 190; i++)
		refuse("192.0.2.1", "", "main", 2000);
	ck_assert_uint_eq(lines, 0);
	ck_assert_int_eq(refusals_flush(x, 60999), 1);
	ck_assert_int_eq(refusals_flush(x, 61000), 60000);
	ck_assert_uint_eq(lines, 1);
	ck_assert_str_eq(last, "event=refused rhost=192.0.2.1 value=7 listener=main count=190");
	/* A minute later the source starts again, whether it was counted or forgotten. */
	ck_assert_uint_eq(own_lines("192.0.2.1", 200, 61000), 10);
	ck_assert_uint_eq(own_lines("192.0.2.2", 200, 61000), 10);
}
END_TEST

START_TEST(many_sources_have_few_lines_of_their_own)
{
	unsigned own = 0;

	for (unsigned i = 0; i < 20000; i++) {
		char text[64];

		(void)snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 8, i & 255);
		own += own_lines(text, 20, 1000);
	}
	ck_assert_uint_le(own, 100 * 10 + 925);
	ck_assert_uint_eq(lines, 0);
}
END_TEST

/* Nobody is lost, and nobody can order more lines by having more addresses. */
START_TEST(bounded)
{
	for (int round = 0; round < 3; round++)
		for (unsigned i = 0; i < 20000; i++) {
			char text[64];

			(void)snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 8, i & 255);
			refuse(text, "max_sessions", "main", 1000 + round);
		}
	ck_assert_uint_eq(lines, 1025);
	ck_assert_ptr_nonnull(strstr(last, "rhost=many"));
	refusals_end(x);
	ck_assert_uint_eq(clients, 60000);
	ck_assert_uint_le(lines, 2 * 1025);
}
END_TEST

/* Sessions take of what their source may have, give back what they do not need, and a minute later there is more. */
START_TEST(lines_are_shared_by_a_source)
{
	struct addr a, b;

	ck_assert_int_eq(addr_parse(&a, "2001:db8::1", 21), 0);
	ck_assert_int_eq(addr_parse(&b, "2001:db8::ffff", 21), 0);
	ck_assert_uint_eq(refusals_take(x, &a, 3, 1000), 3);
	ck_assert_uint_eq(refusals_take(x, &b, 6, 1000), 6);
	ck_assert_uint_eq(refusals_take(x, &a, 3, 2000), 1);
	ck_assert_uint_eq(refusals_take(x, &a, 3, 2000), 0);
	refusals_give_back(x, &b, 2);
	ck_assert_uint_eq(refusals_take(x, &a, 3, 2000), 2);
	refusals_give_back(x, &b, 100);
	ck_assert_uint_eq(refusals_take(x, &a, 100, 2000), 10);
	refusals_flush(x, 61000);
	refusals_give_back(x, &b, 1);
	ck_assert_uint_eq(refusals_take(x, &a, 100, 61000), 10);
	ck_assert_uint_eq(lines, 0);
}
END_TEST

START_TEST(what_is_not_said_is_counted_for_a_minute)
{
	static const struct refusal what = { .reason = "tls-failed", .listener = "main" };
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, "192.0.2.1", 21), 0);
	refusals_count(x, &a, &what, 2, 1000);
	refusals_count(x, &a, &what, 40, 60000);
	refusals_flush(x, 60999);
	ck_assert_uint_eq(lines, 0);
	refusals_flush(x, 61000);
	ck_assert_uint_eq(lines, 1);
	ck_assert_uint_eq(clients, 42);
	ck_assert_ptr_nonnull(strstr(last, "rhost=192.0.2.1 reason=tls-failed listener=main count=42"));
}
END_TEST

Suite *
listener_refusals_suite(void)
{
	Suite *suite = suite_create("refusals");
	TCase *t = tcase_create("refusals");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, one_line_a_minute);
	tcase_add_test(t, sources_reasons_and_listeners_apart);
	tcase_add_test(t, what_was_counted_is_said_without_another);
	tcase_add_test(t, the_first_have_lines_of_their_own);
	tcase_add_test(t, many_sources_have_few_lines_of_their_own);
	tcase_add_test(t, bounded);
	tcase_add_test(t, lines_are_shared_by_a_source);
	tcase_add_test(t, what_is_not_said_is_counted_for_a_minute);
	suite_add_tcase(suite, t);
	return suite;
}
