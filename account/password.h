/*
 * Password hashes.  Used by the account sources and by sallyctl; runs where it
 * blocks one session only, and waits for its turn (account/turn.h) where the budget of memory is shared.
 * password_release() clears what it leaves behind.
 */
#ifndef ACCOUNT_PASSWORD_H
#define ACCOUNT_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"

#define PASSWORD_HASH_MAX 512

enum password_verdict {
	PASSWORD_RIGHT,
	PASSWORD_WRONG,
	PASSWORD_LOCKED,	/* the hash begins with ! or *, or is empty: no password fits */
	PASSWORD_UNSUPPORTED	/* a hash that cannot be computed here: of an unknown kind, or beyond the budget */
};

/*
 * Lends libcrypt working memory of PASSWORD_MEMORY bytes, aligned for anything,
 * in place of its own: it is large, and overwritten as a whole by each hash, so
 * that a process which has such memory anyway spares the pages.
 */
#define PASSWORD_MEMORY 32768
void password_lend(void *memory);

/*
 * Is it a password to store?  An empty one lets everybody in where allow_empty_passwords says so, and its hash
 * looks like any other: nobody would find it again.  Only {CLEAR} in the configuration says it openly.
 */
bool password_storable(const struct secret *);

/* Does the password fit the hash? Compares in constant time. */
enum password_verdict password_check(const struct secret *, const char *hash);

/* Constant-time comparison of two texts; how long they are may show, what they are not. */
bool password_same(const char *, size_t, const char *, size_t);

/*
 * Work is counted for each kind of hash in a measure of its own: rounds, or bytes of memory filled.  Kinds of the same
 * measure have the same place, 0 to PASSWORD_WORKS - 1; -1: of no known kind.
 */
#define PASSWORD_WORKS 32
int password_place(const char *hash);
uint64_t password_work(const char *hash);

/* Is it of a kind that this machine's libraries compute? */
bool password_computable(const char *hash);

/* Can it be computed within the budget of memory and some seconds? One that cannot is nothing to burden others with. */
bool password_affordable(const char *hash);

/*
 * Does so much work as hashes of that kind do, for nothing: as the whole hash, once or several times, and what is
 * left by hashes of the same kind that ask for less.  Where the work of a kind cannot be divided, a rest costs a
 * whole one.
 */
void password_waste(const struct secret *, const char *hash, uint64_t work);

/*
 * The beginning of a new hash of the kind that password_make() makes: checking a password against it costs as much.
 * 0 or -errno.
 */
int password_setting(char *setting, size_t size);

/* Overwrites what is secret in a hash: kind, parameters and salt stay, so that it still costs what it cost. */
void password_mask(char *hash);

/* "yescrypt", "sha512crypt", "argon2id"; for an unknown kind NULL. */
const char *password_kind(const char *hash);

/*
 * The work that goes into new hashes: crypt_gensalt(3)'s count for the system's preferred kind (yescrypt: 1 to 11);
 * 0: the system's default.
 */
void password_set_cost(unsigned);

/* Should the hash be made anew, being weaker than password_make()'s: by its kind, or by the work that it asks for? */
bool password_outdated(const char *hash);

/*
 * Makes a hash of the system's preferred kind (yescrypt where there is no other). 0, -EINVAL, or
 * -ENOMEM when it would be beyond the budget.
 */
int password_make(const struct secret *, char *hash, size_t size);

/* Is text a hash, as opposed to a password in clear? */
bool password_is_hash(const char *text);

/* Clears the working memory. Any time. */
void password_release(void);

#endif
