/*
 * The messages of a TLS handshake, from ClientHello to the client's
 * CertificateVerify (RFC 8446, 4; RFC 5246, 7.4), taken apart.  Pure functions over hostile
 * input: what a worker that was taken over says its client has sent and got.  They find places; proof.c
 * judges what stands there.
 */
#ifndef DAEMON_VERIFIER_TRANSCRIPT_H
#define DAEMON_VERIFIER_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the transcript. */
struct span {
	const uint8_t *at;
	size_t len;
};

/* What one side has signed, and how. */
struct signed_part {
	uint16_t scheme;	/* RFC 8446, 4.2.3 */
	struct span signature;
	struct span before;	/* the messages in front of this one, from the first of all */
};

struct transcript {
	bool tls13;
	uint16_t suite;
	struct span retried;		/* TLS 1.3 with a HelloRetryRequest: the first ClientHello; else empty */
	struct span client_random, server_random;
	struct span parameters;		/* TLS 1.2: what ServerKeyExchange signs besides the randoms */
	struct span issuers;		/* of CertificateRequest: names, each with a length */
	struct span server_chain, client_chain;
	struct signed_part server, client;
};

/* 0, or SP_EFORMAT: it is not the whole of such a handshake, byte for byte. The spans lie in the bytes given. */
int transcript_parse(struct transcript *, const uint8_t *bytes, size_t len);

/* Is the name (DER) one of those that the client was told? */
bool transcript_has_issuer(const struct transcript *, const uint8_t *name, size_t len);

/* Takes the next certificate (DER) off a chain. False: there is none, or what follows is none. */
bool transcript_next_certificate(const struct transcript *, struct span *chain, struct span *certificate);

#endif
