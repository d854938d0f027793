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

/*
 * The letters of the perm fact: what the policy grants, less what the kernel
 * would refuse as far as modes tell.  inside: rights of new members (folders).
 * can_change: names in the object's folder may be added and removed; sticky: only by their owners.
 * Valid until the next call.
 */
const char *listing_perm(const struct agent *, const struct statx *, uint32_t rights, uint32_t inside, bool can_change,
    bool sticky);
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

/*
 * Begins to read a folder; takes fd over, also when it fails.  Without a key a folder that fits the
 * buffer is sorted by name.  0 or -errno.
 */
int entries_open(struct entries *, int fd, entries_key *key, bool reverse);
/* The next entry, "." and ".." left out, valid until the next call. 1: there is one, 0: the end, -errno. */
int entries_next(struct entries *, struct entry *);
void entries_close(struct entries *);

#endif
