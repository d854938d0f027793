#ifndef TESTS_UNIT_WORKER_H
#define TESTS_UNIT_WORKER_H

#include <check.h>

/* SUITE(name): one suite a module of daemon/worker/ */
#define WORKER_SUITES(SUITE)	\
	SUITE(line)		\
	SUITE(text)		\
	SUITE(verbs)		\
	SUITE(ask)		\
	SUITE(session)		\
	SUITE(transfer)		\
	SUITE(hostile)

#define SUITE(name) Suite *worker_##name##_suite(void);
WORKER_SUITES(SUITE)
#undef SUITE

#endif
