/*
 * The frame of every test program: its suites, run in one way, with one time
 * limit.  The limit only ends what hangs.  Nothing may fail because a machine
 * is slow: tests wait for events, and as long as PATIENCE_MS for each.
 */
#ifndef TESTS_UNIT_RUN_H
#define TESTS_UNIT_RUN_H

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_MS	120000		/* of a wait for what must come */
#define TEST_LIMIT	"300"		/* seconds that one test may take */

/* Standard input, output and error are there, so that nothing else takes their numbers. */
static inline void
tests_fill_standard(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* Runs the suites that these functions make; the program's exit code. */
static inline int
tests_run(Suite *(*const suites[])(void), size_t n)
{
	SRunner *r = srunner_create(NULL);
	int failed;

	tests_fill_standard();
	/* Read where a test case is made, so before any is. */
	(void)setenv("CK_DEFAULT_TIMEOUT", TEST_LIMIT, 0);
	for (size_t i = 0; i < n; i++)
		srunner_add_suite(r, suites[i]());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
