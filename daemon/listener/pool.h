/*
 * Sessions: three processes each, forked before a client arrives, verified from
 * outside, given to one client, supervised until all three have ended.
 */
#ifndef LISTENER_POOL_H
#define LISTENER_POOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"
#include "common/exitcode.h"
#include "daemon/listener/templates.h"

struct server;

/* What is known of a session with a client, for sallyctl. */
/*
 * How a session is called everywhere, in the log and by sallyctl: its number in hexadecimal, in id[STR_NUMBER_MAX].
 * Returns id.
 */
const char *session_id(char *id, uint64_t number);

struct session_facts {
	uint64_t number;
	const char *user, *class;	/* "" before login */
	const char *listener;
	const struct addr *peer;
	bool logged_in, blocked, ending;
	int64_t since;			/* wall clock, seconds */
	int64_t idle_ms;		/* since something was last reported */
	const char *what;		/* the running command, "" when none */
	uint64_t bytes_in, bytes_out;
	pid_t pid[MEMBER_COUNT];
};

/* 0 or -ENOMEM. */
int pool_start(struct server *);

/* A client: takes over fd. Answers 421 itself when there is no session for it within ten seconds. */
void pool_client(struct server *, int fd, const char *listener, const struct addr *peer, const struct addr *local);

struct crowd_member;
/* Somebody else needs its place: ends that client, who has not logged in, and who counts no more. */
void pool_drop(struct server *, struct crowd_member *);

/* Starts spares up to the minimum, retires those that are too old. Call after every change. */
void pool_fill(struct server *);

/*
 * Numbers of sessions with a client, of those whose processes are still ending, of spares, of clients waiting for a
 * spare.
 */
unsigned pool_busy(const struct server *);
unsigned pool_ending(const struct server *);
unsigned pool_spares(const struct server *);
unsigned pool_waiting(const struct server *);
/* Clients that count against max_sessions: those who wait, and those who are served and were not told to make room. */
unsigned pool_clients(const struct server *);
/* Sessions in any state, those included that are ending. */
unsigned pool_left(const struct server *);
/* The same without those whose processes were killed and are held by the kernel. */
unsigned pool_lasting(const struct server *);

/* Calls f for every session that has a client, those of an older generation included. */
void pool_each(const struct server *, void (*f)(void *, const struct session_facts *), void *context);

/*
 * Ends sessions after their running transfer, with this text in their 421; those
 * that were kicked before, at once.  which: a session's number, a user, or an address.  Returns how many.
 */
unsigned pool_kick(struct server *, const char *which, const char *text);
/* Ends the clients that wait, or have not logged in, and came by a listener that a reload has removed. */
void pool_end_gone(struct server *);
/* Gives the clients that wait to the newer generation. */
void pool_hand_over(struct server *);
/* Ends all spares, and refuses clients that wait. */
void pool_end_spares(struct server *);
/* Ends all spares, those included that are being forked; clients go on waiting. */
void pool_retire_spares(struct server *);
/* Ends the spares of older templates. */
void pool_retire_old_spares(struct server *);
/*
 * Asks all sessions to end, in turns: thousands of processes that end at the same time would leave no processor time
 * to those whose client is still to be told.  now: transfers are broken off.
 */
void pool_end_all(struct server *, const char *text, bool now, enum sp_end why);
/* Some have not been asked yet. That comes to an end: whoever has been asked and does not end is killed in time. */
bool pool_tells(const struct server *);
/* Who was not asked yet is not asked any more. */
void pool_end_none(struct server *);
/* Kills what is left, in turns as well. */
void pool_kill_all(struct server *);

/* The first spare is ready (start-up self-test): its processes. false: none yet. */
bool pool_spare_pids(const struct server *, pid_t pid[MEMBER_COUNT]);

/* From the templates. pid_fd is taken over. */
void pool_spawned(struct server *, enum member, uint64_t serial, pid_t pid, int pid_fd);
void pool_spawn_failed(struct server *, uint64_t serial, int error);

#endif
