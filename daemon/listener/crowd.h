/*
 * Clients that have not logged in, by source (addr_bucket()) and in the order in which they came.  Anybody can hold
 * such a connection, so when there is no room it is the heaviest source that gives way: a crowd from a few
 * addresses displaces itself, and a stranger gets in.  A client that keeps us waiting weighs two, one that waits
 * for us because its password is being checked one, and a failed login of the source two.  Of a source the oldest
 * of those that keep us waiting goes first, and the last of those that wait for us, who has waited least.  One for
 * each listener section.  Used by the listener only; no input but addresses.
 */
#ifndef LISTENER_CROWD_H
#define LISTENER_CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/addr.h"

struct crowd;
struct crowd_source;

/* Part of whatever stands for a client; zero while it is in no crowd. */
struct crowd_member {
	TAILQ_ENTRY(crowd_member) link;
	struct crowd_source *source;
	struct crowd *crowd;
	int64_t since;			/* clock_ms() */
	bool checked;			/* its password is being checked */
	bool away;			/* the generation before this one serves it (elsewhere.h) */
	void *session;			/* else who serves it, the pool's affair; NULL: it waits to be served */
};

/* NULL: no memory. */
struct crowd *crowd_new(void);
/* Members must have left. */
void crowd_free(struct crowd *);

/* The member's memory stays the caller's, and must not move. 0 or -ENOMEM. */
int crowd_enter(struct crowd *, struct crowd_member *, const struct addr *, int64_t now);
/* Does nothing for who is in none. */
void crowd_leave(struct crowd_member *);
/* Puts one member in the place of another, which leaves: the same client, described anew. */
void crowd_replace(struct crowd_member *old, struct crowd_member *by);

unsigned crowd_count(const struct crowd *);
/* How many of this address's source. */
unsigned crowd_of(const struct crowd *, const struct addr *);
/* Its password is being checked, or not any longer. Does nothing for who is in none. */
void crowd_checked(struct crowd_member *, bool now);
/* Its source has failed to log in lately. Does nothing for who is in none. */
void crowd_suspect(struct crowd_member *);
/*
 * Who goes first: of the heaviest source, of equal ones that which has been so heavy for longest. NULL: nobody is
 * there.
 */
struct crowd_member *crowd_eldest(const struct crowd *);
/*
 * Who gives way to a newcomer whose source has so many members, and may be suspect: the eldest, if the exchange
 * makes sources more equal, or the newcomer is the first of its own and lighter.  NULL: the newcomer has no better
 * claim than those who are there.
 */
struct crowd_member *crowd_gives_way(const struct crowd *, unsigned own, bool suspect);

#endif
