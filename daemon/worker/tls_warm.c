#include "config.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "daemon/worker/tls_profile.h"
#include "daemon/worker/tls_provider.h"
#include "privsep/scheme.h"
#include "privsep/tlsfiles.h"

/* A listener and what it offers; listeners with the same settings have profiles of their own all the same. */
struct offer {
	const char *listener;		/* NULL: all others */
	struct tls_profile *profile;
	struct offer *next;
};

static struct offer *offers;

/* ------------------------------------------------------------ handshakes in memory */

/* A key that lives for the time of the warm-up only, signing in place of the keeper. */
static int
sign_with(void *context, uint32_t number, unsigned code, const void *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	const struct scheme *s = scheme_by_code(code);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = s != NULL && ctx != NULL && EVP_DigestSignInit_ex(ctx, NULL, s->digest, NULL, NULL, context, NULL) == 1 &&
	    EVP_DigestSign(ctx, sig, len, message, message_len) == 1;

	(void)number;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

static X509 *
self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();

	if (x != NULL && X509_set_version(x, 2) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
	    X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL && X509_set_pubkey(x, key) == 1 &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static SSL_CTX *
server_context(EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *x = self_signed(key);
	EVP_PKEY *ours = x == NULL ? NULL : tls_provider_key(X509_get0_pubkey(x), 0);

	if (ctx == NULL || ours == NULL || SSL_CTX_use_cert_and_key(ctx, x, ours, NULL, 1) != 1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_PKEY_free(ours);
	X509_free(x);
	return ctx;
}

/* Both ends say all they have to say; a record goes each way, and the ends are told. */
static void
converse(SSL *client, SSL *server)
{
	static char text[16384];
	size_t n;
	int c = 0, s = 0;

	for (int i = 0; i < 8 && (c != 1 || s != 1); i++) {
		c = SSL_do_handshake(client);
		s = SSL_do_handshake(server);
	}
	(void)SSL_write_ex(server, text, sizeof text, &n);
	(void)SSL_read_ex(client, text, sizeof text, &n);
	(void)SSL_write_ex(client, text, sizeof text, &n);
	(void)SSL_read_ex(server, text, sizeof text, &n);
	(void)SSL_shutdown(server);
	(void)SSL_shutdown(client);
	(void)SSL_shutdown(server);
	ERR_clear_error();
}

/* One connection; resumes *session if there is one, and leaves the next there. */
static int
connect_once(SSL_CTX *sctx, SSL_CTX *cctx, SSL_SESSION **session)
{
	SSL *server = SSL_new(sctx), *client = SSL_new(cctx);
	BIO *a, *b;
	int ok = 0;

	if (server != NULL && client != NULL && BIO_new_bio_pair(&a, 65536, &b, 65536) == 1) {
		SSL_set_bio(client, a, a);
		SSL_set_bio(server, b, b);
		SSL_set_connect_state(client);
		SSL_set_accept_state(server);
		if (*session != NULL)
			(void)SSL_set_session(client, *session);
		SSL_SESSION_free(*session);
		converse(client, server);
		ok = SSL_is_init_finished(server);
		*session = SSL_get1_session(client);
	}
	SSL_free(client);
	SSL_free(server);
	return ok ? 0 : -EIO;
}

int
tls_warm_handshakes(void)
{
	static const int versions[] = { TLS1_3_VERSION, TLS1_2_VERSION };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	SSL_CTX *sctx = key == NULL ? NULL : server_context(key), *cctx = SSL_CTX_new(TLS_client_method());
	int r = sctx == NULL || cctx == NULL ? -EIO : 0;

	tls_provider_set_signer(sign_with, key);
	for (size_t i = 0; r == 0 && i < sizeof versions / sizeof versions[0]; i++) {
		SSL_SESSION *session = NULL;

		(void)SSL_CTX_set_max_proto_version(cctx, versions[i]);
		for (int again = 0; r == 0 && again < 2; again++)
			r = connect_once(sctx, cctx, &session);
		SSL_SESSION_free(session);
	}
	tls_provider_set_signer(NULL, NULL);
	SSL_CTX_free(sctx);
	SSL_CTX_free(cctx);
	EVP_PKEY_free(key);
	return r;
}

/* ---------------------------------------------------------------------- listeners */

static int
add_offer(const struct conf *conf, const char *listener, const void *files, size_t len)
{
	const struct conf_subject who = { .listener = listener };
	struct conf_resolved r;
	const char *why = "";
	struct offer *o = calloc(1, sizeof *o);
	int e = o == NULL ? -ENOMEM : conf_resolve(conf, &who, &r);

	if (e != 0) {
		free(o);
		return e;
	}
	o->listener = listener;
	o->next = offers;
	offers = o;
	if (r.s.tls != CONF_TLS_OFF)
		o->profile = tls_profile_make(&r.s, files, len, &why);
	if (why != NULL && *why != '\0') {
		struct log_line l;

		log_begin(&l, EVENT_TLS_UNUSABLE);
		log_str(&l, FIELD_LISTENER, listener == NULL ? "" : listener);
		log_str(&l, FIELD_REASON, why);
		log_end(&l);
	}
	conf_resolved_free(&r);
	return 0;
}

static int
add_offers(const struct conf *conf, const void *files, size_t len)
{
	const struct conf_section *s = NULL;
	int r = add_offer(conf, NULL, files, len);

	while (r == 0 && (s = conf_section_next(conf, SC_LISTENER, s)) != NULL)
		r = add_offer(conf, conf_section_name(s), files, len);
	return r;
}

int
tls_warm_up(const struct conf *conf, int files_fd)
{
	const void *files = NULL;
	size_t len = 0;
	int r;

	if (files_fd < 0)
		return 0;
	r = tlsfiles_map(files_fd, TLSFILES_MAX, &files, &len);
	if (r == 0 && tls_provider_load() != 0)
		r = -EIO;
	if (r == 0)
		r = tls_warm_handshakes();
	return r == 0 ? add_offers(conf, files, len) : r;
}

struct tls_profile *
tls_profile_find(const char *listener)
{
	struct tls_profile *others = NULL;

	for (const struct offer *o = offers; o != NULL; o = o->next) {
		if (o->listener == NULL)
			others = o->profile;
		else if (strcmp(o->listener, listener) == 0)
			return o->profile;
	}
	return others;
}
