/*
 * What handlers do about the account's quota.  The rule (account/charge.h): lock, name the files that the deed
 * changes and where they lie, do it, settle; the monitor measures.  What a killed session was at is settled by whoever
 * takes the lock next.  For accounts without one all of this is nothing and succeeds.
 */
#ifndef AGENT_QUOTA_H
#define AGENT_QUOTA_H

#include "account/charge.h"
#include "daemon/agent/agent.h"

/* What is left; UINT64_MAX: no limit. 0 or a negative code. */
int quota_left(struct agent *, uint64_t *bytes, uint64_t *files);

/* Takes the account's lock, however long another session needs it. 0, or a negative code when the session ends. */
int quota_lock(struct agent *);

/*
 * An upload to fd begins, which is found again in that folder, at that canonical path.  Takes the lock.  0 or what to
 * answer.
 */
int quota_open(struct agent *, int fd, enum charge_kind, int dir_fd, const char *path);

/*
 * Names what is about to change, under the lock: parts as in enum charge_part; fd (-1: none) stays the caller's.
 * keep, left alone without a quota, is what the upload's file may be cut to.  0, or what to answer: the deed must not
 * be done then, but what makes less may.
 */
int quota_deed(struct agent *, unsigned parts, int fd, uint64_t size, uint64_t *keep);

/*
 * quota_deed(), and where the other file lies, for whoever comes after should the session die: a directory, and the
 * path as the session sees it.
 */
int quota_change(struct agent *, unsigned parts, int fd, uint64_t size, int dir_fd, const char *path);

/* The same for a deed that was named already: where its second file lies, or its only one. */
int quota_intend(struct agent *, int dir_fd, const char *path);

/*
 * An entry is about to be made there. Takes the lock, which stays in any case for quota_settle(). 0 or what to
 * answer.
 */
int quota_make(struct agent *, const struct place *);
/* It has been made: this is to be charged. */
void quota_made(struct agent *, const struct place *);

/* Charges what is there now, and gives the lock back; without the lock, nothing. close: the open upload is over. */
int quota_settle(struct agent *, bool close);

/* There is a quota, and no monitor that charges: then an agent touches nothing more. */
bool quota_is_orphaned(const struct agent *);

/*
 * Removes a name from a folder, and gives back what it costs: unlinkat(2) with these flags.  path is the entry's;
 * NULL: it is a temporary file, which the table knows.  0 or -errno.
 */
int quota_remove(struct agent *, int dir_fd, const char *name, const char *path, int flags);

/* Looks, now and then, for what dead sessions of the account have left. */
void quota_sweep(struct agent *);

#endif
