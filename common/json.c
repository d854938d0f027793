#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/json.h"
#include "common/str.h"

void
json_init(struct json *j)
{
	memset(j, 0, sizeof(*j));
}

void
json_free(struct json *j)
{
	free(j->text);
	json_init(j);
}

static void
add(struct json *j, const char *bytes, size_t n)
{
	size_t size = j->size;
	char *text;

	if (j->error != 0)
		return;
	while (size < j->len + n + 1)
		size = size == 0 ? 256 : size * 2;
	if (size != j->size) {
		if ((text = realloc(j->text, size)) == NULL) {
			j->error = -ENOMEM;
			return;
		}
		j->text = text;
		j->size = size;
	}
	memcpy(j->text + j->len, bytes, n);
	j->len += n;
	j->text[j->len] = '\0';
}

/* A character that JSON or a terminal would take amiss; code 0xdc80 and above: a byte that is no UTF-8. */
static void
add_escaped(struct json *j, uint32_t code)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	const char *at = code == 0 || code > 0x7f ? NULL : strchr(plain, (int)code);
	char esc[8];

	if (at != NULL)
		snprintf(esc, sizeof(esc), "\\%c", letter[at - plain]);
	else
		snprintf(esc, sizeof(esc), "\\u%04x", (unsigned)code & 0xffff);
	add(j, esc, strlen(esc));
}

static void
add_quoted(struct json *j, const void *value, size_t len)
{
	const char *p = value;
	uint32_t code;
	size_t n;

	add(j, "\"", 1);
	for (size_t i = 0; i < len; i += n) {
		n = str_utf8(p + i, len - i, &code);
		if (n == 0)
			code = 0xdc00u + (unsigned char)p[i];
		if (n == 0 || code == '"' || code == '\\' || str_hidden(code))
			add_escaped(j, code);
		else
			add(j, p + i, n);
		n = n == 0 ? 1 : n;
	}
	add(j, "\"", 1);
}

/* Comma and key before a value. */
static void
begin(struct json *j, const char *key)
{
	if (j->depth > 0 && j->filled[j->depth - 1])
		add(j, ",", 1);
	if (j->depth > 0)
		j->filled[j->depth - 1] = true;
	if (key != NULL) {
		add_quoted(j, key, strlen(key));
		add(j, ":", 1);
	}
}

void
json_open(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	if (j->depth == JSON_DEPTH_MAX) {
		j->error = j->error != 0 ? j->error : SP_ERANGE;
		return;
	}
	add(j, &bracket, 1);
	j->filled[j->depth] = false;
	j->closer[j->depth++] = bracket == '{' ? '}' : ']';
}

void
json_close(struct json *j)
{
	if (j->depth > 0)
		add(j, &j->closer[--j->depth], 1);
}

void
json_str(struct json *j, const char *key, const char *value)
{
	begin(j, key);
	if (value == NULL)
		add(j, "null", 4);
	else
		add_quoted(j, value, strlen(value));
}

void
json_bytes(struct json *j, const char *key, const void *value, size_t len)
{
	begin(j, key);
	add_quoted(j, value, len);
}

void
json_num(struct json *j, const char *key, int64_t value)
{
	char digits[24];

	begin(j, key);
	snprintf(digits, sizeof(digits), "%" PRId64, value);
	add(j, digits, strlen(digits));
}

void
json_unsigned(struct json *j, const char *key, uint64_t value)
{
	char digits[24];

	begin(j, key);
	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	add(j, digits, strlen(digits));
}

void
json_bool(struct json *j, const char *key, bool value)
{
	begin(j, key);
	add(j, value ? "true" : "false", value ? 4 : 5);
}

void
json_put(struct json *j, const char *key, const struct json *other)
{
	begin(j, key);
	if (other->error != 0)
		j->error = other->error;
	else
		add(j, other->text, other->len);
}

const char *
json_text(const struct json *j)
{
	return j->error != 0 ? NULL : j->text;
}
