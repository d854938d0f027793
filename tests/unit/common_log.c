#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/logsink.h"
#include "tests/unit/common.h"

static char last[LOG_LINE_MAX + 1];
static unsigned count;

static void
remember(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	(void)level;
	ck_assert_uint_eq(len, strlen(text));
	ck_assert_uint_le(len, LOG_LINE_MAX);
	memcpy(last, text, len + 1);
	count++;
}

START_TEST(fields)
{
	struct log_line l;

	log_set_sink(remember, NULL);
	log_set_context("role=test");
	log_begin(&l, EVENT_LOGIN);
	log_str(&l, FIELD_USER, "bob");
	log_str(&l, FIELD_TEXT, "two words");
	log_str(&l, FIELD_REASON, "");
	log_str(&l, FIELD_PATH, "a\r\nevent=forged user=root");
	log_num(&l, FIELD_VALUE, -7);
	log_num(&l, FIELD_BYTES, INT64_MIN);
	log_str(&l, FIELD_VERSION, "7");
	log_str(&l, FIELD_KIND, "0644");
	log_code(&l, SP_EDENIED);
	log_end(&l);
	ck_assert_str_eq(last, "event=login role=test user=bob text=\"two words\" reason=\"\" "
	    "path=\"a\\x0d\\x0aevent=forged user=root\" value=-7 bytes=-9223372036854775808 version=\"7\" kind=0644 error=\"denied by policy\"");
	log_set_context(NULL);
}
END_TEST

/* What has several lines is one value of one line, and what clients send has none. */
START_TEST(text_of_several_lines)
{
	static const struct { const char *text, *separator, *line; } texts[] = {
		{ "one", "; ", "event=reloaded about=one" },
		{ "It is.\nNo: it is not\n\nor is it\n", "; ", "event=reloaded about=\"It is. No: it is not; or is it\"" },
		{ "10.0.0.1\n2h\nbad manners", " ", "event=reloaded about=\"10.0.0.1 2h bad manners\"" },
		{ "a.\nb", " ", "event=reloaded about=\"a. b\"" },
		{ "\n\na", "; ", "event=reloaded about=a" },
		{ "", "; ", "event=reloaded about=\"\"" },
		{ "\n", "; ", "event=reloaded about=\"\"" },
		{ "a\r\nb", "; ", "event=reloaded about=\"a\\x0d; b\"" },
	};
	char big[3 * LOG_LINE_MAX];
	struct log_line l;

	log_set_sink(remember, NULL);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		log_begin(&l, EVENT_RELOADED);
		log_lines(&l, FIELD_ABOUT, texts[i].text, texts[i].separator);
		log_end(&l);
		ck_assert_str_eq(last, texts[i].line);
	}
	for (size_t i = 0; i < sizeof big - 1; i++)
		big[i] = i % 3 == 2 ? '\n' : 'a';
	big[sizeof big - 1] = '\0';
	log_begin(&l, EVENT_RELOADED);
	log_lines(&l, FIELD_ABOUT, big, "; ");
	log_end(&l);
	ck_assert_ptr_null(strchr(last, '\\'));
}
END_TEST

/* What was written into a pipe. */
static void
take(int fd, char *text, size_t size)
{
	ssize_t n = read(fd, text, size - 1);

	ck_assert_int_gt(n, 0);
	text[n] = '\0';
}

/* The stream that JOURNAL_STREAM names, and no other: there the journal tells the time, and the priority stands in front. */
START_TEST(the_journal)
{
	static const char *const others[] = { "", "1:2", "x", "1", ":", "99999999999999999999999:1" };
	char name[64], text[256];
	struct stat st;
	int out[2];

	ck_assert_int_eq(pipe(out), 0);
	ck_assert_int_eq(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(fstat(out[1], &st), 0);
	(void)snprintf(name, sizeof name, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv(LOG_JOURNAL_STREAM, name, 1);
	log_find_journal();
	log_set_sink(log_to_fd, (void *)(intptr_t)STDERR_FILENO);
	log_problem(EVENT_CONTROL_SOCKET, NULL, 0);
	log_problem(EVENT_READY, NULL, 0);
	ck_assert_int_eq(log_open("stderr"), 0);
	log_problem(EVENT_TRANSFER_BLOCKED, "a b", 0);
	take(out[0], text, sizeof text);
	ck_assert_str_eq(text, "<3>event=control-socket\n<5>event=ready\n<4>event=transfer-blocked about=\"a b\"\n");
	ck_assert_int_eq(log_open_json("stderr"), 0);
	log_problem(EVENT_TEMPLATES_RENEWED, NULL, 0);
	take(out[0], text, sizeof text);
	ck_assert_int_eq(strncmp(text, "<6>{\"time\":\"2", 13), 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		setenv(LOG_JOURNAL_STREAM, others[i], 1);
		ck_assert_int_eq(log_open("stderr"), 0);
		log_problem(EVENT_CONTROL_SOCKET, NULL, 0);
		take(out[0], text, sizeof text);
		ck_assert_int_eq(text[0], '2');
		ck_assert_ptr_nonnull(strstr(text, "Z error event=control-socket\n"));
	}
	unsetenv(LOG_JOURNAL_STREAM);
}
END_TEST

START_TEST(levels)
{
	log_set_sink(remember, NULL);
	log_set_level(LOG_LEVEL_WARNING);
	count = 0;
	log_problem(EVENT_TEMPLATES_RENEWED, "x", 0);
	ck_assert_uint_eq(count, 0);
	log_problem(EVENT_CONTROL_SOCKET, "x", -ENOENT);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(last, "event=control-socket about=x error=\"No such file or directory\"");
	log_set_level(LOG_LEVEL_INFO);
	for (int i = 0; i < LOG_LEVEL_COUNT; i++)
		ck_assert_int_eq(log_level_parse(log_level_word(i)), i);
	ck_assert_int_eq(log_level_parse("loud"), -1);
}
END_TEST

/* However long the fields are: one line within its bound, marked as cut. */
START_TEST(cut)
{
	char big[3 * LOG_LINE_MAX];
	struct log_line l;

	log_set_sink(remember, NULL);
	memset(big, '\n', sizeof big);
	log_begin(&l, EVENT_TRANSFER);
	log_bytes(&l, FIELD_PATH, big, sizeof big);
	log_bytes(&l, FIELD_TEXT, big, sizeof big);
	log_str(&l, FIELD_TYPE, "short");
	log_end(&l);
	ck_assert_ptr_nonnull(strstr(last, "event=transfer"));
	ck_assert_ptr_nonnull(strstr(last, "cut=yes"));
	ck_assert_ptr_null(strchr(last, '\n'));
}
END_TEST

/* A value that is cut leaves room for what follows. */
START_TEST(long_values_are_shortened)
{
	struct log_line l;

	log_set_sink(remember, NULL);
	log_begin(&l, EVENT_ACCESS);
	log_cut(&l, FIELD_PATH, "\x01\x01\x01", 9);
	log_cut(&l, FIELD_KIND, "whole", 5);
	log_end(&l);
	ck_assert_str_eq(last, "event=access path=\"\\x01\\x01\" kind=whole cut=yes");
}
END_TEST

/* What names a session in every line is escaped as the line is. */
START_TEST(contexts)
{
	static const struct { const char *name, *want; } cases[] = {
		{ "bob", "session=1 user=bob" }, { "a b", "session=1 user=\"a b\"" }, { "17", "session=1 user=\"17\"" },
		{ "q\"\\", "session=1 user=\"q\\\"\\\\\"" }, { "\xc2\x85", "session=1 user=\"\\xc2\\x85\"" }
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char context[64] = "session=1";

		log_context_add(context, sizeof context, FIELD_USER, cases[i].name);
		ck_assert_str_eq(context, cases[i].want);
	}
}
END_TEST

START_TEST(to_a_descriptor)
{
	char text[200];
	int ends[2];
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	log_set_sink(log_to_fd, (void *)(intptr_t)ends[1]);
	log_problem(EVENT_STOPPING, "server", 0);
	n = read(ends[0], text, sizeof text - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_int_eq(text[4], '-');
	ck_assert_int_eq(text[23], 'Z');
	ck_assert_str_eq(text + 24, " notice event=stopping about=server\n");
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(codes_have_texts)
{
	for (int code = SP_EBASE + 1; code < SP_ELAST; code++)
		ck_assert_str_ne(sp_strerror(code), "");
	ck_assert_str_eq(sp_strerror(0), "success");
	ck_assert_str_eq(sp_strerror(-ENOENT), "No such file or directory");
	ck_assert_str_eq(sp_exit_word(SP_EXIT_GRACE), "grace-exceeded");
	ck_assert_str_eq(sp_exit_word(255), "unknown");
}
END_TEST

COMMON_SUITE(log, fields, text_of_several_lines, the_journal, levels, cut, long_values_are_shortened, contexts, to_a_descriptor, codes_have_texts)
