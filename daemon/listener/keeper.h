/*
 * The keeper as the listener sees it: executed once, told which key files to
 * read, given one channel a session, executed afresh when it dies.  Files that
 * change are loaded again by themselves; a pair that cannot be used leaves the last good
 * one in place.
 */
#ifndef LISTENER_KEEPER_H
#define LISTENER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server;

/* Executes the keeper when the configuration has private keys. 0 or a negative code. */
int keeper_start(struct server *);
/*
 * After a reload: hands over new keys, or starts or stops it.  0; SP_EDENIED: a pair cannot be used or clients
 * would not believe it (keeper_fault()), what was there before stays in use; another negative code.
 */
int keeper_reload(struct server *);
/* What was wrong with the files that were loaded last; "": nothing. */
const char *keeper_fault(const struct server *);
void keeper_stop(struct server *);
/* It is in its sandbox and has its keys. */
bool keeper_running(const struct server *);
/*
 * It is wanted and not yet running, or the templates do not know its keys yet: no session may start, and no spare
 * be used.  Looks whether it has died, and then ends the spares, whose channels are dead.
 */
bool keeper_awaited(struct server *);
/* The public files of TLS for the worker's template, a sealed memory file; -1: none. It stays the keeper's. */
int keeper_files_fd(struct server *);
/* Its process; 0: it does not run. */
pid_t keeper_pid(const struct server *);

/* A certificate in use, for people. Times are seconds since 1970. */
struct keeper_certificate {
	const char *file, *algorithm, *names;
	int64_t not_before, not_after;
};

void keeper_each(const struct server *, void (*f)(void *, const struct keeper_certificate *), void *context);

/* Gives it a session's end of a channel; the fd stays the caller's. 0 or a negative code. */
int keeper_attach(struct server *, int fd);

#endif
