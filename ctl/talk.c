/* A control connection, from the client's side. */
#include "config.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/talk.h"

#define REPLY_LINES_MAX	1000	/* a greeting may be long, not endless */

/* Until the socket can be read (POLLIN) or written. 0 or -errno. */
static int
await(const struct talk *t, short events)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	int64_t left;
	int r;

	do {
		left = t->end - clock_ms();
		r = left <= 0 ? 0 : poll(&p, 1, (int)left);
	} while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

int
talk_open(struct talk *t, const struct addr *a, int64_t end)
{
	int r = 0;
	socklen_t len = sizeof r;

	*t = (struct talk){ .end = end };
	t->fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return -errno;
	if (connect(t->fd, &a->sa, addr_len(a)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if ((r = await(t, POLLOUT)) != 0)
		return r;
	return getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &r, &len) < 0 ? -errno : -r;
}

/* After a call of OpenSSL that did not succeed: 0, it may be tried again; or what went wrong. */
static int
await_tls(struct talk *t, int result)
{
	int r = errno;

	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return await(t, POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return await(t, POLLOUT);
	case SSL_ERROR_ZERO_RETURN:
		return SP_ECLOSED;
	case SSL_ERROR_SYSCALL:
		return r != 0 ? -r : SP_ECLOSED;
	default:
		return SP_EREPLY;
	}
}

/* A name of the kind that certificates bear; an address is asked for in another way. */
static bool
set_name(SSL *ssl, const char *name)
{
	struct addr a;
	bool number = addr_parse(&a, name, 0) == 0;

	return number ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
		      : SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool
prepare(struct talk *t, const char *name)
{
	if ((t->ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		return false;
	/* Old versions are refused by who uses the connection, if at all. */
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	return SSL_CTX_set_default_verify_paths(t->ctx) == 1 && (t->ssl = SSL_new(t->ctx)) != NULL &&
	    SSL_set_fd(t->ssl, t->fd) == 1 && (name == NULL || set_name(t->ssl, name));
}

int
talk_tls(struct talk *t, const char *name)
{
	int r, error = 0;

	/* What stands behind the reply to AUTH was not protected by TLS. */
	if (t->n > 0)
		return SP_EREPLY;
	ERR_clear_error();
	if (!prepare(t, name))
		return -ENOMEM;
	while (error == 0) {
		errno = 0;
		if ((r = SSL_connect(t->ssl)) == 1)
			return 0;
		error = await_tls(t, r);
	}
	ERR_clear_error();
	return error;
}

/* Bytes that were read or written (more than 0), 0 to try again, or an error. */
static int
step(struct talk *t, void *buf, size_t n, bool write)
{
	ssize_t got;
	int r;

	errno = 0;
	if (t->ssl != NULL) {
		r = write ? SSL_write(t->ssl, buf, (int)n) : SSL_read(t->ssl, buf, (int)n);
		return r > 0 ? r : await_tls(t, r);
	}
	got = write ? send(t->fd, buf, n, MSG_NOSIGNAL) : recv(t->fd, buf, n, 0);
	if (got > 0)
		return (int)got;
	if (got == 0)
		return SP_ECLOSED;
	return errno == EINTR ? 0 : errno != EAGAIN ? -errno : await(t, write ? POLLOUT : POLLIN);
}

/* One line without its end, at most size - 1 bytes of it. 0 or an error. */
static int
read_line(struct talk *t, char *line, size_t size)
{
	char *end;
	size_t n;
	int r;

	while ((end = memchr(t->in, '\n', t->n)) == NULL) {
		if (t->n == sizeof t->in)
			return SP_EFORMAT;
		if ((r = step(t, t->in + t->n, sizeof t->in - t->n, false)) < 0)
			return r;
		t->n += (size_t)r;
	}
	n = (size_t)(end - t->in);
	if (memchr(t->in, '\0', n) != NULL)
		return SP_EFORMAT;
	(void)str_format(line, size, "%.*s", (int)(n > 0 && end[-1] == '\r' ? n - 1 : n), t->in);
	t->n -= n + 1;
	memmove(t->in, end + 1, t->n);
	return 0;
}

/* The code that a line begins with; 0: none. */
static int
code_of(const char *line)
{
	if (strspn(line, "0123456789") != 3 || line[0] < '1' || line[0] > '5')
		return 0;
	if (line[3] != ' ' && line[3] != '-' && line[3] != '\0')
		return 0;
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
}

int
talk_reply(struct talk *t)
{
	char line[sizeof t->text];
	int code = 0, r;

	for (unsigned lines = 0; lines < REPLY_LINES_MAX; lines++) {
		if ((r = read_line(t, line, sizeof line)) != 0)
			return r;
		if (lines == 0 && (code = code_of(line)) == 0)
			return SP_EFORMAT;
		/* Lines between are anything; the last one has the same code, and a blank or nothing behind it. */
		if (code_of(line) != code || line[3] == '-')
			continue;
		(void)str_copy(t->text, sizeof t->text, line + 3 + (line[3] == ' '));
		return code;
	}
	return SP_EFORMAT;
}

int
talk_command(struct talk *t, const char *verb, const char *argument)
{
	char line[1200];
	size_t done = 0, n;
	int r = str_format(line, sizeof line, "%s%s%s\r\n", verb, argument == NULL ? "" : " ",
	    argument == NULL ? "" : argument);

	/* A line that has an end inside would be two commands. */
	if (r != 0 || strcspn(line, "\r\n") + 2 != (n = strlen(line)))
		r = SP_EFORMAT;
	for (; r >= 0 && done < n; done += r < 0 ? 0 : (size_t)r)
		r = step(t, line + done, n - done, true);
	explicit_bzero(line, sizeof line);
	return r < 0 ? r : talk_reply(t);
}

void
talk_close(struct talk *t)
{
	if (t->ssl != NULL)
		(void)SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	ERR_clear_error();
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct talk){ .fd = -1 };
}
