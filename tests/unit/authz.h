#ifndef TESTS_UNIT_AUTHZ_H
#define TESTS_UNIT_AUTHZ_H

#include <check.h>

/* SUITE(name) : one suite a module of authz/ */
#define AUTHZ_SUITES(SUITE)	\
	SUITE(dateglob)		\
	SUITE(kernel)		\
	SUITE(languages)	\
	SUITE(lint)		\
	SUITE(match)		\
	SUITE(move)		\
	SUITE(policy)		\
	SUITE(posixacl)

#define SUITE(name) Suite *authz_##name##_suite(void);
AUTHZ_SUITES(SUITE)
#undef SUITE

#endif
