#include "config.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/err.h"
#include "common/idle.h"
#include "common/str.h"
#include "privsep/chan.h"

#define HEADER_SIZE 8		/* type and id, 32 bits each */
#define UNREAD_MAX 4096		/* bytes, the kernel's own included: room for a word that nobody asked for */

/* One packet at a time, in either direction: a process has one thread. */
static uint8_t packet[MSG_SIZE_MAX] __attribute__((aligned(4096)));

void
chan_idle(void)
{
	idle_give_back(packet, sizeof packet);
}

int
chan_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

void
chan_init(struct chan *c, int fd, enum msg_channel channel, enum msg_role own)
{
	*c = (struct chan){ .fd = fd, .channel = channel, .role = own };
}

void
chan_close(struct chan *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int
send_packet(int fd, size_t len, const int *fds, unsigned count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = { packet, len };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

	if (count > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof control);
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	do
		n = sendmsg(fd, &h, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? SP_ECLOSED : -errno;
}

int
chan_send(struct chan *c, enum msg_type type, uint32_t id, const void *body, const int *fds, unsigned count)
{
	struct wr w;
	int r;

	if (c->fd < 0)
		return SP_ECLOSED;
	if (count > MSG_FDS_MAX)
		return SP_EFDS;
	wr_init(&w, packet, sizeof packet);
	wr_u32(&w, type);
	wr_u32(&w, id);
	msg_encode(&w, type, body);
	r = w.error != 0 ? w.error : send_packet(c->fd, w.len, fds, count);
	if (msg_row(type)->secrets > 0)
		explicit_bzero(packet, w.len);
	return r;
}

int
chan_tell(struct chan *c, enum msg_type type, const void *body)
{
	return chan_send(c, type, ++c->last_id, body, NULL, 0);
}

/* A socket of this type; listening or not where that matters. Anything else has no such options: one call tells. */
static bool
is_socket(int fd, int type, int listening)
{
	int value;
	socklen_t len = sizeof value;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) < 0 || (type >= 0 && value != type))
		return false;
	return listening < 0 || (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value == listening);
}

/* Memory that cannot be cut below whoever has mapped it. Plain files of a tmpfs have seals too, but never these. */
static bool
has_fixed_size(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && (seals & F_SEAL_GROW) != 0;
}

static bool
is_file(int fd, char kind)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st) < 0 || (flags = fcntl(fd, F_GETFL)) < 0)
		return false;
	switch (kind) {
	case 'r':
		return S_ISREG(st.st_mode) && (flags & (O_ACCMODE | O_PATH)) == O_RDONLY;
	case 'w':
		return S_ISREG(st.st_mode) && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY;
	case 'd':
		return S_ISDIR(st.st_mode);
	case 'm':
		return S_ISREG(st.st_mode) && has_fixed_size(fd);
	case 'f':
		return true;
	}
	return false;
}

bool
chan_fd_is(int fd, char kind)
{
	switch (kind) {
	case 'p':
		return true;	/* the kernel passes no descriptor that is not open */
	case 't':
		return is_socket(fd, SOCK_STREAM, 0);
	case 'l':
		return is_socket(fd, -1, 1);
	case 'c':
		return is_socket(fd, SOCK_SEQPACKET, -1);
	}
	return is_file(fd, kind);
}

/* Exactly the descriptors the row announces, of exactly those kinds. */
static int
check_fds(const struct msg_row *row, const struct msg *m)
{
	unsigned i = 0;

	for (const char *k = row->fds; *k != '\0'; k++) {
		if (*k == '?')
			continue;
		if (i < m->fd_count && chan_fd_is(m->fd[i], *k))
			i++;
		else if (i < m->fd_count || k[1] != '?')
			return SP_EFDS;
	}
	return i == m->fd_count ? 0 : SP_EFDS;
}

/* Collects passed descriptors; more than fit were closed by the kernel, which MSG_CTRUNC tells. */
static void
collect_fds(struct msghdr *h, struct msg *m)
{
	m->fd_count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		unsigned n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < n && m->fd_count < MSG_FDS_MAX; i++)
			memcpy(&m->fd[m->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

static int
receive_packet(struct chan *c, struct msg *m, size_t *len)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = { packet, sizeof packet };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(c->fd, &h, MSG_CMSG_CLOEXEC);

	m->fd_count = 0;
	if (n < 0)
		return errno == ECONNRESET ? SP_ECLOSED : -errno;
	collect_fds(&h, m);
	if (n == 0)
		return SP_ECLOSED;	/* every packet has a header */
	if (h.msg_flags & MSG_TRUNC)
		return SP_ETRUNC;
	if (h.msg_flags & MSG_CTRUNC)
		return SP_EFDS;
	*len = (size_t)n;
	return 0;
}

static int
check(struct chan *c, struct msg *m, size_t len, unsigned states)
{
	const struct msg_row *row;
	struct rd r;

	rd_init(&r, packet, len);
	c->bad_type = rd_u32(&r);
	m->id = rd_u32(&r);
	if (r.error != 0)
		return r.error;
	row = msg_row(c->bad_type);
	if (row == NULL)
		return SP_ETYPE;
	m->type = c->bad_type;
	if ((row->channel != CH_ANY && row->channel != c->channel) || row->from == c->role)
		return SP_ECHANNEL;
	if ((row->states & states) == 0)
		return SP_ESTATE;
	if (check_fds(row, m) != 0)
		return SP_EFDS;
	return msg_decode(&r, m->type, &m->failed);
}

int
chan_receive(struct chan *c, struct msg *m, unsigned states)
{
	size_t len = 0;
	int r;

	m->type = MSG_NONE;
	c->bad_type = 0;
	if (c->fd < 0)
		return SP_ECLOSED;
	r = receive_packet(c, m, &len);
	if (r == 0)
		r = check(c, m, len, states);
	if (m->type != MSG_NONE && msg_row(m->type)->secrets > 0)
		explicit_bzero(packet, len);
	if (r != 0)
		msg_close(m);
	return r;
}

int
chan_call(struct chan *c, enum msg_type type, const void *body, struct msg *m, enum msg_type want,
    enum msg_type or_want)
{
	uint32_t id = ++c->last_id;
	int r = chan_send(c, type, id, body, NULL, 0);

	if (r != 0)
		return r;
	do
		r = chan_receive(c, m, ST_AWAIT);
	while (r == -EINTR);
	if (r != 0)
		return r;
	if (m->id == id && (m->type == MSG_FAILED || m->type == want || (m->type == or_want && or_want != MSG_NONE)))
		return 0;
	msg_close(m);
	return SP_EREPLY;
}

int
chan_answer(struct chan *c, const struct msg *request, enum msg_type type, const void *body, const int *fds,
    unsigned count)
{
	return chan_send(c, type, request->id, body, fds, count);
}

bool
chan_is_read(const struct chan *c)
{
	int unread;

	return ioctl(c->fd, SIOCOUTQ, &unread) == 0 && unread <= UNREAD_MAX;
}

int
chan_refuse(struct chan *c, const struct msg *request, enum fail_reason reason, int error, const char *text)
{
	struct msg_failed f;

	f.reason = (uint8_t)reason;
	f.error = (uint32_t)error;
	/* A text too long for the client is better cut than not sent. */
	(void)str_copy(f.text, sizeof f.text, text == NULL ? "" : text);
	return chan_send(c, MSG_FAILED, request->id, &f, NULL, 0);
}
