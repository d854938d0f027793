#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

static log_sink *sink = log_to_fd;
static void *sink_context = (void *)(intptr_t)STDERR_FILENO;
static enum log_level threshold = LOG_LEVEL_INFO;
static const char *common_fields;

static const char *const words[] = {
#define LEVEL_ROW(name, word, priority) word,
	LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
};

void
log_set_sink(log_sink *s, void *context)
{
	sink = s;
	sink_context = context;
}

void
log_set_level(enum log_level level)
{
	threshold = level;
}

void
log_set_context(const char *text)
{
	common_fields = text;
}

const char *
log_level_word(enum log_level level)
{
	return words[level];
}

int
log_level_parse(const char *word)
{
	for (int i = 0; i < LOG_LEVEL_COUNT; i++)
		if (str_same(word, words[i]))
			return i;
	return -1;
}

static bool
wanted(const struct log_line *l)
{
	return l->level <= threshold;
}

/* Appends all of text or, when it does not fit, nothing and marks the line as cut. */
static void
add(struct log_line *l, const char *text, size_t len)
{
	if (l->cut || len > LOG_LINE_MAX - l->len - sizeof " cut=yes") {
		l->cut = true;
		return;
	}
	memcpy(l->text + l->len, text, len);
	l->len += len;
}

void
log_begin(struct log_line *l, enum log_level level, const char *event)
{
	l->level = level;
	l->len = 0;
	l->cut = false;
	if (!wanted(l))
		return;
	add(l, "event=", 6);
	add(l, event, strlen(event));
	if (common_fields != NULL) {
		add(l, " ", 1);
		add(l, common_fields, strlen(common_fields));
	}
}

static bool
needs_quotes(const char *s, size_t n)
{
	return n == 0 || memchr(s, ' ', n) != NULL || memchr(s, '=', n) != NULL || memchr(s, '\\', n) != NULL;
}

void
log_bytes(struct log_line *l, const char *key, const void *value, size_t len)
{
	char field[LOG_LINE_MAX];
	size_t k = strlen(key), n, extra;
	bool quote;

	if (!wanted(l) || k + 4 > sizeof field)
		return;
	field[0] = ' ';
	memcpy(field + 1, key, k + 1);
	field[++k] = '=';
	n = str_escape(field + k + 2, sizeof field - k - 3, value, len);
	quote = needs_quotes(field + k + 2, n);
	extra = quote ? 1 : 0;
	memmove(field + k + 1 + extra, field + k + 2, n);
	if (quote)
		field[k + 1] = field[k + 2 + n] = '"';
	add(l, field, k + 1 + n + 2 * extra);
}

void
log_str(struct log_line *l, const char *key, const char *value)
{
	log_bytes(l, key, value, strlen(value));
}

void
log_fields(struct log_line *l, const char *text, size_t len)
{
	if (wanted(l))
		add(l, text, len);
}

void
log_num(struct log_line *l, const char *key, int64_t value)
{
	char text[1 + STR_NUMBER_MAX] = "-";
	size_t sign = value < 0 ? 1 : 0;

	if (!wanted(l))
		return;
	str_number(text + sign, sign > 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
	log_str(l, key, text);
}

void
log_code(struct log_line *l, int code)
{
	log_str(l, "error", sp_strerror(code));
}

void
log_end(struct log_line *l)
{
	if (!wanted(l))
		return;
	if (l->cut) {
		memcpy(l->text + l->len, " cut=yes", 8);
		l->len += 8;
	}
	l->text[l->len] = '\0';
	sink(sink_context, l->level, l->text, l->len);
}

void
log_problem(enum log_level level, const char *event, const char *about, int code)
{
	struct log_line l;

	log_begin(&l, level, event);
	if (about != NULL)
		log_str(&l, "about", about);
	if (code != 0)
		log_code(&l, code);
	log_end(&l);
}

void
log_to_fd(void *context, enum log_level level, const char *text, size_t len)
{
	char head[64];
	struct timespec now;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_utc(now.tv_sec, &tm);
	n = snprintf(head, sizeof head, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, words[level]);
	struct iovec v[] = { { head, (size_t)n }, { (void *)(uintptr_t)text, len }, { (void *)(uintptr_t)"\n", 1 } };
	/* A log that cannot be written must not stop the server. */
	if (writev((int)(intptr_t)context, v, 3) < 0)
		return;
}
