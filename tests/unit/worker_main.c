#include "config.h"

#include <signal.h>
#include <stdlib.h>

#include "daemon/worker/digest.h"
#include "daemon/worker/verbs.h"
#include "tests/unit/worker.h"

int
main(void)
{
	SRunner *r = srunner_create(NULL);
	int failed;

	signal(SIGPIPE, SIG_IGN);
	verbs_init();
	if (digest_warm_up() != 0)
		return EXIT_FAILURE;
#define SUITE(name) srunner_add_suite(r, worker_##name##_suite());
	WORKER_SUITES(SUITE)
#undef SUITE
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
