#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/err.h"
#include "tests/unit/tls_world.h"
#include "tests/unit/worker_tls.h"

/* A session of the control connection for the client to resume. */
static SSL_SESSION *
control_session(struct tls_server *v, SSL_CTX *ctx, struct tls_line *l)
{
	tls_line_open(l, v, ctx, TLS_CONTROL);
	ck_assert_int_eq(tls_shake(l, NULL), 0);
	tls_client_sees(l, "220 ready\r\n");
	return SSL_get1_session(l->client);
}

/* One data connection; its verdict, and the session for the next one in *s. */
static int
data_connection(struct tls_server *v, SSL_CTX *ctx, SSL_SESSION **s)
{
	struct tls_line l;
	int r;

	tls_line_open(&l, v, ctx, TLS_SENDING);
	if (*s != NULL)
		SSL_set_session(l.client, *s);
	r = tls_shake(&l, NULL);
	if (r == 0) {
		tls_client_sees(&l, "content");
		SSL_SESSION_free(*s);
		*s = SSL_get1_session(l.client);
	}
	SSL_set_quiet_shutdown(l.client, 1);
	SSL_shutdown(l.client);
	tls_line_close(&l);
	return r;
}

START_TEST(data_resumes_control)
{
	struct tls_server v;
	struct tls_line control;
	SSL_CTX *ctx;
	SSL_SESSION *s, *none = NULL;

	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = tls_client_context(&v, tls_versions[_i]);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	ck_assert_uint_eq(v.session.reuse.resumed, 5);
	ck_assert_int_eq(data_connection(&v, ctx, &none), SP_EDENIED);
	ck_assert_str_eq(v.session.refusal, "TLS session of data connection not resumed (session_reuse = strict)");
	ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	SSL_SESSION_free(s);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(one_ticket_many_times)
{
	struct tls_server v;
	struct tls_line control;
	SSL_CTX *ctx;
	SSL_SESSION *s, *copy;

	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = tls_client_context(&v, tls_versions[_i]);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 5; i++) {
		copy = SSL_SESSION_dup(s);
		ck_assert_int_eq(data_connection(&v, ctx, &copy), 0);
		SSL_SESSION_free(copy);
	}
	SSL_SESSION_free(s);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

/* A stranger that was refused comes back with the ticket, or the session's number, that its handshake left it. */
START_TEST(refused_connections_gain_nothing)
{
	struct tls_server v;
	struct tls_line control, l;
	SSL_CTX *ctx;
	SSL_SESSION *s, *loot;
	char byte;

	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = tls_client_context(&v, tls_versions[_i / 2]);
	if (_i % 2 == 1)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	s = control_session(&v, ctx, &control);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), SP_EDENIED);
	(void)SSL_read(l.client, &byte, 1);
	loot = SSL_get1_session(l.client);
	ck_assert(SSL_SESSION_is_resumable(loot) == 1);
	SSL_set_quiet_shutdown(l.client, 1);
	SSL_shutdown(l.client);
	tls_line_close(&l);
	ck_assert_int_eq(data_connection(&v, ctx, &loot), SP_EDENIED);
	ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	SSL_SESSION_free(s);
	SSL_SESSION_free(loot);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

/* Who has shown no certificate gets a ticket all the same; it does not stand for the certificate the next time. */
START_TEST(refused_connections_prove_no_certificate)
{
	struct tls_pair shown = tls_pair_make("P-256", "client");
	struct tls_server v;
	struct tls_line control, l;
	SSL_CTX *ctx;
	SSL_SESSION *s, *loot;
	char byte;

	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_ADAPTIVE;
	ctx = tls_client_context(&v, tls_versions[_i]);
	s = control_session(&v, ctx, &control);
	v.session.certificate = shown.cert;	/* by the control connection */
	ck_assert_int_eq(X509_up_ref(shown.cert), 1);
	tls_line_open(&l, &v, ctx, TLS_SENDING);
	ck_assert_int_eq(tls_shake(&l, NULL), SP_EDENIED);
	(void)SSL_read(l.client, &byte, 1);
	loot = SSL_get1_session(l.client);
	SSL_set_quiet_shutdown(l.client, 1);
	SSL_shutdown(l.client);
	tls_line_close(&l);
	ck_assert_int_eq(data_connection(&v, ctx, &loot), SP_EDENIED);
	ck_assert_str_eq(v.session.refusal, "data connection without the client certificate of the control connection");
	v.session.refusal = NULL;
	ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	SSL_SESSION_free(s);
	SSL_SESSION_free(loot);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
	tls_pair_free(&shown);
}
END_TEST

/* A client that uses each ticket once, and takes it from the control connection each time. */
START_TEST(single_use_tickets)
{
	struct tls_server v;
	struct tls_line control, d;
	SSL_CTX *ctx;
	SSL_SESSION *s;

	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = tls_client_context(&v, TLS1_3_VERSION);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 6; i++) {
		SSL_SESSION *next;

		tls_line_open(&d, &v, ctx, TLS_SENDING);
		SSL_set_session(d.client, s);
		ck_assert_int_eq(tls_shake(&d, NULL), 0);
		SSL_set_quiet_shutdown(d.client, 1);
		SSL_shutdown(d.client);
		tls_line_close(&d);
		tls_client_sees(&control, "226 done\r\n");
		next = SSL_get1_session(control.client);
		ck_assert_ptr_ne(next, s);
		SSL_SESSION_free(s);
		s = next;
	}
	ck_assert_uint_eq(v.session.reuse.resumed, 6);
	SSL_SESSION_free(s);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

/* An uploading client that never reads finds nothing unread when it closes; its next ticket comes with the reply. */
START_TEST(uploads_get_no_tickets)
{
	struct tls_server v;
	struct tls_line control, d;
	SSL_CTX *ctx;
	SSL_SESSION *s;
	char byte;

	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = tls_client_context(&v, TLS1_3_VERSION);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 4; i++) {
		tls_line_open(&d, &v, ctx, TLS_RECEIVING);
		SSL_set_session(d.client, s);
		ck_assert_int_eq(tls_shake(&d, NULL), 0);
		ck_assert_int_eq(recv(d.client_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
		SSL_shutdown(d.client);
		tls_line_close(&d);
		tls_client_sees(&control, "226 done\r\n");
		SSL_SESSION_free(s);
		s = SSL_get1_session(control.client);
	}
	ck_assert_uint_eq(v.session.reuse.resumed, 4);
	SSL_SESSION_free(s);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

/*
 * Who takes each ticket from the download before finds none after an upload: the control connection has one then,
 * and only then.
 */
START_TEST(uploads_end_chains)
{
	struct tls_server v;
	struct tls_line control, d;
	SSL_CTX *ctx;
	SSL_SESSION *s, *held, *now;

	tls_server_simple(&v);
	ctx = tls_client_context(&v, TLS1_3_VERSION);
	s = control_session(&v, ctx, &control);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	held = SSL_get1_session(control.client);
	tls_client_sees(&control, "226 done\r\n");
	now = SSL_get1_session(control.client);
	ck_assert_ptr_eq(now, held);
	SSL_SESSION_free(now);
	tls_line_open(&d, &v, ctx, TLS_RECEIVING);
	SSL_set_session(d.client, s);
	ck_assert_int_eq(tls_shake(&d, NULL), 0);
	SSL_shutdown(d.client);
	tls_line_close(&d);
	tls_client_sees(&control, "226 done\r\n");
	now = SSL_get1_session(control.client);
	ck_assert_ptr_ne(now, held);
	ck_assert_uint_eq(v.session.reuse.resumed, 4);
	SSL_SESSION_free(now);
	SSL_SESSION_free(held);
	SSL_SESSION_free(s);
	tls_line_close(&control);
	SSL_CTX_free(ctx);
	tls_server_free(&v);
}
END_TEST

START_TEST(ticket_of_another_session)
{
	struct tls_server v, other;
	struct tls_line control, foreign;
	SSL_CTX *ctx, *octx;
	SSL_SESSION *s, *stolen;

	tls_server_simple(&other);
	octx = tls_client_context(&other, tls_versions[_i]);
	stolen = control_session(&other, octx, &foreign);
	tls_server_simple(&v);
	v.session.reuse.mode = CONF_REUSE_STRICT;
	ctx = tls_client_context(&v, tls_versions[_i]);
	s = control_session(&v, ctx, &control);
	ck_assert_int_eq(data_connection(&v, ctx, &stolen), SP_EDENIED);
	ck_assert_int_eq(data_connection(&v, ctx, &s), 0);
	/* The same worker's, but of a session it had before: the binding differs. */
	v.session.binding[0] ^= 1;
	if (tls_versions[_i] == TLS1_3_VERSION)
		ck_assert_int_eq(data_connection(&v, ctx, &s), SP_EDENIED);
	SSL_SESSION_free(s);
	SSL_SESSION_free(stolen);
	tls_line_close(&control);
	tls_line_close(&foreign);
	SSL_CTX_free(ctx);
	SSL_CTX_free(octx);
	tls_server_free(&v);
	tls_server_free(&other);
}
END_TEST

Suite *
worker_tls_session_suite(void)
{
	Suite *s = suite_create("worker_tls_session");
	TCase *t = tcase_create("resumption");

	tcase_add_loop_test(t, data_resumes_control, 0, 2);
	tcase_add_loop_test(t, one_ticket_many_times, 0, 2);
	tcase_add_loop_test(t, refused_connections_gain_nothing, 0, 4);
	tcase_add_loop_test(t, refused_connections_prove_no_certificate, 0, 2);
	tcase_add_test(t, single_use_tickets);
	tcase_add_test(t, uploads_get_no_tickets);
	tcase_add_test(t, uploads_end_chains);
	tcase_add_loop_test(t, ticket_of_another_session, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
