/*
 * sallyctl account: accounts of a source that can be changed, while the server
 * runs or not.  Files to import may be wrong or hostile; names and
 * values are checked like those of clients and of the configuration.
 */
#ifndef CTL_ACCOUNT_H
#define CTL_ACCOUNT_H

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

/* Is the setting right for an account? CTL_OK, or CTL_USAGE after a message. */
int manage_check(const struct invocation *, const char *key, const char *value);

/* ---------------------------------------------------------------------- import */

#define IMPORTED_SETTINGS_MAX	24

/* One account of a foreign file. Texts live until the next line is read. */
struct imported {
	const char *name;
	const char *verifier;		/* a hash; NULL: none */
	char hash[512];			/* room for one that had to be made */
	struct conf_pair settings[IMPORTED_SETTINGS_MAX];
	size_t count;
	char text[IMPORTED_SETTINGS_MAX][1100];
	char why[256];			/* what is wrong */
	char remark[256];		/* what could not be taken over; "" */
};

/*
 * A format: takes one line apart, in place.  1: an account; 0: nothing to
 * import (a comment, a counter); -1: wrong, why says what.
 */
typedef int account_format(struct imported *, char *line);

/* The format of a name, or NULL. */
account_format *import_format(const char *name);
/* Adds a setting; what does not fit or is empty is left out. */
void imported_set(struct imported *, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
