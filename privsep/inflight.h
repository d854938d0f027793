/*
 * What a session is transferring right now, for the record of a transfer that nobody is left to tell of: memory
 * that the agent writes and its monitor reads, when the agent has been killed or is held in a file system.  The
 * monitor makes it and passes it with PROFILE; a message for each transfer would cost more than a small file does.
 * What stands in it is as good as what the agent says: the monitor takes it for a claim, of which there can be one
 * for a session.
 */
#ifndef PRIVSEP_INFLIGHT_H
#define PRIVSEP_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

struct inflight {
	uint64_t begun;		/* transfers of the session: one more than have a record, while one runs */
	int64_t since;		/* clock_ms() when the last of them began */
	uint8_t direction;	/* enum transfer_direction */
	char path[4097];
};

/* The monitor: the memory, as the descriptor that PROFILE takes. -errno: without it there is no such record. */
int inflight_make(void);
/* The agent: maps it, and closes fd. NULL: it cannot be had. */
struct inflight *inflight_map(int fd);
/* The agent: a transfer begins; or, never having come about, is taken back. NULL is allowed. */
void inflight_begin(struct inflight *, uint8_t direction, const char *path, int64_t now);
void inflight_undo(struct inflight *);
/* The monitor: copies what stands there, with an end to the path. false: nothing is known. */
bool inflight_read(int fd, struct inflight *copy);

#endif
