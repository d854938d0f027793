/*
 * The starter: a small process with the privileges of the start that executes
 * the program anew when the listener asks for it.  The listener cannot do that
 * itself: its filter and its capabilities would bind the new program as well,
 * which may be of another version.  It takes one message, which has no
 * fields, from its listener only, and ends with it.
 */
#ifndef LISTENER_STARTER_H
#define LISTENER_STARTER_H

struct server;

#define STARTER_LINK "SALLYPORT_LINK"	/* environment: the descriptor of the link, for who was started */

/* What is to be executed: that of main(). To be called before anything changes directory or arguments. */
void starter_remember(char **argv);
/* Forks it, while the process still has its privileges and no sockets. 0 or a negative code. */
int starter_fork(struct server *);
/* Starts a new generation that has link_fd as its end of the link; that stays the caller's. 0 or a negative code. */
int starter_ask(struct server *, int link_fd);
/* It is of no more use, and ends. */
void starter_end(struct server *);

#endif
