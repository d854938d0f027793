/*
 * Sockets on which clients arrive: how they are opened, and what is set on
 * them.  Used by doors.c.
 */
#ifndef LISTENER_SOCKET_H
#define LISTENER_SOCKET_H

#include "common/addr.h"

/* Whatever is set here is inherited by accepted sockets, so that no session need do it. 0 or -errno. */
int socket_options(int fd);
/*
 * A socket that listens at this address.  A machine without IPv6 still has the wildcard: *address is then that of IPv4.
 * A descriptor or -errno.
 */
int socket_open(struct addr *address);

#endif
