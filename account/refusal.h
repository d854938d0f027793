/*
 * What a refused login costs, and how much of the reason its client may learn.
 * Whoever knows no password must not find out by text, code or time which names
 * exist: each refusal asks every source that could know the name, and does the work of one and the same hash.
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

/* Chooses the hash that every refusal costs, once all sources are open. */
void refusal_prepare(struct account_sources *);

/*
 * Makes the refusal cost what any other one does.  True: a source that had no part in it does not work, so
 * that a name that only it could know would be answered 421, and this one must be as well.
 */
bool refusal_even_out(const struct account_sources *, const struct account_query *, const struct account *,
    const struct effort *);

/* Processor time of this process, in microseconds. */
int64_t refusal_cpu_us(void);

#endif
