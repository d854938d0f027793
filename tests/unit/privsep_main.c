#include "config.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/privsep.h"
#include "tests/unit/run.h"

int
privsep_in_child(int (*f)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(f());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int
main(void)
{
#define SUITE(name) privsep_##name##_suite,
	static Suite *(*const suites[])(void) = { PRIVSEP_SUITES(SUITE) };
#undef SUITE

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
