/*
 * sallyctl import: configurations of other servers become one of ours, and
 * what cannot be expressed is listed.  A reader for each server's syntax
 * (import_SERVER.c) passes its directives to the rules of import.def; what
 * takes several directives together is done by its finishing function.
 */
#ifndef CTL_IMPORT_H
#define CTL_IMPORT_H

#include "ctl/ctl.h"

/* PLACE(NAME, "section") in the order in which they are printed */
#define IMPORT_PLACES(PLACE)			\
	PLACE(SERVER,	 "server")		\
	PLACE(TLS,	 "tls")			\
	PLACE(LISTENER,	 "listener main")	\
	PLACE(EVERYBODY, "class everybody")	\
	PLACE(JAIL,	 "class jail-exceptions") \
	PLACE(ANONYMOUS, "account anonymous")

enum import_place {
#define PLACE(NAME, section) IMPORT_##NAME,
	IMPORT_PLACES(PLACE)
#undef PLACE
	IMPORT_PLACE_COUNT
};

struct import;

/* One directive of the other configuration. */
void import_directive(struct import *, const char *name, const char *value, unsigned line);

/* Writes a key of ours; a second value takes the first one's place. */
void import_set(struct import *, enum import_place, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same beside what is there: for keys that may stand more than once. A value's further lines begin with a blank. */
void import_add(struct import *, enum import_place, const char *key, const char *value);
/* Remarks: something cannot be expressed, something is not needed. line 0: of the whole. */
void import_lost(struct import *, unsigned line, const char *name, const char *value, const char *why);
/*
 * Something that restricted access cannot be expressed: nobody gets in by what is made of it. An account is not
 * enabled, and any other section has a line not_imported, which check and the server refuse until it is removed.
 */
void import_closed(
    struct import *, enum import_place, unsigned line, const char *name, const char *value, const char *why);
void import_useless(struct import *, unsigned line, const char *name, const char *value, const char *why);

/* The value of a directive that was kept for later; NULL: not set. */
const char *import_value(const struct import *, const char *name);
/* An octal number that a kept directive holds. What is none lets nobody in: false. */
bool import_mode(struct import *, const char *name, const char *text, unsigned long *mode);
/* Its meaning as yes or no. What is neither lets nobody in. */
bool import_yes(const struct import *, const char *name, bool otherwise);
/* Does a word mean yes? */
bool import_is_yes(const char *word);
/* Sets a key to the content of a text file; continuation lines are indented. */
void import_text(
    struct import *, enum import_place, const char *key, const char *path, unsigned line, const char *name);
/* Reads words, one a line, # begins a comment, and joins them by ", ". malloc'ed, or NULL after import_lost(). */
char *import_names(struct import *, const char *path, const char *name);
/* listen = from an address (NULL: all) and a port (NULL: 21). */
void import_listen(struct import *, const char *address, const char *port);
/* The policy of anonymous clients, as a user permission string: +rLC and what is added, without the letters denied. */
void import_anonymous(struct import *, const char *added, const char *denied);
/* Is nothing of this section wanted? It is left out then. */
void import_drop(struct import *, enum import_place);
/* The line of a directive that was kept for later; 0: not set. */
unsigned import_line(const struct import *, const char *name);

/* Reads the lines of a file: comments and blank lines left out, leading and trailing blanks cut. 0 or -errno. */
int import_lines(struct import *, const char *path, void (*line)(struct import *, char *text, unsigned number));

/* A server: reads a file (or folder), then finishes. 0 or -errno. */
struct import_server {
	const char *name;
	int (*read)(struct import *, const char *path);
	void (*finish)(struct import *);
};

extern const struct import_server import_vsftpd, import_pureftpd, import_proftpd;

#endif
