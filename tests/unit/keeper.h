/* The suites of unit-keeper. */
#ifndef TESTS_UNIT_KEEPER_H
#define TESTS_UNIT_KEEPER_H

#include <check.h>

Suite *keeper_tbs_suite(void);
Suite *keeper_keyring_suite(void);
Suite *keeper_serve_suite(void);

#endif
