/*
 * Doors: the sockets on which clients arrive.  Nothing is ever read from a
 * client; what becomes of it admission.h says.
 */
#ifndef LISTENER_DOORS_H
#define LISTENER_DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/addr.h"

struct json;
struct server;

/*
 * Opens the sockets that the configuration names, or takes those that systemd
 * handed over (LISTEN_FDS), whose names (FileDescriptorName=) are names of
 * listener sections.  0 or a negative code, said on the log.
 */
int doors_open(struct server *);
/*
 * After a reload: sockets at addresses that the configuration still names stay, those at others are closed, new
 * ones are opened.  text[size] gets a line for each that could not be opened, which is also on the log; "" when
 * there is none. Sockets of systemd stay; those whose section is gone only refuse.
 */
void doors_reload(struct server *, char *text, size_t size);
/*
 * Before doors_open(): a socket that the generation before this one listens on, as doors_give() described it.
 * Those that the configuration names are kept.  Takes over fd.  0 or a negative code.
 */
int doors_take(struct server *, int fd, const struct addr *wanted, const char *name, bool inherited);
/* Calls f with each socket, to be given to the next generation; it stays open and this one's. */
void doors_give(const struct server *, void (*f)(void *, int fd, const struct addr *wanted, const char *name, bool inherited),
    void *context);
/* Accepts nobody until doors_begin(); clients wait. */
void doors_pause(struct server *);
/* Begins to accept. */
void doors_begin(struct server *);
/* Accepts no more; the sockets are closed. */
void doors_close(struct server *);
/* One client that is connected already (inetd): takes over fd. */
void doors_admit(struct server *, int fd, const char *listener);
/*
 * A client whose session ended by REIN and who wants another: as one that has just been accepted, with all limits.
 * Takes over fd.
 */
void doors_return(struct server *, int fd, const char *listener, const struct addr *peer, const struct addr *local);

/* Addresses that are listened on, for people: calls f with each. */
void doors_each(const struct server *, void (*f)(void *, const char *text), void *context);

#endif
