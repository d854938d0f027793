#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/listener/srclimit.h"
#include "tests/unit/listener.h"

static struct srclimit *s;
static struct srclimit_rules rules;
static unsigned seen;
static struct srclimit_ban last;

static struct addr
address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 21), 0);
	return a;
}

static enum srclimit_answer
enter(const char *text, int64_t now)
{
	struct addr a = address(text);

	return srclimit_enter(s, &rules, &a, now);
}

static void
leave(const char *text)
{
	struct addr a = address(text);

	srclimit_leave(s, &a);
}

static void
penalise(const char *text, int64_t amount, int64_t now)
{
	struct addr a = address(text);

	srclimit_penalise(s, &rules, &a, amount, now);
}

static struct addr_net
network(const char *text)
{
	struct addr_net n;

	ck_assert_int_eq(addr_net_parse(&n, text), 0);
	return n;
}

static void
note(void *context, const struct srclimit_ban *b)
{
	(void)context;
	seen++;
	last = *b;
}

static unsigned
bans(int64_t now)
{
	seen = 0;
	srclimit_each_ban(s, &rules, now, note, NULL);
	return seen;
}

static void
begin(void)
{
	s = srclimit_new();
	rules = (struct srclimit_rules){ .penalty_threshold = 30000, .penalty_max = 600000 };
	ck_assert_ptr_nonnull(s);
}

static void
finish(void)
{
	srclimit_free(s);
}

START_TEST(sessions_at_the_same_time)
{
	rules.sessions = 2;
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
	ck_assert_int_eq(enter("192.0.2.1:4711", 0), SRC_WELCOME);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_TOO_MANY);
	ck_assert_int_eq(enter("192.0.2.2", 0), SRC_WELCOME);
	leave("192.0.2.1");
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_TOO_MANY);
}
END_TEST

/* A host of IPv6 has a whole /64 to come from; IPv4 in IPv6 clothes is IPv4. */
START_TEST(ipv6_counts_by_network)
{
	rules.sessions = 1;
	ck_assert_int_eq(enter("2001:db8::1", 0), SRC_WELCOME);
	ck_assert_int_eq(enter("2001:db8::ffff:2", 0), SRC_TOO_MANY);
	ck_assert_int_eq(enter("2001:db8:0:1::1", 0), SRC_WELCOME);
	leave("2001:db8::abcd");
	ck_assert_int_eq(enter("2001:db8::2", 0), SRC_WELCOME);
}
END_TEST

START_TEST(connections_a_minute)
{
	rules.connects_per_minute = 3;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(enter("192.0.2.1", 1000 * i), SRC_WELCOME);
		leave("192.0.2.1");
	}
	ck_assert_int_eq(enter("192.0.2.1", 59000), SRC_TOO_FAST);
	ck_assert_int_eq(enter("192.0.2.1", 60000), SRC_WELCOME);
}
END_TEST

START_TEST(penalties_add_up_and_run_out)
{
	penalise("192.0.2.1", 20000, 0);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
	leave("192.0.2.1");
	penalise("192.0.2.1", 20000, 0);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_PENALTY);
	ck_assert_int_eq(enter("192.0.2.2", 0), SRC_WELCOME);
	ck_assert_uint_eq(bans(0), 1);
	ck_assert_int_eq(last.until, 10000);
	ck_assert_int_eq(enter("192.0.2.1", 9999), SRC_PENALTY);
	ck_assert_int_eq(enter("192.0.2.1", 10000), SRC_WELCOME);
	ck_assert_uint_eq(bans(10000), 0);
}
END_TEST

START_TEST(penalties_have_a_ceiling)
{
	for (int i = 0; i < 1000; i++)
		penalise("192.0.2.1", 90000, 0);
	ck_assert_int_eq(enter("192.0.2.1", 569999), SRC_PENALTY);
	ck_assert_int_eq(enter("192.0.2.1", 570000), SRC_WELCOME);
}
END_TEST

START_TEST(some_networks_are_exempt)
{
	struct addr_net net = network("192.0.2.0/24");
	struct addr_nets nets = { 1, &net };

	rules.exempt = &nets;
	penalise("192.0.2.1", 900000, 0);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
	penalise("198.51.100.1", 900000, 0);
	ck_assert_int_eq(enter("198.51.100.1", 0), SRC_PENALTY);
}
END_TEST

START_TEST(bans_end_and_are_lifted)
{
	struct addr_net net = network("192.0.2.0/24"), six = network("2001:db8::/32"), none = network("10.0.0.0/8");

	ck_assert_int_eq(srclimit_ban(s, &net, 5000, "rude"), 0);
	ck_assert_int_eq(srclimit_ban(s, &six, 0, "for ever"), 0);
	ck_assert_int_eq(enter("192.0.2.77", 4999), SRC_BANNED);
	ck_assert_int_eq(enter("192.0.3.77", 4999), SRC_WELCOME);
	ck_assert_int_eq(enter("2001:db8:1::1", 4999), SRC_BANNED);
	ck_assert_uint_eq(bans(4999), 2);
	ck_assert_int_eq(enter("192.0.2.77", 5000), SRC_WELCOME);
	ck_assert_int_eq(srclimit_unban(s, &six), 0);
	ck_assert_int_eq(enter("2001:db8:1::1", 6000), SRC_WELCOME);
	ck_assert_int_eq(srclimit_unban(s, &none), -ENOENT);
}
END_TEST

START_TEST(unban_forgives_a_penalty)
{
	struct addr_net net = network("192.0.2.1");

	penalise("192.0.2.1", 60000, 0);
	ck_assert_int_eq(srclimit_unban(s, &net), 0);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
}
END_TEST

/* What another generation has counted counts here, and so does its penalty; which is no ban, and runs out. */
START_TEST(sources_of_another_generation)
{
	struct addr a = address("192.0.2.1");
	struct addr_net net = addr_bucket(&a);

	rules.sessions = 2;
	srclimit_count(s, &a, 0);
	srclimit_count(s, &a, 0);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_TOO_MANY);
	leave("192.0.2.1");
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
	rules.sessions = 0;
	rules.penalty_threshold = 1000;
	srclimit_set_penalty(s, &net, 5000, 0);
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_PENALTY);
	/* A longer one that it has here stays. */
	srclimit_set_penalty(s, &net, 100, 0);
	ck_assert_int_eq(enter("192.0.2.1", 3000), SRC_PENALTY);
	ck_assert_int_eq(enter("192.0.2.1", 4100), SRC_WELCOME);
}
END_TEST

/* As many as the table holds are there at once: nobody can be forgotten, and nobody is let in uncounted. */
START_TEST(memory_is_bounded)
{
	char text[64];
	unsigned refused = 0;

	for (unsigned i = 0; i < 70000; i++) {
		snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		refused += enter(text, 0) == SRC_TOO_MANY;
	}
	ck_assert_uint_eq(refused, 70000 - 65536);
	ck_assert_int_eq(enter("192.0.2.1", 60000), SRC_TOO_MANY);
	leave("2001:db8:0:7::1");
	ck_assert_int_eq(enter("192.0.2.1", 60000), SRC_WELCOME);
}
END_TEST

/* Somebody with a large network comes once from each part of it: he fills the table, and keeps nobody out. */
START_TEST(many_networks_keep_nobody_out)
{
	unsigned refused = 0;
	char text[64];

	rules.penalty_threshold = 1000;
	rules.penalty_max = 100000;
	ck_assert_int_eq(enter("192.0.2.1", 0), SRC_WELCOME);
	penalise("192.0.2.2", 50000, 0);
	for (unsigned i = 0; i < 70000; i++) {
		(void)snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		refused += enter(text, 1) != SRC_WELCOME;
		leave(text);
	}
	ck_assert_uint_eq(refused, 0);
	/* Who is there, and who has a penalty, is not forgotten for it. */
	rules.sessions = 1;
	ck_assert_int_eq(enter("192.0.2.1", 2), SRC_TOO_MANY);
	ck_assert_int_eq(enter("192.0.2.2", 2), SRC_PENALTY);
}
END_TEST

/* There are so many bans and no more; the old ones stay, can be changed, and make room when they are lifted. */
START_TEST(bans_are_bounded)
{
	struct addr_net n = network("192.0.2.1");
	char text[64];

	for (unsigned i = 0; i < 4096; i++) {
		(void)snprintf(text, sizeof text, "2001:db8:%x::/48", i);
		n = network(text);
		ck_assert_int_eq(srclimit_ban(s, &n, 0, "x"), 0);
	}
	n = network("198.51.100.1");
	ck_assert_int_eq(srclimit_ban(s, &n, 0, "x"), -ENOSPC);
	ck_assert_int_eq(enter("198.51.100.1", 1), SRC_WELCOME);
	ck_assert_uint_eq(bans(1), 4096);
	n = network("2001:db8:7::/48");
	ck_assert_int_eq(srclimit_ban(s, &n, 500, "again"), 0);
	ck_assert_int_eq(srclimit_unban(s, &n), 0);
	n = network("198.51.100.1");
	ck_assert_int_eq(srclimit_ban(s, &n, 0, "x"), 0);
	ck_assert_int_eq(enter("198.51.100.1", 1), SRC_BANNED);
}
END_TEST

START_TEST(every_answer_has_a_text)
{
	for (int a = SRC_WELCOME; a <= SRC_BANNED; a++)
		ck_assert_uint_gt(strlen(srclimit_text((enum srclimit_answer)a)), 5);
}
END_TEST

Suite *
listener_srclimit_suite(void)
{
	Suite *suite = suite_create("srclimit");
	TCase *t = tcase_create("sources");

	tcase_add_checked_fixture(t, begin, finish);
	tcase_add_test(t, sessions_at_the_same_time);
	tcase_add_test(t, ipv6_counts_by_network);
	tcase_add_test(t, connections_a_minute);
	tcase_add_test(t, penalties_add_up_and_run_out);
	tcase_add_test(t, penalties_have_a_ceiling);
	tcase_add_test(t, some_networks_are_exempt);
	tcase_add_test(t, bans_end_and_are_lifted);
	tcase_add_test(t, unban_forgives_a_penalty);
	tcase_add_test(t, sources_of_another_generation);
	tcase_add_test(t, memory_is_bounded);
	tcase_add_test(t, many_networks_keep_nobody_out);
	tcase_add_test(t, bans_are_bounded);
	tcase_add_test(t, every_answer_has_a_text);
	suite_add_tcase(suite, t);
	return suite;
}
