#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "daemon/worker/line.h"
#include "tests/unit/worker.h"

#define S(text) text, sizeof text - 1

/* Bytes in, lines out: C command, B bad, L too long, F flooded; commands separated by |. */
static const struct {
	const char *bytes;
	size_t n;
	const char *results, *lines;
} rows[] = {
	{ S("NOOP\r\n"), "C", "NOOP" },
	{ S("NOOP\n"), "C", "NOOP" },
	{ S("\r\n\n  \r\n\t\r\nNOOP\r\n"), "C", "NOOP" },
	{ S("  NOOP  x \r\n"), "C", "NOOP  x " },
	{ S("CWD  a b \r\n"), "C", "CWD  a b " },
	{ S("A\nB\nC\r\n"), "CCC", "A|B|C" },
	{ S("A\r\n\nC\r\n"), "CC", "A|C" },
	{ S("NO"), "", "" },
	{ S("A\0B\r\nC\r\n"), "BC", "C" },
	{ S("A\rB\r\nC\r\n"), "BC", "C" },
	{ S("A\r\r\nC\r\n"), "BC", "C" },
	{ S("CWD a\r\0b\r\n"), "C", "CWD a\rb" },
	{ S("\377\364\377\362ABOR\r\n"), "C", "ABOR" },
	{ S("\377\364\377ABOR\r\n"), "C", "ABOR" },
	{ S("AB\377\361OR\r\n"), "C", "ABOR" },
	{ S("\377\373\1\377\374\2\377\375\3\377\376\4ABOR\r\n"), "C", "ABOR" },
	{ S("CWD \377\377\r\n"), "C", "CWD \377" },
	{ S("CWD x\377\r\n"), "C", "CWD x\377" },
	{ S("CWD x\377\nNOOP\r\n"), "CC", "CWD x\377|NOOP" },
	{ S("CWD \377a\r\n"), "C", "CWD \377a" },
	{ S("CWD mo\377.txt\r\n"), "C", "CWD mo\377.txt" },
	{ S("CWD a\377\357b\r\n"), "C", "CWD a\377\357b" },
	/* Nothing in a name is a Telnet command but the doubled byte: other bytes above 239 are letters too. */
	{ S("CWD a\377\362b\r\n"), "C", "CWD a\377\362b" },
	{ S("CWD a\377\375\1b\r\n"), "C", "CWD a\377\375\1b" },
	{ S("CWD a\377\377\377b\r\n"), "C", "CWD a\377\377b" },
	{ S("CWD a\377\377\362b\r\n"), "C", "CWD a\377\362b" },
	{ S("PASS \377\377\377\377\r\n"), "C", "PASS \377\377" },
	{ S("CWD a\377\r\0b\r\n"), "C", "CWD a\377\rb" },
	{ S("CWD a\377\0b\r\nNOOP\r\n"), "BC", "NOOP" },
	{ S("CWD x\r\n\377\364\377\362ABOR\r\n"), "CC", "CWD x|ABOR" },
	{ S(" \377\361NOOP\r\n"), "C", "NOOP" },
	{ S("NO\377OP\r\n"), "C", "NOOP" },
};

/* Adds to a text in an array of size bytes; a test whose array is too small fails. */
static void
append(char *dst, size_t size, const char *text)
{
	size_t n = strlen(dst);

	ck_assert_int_eq(str_copy(dst + n, size - n, text), 0);
}

static void
run(struct line_reader *l, char *results, size_t results_size, char *lines, size_t lines_size)
{
	enum line_result r;
	char *text;
	size_t len;

	while ((r = line_next(l, &text, &len)) != LINE_NONE) {
		append(results, results_size, r == LINE_COMMAND ? "C" : r == LINE_BAD ? "B" : r == LINE_TOO_LONG ? "L" : "F");
		if (r == LINE_COMMAND) {
			ck_assert_uint_eq(strlen(text), len);
			if (*lines != '\0')
				append(lines, lines_size, "|");
			append(lines, lines_size, text);
		}
		if (r == LINE_FLOODED)
			return;
	}
}

/* Feeds in pieces of step bytes: how the bytes arrive must not matter. */
static void
feed_into(struct line_reader *l, const char *bytes, size_t n, size_t step, char *results, size_t results_size, char *lines,
    size_t lines_size)
{
	while (n > 0) {
		size_t space, k;
		uint8_t *at = line_room(l, &space);

		k = step < space ? step : space;
		k = k < n ? k : n;
		ck_assert_uint_gt(k, 0);
		memcpy(at, bytes, k);
		line_filled(l, k);
		bytes += k;
		n -= k;
		run(l, results, results_size, lines, lines_size);
		if (strchr(results, 'F') != NULL)
			return;
	}
}

/* Both last arguments are arrays. */
#define feed(l, bytes, n, step, results, lines) feed_into(l, bytes, n, step, results, sizeof results, lines, sizeof lines)

START_TEST(table)
{
	static struct line_reader l;

	for (size_t step = 1; step < 40; step += 3) {
		char results[64] = "", lines[256] = "";

		line_init(&l);
		feed(&l, rows[_i].bytes, rows[_i].n, step, results, lines);
		ck_assert_str_eq(results, rows[_i].results);
		ck_assert_str_eq(lines, rows[_i].lines);
	}
}
END_TEST

/* From a client that ends its lines with CR LF, a LF alone ends a line only where it is the last that came. */
START_TEST(names_that_hold_a_line_feed)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *results, *lines;
	} names[] = {
		{ S("STOR a\nDELE b\r\nNOOP\r\n"), "BC", "NOOP" },
		{ S("STOR a\n\nDELE b\nDELE c\r\n"), "B", "" },
		{ S("STOR a\nREIN\r\n"), "B", "" },
		{ S("  abor\nPWD\r\n"), "CC", "abor|PWD" },
		{ S("NOOP\n"), "C", "NOOP" },
	};
	static struct line_reader l;
	char results[64] = "", lines[256] = "";

	line_init(&l);
	feed(&l, "OPTS UTF8 ON\r\n", 14, 40, results, lines);
	results[0] = lines[0] = '\0';
	/* What stays in the socket until a REIN has been obeyed is cut by the same rule. */
	ck_assert_uint_eq(line_length(&l, (const uint8_t *)names[_i].bytes, names[_i].n),
	    _i == 0 ? sizeof "STOR a\nDELE b\r\n" - 1 : _i == 3 ? sizeof "  abor\n" - 1 : names[_i].n);
	feed(&l, names[_i].bytes, names[_i].n, LINE_RAW_BYTES, results, lines);
	ck_assert_str_eq(results, names[_i].results);
	ck_assert_str_eq(lines, names[_i].lines);
}
END_TEST

/* Where bytes may have been cut off by a segment or a full buffer, a LF is not the last of a line. */
START_TEST(names_that_are_cut_at_a_line_feed)
{
	static struct line_reader l;
	static const size_t lengths[] = { LINE_SEGMENT, LINE_SEGMENT + 1, LINE_RAW_BYTES };
	char bytes[LINE_RAW_BYTES], results[8] = "", lines[LINE_RAW_BYTES + 1] = "";
	size_t n = lengths[_i];

	line_init(&l);
	feed(&l, "NOOP\r\n", 6, 40, results, lines);
	results[0] = lines[0] = '\0';
	memset(bytes, 'x', n);
	memcpy(bytes, "STOR ", 5);
	bytes[n - 1] = '\n';
	feed(&l, bytes, n, sizeof bytes, results, lines);
	ck_assert_str_eq(results, n <= LINE_SEGMENT ? "C" : "");
	feed(&l, "DELE b\r\n", 8, 40, results, lines);
	ck_assert_str_eq(results, n <= LINE_SEGMENT ? "CC" : "B");
}
END_TEST

/* The tail of a long line is no command, wherever the reads cut it. */
START_TEST(long_line)
{
	static struct line_reader l;
	static char bytes[LINE_MAX_BYTES + 200];
	char results[64] = "", lines[8192] = "";

	memset(bytes, 'x', sizeof bytes);
	memcpy(bytes + LINE_MAX_BYTES + 10, "DELE a\r", 7);
	memcpy(bytes + LINE_MAX_BYTES + 100, "\r\nNOOP\r\n", 8);
	line_init(&l);
	feed(&l, bytes, LINE_MAX_BYTES + 108, (size_t)_i, results, lines);
	ck_assert_str_eq(results, "LC");
	ck_assert_str_eq(lines, "NOOP");
}
END_TEST

START_TEST(longest_line)
{
	static struct line_reader l;
	static char bytes[LINE_MAX_BYTES + 2], lines[LINE_MAX_BYTES + 2];
	char results[8] = "";

	memset(bytes, 'x', LINE_MAX_BYTES);
	memcpy(bytes + LINE_MAX_BYTES, "\r\n", 2);
	line_init(&l);
	feed(&l, bytes, sizeof bytes, 1000, results, lines);
	ck_assert_str_eq(results, "C");
	ck_assert_uint_eq(strlen(lines), LINE_MAX_BYTES);
}
END_TEST

START_TEST(flood)
{
	static struct line_reader l;
	static char bytes[LINE_FLOOD + 5000];
	char results[8] = "", lines[8] = "";

	memset(bytes, _i, sizeof bytes);
	line_init(&l);
	feed(&l, bytes, sizeof bytes, 4096, results, lines);
	ck_assert_str_eq(results, "F");
}
END_TEST

/* Nothing that came before AUTH is seen after it; nothing of a password stays. */
START_TEST(forgotten)
{
	static struct line_reader l;
	char results[8] = "", lines[64] = "", *text;
	size_t len;

	line_init(&l);
	memcpy(line_room(&l, &len), "PASS geheim\r\nDELE", 17);
	line_filled(&l, 17);
	ck_assert_int_eq(line_next(&l, &text, &len), LINE_COMMAND);
	ck_assert_str_eq(text, "PASS geheim");
	line_wipe(&l);
	ck_assert_ptr_null(memmem(&l, sizeof l, "geheim", 6));
	line_discard(&l);
	feed_into(&l, S(" x\r\n"), 100, results, sizeof results, lines, sizeof lines);
	ck_assert_str_eq(lines, "x");
	ck_assert_int_eq(line_next(&l, &text, &len), LINE_NONE);
}
END_TEST

Suite *
worker_line_suite(void)
{
	Suite *s = suite_create("worker/line");
	TCase *t = tcase_create("line");

	tcase_add_loop_test(t, table, 0, (int)(sizeof rows / sizeof rows[0]));
	tcase_add_loop_test(t, names_that_hold_a_line_feed, 0, 5);
	tcase_add_loop_test(t, names_that_are_cut_at_a_line_feed, 0, 3);
	tcase_add_loop_test(t, long_line, 1, 60);
	tcase_add_test(t, longest_line);
	tcase_add_loop_test(t, flood, 'x', 'x' + 1);
	tcase_add_loop_test(t, flood, 255, 256);
	tcase_add_test(t, forgotten);
	suite_add_tcase(s, t);
	return s;
}
