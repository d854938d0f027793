/*
 * Small helpers for descriptors.  Anyone may use them.
 */
#ifndef COMMON_FDUTIL_H
#define COMMON_FDUTIL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A memory file with n bytes, sealed so that neither we nor a receiver can
 * change it; close-on-exec, at offset 0.  The name shows in /proc.  The
 * descriptor, or -errno.
 */
int fd_sealed(const char *name, const void *, size_t n);
/* Is it a memory file that nobody can write, grow or shrink any more? */
bool fd_is_sealed(int fd);

/* Writes all of it, going on after signals and short writes. 0 or -errno. */
int fd_write_all(int fd, const void *, size_t n);
/*
 * Reads a whole regular file of at most max bytes into fresh memory, with a
 * NUL behind; the caller frees it.  0, -errno, SP_ERANGE when it is larger,
 * SP_EFORMAT when it is not a regular file.
 */
int fd_read_file(int fd, size_t max, char **text, size_t *len);

#endif
