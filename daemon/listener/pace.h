/*
 * How fast sessions are started when starting them fails.  What fails at the
 * same time is one event, however many sessions it takes along; the pause after it
 * doubles with every further one, and is forgotten when sessions work again.
 * While clients wait, one start at a time is tried during a pause as well.
 * Times are those of clock_ms(), given by the caller.
 */
#ifndef LISTENER_PACE_H
#define LISTENER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_TRY_MS	250	/* between two tries during a pause */

struct pace {
	int64_t pause;		/* after the next event, in milliseconds; 0: the least */
	int64_t until;		/* when the present pause ends */
	int64_t failed;		/* when the last event was */
	int64_t tried;		/* when a session was last started */
};

/* May one be started now? wanted: clients wait; starting: sessions that are being started. */
bool pace_allows(const struct pace *, bool wanted, unsigned starting, int64_t now);
/* One is being started. */
void pace_start(struct pace *, int64_t now);
/* One failed. True: this is a new event, and a pause begins. */
bool pace_failed(struct pace *, int64_t now);
/* One that was started at that time serves a client: if it is younger than the last event, that is over. */
void pace_worked(struct pace *, int64_t started);

#endif
