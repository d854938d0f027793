/*
 * The line reader of the control connection: turns whatever bytes arrive into
 * command lines.  Pure: it knows no sockets.  It trusts nothing.
 *
 *  - CR LF ends a line, and so does the LF alone that some devices and people send; but once a line has ended with
 *    CR LF, a LF in an argument, with more behind it, spoils the line: it stands in a file name, and whoever named
 *    the file must not command;
 *  - IAC IAC is the byte 0xFF everywhere (RFC 854);
 *  - other Telnet commands are consumed in front of the argument, where
 *    clients send them and no command has a 0xFF; in an argument they cannot
 *    be told from names and passwords of clients that double nothing (0xFF is
 *    a letter of CP1251 and Latin-1), so 0xFF and what follows are its bytes;
 *  - CR NUL is a CR inside a name (RFC 2640, 3.1);
 *  - NUL and a CR in any other place spoil the line (RFC 959, 5.3.1);
 *  - leading blanks and blank lines vanish;
 *  - a line beyond LINE_MAX_BYTES is reported once, and nothing of it is ever
 *    taken for a command.
 */
#ifndef WORKER_LINE_H
#define WORKER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MAX_BYTES	4608	/* a path of 4096 with verb, options and times around it */
#define LINE_RAW_BYTES	4096	/* what one read takes */
#define LINE_SEGMENT	512	/* a line of so many bytes is one segment of TCP (RFC 9293, 3.7.1: 536), if it was sent alone */
#define LINE_FLOOD	65536	/* bytes without an end of line after which nobody listens any more */

enum line_result {
	LINE_NONE,	/* no whole line yet: read more */
	LINE_COMMAND,	/* a line, NUL-terminated, valid until the next call of line_next() */
	LINE_BAD,	/* NUL, or CR or LF alone, in it: 501 */
	LINE_TOO_LONG,	/* 500 */
	LINE_CROWDED,	/* queue.h: too many were waiting already */
	LINE_FLOODED	/* end the session */
};

enum line_state { LINE_TEXT, LINE_CR, LINE_IAC, LINE_IAC_OPTION };

struct line_reader {
	enum line_state state;
	bool bad, too_long;
	bool strict;			/* the client ends its lines with CR LF */
	bool argument;			/* the verb and the blank after it have come */
	size_t pos, end;		/* unread part of raw */
	size_t len;			/* of text */
	size_t seen;			/* raw bytes of this line */
	char text[LINE_MAX_BYTES + 1];
	uint8_t raw[LINE_RAW_BYTES];
};

void line_init(struct line_reader *);

/* Forgets every byte that has not become a line (AUTH, RFC 4217, 4.1 and the injection it must not allow). */
void line_discard(struct line_reader *);

/* Has a line begun that may become this command? Then one or more of its letters have come, and no other. */
bool line_begins(const struct line_reader *, const char *verb);

/* Has anything arrived beyond the last line that line_next() gave? */
bool line_more(const struct line_reader *);

/*
 * How many of these bytes, which come next, belong to the line that has begun: all of them where it does not end
 * there.
 */
size_t line_length(const struct line_reader *, const uint8_t *bytes, size_t n);

/* Where the next bytes go: *space is how many. 0 while lines are left in the buffer: call line_next() first. */
uint8_t *line_room(struct line_reader *, size_t *space);
/* So many bytes were put there. */
void line_filled(struct line_reader *, size_t n);

/* The next line. *text and *len are set for LINE_COMMAND. */
enum line_result line_next(struct line_reader *, char **text, size_t *len);

/* Overwrites the last line and the bytes it came from (a password). */
void line_wipe(struct line_reader *);

#endif
