/*
 * Paths that others may have tampered with: on the way one name at a time, and
 * no symbolic link is followed but root's or this process's own.  For root:
 * logs, homes, and the commands that work on a tenant's tree.
 */
#ifndef COMMON_TRUSTED_H
#define COMMON_TRUSTED_H

#include <stdbool.h>
#include <sys/types.h>

#define TRUSTED_PATH_MAX 4096	/* of a path and of what links make of it; a longer one is -ENAMETOOLONG */

/* Root, or the user whom we are. */
bool uid_is_trusted(uid_t uid);

/*
 * A descriptor (O_PATH) of what a path leads to, the working directory's where it does not begin with a
 * slash; or -errno.  -ELOOP: a link on the way is somebody else's, or there are too many.
 */
int trusted_walk(const char *path);

/*
 * open(2) of an absolute path in the same way.  A regular file must be of one of the two and have no
 * other name, so that a planted hard link is no way to a file of root: -EPERM.
 * The descriptor is closed on exec.
 */
int trusted_open(const char *path, int flags, mode_t mode);

#endif
