/*
 * What handlers share about transfers: upload.c begins uploads, transfer.c
 * downloads, commit.c ends both.
 */
#ifndef AGENT_UPLOAD_H
#define AGENT_UPLOAD_H

#include "daemon/agent/agent.h"

/*
 * A download of agent->place begins: it stays open until FINISH. fd, the file, is taken over; offset: where it
 * begins.
 */
void transfer_begin_read(struct agent *, int fd, uint64_t offset);

/* Closes what the transfer held and leaves its state. */
void transfer_forget(struct agent *);

/* Refuses an upload for its size, with the name of the limit. what: "the file". As agent_refuse(). */
int upload_refuse_size(struct agent *, const char *what);

/* Ends an upload before the worker has it: nothing of it stays. Returns code. */
int transfer_give_up(struct agent *, int code);

/* Copies the first bytes of a file into another. 0 or -errno. */
int transfer_copy(int from, int to, uint64_t size);

/* Refuses because of what another session did to the file, for "return transfer_disturbed(...)": 450, try again. */
int transfer_disturbed(struct agent *, const char *text);

#endif
