/*
 * What a generation that has left tells the newer one of its sessions, so that
 * limits count both.  Each function does nothing while this one serves itself.
 */
#ifndef LISTENER_TELL_H
#define LISTENER_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"
#include "privsep/msg.h"

struct server;
struct session;

/* Everything that there is: its counts, sessions, bans. */
void tell_all(struct server *);
void tell_activity(const struct session *);
void tell_end(const struct session *);
/* false: it is to be decided here. Otherwise session_claimed() follows. */
bool tell_claim(const struct session *, const struct msg_claim *);
void tell_failed_login(const struct session *);
void tell_penalty(const struct session *, int64_t ms);
/* Takes over fd, if it returns true. */
bool tell_client(struct server *, int fd, const char *listener, const struct addr *peer, const struct addr *local);

#endif
