/*
 * How the next data connection is to be made: the passive socket, which is
 * used again for each transfer of the session, or the client's address from
 * PORT and EPRT.  All sockets come from the agent; the worker only accepts.
 */
#ifndef WORKER_DATA_H
#define WORKER_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

struct session;

enum data_way { DATA_NONE, DATA_PASSIVE, DATA_ACTIVE };

struct data {
	enum data_way way;
	bool all;			/* EPSV ALL: for the rest of the session */
	int listen_fd;			/* -1: none yet */
	int early_fd;			/* the client's connection, which came before the command that it is for; -1: none */
	bool unattended;		/* accepting fails: left to the transfer, which can say so */
	struct addr told;		/* address and port of it, as told to the client */
	struct addr target;		/* of PORT or EPRT */
	unsigned strangers;		/* connections from elsewhere since the port was told */
	unsigned strangers_ever;	/* in this session */
};

void data_init(struct data *);
void data_close(struct data *);

/*
 * Makes sure there is a passive socket of that family (4 for PASV; 1, 2 or 0
 * for EPSV as in LISTEN) with an empty queue.  False: the client got its reply.
 */
bool data_listen(struct session *, unsigned family);

/*
 * After a command that may have used a data connection: when it was refused
 * instead, what was prepared for it is closed, and the next one must prepare
 * anew.  Perl's Net::FTP connects after the command and begins TLS before it
 * reads the reply: while the port was open, it would wait for us in vain.
 */
void data_refuse(struct data *);

/*
 * Accepts the client's data connection.  The descriptor, or -EAGAIN, -errno.
 * Connections from elsewhere are closed, however many there are: if they were
 * left in the queue, or a number of them gave the transfer up, anybody could
 * keep a client from its data.
 */
int data_accept(struct session *);

/* Closes a connection that was made before its command: ABOR, or another way was chosen.  The port stays. */
void data_forget_early(struct data *);

/*
 * What is to be watched between the command that told the port and the one
 * that transfers: a descriptor for POLLIN, or -1.  When it is readable,
 * data_attend() takes the client's connection out of the queue and keeps it
 * for data_accept(), and closes all others, so that the queue has room.
 */
int data_watched(const struct data *);
void data_attend(struct session *);

/*
 * Has the agent connect to the target.  The descriptor of a socket whose
 * connect is under way, or a negative code after which the client got its
 * reply.
 */
int data_connect(struct session *);

/* 0 when the connect of data_connect() has succeeded, else -errno (-EINPROGRESS: POLLOUT is awaited). */
int data_connected(int fd);

#endif
