/* Globs with dates, at times that the tests choose. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authz/authz.h"
#include "authz/dateglob.h"
#include "common/arena.h"
#include "tests/unit/authz.h"

static struct arena *arena;

static void
setup(void)
{
	arena = arena_new();
	setenv("TZ", "UTC", 1);
	tzset();
}

static void
teardown(void)
{
	arena_free(arena);
}

static time_t
when(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute,
		.tm_sec = second };

	return timegm(&tm);
}

static struct span
span(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static struct dateglob *
compile(const char *pattern, const char *offset)
{
	struct dateglob *d;
	const char *at;

	ck_assert_ptr_null(dateglob_compile(arena, span(pattern), span(offset), "Bob", &d, &at));
	return d;
}

static int
match(struct dateglob *d, time_t now, const char *path)
{
	char folded[256];

	text_fold(folded, path, strlen(path));
	return dateglob_match(d, now, folded, strlen(path));
}

/* The 7th of September 2009, a Monday, 16:05:04. */
static const struct {
	const char *pattern, *offset, *path;
} hits[] = {
	{ "/{year.decimal}", "", "/2009" }, { "/{year.no_century}", "", "/09" }, { "/{month.decimal}", "", "/9" },
	{ "/{month.padded}", "", "/09" }, { "/{month.name}", "", "/September" }, { "/{month.abbreviated}", "", "/sep" },
	{ "/{day.padded}", "", "/07" }, { "/{day.decimal}", "", "/7" }, { "/{day.of_year_padded}", "", "/250" },
	{ "/{day.name}", "", "/MONDAY" }, { "/{day.abbreviated}", "", "/Mon" }, { "/{hour.padded_24}", "", "/16" },
	{ "/{hour.decimal_24}", "", "/16" }, { "/{hour.padded_12}", "", "/04" }, { "/{hour.decimal_12}", "", "/4" },
	{ "/{hour.am_pm}", "", "/PM" }, { "/{minute.padded}", "", "/05" }, { "/{minute.decimal}", "", "/5" },
	{ "/{second.padded}", "", "/04" }, { "/{second.decimal}", "", "/4" },
	{ "*reports/acct_{year.no_century}_{month.padded}.txt", "", "/reports/acct_09_09.TXT" },
	{ "/{day.decimal}", "-1d", "/6" }, { "/{day.decimal}.{month.decimal}", "-7d", "/31.8" },
	{ "/{year.decimal}-{month.padded}-{day.padded}", "+365d", "/2010-09-07" },
	{ "/{year.decimal}/${USER}/*", "", "/2009/bob/x" }, { "/plain*", "", "/plain" },
	{ "!/{year.decimal}*", "", "/2008/x" }, { "/{day.padded} | /{month.padded}", "", "/09" },
};

START_TEST(parts_stand_for_the_date)
{
	struct dateglob *d = compile(hits[_i].pattern, hits[_i].offset);

	ck_assert_msg(match(d, when(2009, 9, 7, 16, 5, 4), hits[_i].path) == 1, "%s", hits[_i].pattern);
	ck_assert_int_eq(match(d, when(2009, 9, 7, 16, 5, 4), "/nothing/like/it/2009x") == 1, *hits[_i].pattern == '!');
	dateglob_free(d);
}
END_TEST

START_TEST(time_goes_on)
{
	struct dateglob *d = compile("/{year.decimal}-{month.padded}-{day.padded}", "");

	ck_assert_int_eq(match(d, when(2023, 12, 31, 23, 59, 59), "/2023-12-31"), 1);
	ck_assert_int_eq(match(d, when(2024, 1, 1, 0, 0, 0), "/2023-12-31"), 0);
	ck_assert_int_eq(match(d, when(2024, 1, 1, 0, 0, 0), "/2024-01-01"), 1);
	ck_assert_int_eq(match(d, when(2024, 1, 1, 0, 0, 1), "/2024-01-01"), 1);
	ck_assert_int_eq(match(d, when(2024, 2, 29, 12, 0, 0), "/2024-02-29"), 1);
	dateglob_free(d);
}
END_TEST

/* Half past midnight on the Monday after clocks were turned back is one day after half past midnight of the Sunday. */
START_TEST(days_are_those_of_the_wall_clock)
{
	struct dateglob *d;
	time_t monday;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	d = compile("/{day.decimal}-{hour.padded_24}", "-1d");
	monday = when(2023, 10, 29, 23, 30, 0);
	ck_assert_int_eq(match(d, monday, "/29-00"), 1);
	dateglob_free(d);
}
END_TEST

static const struct {
	const char *pattern, *offset, *wrong;
	int at;				/* in the pattern, or -1: in the offset */
} mistakes[] = {
	{ "/{year.nosuch}", "", "unknown part", 1 }, { "/{year.decimal", "", "unknown part", 1 }, { "/a{}", "", "unknown part", 2 },
	{ "/{Year.decimal}", "", "unknown part", 1 }, { "", "", "empty", 0 }, { "/a||/b", "", "empty", 0 },
	{ "/a", "-1", "offset", -1 }, { "/a", "1d", "offset", -1 }, { "/a", "-d", "offset", -1 }, { "/a", "-1h", "offset", -1 },
	{ "/a", "-1dd", "offset", -1 }, { "/a", "i", "offset", -1 }, { "/a", "-99999999999999999999d", "offset", -1 },
};

START_TEST(mistakes_are_told)
{
	struct span pattern = span(mistakes[_i].pattern), offset = span(mistakes[_i].offset);
	struct dateglob *d;
	const char *at, *wrong = dateglob_compile(arena, pattern, offset, "Bob", &d, &at);

	ck_assert_ptr_nonnull(wrong);
	ck_assert_msg(strstr(wrong, mistakes[_i].wrong) != NULL, "%s", wrong);
	ck_assert_ptr_eq(at, mistakes[_i].at < 0 ? offset.at : pattern.at + mistakes[_i].at);
	dateglob_free(d);
}
END_TEST

/* A folder for each day, which is writable on that day only. */
START_TEST(rules_with_dates_decide)
{
	struct authz_source source = { .dialect = "sftpplus", .scope = AUTHZ_SCOPE_ACCOUNT,
		.text = "allow-read\nt//in/{year.decimal}*/, allow-write\nt//never/{year.decimal}/-36500d, allow-write\n" };
	struct authz_subject who = { .user = "bob", .dialect_uid = AUTHZ_NOBODY };
	struct authz_object o = { .kind = AUTHZ_MISSING };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);
	struct authz_verdict v;
	char path[64];
	time_t now = time(NULL);
	struct tm tm;
	bool hit = false;

	/* The year may end between two of these calls. */
	for (int i = 0; i < 2; i++) {
		gmtime_r(&now, &tm);
		strftime(path, sizeof(path), "/in/%Y/x", &tm);
		o.path = path;
		hit |= authz_decide(p, AUTHZ_OP_STOR, &o, &v);
		now = time(NULL);
	}
	ck_assert(hit);
	o.path = "/in/1867/x";
	ck_assert(!authz_decide(p, AUTHZ_OP_STOR, &o, &v));
	o.path = "/never/9999";
	ck_assert(!authz_decide(p, AUTHZ_OP_STOR, &o, &v));
	authz_free(p);
}
END_TEST

Suite *
authz_dateglob_suite(void)
{
	Suite *s = suite_create("authz/dateglob");
	TCase *t = tcase_create("dateglob");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, parts_stand_for_the_date, 0, sizeof(hits) / sizeof(hits[0]));
	tcase_add_test(t, time_goes_on);
	tcase_add_test(t, days_are_those_of_the_wall_clock);
	tcase_add_loop_test(t, mistakes_are_told, 0, sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_test(t, rules_with_dates_decide);
	suite_add_tcase(s, t);
	return s;
}
