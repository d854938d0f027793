/*
 * The table of files that are being written, behind the total of a ledger;
 * charge.c says what it is for.  A place has 128 bytes, and a page for the path elsewhere.
 * Places are taken from the front, so that the first that was never used ends the table.
 */
#ifndef ACCOUNT_CHARGE_TABLE_H
#define ACCOUNT_CHARGE_TABLE_H

#include "account/charge.h"

#define TABLE_SLOTS	4096
#define TABLE_CHUNK	32

/* One place, as it stands in the file. */
struct table_slot {
	uint64_t magic;
	uint64_t kind;			/* enum charge_kind */
	struct charge_id id, folder;	/* the file, and the folder that it was made or found in */
	struct ledger was, is;		/* its charge: is, once the total has reached the number, and was before that */
	uint64_t number;
	uint64_t sum;
	struct ledger uncharged;	/* what of the file is not this account's: it was there, without a charge */
};

/* Goes through the places: table_walk(), then table_next() until NULL. at is the place of what it gave. */
struct table_walk {
	int fd;
	uint32_t at, next, have;
	struct table_slot chunk[TABLE_CHUNK];
};
void table_walk(struct table_walk *, int fd);
struct table_slot *table_next(struct table_walk *);

struct charge_id table_id(const struct statx *);
bool table_same(const struct charge_id *, const struct charge_id *);

/* What the slot says at that number of the total. */
struct ledger table_charged(const struct table_slot *, uint64_t number);
/* The charge of a file that stands in the table, and what of it is not charged; false: none does, and both are left. */
bool table_find(int fd, const struct charge_id *, uint64_t number, struct ledger *charged, struct ledger *uncharged);

/* Takes a place and locks it. It, -EBUSY when all are taken, -ENAMETOOLONG or -errno. */
int table_take(int fd, enum charge_kind, const struct charge_id *, const struct charge_id *folder,
    const struct ledger *charged, const struct ledger *uncharged, uint64_t number, const char *path);
/* The new charge of a place, from that number on. 0 or -errno. */
int table_charge(int fd, uint32_t at, const struct table_slot *, uint64_t number_now, const struct ledger *);
int table_free(int fd, uint32_t at);
/* Gives the lock of a place back. */
void table_release(int fd, uint32_t at);
/* Is the session gone that took the place? Not for one's own. Under the account's lock. */
bool table_is_dead(int fd, uint32_t at);
/* A deed, and not an upload? */
bool table_is_intent(const struct table_slot *);
/* What stands there; CHARGE_NONE where it cannot be read, too. */
enum charge_kind table_kind(int fd, uint32_t at);
int table_read(int fd, uint32_t at, struct table_slot *);
int table_path(int fd, uint32_t at, char path[CHARGE_PATH_MAX + 1]);

#endif
