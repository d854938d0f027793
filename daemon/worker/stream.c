#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "daemon/worker/stream.h"

#define LINGER_MS	1000		/* below the two seconds after which the listener ends what is left of a session */
#define LINGER_BYTES	(256u << 10)

static int
plain_nothing(struct stream *st)
{
	(void)st;
	return 0;
}

static ssize_t
plain_read(struct stream *st, void *buf, size_t n)
{
	ssize_t r;

	do
		r = recv(st->fd, buf, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	st->want = POLLIN;
	return r < 0 ? -errno : r;
}

static ssize_t
plain_write(struct stream *st, const void *buf, size_t n)
{
	ssize_t r;

	do
		r = send(st->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	st->want = POLLOUT;
	return r < 0 ? -errno : r;
}

static ssize_t
plain_send_file(struct stream *st, int fd, off_t *offset, size_t n)
{
	ssize_t r;

	do
		r = sendfile(st->fd, fd, offset, n);
	while (r < 0 && errno == EINTR);
	st->want = POLLOUT;
	return r < 0 ? -errno : r;
}

static ssize_t
plain_splice(struct stream *st, int pipe_fd, size_t n)
{
	ssize_t r;

	do
		r = splice(st->fd, NULL, pipe_fd, NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (r < 0 && errno == EINTR);
	st->want = POLLIN;
	return r < 0 ? -errno : r;
}

static size_t
plain_pending(const struct stream *st)
{
	(void)st;
	return 0;
}

static void
plain_release(struct stream *st)
{
	(void)st;
}

const struct stream_ops stream_plain = {
	.handshake = plain_nothing,
	.read = plain_read,
	.write = plain_write,
	.send_file = plain_send_file,
	.splice = plain_splice,
	.flush = plain_nothing,
	.shutdown = plain_nothing,	/* close(2) says it */
	.pending = plain_pending,
	.release = plain_release,
};

void
stream_open(struct stream *st, int fd)
{
	*st = (struct stream){ .fd = fd, .want = POLLIN, .ops = &stream_plain };
}

void
stream_linger(struct stream *st)
{
	int64_t end = clock_ms() + LINGER_MS, now;
	struct pollfd p = { .fd = st->fd, .events = POLLIN };
	char discarded[4096];
	size_t left = LINGER_BYTES;

	if (st->fd < 0 || shutdown(st->fd, SHUT_WR) < 0)
		return;
	while ((now = clock_ms()) < end && poll(&p, 1, (int)(end - now)) > 0) {
		ssize_t n = recv(st->fd, discarded, sizeof discarded, MSG_DONTWAIT);

		if (n <= 0 || (size_t)n > left)
			return;
		left -= (size_t)n;
	}
}

void
stream_strip(struct stream *st)
{
	st->ops->release(st);
	st->ops = &stream_plain;
	st->state = NULL;
}

int
stream_close(struct stream *st)
{
	int r = 0;

	if (st->fd < 0)
		return 0;
	stream_strip(st);
	if (close(st->fd) < 0)
		r = -errno;
	st->fd = -1;
	return r;
}

int
stream_handshake(struct stream *st)
{
	return st->ops->handshake(st);
}

ssize_t
stream_read(struct stream *st, void *buf, size_t n)
{
	return st->ops->read(st, buf, n);
}

ssize_t
stream_write(struct stream *st, const void *buf, size_t n)
{
	return st->ops->write(st, buf, n);
}

ssize_t
stream_send_file(struct stream *st, int fd, off_t *offset, size_t n)
{
	return st->ops->send_file(st, fd, offset, n);
}

bool
stream_can_splice(const struct stream *st)
{
	return st->ops->splice != NULL;
}

ssize_t
stream_splice(struct stream *st, int pipe_fd, size_t n)
{
	return st->ops->splice(st, pipe_fd, n);
}

int
stream_flush(struct stream *st)
{
	return st->ops->flush(st);
}

int
stream_shutdown(struct stream *st)
{
	return st->ops->shutdown(st);
}

size_t
stream_pending(const struct stream *st)
{
	return st->ops->pending(st);
}

static int
wait_for(struct stream *st, int timeout_ms)
{
	struct pollfd p = { .fd = st->fd, .events = st->want };
	int r;

	do
		r = poll(&p, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return -ETIMEDOUT;
	return r < 0 ? -errno : 0;
}

int
stream_write_all(struct stream *st, const void *buf, size_t n, int timeout_ms)
{
	const char *at = buf;
	ssize_t r = 0;

	while (n > 0) {
		r = stream_write(st, at, n);
		if (r == -EAGAIN)
			r = wait_for(st, timeout_ms);
		else if (r > 0) {
			at += r;
			n -= (size_t)r;
		}
		if (r < 0)
			return (int)r;
	}
	while ((r = stream_flush(st)) == -EAGAIN)
		if ((r = wait_for(st, timeout_ms)) < 0)
			return (int)r;
	return (int)r;
}
