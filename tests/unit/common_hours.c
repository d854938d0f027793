#include "config.h"

#include "common/err.h"
#include "common/hours.h"
#include "tests/unit/common.h"

/* 2026-11-22 was a Sunday; day 0 is Sunday. */
static struct tm
at(int day, int hour, int minute)
{
	return (struct tm){ .tm_wday = day, .tm_hour = hour, .tm_min = minute };
}

static const struct { const char *text; int day, hour, minute; bool in; } cases[] = {
	{ "Mon-Fri 07:00-19:30", 1, 7, 0, true },
	{ "Mon-Fri 07:00-19:30", 1, 6, 59, false },
	{ "Mon-Fri 07:00-19:30", 5, 19, 29, true },
	{ "Mon-Fri 07:00-19:30", 5, 19, 30, false },
	{ "Mon-Fri 07:00-19:30", 6, 12, 0, false },
	{ "Sat", 6, 0, 0, true },
	{ "Sat", 6, 23, 59, true },
	{ "Sat", 0, 0, 0, false },
	{ "fri-mon 10:00-11:00", 0, 10, 30, true },
	{ "fri-mon 10:00-11:00", 2, 10, 30, false },
	{ "22:00-06:00", 3, 23, 0, true },
	{ "22:00-06:00", 3, 5, 59, true },
	{ "22:00-06:00", 3, 6, 0, false },
	{ "Sat 22:00-06:00", 0, 1, 0, true },
	{ "Sat 22:00-06:00", 6, 1, 0, false },
	{ "00:00-24:00", 4, 23, 59, true },
	{ "Mon 08:00-09:00, Tue 10:00-11:00", 2, 10, 0, true },
	{ "Mon 08:00-09:00 , Tue 10:00-11:00", 2, 8, 0, false },
};

START_TEST(spans)
{
	struct hours h;
	const char *bad;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tm tm = at(cases[i].day, cases[i].hour, cases[i].minute);

		ck_assert_msg(hours_parse(&h, cases[i].text, &bad) == 0, "%s", cases[i].text);
		ck_assert_msg(hours_have(&h, &tm) == cases[i].in, "%s: %d %02d:%02d", cases[i].text, tm.tm_wday,
		    tm.tm_hour, tm.tm_min);
	}
}
END_TEST

START_TEST(refuses)
{
	static const char *const texts[] = { "", "Mom", "Mon-", "Mon-Fri 7:00-8:00", "Mon 07:00", "Mon 07:00-25:00",
		"07:60-08:00", "Mon,", "Mon 07:00-08:00 Tue", "Mon 07:00 - 08:00", "24:01-24:02", "Mo", "M" };
	struct hours h;
	const char *bad;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		ck_assert_msg(hours_parse(&h, texts[i], &bad) == SP_EFORMAT, "\"%s\"", texts[i]);
	ck_assert_int_eq(hours_parse(&h, "Sat, Xyz 10:00-11:00", &bad), SP_EFORMAT);
	ck_assert_str_eq(bad, "Xyz 10:00-11:00");
}
END_TEST

COMMON_SUITE(hours, spans, refuses)
