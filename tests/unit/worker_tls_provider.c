#include "config.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <check.h>
#include <string.h>

#include "common/err.h"
#include "daemon/keeper/keyring.h"
#include "daemon/keeper/tbs.h"
#include "daemon/worker/tls_provider.h"
#include "privsep/scheme.h"
#include "tests/unit/tls_pair.h"
#include "tests/unit/worker_tls.h"

/* The keeper's own judgement signs here, without the processes between. */
struct holder {
	EVP_PKEY *key;
	unsigned calls, scheme;
	uint32_t number;
	enum tbs_shape shape;
	bool refuse;
};

static int
sign_here(void *context, uint32_t number, unsigned code, const void *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	struct holder *h = context;
	const struct scheme *s = scheme_by_code(code);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int ok;

	ck_assert_ptr_nonnull(s);
	h->calls++;
	h->number = number;
	h->scheme = code;
	h->shape = tbs_shape(message, message_len);
	ok = !h->refuse &&
	    EVP_DigestSignInit_ex(ctx, &pctx, *s->digest == '\0' ? NULL : s->digest, NULL, NULL, h->key, NULL) == 1;
	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, sig, len, message, message_len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : SP_EDENIED;
}

/* Two ends in memory. Returns whether both finished the handshake. */
static bool
handshake(SSL *client, SSL *server)
{
	BIO *a, *b;
	int c = 0, s = 0;

	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (int i = 0; i < 20 && (c != 1 || s != 1); i++) {
		c = SSL_do_handshake(client);
		s = SSL_do_handshake(server);
	}
	return c == 1 && s == 1;
}

static SSL_CTX *
server_context(const struct tls_pair *p, uint32_t number)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = tls_provider_key(X509_get0_pubkey(p->cert), number);

	ck_assert_ptr_nonnull(key);
	ck_assert_int_eq(SSL_CTX_use_certificate(ctx, p->cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
	ck_assert_int_eq(SSL_CTX_check_private_key(ctx), 1);
	EVP_PKEY_free(key);
	return ctx;
}

static const struct {
	const char *kind;
	int version;
	const char *sigalgs;	/* the client's, NULL: its own */
	unsigned scheme;
} cases[] = {
	{ "RSA", TLS1_3_VERSION, NULL, 0x0804 },
	{ "RSA", TLS1_3_VERSION, "rsa_pss_rsae_sha512", 0x0806 },
	{ "RSA", TLS1_2_VERSION, NULL, 0x0804 },
	{ "RSA", TLS1_2_VERSION, "RSA+SHA256", 0x0401 },
	{ "RSA", TLS1_2_VERSION, "RSA+SHA512", 0x0601 },
	{ "P-256", TLS1_3_VERSION, NULL, 0x0403 },
	{ "P-256", TLS1_2_VERSION, NULL, 0x0403 },
	{ "P-384", TLS1_3_VERSION, NULL, 0x0503 },
	{ "P-521", TLS1_3_VERSION, NULL, 0x0603 },
	{ "ED25519", TLS1_3_VERSION, NULL, 0x0807 },
	{ "ED25519", TLS1_2_VERSION, NULL, 0x0807 },
};

/* One handshake of a row; the client verifies the certificate and thereby the signature. */
static bool
run(int i, struct holder *h, uint32_t number)
{
	struct tls_pair p = tls_pair_make(cases[i].kind, "ftp.example.org");
	SSL_CTX *sctx = server_context(&p, number), *cctx = SSL_CTX_new(TLS_client_method());
	SSL *server, *client;
	bool done;

	h->key = p.key;
	tls_provider_set_signer(sign_here, h);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(cctx), p.cert);
	SSL_CTX_set_verify(cctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_min_proto_version(cctx, cases[i].version);
	SSL_CTX_set_max_proto_version(cctx, cases[i].version);
	if (cases[i].sigalgs != NULL)
		ck_assert_int_eq(SSL_CTX_set1_sigalgs_list(cctx, cases[i].sigalgs), 1);
	server = SSL_new(sctx);
	client = SSL_new(cctx);
	done = handshake(client, server);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(cctx);
	SSL_CTX_free(sctx);
	tls_pair_free(&p);
	return done;
}

START_TEST(handshakes)
{
	struct holder h = { .refuse = false };

	ck_assert_int_eq(tls_provider_load(), 0);
	ck_assert(run(_i, &h, 70 + (uint32_t)_i));
	ck_assert_uint_eq(h.calls, 1);
	ck_assert_uint_eq(h.number, 70 + (uint32_t)_i);
	ck_assert_uint_eq(h.scheme, cases[_i].scheme);
	ck_assert_int_eq(h.shape, cases[_i].version == TLS1_3_VERSION ? TBS_TLS13 : TBS_TLS12);
}
END_TEST

START_TEST(refusal_fails_the_handshake)
{
	struct holder h = { .refuse = true };

	ck_assert_int_eq(tls_provider_load(), 0);
	ck_assert(!run(_i, &h, 1));
	ck_assert_uint_ge(h.calls, 1);
}
END_TEST

START_TEST(private_half_cannot_be_exported)
{
	struct tls_pair p = tls_pair_make("RSA", "ftp.example.org");
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key;

	ck_assert_int_eq(tls_provider_load(), 0);
	key = tls_provider_key(X509_get0_pubkey(p.cert), 3);
	ck_assert_ptr_nonnull(key);
	ck_assert_int_ne(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params), 1);
	EVP_PKEY_free(key);
	tls_pair_free(&p);
	tls_provider_unload();
	ck_assert_int_eq(tls_provider_load(), 0);
}
END_TEST

START_TEST(key_of_another_certificate_is_refused)
{
	struct tls_pair p = tls_pair_make("P-256", "a.example.org"), q = tls_pair_make("P-256", "b.example.org");
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key;

	ck_assert_int_eq(tls_provider_load(), 0);
	key = tls_provider_key(X509_get0_pubkey(q.cert), 3);
	ck_assert_int_eq(SSL_CTX_use_certificate(ctx, p.cert), 1);
	ck_assert_int_ne(SSL_CTX_use_PrivateKey(ctx, key), 1);
	EVP_PKEY_free(key);
	SSL_CTX_free(ctx);
	tls_pair_free(&p);
	tls_pair_free(&q);
}
END_TEST

Suite *
worker_tls_provider_suite(void)
{
	Suite *s = suite_create("worker_tls_provider");
	TCase *t = tcase_create("provider");

	tcase_add_loop_test(t, handshakes, 0, sizeof cases / sizeof cases[0]);
	tcase_add_loop_test(t, refusal_fails_the_handshake, 0, 3);
	tcase_add_test(t, private_half_cannot_be_exported);
	tcase_add_test(t, key_of_another_certificate_is_refused);
	suite_add_tcase(s, t);
	return s;
}
