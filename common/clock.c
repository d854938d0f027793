#include "config.h"

#include <time.h>

#include "common/clock.h"

int64_t
clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_cpu_us(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0 ? 0 : (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Days are counted in years that begin in March, so that a leap day is the last of its year. */
void
clock_utc(time_t t, struct tm *tm)
{
	int64_t days = t / 86400, rest = t % 86400, era, of_era, year, of_year, month;

	if (rest < 0)
		rest += 86400, days--;
	*tm = (struct tm){ .tm_hour = (int)(rest / 3600), .tm_min = (int)(rest / 60 % 60), .tm_sec = (int)(rest % 60) };
	tm->tm_wday = (int)(((days + 4) % 7 + 7) % 7);
	days += 719468;		/* since 0000-03-01 */
	era = (days >= 0 ? days : days - 146096) / 146097;
	of_era = days - era * 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	tm->tm_mday = (int)(of_year - (153 * month + 2) / 5 + 1);
	tm->tm_mon = (int)(month < 10 ? month + 2 : month - 10);
	year += era * 400 + (month >= 10);
	tm->tm_year = (int)(year - 1900);
	/* 1 January is day 306 of the year that began in March. */
	tm->tm_yday = (int)(month >= 10 ? of_year - 306
	    : of_year + 59 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)));
}
