/* ctl/top: rates between two answers, order and filter, lines of any width, and hostile names. */
#include "config.h"

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/top_model.h"
#include "tests/unit/ctl.h"

#define SESSION(id, user, peer, state, in, out, what) \
	"{\"session\":\"" id "\",\"user\":\"" user "\",\"peer\":\"" peer "\",\"state\":\"" state "\",\"idle\":3," \
	"\"bytes_in\":" in ",\"bytes_out\":" out ",\"activity\":\"" what "\"," \
	"\"pids\":{\"monitor\":1,\"x\":[\"}\",{}]},\"later\":true}"

static const char before[] = "[" SESSION("a1", "bob", "192.0.2.1:5", "idle", "0", "100", "") ","
	SESSION("b2", "eve", "[2001:db8::1]:6", "transfer", "0", "0", "RETR big") "]";
static const char after[] = "[" SESSION("b2", "eve", "[2001:db8::1]:6", "blocked", "4096", "0", "RETR big") ","
	SESSION("a1", "bob", "192.0.2.1:5", "idle", "0", "1100", "") ","
	SESSION("c3", "Zoe", "192.0.2.9:7", "ending", "9999999", "0", "STOR x") "]";

START_TEST(rates_are_those_between_two_answers)
{
	struct top t = { .n = 0 };

	ck_assert_int_eq(top_take_who(&t, before, 1000), 0);
	ck_assert(t.session[0].rate_out == 0);
	ck_assert_int_eq(top_take_who(&t, after, 3000), 0);
	ck_assert_uint_eq(t.n, 3);
	ck_assert_str_eq(t.session[0].id, "a1");
	ck_assert(t.session[0].rate_out == 500 && t.session[1].rate_in == 2048);
	ck_assert_msg(t.session[2].rate_in == 0, "a new session has a rate of what it moved before it was seen");
	ck_assert_int_eq(top_take_who(&t, before, 5000), 0);
	ck_assert_uint_eq(t.n, 2);
	ck_assert_msg(t.session[0].rate_out == 0, "a counter that became less");
	ck_assert_int_eq(top_take_metrics(&t, "{\"logins_total\":10,\"refusals_total\":[{\"value\":3}],"
	    "\"refused_clients_total\":4}", 1000), 0);
	ck_assert(t.logins.rate == 0);
	ck_assert_int_eq(top_take_metrics(&t, "{\"logins_total\":14,\"refused_clients_total\":5}", 3000), 0);
	ck_assert(t.logins.rate == 2 && t.refusals.rate == 0.5);
	top_free(&t);
}
END_TEST

START_TEST(what_is_no_answer_changes_nothing)
{
	static const char *const wrong[] = { "", "{}", "[", "[{]", "[{\"session\":\"x\"}", "[{\"session\":\"x\"}] x",
		"[{\"a\":\"\\u12\"}]", "[{\"a\":\"\\q\"}]", "[{\"a\" 1}]", "[{\"a\":[}]", "[1]", "[{\"a\":\"" };
	struct top t = { .n = 0 };

	ck_assert_int_eq(top_take_who(&t, before, 1000), 0);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(top_take_who(&t, wrong[i], 2000) == SP_EFORMAT, "%s", wrong[i]);
	ck_assert_uint_eq(t.n, 2);
	ck_assert_int_eq(top_take_metrics(&t, "[]", 1), SP_EFORMAT);
	ck_assert_int_eq(top_take_who(&t, " [ ] ", 3000), 0);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(t.shown_n, 0);
	top_free(&t);
}
END_TEST

static const struct { enum top_order order; bool reverse; const char *filter, *ids; } orders[] = {
	{ TOP_BY_RATE, false, "", "b2 a1 c3 " },
	{ TOP_BY_RATE, true, "", "c3 a1 b2 " },
	{ TOP_BY_BYTES, false, "", "c3 b2 a1 " },
	{ TOP_BY_USER, false, "", "c3 a1 b2 " },
	{ TOP_BY_PEER, false, "", "a1 c3 b2 " }, { TOP_BY_STATE, false, "", "b2 c3 a1 " },
	{ TOP_BY_IDLE, true, "", "a1 b2 c3 " },
	{ TOP_BY_RATE, false, "zOE", "c3 " }, { TOP_BY_RATE, false, "blocked", "b2 " },
	{ TOP_BY_PEER, false, "192.0.2", "a1 c3 " },
	{ TOP_BY_RATE, false, "stor X", "c3 " }, { TOP_BY_RATE, false, "nobody", "" },
};

START_TEST(sessions_are_sorted_and_filtered)
{
	struct top t = { .order = orders[_i].order, .reverse = orders[_i].reverse };
	char ids[64] = "";

	ck_assert_int_eq(str_copy(t.filter, sizeof t.filter, orders[_i].filter), 0);
	ck_assert_int_eq(top_take_who(&t, before, 1000), 0);
	ck_assert_int_eq(top_take_who(&t, after, 3000), 0);
	for (size_t i = 0; i < t.shown_n; i++) {
		ck_assert_uint_eq(top_find(&t, t.shown[i]->id), i);
		snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s ", t.shown[i]->id);
	}
	ck_assert_str_eq(ids, orders[_i].ids);
	ck_assert_uint_eq(top_find(&t, "gone"), t.shown_n);
	top_free(&t);
}
END_TEST

START_TEST(a_host_has_no_port)
{
	struct top t = { .n = 0 };
	char host[80];

	ck_assert_int_eq(top_take_who(&t, before, 1000), 0);
	ck_assert_str_eq(top_host(host, sizeof host, &t.session[0]), "192.0.2.1");
	ck_assert_str_eq(top_host(host, sizeof host, &t.session[1]), "2001:db8::1");
	top_free(&t);
}
END_TEST

static const struct { const char *text; size_t columns; const char *shown; size_t used; } texts[] = {
	{ "plain", 10, "plain     ", 10 }, { "plain", 3, "pla", 3 },
	{ "a\x1b[2Jb", 20, "a\\x1b[2Jb           ", 20 },
	{ "\xc2\x9b" "2J", 10, "\\xc2\\x9b2J", 10 }, { "\xff\t\n", 12, "\\xff\\x09\\x0a", 12 }, { "a\x1b", 4, "a   ", 4 },
	{ "\xe2\x80\xae", 12, "\\xe2\\x80\\xae", 12 }, { "\xe6\xbc\xa2\xe5\xad\x97", 3, "\xe6\xbc\xa2 ", 3 },
	{ "e\xcc\x81x", 3, "e\xcc\x81x ", 3 }, { "\xe6\xbc", 8, "\\xe6\\xbc", 8 }, { "x", 0, "", 0 },
	{ "\x7f", 4, "\\x7f", 4 },
};

START_TEST(text_is_safe_and_of_its_width)
{
	char shown[200];

	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
	ck_assert_uint_eq(top_text(shown, sizeof shown, texts[_i].text, texts[_i].columns, true), texts[_i].used);
	ck_assert_str_eq(shown, texts[_i].shown);
}
END_TEST

/* The columns of a line, whose every character must print. */
static size_t
width(const char *line)
{
	wchar_t wide[TOP_LINE_SIZE];
	size_t n = mbstowcs(wide, line, TOP_LINE_SIZE);

	ck_assert_msg(n != (size_t)-1 && wcswidth(wide, n) >= 0, "not printable: %s", line);
	return (size_t)wcswidth(wide, n);
}

START_TEST(no_line_is_wider_than_the_terminal)
{
	static const char hostile[] = "[" SESSION("a1", "\\u001b]0;x\\u0007\xe6\xbc\xa2\xe5\xad\x97", "[2001:db8::1]:60000",
	    "transfer", "900719925474099", "9", "STOR \\udcff\\u202e\xe6\xbc\xa2\xe5\xad\x97") "]";
	struct top t = { .filter = "\x1b[2J" };
	char line[TOP_LINE_SIZE];

	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
	ck_assert_int_eq(top_take_who(&t, hostile, 1000), 0);
	for (size_t columns = 1; columns <= TOP_COLUMNS_MAX; columns++) {
		top_line_session(&t, &t.session[0], line, sizeof line, columns);
		ck_assert_uint_eq(width(line), columns < 14 ? columns : width(line));
		ck_assert_uint_le(width(line), columns);
		top_line_heading(line, sizeof line, columns);
		ck_assert_uint_le(width(line), columns);
		top_line_totals(&t, line, sizeof line, columns);
		ck_assert_uint_le(width(line), columns);
		top_line_order(&t, line, sizeof line, columns);
		ck_assert_uint_le(width(line), columns);
	}
	top_free(&t);
}
END_TEST

START_TEST(bars_and_rates_are_in_the_line)
{
	struct top t = { .n = 0 };
	char line[TOP_LINE_SIZE];

	ck_assert_int_eq(top_take_who(&t, before, 1000), 0);
	ck_assert_int_eq(top_take_who(&t, after, 3000), 0);
	top_line_session(&t, t.shown[0], line, sizeof line, 120);
	ck_assert_msg(strstr(line, "2.0K") != NULL && strstr(line, "##########") != NULL && strstr(line, "blocked") != NULL,
	    "%s", line);
	top_line_session(&t, t.shown[1], line, sizeof line, 120);
	ck_assert_msg(strstr(line, " 500 ") != NULL && strstr(line, " ## ") != NULL, "%s", line);
	top_line_totals(&t, line, sizeof line, 200);
	ck_assert_msg(strncmp(line, "3 sessions, in 2.0K/s, out 500/s, 0 transfer, 1 blocked, 1 ending", 65) == 0,
	    "%s", line);
	top_free(&t);
}
END_TEST

Suite *
ctl_top_suite(void)
{
	Suite *s = suite_create("ctl: top");
	TCase *c = tcase_create("top");

	tcase_add_test(c, rates_are_those_between_two_answers);
	tcase_add_test(c, what_is_no_answer_changes_nothing);
	tcase_add_loop_test(c, sessions_are_sorted_and_filtered, 0, sizeof orders / sizeof *orders);
	tcase_add_test(c, a_host_has_no_port);
	tcase_add_loop_test(c, text_is_safe_and_of_its_width, 0, sizeof texts / sizeof *texts);
	tcase_add_test(c, no_line_is_wider_than_the_terminal);
	tcase_add_test(c, bars_and_rates_are_in_the_line);
	suite_add_tcase(s, c);
	return s;
}
