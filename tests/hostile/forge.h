/*
 * Forged packets for every row of privsep/messages.def, as a hostile peer
 * would send them.  A packet knows what the receiver must say to it.  Used
 * against chan_receive() alone and against whole processes of a session.
 */
#ifndef TESTS_HOSTILE_FORGE_H
#define TESTS_HOSTILE_FORGE_H

#include <stddef.h>
#include <stdint.h>

#include "privsep/chan.h"

#define FORGE_FDS_MAX (MSG_FDS_MAX + 2)

struct packet {
	const char *what;	/* the way it is wrong, for messages */
	uint8_t bytes[MSG_SIZE_MAX + 64];
	size_t len;
	char kinds[FORGE_FDS_MAX + 1];	/* of the descriptors that go with it: letters of messages.def */
	enum msg_channel channel;	/* on which it is sent */
	enum msg_role sender;
	unsigned states;		/* in which the receiver is */
	int error;			/* what chan_receive() must return */
};

/* The ways a row can be forged: forge() with 0, 1, ... until it returns false. Ways that a row has not are skipped. */
bool forge(struct packet *, unsigned type, unsigned way);

/* A row as it should be: every field at its bound, or with minimal fields. */
void forge_right(struct packet *, unsigned type, bool full);

/* A row with this path (NULL: an empty one) wherever a path or text stands, and this number in every number. */
void forge_with(struct packet *, unsigned type, const char *path, uint64_t number);

/* Makes a descriptor of a kind (a letter of messages.def). Aborts the test when it cannot. */
int forge_fd(char kind);
/* Where sockets cannot be made: what is sent for a connection, and stays open. -1: one is made. */
extern int forge_connection;

/* Sends the packet; the descriptors are made and closed. 0 or -errno. */
int forge_send(int fd, const struct packet *);

/* The role that receives what sender sends on a channel of that row. */
enum msg_role forge_receiver(const struct msg_row *);

#endif
