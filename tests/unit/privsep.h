#ifndef TESTS_UNIT_PRIVSEP_H
#define TESTS_UNIT_PRIVSEP_H

#include <check.h>
#include <stdbool.h>

/* SUITE(name): one suite a module of privsep/ */
#define PRIVSEP_SUITES(SUITE)	\
	SUITE(msg)		\
	SUITE(chan)		\
	SUITE(role)		\
	SUITE(drop)		\
	SUITE(sandbox)		\
	SUITE(verify)		\
	SUITE(spawn)		\
	SUITE(template)

#define SUITE(name) Suite *privsep_##name##_suite(void);
PRIVSEP_SUITES(SUITE)
#undef SUITE

/* Runs f in a child, because it gives privileges up; its exit code, or 1000 + signal. */
int privsep_in_child(int (*f)(void));

#endif
