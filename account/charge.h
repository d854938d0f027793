/*
 * What an account is charged with for its files, and when.
 *
 * Files cost their bytes, and each file, directory and symbolic link costs one entry.
 * A file counts as what it was charged with last (charge_record.c), and that is what it had on the
 * disk then, but for what nobody charged this account with: such files cost nothing, only what is added to them.
 * Whoever changes what lies there takes the account's lock, has
 * the file looked at before the deed and after it, by descriptor, and the
 * difference goes into the ledger: nobody's word counts, nothing is given back
 * that was not charged, and two sessions cannot meet at one file.
 *
 * Files that are being written have grown beyond their charge.  They stand in a
 * table behind the ledger's total, each with its charge, so that whoever
 * removes or replaces one gives back that and not its size.  A place in the
 * table is locked while its session lives: what dead ones left is found
 * there by the next session, in whatever folder it lies.  Killed at any
 * point, a session leaves table and total in agreement, because a charge in the
 * table counts from the total's number on that it was written with.
 *
 * Used by the monitor (for its agent) and by sallyctl quota recount.
 */
#ifndef ACCOUNT_CHARGE_H
#define ACCOUNT_CHARGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "account/ledger.h"

#define CHARGE_PATH_MAX	4095

/* What a client is told, whoever finds that a limit is reached. */
#define CHARGE_FULL_FILES	"the account's number of files is used up (quota_files)"
#define CHARGE_FULL_BYTES	"the account's space is used up (quota_bytes)"

/* How an upload writes. */
enum charge_kind {
	CHARGE_NONE,
	CHARGE_TEMPORARY,	/* to a temporary file, which costs nothing before it takes its name */
	CHARGE_NEW,		/* to a new file in place */
	CHARGE_EXISTING,	/* to a file that was there */
	/* Not an upload: a deed under way, with what it changes. */
	CHARGE_OTHER,		/* a file, directory or link that may lose its name, or a file that gets another size */
	CHARGE_MADE,		/* an entry that is about to be made */
	CHARGE_KINDS
};

/* What takes part in a deed, or'ed. */
enum charge_part {
	CHARGE_OWN		= 1 << 0,	/* the file of the open upload */
	CHARGE_GROWS		= 1 << 1,	/* the other file gets another size; otherwise it may lose its name */
	CHARGE_LEFTOVER		= 1 << 2,	/* the other file is a temporary one, which costs what the table says */
	CHARGE_MAKES		= 1 << 3	/* without another file: an entry is about to be made; with it: this is it */
};

/* What a file is known by on every node that shares it: its number, and when it was made. */
struct charge_id {
	uint64_t inode;
	int64_t born_s;
	uint32_t born_ns;
};

/* One file of a deed. */
struct charge_file {
	int fd;
	struct charge_id id;
	struct ledger before;	/* what it was charged with */
	struct ledger uncharged;	/* what it has besides, which costs nothing */
	bool named;		/* it has its own name, whatever the table says */
};

/* A session's side. All fields are charge.c's. */
struct charge {
	int fd;				/* the ledger, -1: none */
	bool locked, deed;
	int slot;			/* of the open upload, -1: none is open */
	enum charge_kind kind;
	int own_fd;			/* its file */
	int intent;			/* the place that says what the deed is, -1: none */
	bool makes, made;		/* an entry is about to be made; it has been named */
	int witness;			/* see charge_share() */
	unsigned count;
	struct charge_file files[2];	/* of the deed */
};

/* Takes a ledger's descriptor (-1: none), which stays the caller's. */
void charge_init(struct charge *, int ledger_fd);

/*
 * The account's lock then is not free before everybody has closed this descriptor of ledger_open_witness(), or the
 * session has given it back: an agent that has it and outlives its monitor may still be at a deed.  It stays the
 * caller's.
 */
void charge_share(struct charge *, int witness_fd);

/* Takes the account's lock. 0, -EAGAIN: another session has it, or -errno. */
int charge_lock(struct charge *);
/* The same for who may wait, thirty seconds at most: sallyctl. 0, -EBUSY, or -errno. */
int charge_lock_wait(struct charge *);
/* Gives it back, without having done anything. */
void charge_unlock(struct charge *);

/*
 * An upload to the file begins; takes fd over when it succeeds.  path is where it is found again, as the session
 * sees it, and folder_fd the directory that it lies in.  Under the lock, which stays.  A new file counts at once.
 * 0, -EDQUOT, -EBUSY: the table is full, or -errno.
 */
int charge_open(struct charge *, int fd, enum charge_kind, int folder_fd, const char *path, const struct ledger *limit,
    struct ledger *now);

/*
 * Before a deed, under the lock: parts as in enum charge_part, other the second file (-1: none; taken over), size
 * what it is going to have where it grows.  keep receives what the upload's file is charged with: down to there it
 * may be cut.  A second deed takes the place of one that was not done.  0, -EDQUOT: the limit would be passed, and
 * only less may be done; or -errno.
 */
int charge_begin(struct charge *, unsigned parts, int other, uint64_t size, const struct ledger *limit, uint64_t *keep,
    struct ledger *now);

/*
 * Between a deed's charge_begin() and the deed: notes in the table what is about to be done with the second file
 * (or the only one: that of an upload may go, too), or with the name of one that is about to be made, for whoever
 * comes after a session that dies in between.  path is where that lies, as the session sees it, and folder_fd its
 * directory.  0, -EBUSY: the table is full, or -errno.
 */
int charge_intend(struct charge *, int folder_fd, const char *path);

/*
 * Under the lock: the first deed, from place *at on, that a dead session was at.  As charge_find_left(), and to be
 * settled before anything else is changed, for nothing has been renamed since.
 */
bool charge_find_intent(struct charge *, uint32_t *at, enum charge_kind *, struct charge_id *,
    char path[CHARGE_PATH_MAX + 1]);

/*
 * After it: what lies on the disk now is charged, whatever the limit, and the lock given back. close: the upload is
 * over.
 */
int charge_settle(struct charge *, bool close, struct ledger *now);

/* The session's agent is gone, whatever it was doing: settles what is there. A temporary file stays listed. */
void charge_abandon(struct charge *);

/*
 * What a dead session left, under the lock: looks from place *at on, and leaves *at behind the one that was found.
 * false: there is none.
 */
bool charge_find_left(struct charge *, uint32_t *at, enum charge_kind *, struct charge_id *,
    char path[CHARGE_PATH_MAX + 1]);
/*
 * The file of that place is no longer in this directory.  Where it is a temporary file, which nobody can rename, or
 * one of a deed, since which nobody has renamed anything, and the directory is the one that it was in and not just
 * of the same name, its charge is given back.  An entry that was about to be made is done with, whether it is
 * there, and has been named by a deed, or not.  -ESTALE: the file may still lie elsewhere, and stays listed with
 * its charge until it is met or a census finds it gone.
 */
int charge_forget_left(struct charge *, uint32_t slot, int folder_fd);

/* What an object costs while it has a name: a regular file its size and one entry, a directory or a link one entry. */
struct ledger charge_costs(const struct statx *);

/* Looks at a file. 0 or -errno. */
int charge_identify(int fd, struct charge_id *);

/*
 * Counting anew what lies on the disk.  The files are handed in one by one; charge_census_end() replaces the total and
 * gives -EAGAIN, and nothing has changed, when somebody else changed it meanwhile.  With hold nobody can.
 */
struct charge_census;
int charge_census_begin(struct charge_census **, int ledger_fd, bool hold);
/* st: with STATX_BASIC_STATS and STATX_BTIME, of any object; temporary files are counted too. 0 or -ENOMEM. */
int charge_census_file(struct charge_census *, const struct statx *st, const char *name);
int charge_census_end(struct charge_census *, struct ledger *now);
void charge_census_free(struct charge_census *);

#endif
