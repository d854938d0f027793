#include "config.h"

#include <stdlib.h>

#include "tests/unit/keeper.h"

int
main(void)
{
	SRunner *r = srunner_create(keeper_tbs_suite());
	int failed;

	srunner_add_suite(r, keeper_keyring_suite());
	srunner_add_suite(r, keeper_serve_suite());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
