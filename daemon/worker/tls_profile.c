#include "config.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/tls_profile.h"
#include "daemon/worker/tls_provider.h"
#include "daemon/worker/tls_stream.h"
#include "privsep/scheme.h"
#include "privsep/tlstrust.h"

#define TICKET_KEYS		80	/* name, HMAC key, cipher key, as OpenSSL wants them */

bool
tls_fast_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
	/* Server processors of today have them; a client that has not says so by putting ChaCha20 first. */
	return true;
#endif
}

/* ---------------------------------------------------------------- certificates */

static const char *
add_chain(struct tls_profile *p, const struct tlsfile *f)
{
	struct tls_cert *c = &p->cert[p->cert_count];

	if (p->cert_count == TLS_CERTS_MAX)
		return "too many certificates";
	*c = (struct tls_cert){ .chain = tlstrust_certificates(f->data, f->len) };
	c->leaf = sk_X509_shift(c->chain);
	if (c->leaf != NULL)
		c->key = tls_provider_key(X509_get0_pubkey(c->leaf), f->key);
	p->cert_count++;
	return c->key == NULL ? "certificate cannot be used" : NULL;
}

static const char *
add_client_ca(struct tls_profile *p, const struct tlsfile *f)
{
	const char *why = tlstrust_add_ca(SSL_CTX_get_cert_store(p->ctx), f);
	struct stack_st_X509 *all = tlstrust_certificates(f->data, f->len);

	for (int i = 0; i < sk_X509_num(all) && why == NULL; i++)
		if (SSL_CTX_add_client_CA(p->ctx, sk_X509_value(all, i)) != 1)
			why = tls_error_text();
	tlstrust_free(all);
	return why;
}

static const char *
add_client_crl(struct tls_profile *p, const struct tlsfile *f)
{
	return tlstrust_add_crl(SSL_CTX_get_cert_store(p->ctx), f);
}

static const char *
add_files(struct tls_profile *p, const struct settings *s, const void *files, size_t len)
{
	static const char *(*const add[TLSFILE_KINDS])(struct tls_profile *, const struct tlsfile *) = {
		[TLSFILE_CHAIN] = add_chain,
		[TLSFILE_CLIENT_CA] = add_client_ca,
		[TLSFILE_CLIENT_CRL] = add_client_crl,
	};
	struct rd r;
	struct tlsfile f;
	const char *why = NULL;

	rd_init(&r, files, len);
	while (why == NULL && tlsfiles_get(&r, &f) == 1)
		if (tlstrust_wanted(s, &f))
			why = add[f.kind](p, &f);
	return why == NULL && r.error != 0 ? "sealed certificates are damaged" : why;
}

static bool
same_kind(const struct tls_cert *a, const struct tls_cert *b)
{
	return EVP_PKEY_get_base_id(a->key) == EVP_PKEY_get_base_id(b->key);
}

/* The first certificate of each kind of key is the one for clients that ask for no name. */
static const char *
install_certificates(struct tls_profile *p)
{
	for (size_t i = 0; i < p->cert_count; i++) {
		const struct tls_cert *c = &p->cert[i];
		bool first = true;

		for (size_t k = 0; k < i; k++)
			first = first && !same_kind(c, &p->cert[k]);
		if (!first)
			p->by_name = true;
		else if (SSL_CTX_use_cert_and_key(p->ctx, c->leaf, c->key, c->chain, 0) != 1)
			return tls_error_text();
	}
	return NULL;
}

static bool
names_anything(X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool any = sk_GENERAL_NAME_num(names) > 0;

	GENERAL_NAMES_free(names);
	return any;
}

bool
tls_profile_serves(const struct tls_profile *p, const char *host)
{
	bool named = false;

	for (size_t i = 0; i < p->cert_count; i++) {
		if (X509_check_host(p->cert[i].leaf, host, 0, 0, NULL) == 1)
			return true;
		named = named || names_anything(p->cert[i].leaf);
	}
	return !named;
}

/* Chooses among certificates of one kind by the client's SNI; of each kind the first that bears the name. */
static int
choose_certificate(SSL *ssl, void *context)
{
	const struct tls_profile *p = context;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	bool begun = false;

	for (size_t i = 0; host != NULL && i < p->cert_count; i++) {
		const struct tls_cert *c = &p->cert[i];

		if (X509_check_host(c->leaf, host, 0, 0, NULL) != 1)
			continue;
		if (!begun)
			SSL_certs_clear(ssl);
		begun = true;
		/* Not the second of a kind: the flag 0 refuses to replace one. */
		(void)SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 0);
	}
	ERR_clear_error();
	return 1;
}

/* -------------------------------------------------------------------- settings */

static const char *
set_ciphers(SSL_CTX *ctx, const struct settings *s)
{
	const bool aes = tls_fast_aes();
	const char *suites = aes ?
	    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256" :
	    "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
	const char *ciphers = s->tls_ciphers != NULL ? s->tls_ciphers : aes ?
	    "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20" : "ECDHE+CHACHA20:ECDHE+AESGCM+AES128:ECDHE+AESGCM";

	if (SSL_CTX_set_ciphersuites(ctx, suites) != 1)
		return tls_error_text();
	if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
		return "tls_ciphers names no cipher suite that can be used";
	/* A client that puts ChaCha20 first has no instructions for AES. */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	return NULL;
}

/* The schemes that the keeper makes, in its order. */
static const char *
set_schemes(SSL_CTX *ctx)
{
	char list[1024] = "";
	const struct scheme *s;
	size_t len = 0;

	for (size_t i = 0; (s = scheme_at(i)) != NULL; i++) {
		if (str_format(list + len, sizeof list - len, "%s%s", i > 0 ? ":" : "", s->name) != 0)
			return "too many signature schemes";
		len += strlen(list + len);
	}
	return SSL_CTX_set1_sigalgs_list(ctx, list) == 1 ? NULL : tls_error_text();
}

static void
set_client_certificates(struct tls_profile *p, const struct settings *s)
{
	int mode = SSL_VERIFY_NONE;

	if (s->client_certificate != CONF_CERT_NO)
		mode = SSL_VERIFY_PEER;
	if (s->client_certificate == CONF_CERT_REQUIRE)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	p->ask_certificate = mode != SSL_VERIFY_NONE;
	SSL_CTX_set_verify(p->ctx, mode, tls_stream_note_verification);
	tlstrust_set_revocation(SSL_CTX_get_cert_store(p->ctx), s);
	(void)SSL_CTX_set_purpose(p->ctx, X509_PURPOSE_SSL_CLIENT);
}

/* A socket that is not connected cannot have it; but only a kernel that knows it says so. */
static bool
kernel_offers_tls(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool offered = fd >= 0 && (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") == 0 || errno == ENOTCONN);

	if (fd >= 0)
		close(fd);
	return offered;
}

static const char *
configure(struct tls_profile *p, const struct settings *s)
{
	static const unsigned char name[] = "sallyport";
	SSL_CTX *ctx = p->ctx;
	const char *why;

	p->reuse = s->session_reuse;
	p->strict_close = s->tls_strict_close;
	p->in_kernel = s->tls_in_kernel && kernel_offers_tls();
	p->ticket_lifetime = s->ticket_lifetime;
	if (SSL_CTX_set_min_proto_version(ctx, s->tls_min == CONF_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
		return tls_error_text();
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
	/* The verifier reads certificates as they are. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
#endif
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_max_early_data(ctx, 0);
	(void)SSL_CTX_set_session_id_context(ctx, name, sizeof name - 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
	(void)SSL_CTX_sess_set_cache_size(ctx, 8);
	(void)SSL_CTX_set_timeout(ctx, (long)p->ticket_lifetime);
	(void)SSL_CTX_set_num_tickets(ctx, TLS_TICKETS_ON_CONTROL);
	why = set_ciphers(ctx, s);
	if (why == NULL)
		why = set_schemes(ctx);
	set_client_certificates(p, s);
	tls_stream_prepare(ctx);
	return why;
}

/* ---------------------------------------------------------------------- profile */

void
tls_profile_free(struct tls_profile *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->cert_count; i++) {
		X509_free(p->cert[i].leaf);
		tlstrust_free(p->cert[i].chain);
		EVP_PKEY_free(p->cert[i].key);
	}
	SSL_CTX_free(p->ctx);
	free(p);
}

struct tls_profile *
tls_profile_make(const struct settings *s, const void *files, size_t len, const char **why)
{
	struct tls_profile *p;

	*why = "";
	if (s->certificate.n == 0 || files == NULL)
		return NULL;
	p = calloc(1, sizeof *p);
	*why = "no memory";
	if (p != NULL && tls_provider_load() == 0 && (p->ctx = SSL_CTX_new(TLS_server_method())) != NULL)
		*why = configure(p, s);
	if (p != NULL && *why == NULL)
		*why = add_files(p, s, files, len);
	if (p != NULL && *why == NULL)
		*why = install_certificates(p);
	if (p != NULL && *why == NULL && p->cert_count == 0)
		*why = "";	/* none of them could be read; the listener's log says why */
	if (p != NULL && *why == NULL && p->ask_certificate && sk_X509_NAME_num(SSL_CTX_get_client_CA_list(p->ctx)) <= 0)
		*why = "client_certificate needs client_ca";
	if (*why == NULL) {
		if (p->by_name)
			SSL_CTX_set_cert_cb(p->ctx, choose_certificate, p);
		return p;
	}
	tls_profile_free(p);
	return NULL;
}

int
tls_profile_own(struct tls_profile *p)
{
	unsigned char keys[TICKET_KEYS];
	int ok;

	if (p->own)
		return 0;
	/* Whatever the generator had prepared in the template is known to all its children. */
	ok = RAND_poll() == 1 && RAND_priv_bytes(keys, sizeof keys) == 1 &&
	    SSL_CTX_set_tlsext_ticket_keys(p->ctx, keys, sizeof keys) == 1;
	OPENSSL_cleanse(keys, sizeof keys);
	p->own = ok;
	return ok ? 0 : -EIO;
}
