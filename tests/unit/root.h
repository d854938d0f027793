/*
 * For tests that need root, or what not every machine has: without it they
 * say so, on a line that tests/run counts as skipped, and pass.
 */
#ifndef TESTS_UNIT_ROOT_H
#define TESTS_UNIT_ROOT_H

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* A line on standard error: the test named does not run here, and why. */
static inline void
skip(const char *test, const char *why)
{
	fprintf(stderr, "SKIPPED %s: %s\n", test, why);
}

/* true, and a line on standard error: the test named cannot run as this user. */
static inline bool
needs_root(const char *test)
{
	if (geteuid() == 0)
		return false;
	skip(test, "only root can do this");
	return true;
}

/*
 * What a sanitizer does in a process, filters and pam_wrapper do not bear: tests within those are for the plain
 * build.
 */
static inline bool
needs_plain_build(const char *test)
{
#ifdef __SANITIZE_ADDRESS__
	skip(test, "not in a sanitized process; the plain build runs it");
	return true;
#else
	(void)test;
	return false;
#endif
}

#endif
