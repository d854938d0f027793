#include "config.h"

#include <stdlib.h>

#include "common/log.h"
#include "tests/unit/run.h"
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
	static Suite *(*const suites[])(void) = {
		worker_tls_provider_suite, worker_tls_memory_suite, worker_tls_reuse_suite, worker_tls_session_suite,
		worker_tls_stream_suite, verifier_proof_suite
	};

	log_set_sink(say_nothing, NULL);
	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
