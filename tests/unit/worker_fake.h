/*
 * A session of the worker with everything around it faked: the client is the
 * test, monitor and agent are one process that follows simple rules:
 *
 *   user "nobody" is refused, "last" refused for the last time, "tls" needs
 *   TLS, "open" needs no password; the password of all others is "secret".
 *   Paths: "missing*" do not exist, "denied*" are forbidden by policy,
 *   "folder*" are folders, "big" has FAKE_BIG bytes, "tiny*" takes 10 bytes, "room*" 5000000,
 *   all others are files that hold FAKE_TEXT until something is stored.
 */
#ifndef TESTS_UNIT_WORKER_FAKE_H
#define TESTS_UNIT_WORKER_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/conf.h"
#include "privsep/msg.h"

#define FAKE_TEXT "one\ntwo\n"
#define FAKE_BIG (24 << 20)

/* What a forged peer does instead of answering. */
enum forgery {
	FORGE_NOTHING,
	FORGE_TYPE,		/* answers with the message type given */
	FORGE_UNKNOWN,		/* a type that does not exist */
	FORGE_ID,		/* the right answer to another question */
	FORGE_SHORT,		/* half a message */
	FORGE_LONG,		/* bytes left over */
	FORGE_NO_FD,		/* READING, WRITING, LISTENING, CONNECTING without descriptor */
	FORGE_TWO_FDS,
	FORGE_FOLDER_FD,	/* a folder instead of a file or socket */
	FORGE_BLOCKING,		/* a listening socket that blocks */
	FORGE_CLOSE,
	FORGERIES
};

struct fake {
	int client;
	pid_t server, peers;
	size_t have;
	char buffer[128 * 1024];
	char text[128 * 1024];	/* of the last reply, all lines */
};

struct fake_options {
	bool no_tls;			/* setting tls is off; otherwise control, and the monitor is asked at USER */
	bool convert;			/* setting ascii */
	uint64_t rate;			/* both directions */
	uint32_t idle_s, stall_s, data_s;
	enum forgery forgery;
	enum msg_type forged;		/* of FORGE_TYPE */
	enum msg_type at;		/* the request that is answered so */
	enum msg_type end_after;	/* this request is answered, and then the agent sends END_AFTER; MSG_NONE: never */
};

/* options NULL: defaults. Reads the greeting. */
void fake_start(struct fake *, const struct fake_options *);
/* Closes the client's side; returns the session's exit code, -1 when it was killed or hangs. */
int fake_stop(struct fake *);
/* start, and log in as "user". */
void fake_login(struct fake *, const struct fake_options *);

void fake_send(struct fake *, const char *bytes, size_t n);
/* The code of the next reply, 0 at the end of the connection, -1 for what is no reply, -2 when nothing comes. */
int fake_reply(struct fake *);
/* Sends a line and reads one reply. */
int fake_ask(struct fake *, const char *line);
/* True when nothing more arrives within some time. */
bool fake_silent(struct fake *, int ms);

/* EPSV and a connection: the data socket. */
int fake_data(struct fake *);
/* Reads to the end; returns the number of bytes, of which at most size are kept. -1 for an error. */
ssize_t fake_drain(int fd, char *dst, size_t size);

#endif
