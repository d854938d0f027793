#include "config.h"

#include <stdlib.h>

#include "tests/unit/common.h"

int
main(void)
{
	SRunner *r = srunner_create(NULL);
	int failed;

	/* Dates are read in the server's time zone. */
	setenv("TZ", "UTC", 1);
#define SUITE(name) srunner_add_suite(r, common_##name##_suite());
	COMMON_SUITES(SUITE)
#undef SUITE
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
