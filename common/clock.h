/*
 * Time for timeouts and rates: milliseconds of the monotonic clock, which
 * nobody can set.  Wall-clock time appears in logs only.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed point (CLOCK_MONOTONIC). */
int64_t clock_ms(void);

#endif
