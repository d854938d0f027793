/*
 * Log records: one event a line, key=value, every foreign value escaped.
 *
 *	struct log_line l;
 *	log_begin(&l, EVENT_LOGIN);
 *	log_str(&l, FIELD_SOURCE, name);
 *	log_num(&l, FIELD_UID, uid);
 *	log_end(&l);
 *
 * Events and fields are the rows of events.def; what is no row does not compile.
 *
 * Where lines go is the process's affair: log_set_sink().  Until it is called
 * they go to stderr.  A line that grows beyond LOG_LINE_MAX loses its last
 * fields and says so ("cut=yes").  Passwords have no way in: there is no
 * function that takes a struct secret.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define LOG_LINE_MAX 2048

/* LEVEL_ROW(name, word, syslog priority) */
#define LOG_LEVELS(LEVEL_ROW)				\
	LEVEL_ROW(LOG_LEVEL_ERROR,	"error",  3)	\
	LEVEL_ROW(LOG_LEVEL_WARNING,	"warning", 4)	\
	LEVEL_ROW(LOG_LEVEL_NOTICE,	"notice", 5)	\
	LEVEL_ROW(LOG_LEVEL_INFO,	"info",   6)	\
	LEVEL_ROW(LOG_LEVEL_DEBUG,	"debug",  7)

enum log_level {
#define LEVEL_ROW(name, word, priority) name,
	LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
	LOG_LEVEL_COUNT
};

enum log_field {
#define FIELD(name, word, text) FIELD_##name,
#include "common/events.def"
	LOG_FIELD_COUNT
};

/* EVENT_LOGIN and so on: constants of log_begin(). */
enum log_event {
#define EVENT(name, word, low, high, by, fields, meaning, remedy, unseen) EVENT_##name,
#include "common/events.def"
	LOG_EVENT_COUNT
};

/* Who may state an event: roles, or'ed. */
enum {
	BY_LISTENER = 1, BY_MONITOR = 2, BY_WORKER = 4, BY_AGENT = 8, BY_KEEPER = 16,
	BY_ALL = BY_LISTENER | BY_MONITOR | BY_WORKER | BY_AGENT | BY_KEEPER
};

/* A row of events.def. */
struct log_event_row {
	const char *name;
	enum log_level low, high;	/* the usual level; the other end of the range */
	unsigned by;
	unsigned char fields[LOG_FIELD_COUNT];	/* LOG_NEVER, LOG_MAY, LOG_ALWAYS */
};
enum { LOG_NEVER, LOG_MAY, LOG_ALWAYS };

struct log_line {
	enum log_level level;
	size_t len;
	bool cut;		/* no field follows */
	bool shortened;		/* a value was, others follow */
	char text[LOG_LINE_MAX + 1];
};

/* Receives a finished line without newline or time; must not log itself. */
typedef void log_sink(void *context, enum log_level level, const char *text, size_t len);

/* At the usual level of the event, and at another within its range. */
void log_begin(struct log_line *, enum log_event);
void log_begin_at(struct log_line *, enum log_level, enum log_event);
void log_str(struct log_line *, enum log_field, const char *value);
void log_bytes(struct log_line *, enum log_field, const void *value, size_t len);
/*
 * A text of ours that may have several lines, as one value: from line to line stands the separator, of which only the
 * last character follows a full stop.
 */
void log_lines(struct log_line *, enum log_field, const char *text, const char *separator);
/* log_str() with at most max bytes of the escaped value; of a longer one the beginning, and the line says "cut=yes". */
void log_cut(struct log_line *, enum log_field, const char *value, size_t max);
void log_num(struct log_line *, enum log_field, int64_t value);
/* A moment of CLOCK_REALTIME, in the form that the log's own times have. */
void log_time(struct log_line *, enum log_field, const struct timespec *);
/*
 * Is the text a number as log_num() writes it?  Such a value stands without quotes in a line, a
 * text that looks like one has them.
 */
bool log_is_number(const char *text, size_t len, int64_t *number);
/* Adds error="text of code" as sp_strerror() gives it. */
void log_code(struct log_line *, int code);
void log_end(struct log_line *);

/* The common case: an event, what it is about (NULL: nothing), and an error code (0: none). */
void log_problem(enum log_event, const char *about, int code);
void log_problem_at(enum log_level, enum log_event, const char *about, int code);

/* A process broke the protocol of a channel: peer is its role, message (NULL: none) the name of what it sent. */
void log_violation(enum log_level, const char *peer, const char *message, int code);

const struct log_event_row *log_event_row(enum log_event);
/* The row number of a name, and of a field's; -1: there is none. */
int log_event_find(const char *name, size_t len);
int log_field_find(const char *name, size_t len);

void log_set_sink(log_sink *, void *context);
/* The sink that is set, for one in front of it. */
log_sink *log_get_sink(void **context);
/* Lines above this level are dropped before they are formatted. Default: LOG_LEVEL_INFO. */
void log_set_level(enum log_level);
/* Text put after the event of every line, such as role=worker session=4f2a; kept by reference. */
void log_set_context(const char *text);
/* Appends " key=value" to such a text of size bytes, escaped as in a line. */
void log_context_add(char *context, size_t size, enum log_field, const char *value);
/* The word of a level, and back (-1: no such word). */
const char *log_level_word(enum log_level);
int log_level_parse(const char *word);

/* What stands in front of a line: "2026-01-31T12:00:00.000Z notice ", in UTC. Returns its length. */
#define LOG_HEAD_MAX 96
size_t log_head(char head[LOG_HEAD_MAX], enum log_level);

/*
 * Finds out which of stdout and stderr are streams to systemd's journal (JOURNAL_STREAM, systemd.exec(5)).  A line there
 * begins with its priority, "<5>", and has no time: the journal knows both that way.  For when a process starts, before
 * a sandbox closes and when these descriptors are what they will be; log_open() asks again.
 */
void log_find_journal(void);
#define LOG_JOURNAL_STREAM "JOURNAL_STREAM"
/* The priority as a stream to the journal has it; returns its length. 0: fd is no such stream. */
size_t log_priority(char head[LOG_HEAD_MAX], int fd, enum log_level);

/*
 * The sink before another is set: one line in one write(2); context is the
 * descriptor (as (void *)(intptr_t)fd).  For more see logsink.h.
 */
log_sink log_to_fd;

#endif
