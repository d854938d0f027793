/*
 * What a client's certificate says of its holder, as plain lines for the
 * monitor: it is the worker that parses ASN.1, because it can do nothing else.
 * The certificate has been verified; its names may still be anything.
 */
#ifndef DAEMON_WORKER_TLS_IDENTITY_H
#define DAEMON_WORKER_TLS_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define TLS_IDENTITY_MAX 8192

struct x509_st;

/*
 * "sha256:HEX" of the DER form, then "dns:NAME" and "email:NAME" of the
 * alternative names, each ended by LF.  Names with control bytes or blanks, and those that do
 * not fit any more, are left out.  The caller frees it.  NULL: no memory.
 */
uint8_t *tls_identity(struct x509_st *, size_t *len);

#endif
