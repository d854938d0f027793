/*
 * A byte stream to the client: the control connection or a data connection,
 * in the clear or under TLS.  Everything above (line reader, replies,
 * transfers) speaks to this and never to a socket or a TLS library.  A stream
 * never blocks: what cannot go on now returns -EAGAIN and sets want to the
 * poll(2) events to wait for.
 */
#ifndef WORKER_STREAM_H
#define WORKER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct stream;

struct stream_ops {
	/*
	 * Does what must be done before bytes can travel (TLS handshake).  0, -EAGAIN or a negative code.
	 */
	int (*handshake)(struct stream *);
	/*
	 * Bytes read; 0 at the orderly end; -EAGAIN; SP_ETRUNC when the peer ended without saying so in the way
	 * its protocol demands (TLS without close_notify); -errno.
	 */
	ssize_t (*read)(struct stream *, void *, size_t);
	/* Bytes taken, maybe fewer than offered; they may still be buffered until flush. */
	ssize_t (*write)(struct stream *, const void *, size_t);
	/*
	 * Sends up to n bytes of a regular file from *offset on and advances it.  Bytes taken, 0 at the end of the
	 * file. -EIO means the file could not be read.
	 */
	ssize_t (*send_file)(struct stream *, int fd, off_t *offset, size_t n);
	/*
	 * Moves up to n bytes into a pipe without copying them. As read. NULL: not possible with this kind of
	 * stream.
	 */
	ssize_t (*splice)(struct stream *, int pipe_fd, size_t n);
	/* 0 when everything written has gone to the kernel. */
	int (*flush)(struct stream *);
	/*
	 * Says that no more bytes follow and, where the protocol wants it, waits for the peer's word.  0, -EAGAIN, or a
	 * negative code.  The caller bounds the time.
	 */
	int (*shutdown)(struct stream *);
	/* Bytes already received that read() gives without the socket. */
	size_t (*pending)(const struct stream *);
	/* Frees what the ops allocated; the descriptor is the caller's. */
	void (*release)(struct stream *);
};

struct stream {
	int fd;				/* -1: closed; owned by the stream */
	short want;			/* POLLIN or POLLOUT, after -EAGAIN */
	const struct stream_ops *ops;
	void *state;			/* of the ops; NULL for plain */
};

/* The plain one: each call is one system call. */
extern const struct stream_ops stream_plain;

/* Takes over a connected socket as a plain stream. */
void stream_open(struct stream *, int fd);
/*
 * Before the close of a connection whose client may still be talking: says the
 * end and reads on, for a bounded time and amount.  A socket that is closed
 * with unread bytes is reset, and a reset can cost the client the reply that
 * says why (RFC 1122, 4.2.2.13).
 */
void stream_linger(struct stream *);
/* Releases what is above the socket, which stays open as a plain stream: to read on where TLS has failed. */
void stream_strip(struct stream *);
/* Releases and closes. 0 or -errno of close(2). */
int stream_close(struct stream *);

/* The same as the ops of this name. */
int stream_handshake(struct stream *);
ssize_t stream_read(struct stream *, void *, size_t);
ssize_t stream_write(struct stream *, const void *, size_t);
ssize_t stream_send_file(struct stream *, int fd, off_t *offset, size_t n);
bool stream_can_splice(const struct stream *);
ssize_t stream_splice(struct stream *, int pipe_fd, size_t n);
int stream_flush(struct stream *);
int stream_shutdown(struct stream *);
size_t stream_pending(const struct stream *);

/*
 * Writes everything, waiting up to timeout_ms for each step.  0, -ETIMEDOUT, or a negative code.
 */
int stream_write_all(struct stream *, const void *, size_t, int timeout_ms);

#endif
