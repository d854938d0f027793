#include "config.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/privsep.h"

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
	SRunner *r = srunner_create(NULL);
	int failed;

#define SUITE(name) srunner_add_suite(r, privsep_##name##_suite());
	PRIVSEP_SUITES(SUITE)
#undef SUITE
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
