/*
 * What each file is charged with, for as long as it lies on the disk: behind the table of those that are being
 * written, by the file's number and birth.  So a file that another account of the same tree was charged for, or that
 * was put there without the server, costs nothing when it goes, and what is added to it costs only that.
 *
 * A ledger of an older version has no records before the next recount, and knows of each file only what it has.
 */
#ifndef ACCOUNT_CHARGE_RECORD_H
#define ACCOUNT_CHARGE_RECORD_H

#include "account/charge.h"
#include "account/ledger_private.h"

/* The charge of a file, 0 for one that has none. false: nothing is recorded in this ledger. */
bool record_find(int fd, const struct ledger_entry *, const struct charge_id *, struct ledger *charged);

/*
 * Notes what a file is charged with once the total has its next number, and before it what it was charged with.  May
 * make room, which the entry speaks of: it must be written then.  0 or -errno.
 */
int record_put(int fd, struct ledger_entry *, const struct charge_id *, const struct ledger *was,
    const struct ledger *is);

/*
 * A note that was made for a total that was never written: what the file was charged with before counts again. 0 or
 * -errno.
 */
int record_take_back(int fd, const struct ledger_entry *, const struct charge_id *);

/* A new ledger begins to record. 0 or -errno. */
int record_begin(int fd, struct ledger_entry *);

/* All of them anew, as a recount found them; the entry then speaks of these. 0 or -errno. */
struct record_found {
	struct charge_id id;
	struct ledger costs;
};
int record_replace(int fd, struct ledger_entry *, const struct record_found *, size_t count);

#endif
