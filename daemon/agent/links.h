/*
 * Symbolic links that a rename would make lead out of the root.  Clients never see what is outside, but a web server or
 * a backup that reads the same tree follows the stored text.  Used by change.c.
 */
#ifndef AGENT_LINKS_H
#define AGENT_LINKS_H

#include "authz/root.h"

/*
 * Does the object of `from`, a link or a folder with links, hold a text that leads out of the root from the place
 * `to`, which is less deep?  0: no; 1: yes; -errno: it cannot be told.
 */
int links_escape(const struct place *from, const struct place *to);

/*
 * Moves such a link, which is no folder: a new one with a text that leads to the same object takes its place. flags of
 * renameat2(2). 0 or -errno; -EXDEV: there is no such text, for it led out before.
 */
int links_move(const struct place *from, const struct place *to, unsigned flags);

/*
 * After the rename: removes such links, which another session made while it went on. Returns how many, or -errno.
 */
int links_remove_escaped(const struct place *from, const struct place *to);

#endif
