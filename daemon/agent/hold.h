/*
 * One change of the tree's shape at a time.  A link's stored text counts on the depth of its directory, and whether a
 * rename makes one lead out can only be told while nothing else is renamed and no link is made: RNTO and SITE SYMLINK
 * take this lock, find both places anew, look, and act.  Sessions with the same root share it, whatever their accounts.
 *
 * The lock is no directory's: whoever can open one can lock it.  In an empty memory file that only the agents of a
 * server have, each directory has a byte.  Roots can lie in each other: whoever changes a tree locks the byte of
 * its root for itself, and those of all directories above it together with others.  So a root waits for those
 * within it and these for it, but neighbours do not wait for each other.
 */
#ifndef AGENT_HOLD_H
#define AGENT_HOLD_H

#include "daemon/agent/agent.h"

/* Agents that are forked from now on use that file, if there is one. */
void hold_share(int fd);

/* Finds out what is locked, while what lies above the root can still be seen. */
void hold_begin(const struct agent *);

/*
 * Takes the lock.  Another session is waited for a second, all together for five: its file system may hang, and it
 * may be another tenant's.  Then the log names the process, the deed is done without the lock, and what is looked
 * at after it decides alone.  0, SP_ECLOSED when the session ends.
 */
int hold_tree(struct agent *);
void hold_release(void);

/*
 * Is the place's directory still the one at its canonical path, and what it holds, if anything was found, that
 * object?
 */
bool hold_same_folder(const struct agent *, const struct place *);
bool hold_same_object(const struct agent *, const struct place *);

/* Another session has what is wanted, for the try-th time. Waits a moment; false: the monitor is gone. */
bool hold_wait_turn(const struct agent *, unsigned try);

#endif
