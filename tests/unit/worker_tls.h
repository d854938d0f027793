/* The suites of unit-tls: the worker's TLS side, and who verifies what it says. */
#ifndef TESTS_UNIT_WORKER_TLS_H
#define TESTS_UNIT_WORKER_TLS_H

#include <check.h>

Suite *worker_tls_memory_suite(void);
Suite *worker_tls_provider_suite(void);
Suite *worker_tls_reuse_suite(void);
Suite *worker_tls_session_suite(void);
Suite *worker_tls_stream_suite(void);
Suite *verifier_proof_suite(void);

#endif
