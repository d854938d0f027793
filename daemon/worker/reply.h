/*
 * Replies to the client (RFC 959, 4.2): one write each, whatever their
 * length.  Text that came from outside may be passed in: no reply can be forged
 * through a file name, and a byte 0xFF is doubled on the wire.  Control bytes
 * become question marks, all of them in what people read, those that end a line
 * in names that programs take from a reply and send back.
 */
#ifndef WORKER_REPLY_H
#define WORKER_REPLY_H

#include <stddef.h>

#define REPLY_MAX	(72 * 1024)

struct session;

struct reply {
	size_t len;
	unsigned code;
	unsigned last_code;	/* of the last one sent, for tests and logs */
	char text[REPLY_MAX];
};

/* "code text CR LF" */
void reply(struct session *, unsigned code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same, where a program takes a name from it. */
void reply_named(struct session *, unsigned code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * A reply of several lines: "code-first", any number of lines, "code last".
 * Lines are printed as they are, with a blank in front where they begin with
 * three digits.  What does not fit is left out as whole lines.
 */
void reply_begin(struct session *, unsigned code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void reply_line(struct session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Lines separated by LF or CR LF, each with that text in front. */
void reply_lines(struct session *, const char *before, const char *text, size_t len);
/* The same, of a listing: programs take names from them. */
void reply_name_lines(struct session *, const char *before, const char *text, size_t len);
/* Another code for the reply of several lines that has begun. */
void reply_recode(struct session *, unsigned code);
void reply_end(struct session *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A text of one or several lines separated by LF; the last one ends the reply. */
void reply_text(struct session *, unsigned code, const char *text);

/* The lines of a message, which may be empty, and a last line. */
void reply_message(struct session *, unsigned code, const char *message, const char *last);

/* "path" with its quotes doubled and quotes around (RFC 959, appendix II). Cut when longer than size. */
const char *reply_quoted(char *dst, size_t size, const char *path);

#endif
