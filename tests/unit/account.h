#ifndef TESTS_UNIT_ACCOUNT_H
#define TESTS_UNIT_ACCOUNT_H

#include <check.h>

#include "account/account.h"

/* SUITE(name): one suite a module of account/ */
#define ACCOUNT_SUITES(SUITE)	\
	SUITE(name)		\
	SUITE(password)		\
	SUITE(pool)		\
	SUITE(unix)		\
	SUITE(login)		\
	SUITE(refusal)		\
	SUITE(store)		\
	SUITE(ledger)		\
	SUITE(charge)		\
	SUITE(intent)		\
	SUITE(cluster)		\
	SUITE(pam)

#define SUITE(name) Suite *account_##name##_suite(void);
ACCOUNT_SUITES(SUITE)
#undef SUITE

/* The folder with the files that the wrappers of name service and PAM read. */
extern char test_dir[];

/* Writes a file there. */
void test_write(const char *name, const char *text);

/* Opens the sources of a configuration text; the configuration lives until the next call. */
const struct account_sources *test_sources(const char *config);

/* A whole login with a password: the result, and what the account became in *a. */
enum account_result test_login(const struct account_sources *, const char *user, const char *password, struct account *a,
    enum account_reason *why);

/*
 * The same with a certificate (lines as in struct account_query) over TLS, and an empty password. *admits:
 * account_certificate_admits().
 */
enum account_result test_certificate_login(const struct account_sources *, const char *user, const char *certificate, bool *admits,
    enum account_reason *why);

#endif
