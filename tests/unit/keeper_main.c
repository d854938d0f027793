#include "config.h"

#include <stdlib.h>

#include "tests/unit/keeper.h"
#include "tests/unit/run.h"

int
main(void)
{
	static Suite *(*const suites[])(void) = { keeper_tbs_suite, keeper_keyring_suite, keeper_serve_suite };

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
