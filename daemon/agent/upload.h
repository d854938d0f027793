/*
 * What other handlers share with the transfers (upload.c).
 */
#ifndef AGENT_UPLOAD_H
#define AGENT_UPLOAD_H

#include "daemon/agent/agent.h"

/* A download of agent->place has begun: it stays open until FINISH. */
void transfer_begin_read(struct agent *);

/*
 * Removes a temporary file whose session is gone: it belongs to this user, is
 * not locked and has not been written to for a minute.  name was found in the folder.
 */
void upload_sweep(int dir_fd, const char *name);

#endif
