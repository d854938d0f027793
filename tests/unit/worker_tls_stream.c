#include "config.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "daemon/worker/tls_provider.h"
#include "daemon/worker/tls_stream.h"
#include "privsep/scheme.h"
#include "privsep/tlsfiles.h"
#include "tests/unit/tls_pair.h"
#include "tests/unit/worker_tls.h"

#define PAIRS 3

/* A server with up to three certificates, all its keys held by the test itself. */
struct server {
	struct tls_pair pair[PAIRS];
	struct settings set;
	struct tls_profile *profile;
	struct tls_session session;
};

/* A connection: the worker's stream and the client's end. */
struct line {
	struct stream st;
	SSL *client;
	int client_fd;
};

static const char *const names[] = { "0", "1", "2" };
static const char *const hosts[] = { "a.example.org", "b.example.org", "c.example.org" };

static int
sign_here(void *context, uint32_t number, unsigned code, const void *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	const struct server *v = context;
	const struct scheme *s = scheme_by_code(code);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	int ok;

	ck_assert_uint_lt(number, PAIRS);
	ok = EVP_DigestSignInit_ex(ctx, &pctx, *s->digest == '\0' ? NULL : s->digest, NULL, NULL, v->pair[number].key, NULL) == 1;
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

	strcpy(f.name, name);
	tlsfiles_put(w, &f);
	OPENSSL_free(pem);
}

static void
defaults(struct settings *s, size_t n)
{
	*s = (struct settings){
		.tls = CONF_TLS_OFFER, .tls_min = CONF_TLS_1_2, .session_reuse = CONF_REUSE_ADAPTIVE, .tls_strict_close = true,
		.ticket_lifetime = 3600, .certificate = { n, names }
	};
}

/* kinds of keys, and for whom clients must have certificates (NULL: nobody). */
static void
server_make(struct server *v, const char *const *kinds, size_t n, const struct tls_pair *client_ca)
{
	static uint8_t buf[65536];
	const char *why;
	struct wr w;

	wr_init(&w, buf, sizeof buf);
	for (size_t i = 0; i < n; i++) {
		v->pair[i] = tls_pair_make(kinds[i], hosts[i]);
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

static void
simple_server(struct server *v)
{
	static const char *const kinds[] = { "P-256" };

	memset(v, 0, sizeof *v);
	defaults(&v->set, 1);
	server_make(v, kinds, 1, NULL);
}

static void
server_free(struct server *v)
{
	tls_session_end(&v->session);
	tls_profile_free(v->profile);
	for (size_t i = 0; i < PAIRS; i++)
		tls_pair_free(&v->pair[i]);
}

static SSL_CTX *
client_context(const struct server *v, int version)
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

static void
line_open(struct line *l, struct server *v, SSL_CTX *ctx, bool data)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	stream_open(&l->st, fds[0]);
	l->client_fd = fds[1];
	l->client = SSL_new(ctx);
	SSL_set_fd(l->client, fds[1]);
	SSL_set_connect_state(l->client);
	ck_assert_int_eq(tls_stream_start(&v->session, &l->st, data), 0);
}

static void
line_close(struct line *l)
{
	(void)stream_close(&l->st);
	SSL_free(l->client);
	if (l->client_fd >= 0)
		close(l->client_fd);
}

/* The server's verdict; the client's goes to *client. */
static int
shake(struct line *l, int *client)
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

/* The client reads once, which takes in the tickets too. */
static void
client_sees(struct line *l, const char *text)
{
	char buf[100];
	size_t n = strlen(text);

	ck_assert_int_eq(stream_write(&l->st, text, n), (ssize_t)n);
	ck_assert_int_eq(stream_flush(&l->st), 0);
	ck_assert_int_eq(SSL_read(l->client, buf, sizeof buf), (int)n);
	ck_assert_mem_eq(buf, text, n);
}

static void
server_sees(struct line *l, const char *text)
{
	char buf[100];
	size_t n = strlen(text);

	ck_assert_int_eq(SSL_write(l->client, text, (int)n), (int)n);
	ck_assert_int_eq(stream_read(&l->st, buf, sizeof buf), (ssize_t)n);
	ck_assert_mem_eq(buf, text, n);
	ck_assert_int_eq(stream_read(&l->st, buf, sizeof buf), -EAGAIN);
	ck_assert_uint_eq(stream_pending(&l->st), 0);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

START_TEST(both_ways)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;

	simple_server(&v);
	ctx = client_context(&v, versions[_i]);
	line_open(&l, &v, ctx, false);
	SSL_set_tlsext_host_name(l.client, hosts[0]);
	ck_assert(!tls_stream_ready(&l.st));
	ck_assert_int_eq(stream_write(&l.st, "x", 1), -ENOTCONN);
	ck_assert_int_eq(shake(&l, NULL), 0);
	ck_assert(tls_stream_ready(&l.st));
	ck_assert_str_eq(v.session.name, hosts[0]);
	ck_assert_ptr_nonnull(strstr(v.session.description, versions[_i] == TLS1_3_VERSION ? "TLSv1.3 TLS_AES" : "TLSv1.2 ECDHE"));
	client_sees(&l, "220 ready\r\n");
	server_sees(&l, "USER x\r\n");
	client_sees(&l, "331 go on\r\n");
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(too_old_version_is_refused)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;

	simple_server(&v);
	ctx = client_context(&v, TLS1_1_VERSION);
	SSL_CTX_set_security_level(ctx, 0);
	line_open(&l, &v, ctx, false);
	ck_assert_int_lt(shake(&l, NULL), 0);
	ck_assert(v.session.problem[0] != '\0');
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

static const struct {
	const char *offer;
	int good;
} alpn[] = {
	{ "\x03" "ftp", 1 },
	{ "\x08" "http/1.1" "\x03" "ftp", 1 },
	{ "\x08" "ftp-data", 1 },
	{ "\x08" "http/1.1", 0 },
	{ "\x02" "h2" "\x04" "imap", 0 },
};

START_TEST(foreign_protocols_are_refused)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;

	simple_server(&v);
	ctx = client_context(&v, 0);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn[_i].offer, (unsigned)strlen(alpn[_i].offer));
	line_open(&l, &v, ctx, false);
	ck_assert_int_eq(shake(&l, NULL) == 0, alpn[_i].good);
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

static const struct {
	const char *ask;
	const char *sigalgs;
	int want;	/* which certificate */
} choices[] = {
	{ NULL, NULL, 0 },
	{ "b.example.org", NULL, 1 },
	{ "a.example.org", NULL, 0 },
	{ "c.example.org", NULL, 2 },
	{ "unknown.example.org", NULL, 0 },
	{ NULL, "rsa_pss_rsae_sha256", 2 },
};

START_TEST(certificate_by_name_and_kind)
{
	static const char *const kinds[] = { "P-256", "P-256", "RSA" };
	struct server v = { 0 };
	struct line l;
	SSL_CTX *ctx;

	defaults(&v.set, 3);
	server_make(&v, kinds, 3, NULL);
	ctx = client_context(&v, 0);
	if (choices[_i].sigalgs != NULL)
		SSL_CTX_set1_sigalgs_list(ctx, choices[_i].sigalgs);
	line_open(&l, &v, ctx, false);
	if (choices[_i].ask != NULL)
		SSL_set_tlsext_host_name(l.client, choices[_i].ask);
	ck_assert_int_eq(shake(&l, NULL), 0);
	ck_assert_int_eq(X509_cmp(SSL_get0_peer_certificate(l.client), v.pair[choices[_i].want].cert), 0);
	ck_assert(tls_profile_serves(v.profile, "b.example.org"));
	ck_assert(!tls_profile_serves(v.profile, "z.example.org"));
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

/* A session of the control connection for the client to resume. */
static SSL_SESSION *
control_session(struct server *v, SSL_CTX *ctx, struct line *l)
{
	line_open(l, v, ctx, false);
	ck_assert_int_eq(shake(l, NULL), 0);
	client_sees(l, "220 ready\r\n");
	return SSL_get1_session(l->client);
}

/* One data connection; its verdict, and the session for the next one in *s. */
static int
data_connection(struct server *v, SSL_CTX *ctx, SSL_SESSION **s)
{
	struct line l;
	int r;

	line_open(&l, v, ctx, true);
	if (*s != NULL)
		SSL_set_session(l.client, *s);
	r = shake(&l, NULL);
	if (r == 0) {
		client_sees(&l, "content");
		SSL_SESSION_free(*s);
		*s = SSL_get1_session(l.client);
	}
	SSL_set_quiet_shutdown(l.client, 1);
	SSL_shutdown(l.client);
	line_close(&l);
	return r;
}

START_TEST(data_resumes_control)
{
	struct server v;
	struct line control;
	SSL_CTX *ctx;
	SSL_SESSION *s, *none = NULL;

	simple_server(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = client_context(&v, versions[_i]);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	ck_assert_uint_eq(v.session.reuse.resumed, 5);
	ck_assert_int_eq(data_connection(&v, ctx, &none), SP_EDENIED);
	ck_assert_str_eq(v.session.refusal, "TLS session of data connection not resumed (session_reuse = strict)");
	ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	SSL_SESSION_free(s);
	line_close(&control);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(one_ticket_many_times)
{
	struct server v;
	struct line control;
	SSL_CTX *ctx;
	SSL_SESSION *s, *copy;

	simple_server(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = client_context(&v, versions[_i]);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 5; i++) {
		copy = SSL_SESSION_dup(s);
		ck_assert_int_eq(data_connection(&v, ctx, &copy), 0);
		SSL_SESSION_free(copy);
	}
	SSL_SESSION_free(s);
	line_close(&control);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

/* A client that uses each ticket once, and takes it from the control connection each time. */
START_TEST(single_use_tickets)
{
	struct server v;
	struct line control, d;
	SSL_CTX *ctx;
	SSL_SESSION *s;

	simple_server(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = client_context(&v, TLS1_3_VERSION);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 6; i++) {
		SSL_SESSION *next;

		line_open(&d, &v, ctx, true);
		SSL_set_session(d.client, s);
		ck_assert_int_eq(shake(&d, NULL), 0);
		SSL_set_quiet_shutdown(d.client, 1);
		SSL_shutdown(d.client);
		line_close(&d);
		client_sees(&control, "226 done\r\n");
		next = SSL_get1_session(control.client);
		ck_assert_ptr_ne(next, s);
		SSL_SESSION_free(s);
		s = next;
	}
	ck_assert_uint_eq(v.session.reuse.resumed, 6);
	SSL_SESSION_free(s);
	line_close(&control);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(ticket_of_another_session)
{
	struct server v, other;
	struct line control, foreign;
	SSL_CTX *ctx, *octx;
	SSL_SESSION *s, *stolen;

	simple_server(&other);
	octx = client_context(&other, versions[_i]);
	stolen = control_session(&other, octx, &foreign);
	simple_server(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = client_context(&v, versions[_i]);
	s = control_session(&v, ctx, &control);
	ck_assert_int_eq(data_connection(&v, ctx, &stolen), SP_EDENIED);
	ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	/* The same worker's, but of a session it had before: the binding differs. */
	v.session.binding[0] ^= 1;
	if (versions[_i] == TLS1_3_VERSION)
		ck_assert_int_eq(data_connection(&v, ctx, &s), SP_EDENIED);
	SSL_SESSION_free(s);
	SSL_SESSION_free(stolen);
	line_close(&control);
	line_close(&foreign);
	SSL_CTX_free(ctx);
	SSL_CTX_free(octx);
	server_free(&v);
	server_free(&other);
}
END_TEST

START_TEST(ends_are_told_apart)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	char buf[100];

	simple_server(&v);
	ctx = client_context(&v, versions[_i]);
	line_open(&l, &v, ctx, true);
	ck_assert_int_eq(shake(&l, NULL), 0);
	SSL_write(l.client, "all", 3);
	SSL_shutdown(l.client);
	ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 3);
	ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 0);
	ck_assert_int_eq(stream_shutdown(&l.st), 0);
	ck_assert_int_eq(SSL_read(l.client, buf, 1), 0);
	ck_assert_int_eq(SSL_get_error(l.client, 0), SSL_ERROR_ZERO_RETURN);
	line_close(&l);

	for (int strict = 0; strict < 2; strict++) {
		v.profile->strict_close = strict;
		line_open(&l, &v, ctx, true);
		ck_assert_int_eq(shake(&l, NULL), 0);
		SSL_write(l.client, "cut", 3);
		shutdown(l.client_fd, SHUT_WR);
		ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 3);
		ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), strict ? SP_ETRUNC : 0);
		line_close(&l);
	}
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(server_ends_first)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	char buf[100];

	simple_server(&v);
	ctx = client_context(&v, versions[_i]);
	line_open(&l, &v, ctx, true);
	ck_assert_int_eq(shake(&l, NULL), 0);
	ck_assert_int_eq(stream_write(&l.st, "all", 3), 3);
	ck_assert_int_eq(stream_shutdown(&l.st), -EAGAIN);
	ck_assert_int_eq(l.st.want, POLLIN);
	ck_assert_int_eq(SSL_read(l.client, buf, sizeof buf), 3);
	ck_assert_int_eq(SSL_read(l.client, buf, sizeof buf), 0);
	ck_assert_int_eq(SSL_get_error(l.client, 0), SSL_ERROR_ZERO_RETURN);
	ck_assert_int_eq(stream_shutdown(&l.st), -EAGAIN);
	SSL_shutdown(l.client);
	ck_assert_int_eq(stream_shutdown(&l.st), 0);
	ck_assert_int_eq(stream_shutdown(&l.st), 0);
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

#define BIG (3 * 1024 * 1024 + 777)

static unsigned char
pattern(size_t i)
{
	return (unsigned char)(i * 2654435761u >> 13);
}

START_TEST(large_file_out)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	unsigned char *file = malloc(BIG), *got = malloc(BIG);
	size_t n = 0;
	off_t offset = 0;
	ssize_t r = -EAGAIN;
	int fd;

	for (size_t i = 0; i < BIG; i++)
		file[i] = pattern(i);
	fd = fd_sealed("file", file, BIG);
	simple_server(&v);
	ctx = client_context(&v, versions[_i]);
	line_open(&l, &v, ctx, true);
	ck_assert_int_eq(shake(&l, NULL), 0);
	while (n < BIG) {
		int c;

		if (r != 0)
			r = stream_send_file(&l.st, fd, &offset, 1 << 20);
		if (r <= 0 && r != -EAGAIN)
			ck_assert_int_eq(r, 0);
		if (r == 0)
			(void)stream_flush(&l.st);
		while ((c = SSL_read(l.client, got + n, (int)(BIG - n))) > 0)
			n += (size_t)c;
	}
	ck_assert_int_eq(offset, BIG);
	ck_assert_mem_eq(got, file, BIG);
	ck_assert_int_eq(stream_shutdown(&l.st), -EAGAIN);
	line_close(&l);
	close(fd);
	free(file);
	free(got);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(large_file_in)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	static unsigned char buf[100000];
	size_t sent = 0, n = 0;
	ssize_t r;

	simple_server(&v);
	ctx = client_context(&v, versions[_i]);
	line_open(&l, &v, ctx, true);
	ck_assert_int_eq(shake(&l, NULL), 0);
	while (n < BIG) {
		unsigned char piece[16384];
		size_t len = BIG - sent < sizeof piece ? BIG - sent : sizeof piece;

		for (size_t i = 0; i < len; i++)
			piece[i] = pattern(sent + i);
		if (len > 0 && SSL_write(l.client, piece, (int)len) > 0)
			sent += len;
		else {
			while ((r = stream_read(&l.st, buf, sizeof buf)) > 0)
				for (ssize_t i = 0; i < r; i++)
					ck_assert_uint_eq(buf[i], pattern(n++));
			ck_assert_int_eq(r, -EAGAIN);
		}
	}
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(garbage)
{
	static const char *const bytes[] = { "USER root\r\n", "\x16\x03\x01\xff\xff", "\x80\x2e\x01", "GET / HTTP/1.0\r\n\r\n" };
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	int r;

	simple_server(&v);
	ctx = client_context(&v, 0);
	line_open(&l, &v, ctx, false);
	ck_assert_int_gt(write(l.client_fd, bytes[_i], strlen(bytes[_i])), 0);
	r = stream_handshake(&l.st);
	if (r == -EAGAIN) {
		shutdown(l.client_fd, SHUT_WR);
		r = stream_handshake(&l.st);
	}
	ck_assert_int_lt(r, 0);
	ck_assert_int_ne(r, -EAGAIN);
	ck_assert(!tls_stream_ready(&l.st));
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(no_renegotiation)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	char buf[100];

	simple_server(&v);
	ctx = client_context(&v, TLS1_2_VERSION);
	line_open(&l, &v, ctx, false);
	ck_assert_int_eq(shake(&l, NULL), 0);
	ck_assert_int_eq(SSL_renegotiate(l.client), 1);
	(void)SSL_do_handshake(l.client);
	ck_assert_int_lt(stream_read(&l.st, buf, sizeof buf), 0);
	ck_assert_int_ne(SSL_do_handshake(l.client), 1);
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(back_to_clear)
{
	struct server v;
	struct line l;
	SSL_CTX *ctx;
	char buf[100];
	size_t len = sizeof buf;

	simple_server(&v);
	ctx = client_context(&v, versions[_i]);
	line_open(&l, &v, ctx, false);
	ck_assert_int_eq(shake(&l, NULL), 0);
	client_sees(&l, "200 clear\r\n");
	SSL_shutdown(l.client);
	ck_assert_int_eq(write(l.client_fd, "PWD\r\n", 5), 5);
	ck_assert_int_eq(tls_stream_strip(&l.st, 1000, buf, &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_mem_eq(buf, "PWD\r\n", 5);
	ck_assert_int_eq(SSL_shutdown(l.client), 1);
	ck_assert_int_eq(write(l.client_fd, "NOOP\r\n", 6), 6);
	ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 6);
	line_close(&l);

	/* Commands that should have waited, too many bytes, and silence. */
	line_open(&l, &v, ctx, false);
	ck_assert_int_eq(shake(&l, NULL), 0);
	SSL_write(l.client, "DELE x\r\n", 8);
	SSL_shutdown(l.client);
	ck_assert_int_eq(tls_stream_strip(&l.st, 1000, buf, &len), SP_EFORMAT);
	line_close(&l);
	line_open(&l, &v, ctx, false);
	ck_assert_int_eq(shake(&l, NULL), 0);
	SSL_shutdown(l.client);
	ck_assert_int_eq(write(l.client_fd, "NOOP\r\n", 6), 6);
	len = 5;
	ck_assert_int_eq(tls_stream_strip(&l.st, 1000, buf, &len), SP_ERANGE);
	line_close(&l);
	line_open(&l, &v, ctx, false);
	ck_assert_int_eq(shake(&l, NULL), 0);
	ck_assert_int_eq(tls_stream_strip(&l.st, 50, buf, &len), -ETIMEDOUT);
	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
}
END_TEST

START_TEST(client_certificates)
{
	static const char *const kinds[] = { "P-256" };
	struct tls_pair good = tls_pair_make("P-256", "client"), bad = tls_pair_make("P-256", "client");
	struct server v = { 0 };
	struct line l, d;
	SSL_CTX *ctx;
	defaults(&v.set, 1);
	v.set.client_certificate = CONF_CERT_REQUIRE;
	server_make(&v, kinds, 1, &good);
	ctx = client_context(&v, versions[_i]);

	line_open(&l, &v, ctx, false);
	ck_assert_int_lt(shake(&l, NULL), 0);
	line_close(&l);

	line_open(&l, &v, ctx, false);
	SSL_use_cert_and_key(l.client, bad.cert, bad.key, NULL, 1);
	ck_assert_int_lt(shake(&l, NULL), 0);
	line_close(&l);

	line_open(&l, &v, ctx, false);
	SSL_use_cert_and_key(l.client, good.cert, good.key, NULL, 1);
	ck_assert_int_eq(shake(&l, NULL), 0);
	ck_assert_mem_eq(v.session.certificate, "sha256:", 7);
	ck_assert_uint_eq(v.session.certificate_len, 7 + 64 + 1 + strlen("dns:client\n"));
	ck_assert_mem_eq(v.session.certificate + 72, "dns:client\n", 11);

	line_open(&d, &v, ctx, true);
	ck_assert_int_lt(shake(&d, NULL), 0);
	line_close(&d);
	line_open(&d, &v, ctx, true);
	SSL_use_cert_and_key(d.client, good.cert, good.key, NULL, 1);
	ck_assert_int_eq(shake(&d, NULL), 0);
	line_close(&d);

	line_close(&l);
	SSL_CTX_free(ctx);
	server_free(&v);
	tls_pair_free(&good);
	tls_pair_free(&bad);
}
END_TEST

/* What two children of one prepared process have in common must not be what protects them. */
START_TEST(children_share_no_randomness)
{
	struct server v;
	uint8_t *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	ck_assert_int_eq(tls_provider_load(), 0);
	ck_assert_int_eq(tls_warm_handshakes(), 0);
	simple_server(&v);
	v.profile->own = false;
	for (int i = 0; i < 2; i++) {
		if (fork() == 0) {
			uint8_t *mine = got + i * 200;

			if (tls_session_begin(&v.session, v.profile, NULL) != 0)
				_exit(1);
			memcpy(mine, v.session.binding, TLS_BINDING);
			SSL_CTX_get_tlsext_ticket_keys(v.profile->ctx, mine + TLS_BINDING, 80);
			_exit(0);
		}
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_mem_ne(got, got + 200, TLS_BINDING);
	ck_assert_mem_ne(got + TLS_BINDING, got + 200 + TLS_BINDING, 16);
	ck_assert_mem_ne(got + TLS_BINDING + 16, got + 200 + TLS_BINDING + 16, 32);
	ck_assert_mem_ne(got + TLS_BINDING + 48, got + 200 + TLS_BINDING + 48, 32);
	munmap(got, 4096);
	server_free(&v);
}
END_TEST

Suite *
worker_tls_stream_suite(void)
{
	Suite *s = suite_create("worker_tls_stream");
	TCase *t = tcase_create("streams");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, both_ways, 0, 2);
	tcase_add_test(t, too_old_version_is_refused);
	tcase_add_loop_test(t, foreign_protocols_are_refused, 0, sizeof alpn / sizeof alpn[0]);
	tcase_add_loop_test(t, certificate_by_name_and_kind, 0, sizeof choices / sizeof choices[0]);
	tcase_add_loop_test(t, data_resumes_control, 0, 2);
	tcase_add_loop_test(t, one_ticket_many_times, 0, 2);
	tcase_add_test(t, single_use_tickets);
	tcase_add_loop_test(t, ticket_of_another_session, 0, 2);
	tcase_add_loop_test(t, ends_are_told_apart, 0, 2);
	tcase_add_loop_test(t, server_ends_first, 0, 2);
	tcase_add_loop_test(t, large_file_out, 0, 2);
	tcase_add_loop_test(t, large_file_in, 0, 2);
	tcase_add_loop_test(t, garbage, 0, 4);
	tcase_add_test(t, no_renegotiation);
	tcase_add_loop_test(t, back_to_clear, 0, 2);
	tcase_add_loop_test(t, client_certificates, 0, 2);
	tcase_add_test(t, children_share_no_randomness);
	suite_add_tcase(s, t);
	return s;
}
