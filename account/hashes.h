/*
 * The hashes that the accounts of this server have: of each kind the dearest, since their work together is what
 * every refusal costs.  The template asks its sources for all of them; its children ask again those that have changed
 * since, and add what they meet.  They share what they know by a memory file, which is closed with the login.
 * Used by account/refusal.c, and by those who open and close sources.
 */
#ifndef ACCOUNT_HASHES_H
#define ACCOUNT_HASHES_H

#include "account/account.h"
#include "account/password.h"

/* One for each place of password_place(). */
struct hash_known {
	char hash[PASSWORD_HASH_MAX];	/* masked; "": none of that measure */
	uint64_t work;
	int64_t us;			/* processor time that it takes here */
};

/* Forgets all, and makes the file for this process and all that it will fork. 0 or -errno. */
int hashes_open(void);
/* For a process that refuses no more logins. */
void hashes_close(void);

/*
 * Here is a hash of an account: is it dearer than those of its kind?  Then it is tried once, whether it can be
 * computed and how long it takes.  Texts that are no hash, or too dear for others to pay, are passed over.
 */
void hashes_meet(const char *hash);

/*
 * What tells two states of a file apart, folded into what tells something else: for stamp() of a source. Never 0,
 * as good as.
 */
uint64_t hashes_stamp(uint64_t before, const char *path);

/* Asks the sources whose accounts may have changed, and takes over what other processes have met. */
void hashes_update(const struct account_sources *, const struct account_query *);

/* What is known at a place, or NULL for none. */
const struct hash_known *hashes_at(int place);

#endif
