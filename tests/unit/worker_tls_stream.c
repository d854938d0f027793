#include "config.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "daemon/worker/tls_provider.h"
#include "tests/unit/tls_world.h"
#include "tests/unit/worker_tls.h"

START_TEST(both_ways)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;

	tls_server_simple(&v);
	ctx = tls_client_context(&v, tls_versions[_i]);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	SSL_set_tlsext_host_name(l.client, tls_hosts[0]);
	ck_assert(!tls_stream_ready(&l.st));
	ck_assert_int_eq(stream_write(&l.st, "x", 1), -ENOTCONN);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert(tls_stream_ready(&l.st));
	ck_assert_str_eq(v.session.name, tls_hosts[0]);
	ck_assert_ptr_nonnull(strstr(v.session.description,
	    tls_versions[_i] == TLS1_3_VERSION ? "TLSv1.3 TLS_AES" : "TLSv1.2 ECDHE"));
	tls_client_sees(&l, "220 ready\r\n");
	tls_server_sees(&l, "USER x\r\n");
	tls_client_sees(&l, "331 go on\r\n");
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(too_old_version_is_refused)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;

	tls_server_simple(&v);
	ctx = tls_client_context(&v, TLS1_1_VERSION);
	SSL_CTX_set_security_level(ctx, 0);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_lt(tls_shake(&l, NULL), 0);
	ck_assert(v.session.problem[0] != '\0');
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
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
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;

	tls_server_simple(&v);
	ctx = tls_client_context(&v, 0);
	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)alpn[_i].offer, (unsigned)strlen(alpn[_i].offer));
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(&l, NULL) == 0, alpn[_i].good);
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
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
	struct tls_server v = { 0 };
	struct tls_line l;
	SSL_CTX *ctx;

	tls_defaults(&v.set, 3);
	tls_server_make(&v, kinds, 3, NULL);
	ctx = tls_client_context(&v, 0);
	if (choices[_i].sigalgs != NULL)
		SSL_CTX_set1_sigalgs_list(ctx, choices[_i].sigalgs);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	if (choices[_i].ask != NULL)
		SSL_set_tlsext_host_name(l.client, choices[_i].ask);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert_int_eq(X509_cmp(SSL_get0_peer_certificate(l.client), v.pair[choices[_i].want].cert), 0);
	ck_assert(tls_profile_serves(v.profile, "b.example.org"));
	ck_assert(!tls_profile_serves(v.profile, "z.example.org"));
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

/* Twice each: with our own buffers, and as where the kernel may do TLS (which falls back when it cannot). */
static void
one_of_four(struct tls_server *v, SSL_CTX **ctx, int i)
{
	tls_server_simple(v);
	v->profile->in_kernel = i >= 2;
	*ctx = tls_client_context(v, tls_versions[i % 2]);
}

START_TEST(ends_are_told_apart)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	char buf[100];

	one_of_four(&v, &ctx, _i);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	SSL_write(l.client, "all", 3);
	SSL_shutdown(l.client);
	ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 3);
	ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 0);
	ck_assert_int_eq(stream_shutdown(&l.st), 0);
	ck_assert_int_eq(SSL_read(l.client, buf, 1), 0);
	ck_assert_int_eq(SSL_get_error(l.client, 0), SSL_ERROR_ZERO_RETURN);
	tls_line_close(&l);

	for (int strict = 0; strict < 2; strict++) {
		v.profile->strict_close = strict;
		tls_line_open(&l, &v, ctx, TLS_SENDING);
		ck_assert_int_eq(tls_shake(&l, NULL), 0);
		SSL_write(l.client, "cut", 3);
		shutdown(l.client_fd, SHUT_WR);
		ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 3);
		ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), strict ? SP_ETRUNC : 0);
		tls_line_close(&l);
	}
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(server_ends_first)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	char buf[100];

	one_of_four(&v, &ctx, _i);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
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
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
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
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	unsigned char *file = malloc(BIG), *got = malloc(BIG);
	size_t n = 0;
	off_t offset = 0;
	ssize_t r = -EAGAIN;
	int fd;

	for (size_t i = 0; i < BIG; i++)
		file[i] = pattern(i);
	fd = fd_sealed("file", file, BIG);
	one_of_four(&v, &ctx, _i);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	while (n < BIG) {
		int c;

		/* A limited rate may want less at the next try. */
		if (r != 0)
			r = stream_send_file(&l.st, fd, &offset, r == -EAGAIN ? 1000 : 1 << 20);
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
	tls_line_close(&l);
	close(fd);
	free(file);
	free(got);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

/* The client has taken nothing yet when the server is done: the closing message comes all the same. */
START_TEST(closing_message_behind_a_full_socket)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	char buf[100];
	int c, full = 0, r = -EAGAIN;

	one_of_four(&v, &ctx, _i);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	/* Ever again full to the last byte: what is taken makes room for as much as is written. */
	for (int i = 0; i < 100000 && full < 3; i++) {
		if (stream_write(&l.st, "x", 1) > 0)
			continue;
		full++;
		ck_assert_int_eq(SSL_read(l.client, buf, 1), 1);
		while (stream_write(&l.st, "x", 1) == -EAGAIN)
			ck_assert_int_eq(SSL_read(l.client, buf, 1), 1);
	}
	do {
		if (r == -EAGAIN)
			r = stream_shutdown(&l.st);
		c = SSL_read(l.client, buf, sizeof buf);
	} while (c > 0 || (SSL_get_error(l.client, c) == SSL_ERROR_WANT_READ && r == -EAGAIN));
	ck_assert_int_eq(SSL_get_error(l.client, c), SSL_ERROR_ZERO_RETURN);
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(large_file_in)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	static unsigned char buf[100000];
	size_t sent = 0, n = 0;
	ssize_t r;

	one_of_four(&v, &ctx, _i);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
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
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(garbage)
{
	static const char *const bytes[] = {
		"USER root\r\n", "\x16\x03\x01\xff\xff", "\x80\x2e\x01", "GET / HTTP/1.0\r\n\r\n"
	};
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	int r;

	tls_server_simple(&v);
	ctx = tls_client_context(&v, 0);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_gt(write(l.client_fd, bytes[_i], strlen(bytes[_i])), 0);
	r = stream_handshake(&l.st);
	if (r == -EAGAIN) {
		shutdown(l.client_fd, SHUT_WR);
		r = stream_handshake(&l.st);
	}
	ck_assert_int_lt(r, 0);
	ck_assert_int_ne(r, -EAGAIN);
	ck_assert(!tls_stream_ready(&l.st));
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(no_renegotiation)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	char buf[100];

	tls_server_simple(&v);
	ctx = tls_client_context(&v, TLS1_2_VERSION);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert_int_eq(SSL_renegotiate(l.client), 1);
	(void)SSL_do_handshake(l.client);
	ck_assert_int_lt(stream_read(&l.st, buf, sizeof buf), 0);
	ck_assert_int_ne(SSL_do_handshake(l.client), 1);
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(back_to_clear)
{
	struct tls_server v;
	struct tls_line l;
	SSL_CTX *ctx;
	char buf[100];
	size_t len = sizeof buf;

	tls_server_simple(&v);
	ctx = tls_client_context(&v, tls_versions[_i]);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	tls_client_sees(&l, "200 clear\r\n");
	SSL_shutdown(l.client);
	ck_assert_int_eq(write(l.client_fd, "PWD\r\n", 5), 5);
	ck_assert_int_eq(tls_stream_strip(&l.st, 1000, buf, &len), 0);
	ck_assert_uint_eq(len, 5);
	ck_assert_mem_eq(buf, "PWD\r\n", 5);
	ck_assert_int_eq(SSL_shutdown(l.client), 1);
	ck_assert_int_eq(write(l.client_fd, "NOOP\r\n", 6), 6);
	ck_assert_int_eq(stream_read(&l.st, buf, sizeof buf), 6);
	tls_line_close(&l);

	/* Commands that should have waited, too many bytes, and silence. */
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	SSL_write(l.client, "DELE x\r\n", 8);
	SSL_shutdown(l.client);
	ck_assert_int_eq(tls_stream_strip(&l.st, 1000, buf, &len), SP_EFORMAT);
	tls_line_close(&l);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	SSL_shutdown(l.client);
	ck_assert_int_eq(write(l.client_fd, "NOOP\r\n", 6), 6);
	len = 5;
	ck_assert_int_eq(tls_stream_strip(&l.st, 1000, buf, &len), SP_ERANGE);
	tls_line_close(&l);
	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert_int_eq(tls_stream_strip(&l.st, 50, buf, &len), -ETIMEDOUT);
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(client_certificates)
{
	static const char *const kinds[] = { "P-256" };
	struct tls_pair good = tls_pair_make("P-256", "client"), bad = tls_pair_make("P-256", "client");
	struct tls_server v = { 0 };
	struct tls_line l, d;
	SSL_CTX *ctx;
	tls_defaults(&v.set, 1);
	v.set.client_certificate = CONF_CERT_REQUIRE;
	tls_server_make(&v, kinds, 1, &good);
	ctx = tls_client_context(&v, tls_versions[_i]);

	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	ck_assert_int_lt(tls_shake(&l, NULL), 0);
	tls_line_close(&l);

	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	SSL_use_cert_and_key(l.client, bad.cert, bad.key, NULL, 1);
	ck_assert_int_lt(tls_shake(&l, NULL), 0);
	tls_line_close(&l);

	tls_line_open(&l, &v, ctx, TLS_CONTROL);
	SSL_use_cert_and_key(l.client, good.cert, good.key, NULL, 1);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert_int_eq(X509_cmp(v.session.certificate, good.cert), 0);

	tls_line_open(&d, &v, ctx, TLS_SENDING);
	ck_assert_int_lt(tls_shake(&d, NULL), 0);
	tls_line_close(&d);
	tls_line_open(&d, &v, ctx, TLS_SENDING);
	SSL_use_cert_and_key(d.client, good.cert, good.key, NULL, 1);
	ck_assert_int_eq(tls_shake(&d, NULL), 0);
	tls_line_close(&d);

	tls_line_close(&l);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
	tls_pair_free(&good);
	tls_pair_free(&bad);
}
END_TEST

/* What two children of one prepared process have in common must not be what protects them. */
START_TEST(children_share_no_randomness)
{
	struct tls_server v;
	uint8_t *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	ck_assert_int_eq(tls_provider_load(), 0);
	ck_assert_int_eq(tls_warm_handshakes(), 0);
	tls_server_simple(&v);
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
	tls_server_free(&v);
}
END_TEST

Suite *
worker_tls_stream_suite(void)
{
	Suite *s = suite_create("worker_tls_stream");
	TCase *t = tcase_create("streams");

	tcase_add_loop_test(t, both_ways, 0, 2);
	tcase_add_test(t, too_old_version_is_refused);
	tcase_add_loop_test(t, foreign_protocols_are_refused, 0, sizeof alpn / sizeof alpn[0]);
	tcase_add_loop_test(t, certificate_by_name_and_kind, 0, sizeof choices / sizeof choices[0]);
	tcase_add_loop_test(t, ends_are_told_apart, 0, 4);
	tcase_add_loop_test(t, server_ends_first, 0, 4);
	tcase_add_loop_test(t, large_file_out, 0, 4);
	tcase_add_loop_test(t, closing_message_behind_a_full_socket, 0, 4);
	tcase_add_loop_test(t, large_file_in, 0, 4);
	tcase_add_loop_test(t, garbage, 0, 4);
	tcase_add_test(t, no_renegotiation);
	tcase_add_loop_test(t, back_to_clear, 0, 2);
	tcase_add_loop_test(t, client_certificates, 0, 2);
	tcase_add_test(t, children_share_no_randomness);
	suite_add_tcase(s, t);
	return s;
}
