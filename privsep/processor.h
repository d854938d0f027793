/*
 * The three processes of a session that nobody has logged in to take turns:
 * one waits for the other.  On one processor that costs less than on two,
 * which have to be woken by each other, fill their caches with the same pages,
 * and flush each other's translations when a process ends.  So a template
 * forks them all for one processor, and those of the next sessions for the next one;
 * with its first request a session goes wherever there is room.
 *
 * Used by templates and session processes.  Nothing depends on it: where the
 * system does not allow it, or has one processor, nothing happens.
 */
#ifndef PRIVSEP_PROCESSOR_H
#define PRIVSEP_PROCESSOR_H

#include <stdint.h>

/* Remembers where this process may run. In a template, before its sandbox. */
void processor_prepare(void);

/* The template, before it forks for the session of that serial: binds itself, and so the child, to the session's processor. */
void processor_take(uint64_t serial);

/*
 * The session's process may run anywhere again: from now on, or for what takes long or
 * must not inherit the bond (a password's hash, PAM modules, programs).  Costs nothing when it is so already.
 */
void processor_leave(void);
/* Back to the session's processor. */
void processor_return(void);

#endif
