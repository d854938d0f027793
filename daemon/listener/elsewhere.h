/*
 * The sessions of the generation before this one: counted with our own against
 * every limit, and shown with them, until they end or that generation does.
 * What is known of them is what it tells (link.h).
 */
#ifndef LISTENER_ELSEWHERE_H
#define LISTENER_ELSEWHERE_H

#include "daemon/listener/pool.h"
#include "privsep/msg.h"

/* Who the older generation is. 0 or -ENOMEM. */
int elsewhere_open(struct server *, const struct msg_link_hello *);
/* It has gone, and its sessions with it. */
void elsewhere_close(struct server *);
/* "" and 0: there is none. */
const char *elsewhere_version(const struct server *);
pid_t elsewhere_pid(const struct server *);

/* One handler for each message. 0, or why the other one is not to be believed. */
int elsewhere_begin(struct server *, const struct msg_link_begin *);
int elsewhere_login(struct server *, struct msg *);
int elsewhere_activity(struct server *, const struct msg_link_activity *);
int elsewhere_end(struct server *, const struct msg_link_end *);
/*
 * Counts a login as if it were one of ours. *fd: the rates' memory, which stays the table's, or -1. CLAIM_*, or
 * -ENOMEM.
 */
int elsewhere_claim(struct server *, const struct msg_link_claim *, int *fd);

/*
 * That client, which has not logged in, gives way to a newcomer: its generation is told to end it, and it is counted no
 * more.
 */
void elsewhere_drop(struct server *, struct crowd_member *);

/* How many there are. */
unsigned elsewhere_clients(const struct server *);
/* Calls f with each; pid of the facts is 0. */
void elsewhere_each(const struct server *, void (*f)(void *, const struct session_facts *), void *context);

#endif
