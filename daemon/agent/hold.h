/*
 * One change of the tree's shape at a time.  A link's stored text counts on the depth of its directory, and whether a
 * rename makes one lead out can only be told while nothing else is renamed and no link is made: RNTO and SITE SYMLINK
 * take this lock, find both places anew, look, and act.  Sessions with the same root share it, whatever their accounts.
 *
 * Roots can lie in each other.  In a file that the agents of a server share each directory has a byte: whoever changes
 * a tree locks that of its root for itself, and those of all directories above it together with others.  So a root waits for
 * those within it and these for it, but neighbours do not wait for each other.
 */
#ifndef AGENT_HOLD_H
#define AGENT_HOLD_H

#include "daemon/agent/agent.h"

/* Agents that are forked from now on use that file, if there is one. */
void hold_share(int fd);

/* Opens what is locked, and finds out what lies above: as root, so that no tenant can close it to their other sessions, or at least as the user. */
void hold_begin(struct agent *);

/*
 * Takes the lock, however long another session of the same root needs it; sessions whose roots lie within or above are waited for
 * a few seconds only, for nobody of those is to stop this one for ever.  0, SP_ECLOSED when the session ends.  A file system
 * that knows no such locks is no error: what is looked at after the deed is all there is then.
 */
int hold_tree(struct agent *);
void hold_release(struct agent *);

/* Is the place's directory still the one at its canonical path, and what it holds, if anything was found, that object? */
bool hold_same_folder(const struct agent *, const struct place *);
bool hold_same_object(const struct agent *, const struct place *);

/* Another session has what is wanted, for the try-th time. Waits a moment; false: the monitor is gone. */
bool hold_wait_turn(const struct agent *, unsigned try);

#endif
