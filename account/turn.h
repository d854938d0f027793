/*
 * Turns at hashing passwords.  Each login is checked in a process of its own,
 * and modern hashes take megabytes on purpose: many logins at once must
 * wait for each other before they take the machine's memory.  The budget is
 * shared by all sessions that come from one template.  Only password.c uses
 * it, and sources.c sets it up.
 *
 * A turn is a lock, which the kernel gives back when its process ends,
 * however it ends: no crash and no kill can use the budget up.
 */
#ifndef ACCOUNT_TURN_H
#define ACCOUNT_TURN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Makes the budget, in bytes of memory, for this process and all that it will
 * fork; an earlier one is given up.  Without one, nobody waits.  0 or -errno.
 */
int turn_open(uint64_t memory);

/*
 * Waits until so many bytes of the budget are free, and takes them.  A process has one
 * turn at a time.  -E2BIG: the whole budget is smaller; or -errno.
 */
int turn_take(uint64_t memory);
/* Is the whole budget large enough for that? */
bool turn_fits(uint64_t memory);
/*
 * From now on this process waits behind those that do not: of such only so many as fill half of the budget look for
 * a turn.
 */
void turn_yield(bool yields);
/* For a process that hashes no more: in its hands the locks would only keep others waiting. */
void turn_close(void);
/* Gives back what turn_take() took. */
void turn_end(void);

#endif
