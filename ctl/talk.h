/*
 * The other end of FTP: a control connection as a client has it, in clear or over TLS, for sallyctl probe.  Nothing
 * that the server says is trusted; everything has to be over by a time.
 */
#ifndef CTL_TALK_H
#define CTL_TALK_H

#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"

struct talk {
	int fd;				/* -1: not connected */
	int64_t end;			/* clock_ms() at which it is given up */
	struct ssl_ctx_st *ctx;
	struct ssl_st *ssl;		/* NULL: in clear */
	size_t n;			/* bytes of in that are not used yet */
	char in[4096];
	char text[256];			/* the last line of the last reply, without its code, cut where it is longer */
};

/* Connects.  0 or -errno; -ETIMEDOUT when `end` came first.  talk_close() it in either case. */
int talk_open(struct talk *, const struct addr *, int64_t end);

/*
 * Begins TLS; the certificate is judged by nobody here, see SSL_get_verify_result().  name: for SNI, and to be compared
 * with the certificate; NULL: neither.  0, -errno, SP_ECLOSED, or SP_EREPLY when the other end speaks no TLS that is
 * known here.
 */
int talk_tls(struct talk *, const char *name);

/* The code of the next reply (RFC 959, 4.2), text set; -errno, SP_ECLOSED, or SP_EFORMAT for what is no reply. */
int talk_reply(struct talk *);

/* Sends a command; an argument of NULL is none.  The code of its reply, as above. */
int talk_command(struct talk *, const char *verb, const char *argument);

void talk_close(struct talk *);

#endif
