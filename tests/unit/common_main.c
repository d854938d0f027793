#include "config.h"

#include <stdlib.h>

#include "tests/unit/common.h"
#include "tests/unit/run.h"

int
main(void)
{
#define SUITE(name) common_##name##_suite,
	static Suite *(*const suites[])(void) = { COMMON_SUITES(SUITE) };
#undef SUITE

	/* Dates are read in the server's time zone. */
	setenv("TZ", "UTC", 1);
	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
