#include "config.h"

#include <openssl/crypto.h>

#include <check.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker/tls_memory.h"
#include "tests/unit/worker_tls.h"

/* Each test is a process of its own, in which OpenSSL has not allocated anything yet. */

START_TEST(objects_of_a_size_lie_together)
{
	char *a, *b, *c, *other;

	tls_memory_begin();
	a = OPENSSL_malloc(40);
	other = OPENSSL_malloc(500);
	b = OPENSSL_malloc(48);
	ck_assert_ptr_eq(b, a + 48);
	OPENSSL_free(a);
	c = OPENSSL_malloc(33);
	ck_assert_ptr_eq(c, a);
	OPENSSL_free(b);
	OPENSSL_free(c);
	OPENSSL_free(other);
}
END_TEST

START_TEST(afterwards_they_are_left_alone)
{
	char *a, *b;

	tls_memory_begin();
	a = OPENSSL_malloc(40);
	memset(a, 7, 40);
	tls_memory_settle();
	b = OPENSSL_malloc(40);
	ck_assert(b < a - (1 << 20) || b > a + (1 << 20));
	OPENSSL_free(a);
	ck_assert_int_eq(a[39], 7);
	OPENSSL_free(b);
	b = OPENSSL_malloc(40);
	ck_assert_ptr_ne(b, a);
	OPENSSL_free(b);
}
END_TEST

START_TEST(growing_keeps_the_content)
{
	char *p;

	tls_memory_begin();
	p = OPENSSL_malloc(10);
	memcpy(p, "123456789", 10);
	for (size_t n = 11; n < 5000; n += 97) {
		if (n > 2000)
			tls_memory_settle();
		p = OPENSSL_realloc(p, n);
		ck_assert_ptr_nonnull(p);
		ck_assert_str_eq(p, "123456789");
	}
	OPENSSL_free(p);
	ck_assert_ptr_null(OPENSSL_realloc(OPENSSL_malloc(5), 0));
	ck_assert_ptr_null(OPENSSL_malloc(0));
}
END_TEST

START_TEST(full_shelves_are_no_end)
{
	static char *p[200000];		/* more than there is room for */

	tls_memory_begin();
	for (int i = 0; i < 200000; i++) {
		p[i] = OPENSSL_malloc(16);
		ck_assert_ptr_nonnull(p[i]);
		memset(p[i], i, 16);
	}
	for (int i = 0; i < 200000; i++) {
		ck_assert_int_eq(p[i][15], (char)i);
		OPENSSL_free(p[i]);
	}
	p[0] = OPENSSL_malloc(1000000);
	ck_assert_ptr_nonnull(p[0]);
	OPENSSL_free(p[0]);
}
END_TEST

Suite *
worker_tls_memory_suite(void)
{
	Suite *s = suite_create("worker_tls_memory");
	TCase *t = tcase_create("shelves");

	tcase_add_test(t, objects_of_a_size_lie_together);
	tcase_add_test(t, afterwards_they_are_left_alone);
	tcase_add_test(t, growing_keeps_the_content);
	tcase_add_test(t, full_shelves_are_no_end);
	suite_add_tcase(s, t);
	return s;
}
