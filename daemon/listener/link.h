/*
 * The link between two generations of a server: messages that may be of
 * different versions (the first section of privsep/messages.def), told without
 * waiting.  What does not fit into the socket is kept until it does.  Used by
 * the listener; the other end is a listener as well, and is trusted no more
 * than its messages can be checked.
 */
#ifndef LISTENER_LINK_H
#define LISTENER_LINK_H

#include "privsep/msg.h"

struct link;
struct server;

#define LINK_PROTOCOL 1		/* in LINK_HELLO; another number: the two do not understand each other at all */

/* Hears a message. 0, or a negative code: the other one is not to be believed any more. Must not free the link. */
typedef int link_hear(struct server *, struct msg *);
/* The other one has gone, or was not to be believed. May free the link. */
typedef void link_ended(struct server *);

/* Takes over fd. own: ROLE_OLD or ROLE_NEW. NULL: no memory, and fd is closed. */
struct link *link_new(struct server *, int fd, enum msg_role own, link_hear *, link_ended *);
/* What has not been sent is lost. NULL is allowed. */
void link_free(struct link *);
/* The new generation serves: other messages are heard from now on (ST_LIVE instead of ST_START). */
void link_live(struct link *);
/*
 * Tells a message; body as for chan_send(). fd, or -1, stays the caller's.  One that cannot be told (no memory, the
 * other one is gone) is lost: the end of the link follows.  link NULL: nothing happens.
 */
void link_tell(struct link *, enum msg_type, const void *body, int fd);

#endif
