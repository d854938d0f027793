/*
 * Waiting for an agent that may be blocked in the file system, and what the
 * monitor says past it.  The monitor is trusted as far as its messages go.
 */
#ifndef WORKER_PULSE_H
#define WORKER_PULSE_H

#include <stdbool.h>

#include "privsep/msg.h"

struct session;

/*
 * Waits until the agent has said something.  finish: it is the end of an upload that is awaited, which
 * a client that has gone does not call off.  0; or SP_ECLOSED when it took too long, or nobody waits any more: the
 * agent counts as lost, and the session is ending or has its reason to stop.
 */
int pulse_await(struct session *, bool finish);

/* Takes what the monitor said, where poll(2) has seen something. False: it has gone, and the session is ending. */
bool pulse_hear(struct session *);
/* The same where nothing else looks at that channel for a long time. */
bool pulse_look(struct session *);

/*
 * Tells the monitor how many bytes of a transfer there were that ends because the session does, or whose agent does
 * not take FINISH.
 */
void pulse_broken_off(struct session *, uint64_t bytes);

/* Tells the monitor why a session ends that is logged in, before it does: PULSE_IDLE or PULSE_HUNG_UP. */
void pulse_end(struct session *, enum pulse_state why);

#endif
