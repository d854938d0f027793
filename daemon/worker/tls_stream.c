#include "config.h"

#include <openssl/err.h>

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/worker/tls_link.h"
#include "privsep/tlstrust.h"

#define RECORD		16384
#define RECORD_EXTRA	64		/* more than TLS adds to a record */
#define WRITE_MAX	(16 * RECORD)	/* what one write takes */
#define READ_FILE	(4 * RECORD)	/* what one read of a file takes: it stays in the cache until encrypted */

static void
note_problem(struct tls_session *t)
{
	const char *text = tls_error_text();

	(void)str_copy(t->problem, sizeof t->problem, t->refused_certificate[0] != '\0' ? t->refused_certificate : text);
	t->refused_certificate[0] = '\0';
}

/* What a call that did not succeed means for the stream: -EAGAIN with want set, or why it is over. */
static int
outcome(struct stream *st, int result)
{
	struct tls_link *l = st->state;

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
	case SSL_ERROR_SYSCALL:
		if (l->in_kernel && errno != 0)
			return -errno;
		break;
	}
	if (l->wire.error != 0) {
		ERR_clear_error();
		return l->wire.error;
	}
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING || l->wire.end) {
		ERR_clear_error();
		return SP_ETRUNC;
	}
	note_problem(l->session);
	return -EPROTO;
}

static int
handshake(struct stream *st)
{
	struct tls_link *l = st->state;
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
	/*
	 * There will be nothing of ours that an acknowledgement could travel with, and the client's kernel waits
	 * for it.
	 */
	if (l->receiving)
		(void)setsockopt(st->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
	r = tls_link_judge(l);
	/* What only the handshake needed goes back: most sessions are idle most of the time. */
	if (!l->data)
		(void)malloc_trim(0);
	return r;
}

static int
tls_handshake(struct stream *st)
{
	struct tls_link *l = st->state;
	int r;

	if (l->phase == PHASE_FAILED)
		return -EPROTO;
	if (l->phase != PHASE_HANDSHAKE)
		return 0;
	r = handshake(st);
	if (r == 0 || r == -EAGAIN)
		return r;
	tls_link_failed(l, r);
	l->phase = PHASE_FAILED;
	return r;
}

static ssize_t
read_end(struct tls_link *l, int r)
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
	struct tls_link *l = st->state;
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
	struct tls_link *l = st->state;
	int r = tls_wire_room(&l->wire, n + (n / RECORD + 1) * RECORD_EXTRA);

	if (r != 0)
		st->want = POLLOUT;
	return r;
}

static ssize_t
tls_write(struct stream *st, const void *buf, size_t n)
{
	struct tls_link *l = st->state;
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
get_file_buffer(struct tls_link *l)
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

/* The kernel reads and encrypts. */
static ssize_t
send_in_kernel(struct stream *st, int fd, off_t *offset, size_t n)
{
	struct tls_link *l = st->state;
	ssize_t r;
	int error;

	ERR_clear_error();
	errno = 0;
	r = SSL_sendfile(l->ssl, fd, *offset, n, 0);
	error = errno;
	if (r < 0) {
		r = outcome(st, (int)r);
		/* OpenSSL has a reason of its own for whatever sendfile(2) reports. */
		return r == -EPROTO && error != 0 ? -error : r;
	}
	*offset += r;
	return r;
}

static ssize_t
tls_send_file(struct stream *st, int fd, off_t *offset, size_t n)
{
	struct tls_link *l = st->state;
	ssize_t r;

	if (l->in_kernel && BIO_get_ktls_send(SSL_get_wbio(l->ssl)))
		return send_in_kernel(st, fd, offset, n);
	if (get_file_buffer(l) != 0)
		return -ENOMEM;
	if (n > READ_FILE)
		n = READ_FILE;
	/* A write that OpenSSL had to put off is repeated as it was. */
	if (l->put_off != 0)
		n = l->put_off;
	/* Room first: what has been read is then sure to be taken. */
	r = make_room(st, n);
	if (r != 0)
		return r;
	do
		r = pread(fd, l->file, n, *offset);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r == 0 ? 0 : -EIO;
	n = (size_t)r;
	r = tls_write(st, l->file, n);
	l->put_off = r == -EAGAIN ? n : 0;
	if (r > 0)
		*offset += r;
	return r;
}

static int
tls_flush(struct stream *st)
{
	struct tls_link *l = st->state;
	int r = tls_wire_flush(&l->wire);

	st->want = POLLOUT;
	return r;
}

/* Reads what is left until the peer's closing message or its end; it is not wanted any more. */
static int
await_close(struct stream *st)
{
	struct tls_link *l = st->state;
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
		l->torn = r != 0 && r != SP_ETRUNC;
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
	struct tls_link *l = st->state;
	int r;

	if (l->phase == PHASE_HANDSHAKE || l->phase == PHASE_FAILED || l->phase == PHASE_CLOSED)
		return 0;
	if (l->phase == PHASE_OPEN) {
		if ((r = make_room(st, RECORD_EXTRA)) != 0)
			return r;
		ERR_clear_error();
		/* Where OpenSSL has the socket itself, there may be no room for the closing message yet. */
		if ((r = SSL_shutdown(l->ssl)) < 0 && outcome(st, r) == -EAGAIN && st->want == POLLOUT)
			return -EAGAIN;
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
	const struct tls_link *l = st->state;

	return (size_t)SSL_pending(l->ssl) + l->wire.in.len;
}

static void
tls_release(struct stream *st)
{
	struct tls_link *l = st->state;

	tls_link_ended(l);
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
set_up(struct tls_link *l)
{
	BIO *bio;

	l->ssl = SSL_new(l->session->profile->ctx);
	if (l->ssl != NULL && l->in_kernel)
		SSL_set_options(l->ssl, SSL_OP_ENABLE_KTLS);
	bio = l->ssl == NULL ? NULL : l->in_kernel ? BIO_new_socket(l->wire.fd, BIO_NOCLOSE) : tls_bio_new(&l->wire);
	if (bio == NULL) {
		return -ENOMEM;
	}
	SSL_set_bio(l->ssl, bio, bio);
	SSL_set_app_data(l->ssl, l);
	SSL_set_accept_state(l->ssl);
	/*
	 * Who uploads may never read: tickets of TLS 1.3 would lie unread in its socket, and closing that
	 * would reset the connection and lose the end of the file.
	 */
	if (l->data)
		(void)SSL_set_num_tickets(l->ssl, l->receiving ? 0 : 1);
	else
		SSL_set_mode(l->ssl, SSL_MODE_RELEASE_BUFFERS);
	/* Whoever showed a certificate on the control connection is asked for it again when it does not resume. */
	if (l->data && l->session->certificate == NULL)
		SSL_set_verify(l->ssl, SSL_VERIFY_NONE, NULL);
	return l->data ? 0 : tls_link_note_handshake(l);
}

int
tls_stream_start(struct tls_session *t, struct stream *st, enum tls_use use)
{
	const bool data = use != TLS_CONTROL;
	struct tls_link *l = calloc(1, sizeof *l);

	if (l == NULL)
		return -ENOMEM;
	l->session = t;
	l->data = data;
	l->receiving = use == TLS_RECEIVING;
	l->wire.fd = st->fd;
	l->in_kernel = data && t->profile->in_kernel;
	l->wire.batch = data && !l->in_kernel;
	if (set_up(l) != 0) {
		SSL_free(l->ssl);
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
	const struct tls_link *l = st->state;

	return st->ops == &stream_tls && l->phase == PHASE_OPEN;
}

/* Waits for the peer's closing message on a control connection. */
static int
await_strip(struct stream *st, int timeout_ms)
{
	struct tls_link *l = st->state;
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
	struct tls_link *l = st->state;
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
