#include "config.h"

#include <stdlib.h>

#include "tests/unit/monitor.h"
#include "tests/unit/run.h"

int
main(void)
{
#define SUITE(name) monitor_##name##_suite,
	static Suite *(*const suites[])(void) = { MONITOR_SUITES(SUITE) };
#undef SUITE

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
