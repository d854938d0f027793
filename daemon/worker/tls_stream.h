/*
 * TLS under the worker's streams (daemon/worker/stream.h): control and data
 * connections of one session.  Everything the peer sends is hostile; what
 * OpenSSL makes of it is a byte stream, an end with or without the closing
 * message, or an error.
 */
#ifndef DAEMON_WORKER_TLS_STREAM_H
#define DAEMON_WORKER_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/stream.h"
#include "daemon/worker/tls_profile.h"
#include "daemon/worker/tls_reuse.h"

struct chan;
struct x509_st;
struct x509_store_ctx_st;

#define TLS_BINDING	16
#define TLS_HANDSHAKE_MAX 65536	/* bytes of handshake */

/* What a connection is for. */
enum tls_use {
	TLS_CONTROL,
	TLS_SENDING,		/* data to the client */
	TLS_RECEIVING		/* data from the client */
};

/* TLS of one session. */
struct tls_session {
	struct tls_profile *profile;
	uint8_t binding[TLS_BINDING];	/* in each of its tickets */
	uint32_t serial;		/* of the last ticket */
	struct ssl_st *control;		/* NULL: not under TLS */
	struct tls_reuse reuse;
	char name[256];			/* host name that control asked for (SNI); "" none */
	struct x509_st *certificate;	/* the client's, verified; NULL: none */
	const uint8_t *challenge;	/* of SERVE: the owner's; see handshake */
	size_t challenge_len;
	/*
	 * Where clients are asked for a certificate, and until secured() has returned: the messages of the control
	 * connection's handshake up to the client's signature, as PROVE carries them.
	 */
	uint8_t *handshake;
	size_t handshake_len;
	bool handshake_closed;		/* nothing is added: it is complete, or was too long and is empty */
	char description[96];		/* "TLSv1.3 TLS_AES_128_GCM_SHA256", of the control connection */
	char refused_certificate[224];	/* what is wrong with the client's; "" nothing */
	char problem[256];		/* why the last handshake failed, for the log */
	const char *refusal;		/* why the last data connection was refused, for the client; NULL: it was not */
	/* Set by the owner after tls_session_begin(); may be NULL. */
	void (*secured)(struct tls_session *);		/* the control connection's handshake has ended well */
	void (*refused)(struct tls_session *);		/* refusal was set */
	void *owner;
};

/*
 * Begins TLS for the session: ticket keys of its own, and the keeper's channel as
 * the signer.  Both must outlive it.  0 or -EIO.
 */
int tls_session_begin(struct tls_session *, struct tls_profile *, struct chan *keeper);
void tls_session_end(struct tls_session *);

/*
 * Turns a plain stream into a TLS one, as the server.  Nothing is sent until
 * stream_handshake() or stream_read().  A data stream's handshake ends with
 * SP_EDENIED when session_reuse or the client certificate forbids its use.  0 or
 * -ENOMEM.
 */
int tls_stream_start(struct tls_session *, struct stream *, enum tls_use);

/* Has the handshake been finished? */
bool tls_stream_ready(const struct stream *);

/*
 * Back to clear text (CCC): sends the closing message and waits for the
 * client's, up to timeout_ms.  0: the stream is plain, and rest has what came
 * behind the client's closing message (*len: room, then length); or a negative code:
 * the session must end, among others when commands came in front of it.
 */
int tls_stream_strip(struct stream *, int timeout_ms, void *rest, size_t *len);

/* For tls_profile.c: the callbacks of a context. */
void tls_stream_prepare(struct ssl_ctx_st *);
/* For the same: looks on while a client's certificate is verified, and notes why it is refused. Returns ok. */
int tls_stream_note_verification(int ok, struct x509_store_ctx_st *);

#endif
