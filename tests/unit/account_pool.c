#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/account.h"

START_TEST(texts_stay_where_they_are)
{
	struct account a;
	const char *first, *texts[500];
	char text[64];

	account_init(&a, "alice");
	first = account_keep(&a, "first");
	for (int i = 0; i < 500; i++) {
		memset(text, 'a' + i % 26, sizeof text - 1);
		text[sizeof text - 1] = '\0';
		texts[i] = account_keep(&a, text);
	}
	ck_assert_str_eq(first, "first");
	for (int i = 0; i < 500; i++)
		ck_assert_msg(texts[i][0] == 'a' + i % 26 && strlen(texts[i]) == 63, "text %d", i);
	account_free(&a);
}
END_TEST

START_TEST(memory_is_zero_and_aligned)
{
	struct account a;

	account_init(&a, "alice");
	account_keep(&a, "x");
	for (size_t n = 1; n < 10000; n = n * 3 + 1) {
		unsigned char *p = account_alloc(&a, n);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xff, n);
	}
	ck_assert_ptr_null(account_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(account_keep(&a, NULL));
	account_free(&a);
}
END_TEST

START_TEST(pairs_keep_their_order)
{
	struct account a;
	char value[16];

	account_init(&a, "alice");
	for (int i = 0; i < 100; i++) {
		snprintf(value, sizeof value, "%d", i);
		ck_assert_int_eq(account_add_pair(&a, "umask", value), 0);
	}
	ck_assert_uint_eq(a.pair_count, 100);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(atoi(a.pairs[i].value), i);
	account_free(&a);
	ck_assert_ptr_null(a.pool);
	ck_assert_uint_eq(a.pair_count, 0);
}
END_TEST

Suite *
account_pool_suite(void)
{
	Suite *s = suite_create("account/pool");
	TCase *t = tcase_create("pool");

	tcase_add_test(t, texts_stay_where_they_are);
	tcase_add_test(t, memory_is_zero_and_aligned);
	tcase_add_test(t, pairs_keep_their_order);
	suite_add_tcase(s, t);
	return s;
}
