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
 * The code point at s, of which left bytes follow (at least one): its length, or 0 when
 * what stands there is no valid UTF-8 (RFC 3629, section 4).
 */
size_t str_utf8(const char *s, size_t left, uint32_t *code);
/*
 * Is it one that a log or a terminal must not be shown: a control, C1 included, or a turn of the direction of
 * writing?
 */
bool str_hidden(uint32_t code);

/*
 * Escapes n bytes of foreign text for a log line or a terminal: printable
 * ASCII and valid UTF-8 stay, backslash, quote, all control bytes and what
 * turns the direction of writing become \\, \" or \xHH.  Always terminated; what does not fit is cut between
 * escapes.  Returns the length written.
 */
size_t str_escape(char *dst, size_t size, const char *src, size_t n);

/* The same; *taken: how many bytes of src that was. */
size_t str_escape_some(char *dst, size_t size, const char *src, size_t n, size_t *taken);

/* ASCII-only comparison that ignores case; never the locale's. */
bool str_same(const char *, const char *);

/* What makes the word behind a number agree with it: "" for 1, else "s". */
const char *str_plural(uint64_t n);

#endif
