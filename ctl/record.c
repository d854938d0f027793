#include "config.h"

#include <ctype.h>
#include <string.h>

#include "ctl/record.h"

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
#define RECORD_FIELD(name) { #name, offsetof(struct record, name) },
	RECORD_FIELDS(RECORD_FIELD)
#undef RECORD_FIELD
};

static void
set(struct record *r, const char *key, char *value)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].name, key) == 0)
			*(char **)((char *)r + fields[i].offset) = value;
}

static int
hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* One escape at p ("\x0a", "\u000a", "\"", "\n"): its byte into *out; returns what it took, 0 for none that we know. */
static size_t
unescape_one(const char *p, char *out)
{
	static const char letters[] = "\"\"\\\\//n\nt\tr\rb\bf\f";
	size_t digits = p[1] == 'x' ? 2 : p[1] == 'u' ? 4 : 0;
	unsigned value = 0;

	for (size_t i = 0; i < digits; i++) {
		if (hex(p[2 + i]) < 0)
			return 0;
		value = value << 4 | (unsigned)hex(p[2 + i]);
	}
	/* 256 and above are not written by us; half a surrogate stands for a byte. */
	if (digits > 0) {
		*out = (char)value;
		return value != 0 && (value < 256 || (value >= 0xdc80 && value <= 0xdcff)) ? 2 + digits : 0;
	}
	for (size_t i = 0; letters[i] != '\0'; i += 2)
		if (letters[i] == p[1]) {
			*out = letters[i + 1];
			return 2;
		}
	return 0;
}

/* A quoted value at p, unescaped in place and ended. Returns what is behind its quote; NULL when it never ends. */
static char *
read_quoted(char *p, char **value)
{
	char *out = *value = ++p;
	size_t n;

	while (*p != '"') {
		if (*p == '\0')
			return NULL;
		if (*p == '\\' && (n = unescape_one(p, out)) > 0) {
			p += n;
			out++;
		} else
			*out++ = *p++;
	}
	*out = '\0';
	return p + 1;
}

/* {"key":"value",...}; values that are no strings are passed over. */
static bool
read_json(char *p, struct record *r)
{
	char *key, *value;

	for (p++; ; p++) {
		p += strspn(p, " \t");
		if (*p != '"' || (p = read_quoted(p, &key)) == NULL)
			return false;
		p += strspn(p, " \t");
		if (*p++ != ':')
			return false;
		p += strspn(p, " \t");
		if (*p == '"') {
			if ((p = read_quoted(p, &value)) == NULL)
				return false;
			set(r, key, value);
		} else
			p += strcspn(p, ",}");
		p += strspn(p, " \t");
		if (*p == '}')
			return true;
		if (*p != ',')
			return false;
	}
}

/* key=value and key="value"; words without = (time, level) are passed over. */
static bool
read_text(char *p, struct record *r)
{
	char *key, *value;
	size_t n;

	while (*(p += strspn(p, " \t")) != '\0') {
		key = p;
		n = strcspn(p, "= \t");
		p += n;
		if (*p != '=')
			continue;
		*p++ = '\0';
		if (*p == '"') {
			if ((p = read_quoted(p, &value)) == NULL)
				return false;
		} else {
			value = p;
			p += strcspn(p, " \t");
			if (*p != '\0')
				*p++ = '\0';
		}
		set(r, key, value);
	}
	return r->event != NULL;
}

bool
record_read(char *line, struct record *r)
{
	char *end = line + strlen(line);

	memset(r, 0, sizeof(*r));
	while (end > line && isspace((unsigned char)end[-1]))
		*--end = '\0';
	line += strspn(line, " \t");
	return *line == '{' ? read_json(line, r) : read_text(line, r);
}
