/*
 * One session as the listener sees it: the channel to its monitor, its three
 * processes, who is served.  pool.c decides what becomes of sessions, session.c
 * how one begins and ends, monitors.c what it says.
 */
#ifndef LISTENER_SESSION_H
#define LISTENER_SESSION_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "daemon/listener/crowd.h"
#include "daemon/listener/pool.h"
#include "privsep/chan.h"
#include "privsep/role.h"

enum session_state { SESSION_STARTING, SESSION_SPARE, SESSION_BUSY, SESSION_ENDING, SESSION_STATES };

/* How a session is told to end, from patient to impatient. */
enum stop_level {
	STOP_NOT,
	STOP_IN_ORDER,	/* after what is running: the server stops or is drained */
	STOP_SOON,	/* the same, but a request that does not come to an end is not waited for */
	STOP_NOW	/* a transfer is broken off, too */
};

struct process {
	struct session *session;
	pid_t pid;			/* 0: not forked yet, or reaped */
	int pid_fd;
};

/* What exists only while a client is served. */
struct service {
	uint64_t number;
	char listener[65];
	struct addr peer, local;
	uint64_t socket;		/* the kernel's number of the client's; 0: unknown */
	int client_fd;			/* the same, to end the connection of a worker that cannot be; never read; -1 */
	int back_fd;			/* the client's socket, given back for another session; -1 */
	char user[321], class[65];
	struct crowd_member member;	/* until it has logged in */
	bool checking;			/* its monitor is busy with a password, and reads no messages */
	bool claimed;			/* it has logged in */
	bool quiet;			/* not in the log before that, but counted */
	unsigned lines;			/* that may be logged about it before that */
	bool blocked;			/* the file system does not answer */
	bool released;			/* counts no more against any limit */
	int64_t since, last_report;
	char what[257];
	uint64_t bytes_in, bytes_out, transfers;
	struct msg_claim *asked;	/* the newer generation decides on it; NULL: nothing is to be decided */
	uint32_t asked_id;
};

struct session {
	TAILQ_ENTRY(session) link;
	struct server *server;
	enum session_state state;
	uint64_t serial;
	unsigned generation;
	bool reported_ready, was_ready, told_to_stop, killed, crashed, protocol_broken;
	enum stop_level stopped;
	bool lingers;			/* its account is charged with a process that cannot be ended */
	bool agent_replaced;		/* by one that the monitor supervises (PAM session) */
	int exit_code;			/* the first that was not 0 */
	int64_t born;
	int64_t deadline;		/* ENDING: when the rest is killed; BUSY and told to stop: when it is ended; 0: never */
	int64_t given_up;		/* when it counts as gone although the kernel holds a killed process; 0: never */
	struct chan channel;
	struct event readable;
	struct process process[MEMBER_COUNT];
	struct service *service;	/* NULL: spare */
};

_Static_assert(ROLE_SESSION_FDS == 1 + MEMBER_COUNT + 2, "the channel, pid_fd of each, client_fd, back_fd");

TAILQ_HEAD(session_list, session);

/* glibc's queue.h lacks it. */
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(v, head, field, next) \
	for ((v) = TAILQ_FIRST(head); (v) != NULL && ((next) = TAILQ_NEXT(v, field), 1); (v) = (next))
#endif

/* Makes the channels and asks the templates. 0 or a negative code. */
int session_start(struct server *, uint64_t serial, struct session **);

/* A session that is nothing but one process, which is ending. pid_fd is taken over. NULL: no memory. */
struct session *session_adopt(struct server *, enum member, pid_t, int pid_fd);

/* All three are forked and have reported: are they what they claim? 0 or a negative code, logged. */
int session_verify(struct session *);

/* Hands the client over; fd stays the caller's. 0 or a negative code: the session is of no use. */
int session_serve(struct session *, int fd, uint64_t number, const char *listener, const struct addr *peer,
    const struct addr *local);

/*
 * Asks for an end, with this text in the 421, and why for the log.  Less than what it was told before changes nothing.
 */
void session_stop(struct session *, const char *text, enum stop_level, enum sp_end why);
/* A monitor that was told to stop, and is busy with a password, tells its worker at once. Does nothing for others. */
void session_hurry(const struct session *);
/*
 * Closes our direction of the channel, which ends the session's processes; the
 * rest is killed after a while.  What the monitor still says is heard.
 */
void session_end(struct session *);
/*
 * Kills the worker, and the second time, or when all is set, the others.  From then on the client counts against no
 * limit, whether or not the kernel lets the processes go.
 */
void session_kill(struct session *, bool all);
/* Killed, and still there: nobody waits for it. */
bool session_is_given_up(const struct session *);
/* A template has forked one of its processes; pid_fd is taken over. */
void session_forked(struct session *, enum member, pid_t, int pid_fd);
/*
 * monitors.c: hears one message of its monitor. 0; -EAGAIN: there is none; or why nothing more is to be heard:
 * SP_ECLOSED, or what the monitor did wrong, logged.
 */
int session_hear(struct session *);
/*
 * monitors.c: the newer generation has decided on its claim (CLAIM_*). fd, which stays the caller's: the rates'
 * memory, or -1.
 */
void session_claimed(struct session *, int verdict, int fd);
/* monitors.c: there is nobody any more who would decide: as this one's own counts say. */
void session_claimed_here(struct session *);
/* Every socket has another, for as long as the system runs. 0: this kernel does not tell. */
uint64_t session_socket_number(int fd);
/* One of its processes has ended (reaper_handler). */
void session_process_gone(void *process);
/* All three live. The event loop may not have heard yet of the end of one. */
bool session_is_whole(const struct session *);
bool session_is_gone(const struct session *);
/* Frees one whose processes are all gone. */
void session_free(struct session *);

/* All sessions in a state. */
struct session_list *pool_list(const struct server *, enum session_state);

/* From session.c to pool.c. */
void pool_session_changed(struct session *);
void pool_session_ended(struct session *);
/* It has been told to stop: see to it that it does. */
void pool_watch(struct session *);
/* Its client counts against no limit any more. Once is enough. */
void pool_release(struct session *);
/* Why a session ended that served nobody, once its process is reaped. */
void pool_explain(struct session *, const char *cause);

#endif
