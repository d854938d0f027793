/*
 * The one type that holds passwords.  Fixed size, so that nothing of it is
 * ever moved by an allocator; zeroed by secret_clear(), which every owner
 * calls as soon as the password has been used.  It is never logged: the log
 * functions take no secret.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_MAX 1024

struct secret {
	size_t len;			/* bytes; data[len] is NUL */
	char data[SECRET_MAX + 1];
};

/* Takes n bytes.  0, or SP_ERANGE when longer than SECRET_MAX, or SP_EFORMAT for a NUL inside. */
int secret_set(struct secret *, const char *, size_t n);
void secret_clear(struct secret *);

/*
 * Has a stored password the length that a hash of its kind has (crypt(5))?  A template such as "$y$j9T$..." has
 * not, and fits no password.  True for kinds that are not known here, for {CLEAR}, and for what is locked on
 * purpose.
 */
bool secret_hash_whole(const char *);

#endif
