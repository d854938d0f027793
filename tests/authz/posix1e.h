/*
 * The posix1e rows of a vector file: real files in a temporary folder, real
 * processes with the identities of the row, and the code the agent uses for
 * ACLs.  Root is needed for rows with files, and ACLs on the file system of
 * TMPDIR (/tmp).  What the kernel does is compared with what authz/kernel
 * predicts, too.
 */
#ifndef TESTS_AUTHZ_POSIX1E_H
#define TESTS_AUTHZ_POSIX1E_H

#include <stddef.h>

/* Runs one row, its fields without escapes. 1 allow, 0 deny, -1 it cannot be run here; why says more. */
int posix1e_row(const char *policy, const char *user, const char *command, const char *path, char *why, size_t size);
/* Removes the temporary folder. */
void posix1e_end(void);

#endif
