/*
 * One connection under TLS, as tls_stream.c (bytes) and tls_session.c (what
 * they mean for the session) share it.  Nobody else includes this.
 */
#ifndef DAEMON_WORKER_TLS_LINK_H
#define DAEMON_WORKER_TLS_LINK_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stdint.h>

#include "daemon/worker/tls_bio.h"
#include "daemon/worker/tls_stream.h"

enum tls_phase { PHASE_HANDSHAKE, PHASE_FAILED, PHASE_OPEN, PHASE_CLOSING, PHASE_CLOSED };

/* One connection. */
struct tls_link {
	SSL *ssl;
	struct tls_session *session;
	struct tls_wire wire;
	enum tls_phase phase;
	bool data;
	bool receiving;
	bool in_kernel;		/* OpenSSL has the socket itself, and the kernel's TLS if it can be had */
	bool peer_closed;	/* its closing message has come */
	bool offered;		/* it showed a ticket of any origin */
	bool numbered;		/* or the number of a session, if TLS 1.2 was spoken */
	uint32_t serial;	/* of the ticket of this session that it showed, 0: none */
	bool from_control;	/* which had given that ticket */
	bool trusted;		/* it goes back to the control connection */
	bool expired;		/* trusted, but too old */
	int64_t age_s;		/* of that ticket */
	uint32_t given;		/* serial of the last ticket that this connection gave, 0: none */
	bool refused;		/* by tls_link_judge() */
	bool torn;		/* the peer reset it */
	uint8_t *file;		/* READ_FILE bytes, mapped at the first use */
	size_t put_off;		/* bytes of it that OpenSSL could not write yet and insists on */
};

/*
 * The handshake has ended well.  0; or SP_EDENIED: session_reuse or the client
 * certificate forbids the data connection's use.
 */
int tls_link_judge(struct tls_link *);
/* A control connection begins: its handshake is kept where the client will be asked for a certificate. 0, -ENOMEM. */
int tls_link_note_handshake(struct tls_link *);
/* The connection ends: what that means for later ones. Before its SSL is freed. */
void tls_link_ended(const struct tls_link *);
/* Logs why it has not. */
void tls_link_failed(const struct tls_link *, int code);

#endif
