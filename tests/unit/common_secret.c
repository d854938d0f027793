#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/secret.h"
#include "tests/unit/common.h"

START_TEST(takes_and_clears)
{
	static char longest[SECRET_MAX + 1];
	struct secret s, zero;

	memset(&zero, 0, sizeof zero);
	memset(longest, 'x', sizeof longest);
	ck_assert_int_eq(secret_set(&s, "pass word", 9), 0);
	ck_assert_str_eq(s.data, "pass word");
	ck_assert_uint_eq(s.len, 9);
	ck_assert_int_eq(secret_set(&s, "", 0), 0);
	ck_assert_uint_eq(s.len, 0);
	ck_assert_int_eq(secret_set(&s, "a\0b", 3), SP_EFORMAT);
	ck_assert_int_eq(secret_set(&s, longest, SECRET_MAX), 0);
	ck_assert_int_eq(secret_set(&s, longest, SECRET_MAX + 1), SP_ERANGE);
	secret_clear(&s);
	ck_assert_mem_eq(&s, &zero, sizeof s);
}
END_TEST

COMMON_SUITE(secret, takes_and_clears)
