/* Other forms of a log line: a JSON object, the fields of the journal. */
#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"

#define LOG_NAME "sallyport"

/* One key=value of a line; the value without its quotes, escapes still in it. */
struct pair {
	const char *key, *value;
	size_t key_len, value_len;
	bool quoted;
};

/* Takes the next pair off *line; false at the end. */
static bool
next_pair(const char **line, const char *end, struct pair *p)
{
	const char *s = *line;

	while (s < end && *s == ' ')
		s++;
	p->key = s;
	while (s < end && *s != '=' && *s != ' ')
		s++;
	p->key_len = (size_t)(s - p->key);
	if (s == end || *s != '=' || p->key_len == 0)
		return false;
	s++;
	p->quoted = s < end && *s == '"';
	if (p->quoted) {
		p->value = ++s;
		while (s < end && *s != '"')
			s += *s == '\\' && s + 1 < end ? 2 : 1;
		p->value_len = (size_t)(s - p->value);
		s += s < end;
	} else {
		p->value = s;
		while (s < end && *s != ' ')
			s++;
		p->value_len = (size_t)(s - p->value);
	}
	*line = s;
	return true;
}

/* A text being built: what does not fit as a whole is taken back to mark. */
struct text {
	char *out;
	size_t size, len;
	bool full;
};

static void
put(struct text *t, const char *s, size_t n)
{
	if (t->full || n > t->size - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->out + t->len, s, n);
	t->len += n;
}

static void
put_byte_escaped(struct text *t, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char escape[] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	put(t, escape, sizeof escape);
}

/*
 * The escapes of a log line are those of JSON, but for \xHH.  What nobody escaped is, here:
 * one line that is no UTF-8 or no JSON is lost on readers, and perhaps was meant to be.
 */
static void
put_json_value(struct text *t, const char *s, size_t n)
{
	uint32_t code;
	size_t used;

	for (size_t i = 0; i < n; i += used) {
		bool escape = s[i] == '\\' && i + 1 < n;

		used = 1;
		if (escape && (s[i + 1] == '\\' || s[i + 1] == '"')) {
			put(t, s + i, used = 2);
		} else if (escape && s[i + 1] == 'x' && i + 3 < n && isxdigit((unsigned char)s[i + 2]) &&
		    isxdigit((unsigned char)s[i + 3])) {
			put(t, "\\u00", 4);
			put(t, s + i + 2, 2);
			used = 4;
		} else if (s[i] == '\\' || s[i] == '"') {
			put_byte_escaped(t, (unsigned char)s[i]);
		} else if ((used = str_utf8(s + i, n - i, &code)) > 0 && !str_hidden(code)) {
			put(t, s + i, used);
		} else {
			put_byte_escaped(t, (unsigned char)s[i]);
			used = 1;
		}
	}
}

static void
put_json_key(struct text *t, const struct pair *p)
{
	for (size_t i = 0; i < p->key_len; i++)
		put(t, isalnum((unsigned char)p->key[i]) || p->key[i] == '-' ? p->key + i : "_", 1);
}

/*
 * An unquoted number is one. A session has a hexadecimal number, which is a name, also when there is no letter in
 * it.
 */
static bool
is_number(const struct pair *p)
{
	int64_t number;

	return !p->quoted && log_is_number(p->value, p->value_len, &number) &&
	    !(p->key_len == 7 && memcmp(p->key, "session", 7) == 0);
}

size_t
log_line_to_json(char *out, size_t size, const char *line, size_t len)
{
	struct text t = { .out = out, .size = size - 1 };
	const char *end = line + len;
	struct pair p;

	put(&t, "{", 1);
	while (next_pair(&line, end, &p)) {
		size_t mark = t.len;

		put(&t, t.len > 1 ? ",\"" : "\"", t.len > 1 ? 2 : 1);
		put_json_key(&t, &p);
		put(&t, "\":", 2);
		if (is_number(&p)) {
			put(&t, p.value, p.value_len);
		} else {
			put(&t, "\"", 1);
			put_json_value(&t, p.value, p.value_len);
			put(&t, "\"", 1);
		}
		put(&t, "}", 1);		/* the brace proves that it still fits */
		t.len = t.full ? mark : t.len - 1;
		t.full = false;
	}
	out[t.len] = '}';
	return t.len + 1;
}

static void
put_journal_key(struct text *t, const struct pair *p)
{
	for (size_t i = 0; i < p->key_len; i++) {
		char c = p->key[i];

		c = c >= 'a' && c <= 'z' ? (char)(c - 32) : (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
		put(t, &c, 1);
	}
}

size_t
log_line_to_journal(char *out, size_t size, int priority, const char *line, size_t len)
{
	char head[] = "PRIORITY=0\nSYSLOG_FACILITY=11\nSYSLOG_IDENTIFIER=" LOG_NAME "\nMESSAGE=";
	struct text t = { .out = out, .size = size };
	const char *end = line + len;
	struct pair p;

	head[9] = (char)('0' + priority);
	put(&t, head, sizeof head - 1);
	put(&t, line, len);
	put(&t, "\n", 1);
	while (next_pair(&line, end, &p)) {
		size_t mark = t.len;

		put(&t, "SALLYPORT_", 10);
		put_journal_key(&t, &p);
		put(&t, "=", 1);
		for (size_t i = 0; i < p.value_len; i++) {
			if (p.value[i] == '\\' && i + 1 < p.value_len && p.value[i + 1] != 'x')
				i++;
			put(&t, p.value + i, 1);
		}
		put(&t, "\n", 1);
		if (t.full)
			t.len = mark;
		t.full = false;
	}
	return t.len;
}
