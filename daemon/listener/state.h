/*
 * The listener as a whole: what its modules share.  One struct server a
 * process.  It never reads a byte from a client; what it reads comes from its
 * templates, monitors and sallyctl, through chan_receive().  Nothing here
 * may block.
 */
#ifndef LISTENER_STATE_H
#define LISTENER_STATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "daemon/listener/claim.h"
#include "daemon/listener/srclimit.h"
#include "privsep/role.h"

struct control;
struct doors;
struct elsewhere;
struct keeper;
struct link;
struct names;
struct pool;
struct reaper;
struct refusals;
struct reload;
struct section;
struct selftest;
struct templates;

/* How the server was started (main.c). */
struct options {
	const char *conf_path;		/* NULL: none (serve) */
	const char *libexec;		/* folder of the programs */
	bool debug;			/* log to stderr, everything */
	bool inetd;			/* one client, on descriptor 0 */
	bool no_stderr;			/* and that descriptor was standard error too */
	bool serve;			/* sallyportd serve DIR */
};

#define ADMISSION_REASONS 16

struct server {
	const struct options *options;
	struct event_base *base;
	struct conf *conf;
	const struct settings *settings;	/* conf_server(conf) */
	bool root;			/* uids can be changed */
	bool lax;			/* sandbox = best_effort */
	bool no_landlock;		/* it was tried at the start, and does not work here */
	bool stopping, ready;
	bool hurried;			/* stopping, and transfers were broken off */
	int exit_code;
	int64_t started;		/* clock_ms() */
	struct role_id self, worker, monitor, keeper_id;
	uint64_t sessions_served, sessions_refused, crashes;
	uint64_t refused_by[ADMISSION_REASONS];	/* as admission_each_reason() tells; since the start of this generation */
	struct {
		uint64_t logins, login_failures, transfers, bytes_in, bytes_out;
	} total;			/* since the start */

	struct srclimit *sources;
	struct claim_table *claims;
	struct templates *templates;
	struct pool *pool;
	struct section *sections;
	struct doors *doors;
	struct names *names;		/* NULL: none was ever looked up */
	struct refusals *refusals;
	struct refusals *strangers;	/* who left without having logged in */
	struct refusals *lines;		/* of the log that were given to clients who had not logged in */
	struct refusals *unsaid;	/* what they did that was not logged */
	struct event refusals_due;
	struct reaper *reaper;
	struct control *control;
	struct keeper *keeper;

	/* Other generations of this server (link.h, takeover.h). */
	struct link *older, *newer;		/* NULL: there is none */
	struct elsewhere *elsewhere;		/* the sessions of the older one; NULL: none was ever there */
	bool offered;				/* to serve; the older one has yet to agree */
	bool left;				/* the newer one serves; what is left here comes to its end */
	int starter_fd;				/* -1: there is no starter, and so no restart */
	pid_t starter_pid;
	int hold_fd;				/* the agents' locks, taken over from an older one; -1 */
	int (*restart)(struct server *, char *why, size_t size);	/* takeover.c: begins; 0 or why not; NULL: cannot be done */
	void (*restarted)(struct server *, int status, const char *text);	/* control.c: how it ended */

	/* server.c and start.c */
	struct reload *reload;			/* one is going on */
	char drain_text[257];
	struct event drain_end, stop_end, over;
	struct event signals[4];
	struct selftest *selftest;
};

#endif
