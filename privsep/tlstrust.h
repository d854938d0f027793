/*
 * Whom client certificates are believed for: authorities and revocation lists
 * out of the sealed files (privsep/tlsfiles.h), as OpenSSL wants them.  The worker
 * needs them for its handshakes, the verifier to look at the same certificates again.  The files are
 * the administrator's.  Only programs that use it link OpenSSL.
 */
#ifndef PRIVSEP_TLSTRUST_H
#define PRIVSEP_TLSTRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "privsep/tlsfiles.h"

struct settings;
struct stack_st_X509;
struct x509_store_st;
struct X509_name_st;

/* All certificates of a PEM text, in order; NULL: no memory. The caller's: tlstrust_free(). */
struct stack_st_X509 *tlstrust_certificates(const void *pem, size_t len);
void tlstrust_free(struct stack_st_X509 *);

/* Is the file one that these settings name? */
bool tlstrust_wanted(const struct settings *, const struct tlsfile *);

/* Adds the authorities, or the lists, of a file. NULL, or what is wrong, for the log. Logs lists that are too old. */
const char *tlstrust_add_ca(struct x509_store_st *, const struct tlsfile *);
const char *tlstrust_add_crl(struct x509_store_st *, const struct tlsfile *);
/* With client_crl every certificate of a chain is looked up, whatever the file holds. */
void tlstrust_set_revocation(struct x509_store_st *, const struct settings *);

/* A name of a certificate as text, cut to size; dst. */
const char *tls_name(const struct X509_name_st *, char *dst, size_t size);
/* The oldest error of OpenSSL's queue as text; the queue is emptied. Never NULL. */
const char *tls_error_text(void);

#endif
