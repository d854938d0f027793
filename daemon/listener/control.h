/*
 * The control socket: sallyctl's commands.  Whoever may connect to the socket may
 * do everything; its owner, group and mode are the gate.  A slow or silent
 * client costs a descriptor and the memory of its answer, nothing else, and
 * makes room when there are too many.
 */
#ifndef LISTENER_CONTROL_H
#define LISTENER_CONTROL_H

struct server;

/* Opens the socket of the configuration. 0 or a negative code, said on the log. */
int control_open(struct server *);
/* Its place was another generation's until now: from now on sallyctl reaches this one. 0 or a negative code. */
int control_take_place(struct server *);
/* The place is a newer generation's: nobody new is heard; who is connected is answered still. */
void control_leave(struct server *);
/* Removes it. */
void control_close(struct server *);
/* Whoever waits for the result of a reload gets it: an exit code and its text, or the same in JSON. */
void control_reloaded(struct server *, int status, const char *text);

#endif
