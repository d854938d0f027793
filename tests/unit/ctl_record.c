/* ctl/record: audit lines as they are written, and as nobody should have written them. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/logsink.h"
#include "ctl/record.h"
#include "tests/unit/ctl.h"
#include "tests/unit/run.h"

static const struct { const char *line; bool ok; const char *user, *path, *verdict;
} rows[] = {
	{ "2026-01-01T00:00:00Z info event=access role=agent op=RETR path=/a/b kind=file verdict=allow rule=\"all "
	  "layers allow\" user=bob\n",
	    true, "bob", "/a/b", "allow" },
	{ "event=access user=\"a b\" path=\"/x \\\"y\\\" \\\\ \\x0a\\xff\" verdict=deny", true, "a b",
	    "/x \"y\" \\ \n\xff", "deny" },
	{ "{\"time\":\"x\",\"event\":\"access\",\"user\":\"bob\",\"path\":\"/a\\u000a\\u00ff\",\"verdict\":\"deny\"}",
	    true, "bob", "/a\n\xff", "deny" },
	{ "{ \"event\" : \"access\" , \"n\" : 12, \"user\":\"\\udcff\", \"b\":true}", true, "\xff", NULL, NULL },
	{ "event=access user=\"never ends", false, NULL, NULL, NULL },
	{ "{\"event\":\"access\"", false, NULL, NULL, NULL },
	{ "{\"event\":\"acc", false, NULL, NULL, NULL },
	{ "{\"event\" \"access\"}", false, NULL, NULL, NULL },
	{ "{}", false, NULL, NULL, NULL },
	{ "", false, NULL, NULL, NULL },
	{ "nothing of a log", false, NULL, NULL, NULL },
	{ "event=access path=\"\\x00\\xg1\\u1234\\\" user=x", false, NULL, NULL, NULL },
	{ "event=access path=\\x user=u", true, "u", "\\x", NULL },
};

static void
same(const char *has, const char *want)
{
	if (want == NULL)
		ck_assert_ptr_null(has);
	else
		ck_assert_str_eq(has, want);
}

START_TEST(lines)
{
	char *line = strdup(rows[_i].line);
	struct record r;

	ck_assert_int_eq(record_read(line, &r), rows[_i].ok);
	if (rows[_i].ok) {
		same(r.user, rows[_i].user);
		same(r.path, rows[_i].path);
		same(r.verdict, rows[_i].verdict);
	}
	free(line);
}
END_TEST

static char written[LOG_LINE_MAX + 1];

static void
catch(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	(void)level;
	memcpy(written, text, len);
	written[len] = '\0';
}

/* What common/log writes, as text and as JSON, is read back byte for byte. */
START_TEST(every_byte_comes_back)
{
	char path[260], json[2 * LOG_LINE_MAX];
	struct log_line l;
	struct record r;
	size_t n = 0;

	for (int c = 1; c < 256; c++)
		path[n++] = (char)c;
	path[n] = '\0';
	log_set_sink(catch, NULL);
	log_begin_at(&l, LOG_LEVEL_NOTICE, EVENT_ACCESS);
	log_str(&l, FIELD_PATH, path);
	log_str(&l, FIELD_USER, "");
	log_end(&l);
	n = log_line_to_json(json, sizeof(json) - 1, written, strlen(written));
	json[n] = '\0';
	ck_assert(record_read(written, &r));
	ck_assert_str_eq(r.path, path);
	ck_assert_str_eq(r.user, "");
	ck_assert(record_read(json, &r));
	ck_assert_str_eq(r.path, path);
	ck_assert_str_eq(r.event, "access");
}
END_TEST

Suite *
ctl_record_suite(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("lines");

	tcase_add_loop_test(t, lines, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(t, every_byte_comes_back);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	static Suite *(*const suites[])(void) = { ctl_record_suite, ctl_top_suite, ctl_tree_suite };

	return tests_run(suites, sizeof suites / sizeof suites[0]);
}
