/*
 * What the listener does as a whole: begin to serve, drain, stop.
 */
#ifndef LISTENER_SERVER_H
#define LISTENER_SERVER_H

#include "daemon/listener/state.h"

/* The rules of srclimit for one listener section ("" : the server's). */
struct srclimit_rules server_rules(const struct server *, const char *listener);
/* Those by which an address counts as refused, for lists of bans. */
struct srclimit_rules server_ban_rules(const struct server *);

/* Begins an orderly stop: no new clients, sessions may finish until stop_timeout, then ends the loop. */
void server_stop(struct server *, const char *why);
/* Begins to accept clients, and says so. */
void server_serve(struct server *);
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
