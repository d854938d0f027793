/*
 * Listings: LIST, MLSD, NLST and STAT with a path, pulled by the worker in
 * pieces of up to LISTING_CHUNK bytes (listing.c); entries in their order
 * (entries.c).  A listing that cannot be completed ends with FAILED, never
 * short.  Used by the agent only; names in the tree are not trusted.
 */
#ifndef AGENT_LISTING_H
#define AGENT_LISTING_H

#include "daemon/agent/agent.h"
#include "daemon/agent/format.h"

#define LISTING_CHUNK	61440

/* Writes the MLST line of agent->place: facts, a blank, the path as typed. Returns its end. */
char *listing_describe(struct agent *, char *p, uint32_t facts);

/* ---- perm.c -------------------------------------------------------------------- */

/* What the perm fact is made of. */
struct perm_of {
	const struct statx *st;	/* the object, behind a link */
	uid_t name_uid;		/* who owns what DELE, RMD and RNFR would act on: the object, or the link */
	uint32_t rights;	/* on the object */
	uint32_t name_rights;	/* on its name: for DELE, RMD and RNFR */
	uint32_t inside;	/* of new members (folders) */
	bool can_change;	/* names in its folder may be added and removed */
	bool sticky;		/* only by their owners */
};

/*
 * The letters of the perm fact: what the policy grants, less what the kernel
 * would refuse as far as modes tell.  Valid until the next call.
 */
const char *listing_perm(const struct agent *, const struct perm_of *);
/* Prepares lines as the settings want owners shown; owner is the room for the account's own name. */
void listing_format(const struct agent *, struct format *, char owner[static 33]);
/* May names be added and removed in the folder? */
bool listing_may_change(int dir_fd);

/* ---- entries.c: what getdents64(2) gives ------------------------------------- */

#define ENTRIES_BUFFER	32768
#define ENTRIES_SORT_MAX 100000	/* more are listed in the folder's own order */

struct entry {
	const char *name;
	int64_t key;		/* to sort by, the greatest first */
	unsigned char type;	/* DT_* */
	uint64_t inode;
};

struct entries_block;

struct entries {
	int fd;			/* the folder; belongs to this struct */
	size_t got, at;		/* bytes in buffer, and the next to look at */
	bool ended;		/* the kernel has no more */
	struct entry *sorted;	/* instead of the buffer, NULL: none */
	size_t count, next;
	bool reverse;
	struct entries_block *names;
	_Alignas(8) char buffer[ENTRIES_BUFFER];
};

/* Gives the key to sort an entry by, or INT64_MIN for one that has vanished. */
typedef int64_t entries_key(int dir_fd, const char *name);
entries_key entries_by_time, entries_by_size;

/*
 * Begins to read a folder; takes fd over, also when it fails.  Without a key a folder that fits the
 * buffer is sorted by name.  0 or -errno.
 */
int entries_open(struct entries *, int fd, entries_key *key, bool reverse);
/* The next entry, "." and ".." left out, valid until the next call. 1: there is one, 0: the end, -errno. */
int entries_next(struct entries *, struct entry *);
void entries_close(struct entries *);

/* ---- look.c: what an entry is --------------------------------------------------- */

enum link {
	LINK_NONE,		/* no link */
	LINK_TOLD,		/* shown with its target */
	LINK_TO_FILE,		/* shown as what it leads to */
	LINK_TO_FOLDER,		/* shown as a link, the target is not told */
	LINK_TO_NOTHING		/* the same: nowhere that the client could go */
};

struct looked {
	struct statx st;	/* what is shown */
	uid_t name_uid;		/* the owner of the name itself */
	enum link link;
	const char *target;	/* of LINK_TOLD, valid until the next call; otherwise NULL */
};

/*
 * Looks at an entry of an open folder, whose canonical path and rules are
 * given.  0, or 1 when it has vanished.
 */
int listing_look(struct agent *, int fd, const char *folder, struct authz_listing *, const struct entry *, struct looked *);
/* Lets go of what the last look found behind a link. */
void listing_look_done(void);
/* The perm fact of the entry that was looked at last. can_change, sticky: as in struct perm_of. */
const char *listing_look_perm(struct agent *, struct authz_listing *, const char *name, const struct looked *,
    bool can_change, bool sticky);

#endif
