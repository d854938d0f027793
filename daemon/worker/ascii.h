/*
 * Line ends of TYPE A transfers (RFC 959, 3.1.1.1): LF in files, CR LF on the
 * wire.  Pure; in pieces of any size.
 */
#ifndef WORKER_ASCII_H
#define WORKER_ASCII_H

#include <stdbool.h>
#include <stddef.h>

struct ascii {
	bool cr;	/* the last byte seen was a CR */
};

/* To the wire: out holds 2 * n bytes. A LF after a CR stays alone. Returns the bytes written. */
size_t ascii_encode(struct ascii *, const char *in, size_t n, char *out);

/* From the wire, n + 1 bytes of room in out (which must not be in): a CR at the end is kept for the next piece. */
size_t ascii_decode(struct ascii *, const char *in, size_t n, char *out);
/* At the end of the data: the CR that was kept. */
size_t ascii_decode_end(struct ascii *, char *out);

#endif
