#include "config.h"

#include <signal.h>
#include <stdlib.h>

#include "daemon/worker/digest.h"
#include "daemon/worker/verbs.h"
#include "tests/unit/run.h"
#include "tests/unit/worker.h"

int
main(void)
{
#define SUITE(name) worker_##name##_suite,
	static Suite *(*const suites[])(void) = { WORKER_SUITES(SUITE) };
#undef SUITE

	signal(SIGPIPE, SIG_IGN);
	verbs_init();
	if (digest_warm_up() != 0)
		return EXIT_FAILURE;
	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
