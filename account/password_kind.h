/*
 * Kinds of password hashes: how they are told apart, what each asks for, and how one that asks for less is written.
 * A table; only password*.c use it.
 */
#ifndef ACCOUNT_PASSWORD_KIND_H
#define ACCOUNT_PASSWORD_KIND_H

#include <stddef.h>
#include <stdint.h>

#include "account/password.h"

/* What a hash asks for: bytes of memory, and work in a measure that all kinds of the same name share. */
struct demand {
	uint64_t memory, work;
};

struct password_kind {
	const char *prefix, *name;
	/* NULL: a hash, and not a password in clear, that cannot be computed here. */
	enum password_verdict (*check)(const struct secret *, const char *hash);
	struct demand (*demand)(const char *hash);
	/*
	 * Writes a setting or hash of the same kind that does as much of that work as one can do, but no more;
	 * returns how much that is, or 0 when it would be hardly any.  NULL: the work cannot be divided.
	 */
	uint64_t (*divide)(const char *hash, uint64_t work, char *out, size_t size);
	uint64_t enough;	/* less work than this is outdated; KIND_AS_NEW: less memory than a new hash of the kind fills */
	uint64_t most;		/* more than this takes longer than a login should: some seconds */
};

#define KIND_AS_NEW 0
#define KIND_NEVER UINT64_MAX	/* no work of that kind is enough today */

/* NULL: of no known kind. */
const struct password_kind *password_kind_of(const char *hash);

/* libcrypt's check; in password.c, which has its memory. */
enum password_verdict password_check_crypt(const struct secret *, const char *hash);

#endif
