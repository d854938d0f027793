#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/str.h"
#include "tests/unit/common.h"

START_TEST(copies)
{
	char dst[4];

	ck_assert_int_eq(str_copy(dst, sizeof dst, "abc"), 0);
	ck_assert_str_eq(dst, "abc");
	ck_assert_int_eq(str_copy(dst, sizeof dst, "abcd"), SP_ETRUNC);
	ck_assert_str_eq(dst, "abc");
	ck_assert_int_eq(str_copy(dst, 1, ""), 0);
	ck_assert_str_eq(dst, "");
	ck_assert_int_eq(str_format(dst, sizeof dst, "%d", 123), 0);
	ck_assert_int_eq(str_format(dst, sizeof dst, "%d", 1234), SP_ETRUNC);
	ck_assert_str_eq(dst, "123");
}
END_TEST

static const struct { const char *in; size_t len; const char *out; } escapes[] = {
	{ "plain", 5, "plain" },
	{ "a\"b\\c", 5, "a\\\"b\\\\c" },
	{ "\r\n\t\0", 4, "\\x0d\\x0a\\x09\\x00" },
	{ "\x7f\x1b[2J", 5, "\\x7f\\x1b[2J" },
	{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f" },
	{ "\xe2\x82\xac \xf0\x9f\x98\x80", 8, "\xe2\x82\xac \xf0\x9f\x98\x80" },
	{ "\xc0\xaf", 2, "\\xc0\\xaf" },		/* overlong */
	{ "\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf" },	/* overlong */
	{ "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" },	/* surrogate */
	{ "\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF */
	{ "\xc2\x9b", 2, "\\xc2\\x9b" },		/* a C1 control: CSI */
	{ "\xe2\x80\xae" "zz", 5, "\\xe2\\x80\\xaezz" },	/* right to left from here on */
	{ "\xe2\x81\xa6\xd8\x9c", 5, "\\xe2\\x81\\xa6\\xd8\\x9c" },
	{ "\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8" },	/* ends a line to some */
	{ "\xd7\xa9\xe2\x80\x90", 5, "\xd7\xa9\xe2\x80\x90" },	/* a Hebrew letter, a hyphen */
	{ "\xe2\x82", 2, "\\xe2\\x82" },		/* cut short */
	{ "\xff\xfe", 2, "\\xff\\xfe" },
	{ "", 0, "" },
};

START_TEST(escaping)
{
	char dst[64];

	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		size_t n = str_escape(dst, sizeof dst, escapes[i].in, escapes[i].len);

		ck_assert_str_eq(dst, escapes[i].out);
		ck_assert_uint_eq(n, strlen(escapes[i].out));
	}
}
END_TEST

/* Whatever the room: ended, within it, and never half an escape. */
START_TEST(escaping_bounded)
{
	static const char in[] = "a\n\"\xc3\xbc\x01z";
	char dst[32], whole[32];

	str_escape(whole, sizeof whole, in, sizeof in - 1);
	for (size_t size = 1; size < sizeof dst; size++) {
		memset(dst, '!', sizeof dst);
		size_t n = str_escape(dst, size, in, sizeof in - 1);

		ck_assert_uint_lt(n, size);
		ck_assert_uint_eq(n, strlen(dst));
		ck_assert(strncmp(dst, whole, n) == 0);
		ck_assert_msg(n == 0 || dst[n - 1] != '\\' || n == 1, "cut in an escape: %s", dst);
		for (size_t i = size; i < sizeof dst; i++)
			ck_assert_int_eq(dst[i], '!');
	}
}
END_TEST

START_TEST(same)
{
	ck_assert(str_same("ReTr", "rEtR"));
	ck_assert(!str_same("RETR", "RETRX"));
	ck_assert(!str_same("RETRX", "RETR"));
	ck_assert(!str_same("[", "{"));
	ck_assert(!str_same("\xc3\x84", "\xc3\xa4"));
	ck_assert(str_same("", ""));
}
END_TEST

START_TEST(plurals)
{
	ck_assert_str_eq(str_plural(0), "s");
	ck_assert_str_eq(str_plural(1), "");
	ck_assert_str_eq(str_plural(2), "s");
	ck_assert_str_eq(str_plural(UINT64_MAX), "s");
}
END_TEST

START_TEST(numbers)
{
	static const struct { uint64_t n; unsigned base; const char *text; } rows[] = {
		{ 0, 10, "0" }, { 9, 10, "9" }, { 10, 10, "10" }, { 255, 10, "255" }, { 255, 16, "ff" }, { 16, 16, "10" },
		{ UINT64_MAX, 10, "18446744073709551615" }, { UINT64_MAX, 16, "ffffffffffffffff" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char dst[STR_NUMBER_MAX];

		ck_assert_uint_eq(str_number(dst, rows[i].n, rows[i].base), strlen(rows[i].text));
		ck_assert_str_eq(dst, rows[i].text);
	}
}
END_TEST

COMMON_SUITE(str, copies, plurals, numbers, escaping, escaping_bounded, same)
