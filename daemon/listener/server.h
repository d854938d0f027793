/*
 * The listener as a whole: what its modules share.  One struct server a
 * process.  It never reads a byte from a client; what it reads comes from its
 * templates, monitors and sallyctl, through chan_receive().  Nothing here
 * may block.
 */
#ifndef LISTENER_SERVER_H
#define LISTENER_SERVER_H

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
struct keeper;
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
	struct event refusals_due;
	struct reaper *reaper;
	struct control *control;
	struct keeper *keeper;

	/* server.c and start.c */
	struct reload *reload;			/* one is going on */
	char drain_text[257];
	struct event drain_end, stop_end, over;
	struct event signals[4];
	struct selftest *selftest;
};

/* The rules of srclimit for one listener section ("" : the server's). */
struct srclimit_rules server_rules(const struct server *, const char *listener);
/* Those by which an address counts as refused, for lists of bans. */
struct srclimit_rules server_ban_rules(const struct server *);

/* Begins an orderly stop: no new clients, sessions may finish until stop_timeout, then ends the loop. */
void server_stop(struct server *, const char *why);
/* Ends the event loop when a stop is due and the last session has gone. */
void server_check_stopped(struct server *);
/*
 * Refuses new clients with this text until the server stops or it is taken
 * back (text NULL).  end_after: milliseconds after which the sessions that are left
 * are asked to end, each after its running transfer.
 */
void server_drain(struct server *, const char *text, int64_t end_after);
/* The text for refused clients; NULL: they are welcome. */
const char *server_drain_text(const struct server *);

/* A new generation of templates has taken over; or died before it could, with this exit code (-1: by a signal). */
void server_templates_ready(struct server *);
void server_templates_failed(struct server *, int exit_code);

/* A spare was verified; or was not what it claimed. */
void server_spare_ready(struct server *);
void server_session_unsound(struct server *);

/* Host names were looked up, or could not be (names.c). */
void server_names_known(struct server *);

/* The self-test is over; failure: what went wrong, NULL: nothing. */
void server_selftest_done(struct server *, const char *failure);

/*
 * The path of sallyctl, which is executed for what the listener cannot do itself: it stands beside the programs of the
 * roles in a build, and in its own directory when installed.  path is where it may be written.
 */
const char *server_sallyctl(const struct server *, char *path, size_t size);

/* Timers and the like; once. 0 or -ENOMEM. */
int server_init(struct server *);
/* What the command line says overrides what a file says. */
void server_override(const struct server *, struct conf *);
/* Opens the log of the configuration. 0 or a negative code, said on stderr. */
int server_open_log(const struct server *);

#endif
