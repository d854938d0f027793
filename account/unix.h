/*
 * What the operating system says of a user: identity, groups, shell, and the
 * lists that refuse people.  Used by the sources.  Trusts the name service.
 */
#ifndef ACCOUNT_UNIX_H
#define ACCOUNT_UNIX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "account/account.h"

/*
 * A file of names, one a line, "#" begins a comment: /etc/ftpusers,
 * /etc/shells.  Kept in memory and read anew only when it has changed.
 */
struct name_file {
	const char *path;	/* the caller's; NULL: an empty list */
	char *text;		/* names, each ended by NUL */
	size_t len;
	bool missing;
	struct timespec changed;
	off_t size;
	ino_t inode;
};

/* Is the name in the file? A file that is not there has no names; see missing. */
bool name_file_has(struct name_file *, const char *name);
void name_file_free(struct name_file *);

/* Makes later look-ups cheap: loads the name service and libraries it needs. For templates. */
void unix_warm_up(void);

/*
 * Looks a user up and fills in unix_name, uid, gid, home and shell of a.
 * ACCOUNT_FOUND, ACCOUNT_UNKNOWN, or ACCOUNT_UNAVAILABLE when the name
 * service does not work.
 */
enum account_result unix_find(struct account *a, const char *user);

/*
 * Reads "user", "user:group", "uid:gid" or "uid:gid,gid,..." and fills in uid, gid,
 * and unix_name or groups of a; home too, if it has none.  0, -ENOENT for an unknown name, SP_EFORMAT.
 */
int unix_run_as(struct account *a, const char *text);

/* The id of a group given by name or number. 0, -ENOENT or -errno. */
int unix_group_id(const char *name, gid_t *gid);

/* The identity of this process, for a server that does not run as root. 0 or a negative code. */
int unix_own_identity(struct account *a);

/*
 * Groups that no session keeps, besides group 0: resolves names once, in the
 * template.  Unknown names are skipped.  0, or a negative code, logged: a name
 * could not be looked up, or there are more than 32 groups (-E2BIG).  Nobody
 * must be served then, for a forbidden group might be kept.
 */
int unix_forbid_groups(const char *const *names, size_t n);
bool unix_group_forbidden(gid_t gid);

/* Names of the account's Unix groups, the primary one first, separated by commas; what does not fit is left out. */
void unix_group_names(const struct account *a, char *out, size_t size);

/*
 * Looks at the file system with the account's eyes until it is called with own, which takes our own again (root's,
 * without groups).  Nothing where this process is not root.
 */
void unix_see_as(const struct account *, bool own);

#endif
