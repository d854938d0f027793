/*
 * Time for timeouts and rates: milliseconds of the monotonic clock, which
 * nobody can set.  Wall-clock time appears in logs only.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some fixed point (CLOCK_MONOTONIC). */
int64_t clock_ms(void);

/* Microseconds of processor time that this process has used; 0 where that cannot be told. */
int64_t clock_cpu_us(void);

/*
 * Calendar time of t seconds since 1970 in UTC, as gmtime_r(3) gives it, but
 * without the C library's time zone lock: log lines are written in signal
 * handlers too.
 */
void clock_utc(time_t t, struct tm *);

#endif
