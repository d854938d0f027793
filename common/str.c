#include "config.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/str.h"

int
str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src), room = size - 1;

	if (n <= room)
		room = n;
	memcpy(dst, src, room);
	dst[room] = '\0';
	return n > room ? SP_ETRUNC : 0;
}

int
str_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= size ? SP_ETRUNC : 0;
}

size_t
str_number(char *dst, uint64_t number, unsigned base)
{
	char reversed[STR_NUMBER_MAX];
	size_t n = 0;

	do {
		reversed[n++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number > 0);
	for (size_t i = 0; i < n; i++)
		dst[i] = reversed[n - 1 - i];
	dst[n] = '\0';
	return n;
}

size_t
str_utf8(const char *s, size_t left, uint32_t *code)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	if ((n > 1 && (p[0] < 0xc2 || p[0] > 0xf4)) || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* Overlong forms, surrogates, and anything above U+10FFFF. */
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
		return 0;
	*code = c;
	return n;
}

bool
str_hidden(uint32_t c)
{
	/*
	 * Controls; ends of lines to some readers, and what turns the direction of writing: a name could look like
	 * another.
	 */
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069);
}

size_t
str_escape_some(char *dst, size_t size, const char *src, size_t n, size_t *taken)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)src;
	size_t out = 0, i;

	for (i = 0; i < n;) {
		char piece[4];
		size_t len, used = 1;
		uint32_t code;

		if (p[i] == '\\' || p[i] == '"') {
			piece[0] = '\\', piece[1] = (char)p[i], len = 2;
		} else if ((used = str_utf8(src + i, n - i, &code)) > 0 && !str_hidden(code)) {
			memcpy(piece, p + i, len = used);
		} else {
			piece[0] = '\\', piece[1] = 'x', used = 1, len = 4;
			piece[2] = hex[p[i] >> 4], piece[3] = hex[p[i] & 15];
		}
		if (out + len >= size)
			break;
		memcpy(dst + out, piece, len);
		out += len, i += used;
	}
	if (size > 0)
		dst[out] = '\0';
	*taken = i;
	return out;
}

size_t
str_escape(char *dst, size_t size, const char *src, size_t n)
{
	size_t taken;

	return str_escape_some(dst, size, src, n, &taken);
}

bool
str_same(const char *a, const char *b)
{
	for (;; a++, b++) {
		int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a;
		int y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;

		if (x != y)
			return false;
		if (x == '\0')
			return true;
	}
}

const char *
str_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}
