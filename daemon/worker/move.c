#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/move.h"
#include "daemon/worker/session.h"
#include "daemon/worker/transfer.h"

#define HALF		(256u << 10)	/* what one read takes; conversion needs twice that behind it */
#define BUFFER_SIZE	(3 * HALF + 16)

/*
 * What one sendfile(2) takes.  Measured over loopback with one and with eight
 * sessions: 256 KiB, together with the agent's TCP_NOTSENT_LOWAT, takes half
 * the time of a call for the whole file, blocking or not.
 */
#define SEND_MAX	(256u << 10)

/*
 * Large uploads go through a pipe: measured on tmpfs and ext4, splice(2) with
 * a pipe of 1 MiB takes 10 to 40 per cent less time than read and write with
 * 256 KiB; with 64 KiB it takes more.  Small ones are not worth the pipe.
 */
#define PIPE_SIZE	(1 << 20)
#define PIPE_FROM	(1u << 20)	/* bytes received before it is made */

#define END_MS		20	/* what is awaited behind the end of an upload in clear text, at most */

/* Only pages that are used cost anything, and they go back at the end. */
static bool
get_buffer(struct transfer *t)
{
	if (t->buffer == NULL) {
		t->buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (t->buffer == MAP_FAILED)
			t->buffer = NULL;
	}
	return t->buffer != NULL;
}

void
move_free(struct transfer *t)
{
	if (t->buffer != NULL)
		munmap(t->buffer, BUFFER_SIZE);
	t->buffer = NULL;
	for (int i = 0; i < 2; i++) {
		if (t->pipe[i] >= 0)
			close(t->pipe[i]);
		t->pipe[i] = -1;
	}
}

/* Waits on another descriptor than the data stream's. */
static int
wait_on(struct transfer *t, int fd, short events)
{
	t->wait_fd = fd;
	t->wait_events = events;
	return -EAGAIN;
}

static void
moved(struct transfer *t, size_t n)
{
	t->progress = true;
	t->moved += n;
	t->unlooked += n;
	if (t->upload)
		t->s->bytes_in += n;
	else
		t->s->bytes_out += n;
	if (t->listing)
		t->s->bytes_listed += n;
}

/* ----------------------------------------------------------------------- making the connection */

/* There is a connection: TLS first where PROT P was agreed. */
static int
connected(struct transfer *t)
{
	struct session *s = t->s;

	t->progress = true;
	t->step = t->move;
	if (s->data_secure == NULL)
		return 0;
	s->data_refusal = NULL;
	if (s->data_secure(s, &t->data) != 0)
		return transfer_finish(t, TRANSFER_INSECURE, 0);
	t->step = move_handshake;
	return 0;
}

int
move_accept(struct transfer *t)
{
	int fd = data_accept(t->s);

	if (fd == -EAGAIN)
		return wait_on(t, t->s->data.listen_fd, POLLIN);
	if (fd < 0)
		return transfer_finish(t, TRANSFER_UNCONNECTED, fd);
	stream_open(&t->data, fd);
	return connected(t);
}

int
move_connect(struct transfer *t)
{
	int e = data_connected(t->data.fd);

	if (e == -EINPROGRESS)
		return wait_on(t, t->data.fd, POLLOUT);
	return e < 0 ? transfer_finish(t, TRANSFER_UNCONNECTED, e) : connected(t);
}

int
move_handshake(struct transfer *t)
{
	int e = stream_handshake(&t->data);

	if (e == -EAGAIN)
		return e;
	if (e < 0)
		return transfer_finish(t, TRANSFER_INSECURE, e);
	t->progress = true;
	t->step = t->move;
	return 0;
}

/* --------------------------------------------------------------------------------- sending */

static int
send_failed(struct transfer *t, ssize_t e)
{
	if (e == -EAGAIN)
		return -EAGAIN;
	return transfer_finish(t, e == -EIO ? TRANSFER_UNREADABLE : TRANSFER_BROKEN, (int)e);
}

/* The agent has the same open file: should this process be killed, the place in it says how much was sent. */
static void
show_position(struct transfer *t)
{
	(void)lseek(t->file_fd, t->at, SEEK_SET);
}

int
move_send_file(struct transfer *t)
{
	size_t n = t->stop - t->at > (off_t)SEND_MAX || !t->counted ? SEND_MAX : (size_t)(t->stop - t->at);
	ssize_t r;

	if (n == 0) {
		t->step = move_flush;
		return 0;
	}
	n = rate_allow(&t->s->down, n, &t->pause_ms);
	if (n == 0)
		return -EAGAIN;
	r = stream_send_file(&t->data, t->file_fd, &t->at, n);
	if (r < 0)
		return send_failed(t, r);
	moved(t, (size_t)r);
	rate_spend(&t->s->down, (size_t)r);
	if (r == 0 && t->counted)
		return transfer_finish(t, TRANSFER_SHORTENED, 0);
	if (r == 0 || t->at == t->stop)
		t->step = move_flush;
	else
		show_position(t);
	return 0;
}

/* Sends what is in the buffer. 1 when it is empty. */
static int
send_buffer(struct transfer *t, const char *buffer)
{
	size_t n = t->have - t->sent;
	ssize_t r;

	if (n == 0)
		return 1;
	n = rate_allow(&t->s->down, n, &t->pause_ms);
	if (n == 0)
		return -EAGAIN;
	r = stream_write(&t->data, buffer + t->sent, n);
	if (r < 0)
		return send_failed(t, r);
	moved(t, (size_t)r);
	rate_spend(&t->s->down, (size_t)r);
	t->sent += (size_t)r;
	return 0;
}

int
move_send_ascii(struct transfer *t)
{
	char *text;
	ssize_t r;
	int e;

	if (!get_buffer(t))
		return transfer_finish(t, TRANSFER_UNREADABLE, -ENOMEM);
	text = t->buffer + HALF;
	e = send_buffer(t, text);
	if (e != 1)
		return e;
	if (t->last) {
		t->step = move_flush;
		return 0;
	}
	do
		r = pread(t->file_fd, t->buffer, HALF, t->at);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return transfer_finish(t, TRANSFER_UNREADABLE, -errno);
	if (t->counted && r > t->stop - t->at)
		r = t->stop - t->at;
	if (r == 0 && t->counted && t->at < t->stop)	/* it was cut meanwhile: this is not what was promised */
		return transfer_finish(t, TRANSFER_SHORTENED, 0);
	if (r > 0)
		show_position(t);
	t->at += r;
	t->last = r == 0;
	t->have = ascii_encode(&t->ascii, t->buffer, (size_t)r, text);
	t->sent = 0;
	return 0;
}

/* The next part of the listing. */
static int
pull_lines(struct transfer *t)
{
	struct session *s = t->s;
	struct msg_list_next body = { .end_ = "" };
	int e = ask_agent(s, MSG_LIST_NEXT, &body, MSG_LINES);

	if (e < 0)
		return transfer_finish(t, TRANSFER_STOPPED, 0);
	if (e > 0) {
		/* What was read goes out whole, to the end of TLS; then the client hears why there is no more. */
		ask_reason(s, &s->answer.failed, t->why, sizeof t->why);
		t->incomplete = t->last = true;
		t->have = t->sent = 0;
		return 0;
	}
	t->have = s->answer.lines.text_len;
	t->sent = 0;
	t->last = s->answer.lines.end != 0;
	return 0;
}

int
move_send_list(struct transfer *t)
{
	int e = send_buffer(t, (const char *)t->s->answer.lines.text);

	if (e != 1)
		return e;
	if (!t->last)
		return pull_lines(t);
	t->step = move_flush;
	return 0;
}

int
move_flush(struct transfer *t)
{
	int e = stream_flush(&t->data);

	if (e < 0)
		return send_failed(t, e);
	t->progress = true;
	t->step = move_shutdown;
	return 0;
}

/* All data are on their way: a peer that does not take part in the farewell loses nothing. */
int
move_shutdown(struct transfer *t)
{
	if (stream_shutdown(&t->data) == -EAGAIN)
		return -EAGAIN;
	return transfer_finish(t, TRANSFER_OK, 0);
}

/* ------------------------------------------------------------------------------- receiving */

/* Writes it all to the file; a regular file takes it without waiting. */
static int
store(struct transfer *t, const char *data, size_t n)
{
	if (n > t->room - t->stored)
		return transfer_finish(t, TRANSFER_NO_ROOM, 0);
	while (n > 0) {
		ssize_t r = write(t->file_fd, data, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return transfer_finish(t, TRANSFER_UNWRITABLE, r < 0 ? -errno : -ENOSPC);
		t->stored += (uint64_t)r;
		data += r;
		n -= (size_t)r;
	}
	return 0;
}

/*
 * In clear text an end says little: that of a client which is killed looks the same.  What tells them apart is the
 * end of the control connection, or an ABOR (RFC 959, 4.1.1, QUIT), and that may come a moment later; it is awaited
 * for a fiftieth of the time that the upload took, so that nobody notices.
 */
static enum transfer_end
look_behind_end(const struct transfer *t)
{
	struct pollfd p = { .fd = t->s->control.fd, .events = POLLIN | POLLRDHUP };
	int64_t wait = (clock_ms() - t->started) / 50;

	(void)poll(&p, 1, wait < END_MS ? (int)wait : END_MS);
	return transfer_look(t->s);
}

/* The client has said in the proper way that this was all. */
static int
received(struct transfer *t)
{
	enum transfer_end end = t->data.state == NULL ? look_behind_end(t) : TRANSFER_OK;
	char cr;

	if (end != TRANSFER_OK)
		return transfer_finish(t, end, 0);
	t->step = move_shutdown;
	if (t->convert && ascii_decode_end(&t->ascii, &cr) > 0)
		return store(t, &cr, 1);
	return 0;
}

/*
 * Is it time for the pipe, and can it be had?  One that the kernel keeps small
 * (fs.pipe-user-pages-soft counts for all sessions together) is worth nothing.
 */
static bool
piped(struct transfer *t)
{
	if (t->pipe[0] >= 0)
		return t->room > t->stored && !t->no_pipe;
	if (t->no_pipe || t->convert || t->moved < PIPE_FROM || !stream_can_splice(&t->data))
		return false;
	if (pipe2(t->pipe, O_CLOEXEC) < 0) {
		t->pipe[0] = t->pipe[1] = -1;
		t->no_pipe = true;
	} else if (fcntl(t->pipe[1], F_SETPIPE_SZ, PIPE_SIZE) < PIPE_SIZE)
		t->no_pipe = true;
	return piped(t);
}

/* Takes n bytes out of the pipe by hand: the file does not take a pipe (one opened for appending). */
static int
store_by_hand(struct transfer *t, size_t n)
{
	t->no_pipe = true;
	while (n > 0 && t->step != NULL) {
		ssize_t r = read(t->pipe[0], t->buffer, n < HALF ? n : HALF);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return transfer_finish(t, TRANSFER_UNWRITABLE, r < 0 ? -errno : -EPIPE);
		store(t, t->buffer, (size_t)r);
		n -= (size_t)r;
	}
	return 0;
}

static int
store_piped(struct transfer *t, size_t n)
{
	while (n > 0) {
		ssize_t r = splice(t->pipe[0], NULL, t->file_fd, NULL, n, SPLICE_F_MOVE);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EINVAL)
			return store_by_hand(t, n);
		if (r <= 0)
			return transfer_finish(t, TRANSFER_UNWRITABLE, r < 0 ? -errno : -ENOSPC);
		t->stored += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

/* Into the pipe or into the buffer: never more into the pipe than there is room for. */
static ssize_t
take_in(struct transfer *t, size_t n, bool pipe)
{
	if (!pipe)
		return stream_read(&t->data, t->buffer, n < HALF ? n : HALF);
	if (n > t->room - t->stored)
		n = (size_t)(t->room - t->stored);
	return stream_splice(&t->data, t->pipe[1], n);
}

int
move_receive(struct transfer *t)
{
	bool pipe = piped(t);
	size_t n = PIPE_SIZE;
	ssize_t r;

	if (!get_buffer(t))
		return transfer_finish(t, TRANSFER_UNWRITABLE, -ENOMEM);
	n = rate_allow(&t->s->up, n, &t->pause_ms);
	if (n == 0)
		return -EAGAIN;
	r = take_in(t, n, pipe);
	if (r == -EAGAIN)
		return -EAGAIN;
	if (r < 0)
		return transfer_finish(t, r == SP_ETRUNC ? TRANSFER_CUT : TRANSFER_BROKEN, (int)r);
	if (r == 0)
		return received(t);
	moved(t, (size_t)r);
	rate_spend(&t->s->up, (size_t)r);
	if (pipe)
		return store_piped(t, (size_t)r);
	if (!t->convert)
		return store(t, t->buffer, (size_t)r);
	return store(t, t->buffer + HALF, ascii_decode(&t->ascii, t->buffer, (size_t)r, t->buffer + HALF));
}

int
move_discard(struct transfer *t)
{
	size_t n;
	ssize_t r;

	if (t->said_end && !queue_empty(&t->s->later))
		return transfer_finish(t, TRANSFER_OK, 0);
	n = rate_allow(&t->s->up, HALF, &t->pause_ms);
	if (n == 0)
		return -EAGAIN;
	if (!get_buffer(t))
		return transfer_finish(t, TRANSFER_BROKEN, -ENOMEM);
	r = stream_read(&t->data, t->buffer, n < HALF ? n : HALF);
	if (r == -EAGAIN)
		return t->refused && !queue_empty(&t->s->later) ? transfer_finish(t, TRANSFER_OK, 0) : -EAGAIN;
	/* The end, of any kind. Who ended TLS in the proper way waits for ours. */
	if (r <= 0) {
		t->step = move_shutdown;
		return 0;
	}
	t->progress = !t->said_end;
	t->unlooked += (size_t)r;
	rate_spend(&t->s->up, (size_t)r);
	return 0;
}
