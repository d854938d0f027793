/*
 * The text of listings: LIST as ls -l writes it, the facts of MLST and MLSD
 * (RFC 3659, 7.5), and bare names.  Everything is in UTC and in English.
 * Nothing here looks anything up or asks the kernel; a line costs a fraction
 * of a microsecond.  Used by the agent only.  Names are foreign: a line feed
 * or carriage return in one becomes a question mark.
 */
#ifndef AGENT_FORMAT_H
#define AGENT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The longest line: a name, a link's target, and 200 bytes of columns or facts with names of 32 bytes. */
#define FORMAT_LINE_MAX	(4096 + 255 + 512)

/* What a line tells of one object. */
struct format_entry {
	const char *name;
	size_t name_len;
	const char *target;	/* of a link that is shown as such, or NULL */
	const struct statx *st;
	const char *perm;	/* letters of the perm fact; NULL where no facts are written */
	const char *type;	/* instead of the object's own: "cdir", "pdir"; or NULL */
};

/* Made once a listing. */
struct format {
	int64_t now;		/* seconds since 1970 */
	uint64_t key[2];	/* of the session: makes inode numbers unreadable */
	const char *owner, *group;	/* shown as such; NULL: the numbers of the object. By reference, changeable between lines */
	/* What was computed for the line before, which often is right again. */
	int64_t day, minute;
	char date[8];		/* yyyymmdd of day */
	char stamp[13];		/* "Nov 22 00:25" of minute */
};

void format_init(struct format *, int64_t now, const uint64_t key[2], const char *owner, const char *group);

/* Each writes a line without its end at p, which has FORMAT_LINE_MAX bytes of room, and returns where it ends. */
char *format_long(struct format *, char *p, const struct format_entry *);
char *format_facts(struct format *, char *p, const struct format_entry *, uint32_t facts);
/* The name as it may stand in a line. */
char *format_name(char *p, const char *name, size_t len);

/* "755" with a leading zero and at least four digits; "1234". */
char *format_octal(char *p, unsigned mode);
char *format_number(char *p, uint64_t value);
/* yyyymmddhhmmss */
char *format_time(struct format *, char *p, int64_t seconds);

#endif
