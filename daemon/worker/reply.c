#include "config.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "daemon/worker/session.h"

#define REPLY_TAIL 512		/* kept free for the last line */
#define REPLY_TIMEOUT_MS 30000	/* a client that does not read its replies is gone after this */

/* What a line is made of. */
enum content {
	WORDS,		/* for people: no control bytes but TAB, RFC 959 text is printable */
	NAMES		/* for programs, which use the names in it: whatever does not end a line (RFC 3659, 2.2) */
};

static bool
must_not_be_sent(unsigned char c, enum content content)
{
	if (content == NAMES)
		return c == '\r' || c == '\n' || c == '\0';
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

static void
clean(char *text, size_t n, enum content content)
{
	for (size_t i = 0; i < n; i++)
		if (must_not_be_sent((unsigned char)text[i], content))
			text[i] = '?';
}

/*
 * vsnprintf(); the commonest shapes are copied here: the way through the C library touches
 * half a dozen pages of it that a session may need for nothing else.
 */
static int __attribute__((format(printf, 3, 0)))
format_text(char *dst, size_t room, const char *fmt, va_list ap)
{
	const char *text = fmt;
	size_t n;

	if (strcmp(fmt, "%.*s") == 0) {
		n = (size_t)va_arg(ap, int);
		text = va_arg(ap, const char *);
		n = strnlen(text, n);
	} else if (strcmp(fmt, "%s") == 0) {
		text = va_arg(ap, const char *);
		n = strlen(text);
	} else if (strchr(fmt, '%') == NULL) {
		n = strlen(text);
	} else {
		return vsnprintf(dst, room, fmt, ap);
	}
	if (n > INT_MAX || room == 0)
		return -1;
	memcpy(dst, text, n < room ? n : room - 1);
	dst[n < room ? n : room - 1] = '\0';
	return (int)n;
}

/* Appends what fits below REPLY_TAIL; false and nothing when it does not. */
static bool __attribute__((format(printf, 3, 0)))
put_line(struct reply *r, enum content content, const char *fmt, va_list ap)
{
	size_t room = sizeof r->text - REPLY_TAIL - r->len;
	int n = format_text(r->text + r->len, room, fmt, ap);

	if (n < 0 || (size_t)n + 2 >= room)
		return false;
	clean(r->text + r->len, (size_t)n, content);
	r->len += (size_t)n;
	r->text[r->len++] = '\r';
	r->text[r->len++] = '\n';
	return true;
}

static void
put_code(struct reply *r, unsigned code, char separator)
{
	r->text[r->len++] = (char)('0' + code / 100 % 10);
	r->text[r->len++] = (char)('0' + code / 10 % 10);
	r->text[r->len++] = (char)('0' + code % 10);
	r->text[r->len++] = separator;
}

/* A control connection is a Telnet one: the byte 0xFF of a name is doubled (RFC 854; RFC 3659, 2.2). */
static int
write_doubled(struct session *s, const char *text, size_t n)
{
	const char *end = text + n, *iac = memchr(text, 0xff, n);
	int e = 0;

	for (; iac != NULL && e == 0; iac = memchr(iac + 1, 0xff, (size_t)(end - iac - 1))) {
		e = stream_write_all(&s->control, text, (size_t)(iac + 1 - text), REPLY_TIMEOUT_MS);
		text = iac;	/* once more, at the head of the rest */
	}
	return e != 0 ? e : stream_write_all(&s->control, text, (size_t)(end - text), REPLY_TIMEOUT_MS);
}

static void
send_out(struct session *s)
{
	struct reply *r = &s->out;
	int e;

	r->last_code = r->code;
	if (s->control.fd >= 0) {
		e = write_doubled(s, r->text, r->len);
		if (e != 0) {
			s->ending = true;
			stream_close(&s->control);
		}
	}
	r->len = 0;
}

/* The last line, or the only one; cut rather than lost. */
static void __attribute__((format(printf, 4, 0)))
put_last(struct session *s, unsigned code, enum content content, const char *fmt, va_list ap)
{
	struct reply *r = &s->out;
	size_t room;
	int n;

	put_code(r, code, ' ');
	room = sizeof r->text - r->len - 2;
	n = format_text(r->text + r->len, room, fmt, ap);
	if (n > 0) {
		size_t k = (size_t)n < room ? (size_t)n : room - 1;

		clean(r->text + r->len, k, content);
		r->len += k;
	}
	r->text[r->len++] = '\r';
	r->text[r->len++] = '\n';
	send_out(s);
}

static void __attribute__((format(printf, 4, 0)))
only_line(struct session *s, unsigned code, enum content content, const char *fmt, va_list ap)
{
	s->out.len = 0;
	s->out.code = code;
	put_last(s, code, content, fmt, ap);
}

void
reply(struct session *s, unsigned code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	only_line(s, code, WORDS, fmt, ap);
	va_end(ap);
}

void
reply_named(struct session *s, unsigned code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	only_line(s, code, NAMES, fmt, ap);
	va_end(ap);
}

void
reply_begin(struct session *s, unsigned code, const char *fmt, ...)
{
	struct reply *r = &s->out;
	va_list ap;

	r->len = 0;
	r->code = code;
	put_code(r, code, '-');
	va_start(ap, fmt);
	if (!put_line(r, WORDS, fmt, ap)) {
		r->text[r->len++] = '\r';
		r->text[r->len++] = '\n';
	}
	va_end(ap);
}

static bool
begins_with_code(const char *text)
{
	for (int i = 0; i < 3; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

static void __attribute__((format(printf, 3, 0)))
add_line(struct reply *r, enum content content, const char *fmt, va_list ap)
{
	size_t start = r->len;

	if (start + 8 > sizeof r->text - REPLY_TAIL)
		return;
	if (put_line(r, content, fmt, ap) && begins_with_code(r->text + start)) {
		memmove(r->text + start + 1, r->text + start, r->len - start);
		r->text[start] = ' ';
		r->len++;
	}
}

void
reply_line(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(&s->out, WORDS, fmt, ap);
	va_end(ap);
}

static void
name_line(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
name_line(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(&s->out, NAMES, fmt, ap);
	va_end(ap);
}

/* Each line of the text, by that function. */
static void
add_lines(struct session *s, void (*add)(struct session *, const char *, ...), const char *before, const char *text,
    size_t len)
{
	const char *end = text + len;

	while (text < end) {
		const char *lf = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((lf == NULL ? end : lf) - text);

		if (n > 0 && text[n - 1] == '\r')
			add(s, "%s%.*s", before, (int)n - 1, text);
		else
			add(s, "%s%.*s", before, (int)n, text);
		text += n + 1;
	}
}

void
reply_lines(struct session *s, const char *before, const char *text, size_t len)
{
	add_lines(s, reply_line, before, text, len);
}

void
reply_name_lines(struct session *s, const char *before, const char *text, size_t len)
{
	add_lines(s, name_line, before, text, len);
}

void
reply_recode(struct session *s, unsigned code)
{
	struct reply *r = &s->out;
	size_t len = r->len;

	r->code = code;
	r->len = 0;
	put_code(r, code, '-');
	r->len = len;
}

void
reply_end(struct session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_last(s, s->out.code, WORDS, fmt, ap);
	va_end(ap);
}

void
reply_text(struct session *s, unsigned code, const char *text)
{
	size_t n = strlen(text);
	const char *lf;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	lf = memchr(text, '\n', n);
	if (lf == NULL) {
		reply(s, code, "%.*s", (int)n, text);
		return;
	}
	reply_begin(s, code, "%.*s", (int)(lf - text), text);
	n -= (size_t)(lf - text) + 1;
	text = lf + 1;
	lf = memrchr(text, '\n', n);
	if (lf != NULL) {
		reply_lines(s, "", text, (size_t)(lf - text));
		n -= (size_t)(lf - text) + 1;
		text = lf + 1;
	}
	reply_end(s, "%.*s", (int)n, text);
}

void
reply_message(struct session *s, unsigned code, const char *message, const char *last)
{
	size_t n = strlen(message);
	const char *lf = memchr(message, '\n', n);

	if (n == 0) {
		reply(s, code, "%s", last);
		return;
	}
	reply_begin(s, code, "%.*s", (int)(lf == NULL ? n : (size_t)(lf - message)), message);
	if (lf != NULL)
		reply_lines(s, "", lf + 1, n - (size_t)(lf + 1 - message));
	reply_end(s, "%s", last);
}

const char *
reply_quoted(char *dst, size_t size, const char *path)
{
	size_t k = 0;

	dst[k++] = '"';
	for (; *path != '\0' && k + 4 < size; path++) {
		if (*path == '"')
			dst[k++] = '"';
		dst[k++] = *path;
	}
	dst[k++] = '"';
	dst[k] = '\0';
	return dst;
}
