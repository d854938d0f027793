/*
 * Has a client proved, in this session and to this server, that a certificate is its own?  The client signs all that
 * it has seen of the handshake, and among that are the server's certificate, the server's signature, and a name that
 * the monitor made up for this session.  Everything but the store and the server's certificates is hostile.
 */
#ifndef DAEMON_VERIFIER_PROOF_H
#define DAEMON_VERIFIER_PROOF_H

#include <stddef.h>
#include <stdint.h>

struct stack_st_X509;
struct x509_store_st;
struct x509_st;

/* What a listener believes; made by proof_terms_make(). */
struct proof_terms {
	struct x509_store_st *store;	/* issuers of client certificates, and what they have revoked */
	struct stack_st_X509 *own;	/* the server's certificates */
};

struct conf;

/* From the sealed files, by the settings of that listener. NULL, or what is wrong. */
const char *proof_terms_make(struct proof_terms *, const struct conf *, const char *listener, const void *files,
    size_t len);
void proof_terms_free(struct proof_terms *);

/*
 * Checks the handshake (transcript.h) against the challenge.  NULL, and *leaf is the client's certificate, the
 * caller's to free; or what is wrong, for the log.
 */
const char *proof_check(const struct proof_terms *, const uint8_t *challenge, size_t challenge_len,
    const uint8_t *handshake, size_t len, struct x509_st **leaf);

#endif
