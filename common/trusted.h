/*
 * Opening files by a path that others may have tampered with.  For root: the
 * log files of the listener and the monitor's template.
 */
#ifndef COMMON_TRUSTED_H
#define COMMON_TRUSTED_H

#include <sys/types.h>

/*
 * open(2) of an absolute path, one name at a time.  Symbolic links are followed where they are
 * root's or this process's own, nobody else's; a regular file must be of one of the two and have no
 * other name, so that a planted hard link is no way to a file of root.  The
 * descriptor (close-on-exec), or -errno; -EPERM: something on the way belongs to somebody else.
 */
int fd_open_trusted(const char *path, int flags, mode_t mode);

#endif
