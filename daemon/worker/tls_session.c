#include "config.h"

#include <openssl/rand.h>
#include <openssl/x509.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/tls_link.h"
#include "daemon/worker/tls_provider.h"
#include "privsep/chan.h"
#include "privsep/tlstrust.h"

/* ------------------------------------------------------------- OpenSSL's callbacks */

/* Protocol names as in ALPN: a length byte, the name. FTP's, and what some clients say on data connections. */
static const unsigned char alpn_names[] = "\x03" "ftp" "\x08" "ftp-data" "\x0f" "x-filezilla-ftp";

/* A client that speaks another protocol has been led here by somebody (ALPACA): no session. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
    void *context)
{
	unsigned char *chosen;

	(void)ssl, (void)context;
	if (SSL_select_next_proto(&chosen, out_len, alpn_names, sizeof alpn_names - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* What each ticket carries, encrypted with the rest of it. */
struct mark {
	uint8_t binding[TLS_BINDING];
	uint32_t serial;
	uint8_t from_control, trusted, unused[2];
};

/* Who showed a certificate on the control connection shows the same one on data connections, or resumes. */
static bool
same_client(const struct tls_link *l)
{
	const struct tls_session *t = l->session;
	const X509 *shown;

	if (t->certificate == NULL || (SSL_session_reused(l->ssl) == 1 && l->trusted))
		return true;
	shown = SSL_get0_peer_certificate(l->ssl);
	return shown != NULL && X509_cmp(shown, t->certificate) == 0;
}

/*
 * Tickets leave before the connection is judged, those of strangers too.  They prove nothing later: only what goes
 * back to the control connection does, or to the handshake that a client whose tickets had all expired had to make.
 */
static bool
proves_something(const struct tls_link *l)
{
	if (!l->data)
		return true;
	if (SSL_session_reused(l->ssl) == 1)
		return l->trusted;
	return tls_reuse_outlived(&l->session->reuse, l->expired, clock_ms()) && same_client(l);
}

static int
mark_ticket(SSL *ssl, void *context)
{
	struct tls_link *l = SSL_get_app_data(ssl);
	struct mark m = { .serial = ++l->session->serial, .from_control = !l->data, .trusted = proves_something(l) };

	(void)context;
	l->given = m.serial;
	memcpy(m.binding, l->session->binding, TLS_BINDING);
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &m, sizeof m);
}

static SSL_TICKET_RETURN
judge_ticket(SSL *ssl, SSL_SESSION *ss, const unsigned char *name, size_t name_len, SSL_TICKET_STATUS status,
    void *context)
{
	struct tls_link *l = SSL_get_app_data(ssl);
	struct mark m;
	void *mark;
	size_t len;

	(void)name, (void)name_len, (void)context;
	l->offered = l->offered || status != SSL_TICKET_EMPTY;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_SESSION_get0_ticket_appdata(ss, &mark, &len) != 1 || len != sizeof m)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	memcpy(&m, mark, sizeof m);
	if (CRYPTO_memcmp(m.binding, l->session->binding, TLS_BINDING) != 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	l->serial = m.serial;
	l->from_control = m.from_control;
	l->trusted = m.trusted;
	l->age_s = (int64_t)time(NULL) - (int64_t)SSL_SESSION_get_time(ss);
	/* What a refused connection was given does not prove more by growing old. */
	l->expired = m.trusted && l->age_s > (int64_t)SSL_SESSION_get_timeout(ss);
	/* A ticket may come twice: without early data nothing can be replayed. Each use gives a fresh one. */
	return SSL_TICKET_RETURN_USE_RENEW;
}

/* A session number without a ticket: clients of TLS 1.2 that know no tickets. In TLS 1.3 it means nothing. */
static int
note_session_number(SSL *ssl, int *alert, void *context)
{
	struct tls_link *l = SSL_get_app_data(ssl);
	const unsigned char *number, *ticket;
	size_t len;

	(void)alert, (void)context;
	l->numbered = SSL_client_hello_get0_session_id(ssl, &number) > 0;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &ticket, &len) == 1)
		l->offered = true;
	return SSL_CLIENT_HELLO_SUCCESS;
}

void
tls_stream_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_client_hello_cb(ctx, note_session_number, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	(void)SSL_CTX_set_session_ticket_cb(ctx, mark_ticket, judge_ticket, NULL);
}

/* The whole message goes to the keeper, the signature comes back. */
static int
ask_keeper(void *context, uint32_t key, unsigned scheme, const void *message, size_t message_len, uint8_t *sig,
    size_t *len)
{
	static struct msg answer;
	struct msg_sign q = { .key = key, .algorithm = (uint16_t)scheme, .message_len = message_len };
	int r;

	if (message_len > sizeof q.message)
		return SP_ERANGE;
	memcpy(q.message, message, message_len);
	r = chan_call(context, MSG_SIGN, &q, &answer, MSG_SIGNATURE, MSG_NONE);
	if (r != 0)
		return r;
	if (answer.type == MSG_SIGNATURE && answer.signature.signature_len <= *len) {
		*len = answer.signature.signature_len;
		memcpy(sig, answer.signature.signature, *len);
	} else
		r = SP_EDENIED;
	msg_close(&answer);
	return r;
}

/* For the log: which certificate of the chain, by its issuer, and why. */
static void
note_refusal(X509_STORE_CTX *ctx)
{
	const struct tls_link *l = SSL_get_app_data(X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx()));
	const X509 *x = X509_STORE_CTX_get_current_cert(ctx);
	char issuer[128] = "";

	if (x != NULL)
		(void)tls_name(X509_get_issuer_name(x), issuer, sizeof issuer);
	(void)str_format(l->session->refused_certificate, sizeof l->session->refused_certificate,
	    "client certificate: %.80s (%s)", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)), issuer);
}

int
tls_stream_note_verification(int ok, X509_STORE_CTX *ctx)
{
	if (ok == 0)
		note_refusal(ctx);
	return ok;
}

/* ----------------------------------------------------- what the client has signed */

static void
forget_handshake(struct tls_session *t)
{
	free(t->handshake);
	t->handshake = NULL;
	t->handshake_len = 0;
	t->handshake_closed = true;
}

/* Each message of the handshake, whole and in clear, in both directions and in order. */
static void
note_message(int written, int version, int type, const void *message, size_t len, SSL *ssl, void *context)
{
	struct tls_session *t = context;

	(void)version, (void)ssl;
	if (type != SSL3_RT_HANDSHAKE || t->handshake_closed || len == 0)
		return;
	if (len > TLS_HANDSHAKE_MAX - t->handshake_len) {
		log_problem(EVENT_HANDSHAKE_TOO_LONG, "the client's certificate cannot be proved", 0);
		forget_handshake(t);
		return;
	}
	memcpy(t->handshake + t->handshake_len, message, len);
	t->handshake_len += len;
	t->handshake_closed = !written && *(const uint8_t *)message == SSL3_MT_CERTIFICATE_VERIFY;
}

/* The challenge is told as one more issuer: what the client signs is then signed in this session. */
static int
add_challenge(const struct tls_session *t, SSL *ssl)
{
	const unsigned char *p = t->challenge;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)t->challenge_len);
	STACK_OF(X509_NAME) *all = SSL_dup_CA_list(SSL_CTX_get_client_CA_list(t->profile->ctx));

	if (name == NULL || all == NULL || sk_X509_NAME_push(all, name) == 0) {
		X509_NAME_free(name);
		sk_X509_NAME_pop_free(all, X509_NAME_free);
		return -ENOMEM;
	}
	SSL_set_client_CA_list(ssl, all);
	return 0;
}

int
tls_link_note_handshake(struct tls_link *l)
{
	struct tls_session *t = l->session;

	if (!t->profile->ask_certificate || t->challenge_len == 0)
		return 0;
	forget_handshake(t);
	t->handshake = malloc(TLS_HANDSHAKE_MAX);
	if (t->handshake == NULL || add_challenge(t, l->ssl) != 0)
		return -ENOMEM;
	t->handshake_closed = false;
	SSL_set_msg_callback(l->ssl, note_message);
	SSL_set_msg_callback_arg(l->ssl, t);
	return 0;
}

/* -------------------------------------------------------------------- the session */

int
tls_session_begin(struct tls_session *t, struct tls_profile *p, struct chan *keeper)
{
	*t = (struct tls_session){ .profile = p };
	t->reuse.mode = p->reuse;
	t->reuse.lifetime_ms = (int64_t)p->ticket_lifetime * 1000;
	if (tls_profile_own(p) != 0 || RAND_bytes(t->binding, TLS_BINDING) != 1)
		return -EIO;
	tls_provider_set_signer(ask_keeper, keeper);
	return 0;
}

void
tls_session_end(struct tls_session *t)
{
	X509_free(t->certificate);
	t->certificate = NULL;
	forget_handshake(t);
	tls_provider_set_signer(NULL, NULL);
}

/* -------------------------------------------------------- after a handshake */

static void
log_control(const struct tls_session *t)
{
	struct log_line l;

	log_begin(&l, EVENT_TLS);
	log_str(&l, FIELD_NEGOTIATED, t->description);
	if (t->name[0] != '\0')
		log_str(&l, FIELD_HOST, t->name);
	if (t->certificate != NULL)
		log_str(&l, FIELD_CLIENT_CERTIFICATE, "yes");
	log_end(&l);
}

void
tls_link_failed(const struct tls_link *l, int code)
{
	struct log_line line;

	log_begin(&line, EVENT_TLS_FAILED);
	log_str(&line, FIELD_CONNECTION, l->data ? "data" : "control");
	if (l->session->problem[0] != '\0')
		log_str(&line, FIELD_REASON, l->session->problem);
	else
		log_code(&line, code);
	log_end(&line);
}

/* Told once: an administrator who thinks of session_reuse = strict wants to know who would be shut out. */
static void
log_not_resuming(struct tls_session *t)
{
	struct log_line l;

	if (t->reuse.told || t->reuse.mode != CONF_REUSE_ADAPTIVE)
		return;
	t->reuse.told = true;
	log_begin(&l, EVENT_TLS_NOT_RESUMED);
	log_str(&l, FIELD_HINT, "session_reuse = strict would refuse this client");
	log_end(&l);
}

static void
note_control(struct tls_link *l)
{
	struct tls_session *t = l->session;
	const char *host = SSL_get_servername(l->ssl, TLSEXT_NAMETYPE_host_name);

	if (host == NULL || str_copy(t->name, sizeof t->name, host) != 0)
		t->name[0] = '\0';
	(void)str_format(t->description, sizeof t->description, "%s %s", SSL_get_version(l->ssl), SSL_get_cipher_name(l->ssl));
	X509_free(t->certificate);
	t->certificate = SSL_get1_peer_certificate(l->ssl);
	t->reuse.last_ticket_ms = clock_ms();
	t->control = l->ssl;
	log_control(t);
	if (t->secured != NULL)
		t->secured(t);
	forget_handshake(t);
}

static struct tls_reuse_facts
facts_of(const struct tls_link *l)
{
	const bool old = SSL_version(l->ssl) < TLS1_3_VERSION, resumed = SSL_session_reused(l->ssl) == 1;

	return (struct tls_reuse_facts){
		.resumed = resumed,
		/* Without a ticket it was found by its number, where refused ones are not kept. */
		.trusted = l->trusted || (resumed && l->serial == 0),
		.offered = l->offered || (old && l->numbered),
		.from_control = l->from_control,
		.no_ticket = l->given == 0,
		.serial = l->serial,
		.age_ms = l->age_s * 1000,
		.expired = l->expired,
		.now_ms = clock_ms()
	};
}

static int
judge_data(struct tls_link *l)
{
	struct tls_session *t = l->session;
	const struct tls_reuse_facts f = facts_of(l);
	const bool good = tls_reuse_judge(&t->reuse, &f);

	/* It leaves with the next reply, in front of it: later it would surprise clients that expect silence. */
	if (tls_reuse_needs_ticket(&t->reuse, &f) && t->control != NULL && SSL_version(t->control) == TLS1_3_VERSION)
		(void)SSL_new_session_ticket(t->control);
	if (!good)
		t->refusal = tls_reuse_refusal(&t->reuse);
	else if (!same_client(l))
		t->refusal = "data connection without the client certificate of the control connection";
	if (t->refusal == NULL) {
		if (!f.resumed)
			log_not_resuming(t);
		return 0;
	}
	(void)SSL_CTX_remove_session(t->profile->ctx, SSL_get_session(l->ssl));
	(void)str_copy(t->problem, sizeof t->problem, t->refusal);
	if (t->refused != NULL)
		t->refused(t);
	return SP_EDENIED;
}

void
tls_link_ended(const struct tls_link *l)
{
	const bool in_order = l->phase == PHASE_CLOSED && !l->torn && (l->peer_closed || !l->receiving);

	/* A handshake that failed without a ticket of ours may have been anybody's. */
	if (!l->data || l->refused || (!SSL_is_init_finished(l->ssl) && l->serial == 0))
		return;
	tls_reuse_ended(&l->session->reuse, in_order, l->given);
}

int
tls_link_judge(struct tls_link *l)
{
	if (l->data) {
		const int r = judge_data(l);

		l->refused = r != 0;
		return r;
	}
	note_control(l);
	return 0;
}
