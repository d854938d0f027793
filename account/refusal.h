/*
 * What a refused login costs, and how much of the reason its client may learn.
 * Whoever knows no password must not find out by text, code or time which names
 * exist: each refusal asks every source that could know the name, and does the same work at hashes.
 * Used by account/login.c only.
 */
#ifndef ACCOUNT_REFUSAL_H
#define ACCOUNT_REFUSAL_H

#include "account/account.h"

/* What was done for a login so far. */
struct effort {
	size_t asked;		/* sources of the listener's list that have been asked for the name */
	bool compared;		/* a password was looked at, and no certificate in its place */
	const char *hashed;	/* the hash that the password was compared with; NULL: none */
	bool verified;		/* the source itself looked at the password (PAM) */
	int64_t cpu_us;		/* and took so much processor time */
};

/* Adds the hash that new accounts get to those that every refusal costs, once all sources were looked at. */
void refusal_prepare(const struct account_sources *);

/*
 * Makes the refusal cost what any other one does.  True: a source that had no part in it does not work, so
 * that a name that only it could know would be answered 421, and this one must be as well.
 */
bool refusal_even_out(const struct account_sources *, const struct account_query *, const struct account *,
    const struct effort *);

#endif
