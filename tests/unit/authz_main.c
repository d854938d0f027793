#include "config.h"

#include <stdlib.h>

#include "tests/unit/authz.h"
#include "tests/unit/run.h"

int
main(void)
{
#define SUITE(name) authz_##name##_suite,
	static Suite *(*const suites[])(void) = { AUTHZ_SUITES(SUITE) };
#undef SUITE

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
