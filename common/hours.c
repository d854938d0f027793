#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/hours.h"

/* 0 (Sunday) to 6, or -1. Takes three letters in any case. */
static int
read_day(const char **p)
{
	static const char days[] = "sunmontuewedthufrisat";

	for (int d = 0; d < 7; d++) {
		int i = 0;

		while (i < 3 && ((*p)[i] | 0x20) == days[3 * d + i])
			i++;
		if (i == 3) {
			*p += 3;
			return d;
		}
	}
	return -1;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "07:30" as minutes, 24:00 allowed; -1. */
static int
read_time(const char **p)
{
	const char *s = *p;
	int n;

	if (!is_digit(s[0]) || !is_digit(s[1]) || s[2] != ':' || !is_digit(s[3]) || !is_digit(s[4]) || s[3] > '5')
		return -1;
	n = ((s[0] - '0') * 10 + s[1] - '0') * 60 + (s[3] - '0') * 10 + s[4] - '0';
	*p += 5;
	return n > HOURS_DAY ? -1 : n;
}

static void
mark(struct hours *h, int day, int from, int to)
{
	if (to <= from)
		to += HOURS_DAY;
	for (int m = from; m < to; m++) {
		int minute = (day * HOURS_DAY + m) % (7 * HOURS_DAY);

		h->minute[minute / 64] |= UINT64_C(1) << (minute % 64);
	}
}

/* One span; *p is left behind it. */
static int
read_span(struct hours *h, const char **p)
{
	int first = read_day(p), last = first, from = 0, to = HOURS_DAY;

	if (first >= 0 && **p == '-') {
		++*p;
		if ((last = read_day(p)) < 0)
			return SP_EFORMAT;
	}
	*p += strspn(*p, " \t");
	if (first < 0 || is_digit(**p)) {
		from = read_time(p);
		if (from < 0 || *(*p)++ != '-' || (to = read_time(p)) < 0)
			return SP_EFORMAT;
	}
	if (first < 0)
		first = 0, last = 6;
	for (int d = first;; d = (d + 1) % 7) {
		mark(h, d, from, to);
		if (d == last)
			return 0;
	}
}

int
hours_parse(struct hours *h, const char *text, const char **bad)
{
	const char *p = text;

	memset(h, 0, sizeof *h);
	do {
		p += strspn(p, " \t");
		*bad = p;
		if (read_span(h, &p) != 0)
			return SP_EFORMAT;
		p += strspn(p, " \t");
		if (*p != '\0' && *p != ',')
			return SP_EFORMAT;
	} while (*p++ == ',');
	return 0;
}

bool
hours_have(const struct hours *h, const struct tm *tm)
{
	int minute = (tm->tm_wday * HOURS_DAY + tm->tm_hour * 60 + tm->tm_min) % (7 * HOURS_DAY);

	return (h->minute[minute / 64] >> (minute % 64) & 1) != 0;
}
