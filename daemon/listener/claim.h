/*
 * Counts of logged-in sessions by user and by class, for limits that only the
 * listener can keep because it alone sees all sessions.  Used by the
 * listener; the names come from monitors, which have proved them.
 */
#ifndef LISTENER_CLAIM_H
#define LISTENER_CLAIM_H

#include <stdint.h>

struct claim_table;

/* As CLAIMED carries them (privsep/messages.def). */
enum claim_verdict { CLAIM_COUNTED, CLAIM_USER_FULL, CLAIM_CLASS_FULL, CLAIM_STOPPING, CLAIM_LINGERING };

/* NULL: no memory. */
struct claim_table *claim_new(void);
void claim_free(struct claim_table *);

/* Counts a session; limits of 0 are none; an empty class is not counted. Or says which limit is reached, -ENOMEM. */
int claim_take(struct claim_table *, const char *user, const char *class, unsigned max_user, unsigned max_class);
void claim_release(struct claim_table *, const char *user, const char *class);
unsigned claim_users(const struct claim_table *, const char *user);
unsigned claim_classes(const struct claim_table *, const char *class);

/*
 * A session of the user has left a process behind that cannot be ended, because a file system hangs; its place is free
 * all the same.  Who has left several behind gets no session until they are gone (CLAIM_LINGERING).  0 or -ENOMEM.
 */
int claim_linger(struct claim_table *, const char *user);
void claim_linger_end(struct claim_table *, const char *user);

/*
 * A memory file that all sessions of a user share: a struct bucket_pair with
 * the account's common rates (bytes a second, 0: none), made on first use, its size sealed.
 * The descriptor belongs to the table.  -1: no such user, or no memory.
 */
int claim_memory(struct claim_table *, const char *user, uint64_t up, uint64_t down);
/* The same, if there is one already. -1: there is none. */
int claim_memory_of(const struct claim_table *, const char *user);
/* One that another generation of the server has made becomes the user's, if it has none. Takes over fd. */
void claim_adopt(struct claim_table *, const char *user, int fd);

#endif
