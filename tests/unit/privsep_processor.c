/* On which processors a session may run. */
#include "config.h"

#include <sched.h>
#include <stdint.h>

#include "privsep/processor.h"
#include "tests/unit/privsep.h"

#define MANY 1000	/* more sessions than are forked for one processor in a row */

static cpu_set_t
allowed(void)
{
	cpu_set_t set;

	ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
	return set;
}

START_TEST(a_session_is_bound_until_it_leaves)
{
	cpu_set_t all = allowed(), one, now;

	processor_prepare();
	processor_take(0);
	one = allowed();
	ck_assert_int_eq(CPU_COUNT(&one), 1);
	CPU_AND(&now, &one, &all);
	ck_assert(CPU_EQUAL(&now, &one));
	processor_leave();
	now = allowed();
	ck_assert(CPU_EQUAL(&now, &all));
	processor_leave();
	processor_return();
	now = allowed();
	ck_assert(CPU_EQUAL(&now, &one) || CPU_COUNT(&all) == 1);
	processor_leave();
	now = allowed();
	ck_assert(CPU_EQUAL(&now, &all));
}
END_TEST

START_TEST(sessions_are_spread_over_all)
{
	cpu_set_t all = allowed(), used;

	CPU_ZERO(&used);
	processor_prepare();
	for (uint64_t serial = 0; serial < (uint64_t)MANY * (uint64_t)CPU_COUNT(&all); serial++) {
		cpu_set_t one;

		processor_take(serial);
		one = allowed();
		CPU_OR(&used, &used, &one);
	}
	ck_assert(CPU_EQUAL(&used, &all));
}
END_TEST

START_TEST(only_what_is_allowed_is_used)
{
	cpu_set_t all = allowed(), first, now;

	CPU_ZERO(&first);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&first) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &first);
	ck_assert_int_eq(sched_setaffinity(0, sizeof first, &first), 0);
	processor_prepare();
	for (uint64_t serial = 0; serial < MANY; serial++) {
		processor_take(serial);
		now = allowed();
		ck_assert(CPU_EQUAL(&now, &first));
	}
	processor_leave();
	now = allowed();
	ck_assert(CPU_EQUAL(&now, &first));
}
END_TEST

START_TEST(who_was_not_prepared_stays)
{
	cpu_set_t all = allowed(), now;

	processor_take(1);
	processor_leave();
	processor_return();
	now = allowed();
	ck_assert(CPU_EQUAL(&now, &all));
}
END_TEST

Suite *
privsep_processor_suite(void)
{
	Suite *s = suite_create("processor");
	TCase *t = tcase_create("bond");

	tcase_add_test(t, a_session_is_bound_until_it_leaves);
	tcase_add_test(t, sessions_are_spread_over_all);
	tcase_add_test(t, only_what_is_allowed_is_used);
	tcase_add_test(t, who_was_not_prepared_stays);
	suite_add_tcase(s, t);
	return s;
}
