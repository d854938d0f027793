/*
 * What handlers share about transfers: upload.c begins uploads, transfer.c
 * downloads, commit.c ends both.
 */
#ifndef AGENT_UPLOAD_H
#define AGENT_UPLOAD_H

#include "daemon/agent/agent.h"

/* A download of agent->place has begun: it stays open until FINISH. */
void transfer_begin_read(struct agent *);

/* Closes what the transfer held and leaves its state. */
void transfer_forget(struct agent *);

/* Ends an upload before the worker has it: nothing of it stays. Returns code. */
int transfer_give_up(struct agent *, int code);

/*
 * Removes a temporary file whose session is gone: it belongs to this user, is
 * not locked and has not been written to for a minute.  name was found in the folder.
 */
void upload_sweep(int dir_fd, const char *name);

#endif
