/*
 * Reading the audit log again: lines "TIME LEVEL event=access key=value ..."
 * or the same as JSON objects (log_format = json).  Lines are not trusted: a
 * log may have been cut, mixed with others, or written by somebody else.
 */
#ifndef CTL_RECORD_H
#define CTL_RECORD_H

#include <stdbool.h>
#include <stddef.h>

/* RECORD_FIELD(name) : what is taken from a line */
#define RECORD_FIELDS(RECORD_FIELD)	\
	RECORD_FIELD(event)		\
	RECORD_FIELD(user)		\
	RECORD_FIELD(op)		\
	RECORD_FIELD(path)		\
	RECORD_FIELD(resolved)		\
	RECORD_FIELD(kind)		\
	RECORD_FIELD(verdict)		\
	RECORD_FIELD(last_upload)	\
	RECORD_FIELD(rule)

/* The fields of one line; NULL where it has none. They point into the line. */
struct record {
#define RECORD_FIELD(name) char *name;
	RECORD_FIELDS(RECORD_FIELD)
#undef RECORD_FIELD
};

/* Takes a line apart; it is overwritten: values are unescaped in place. False when it is no line of a log. */
bool record_read(char *line, struct record *);

#endif
