#include "config.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tls_pair.h"

static EVP_PKEY *
make_key(const char *kind)
{
	if (strncmp(kind, "RSA", 3) == 0)
		return EVP_RSA_gen(kind[3] == '\0' ? 2048 : (unsigned)atoi(kind + 3));
	return strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(kind);
}

struct tls_pair
tls_pair_make(const char *kind, const char *name)
{
	struct tls_pair p = { make_key(kind), X509_new() };
	char san[300];
	X509_EXTENSION *e;

	assert(p.key != NULL && p.cert != NULL);
	X509_set_version(p.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p.cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(p.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(p.cert), 86400);
	X509_set_pubkey(p.cert, p.key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(p.cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(p.cert, X509_get_subject_name(p.cert));
	snprintf(san, sizeof san, "DNS:%s,IP:127.0.0.1", name);
	e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	assert(e != NULL);
	X509_add_ext(p.cert, e, -1);
	X509_EXTENSION_free(e);
	if (X509_sign(p.cert, p.key, strcmp(kind, "ED25519") == 0 ? NULL : EVP_sha256()) == 0)
		assert(!"certificate cannot be signed");
	return p;
}

void
tls_pair_free(struct tls_pair *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

static char *
text_of(BIO *b)
{
	char *data, *text;
	long n = BIO_get_mem_data(b, &data);

	text = OPENSSL_strndup(data, (size_t)n);
	BIO_free(b);
	return text;
}

char *
tls_pair_cert_pem(const struct tls_pair *p)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(b, p->cert);
	return text_of(b);
}

char *
tls_pair_key_pem(const struct tls_pair *p)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(b, p->key, NULL, NULL, 0, NULL, NULL);
	return text_of(b);
}
