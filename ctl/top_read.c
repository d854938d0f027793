/* The reader of the server's JSON for sallyctl top: flat objects, what is nested in them is passed over. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/top_model.h"

enum { DEPTH_MAX = 32, TEXT_MAX = 4096 };

static const char *
blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Four hexadecimal digits at p; -1: there are none. */
static int32_t
four_digits(const char *p)
{
	char digits[5] = "";

	if (strspn(p, "0123456789abcdefABCDEF") < 4)
		return -1;
	memcpy(digits, p, 4);
	return (int32_t)strtol(digits, NULL, 16);
}

/* The bytes of what \uXXXX stands for: half a surrogate of our writer's is one byte, no UTF-8. Returns how many. */
static size_t
put_code(char *out, uint32_t code)
{
	if (code < 0x80 || (code >= 0xdc80 && code <= 0xdcff)) {
		out[0] = (char)(code == 0 ? '?' : code);
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	out[0] = (char)(0xe0 | code >> 12);
	out[1] = (char)(0x80 | (code >> 6 & 0x3f));
	out[2] = (char)(0x80 | (code & 0x3f));
	return 3;
}

/* One escape behind a backslash at p; its bytes into out. Returns what is behind it, or NULL. */
static const char *
escape(const char *p, char out[3], size_t *n)
{
	static const char letters[] = "\"\"\\\\//n\nt\tr\rb\bf\f";
	int32_t code;

	if (*p == 'u') {
		if ((code = four_digits(p + 1)) < 0)
			return NULL;
		*n = put_code(out, (uint32_t)code);
		return p + 5;
	}
	for (size_t i = 0; letters[i] != '\0'; i += 2)
		if (letters[i] == *p) {
			*out = letters[i + 1];
			*n = 1;
			return p + 1;
		}
	return NULL;
}

/* A string at p, which is at its quote; what does not fit is cut. Returns what is behind it, or NULL. */
static const char *
string(const char *p, char *dst, size_t size)
{
	size_t len = 0, n;
	char bytes[3];

	for (p++; *p != '"';) {
		if (*p == '\0')
			return NULL;
		bytes[0] = *p;
		n = 1;
		if (*p++ == '\\' && (p = escape(p, bytes, &n)) == NULL)
			return NULL;
		if (len + n < size) {
			memcpy(dst + len, bytes, n);
			len += n;
		}
	}
	dst[len] = '\0';
	return p + 1;
}

/* Passes over a list or object at p. Returns what is behind it, or NULL. */
static const char *
pass_over(const char *p)
{
	char unused[8];
	unsigned depth = 0;

	do {
		if (*p == '"') {
			if ((p = string(p, unused, sizeof unused)) == NULL)
				return NULL;
			continue;
		}
		if (*p == '\0' || ((*p == '{' || *p == '[') && ++depth > DEPTH_MAX))
			return NULL;
		if (*p == '}' || *p == ']')
			depth--;
		p++;
	} while (depth > 0);
	return p;
}

/* A value at p, given to member. Returns what is behind it, or NULL. */
static const char *
value(const char *p, const char *key, top_member *member, void *context)
{
	char text[TEXT_MAX];

	if (*p == '"') {
		if ((p = string(p, text, sizeof text)) != NULL)
			member(context, key, text, 0);
		return p;
	}
	if (*p == '{' || *p == '[')
		return pass_over(p);
	member(context, key, NULL, strtoll(p, NULL, 10));
	return p + strcspn(p, ",}] \t\r\n");
}

/* An object at p. Returns what is behind it, or NULL. */
static const char *
object(const char *p, top_member *member, void *context)
{
	char key[64];

	if (*p != '{')
		return NULL;
	if (*(p = blanks(p + 1)) == '}')
		return p + 1;
	for (;; p = blanks(p + 1)) {
		if (*p != '"' || (p = string(p, key, sizeof key)) == NULL || *(p = blanks(p)) != ':' ||
		    (p = value(blanks(p + 1), key, member, context)) == NULL)
			return NULL;
		p = blanks(p);
		if (*p == '}')
			return p + 1;
		if (*p != ',')
			return NULL;
	}
}

bool
top_read_object(const char *json, top_member *member, void *context)
{
	const char *p = object(blanks(json), member, context);

	return p != NULL && *blanks(p) == '\0';
}

bool
top_read_list(const char *json, bool (*begin)(void *context), top_member *member, void *context)
{
	const char *p = blanks(json);

	if (*p != '[')
		return false;
	if (*(p = blanks(p + 1)) == ']')
		return *blanks(p + 1) == '\0';
	for (;; p = blanks(p + 1)) {
		if (!begin(context) || (p = object(p, member, context)) == NULL)
			return false;
		p = blanks(p);
		if (*p == ']')
			return *blanks(p + 1) == '\0';
		if (*p != ',')
			return false;
	}
}
