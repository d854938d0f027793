/* The suites of unit-common. */
#ifndef TESTS_UNIT_COMMON_H
#define TESTS_UNIT_COMMON_H

#include <check.h>

/* SUITE(name): one suite a module of common/ */
#define COMMON_SUITES(SUITE)	\
	SUITE(addr)		\
	SUITE(conf_read)	\
	SUITE(conf_resolve)	\
	SUITE(conf_seal)	\
	SUITE(conf_show)	\
	SUITE(conf_table)	\
	SUITE(hours)		\
	SUITE(json)		\
	SUITE(log)		\
	SUITE(logsink)		\
	SUITE(memory)		\
	SUITE(secret)		\
	SUITE(str)		\
	SUITE(wire)

#define SUITE(name) Suite *common_##name##_suite(void);
COMMON_SUITES(SUITE)
#undef SUITE

/* A suite with one case that runs these tests. */
static inline Suite *
common_suite(const char *name, const TTest *const *tests, size_t n)
{
	Suite *s = suite_create(name);
	TCase *c = tcase_create(name);

	for (size_t i = 0; i < n; i++)
		tcase_add_test(c, tests[i]);
	suite_add_tcase(s, c);
	return s;
}

#define COMMON_SUITE(module, ...)						\
	Suite *									\
	common_##module##_suite(void)						\
	{									\
		const TTest *const tests[] = { __VA_ARGS__ };			\
										\
		return common_suite(#module, tests, sizeof tests / sizeof *tests); \
	}

#endif
