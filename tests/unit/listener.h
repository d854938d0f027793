#ifndef TESTS_UNIT_LISTENER_H
#define TESTS_UNIT_LISTENER_H

#include <check.h>

/* SUITE(name): one suite a module of daemon/listener/ that needs no running server */
#define LISTENER_SUITES(SUITE)	\
	SUITE(srclimit)		\
	SUITE(claim)		\
	SUITE(certs)		\
	SUITE(crowd)		\
	SUITE(session)		\
	SUITE(control)		\
	SUITE(link)		\
	SUITE(refusals)		\
	SUITE(names)		\
	SUITE(systemd)		\
	SUITE(serve)

#define SUITE(name) Suite *listener_##name##_suite(void);
LISTENER_SUITES(SUITE)
#undef SUITE

#endif
