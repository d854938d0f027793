/*
 * What the users of a row do to files: one function a command, run in a
 * process that has the user's identity and stands in the base folder.
 */
#ifndef TESTS_AUTHZ_POSIX1E_ACT_H
#define TESTS_AUTHZ_POSIX1E_ACT_H

#include <stdbool.h>
#include <sys/types.h>

#define POSIX1E_FIRST_UID	2001
#define POSIX1E_PATH		1024
#define POSIX1E_NO_OP		(-1)	/* nothing to compare a prediction with */

/* One action of a user: runs in a child that has the user's identity and stands in the base folder. 0 or -errno. */
struct posix1e_action {
	const char *argument;		/* behind the command's name */
	const char *path, *target;	/* relative to the base folder */
};

/* A command. */
struct posix1e_row_of {
	const char *name;
	int (*run)(const struct posix1e_action *);
	int op;
};

/* The command at the beginning of text; the rest becomes the action's argument. NULL: there is none. */
const struct posix1e_row_of *posix1e_find(const char *text, struct posix1e_action *);

/* The number of a member of the cast, from 0; -1 for a stranger. */
int posix1e_user(const char *name);
/* A group of the row, or a user's own; add: make it known. */
bool posix1e_group(const char *name, gid_t *gid, bool add);

#endif
