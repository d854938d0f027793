/*
 * What the files of the pool share: pool.c keeps sessions, clients.c gives
 * them to clients.
 */
#ifndef LISTENER_POOL_INSIDE_H
#define LISTENER_POOL_INSIDE_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "daemon/listener/crowd.h"
#include "daemon/listener/pace.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/session.h"

/* A client for whom there is no session yet. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	struct crowd_member member;
	int fd;
	int64_t deadline;
	bool suspect;			/* stands behind those that are not */
	struct addr peer, local;
	char listener[65];
};

struct pool {
	struct session_list list[SESSION_STATES];
	unsigned count[SESSION_STATES];
	TAILQ_HEAD(, waiting) waiting;
	unsigned waiting_count;
	unsigned wanted;		/* spares, between the configured minimum and maximum */
	int64_t shortage;		/* when a client last had to wait */
	uint64_t next_serial, next_number;
	struct pace pace;		/* of starts */
	bool watching;			/* some sessions with clients have a deadline */
	bool unexplained;		/* a spare died: why is not known before it is reaped */
	unsigned clients;		/* that count against max_sessions: served, or waiting */
	int64_t tick_at;
	struct event tick, soon;
	struct ending *ending;		/* ending.c; NULL: nobody was told to end */
};

/* pool.c: puts it into the list of that state. */
void pool_move(struct session *, enum session_state);
/* pool.c: the pool is looked after in so many milliseconds, or earlier. */
void pool_tick_in(struct server *, int64_t ms);

/* clients.c: a session has become a spare: who has waited longest gets it. */
void pool_serve_waiting(struct server *);
/* clients.c: refuses those who have waited until now. */
void pool_end_waiting(struct server *, int64_t now, const char *text);
/* clients.c: all its processes are gone: what its end means for the client's address and for the templates. */
void pool_account_for(struct session *);

#endif
