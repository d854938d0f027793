#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

#define NUMBER_DIGITS 18	/* any number of so many fits into an int64_t */

static log_sink *sink = log_to_fd;
static void *sink_context = (void *)(intptr_t)STDERR_FILENO;
static enum log_level threshold = LOG_LEVEL_INFO;
static const char *common_fields;
static bool in_journal[STDERR_FILENO + 1];

static const char *const words[] = {
#define LEVEL_ROW(name, word, priority) word,
	LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
};

static const struct log_event_row events[] = {
#define ALWAYS(field) [FIELD_##field] = LOG_ALWAYS,
#define MAY(field) [FIELD_##field] = LOG_MAY,
#define EVENT(event, word, low, high, by, fields, meaning, remedy, unseen) \
	[EVENT_##event] = { word, LOG_LEVEL_##low, LOG_LEVEL_##high, by, { fields } },
#include "common/events.def"
#undef ALWAYS
#undef MAY
};

static const char *const fields[] = {
#define FIELD(name, word, text) [FIELD_##name] = word,
#include "common/events.def"
};

const struct log_event_row *
log_event_row(enum log_event event)
{
	return &events[event];
}

int
log_event_find(const char *name, size_t len)
{
	for (int i = 0; i < LOG_EVENT_COUNT; i++)
		if (strlen(events[i].name) == len && memcmp(events[i].name, name, len) == 0)
			return i;
	return -1;
}

int
log_field_find(const char *name, size_t len)
{
	for (int i = 0; i < LOG_FIELD_COUNT; i++)
		if (strlen(fields[i]) == len && memcmp(fields[i], name, len) == 0)
			return i;
	return -1;
}

static const int priorities[] = {
#define LEVEL_ROW(name, word, priority) priority,
	LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
};

void
log_set_sink(log_sink *s, void *context)
{
	sink = s;
	sink_context = context;
}

log_sink *
log_get_sink(void **context)
{
	*context = sink_context;
	return sink;
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
log_begin_at(struct log_line *l, enum log_level level, enum log_event event)
{
	l->level = level;
	l->len = 0;
	l->cut = l->shortened = false;
	if (!wanted(l))
		return;
	add(l, "event=", 6);
	add(l, events[event].name, strlen(events[event].name));
	if (common_fields != NULL) {
		add(l, " ", 1);
		add(l, common_fields, strlen(common_fields));
	}
}

void
log_begin(struct log_line *l, enum log_event event)
{
	log_begin_at(l, events[event].low, event);
}

bool
log_is_number(const char *s, size_t n, int64_t *number)
{
	size_t sign = n > 0 && s[0] == '-' ? 1 : 0;
	int64_t v = 0;

	/* What JSON calls a number (RFC 8259, section 6): no zero in front. */
	if (n == sign || n - sign > NUMBER_DIGITS || (s[sign] == '0' && n != 1))
		return false;
	for (size_t i = sign; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (s[i] - '0');
	}
	*number = sign > 0 ? -v : v;
	return true;
}

/* A text that looks like a number has quotes: that is how readers tell. */
static bool
needs_quotes(const char *s, size_t n)
{
	int64_t number;

	return n == 0 || log_is_number(s, n, &number) || memchr(s, ' ', n) != NULL || memchr(s, '=', n) != NULL ||
	    memchr(s, '\\', n) != NULL;
}

/* " key=value" with at most max bytes of the escaped value, into field[size]. Its length; 0: no room for that key. */
static size_t
format_field(char *field, size_t size, const char *key, const void *value, size_t len, size_t max, size_t *taken)
{
	size_t k = strlen(key), n, extra;
	bool quote;

	if (k + 5 > size)
		return 0;
	field[0] = ' ';
	memcpy(field + 1, key, k + 1);
	field[++k] = '=';
	if (max > size - k - 4)
		max = size - k - 4;
	n = str_escape_some(field + k + 2, max + 1, value, len, taken);
	quote = needs_quotes(field + k + 2, n);
	extra = quote ? 1 : 0;
	memmove(field + k + 1 + extra, field + k + 2, n);
	if (quote)
		field[k + 1] = field[k + 2 + n] = '"';
	return k + 1 + n + 2 * extra;
}

/* One field: at most max bytes of the escaped value. Returns how much of the value that was. */
static size_t
add_field(struct log_line *l, enum log_field key, const void *value, size_t len, size_t max)
{
	char field[LOG_LINE_MAX];
	size_t taken = len, n;

	if (!wanted(l))
		return taken;
	n = format_field(field, sizeof field, fields[key], value, len, max, &taken);
	if (n > 0)
		add(l, field, n);
	return taken;
}

void
log_context_add(char *context, size_t size, enum log_field key, const char *value)
{
	size_t used = strlen(context), taken;

	used += format_field(context + used, size - used, fields[key], value, strlen(value), size, &taken);
	context[used] = '\0';
}

void
log_bytes(struct log_line *l, enum log_field key, const void *value, size_t len)
{
	(void)add_field(l, key, value, len, LOG_LINE_MAX);
}

void
log_str(struct log_line *l, enum log_field key, const char *value)
{
	log_bytes(l, key, value, strlen(value));
}

/* Copies as much of src as fits behind the first `used` bytes of text[LOG_LINE_MAX]; how many there are then. */
static size_t
append(char *text, size_t used, const char *src, size_t n)
{
	if (n > LOG_LINE_MAX - used)
		n = LOG_LINE_MAX - used;
	memcpy(text + used, src, n);
	return used + n;
}

void
log_lines(struct log_line *l, enum log_field key, const char *text, const char *separator)
{
	size_t between = strlen(separator), used = 0, n, after_stop;
	char joined[LOG_LINE_MAX];

	for (text += strspn(text, "\n"); *text != '\0'; text += n + strspn(text + n, "\n")) {
		after_stop = used > 0 && joined[used - 1] == '.' ? between - 1 : 0;
		if (used > 0)
			used = append(joined, used, separator + after_stop, between - after_stop);
		n = strcspn(text, "\n");
		used = append(joined, used, text, n);
	}
	log_bytes(l, key, joined, used);
}

void
log_cut(struct log_line *l, enum log_field key, const char *value, size_t max)
{
	if (add_field(l, key, value, strlen(value), max) < strlen(value))
		l->shortened = true;
}

void
log_num(struct log_line *l, enum log_field key, int64_t value)
{
	char field[64];
	size_t n = strlen(fields[key]);

	if (!wanted(l) || n > sizeof field - 3 - STR_NUMBER_MAX)
		return;
	field[0] = ' ';
	memcpy(field + 1, fields[key], n++);
	field[n++] = '=';
	if (value < 0)
		field[n++] = '-';
	n += str_number(field + n, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
	add(l, field, n);
}

void
log_code(struct log_line *l, int code)
{
	log_str(l, FIELD_ERROR, sp_strerror(code));
}

void
log_end(struct log_line *l)
{
	if (!wanted(l))
		return;
	if (l->cut || l->shortened) {
		memcpy(l->text + l->len, " cut=yes", 8);
		l->len += 8;
	}
	l->text[l->len] = '\0';
	sink(sink_context, l->level, l->text, l->len);
}

void
log_problem_at(enum log_level level, enum log_event event, const char *about, int code)
{
	struct log_line l;

	log_begin_at(&l, level, event);
	if (about != NULL)
		log_str(&l, FIELD_ABOUT, about);
	if (code != 0)
		log_code(&l, code);
	log_end(&l);
}

void
log_problem(enum log_event event, const char *about, int code)
{
	log_problem_at(events[event].low, event, about, code);
}

void
log_violation(enum log_level level, const char *peer, const char *message, int code)
{
	struct log_line l;

	log_begin_at(&l, level, EVENT_PROTOCOL_VIOLATION);
	log_str(&l, FIELD_PEER, peer);
	if (message != NULL)
		log_str(&l, FIELD_MESSAGE, message);
	log_code(&l, code);
	log_end(&l);
}

#define LOG_TIME_MAX 72

/* In UTC, to the millisecond, as all times of the log are written. */
static void
format_time(char text[LOG_TIME_MAX], const struct timespec *at)
{
	struct tm tm;

	clock_utc(at->tv_sec, &tm);
	(void)snprintf(text, LOG_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, at->tv_nsec / 1000000);
}

void
log_time(struct log_line *l, enum log_field field, const struct timespec *at)
{
	char text[LOG_TIME_MAX];

	format_time(text, at);
	log_str(l, field, text);
}

size_t
log_head(char head[LOG_HEAD_MAX], enum log_level level)
{
	struct timespec now;
	char text[LOG_TIME_MAX];

	clock_gettime(CLOCK_REALTIME, &now);
	format_time(text, &now);
	return (size_t)snprintf(head, LOG_HEAD_MAX, "%s %s ", text, words[level]);
}

/* Is it the stream that JOURNAL_STREAM names, DEVICE:INODE? A program that inherits the name may have other descriptors. */
static bool
is_journal(int fd, const char *name)
{
	char own[64];
	struct stat st;

	return name != NULL && fstat(fd, &st) == 0 &&
	    str_format(own, sizeof own, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino) == 0 &&
	    strcmp(own, name) == 0;
}

void
log_find_journal(void)
{
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		in_journal[fd] = is_journal(fd, getenv(LOG_JOURNAL_STREAM));
}

size_t
log_priority(char head[LOG_HEAD_MAX], int fd, enum log_level level)
{
	if (fd < 0 || fd > STDERR_FILENO || !in_journal[fd])
		return 0;
	memcpy(head, (char[]){ '<', (char)('0' + priorities[level]), '>' }, 3);
	return 3;
}

void
log_to_fd(void *context, enum log_level level, const char *text, size_t len)
{
	int fd = (int)(intptr_t)context;
	char head[LOG_HEAD_MAX];
	size_t priority = log_priority(head, fd, level), n = priority > 0 ? priority : log_head(head, level);
	struct iovec v[] = { { head, n }, { (void *)(uintptr_t)text, len }, { (void *)(uintptr_t)"\n", 1 } };

	/* A log that cannot be written must not stop the server. */
	if (writev(fd, v, 3) < 0)
		return;
}
