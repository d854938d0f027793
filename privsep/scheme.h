/*
 * TLS signature schemes: what the worker may ask the keeper to sign with.
 * Used by the worker's provider and by the keeper.  Plain facts, no library.
 */
#ifndef PRIVSEP_SCHEME_H
#define PRIVSEP_SCHEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scheme_key { SCHEME_RSA, SCHEME_EC, SCHEME_ED25519 };

/* The shapes of a message to be signed; a mask. */
enum tbs_shape {
	TBS_NONE	= 0,
	TBS_TLS12	= 1 << 0,	/* ECDHE parameters of ServerKeyExchange (RFC 8422, 5.4) */
	TBS_TLS13	= 1 << 1	/* server CertificateVerify (RFC 8446, 4.4.3) */
};

struct scheme {
	uint16_t code;
	const char *name;
	enum scheme_key key;
	const char *digest;
	bool pss;
	unsigned shapes;	/* mask of enum tbs_shape */
	const char *group;
};

/* The i-th scheme in order of preference, NULL after the last. */
const struct scheme *scheme_at(size_t i);
/* By its number in TLS; NULL when it is none of ours. */
const struct scheme *scheme_by_code(unsigned code);
/* By what a signature is made of; digest is compared without regard to case or dash. NULL: none of ours. */
const struct scheme *scheme_find(enum scheme_key, const char *digest, bool pss);
/* The OpenSSL name of a kind of key: "RSA", "EC", "ED25519". */
const char *scheme_key_name(enum scheme_key);

#endif
