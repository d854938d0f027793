#include "config.h"

#include <stdio.h>

#include "daemon/worker/times.h"

/* Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March so that leap days come last. */
static int64_t
days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned in_era = (unsigned)(y - era * 400);
	unsigned in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + (int64_t)(in_era * 365 + in_era / 4 - in_era / 100 + in_year) - 719468;
}

const char *
times_text(char dst[TIMES_TEXT], int64_t seconds)
{
	int64_t days = seconds / 86400, rest = seconds % 86400, era, year;
	unsigned in_era, years, in_year, month, m;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	in_era = (unsigned)(days - era * 146097);
	years = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	in_year = in_era - (365 * years + years / 4 - years / 100);
	m = (5 * in_year + 2) / 153;
	month = m < 10 ? m + 3 : m - 9;
	year = (int64_t)years + era * 400 + (month <= 2);
	if (year < 0 || year > 9999)
		snprintf(dst, TIMES_TEXT, "%s", year < 0 ? "00000101000000" : "99991231235959");
	else
		snprintf(dst, TIMES_TEXT, "%04u%02u%02u%02u%02u%02u", (unsigned)year, month, in_year - (153 * m + 2) / 5 + 1,
		    (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
	return dst;
}

static unsigned
number(const char *text, size_t digits)
{
	unsigned n = 0;

	while (digits-- > 0)
		n = n * 10 + (unsigned)(*text++ - '0');
	return n;
}

static unsigned
month_days(unsigned year, unsigned month)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

size_t
times_parse(const char *text, int64_t *seconds)
{
	size_t n = 0, used;
	unsigned year, month, day, hour, minute, second;

	while (text[n] >= '0' && text[n] <= '9')
		n++;
	if (n != 12 && n != 14)
		return 0;
	year = number(text, 4);
	month = number(text + 4, 2);
	day = number(text + 6, 2);
	hour = number(text + 8, 2);
	minute = number(text + 10, 2);
	second = n == 14 ? number(text + 12, 2) : 0;
	if (month < 1 || month > 12 || day < 1 || day > month_days(year, month) || hour > 23 || minute > 59 || second > 60)
		return 0;
	if (second == 60)
		second = 59;
	*seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	used = n;
	if (n == 14 && text[n] == '.' && text[n + 1] >= '0' && text[n + 1] <= '9')
		for (used = n + 1; text[used] >= '0' && text[used] <= '9'; used++)
			;
	return used;
}
