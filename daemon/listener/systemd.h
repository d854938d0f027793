/*
 * What a service manager wants to know, and sockets that it opened: the
 * protocols of sd_notify(3) and sd_listen_fds(3), without its library.  Reads
 * NOTIFY_SOCKET, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES of the environment.
 */
#ifndef LISTENER_SYSTEMD_H
#define LISTENER_SYSTEMD_H

#include <stddef.h>

/* Sends lines such as "READY=1\nSTATUS=...". Without a manager nothing happens. */
void systemd_notify(const char *lines);
/* The number of sockets handed over, from descriptor 3 on; 0: none. */
int systemd_listen_fds(void);
/* Descriptor i, close-on-exec from now on, and its name ("" when it has none). */
int systemd_listen_fd(int i, char *name, size_t size);

#endif
