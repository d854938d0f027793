/* Words, times, line ends, the queue, buckets, checksums: the pure parts. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bucket.h"
#include "daemon/worker/ascii.h"
#include "daemon/worker/digest.h"
#include "daemon/worker/queue.h"
#include "daemon/worker/times.h"
#include "daemon/worker/words.h"
#include "tests/unit/worker.h"

static const struct {
	const char *text, *words;	/* separated by |, ! for a mistake */
} word_rows[] = {
	{ "", "" }, { "   ", "" }, { "a", "a" }, { "a b", "a|b" }, { "  a   b  ", "a|b" },
	{ "\"a b\" c", "a b|c" }, { "\"a \"\"b\"\"\" c", "a \"b\"|c" }, { "\"\" x", "|x" },
	{ "\"a", "!" }, { "\"a\"b", "!" }, { "a\"b c", "a\"b|c" },
};

START_TEST(words)
{
	char text[64], got[64] = "", *at = text, *word;
	bool first = true;

	snprintf(text, sizeof text, "%s", word_rows[_i].text);
	while ((word = words_next(&at)) != NULL) {
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", first ? "" : "|", word);
		first = false;
	}
	if (*at != '\0' && strspn(at, " ") != strlen(at))
		snprintf(got, sizeof got, "!");
	ck_assert_str_eq(got, word_rows[_i].words);
}
END_TEST

START_TEST(numbers)
{
	uint64_t n;

	ck_assert(words_number("0", 10, 5, &n) && n == 0);
	ck_assert(words_number("755", 8, 0777, &n) && n == 0755);
	ck_assert(!words_number("758", 8, 0777, &n));
	ck_assert(!words_number("6", 10, 5, &n));
	ck_assert(!words_number("", 10, 5, &n));
	ck_assert(!words_number("-1", 10, 5, &n));
	ck_assert(!words_number("18446744073709551616", 10, UINT64_MAX, &n));
	ck_assert(words_number("18446744073709551615", 10, UINT64_MAX, &n) && n == UINT64_MAX);
}
END_TEST

/* Against the C library, over the whole range that people use and some more. */
START_TEST(times_agree)
{
	static const int64_t moments[] = { 0, -1, 1, 86399, 86400, 951782400, 951868799, 951868800, 4107542399, 4107542400,
	    -2208988800, 253402300799, 1709164800, 1709251199, -11644473600, 32503680000 };
	int64_t when = moments[_i], back;
	time_t t = (time_t)when;
	char text[TIMES_TEXT], want[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(want, sizeof want, "%Y%m%d%H%M%S", &tm);
	ck_assert_str_eq(times_text(text, when), want);
	ck_assert_uint_eq(times_parse(text, &back), 14);
	ck_assert_int_eq(back, when);
}
END_TEST

static const struct {
	const char *text;
	size_t n;
	int64_t when;
} time_rows[] = {
	{ "20260101000000", 14, 1767225600 }, { "202601010000", 12, 1767225600 }, { "20260101000000.123 x", 18, 1767225600 },
	{ "20260101000060", 14, 1767225659 }, { "20000229000000", 14, 951782400 }, { "19000229000000", 0, 0 },
	{ "20261301000000", 0, 0 }, { "20260100000000", 0, 0 }, { "20260101240000", 0, 0 }, { "20260101006000", 0, 0 },
	{ "20260101000061", 0, 0 }, { "2026010100000", 0, 0 }, { "202601010000000", 0, 0 }, { "", 0, 0 }, { "x", 0, 0 },
	{ "20260101000000.", 14, 1767225600 },
};

START_TEST(times_read)
{
	int64_t when = 0;

	ck_assert_uint_eq(times_parse(time_rows[_i].text, &when), time_rows[_i].n);
	if (time_rows[_i].n > 0)
		ck_assert_int_eq(when, time_rows[_i].when);
}
END_TEST

static const struct {
	const char *file, *wire, *back;
} ascii_rows[] = {
	{ "", "", "" }, { "a\nb\n", "a\r\nb\r\n", "a\nb\n" }, { "a\r\nb", "a\r\nb", "a\nb" }, { "\n\n", "\r\n\r\n", "\n\n" },
	{ "a\rb", "a\rb", "a\rb" }, { "a\r", "a\r", "a\r" }, { "\r\r\n", "\r\r\n", "\r\n" },
};

/* In pieces of every size. */
START_TEST(line_ends)
{
	const char *file = ascii_rows[_i].file, *wire = ascii_rows[_i].wire;

	for (size_t step = 1; step < 5; step++) {
		struct ascii to = { false }, from = { false };
		char out[64], in[64];
		size_t n = 0, k = 0;

		for (size_t i = 0; i < strlen(file); i += step)
			n += ascii_encode(&to, file + i, strlen(file) - i < step ? strlen(file) - i : step, out + n);
		ck_assert_uint_eq(n, strlen(wire));
		ck_assert_mem_eq(out, wire, n);
		for (size_t i = 0; i < n; i += step)
			k += ascii_decode(&from, out + i, n - i < step ? n - i : step, in + k);
		k += ascii_decode_end(&from, in + k);
		ck_assert_uint_eq(k, strlen(ascii_rows[_i].back));
		ck_assert_mem_eq(in, ascii_rows[_i].back, k);
	}
}
END_TEST

START_TEST(queue)
{
	static struct queue q;
	static char text[LINE_MAX_BYTES + 1], name[LINE_MAX_BYTES + 1];
	unsigned kept = 0, refused = 0, i = 0;
	size_t len;

	ck_assert(queue_empty(&q) && queue_take(&q, text, &len) == LINE_NONE);
	/* In order, with what is no command in its place. */
	queue_put(&q, LINE_COMMAND, "PWD", 3);
	queue_put(&q, LINE_BAD, "", 0);
	queue_put(&q, LINE_COMMAND, "PWDx", 3);
	queue_put_end(&q, "QUIT");
	queue_put_end(&q, "REIN");
	queue_put(&q, LINE_COMMAND, "DELE x", 6);
	ck_assert(queue_take(&q, text, &len) == LINE_COMMAND && len == 3 && strcmp(text, "PWD") == 0);
	ck_assert(queue_take(&q, text, &len) == LINE_BAD && len == 0);
	ck_assert(queue_take(&q, text, &len) == LINE_COMMAND && strcmp(text, "PWD") == 0 && !queue_empty(&q));
	ck_assert(queue_take(&q, text, &len) == LINE_COMMAND && len == 4 && strcmp(text, "QUIT") == 0);
	ck_assert(queue_empty(&q) && queue_take(&q, text, &len) == LINE_NONE);
	/* The same line a million times takes no room. */
	for (int k = 0; k < 1000000; k++)
		queue_put(&q, LINE_COMMAND, "NOOP", 4);
	ck_assert_uint_lt(q.bytes, 100);
	for (int k = 0; k < 1000000; k++)
		ck_assert(queue_take(&q, text, &len) == LINE_COMMAND);
	ck_assert(queue_empty(&q) && q.bytes == 0);
	/* Different ones are bounded; who finds no room is counted, and nobody passes him. */
	for (; i < 100000; i++) {
		snprintf(name, sizeof name, "MKD %u", i);
		queue_put(&q, LINE_COMMAND, name, strlen(name));
		ck_assert_uint_le(q.bytes, QUEUE_MAX_BYTES);
	}
	queue_put(&q, LINE_COMMAND, "", 0);
	for (enum line_result r; (r = queue_take(&q, text, &len)) != LINE_NONE;) {
		ck_assert(r == LINE_CROWDED || (r == LINE_COMMAND && refused == 0));
		snprintf(name, sizeof name, "MKD %u", kept);
		ck_assert(r == LINE_CROWDED || strcmp(text, name) == 0);
		kept += r == LINE_COMMAND;
		refused += r == LINE_CROWDED;
	}
	ck_assert_uint_eq(kept + refused, 100001);
	ck_assert_uint_gt(kept, 500);
	/* The longest line fits an empty queue. */
	memset(name, 'x', LINE_MAX_BYTES);
	queue_put(&q, LINE_COMMAND, name, LINE_MAX_BYTES);
	ck_assert(queue_take(&q, text, &len) == LINE_COMMAND && len == LINE_MAX_BYTES);
	queue_put(&q, LINE_COMMAND, name, LINE_MAX_BYTES);
	queue_clear(&q);
	ck_assert(queue_empty(&q) && q.bytes == 0);
}
END_TEST

START_TEST(buckets)
{
	struct bucket b;
	int wait = 0;
	size_t n;

	bucket_init(&b, 0);
	ck_assert_uint_eq(bucket_allow(&b, 1 << 30, &wait), 1 << 30);
	bucket_init(&b, 10000);
	n = bucket_allow(&b, 1 << 20, &wait);
	ck_assert(n >= 9900 && n <= 10000);
	bucket_spend(&b, 10000);
	n = bucket_allow(&b, 1000, &wait);
	ck_assert_uint_le(n, 200);
	bucket_spend(&b, 20000);
	wait = 0;
	ck_assert_uint_eq(bucket_allow(&b, 1000, &wait), 0);
	ck_assert(wait > 1500 && wait < 2500);
	/* Nonsense in shared memory slows down, but never for ever and never divides by zero. */
	atomic_store(&b.busy_until, INT64_MAX);
	ck_assert_uint_eq(bucket_allow(&b, 1000, &wait), 0);
	ck_assert_int_le(wait, 3700 * 1000);
	atomic_store(&b.limit, UINT64_MAX);
	atomic_store(&b.busy_until, INT64_MIN);
	ck_assert_uint_eq(bucket_allow(&b, 1000, &wait), 1000);
}
END_TEST

static const struct {
	const char *name, *sum;		/* of "123456789" */
} sums[] = {
	{ "CRC32", "CBF43926" },
	{ "MD5", "25f9e794323b453885f5181f1b624d0b" },
	{ "SHA-1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441" },
	{ "SHA-256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225" },
	{ "sha-512", "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85" },
};

START_TEST(digests)
{
	struct digest d;
	char text[DIGEST_TEXT_MAX];
	FILE *f = tmpfile();
	int e;

	fputs("xx123456789yy", f);
	fflush(f);
	ck_assert_int_eq(digest_start(&d, (unsigned)digest_find(sums[_i].name), 2, 11), 0);
	while ((e = digest_step(&d, fileno(f))) > 0)
		;
	ck_assert_int_eq(e, 0);
	digest_finish(&d, text);
	digest_end(&d);
	ck_assert_str_eq(text, sums[_i].sum);
	/* A file that became shorter is an error, not a checksum of something else. */
	ck_assert_int_eq(digest_start(&d, 0, 2, 100), 0);
	while ((e = digest_step(&d, fileno(f))) > 0)
		;
	ck_assert_int_lt(e, 0);
	digest_end(&d);
	fclose(f);
}
END_TEST

#define ROWS(a) ((int)(sizeof(a) / sizeof(a)[0]))

Suite *
worker_text_suite(void)
{
	Suite *s = suite_create("worker/text");
	TCase *t = tcase_create("text");

	tcase_add_loop_test(t, words, 0, ROWS(word_rows));
	tcase_add_test(t, numbers);
	tcase_add_loop_test(t, times_agree, 0, 16);
	tcase_add_loop_test(t, times_read, 0, ROWS(time_rows));
	tcase_add_loop_test(t, line_ends, 0, ROWS(ascii_rows));
	tcase_add_test(t, queue);
	tcase_add_test(t, buckets);
	tcase_add_loop_test(t, digests, 0, ROWS(sums));
	suite_add_tcase(s, t);
	return s;
}
