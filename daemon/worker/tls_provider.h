/*
 * A built-in OpenSSL provider whose private keys are numbers: it forwards each
 * whole message to be signed to whoever holds the key (the keeper), and does
 * nothing else.  Key exchange, ciphers, digests and verification stay with
 * the default provider.  One keymgmt and one signature implementation for RSA,
 * ECDSA and Ed25519; no decryption, no export of what it does not have.
 *
 * Used by the worker's TLS code.  Global, as providers are: one signer a process.
 */
#ifndef DAEMON_WORKER_TLS_PROVIDER_H
#define DAEMON_WORKER_TLS_PROVIDER_H

#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;

/*
 * Makes a signature over the whole message with key number key and a TLS
 * SignatureScheme (privsep/schemes.def).  *len: room, then length.  0 or a
 * negative code, which fails the handshake.
 */
typedef int tls_signer(void *context, uint32_t key, unsigned scheme, const void *message, size_t message_len,
    uint8_t *signature, size_t *len);

/* Adds the provider to the default library context, once. 0 or -EIO (the reason is in OpenSSL's error queue). */
int tls_provider_load(void);

/* Takes both providers out again: for processes that end by returning from main(). No key of ours may be left. */
void tls_provider_unload(void);

/* Who signs from now on. */
void tls_provider_set_signer(tls_signer *, void *context);

/*
 * A key object for SSL_CTX_use_PrivateKey(): the public key of a certificate
 * and the number by which the signer knows its private half.  The caller frees it
 * with EVP_PKEY_free().  NULL when its kind is none of ours.
 */
struct evp_pkey_st *tls_provider_key(struct evp_pkey_st *public, uint32_t number);

#endif
