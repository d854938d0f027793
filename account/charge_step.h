/* The changes of charges that one deed makes. */
#ifndef ACCOUNT_CHARGE_STEP_H
#define ACCOUNT_CHARGE_STEP_H

#include "account/charge.h"
#include "account/ledger_private.h"

/* What a file is going to be charged with, before and after. */
struct step {
	struct charge_id id;
	struct ledger before, after;
	bool named;
};

/* By how much to is more than from. */
uint64_t step_more(uint64_t from, uint64_t to);

/* What the total would be after them. 0 or -EDQUOT, and nothing has changed. */
int step_add(struct ledger_entry *, const struct step *, unsigned n, const struct ledger *limit);

/*
 * Under the account's lock: writes them, all or none, whatever is killed in between. now: the total. 0, -EDQUOT or
 * -errno.
 */
int step_write(struct charge *, const struct step *, unsigned n, const struct ledger *limit, struct ledger *now);

#endif
