#include "config.h"

#include "common/err.h"
#include "common/json.h"
#include "tests/unit/common.h"

START_TEST(documents)
{
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "text", "a\"b\\c\n\x01");
	json_str(&j, "none", NULL);
	json_num(&j, "n", -5);
	json_unsigned(&j, "big", UINT64_MAX);
	json_bool(&j, "yes", true);
	json_open(&j, "list", '[');
	json_num(&j, NULL, 1);
	json_num(&j, NULL, 2);
	json_close(&j);
	json_close(&j);
	ck_assert_str_eq(json_text(&j),
	    "{\"text\":\"a\\\"b\\\\c\\n\\u0001\",\"none\":null,\"n\":-5,\"big\":18446744073709551615,"
	    "\"yes\":true,\"list\":[1,2]}");
	json_free(&j);
}
END_TEST

START_TEST(foreign_bytes)
{
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '[');
	json_bytes(&j, NULL, "gr\xc3\xbc\xdf\0\xc2\x9b\xe2\x80\xae\x7f", 12);
	json_close(&j);
	ck_assert_str_eq(json_text(&j), "[\"gr\xc3\xbc\\udcdf\\u0000\\u009b\\u202e\\u007f\"]");
	json_free(&j);
}
END_TEST

START_TEST(too_deep)
{
	struct json j;

	json_init(&j);
	for (int i = 0; i < JSON_DEPTH_MAX + 1; i++)
		json_open(&j, NULL, '[');
	ck_assert_ptr_null(json_text(&j));
	ck_assert_int_eq(j.error, SP_ERANGE);
	json_free(&j);
}
END_TEST

COMMON_SUITE(json, documents, foreign_bytes, too_deep)
