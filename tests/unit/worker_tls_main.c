#include "config.h"

#include <stdlib.h>

#include "common/log.h"
#include "tests/unit/worker_tls.h"

/* The tests provoke failures on purpose. */
static void
say_nothing(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)text, (void)len;
}

int
main(void)
{
	SRunner *r = srunner_create(worker_tls_provider_suite());
	int failed;

	log_set_sink(say_nothing, NULL);
	srunner_add_suite(r, worker_tls_memory_suite());
	srunner_add_suite(r, worker_tls_reuse_suite());
	srunner_add_suite(r, worker_tls_session_suite());
	srunner_add_suite(r, worker_tls_stream_suite());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
