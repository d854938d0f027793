/*
 * Times of the week: "Mon-Fri 07:00-19:30, Sat 09:00-12:00".  For whoever
 * decides when an account may log in.  It trusts nothing that it parses.
 */
#ifndef COMMON_HOURS_H
#define COMMON_HOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define HOURS_DAY 1440		/* minutes */

/* A bit a minute of the week, Sunday 00:00 first. */
struct hours {
	uint64_t minute[(7 * HOURS_DAY + 63) / 64];
};

/*
 * Spans separated by commas, each DAY or DAY-DAY (Sun to Sat; none: every
 * day) and HH:MM-HH:MM (none: the whole day); 22:00-06:00 goes on into the
 * next day.  0, or SP_EFORMAT with *bad at the span.
 */
int hours_parse(struct hours *, const char *text, const char **bad);
/* Does the local time lie in one of the spans? */
bool hours_have(const struct hours *, const struct tm *);

#endif
