/* The suites of unit-ctl. */
#ifndef TESTS_UNIT_CTL_H
#define TESTS_UNIT_CTL_H

#include <check.h>

Suite *ctl_record_suite(void);
Suite *ctl_top_suite(void);
Suite *ctl_tree_suite(void);

#endif
