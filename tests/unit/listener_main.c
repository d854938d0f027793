#include "config.h"

#include <stdlib.h>

#include "tests/unit/listener.h"

int
main(void)
{
	SRunner *r = srunner_create(NULL);
	int failed;

#define SUITE(name) srunner_add_suite(r, listener_##name##_suite());
	LISTENER_SUITES(SUITE)
#undef SUITE
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
