/*
 * The .passwd file of ftpcluster: one line an account, name:password:uid:home,
 * and a counter line whose name is "_".  Anyone may use it; it reads text that
 * others wrote and trusts nothing in it.  Nothing is copied or allocated.
 */
#ifndef COMMON_CLUSTERPASSWD_H
#define COMMON_CLUSTERPASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One usable line; the pieces point into the text and are not terminated. */
struct clusterpasswd {
	const char *name, *password, *home;
	size_t name_len, password_len, home_len;
	uint32_t uid;
	unsigned line;			/* from 1 */
};

/* Receives lines that are not usable, for logs and lint. */
typedef void clusterpasswd_complain(void *context, unsigned line, const char *what);

/*
 * The account of that name: the first line counts.  Lines with other than
 * four fields, a name outside a-z 0-9 . + - or a bad number do not exist.
 * complain may be NULL. False: there is none.
 */
bool clusterpasswd_find(const char *text, size_t len, const char *name, struct clusterpasswd *, clusterpasswd_complain *, void *context);
/* The first account with that number. */
bool clusterpasswd_find_uid(const char *text, size_t len, uint32_t uid, struct clusterpasswd *);
/* The number of the next account: the counter line's, without one the highest plus one, at least 1000. */
uint32_t clusterpasswd_next(const char *text, size_t len);

/* Whether a name may be given to a new account. */
bool clusterpasswd_name_ok(const char *name, size_t len);
/*
 * Whether a password in clear text lets the account in: an empty one wants the
 * empty password, one of a single character never lets anybody in.  Constant
 * time in the stored password's content.  Hashed fields ("$...") are the caller's.
 */
bool clusterpasswd_check(const struct clusterpasswd *, const char *password);

#endif
