#include "config.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/tls_bio.h"
#include "daemon/worker/tls_identity.h"
#include "daemon/worker/tls_provider.h"
#include "daemon/worker/tls_stream.h"
#include "privsep/chan.h"

#define RECORD		16384
#define RECORD_EXTRA	64		/* more than TLS adds to a record */
#define WRITE_MAX	(16 * RECORD)	/* what one write takes */
#define READ_FILE	(4 * RECORD)	/* what one read of a file takes: it stays in the cache until encrypted */

enum phase { PHASE_HANDSHAKE, PHASE_FAILED, PHASE_OPEN, PHASE_CLOSING, PHASE_CLOSED };

/* One connection. */
struct link {
	SSL *ssl;
	struct tls_session *session;
	struct tls_wire wire;
	enum phase phase;
	bool data;
	bool peer_closed;	/* its closing message has come */
	uint32_t serial;	/* of the ticket of this session that it showed, 0: none */
	bool from_control;	/* which had given that ticket */
	bool expired;		/* that ticket is too old */
	uint8_t *file;		/* READ_FILE bytes, mapped at the first use */
};

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
	uint32_t from_control;
};

static int
mark_ticket(SSL *ssl, void *context)
{
	const struct link *l = SSL_get_app_data(ssl);
	struct mark m = { .serial = ++l->session->serial, .from_control = !l->data };

	(void)context;
	memcpy(m.binding, l->session->binding, TLS_BINDING);
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &m, sizeof m);
}

static SSL_TICKET_RETURN
judge_ticket(SSL *ssl, SSL_SESSION *ss, const unsigned char *name, size_t name_len, SSL_TICKET_STATUS status, void *context)
{
	struct link *l = SSL_get_app_data(ssl);
	struct mark m;
	void *mark;
	size_t len;

	(void)name, (void)name_len, (void)context;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_SESSION_get0_ticket_appdata(ss, &mark, &len) != 1 || len != sizeof m)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	memcpy(&m, mark, sizeof m);
	if (CRYPTO_memcmp(m.binding, l->session->binding, TLS_BINDING) != 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	l->serial = m.serial;
	l->from_control = m.from_control;
	l->expired = (int64_t)SSL_SESSION_get_time(ss) + SSL_SESSION_get_timeout(ss) < (int64_t)time(NULL);
	/* A ticket may come twice: without early data nothing can be replayed. Each use gives a fresh one. */
	return SSL_TICKET_RETURN_USE_RENEW;
}

void
tls_stream_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	(void)SSL_CTX_set_session_ticket_cb(ctx, mark_ticket, judge_ticket, NULL);
}

/* The whole message goes to the keeper, the signature comes back. */
static int
ask_keeper(void *context, uint32_t key, unsigned scheme, const void *message, size_t message_len, uint8_t *sig, size_t *len)
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
	free(t->certificate);
	t->certificate = NULL;
	t->certificate_len = 0;
	tls_provider_set_signer(NULL, NULL);
}

/* --------------------------------------------------------------------- one stream */

/* What a call that did not succeed means for the stream: -EAGAIN with want set, or why it is over. */
static int
outcome(struct stream *st, int result)
{
	struct link *l = st->state;

	switch (SSL_get_error(l->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		st->want = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		st->want = POLLOUT;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		l->peer_closed = true;
		return 0;
	}
	if (l->wire.error != 0) {
		ERR_clear_error();
		return l->wire.error;
	}
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING || l->wire.end) {
		ERR_clear_error();
		return SP_ETRUNC;
	}
	(void)str_copy(l->session->problem, sizeof l->session->problem, tls_error_text());
	return -EPROTO;
}

/* What the client's certificate says; *len 0 when there is none. The caller frees it. */
static uint8_t *
peer_certificate(SSL *ssl, size_t *len)
{
	X509 *x = SSL_get0_peer_certificate(ssl);

	*len = 0;
	return x == NULL ? NULL : tls_identity(x, len);
}

static void
log_control(const struct tls_session *t)
{
	struct log_line l;

	log_begin(&l, LOG_LEVEL_INFO, "tls");
	log_str(&l, "with", t->description);
	if (t->name[0] != '\0')
		log_str(&l, "host", t->name);
	if (t->certificate != NULL)
		log_str(&l, "client_certificate", "yes");
	log_end(&l);
}

static void
log_failure(const struct link *l, int code)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_NOTICE, "tls-failed");
	log_str(&line, "connection", l->data ? "data" : "control");
	if (l->session->problem[0] != '\0')
		log_str(&line, "reason", l->session->problem);
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
	log_begin(&l, LOG_LEVEL_INFO, "tls-not-resumed");
	log_str(&l, "hint", "session_reuse = strict would refuse this client");
	log_end(&l);
}

static void
note_control(struct link *l)
{
	struct tls_session *t = l->session;
	const char *host = SSL_get_servername(l->ssl, TLSEXT_NAMETYPE_host_name);

	if (host == NULL || str_copy(t->name, sizeof t->name, host) != 0)
		t->name[0] = '\0';
	(void)str_format(t->description, sizeof t->description, "%s %s", SSL_get_version(l->ssl), SSL_get_cipher_name(l->ssl));
	free(t->certificate);
	t->certificate = peer_certificate(l->ssl, &t->certificate_len);
	t->reuse.last_ticket_ms = clock_ms();
	t->control = l->ssl;
	log_control(t);
	if (t->secured != NULL)
		t->secured(t);
}

/* Who logged in with a certificate shows the same one on data connections, or resumes. */
static bool
same_client(const struct link *l)
{
	const struct tls_session *t = l->session;
	size_t len;
	uint8_t *shown;
	bool same;

	if (t->certificate == NULL || SSL_session_reused(l->ssl) == 1)
		return true;
	shown = peer_certificate(l->ssl, &len);
	same = shown != NULL && len == t->certificate_len && memcmp(shown, t->certificate, len) == 0;
	free(shown);
	return same;
}

static int
judge_data(struct link *l)
{
	struct tls_session *t = l->session;
	struct tls_reuse_facts f = {
		.resumed = SSL_session_reused(l->ssl) == 1,
		.from_control = l->from_control,
		.serial = l->serial,
		.expired = l->expired,
		.now_ms = clock_ms()
	};
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
	(void)str_copy(t->problem, sizeof t->problem, t->refusal);
	if (t->refused != NULL)
		t->refused(t);
	return SP_EDENIED;
}

static int
handshake(struct stream *st)
{
	struct link *l = st->state;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(l->ssl);
	if (r != 1) {
		r = outcome(st, r);
		return r == 0 ? SP_ETRUNC : r;
	}
	r = tls_wire_flush(&l->wire);
	if (r != 0) {
		st->want = POLLOUT;
		return r;
	}
	l->phase = PHASE_OPEN;
	if (l->data)
		return judge_data(l);
	note_control(l);
	/* What only the handshake needed goes back: most sessions are idle most of the time. */
	(void)malloc_trim(0);
	return 0;
}

static int
tls_handshake(struct stream *st)
{
	struct link *l = st->state;
	int r;

	if (l->phase == PHASE_FAILED)
		return -EPROTO;
	if (l->phase != PHASE_HANDSHAKE)
		return 0;
	r = handshake(st);
	if (r == 0 || r == -EAGAIN)
		return r;
	log_failure(l, r);
	l->phase = PHASE_FAILED;
	return r;
}

static ssize_t
read_end(struct link *l, int r)
{
	/* Relaxed by tls_strict_close = no: an end is an end. */
	if (r == SP_ETRUNC && l->data && !l->session->profile->strict_close)
		return 0;
	return r;
}

/* Takes as many records as are there: a read(2) has brought several at once. */
static ssize_t
tls_read(struct stream *st, void *buf, size_t size)
{
	struct link *l = st->state;
	size_t got = 0, n;
	int r = tls_handshake(st);

	if (r != 0)
		return r;
	ERR_clear_error();
	while (got < size) {
		r = SSL_read_ex(l->ssl, (char *)buf + got, size - got, &n);
		if (r != 1)
			break;
		got += n;
		if (l->wire.in.len == 0 && SSL_pending(l->ssl) == 0)
			return (ssize_t)got;
	}
	/* What ended the loop will do so again at the next call. */
	return got > 0 ? (ssize_t)got : read_end(l, outcome(st, r));
}

/* Room for n bytes under TLS, or the reason why there is none yet. */
static int
make_room(struct stream *st, size_t n)
{
	struct link *l = st->state;
	int r = tls_wire_room(&l->wire, n + (n / RECORD + 1) * RECORD_EXTRA);

	if (r != 0)
		st->want = POLLOUT;
	return r;
}

static ssize_t
tls_write(struct stream *st, const void *buf, size_t n)
{
	struct link *l = st->state;
	size_t done;
	int r;

	if (l->phase != PHASE_OPEN)
		return -ENOTCONN;
	if (n > WRITE_MAX)
		n = WRITE_MAX;
	if (n == 0)
		return 0;
	r = make_room(st, n);
	if (r != 0)
		return r;
	ERR_clear_error();
	r = SSL_write_ex(l->ssl, buf, n, &done);
	return r == 1 ? (ssize_t)done : outcome(st, r);
}

static int
get_file_buffer(struct link *l)
{
	void *p;

	if (l->file != NULL)
		return 0;
	p = mmap(NULL, READ_FILE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	l->file = p;
	return 0;
}

static ssize_t
tls_send_file(struct stream *st, int fd, off_t *offset, size_t n)
{
	struct link *l = st->state;
	ssize_t r;

	if (get_file_buffer(l) != 0)
		return -ENOMEM;
	if (n > READ_FILE)
		n = READ_FILE;
	/* Room first: what has been read is then sure to be taken. */
	r = make_room(st, n);
	if (r != 0)
		return r;
	do
		r = pread(fd, l->file, n, *offset);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r == 0 ? 0 : -EIO;
	r = tls_write(st, l->file, (size_t)r);
	if (r > 0)
		*offset += r;
	return r;
}

static int
tls_flush(struct stream *st)
{
	struct link *l = st->state;
	int r = tls_wire_flush(&l->wire);

	st->want = POLLOUT;
	return r;
}

/* Reads what is left until the peer's closing message or its end; it is not wanted any more. */
static int
await_close(struct stream *st)
{
	struct link *l = st->state;
	char rest[4096];
	size_t n;
	int r;

	for (int turns = 0; turns < 64; turns++) {
		ERR_clear_error();
		r = SSL_read_ex(l->ssl, rest, sizeof rest, &n);
		if (r == 1)
			continue;
		r = outcome(st, r);
		if (r == -EAGAIN)
			return r;
		/* An end of any kind is one: everything of ours has been taken by the kernel. */
		l->phase = PHASE_CLOSED;
		return 0;
	}
	/* Whoever goes on sending is not waiting for an end. */
	l->phase = PHASE_CLOSED;
	return 0;
}

static int
tls_shutdown(struct stream *st)
{
	struct link *l = st->state;
	int r;

	if (l->phase == PHASE_HANDSHAKE || l->phase == PHASE_FAILED || l->phase == PHASE_CLOSED)
		return 0;
	if (l->phase == PHASE_OPEN) {
		if ((r = make_room(st, RECORD_EXTRA)) != 0)
			return r;
		ERR_clear_error();
		(void)SSL_shutdown(l->ssl);
		ERR_clear_error();
		l->phase = PHASE_CLOSING;
	}
	r = tls_flush(st);
	if (r == -EAGAIN)
		return r;
	if (r != 0 && !l->peer_closed)
		return r;
	(void)shutdown(st->fd, SHUT_WR);
	if (!l->peer_closed)
		return await_close(st);
	l->phase = PHASE_CLOSED;
	return 0;
}

static size_t
tls_pending(const struct stream *st)
{
	const struct link *l = st->state;

	return (size_t)SSL_pending(l->ssl) + l->wire.in.len;
}

static void
tls_release(struct stream *st)
{
	struct link *l = st->state;

	if (l->session->control == l->ssl)
		l->session->control = NULL;
	/* Without this OpenSSL takes a session for broken and forgets it. */
	SSL_set_quiet_shutdown(l->ssl, 1);
	(void)SSL_shutdown(l->ssl);
	SSL_free(l->ssl);
	tls_wire_free(&l->wire);
	if (l->file != NULL)
		(void)munmap(l->file, READ_FILE);
	free(l);
	st->state = NULL;
}

static const struct stream_ops stream_tls = {
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.send_file = tls_send_file,
	.flush = tls_flush,
	.shutdown = tls_shutdown,
	.pending = tls_pending,
	.release = tls_release,
};

static int
set_up(struct link *l)
{
	BIO *bio;

	l->ssl = SSL_new(l->session->profile->ctx);
	bio = l->ssl == NULL ? NULL : tls_bio_new(&l->wire);
	if (bio == NULL) {
		SSL_free(l->ssl);
		return -ENOMEM;
	}
	SSL_set_bio(l->ssl, bio, bio);
	SSL_set_app_data(l->ssl, l);
	SSL_set_accept_state(l->ssl);
	if (l->data)
		(void)SSL_set_num_tickets(l->ssl, 1);
	else
		SSL_set_mode(l->ssl, SSL_MODE_RELEASE_BUFFERS);
	/* Whoever showed a certificate on the control connection is asked for it again when it does not resume. */
	if (l->data && l->session->certificate == NULL)
		SSL_set_verify(l->ssl, SSL_VERIFY_NONE, NULL);
	return 0;
}

int
tls_stream_start(struct tls_session *t, struct stream *st, bool data)
{
	struct link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return -ENOMEM;
	l->session = t;
	l->data = data;
	l->wire.fd = st->fd;
	l->wire.batch = data;
	if (set_up(l) != 0) {
		free(l);
		return -ENOMEM;
	}
	t->problem[0] = '\0';
	t->refusal = NULL;
	st->ops = &stream_tls;
	st->state = l;
	st->want = POLLIN;
	return 0;
}

bool
tls_stream_ready(const struct stream *st)
{
	const struct link *l = st->state;

	return st->ops == &stream_tls && l->phase == PHASE_OPEN;
}

/* Waits for the peer's closing message on a control connection. */
static int
await_strip(struct stream *st, int timeout_ms)
{
	struct link *l = st->state;
	const int64_t until = clock_ms() + timeout_ms;
	struct pollfd p = { .fd = st->fd, .events = POLLIN };
	char byte;
	size_t n;
	int r;

	for (;;) {
		ERR_clear_error();
		r = SSL_read_ex(l->ssl, &byte, 1, &n);
		if (r == 1)
			return SP_EFORMAT;	/* a command that should have waited */
		r = outcome(st, r);
		if (r != -EAGAIN)
			return r;
		if (clock_ms() >= until || poll(&p, 1, (int)(until - clock_ms())) <= 0)
			return -ETIMEDOUT;
	}
}

int
tls_stream_strip(struct stream *st, int timeout_ms, void *rest, size_t *len)
{
	struct link *l = st->state;
	int r;

	ERR_clear_error();
	(void)SSL_shutdown(l->ssl);
	r = l->peer_closed ? 0 : await_strip(st, timeout_ms);
	if (r == 0 && l->wire.in.len > *len)
		r = SP_ERANGE;
	if (r != 0)
		return r;
	*len = l->wire.in.len;
	if (*len > 0)
		memcpy(rest, l->wire.in.data + l->wire.in.pos, *len);
	tls_release(st);
	st->ops = &stream_plain;
	return 0;
}
