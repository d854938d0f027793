#include "config.h"

#include <stdlib.h>

#include "tests/unit/agent.h"
#include "tests/unit/run.h"

int
main(void)
{
#define SUITE(name) agent_##name##_suite,
	static Suite *(*const suites[])(void) = { AGENT_SUITES(SUITE) };
#undef SUITE

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
