/*
 * Small bounded string helpers.  Anyone may use them.
 */
#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies src into dst[size], always terminated.  0, or SP_ETRUNC when it did not fit (dst is then cut). */
int str_copy(char *dst, size_t size, const char *src);

/* snprintf that reports truncation: 0 or SP_ETRUNC. */
int str_format(char *dst, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * The number in base 10 or 16, lower case, terminated: what a session writes before it
 * has any other use for the C library's formatting, which costs it several pages.
 * dst has room for STR_NUMBER_MAX bytes.  Returns the length.
 */
#define STR_NUMBER_MAX 21
size_t str_number(char *dst, uint64_t number, unsigned base);

/*
 * Escapes n bytes of foreign text for a log line or a terminal: printable
 * ASCII and valid UTF-8 stay, backslash, quote, all control bytes and what
 * turns the direction of writing become \\, \" or \xHH.  Always terminated; what does not fit is cut between
 * escapes.  Returns the length written.
 */
size_t str_escape(char *dst, size_t size, const char *src, size_t n);

/* ASCII-only comparison that ignores case; never the locale's. */
bool str_same(const char *, const char *);

#endif
