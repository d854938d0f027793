/*
 * This generation of the server gives way to a new one: the other side of
 * takeover.h.
 */
#ifndef LISTENER_LEAVE_H
#define LISTENER_LEAVE_H

struct server;

/* From now on this server can be replaced (server->restart), if there is a starter. */
void leave_allow(struct server *);

#endif
