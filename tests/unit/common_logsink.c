#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/logsink.h"
#include "tests/unit/common.h"

static const struct { const char *line, *json, *journal; } lines[] = {
	{ "event=login user=bob", "{\"event\":\"login\",\"user\":\"bob\"}", "SALLYPORT_EVENT=login\nSALLYPORT_USER=bob\n" },
	{ "event=x path=\"/a b\" n=-7", "{\"event\":\"x\",\"path\":\"/a b\",\"n\":\"-7\"}",
	  "SALLYPORT_EVENT=x\nSALLYPORT_PATH=/a b\nSALLYPORT_N=-7\n" },
	{ "event=x t=\"q\\\"b\\\\c\\x0a\"", "{\"event\":\"x\",\"t\":\"q\\\"b\\\\c\\u000a\"}",
	  "SALLYPORT_EVENT=x\nSALLYPORT_T=q\"b\\c\\x0a\n" },
	{ "event=x empty=\"\" last=1", "{\"event\":\"x\",\"empty\":\"\",\"last\":\"1\"}",
	  "SALLYPORT_EVENT=x\nSALLYPORT_EMPTY=\nSALLYPORT_LAST=1\n" },
	{ "", "{}", "" },
	{ "no pairs", "{}", "" },
	{ "event=x open=\"cut", "{\"event\":\"x\",\"open\":\"cut\"}", "SALLYPORT_EVENT=x\nSALLYPORT_OPEN=cut\n" }
};

START_TEST(other_forms)
{
	char out[512];
	size_t n;

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		n = log_line_to_json(out, sizeof out - 1, lines[i].line, strlen(lines[i].line));
		out[n] = '\0';
		ck_assert_str_eq(out, lines[i].json);
		n = log_line_to_journal(out, sizeof out - 1, 5, lines[i].line, strlen(lines[i].line));
		out[n] = '\0';
		ck_assert(strncmp(out, "PRIORITY=5\n", 11) == 0);
		ck_assert_ptr_nonnull(strstr(out, "\nMESSAGE="));
		if (lines[i].journal[0] != '\0')
			ck_assert_ptr_nonnull(strstr(out, lines[i].journal));
	}
}
END_TEST

/* Whatever fits is a whole object. */
START_TEST(json_is_never_cut)
{
	const char *line = lines[2].line;
	char out[64];

	for (size_t size = 2; size < sizeof out; size++) {
		size_t n = log_line_to_json(out, size, line, strlen(line));

		ck_assert_uint_le(n, size);
		ck_assert_int_eq(out[0], '{');
		ck_assert_int_eq(out[n - 1], '}');
		ck_assert_int_ne(out[n - 2], ',');
	}
}
END_TEST

static void
read_all(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

START_TEST(files)
{
	char path[] = "/tmp/unit-logsink.XXXXXX", text[1024];
	struct stat st;
	int fd = mkstemp(path);

	close(fd);
	unlink(path);
	ck_assert_int_eq(log_open(path), 0);
	ck_assert_int_ge(log_fd(), 0);
	log_problem(LOG_LEVEL_NOTICE, "one", NULL, 0);
	ck_assert_int_eq(log_open_json(path), 0);	/* a reload opens it anew and goes on at its end */
	log_problem(LOG_LEVEL_NOTICE, "two", "x", 0);
	read_all(path, text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "Z notice event=one\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"level\":\"notice\",\"event\":\"two\",\"about\":\"x\"}\n"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777 & ~0640u, 0);
	ck_assert_int_eq(xferlog_open(path), 0);
	ck_assert_int_eq(xferlog_write("line\n", 5), 0);
	read_all(path, text, sizeof text);
	ck_assert_str_eq(text + strlen(text) - 5, "line\n");
	ck_assert_int_eq(xferlog_open(NULL), 0);
	ck_assert_int_eq(xferlog_fd(), -1);
	unlink(path);
}
END_TEST

START_TEST(what_cannot_be_opened)
{
	ck_assert_int_eq(log_open("relative/path"), -EINVAL);
	ck_assert_int_eq(log_open("/no/such/folder/log"), -ENOENT);
	ck_assert_int_eq(xferlog_open("/no/such/folder/xferlog"), -ENOENT);
	ck_assert_int_eq(log_open("stderr"), 0);
	ck_assert_int_eq(log_fd(), -1);
	/* A daemon that is not there loses lines and nothing else. */
	ck_assert_int_eq(log_open("syslog"), 0);
	log_problem(LOG_LEVEL_DEBUG, "into-the-void", NULL, 0);
	ck_assert_int_eq(log_open("journal"), 0);
	log_problem(LOG_LEVEL_DEBUG, "into-the-void", NULL, 0);
	ck_assert_int_eq(log_open("stderr"), 0);
}
END_TEST

/* The C library's calendar is the reference. */
START_TEST(calendar)
{
	static const time_t special[] = { 0, -1, 951782400, 951868799, 951868800, 1709164800, 4107542400, 68169600, -2208988800, 253402300799 };
	struct tm ours, theirs;

	for (size_t i = 0; i < 20000 + sizeof special / sizeof *special; i++) {
		time_t t = i < 20000 ? (time_t)i * 86399 * 3 : special[i - 20000];

		clock_utc(t, &ours);
		gmtime_r(&t, &theirs);
		ck_assert_msg(ours.tm_year == theirs.tm_year && ours.tm_mon == theirs.tm_mon && ours.tm_mday == theirs.tm_mday &&
		    ours.tm_hour == theirs.tm_hour && ours.tm_min == theirs.tm_min && ours.tm_sec == theirs.tm_sec &&
		    ours.tm_wday == theirs.tm_wday && ours.tm_yday == theirs.tm_yday, "%lld: %d-%d-%d %d %d", (long long)t,
		    ours.tm_year, ours.tm_mon, ours.tm_mday, ours.tm_wday, ours.tm_yday);
	}
}
END_TEST

COMMON_SUITE(logsink, other_forms, json_is_never_cut, files, what_cannot_be_opened, calendar)
