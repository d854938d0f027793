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

/* What is logged from now on, one line after the other, in text; NULL: nothing is kept any more. */
void authz_tests_keep_log(char *text, size_t size);

#define SUITE(name) Suite *authz_##name##_suite(void);
AUTHZ_SUITES(SUITE)
#undef SUITE

#endif
