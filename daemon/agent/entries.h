/*
 * What a directory holds: getdents64(2), in its own order or sorted.  Used by
 * the agent only; names in the tree are not trusted.
 */
#ifndef AGENT_ENTRIES_H
#define AGENT_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
