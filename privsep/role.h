/*
 * Roles: what each process is and may be, from the table privsep/roles.def.
 * Spawn, drop, sandbox, verification, sallyctl sandbox and tests/roles read
 * it.  Pure data; trusts nothing.
 */
#ifndef PRIVSEP_ROLE_H
#define PRIVSEP_ROLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "privsep/msg.h"

/*
 * A process passes these in order and never goes back: each phase has its
 * user, its capabilities and its system calls.
 */
enum role_phase {
	PHASE_TEMPLATE,		/* it forks; listener and keeper: while starting */
	PHASE_SPARE,		/* a session process until login */
	PHASE_LIVE,		/* after login; listener and keeper: in service */
	PHASE_COUNT
};

/* Whose uid a process has in a phase. */
enum role_user {
	USER_ROOT,		/* that of the listener: root, or the caller of "sallyportd serve" */
	USER_WORKER,		/* worker_user */
	USER_MONITOR,		/* monitor_user */
	USER_KEEPER,		/* keeper_user */
	USER_SESSION		/* the user that logged in */
};

enum role_flag {
	ROLE_EMPTY_ROOT	= 1 << 0,	/* its root is an empty folder that no longer exists */
	ROLE_EMPTY_NET	= 1 << 1,	/* its network namespace has no address */
	ROLE_STDERR	= 1 << 2	/* its session processes keep stdout and stderr, the others have /dev/null */
};

/* What is loaded when a phase begins (privsep/syscalls.def). */
enum role_filter {
	FILTER_NONE,		/* no further filter */
	FILTER_LIST,		/* the listed calls and nothing else */
	FILTER_LESS,		/* without those that only earlier phases need */
	FILTER_BROAD		/* everything but the forbidden calls: PAM's modules and exec'ed programs */
};

/*
 * Descriptors that a session costs the listener: a channel, its three processes, the client's socket.  One more
 * while the client comes back by REIN and the old processes are ending; that is what limits are reckoned with.
 */
/*
 * From the listener to a monitor that is busy with a password and should give way to others.  A signal and a timer
 * of our own: PAM modules use alarm(2) for themselves.
 */
#define ROLE_SIGNAL_GIVE_WAY (SIGRTMIN + 3)

#define ROLE_SESSION_FDS	6

struct role_row {
	enum msg_role role;
	const char *name;	/* "worker" */
	const char *program;	/* "sallyport-worker" */
	enum role_user user[PHASE_COUNT];
	uint64_t caps[PHASE_COUNT];	/* the most it may have permitted, a bit each */
	enum role_filter filter[PHASE_COUNT];
	unsigned flags;		/* enum role_flag */
	unsigned files;		/* RLIMIT_NOFILE from the template on, 0: unchanged */
	unsigned memory;	/* RLIMIT_DATA in MiB from the template on, 0: unchanged */
	const char *doc;
};

/*
 * The row of a role; NULL for those that are no process of their own: ROLE_ANY, ROLE_TEMPLATE, ROLE_OLD, ROLE_NEW,
 * ROLE_CTL.
 */
const struct role_row *role_row(enum msg_role);
/* The role that a child of this one may take (the monitor's clerk); ROLE_ANY: none. */
enum msg_role role_helper(enum msg_role);
/* The number of filters loaded by a role itself when it is in a phase. */
unsigned role_filters(const struct role_row *, enum role_phase);
/* "template", "spare", "live" */
const char *role_phase_name(enum role_phase);
/* "root", "worker_user", ... */
const char *role_user_name(enum role_user);

/* Writes the table for a reader. */
void role_print(FILE *);

struct role_id {
	uid_t uid;
	gid_t gid;
};

/*
 * Finds a user of the configuration: "USER" or "USER:GROUP", each a name or a
 * number (a number alone is the gid too).  0, -ENOENT when there is no such user, SP_EFORMAT.
 * Asks the name service: listener and start of templates only.
 */
int role_find_user(const char *text, struct role_id *);

#endif
