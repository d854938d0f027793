/*
 * Times on the wire: YYYYMMDDHHMMSS in UTC (RFC 3659, 2.3), without the C
 * library, whose functions would read the time zone's file.  Pure.
 */
#ifndef WORKER_TIMES_H
#define WORKER_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMES_TEXT 24

/* Seconds since 1970 as 14 digits (more for years beyond 9999). Returns dst. */
const char *times_text(char dst[TIMES_TEXT], int64_t seconds);

/*
 * Reads 12 digits (no seconds) or 14, and a fraction, which is dropped.
 * Returns the number of bytes read, 0 when it is no valid time.  A leap
 * second counts as the second before.
 */
size_t times_parse(const char *text, int64_t *seconds);

#endif
