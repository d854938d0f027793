/*
 * A session with ourselves before the first client: a loopback connection is
 * handed to a spare, and must be greeted, asked for a password, and bidden
 * goodbye, all inside the filters.  A system on which the sandbox breaks that is
 * found here and not by users.
 */
#ifndef LISTENER_SELFTEST_H
#define LISTENER_SELFTEST_H

struct server;

/* The name that the session's listener section has; no section of a configuration can have it. */
#define SELFTEST_LISTENER "(self-test)"

/* Begins it, once a spare is ready; server_selftest_done() follows. 0 or a negative code. */
int selftest_start(struct server *);
/* Forgets it, finished or not. */
void selftest_end(struct server *);

#endif
