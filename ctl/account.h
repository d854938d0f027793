/*
 * sallyctl account: accounts of a source that can be changed, while the server
 * runs or not.  Files to import may be wrong or hostile; names and
 * values are checked like those of clients and of the configuration.
 */
#ifndef CTL_ACCOUNT_H
#define CTL_ACCOUNT_H

#include <stdio.h>

#include "account/account.h"
#include "ctl/ctl.h"

/* The source that a command works on. */
struct manage {
	struct conf *conf;
	const struct account_source *source;
	void *state;
};

/* Loads the configuration and opens the source. CTL_OK, or an exit code after a message. */
int manage_begin(struct manage *, const struct invocation *);
void manage_end(struct manage *);
/* Says what went wrong with the account; returns the exit code. */
int manage_fail(const struct invocation *, const char *name, int code);
/* For a function of the source that is NULL. */
int manage_cannot(const struct invocation *, const struct manage *);

/*
 * Is the value right for the key of an account?  It must be what a configuration file could hold, and a class or group
 * that it names must be in the configuration.  Else why says what is wrong.
 */
bool manage_value_ok(const struct manage *, const char *key, const char *value, char *why, size_t size);
/* Does a value of the key layer compile? Else why says what is wrong. */
bool manage_layer_ok(const char *value, char *why, size_t size);
/*
 * May a new account be called that?  What clients may send, without blanks at the ends, which the name of a section
 * would lose.
 */
bool manage_name_ok(const char *name);
/* --json: which accounts were changed; otherwise nothing is printed. CTL_OK or an exit code. */
int manage_report(const struct invocation *, const struct manage *, int argc, char **names);

/* ---------------------------------------------------------------------- import */

/* One account of a foreign file. Everything lives in the pool of a, until imported_end(). */
struct imported {
	struct account a;		/* name, and what it sets: pairs */
	const char *verifier;		/* a hash; NULL: none */
	bool elsewhere;			/* an x: the hash is in a shadow file; * and ! mean there is to be none */
	char why[300];			/* what is wrong */
	char remark[300];		/* what could not be taken over; "" */
};

void imported_begin(struct imported *);
void imported_end(struct imported *);
/* Takes the name. 0 or -1: none can be called that. */
int imported_name(struct imported *, const char *name);
/* Adds a setting; an empty one is left out. */
void imported_set(struct imported *, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes a hash; a sign that no password fits stands for none. 0 or -1: clear text. */
int imported_hash(struct imported *, const char *hash);
/* Makes a hash of a password in clear. 0 or -1. */
int imported_password(struct imported *, const char *clear);
/* Says what is wrong; returns -1. */
int imported_wrong(struct imported *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a remark. */
void imported_remark(struct imported *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * A format of lines: takes one line apart, in place.  1: an account; 0: nothing to
 * import (a comment, a counter); -1: wrong, why says what.
 */
typedef int account_format(struct imported *, char *line);

/* The format of a name, or NULL. */
account_format *import_format(const char *name);

/*
 * A table with a heading (RFC 4180): names of columns, which are keys, and rows.  record() is called for the
 * heading and for every row with the number of its first line; a value ends with NUL.  It returns false to end.
 * 0, -errno, or SP_EFORMAT with *line: a row that is not whole.
 */
typedef bool csv_record(void *context, unsigned long line, size_t n, char **field);
int csv_read(FILE *in, csv_record *record, void *context, unsigned long *line);

#endif
