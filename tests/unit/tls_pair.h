/* Key pairs and self-signed certificates for tests, made at run time. */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct tls_pair {
	EVP_PKEY *key;
	X509 *cert;
};

/* "RSA", "P-256", "P-384", "P-521" or "ED25519"; the certificate is for the DNS name. */
struct tls_pair tls_pair_make(const char *kind, const char *name);
void tls_pair_free(struct tls_pair *);
/* As PEM; OPENSSL_free() is the caller's. */
char *tls_pair_cert_pem(const struct tls_pair *);
char *tls_pair_key_pem(const struct tls_pair *);

#endif
