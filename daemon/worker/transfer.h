/*
 * The transfer engine: moves bytes between a data connection and a file, or a
 * listing to a data connection, while the control connection is served: ABOR
 * and STAT at once, everything else in order afterwards.  A transfer is a
 * sequence of steps; each does what is possible and tells what it waits for.
 */
#ifndef WORKER_TRANSFER_H
#define WORKER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/worker/ascii.h"
#include "daemon/worker/stream.h"

struct session;

enum transfer_end {
	TRANSFER_OK,
	TRANSFER_ABORTED,	/* by ABOR */
	TRANSFER_STOPPED,	/* the control connection is gone, or the session must end */
	TRANSFER_UNCONNECTED,	/* no data connection came about */
	TRANSFER_INSECURE,	/* its TLS failed */
	TRANSFER_BROKEN,	/* it was reset */
	TRANSFER_CUT,		/* an upload ended without the word that TLS demands */
	TRANSFER_STALLED,
	TRANSFER_UNREADABLE,	/* the file: error says why */
	TRANSFER_SHORTENED,	/* the file ended before the byte that was promised: no error, it was cut meanwhile */
	TRANSFER_UNWRITABLE,
	TRANSFER_NO_ROOM,	/* more than the account may store */
	TRANSFER_INCOMPLETE,	/* a listing that the agent could not finish */
	TRANSFER_ENDS
};

struct transfer {
	struct session *s;
	struct stream data;
	const char *verb, *name;	/* for STAT and NOTE */
	bool upload, listing, convert, counted;
	bool incomplete;		/* a listing that the agent could not finish */
	int file_fd;			/* -1: none */
	off_t at, stop;			/* download: next byte, and the one after the last */
	uint64_t room;			/* upload: bytes that may be stored */
	char limit[33];			/* the setting that room comes from */
	uint64_t moved;			/* bytes on the data connection */
	uint64_t stored;		/* bytes written to the file */

	int (*step)(struct transfer *);
	int (*move)(struct transfer *);
	int wait_fd;			/* after -EAGAIN: -1: the data stream */
	short wait_events;
	int pause_ms;			/* after -EAGAIN: bandwidth limit, wait so long */
	bool progress;			/* since the clock was last looked at */
	int64_t progress_at, started, noted;
	uint64_t unlooked;		/* bytes since the control connection was looked at */

	char *buffer;			/* of buffer_size bytes; NULL: not needed yet */
	size_t have, sent;		/* bytes in it, and of those gone */
	struct ascii ascii;
	int pipe[2];			/* of a large upload, -1: not needed yet */
	bool said_end;			/* an upload whose client asked for the end: it has ours already */
	bool refused;			/* its client knows, and may still send: what comes is dropped */
	bool no_pipe;			/* it cannot be had, or the file does not take it */
	bool last;			/* nothing follows what is in the buffer */

	enum transfer_end end;
	int error;			/* -errno, of the file */
	char why[512];			/* of an incomplete listing */
};

/* All three take what the 150 reply says and end with the final reply. fd is taken over. */
struct download {
	const char *name;
	int fd;
	uint64_t first, end;		/* bytes of the file */
};
struct upload {
	const char *name;
	int fd;
	uint64_t room;
	const char *limit;		/* the setting that room comes from */
	bool unique;			/* STOU: the name is told in the form of RFC 1123, 4.1.2.9 */
};
void transfer_download(struct session *, const struct download *);
void transfer_upload(struct session *, const struct upload *);
/* A listing that the agent has opened. */
void transfer_listing(struct session *, const char *name);

/*
 * After a command for a transfer: where that never began the passive socket is given up.  A client that has
 * connected already would be reset by that, and some who meet a reset never look at the answer; so its connection
 * is told the end, and what comes all the same is dropped until the client ends it, sends another command, or
 * nothing for a while.
 */
void transfer_refused(struct session *);

/*
 * Serves the control connection without waiting.  0: go on; otherwise the end
 * that it asks for.  Also for long computations (checksums).
 */
enum transfer_end transfer_look(struct session *);

/*
 * Every command has a reply: the ABORs that came during a transfer or a computation, which has had its own.  first is
 * that of the first of them; what others would have aborted is over.
 */
void transfer_answer_aborts(struct session *, const char *first);

/* One line of the state of the running transfer, for STAT. */
void transfer_describe(const struct transfer *, char *dst, size_t size);

#endif
