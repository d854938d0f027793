#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/wire.h"
#include "tests/unit/common.h"

START_TEST(round_trip)
{
	uint8_t buf[64], raw[3];
	char text[6];
	struct wr w;
	struct rd r;

	wr_init(&w, buf, sizeof buf);
	wr_u8(&w, 0xfe);
	wr_u16(&w, 0xfedc);
	wr_u32(&w, 0xfedcba98);
	wr_u64(&w, UINT64_C(0xfedcba9876543210));
	wr_str(&w, "hello", 5);
	wr_bytes(&w, "\0\1", 2, 3);
	ck_assert_int_eq(w.error, 0);
	rd_init(&r, buf, w.len);
	ck_assert_uint_eq(rd_u8(&r), 0xfe);
	ck_assert_uint_eq(rd_u16(&r), 0xfedc);
	ck_assert_uint_eq(rd_u32(&r), 0xfedcba98);
	ck_assert_uint_eq(rd_u64(&r), UINT64_C(0xfedcba9876543210));
	rd_str(&r, text, 5);
	ck_assert_str_eq(text, "hello");
	ck_assert_uint_eq(rd_bytes(&r, raw, 3), 2);
	ck_assert_mem_eq(raw, "\0\1", 2);
	ck_assert_int_eq(rd_end(&r), 0);
}
END_TEST

/* Cut anywhere, a reader gives an error and zeroes, and never reads on. */
START_TEST(cut_short)
{
	uint8_t buf[32], *exact;
	char text[9];
	struct wr w;
	struct rd r;

	wr_init(&w, buf, sizeof buf);
	wr_u32(&w, 7);
	wr_str(&w, "abcdefgh", 8);
	for (size_t n = 0; n < w.len; n++) {
		exact = malloc(n == 0 ? 1 : n);
		memcpy(exact, buf, n);
		rd_init(&r, exact, n);
		rd_u32(&r);
		rd_str(&r, text, 8);
		ck_assert_str_eq(text, "");
		ck_assert_int_eq(rd_end(&r), SP_ETRUNC);
		free(exact);
	}
}
END_TEST

START_TEST(bounds)
{
	uint8_t buf[16];
	char text[4];
	struct wr w;
	struct rd r;

	wr_init(&w, buf, sizeof buf);
	wr_str(&w, "abcd", 3);
	ck_assert_int_eq(w.error, SP_ERANGE);
	wr_init(&w, buf, 5);
	wr_str(&w, "ab", 3);
	ck_assert_int_eq(w.error, SP_ETRUNC);
	wr_u8(&w, 1);
	ck_assert_int_eq(w.error, SP_ETRUNC);
	/* A longer string than the receiver takes. */
	wr_init(&w, buf, sizeof buf);
	wr_str(&w, "abcd", 4);
	rd_init(&r, buf, w.len);
	rd_str(&r, text, 3);
	ck_assert_int_eq(rd_end(&r), SP_ERANGE);
	/* A length that claims the moon. */
	memset(buf, 0xff, 4);
	rd_init(&r, buf, 8);
	ck_assert_uint_eq(rd_bytes(&r, text, SIZE_MAX), 0);
	ck_assert_int_eq(rd_end(&r), SP_ETRUNC);
	/* A NUL in a string. */
	wr_init(&w, buf, sizeof buf);
	wr_bytes(&w, "a\0b", 3, 3);
	rd_init(&r, buf, w.len);
	rd_str(&r, text, 3);
	ck_assert_int_eq(rd_end(&r), SP_EFORMAT);
}
END_TEST

START_TEST(left_over)
{
	uint8_t buf[2] = { 1, 2 };
	struct rd r;

	rd_init(&r, buf, 2);
	rd_u8(&r);
	ck_assert_int_eq(rd_end(&r), SP_ETRAILING);
	rd_init(&r, buf, 0);
	ck_assert_int_eq(rd_end(&r), 0);
}
END_TEST

COMMON_SUITE(wire, round_trip, cut_short, bounds, left_over)
