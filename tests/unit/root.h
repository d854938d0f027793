/*
 * For tests that need root: without it they say so, on a line that tests/run
 * counts as skipped, and pass.
 */
#ifndef TESTS_UNIT_ROOT_H
#define TESTS_UNIT_ROOT_H

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* true, and a line on standard error: the test named cannot run as this user. */
static inline bool
needs_root(const char *test)
{
	if (geteuid() == 0)
		return false;
	fprintf(stderr, "SKIPPED %s: only root can do this\n", test);
	return true;
}

#endif
