/*
 * The log of refused clients.  Anybody can be refused thousands of times a
 * second; the log gets one line a minute for each source, listener and reason, with the
 * number of clients that it stands for.  The first line comes at once.  Memory
 * is bounded: what more sources do is counted together.  Used by the listener only.
 */
#ifndef LISTENER_REFUSALS_H
#define LISTENER_REFUSALS_H

#include <stdint.h>

#include "common/addr.h"

struct refusals;

/* Why; reason and what limit it was (0: none) stand in the log. */
struct refusal {
	const char *reason;		/* static text */
	const char *listener;
	unsigned limit;
};

/* NULL: no memory. */
struct refusals *refusals_new(void);
void refusals_free(struct refusals *);

/* A client was refused, or one that had been let in was dropped. Logs it or counts it. */
void refusals_note(struct refusals *, const struct addr *, const struct refusal *, int64_t now);
/* Logs what was counted and is due. Milliseconds until it is to be called again; -1: when there is something to count. */
int64_t refusals_flush(struct refusals *, int64_t now);
/* Logs all that was counted, due or not: the server ends. */
void refusals_end(struct refusals *);

#endif
