/*
 * What proves that a client owns a certificate: handshakes of the worker's TLS with OpenSSL's client, which the
 * verifier judges; and what somebody who commands the worker could make of them.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/verifier/identity.h"
#include "daemon/verifier/proof.h"
#include "daemon/verifier/transcript.h"
#include "tests/unit/tls_world.h"
#include "tests/unit/worker_tls.h"

#define WORDS(...) (const char *const []){ __VA_ARGS__ }

/* CN=one session, CN=two session: as long as each other. */
static const uint8_t one[] = "\x30\x16\x31\x14\x30\x12\x06\x03\x55\x04\x03\x0c\x0bone session", two[] =
    "\x30\x16\x31\x14\x30\x12\x06\x03\x55\x04\x03\x0c\x0btwo session";
#define NAME (sizeof one - 1)

/* A handshake that has been, and who believes it. */
struct scene {
	struct tls_server v;
	struct tls_pair client;
	struct proof_terms terms;
	uint8_t *bytes;
	size_t len;
};

static struct scene *now;

/* As the worker's owner does: what there is of the handshake goes to the monitor. */
static void
keep_handshake(struct tls_session *t)
{
	now->len = t->handshake_len;
	if (now->len == 0)
		return;
	now->bytes = malloc(now->len);
	memcpy(now->bytes, t->handshake, now->len);
}

static void
believe(struct scene *s, const struct tls_pair *ca)
{
	s->terms = (struct proof_terms){ .store = X509_STORE_new(), .own = sk_X509_new_null() };
	ck_assert_int_eq(X509_STORE_add_cert(s->terms.store, ca->cert), 1);
	ck_assert_int_eq(X509_up_ref(s->v.pair[0].cert), 1);
	ck_assert_int_gt(sk_X509_push(s->terms.own, s->v.pair[0].cert), 0);
}

/* groups: NULL, or the client's, of which the server wants the last: a HelloRetryRequest. */
static void
play(struct scene *s, const char *server, const char *client, int version, const char *groups)
{
	struct tls_line l;
	SSL_CTX *ctx;

	memset(s, 0, sizeof *s);
	now = s;
	s->client = tls_pair_make(client, "pc7.example.org");
	tls_defaults(&s->v.set, 1);
	s->v.set.client_certificate = CONF_CERT_REQUEST;
	tls_server_make(&s->v, WORDS(server), 1, &s->client);
	s->v.session.challenge = one;
	s->v.session.challenge_len = NAME;
	s->v.session.secured = keep_handshake;
	ctx = tls_client_context(&s->v, version);
	if (groups != NULL) {
		ck_assert_int_eq(SSL_CTX_set1_groups_list(ctx, groups), 1);
		ck_assert_int_eq(SSL_CTX_set1_groups_list(s->v.profile->ctx, strrchr(groups, ':') + 1), 1);
	}
	tls_line_open(&l, &s->v, ctx, TLS_CONTROL);
	SSL_use_cert_and_key(l.client, s->client.cert, s->client.key, NULL, 1);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert_ptr_nonnull(s->bytes);
	/* Nothing of it stays behind. */
	ck_assert_ptr_null(s->v.session.handshake);
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	believe(s, &s->client);
}

static void
leave(struct scene *s)
{
	proof_terms_free(&s->terms);
	tls_pair_free(&s->client);
	tls_server_free(&s->v);
	free(s->bytes);
}

static const char *
judge(const struct scene *s, const uint8_t *challenge)
{
	X509 *leaf;
	const char *why = proof_check(&s->terms, challenge, NAME, s->bytes, s->len, &leaf);

	ck_assert_int_eq(leaf == NULL, why != NULL);
	ck_assert(leaf == NULL || X509_cmp(leaf, s->client.cert) == 0);
	X509_free(leaf);
	return why;
}

static const struct {
	const char *server, *client;
	int version;
	const char *groups;
} handshakes[] = {
	{ "P-256", "P-256", TLS1_3_VERSION, NULL }, { "P-256", "P-256", TLS1_2_VERSION, NULL },
	{ "RSA", "P-384", TLS1_3_VERSION, NULL }, { "RSA", "P-384", TLS1_2_VERSION, NULL },
	{ "ED25519", "RSA", TLS1_3_VERSION, NULL }, { "ED25519", "RSA", TLS1_2_VERSION, NULL },
	{ "P-384", "ED25519", TLS1_3_VERSION, NULL }, { "P-384", "ED25519", TLS1_2_VERSION, NULL },
	{ "P-521", "P-521", TLS1_3_VERSION, NULL }, { "P-521", "P-521", TLS1_2_VERSION, NULL },
	{ "P-256", "P-256", TLS1_3_VERSION, "X25519:P-256" }, { "RSA", "RSA", TLS1_3_VERSION, "P-256:P-384" },
};

START_TEST(clients_prove_their_certificates)
{
	static uint8_t text[IDENTITY_MAX];
	struct scene s;
	struct transcript t;

	play(&s, handshakes[_i].server, handshakes[_i].client, handshakes[_i].version, handshakes[_i].groups);
	ck_assert_int_eq(transcript_parse(&t, s.bytes, s.len), 0);
	ck_assert_int_eq(t.tls13, handshakes[_i].version == TLS1_3_VERSION);
	ck_assert_int_eq(t.retried.len > 0, handshakes[_i].groups != NULL);
	ck_assert_ptr_null(judge(&s, one));
	ck_assert_uint_eq(identity(s.client.cert, text), 7 + 64 + 1 + strlen("dns:pc7.example.org\n"));
	ck_assert_mem_eq(text, "sha256:", 7);
	ck_assert_mem_eq(text + 72, "dns:pc7.example.org\n", 20);
	leave(&s);
}
END_TEST

/* The same handshake is no proof in another session, to another server, or for another authority. */
START_TEST(proofs_are_not_passed_on)
{
	const int version = tls_versions[_i];
	struct scene s, other;

	play(&s, "P-256", "P-256", version, NULL);
	ck_assert_str_eq(judge(&s, two), "the handshake of another session");
	play(&other, "P-256", "P-256", version, NULL);
	free(other.bytes);
	other.bytes = s.bytes;
	other.len = s.len;
	ck_assert_str_eq(judge(&other, one), "the handshake of another server");
	/* It calls itself as ours does, and has a key of its own. */
	ck_assert_int_eq(sk_X509_push(other.terms.own, s.v.pair[0].cert), 2);
	ck_assert_int_eq(X509_up_ref(s.v.pair[0].cert), 1);
	ck_assert_ptr_nonnull(judge(&other, one));
	other.bytes = NULL;
	leave(&other);
	leave(&s);
}
END_TEST

/* With the new session's name in the old handshake the client has not signed it. */
START_TEST(names_are_not_exchanged)
{
	struct scene s;
	uint8_t *name;

	play(&s, "P-256", "P-256", tls_versions[_i], NULL);
	name = memmem(s.bytes, s.len, one, NAME);
	ck_assert_ptr_nonnull(name);
	memcpy(name, two, NAME);
	/* The server of TLS 1.2 signs less; the client all. */
	ck_assert_str_eq(judge(&s, two), tls_versions[_i] == TLS1_3_VERSION ? "not signed by this server" :
	    "not signed by the client");
	leave(&s);
}
END_TEST

/* Each byte counts, and each is needed. */
START_TEST(nothing_in_it_can_be_altered)
{
	struct scene s;
	size_t len;

	play(&s, handshakes[_i].server, handshakes[_i].client, handshakes[_i].version, handshakes[_i].groups);
	for (size_t i = 0; i < s.len; i++) {
		s.bytes[i] ^= 1;
		ck_assert_msg(judge(&s, one) != NULL, "byte %zu of %zu", i, s.len);
		s.bytes[i] ^= 1;
	}
	len = s.len;
	for (s.len = 0; s.len < len; s.len++)
		ck_assert_ptr_nonnull(judge(&s, one));
	ck_assert_ptr_null(judge(&s, one));
	/* One byte more. */
	s.bytes = realloc(s.bytes, len + 1);
	s.bytes[s.len++] = 0;
	ck_assert_ptr_nonnull(judge(&s, one));
	leave(&s);
}
END_TEST

/* The length of three bytes in front of a place grows by so much. */
static void
lengthen(uint8_t *end, long by)
{
	const long n = (end[-3] << 16 | end[-2] << 8 | end[-1]) + by;

	for (int i = 1; i <= 3; i++)
		end[-i] = (uint8_t)(n >> 8 * (i - 1));
}

/* In place of the one that the client has shown. */
static void
put_certificate(struct scene *s, X509 *x)
{
	struct transcript t;
	struct span chain, old;
	uint8_t *der = NULL, *all;
	const int n = i2d_X509(x, &der);
	size_t at, head;

	ck_assert_int_eq(transcript_parse(&t, s->bytes, s->len), 0);
	chain = t.client_chain;
	ck_assert(transcript_next_certificate(&t, &chain, &old));
	at = (size_t)(old.at - s->bytes);
	head = at - 6 - (t.tls13 ? 1 : 0);	/* behind the length of the message */
	all = malloc(s->len - old.len + (size_t)n);
	memcpy(all, s->bytes, at);
	memcpy(all + at, der, (size_t)n);
	memcpy(all + at + n, old.at + old.len, s->len - at - old.len);
	for (const size_t *p = (const size_t []){ at, at - 3, head, 0 }; *p != 0; p++)
		lengthen(all + *p, n - (long)old.len);
	s->len = s->len - old.len + (size_t)n;
	free(s->bytes);
	s->bytes = all;
	OPENSSL_free(der);
}

/* Whoever commands the worker has the keeper's signatures, but not the client's key. */
START_TEST(certificates_without_their_keys)
{
	struct scene s, thief;

	play(&s, "P-256", "P-256", tls_versions[_i], NULL);
	play(&thief, "P-256", "P-256", tls_versions[_i], NULL);
	/* The thief's own handshake, with a certificate that nobody here has issued. */
	X509_STORE_free(thief.terms.store);
	thief.terms.store = X509_STORE_new();
	ck_assert_int_eq(X509_STORE_add_cert(thief.terms.store, s.client.cert), 1);
	ck_assert_ptr_nonnull(judge(&thief, one));
	put_certificate(&thief, s.client.cert);
	ck_assert_str_eq(judge(&thief, one), "not signed by the client");
	leave(&thief);
	leave(&s);
}
END_TEST

/* A handshake that is longer than a message holds proves nothing, and is no reason to refuse the client. */
START_TEST(long_handshakes_are_let_go)
{
	struct tls_session *t;
	struct scene s;
	struct tls_line l;
	SSL_CTX *ctx;

	play(&s, "P-256", "P-256", tls_versions[_i], NULL);
	free(s.bytes);
	s.bytes = NULL;
	t = &s.v.session;
	ctx = tls_client_context(&s.v, tls_versions[_i]);
	tls_line_open(&l, &s.v, ctx, TLS_CONTROL);
	t->handshake_len = TLS_HANDSHAKE_MAX - 5;
	SSL_use_cert_and_key(l.client, s.client.cert, s.client.key, NULL, 1);
	ck_assert_int_eq(tls_shake(&l, NULL), 0);
	ck_assert_uint_eq(s.len, 0);
	ck_assert_ptr_nonnull(t->certificate);
	tls_line_close(&l);
	SSL_CTX_free(ctx);
	leave(&s);
}
END_TEST

Suite *
verifier_proof_suite(void)
{
	Suite *s = suite_create("verifier_proof");
	TCase *t = tcase_create("proof");
	const int all = (int)(sizeof handshakes / sizeof handshakes[0]);

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, clients_prove_their_certificates, 0, all);
	tcase_add_loop_test(t, proofs_are_not_passed_on, 0, 2);
	tcase_add_loop_test(t, names_are_not_exchanged, 0, 2);
	tcase_add_loop_test(t, nothing_in_it_can_be_altered, 0, all);
	tcase_add_loop_test(t, certificates_without_their_keys, 0, 2);
	tcase_add_loop_test(t, long_handshakes_are_let_go, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
