/*
 * The frame of every test program: its suites, run in one way, with one time
 * limit.  The limit only ends what hangs.  Nothing may fail because a machine
 * is slow: tests wait for events, and as long as PATIENCE_MS for each.
 */
#ifndef TESTS_UNIT_RUN_H
#define TESTS_UNIT_RUN_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define PATIENCE_MS	120000		/* of a wait for what must come */
#define DESCRIPTORS_MS	20000		/* that a process may take to close what it has done with */
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

/* How many descriptors a process has open; -1 when it cannot be seen. */
static inline int
tests_descriptors(pid_t pid)
{
	char path[40];
	int n = -1;
	DIR *d;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d != NULL && (n++, readdir(d) != NULL))
		;
	if (d != NULL)
		closedir(d);
	return d == NULL ? -1 : n - 2;		/* "." and ".." */
}

/*
 * Waits until a process has so many open, for it answers before it closes; how many it has when that does not
 * happen soon, and the number wanted when it cannot be seen.
 */
static inline int
tests_await_descriptors(pid_t pid, int wanted)
{
	int n = tests_descriptors(pid);

	for (int i = 0; n > 0 && n != wanted && i < DESCRIPTORS_MS; i++) {
		(void)usleep(1000);
		n = tests_descriptors(pid);
	}
	return n <= 0 ? wanted : n;		/* 0: it has ended */
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
