/*
 * The bytes under TLS: a BIO over a non-blocking socket that reads and writes
 * in large pieces.  Records of 16 KiB that each cost a system call take twice
 * the processor time of records that leave sixteen at a time.
 *
 * Buffers grow when they are used up and vanish with the connection; a small
 * file never touches a large one.
 */
#ifndef DAEMON_WORKER_TLS_BIO_H
#define DAEMON_WORKER_TLS_BIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bio_st;

struct tls_buffer {
	uint8_t *data;
	size_t size, pos, len;		/* len bytes from pos on */
	bool mapped;
};

struct tls_wire {
	int fd;				/* the stream's */
	bool end;			/* the peer has said that nothing follows (FIN) */
	int error;			/* -errno of the last call that failed for good */
	bool batch;			/* collect what is written until flushed or full */
	struct tls_buffer in, out;
};

/* A BIO over the wire, which must outlive it. NULL: no memory. */
struct bio_st *tls_bio_new(struct tls_wire *);

/*
 * Makes room for a write of n bytes of TLS records, by growing the buffer or by
 * sending what is in it.  0, -EAGAIN or -errno.
 */
int tls_wire_room(struct tls_wire *, size_t n);
/* Sends everything collected. 0, -EAGAIN or -errno. */
int tls_wire_flush(struct tls_wire *);
void tls_wire_free(struct tls_wire *);

#endif
