#include "config.h"

#include <stdlib.h>

#include "tests/unit/listener.h"
#include "tests/unit/run.h"

int
main(void)
{
#define SUITE(name) listener_##name##_suite,
	static Suite *(*const suites[])(void) = { LISTENER_SUITES(SUITE) };
#undef SUITE

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
