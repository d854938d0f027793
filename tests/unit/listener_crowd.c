/* Who gives way, and how fast sessions are started again. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "daemon/listener/crowd.h"
#include "daemon/listener/pace.h"
#include "tests/unit/listener.h"

static struct crowd *c;
static struct crowd_member members[600];
static unsigned used;

static struct addr
address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 21), 0);
	return a;
}

static struct crowd_member *
enter(const char *text)
{
	struct addr a = address(text);

	ck_assert_int_eq(crowd_enter(c, &members[used], &a, used), 0);
	return &members[used++];
}

static unsigned
of(const char *text)
{
	struct addr a = address(text);

	return crowd_of(c, &a);
}

static void
begin(void)
{
	memset(members, 0, sizeof members);
	used = 0;
	c = crowd_new();
	ck_assert_ptr_nonnull(c);
}

static void
end(void)
{
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		crowd_leave(&members[i]);
	ck_assert_uint_eq(crowd_count(c), 0);
	ck_assert_ptr_null(crowd_eldest(c));
	crowd_free(c);
}

START_TEST(the_largest_source_gives_way)
{
	struct crowd_member *alone = enter("192.0.2.1"), *first = enter("192.0.2.2"), *second;

	enter("192.0.2.2");
	second = enter("192.0.2.3");
	ck_assert_uint_eq(crowd_count(c), 4);
	ck_assert_uint_eq(of("192.0.2.2"), 2);
	ck_assert_ptr_eq(crowd_eldest(c), first);
	/* A stranger displaces it, a second of the same size does not, nor the largest itself. */
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), first);
	ck_assert_ptr_null(crowd_gives_way(c, 1, false));
	ck_assert_ptr_null(crowd_gives_way(c, 2, false));
	crowd_leave(first);
	crowd_leave(first);
	/* Now all are equal: whose source has been so large for longest. */
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), alone);
	crowd_leave(alone);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), second);
	ck_assert_uint_eq(of("192.0.2.1"), 0);
}
END_TEST

START_TEST(an_ipv6_network_is_one_source)
{
	enter("2001:db8::1");
	enter("2001:db8::2");
	enter("2001:db8:0:1::1");
	ck_assert_uint_eq(of("2001:db8::ffff"), 2);
	ck_assert_uint_eq(of("2001:db8:0:1::2"), 1);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), &members[0]);
}
END_TEST

/*
 * Who waits for its password to be checked goes last, unless its source has failed; of such the last in the queue
 * first.
 */
START_TEST(those_who_wait_for_us_go_last)
{
	struct crowd_member *waits = enter("192.0.2.1"), *idle = enter("192.0.2.2"), *failed = enter("192.0.2.3"), *later;

	crowd_checked(waits, true);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), idle);
	crowd_checked(failed, true);
	crowd_suspect(failed);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), failed);
	/* It has no better claim itself. */
	ck_assert_ptr_null(crowd_gives_way(c, 0, true));
	later = enter("192.0.2.3");
	crowd_checked(later, true);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), later);
	crowd_leave(later);
	crowd_checked(failed, false);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, true), failed);
	crowd_leave(failed);
	crowd_leave(idle);
	/* Nobody is left but who waits. */
	ck_assert_ptr_null(crowd_gives_way(c, 0, false));
	crowd_checked(waits, false);
	ck_assert_ptr_eq(crowd_gives_way(c, 0, false), waits);
}
END_TEST

START_TEST(members_may_be_described_anew)
{
	static struct crowd_member anew;
	struct crowd_member *first = enter("192.0.2.1"), *next = enter("192.0.2.1");

	first->session = &anew;
	crowd_replace(first, &anew);
	ck_assert_ptr_eq(crowd_eldest(c), &anew);
	ck_assert_ptr_eq(anew.session, &anew);
	ck_assert_uint_eq(crowd_count(c), 2);
	crowd_leave(first);
	ck_assert_uint_eq(crowd_count(c), 2);
	crowd_leave(&anew);
	ck_assert_ptr_eq(crowd_eldest(c), next);
	crowd_replace(&anew, first);	/* who is in none stays so */
	ck_assert_uint_eq(crowd_count(c), 1);
}
END_TEST

/* More members of one source than ranks, and strangers all the while: the order is always that of sizes. */
START_TEST(large_sources)
{
	for (unsigned i = 0; i < 500; i++)
		enter(i % 5 == 4 ? "192.0.2.2" : "192.0.2.1");
	for (unsigned i = 0; i < 450; i++) {
		unsigned large = of("192.0.2.1"), small = of("192.0.2.2");
		struct crowd_member *m = crowd_gives_way(c, 0, false);

		ck_assert_ptr_nonnull(m);
		crowd_leave(m);
		if (large > small)
			ck_assert_uint_eq(of("192.0.2.1"), large - 1);
	}
	ck_assert_uint_eq(of("192.0.2.1"), 25);
	ck_assert_uint_eq(of("192.0.2.2"), 25);
}
END_TEST

/*
 * A crowd that always comes back takes turns with itself; each newcomer gets in, and what it displaces is the
 * crowd's.
 */
START_TEST(a_stranger_gets_in)
{
	char text[32];

	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(text, sizeof text, "198.51.100.%u", i % 25);
		enter(text);
	}
	for (unsigned i = 0; i < 20; i++) {
		struct crowd_member *m = crowd_gives_way(c, of("203.0.113.1"), false);

		ck_assert_ptr_nonnull(m);
		crowd_leave(m);
		m = enter("203.0.113.1");
		/* The crowd tries to get its place back, and gets nobody else's than its own. */
		for (unsigned k = 0; k < 25; k++) {
			struct crowd_member *victim;

			(void)snprintf(text, sizeof text, "198.51.100.%u", k);
			victim = crowd_gives_way(c, of(text), false);
			ck_assert_ptr_ne(victim, m);
		}
		crowd_leave(m);
		(void)snprintf(text, sizeof text, "198.51.100.%u", i % 25);
		enter(text);
	}
}
END_TEST

/* ------------------------------------------------------------------------- pace */

START_TEST(one_event_counts_once)
{
	struct pace p = { 0 };

	ck_assert(pace_allows(&p, false, 3, 1000));
	ck_assert(pace_failed(&p, 1000));
	for (int i = 0; i < 3; i++)
		ck_assert(!pace_failed(&p, 1000 + i));
	ck_assert(!pace_allows(&p, false, 0, 1999));
	ck_assert(pace_allows(&p, false, 0, 2000));
	/* The next event soon after doubles the pause, up to a minute. */
	ck_assert(pace_failed(&p, 2000));
	ck_assert(!pace_allows(&p, false, 0, 3999));
	ck_assert(pace_allows(&p, false, 0, 4000));
	for (int64_t now = 4000; now < 1000000; now = p.until)
		ck_assert(pace_failed(&p, now));
	ck_assert_int_eq(p.until - p.failed, 60000);
}
END_TEST

START_TEST(clients_that_wait_have_a_way_in)
{
	struct pace p = { 0 };

	pace_start(&p, 1000);
	ck_assert(pace_failed(&p, 1000));
	ck_assert(!pace_allows(&p, true, 0, 1000 + PACE_TRY_MS - 1));
	ck_assert(pace_allows(&p, true, 0, 1000 + PACE_TRY_MS));
	ck_assert(!pace_allows(&p, true, 1, 1000 + PACE_TRY_MS));
	ck_assert(!pace_allows(&p, false, 0, 1000 + PACE_TRY_MS));
	pace_start(&p, 1300);
	ck_assert(!pace_allows(&p, true, 0, 1300 + PACE_TRY_MS - 1));
}
END_TEST

START_TEST(the_pause_is_forgotten)
{
	struct pace p = { 0 };

	for (int64_t now = 1000; p.until - p.failed < 16000; now = p.until)
		ck_assert(pace_failed(&p, now));
	/* What was started before proves nothing. */
	pace_worked(&p, p.failed);
	ck_assert(!pace_allows(&p, false, 0, p.failed + 1));
	pace_worked(&p, p.failed + 1);
	ck_assert(pace_allows(&p, false, 0, p.failed + 1));
	ck_assert(pace_failed(&p, p.failed + 10));
	ck_assert_int_eq(p.until - p.failed, 1000);
	/* And with time. */
	ck_assert(pace_failed(&p, p.until));
	ck_assert_int_eq(p.until - p.failed, 2000);
	ck_assert(pace_failed(&p, p.until + 60001));
	ck_assert_int_eq(p.until - p.failed, 1000);
}
END_TEST

Suite *
listener_crowd_suite(void)
{
	Suite *suite = suite_create("crowd, pace");
	TCase *t = tcase_create("crowd"), *pace = tcase_create("pace");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, the_largest_source_gives_way);
	tcase_add_test(t, an_ipv6_network_is_one_source);
	tcase_add_test(t, those_who_wait_for_us_go_last);
	tcase_add_test(t, members_may_be_described_anew);
	tcase_add_test(t, large_sources);
	tcase_add_test(t, a_stranger_gets_in);
	suite_add_tcase(suite, t);
	tcase_add_test(pace, one_event_counts_once);
	tcase_add_test(pace, clients_that_wait_have_a_way_in);
	tcase_add_test(pace, the_pause_is_forgotten);
	suite_add_tcase(suite, pace);
	return suite;
}
