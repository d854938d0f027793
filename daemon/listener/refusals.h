/*
 * The log of refused clients.  Anybody can be refused thousands of times a
 * second; the log gets one line a minute for each source, listener and reason, with the
 * number of clients that it stands for.  The first line comes at once.  Memory
 * is bounded: what more sources do is counted together.  Clients that leave without having logged in are counted in
 * the same way, in a table of their own.  Used by the listener only.
 */
#ifndef LISTENER_REFUSALS_H
#define LISTENER_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/log.h"

struct refusals;

/* Why; reason (if not empty) and what limit it was (0: none) stand in the log. */
struct refusal {
	const char *reason;		/* static text */
	const char *listener;
	unsigned limit;
};

/* event: that of its lines. NULL: no memory. */
struct refusals *refusals_new(enum log_event event);
void refusals_free(struct refusals *);

/* A client was refused, or one that had been let in was dropped. Logs it or counts it. */
void refusals_note(struct refusals *, const struct addr *, const struct refusal *, int64_t now);
/*
 * A client has come.  True: what it does may have log lines of its own; false: its source has had enough of them this
 * minute (or there is no memory), and the client is to be noted above if it comes to nothing.
 */
bool refusals_own_line(struct refusals *, const struct addr *, const struct refusal *, int64_t now);
/* Of the lines that a source may have in this minute: at most so many, and fewer when others have had some. */
unsigned refusals_take(struct refusals *, const struct addr *, unsigned most, int64_t now);
/* So many of them were not used. */
void refusals_give_back(struct refusals *, const struct addr *, unsigned);
/* refusals_note() for that many at once, none of which has a line before the minute is over. */
void refusals_count(struct refusals *, const struct addr *, const struct refusal *, unsigned, int64_t now);
/*
 * Logs what was counted and is due. Milliseconds until it is to be called again; -1: when there is something to
 * count.
 */
int64_t refusals_flush(struct refusals *, int64_t now);
/* Logs all that was counted, due or not: the server ends. */
void refusals_end(struct refusals *);

#endif
