#include "config.h"

#include <openssl/err.h>

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/str.h"
#include "common/err.h"
#include "daemon/worker/tls_provider.h"
#include "privsep/scheme.h"
#include "privsep/tlsfiles.h"
#include "tests/unit/tls_world.h"

static const char *const names[] = { "0", "1", "2" };
const int tls_versions[2] = { TLS1_2_VERSION, TLS1_3_VERSION };
const char *const tls_hosts[PAIRS] = { "a.example.org", "b.example.org", "c.example.org" };

static int
sign_here(void *context, uint32_t number, unsigned code, const void *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	const struct tls_server *v = context;
	const struct scheme *s = scheme_by_code(code);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int ok;

	ck_assert_uint_lt(number, PAIRS);
	ok = EVP_DigestSignInit_ex(ctx, &pctx, *s->digest == '\0' ? NULL : s->digest, NULL, NULL, v->pair[number].key,
	    NULL) == 1;
	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, sig, len, message, message_len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : SP_EDENIED;
}

static void
put_pem(struct wr *w, enum tlsfile_kind kind, uint32_t key, const char *name, const struct tls_pair *p)
{
	char *pem = tls_pair_cert_pem(p);
	struct tlsfile f = { .kind = kind, .key = key, .data = (uint8_t *)pem, .len = strlen(pem) };

	ck_assert_int_eq(str_copy(f.name, sizeof f.name, name), 0);
	tlsfiles_put(w, &f);
	OPENSSL_free(pem);
}

void
tls_defaults(struct settings *s, size_t n)
{
	*s = (struct settings){
		.tls = CONF_TLS_OFFER, .tls_min = CONF_TLS_1_2, .session_reuse = CONF_REUSE_ADAPTIVE, .tls_strict_close = true,
		.ticket_lifetime = 3600, .certificate = { n, names }
	};
}

void
tls_server_make(struct tls_server *v, const char *const *kinds, size_t n, const struct tls_pair *client_ca)
{
	static uint8_t buf[65536];
	const char *why;
	struct wr w;

	wr_init(&w, buf, sizeof buf);
	for (size_t i = 0; i < n; i++) {
		v->pair[i] = tls_pair_make(kinds[i], tls_hosts[i]);
		put_pem(&w, TLSFILE_CHAIN, (uint32_t)i, names[i], &v->pair[i]);
	}
	if (client_ca != NULL) {
		put_pem(&w, TLSFILE_CLIENT_CA, 0, "/ca", client_ca);
		v->set.client_ca = "/ca";
	}
	ck_assert_int_eq(w.error, 0);
	v->profile = tls_profile_make(&v->set, buf, w.len, &why);
	ck_assert_msg(v->profile != NULL, "%s", why);
	ck_assert_int_eq(tls_session_begin(&v->session, v->profile, NULL), 0);
	tls_provider_set_signer(sign_here, v);
}

void
tls_server_simple(struct tls_server *v)
{
	static const char *const kinds[] = { "P-256" };

	memset(v, 0, sizeof *v);
	tls_defaults(&v->set, 1);
	tls_server_make(v, kinds, 1, NULL);
}

void
tls_server_free(struct tls_server *v)
{
	tls_session_end(&v->session);
	tls_profile_free(v->profile);
	for (size_t i = 0; i < PAIRS; i++)
		tls_pair_free(&v->pair[i]);
}

SSL_CTX *
tls_client_context(const struct tls_server *v, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	for (size_t i = 0; i < PAIRS; i++)
		if (v->pair[i].cert != NULL)
			X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), v->pair[i].cert);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	if (version != 0) {
		SSL_CTX_set_min_proto_version(ctx, version);
		SSL_CTX_set_max_proto_version(ctx, version);
	}
	return ctx;
}

void
tls_line_open(struct tls_line *l, struct tls_server *v, SSL_CTX *ctx, enum tls_use use)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	stream_open(&l->st, fds[0]);
	l->client_fd = fds[1];
	l->client = SSL_new(ctx);
	SSL_set_fd(l->client, fds[1]);
	SSL_set_connect_state(l->client);
	ck_assert_int_eq(tls_stream_start(&v->session, &l->st, use), 0);
}

void
tls_line_close(struct tls_line *l)
{
	(void)stream_close(&l->st);
	SSL_free(l->client);
	if (l->client_fd >= 0)
		close(l->client_fd);
}

int
tls_shake(struct tls_line *l, int *client)
{
	int c = 0, s = -EAGAIN;

	for (int i = 0; i < 50 && (c != 1 || s == -EAGAIN); i++) {
		if (c != 1)
			c = SSL_do_handshake(l->client);
		if (s == -EAGAIN)
			s = stream_handshake(&l->st);
	}
	if (client != NULL)
		*client = c;
	ERR_clear_error();
	return s;
}

void
tls_client_sees(struct tls_line *l, const char *text)
{
	char buf[100];
	size_t n = strlen(text);

	ck_assert_int_eq(stream_write(&l->st, text, n), (ssize_t)n);
	ck_assert_int_eq(stream_flush(&l->st), 0);
	ck_assert_int_eq(SSL_read(l->client, buf, sizeof buf), (int)n);
	ck_assert_mem_eq(buf, text, n);
}

void
tls_server_sees(struct tls_line *l, const char *text)
{
	char buf[100];
	size_t n = strlen(text);

	ck_assert_int_eq(SSL_write(l->client, text, (int)n), (int)n);
	ck_assert_int_eq(stream_read(&l->st, buf, sizeof buf), (ssize_t)n);
	ck_assert_mem_eq(buf, text, n);
	ck_assert_int_eq(stream_read(&l->st, buf, sizeof buf), -EAGAIN);
	ck_assert_uint_eq(stream_pending(&l->st), 0);
}
