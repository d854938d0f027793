/*
 * The three programs that sessions are forked from: executing them, asking
 * them for children, and executing them afresh after a crash, at reload, or
 * after so many forks.  An old template stays until it has answered what it
 * was asked.  Used by the pool.
 */
#ifndef LISTENER_TEMPLATES_H
#define LISTENER_TEMPLATES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "privsep/msg.h"

struct server;
struct templates;

enum member { MEMBER_MONITOR, MEMBER_WORKER, MEMBER_AGENT, MEMBER_COUNT };

/* ROLE_MONITOR and so on. */
enum msg_role templates_role(enum member);

/* Executes all three; they report later. 0 or a negative code. */
int templates_start(struct server *);
/* Takes fresh ones; the old ones end as soon as they are idle. */
void templates_renew(struct server *, const char *why);
void templates_stop(struct server *);

/* All three can fork now. */
bool templates_ready(const struct server *);
/* The file in which agents lock directories; it stays the templates'. -1: none. */
int templates_hold_fd(const struct server *);
/* Counts renewals: spares of an older generation are retired. */
unsigned templates_generation(const struct server *);
pid_t templates_pid(const struct server *, enum member);

/* Asks for a child with these channels; pool_spawned() or pool_spawn_failed() follows. The fds stay the caller's. */
int templates_spawn(struct server *, enum member, uint64_t serial, const int *fds, unsigned n);

/*
 * Takes the answers that have come.  They are not waited for: each would be a
 * wake-up, and the session's own report, which comes last, leads here.
 */
void templates_collect(struct server *);

#endif
