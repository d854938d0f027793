#include "config.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string.h>

#include "common/conf.h"
#include "daemon/verifier/proof.h"
#include "daemon/verifier/transcript.h"
#include "privsep/scheme.h"
#include "privsep/tlstrust.h"

#define CHAIN_MAX	16	/* certificates of a client */
#define MESSAGE_HASH	254	/* RFC 8446, 4.4.1 */
#define CONTENT_MAX	1024	/* more than any server signs, and than a client does in TLS 1.3 */
#define LEVEL		1	/* as of SSL_CTX_set_security_level(3): the handshake itself may have asked for more */

/* ----------------------------------------------------------------------- terms */

static const char *
add_own(struct proof_terms *t, const struct tlsfile *f)
{
	struct stack_st_X509 *all = tlstrust_certificates(f->data, f->len);
	X509 *leaf = sk_X509_shift(all);
	const char *why = NULL;

	if (leaf == NULL || sk_X509_push(t->own, leaf) == 0) {
		X509_free(leaf);
		why = "certificate cannot be used";
	}
	tlstrust_free(all);
	return why;
}

static const char *
add_file(struct proof_terms *t, const struct tlsfile *f)
{
	switch (f->kind) {
	case TLSFILE_CHAIN:
		return add_own(t, f);
	case TLSFILE_CLIENT_CA:
		return tlstrust_add_ca(t->store, f);
	case TLSFILE_CLIENT_CRL:
		return tlstrust_add_crl(t->store, f);
	case TLSFILE_KINDS:
		break;
	}
	return "sealed certificates are damaged";
}

const char *
proof_terms_make(struct proof_terms *t, const struct conf *conf, const char *listener, const void *files, size_t len)
{
	const struct settings *s = conf_listener(conf, listener);
	const char *why = NULL;
	struct tlsfile f;
	struct rd r;

	*t = (struct proof_terms){ .store = X509_STORE_new(), .own = sk_X509_new_null() };
	if (t->store == NULL || t->own == NULL)
		return "no memory";
	rd_init(&r, files, len);
	while (why == NULL && tlsfiles_get(&r, &f) == 1)
		if (tlstrust_wanted(s, &f))
			why = add_file(t, &f);
	tlstrust_set_revocation(t->store, s);
	return why == NULL && r.error != 0 ? "sealed certificates are damaged" : why;
}

void
proof_terms_free(struct proof_terms *t)
{
	X509_STORE_free(t->store);
	tlstrust_free(t->own);
}

/* ------------------------------------------------------------------ signatures */

static bool
is_signed(EVP_PKEY *key, const struct signed_part *p, enum tbs_shape shape, const uint8_t *content, size_t len)
{
	const struct scheme *s = scheme_by_code(p->scheme);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	bool ok = ctx != NULL && s != NULL && (s->shapes & shape) != 0 && EVP_PKEY_is_a(key, scheme_key_name(s->key)) &&
	    EVP_DigestVerifyInit_ex(ctx, &pctx, *s->digest == '\0' ? NULL : s->digest, NULL, NULL, key, NULL) == 1;

	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestVerify(ctx, p->signature.at, p->signature.len, content, len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/* The digest of a suite of TLS 1.3 (RFC 8446, B.4). */
static const EVP_MD *
digest_of(unsigned suite)
{
	switch (suite) {
	case 0x1301:	/* TLS_AES_128_GCM_SHA256 */
	case 0x1303:	/* TLS_CHACHA20_POLY1305_SHA256 */
		return EVP_sha256();
	case 0x1302:	/* TLS_AES_256_GCM_SHA384 */
		return EVP_sha384();
	}
	return NULL;
}

/* RFC 8446, 4.4.1: a ClientHello that was answered by a HelloRetryRequest is replaced by its hash. */
static bool
hash_before(const struct transcript *t, const struct signed_part *p, unsigned char *hash, unsigned *len)
{
	const EVP_MD *md = digest_of(t->suite);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char first[4 + EVP_MAX_MD_SIZE] = { MESSAGE_HASH };
	const size_t skipped = t->retried.len;
	unsigned n = 0;
	bool ok = ctx != NULL && md != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1;

	if (ok && skipped > 0) {
		ok = EVP_Digest(t->retried.at, t->retried.len, first + 4, &n, md, NULL) == 1;
		first[3] = (unsigned char)n;
		ok = ok && EVP_DigestUpdate(ctx, first, 4 + n) == 1;
	}
	ok = ok && EVP_DigestUpdate(ctx, p->before.at + skipped, p->before.len - skipped) == 1 &&
	    EVP_DigestFinal_ex(ctx, hash, len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

/* RFC 8446, 4.4.3; who: "server" or "client". */
static bool
is_signed_13(const struct transcript *t, const struct signed_part *p, EVP_PKEY *key, const char *who)
{
	unsigned char content[CONTENT_MAX];
	unsigned n;
	size_t len = 64;

	memset(content, ' ', len);
	/* The zero byte that ends the text is part of it. */
	len += (size_t)snprintf((char *)content + len, 64, "TLS 1.3, %s CertificateVerify", who) + 1;
	return hash_before(t, p, content + len, &n) && is_signed(key, p, TBS_TLS13, content, len + n);
}

static size_t
append(unsigned char *content, size_t len, struct span s)
{
	memcpy(content + len, s.at, s.len);
	return len + s.len;
}

/* RFC 8422, 5.4: the randoms and the parameters. */
static bool
server_signed_12(const struct transcript *t, EVP_PKEY *key)
{
	unsigned char content[CONTENT_MAX];
	size_t len;

	if (t->client_random.len + t->server_random.len + t->parameters.len > sizeof content)
		return false;
	len = append(content, append(content, append(content, 0, t->client_random), t->server_random), t->parameters);
	return is_signed(key, &t->server, TBS_TLS12, content, len);
}

static bool
server_signed(const struct transcript *t, EVP_PKEY *key)
{
	return t->tls13 ? is_signed_13(t, &t->server, key, "server") : server_signed_12(t, key);
}

/* TLS 1.2: all messages as they are (RFC 5246, 7.4.8). */
static bool
client_signed(const struct transcript *t, EVP_PKEY *key)
{
	return t->tls13 ? is_signed_13(t, &t->client, key, "client") :
	    is_signed(key, &t->client, TBS_TLS12, t->client.before.at, t->client.before.len);
}

/* ---------------------------------------------------------------- certificates */

static X509 *
next_certificate(const struct transcript *t, struct span *chain)
{
	struct span der;
	const unsigned char *p;
	X509 *x;

	if (!transcript_next_certificate(t, chain, &der))
		return NULL;
	p = der.at;
	x = d2i_X509(NULL, &p, (long)der.len);
	if (x != NULL && p != der.at + der.len) {
		X509_free(x);
		x = NULL;
	}
	return x;
}

/* Byte for byte one of ours: the client knew whom it spoke to, and no other server can pass its handshakes on. */
static X509 *
own_certificate(const struct proof_terms *terms, const struct transcript *t)
{
	struct span chain = t->server_chain, der;

	if (!transcript_next_certificate(t, &chain, &der))
		return NULL;
	for (int i = 0; i < sk_X509_num(terms->own); i++) {
		unsigned char *own = NULL;
		const int n = i2d_X509(sk_X509_value(terms->own, i), &own);
		const bool same = n >= 0 && (size_t)n == der.len && memcmp(own, der.at, der.len) == 0;

		OPENSSL_free(own);
		if (same)
			return sk_X509_value(terms->own, i);
	}
	return NULL;
}

static const char *
verify_chain(const struct proof_terms *terms, X509 *leaf, struct stack_st_X509 *others)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	const char *why = NULL;

	if (c == NULL || X509_STORE_CTX_init(c, terms->store, leaf, others) != 1 ||
	    X509_STORE_CTX_set_default(c, "ssl_client") != 1)
		why = "no memory";
	if (why == NULL) {
		X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(c), LEVEL);
		if (X509_verify_cert(c) != 1)
			why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(c));
	}
	X509_STORE_CTX_free(c);
	return why;
}

/* The client's certificate with its issuers: signed by it, and issued by those we believe. */
static const char *
check_client(const struct proof_terms *terms, const struct transcript *t, struct x509_st **leaf)
{
	struct span chain = t->client_chain;
	struct stack_st_X509 *others = sk_X509_new_null();
	X509 *x = next_certificate(t, &chain);
	const char *why = NULL;

	*leaf = x;
	if (x == NULL || others == NULL)
		why = "no certificate";
	else if (!client_signed(t, X509_get0_pubkey(x)))
		why = "not signed by the client";
	for (int i = 1; why == NULL && chain.len > 0; i++)
		if (i == CHAIN_MAX || (x = next_certificate(t, &chain)) == NULL || sk_X509_push(others, x) == 0)
			why = "the chain of certificates cannot be read";
	if (why == NULL)
		why = verify_chain(terms, *leaf, others);
	tlstrust_free(others);
	if (why != NULL) {
		X509_free(*leaf);
		*leaf = NULL;
	}
	return why;
}

const char *
proof_check(const struct proof_terms *terms, const uint8_t *challenge, size_t challenge_len, const uint8_t *handshake,
    size_t len, struct x509_st **leaf)
{
	struct transcript t;
	X509 *own;

	*leaf = NULL;
	if (transcript_parse(&t, handshake, len) != 0)
		return "not a whole handshake";
	if (challenge_len == 0 || !transcript_has_issuer(&t, challenge, challenge_len))
		return "the handshake of another session";
	own = own_certificate(terms, &t);
	if (own == NULL)
		return "the handshake of another server";
	if (!server_signed(&t, X509_get0_pubkey(own)))
		return "not signed by this server";
	return check_client(terms, &t, leaf);
}
