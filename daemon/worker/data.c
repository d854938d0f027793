#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/session.h"

#define ROUND 256	/* connections seen to in one go: more than a queue holds (BACKLOG in the agent's data.c) */

void
data_init(struct data *d)
{
	*d = (struct data){ .way = DATA_NONE, .listen_fd = -1, .early_fd = -1 };
}

static void
close_early(struct data *d)
{
	if (d->early_fd >= 0)
		close(d->early_fd);
	d->early_fd = -1;
}

void
data_close(struct data *d)
{
	close_early(d);
	if (d->listen_fd >= 0)
		close(d->listen_fd);
	d->listen_fd = -1;
	d->way = DATA_NONE;
}

/* Connections made before this command belong to no transfer. */
static void
drain(struct data *d)
{
	close_early(d);
	for (unsigned i = 0; i < ROUND; i++) {
		int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			close(fd);
		/* One that was reset while it waited does not hide those behind it. */
		else if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
}

void
data_refuse(struct data *d)
{
	/* A transfer that ran has left nothing prepared. */
	if (d->way != DATA_PASSIVE)
		return;
	/* The agent has the socket too. */
	(void)shutdown(d->listen_fd, SHUT_RDWR);
	data_close(d);
}

static bool
fits(const struct session *s, unsigned family)
{
	sa_family_t have = s->data.told.sa.sa_family;

	if (s->data.listen_fd < 0)
		return false;
	if (family == 0)
		return have == s->peer.sa.sa_family;
	return have == (family == 2 ? AF_INET6 : AF_INET);
}

/* Takes over the agent's socket. Accepting must never block, whatever it was told. */
static bool
take_listener(struct session *s)
{
	struct msg_listening *m = &s->answer.listening;
	struct addr told;
	int fd = msg_take_fd(&s->answer, 0);

	if (addr_from(&told, m->address, m->address_len) != 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) {
		close(fd);
		session_stop(s, "Internal error.", SP_EXIT_PROTOCOL);
		return false;
	}
	addr_set_port(&told, m->port);
	s->data.told = told;
	s->data.listen_fd = fd;
	return true;
}

bool
data_listen(struct session *s, unsigned family)
{
	struct msg_listen body = { .family = (uint8_t)family };

	s->data.strangers = 0;
	s->data.unattended = false;
	if (fits(s, family)) {
		drain(&s->data);
		s->data.way = DATA_PASSIVE;
		return true;
	}
	data_close(&s->data);
	if (!ask(s, MSG_LISTEN, &body, MSG_LISTENING) || !take_listener(s))
		return false;
	s->data.way = DATA_PASSIVE;
	return true;
}

/* 1, 10, 100, ...: a flood of the port is not one of the log. */
static bool
is_power_of_ten(unsigned n)
{
	while (n >= 10 && n % 10 == 0)
		n /= 10;
	return n == 1;
}

/* A connection that is not the client's. */
static void
refuse_stranger(struct session *s, const struct addr *from, int fd)
{
	char host[ADDR_TEXT_MAX];
	struct log_line l;

	close(fd);
	s->data.strangers++;
	if (!is_power_of_ten(++s->data.strangers_ever))
		return;
	log_begin(&l, EVENT_DATA_STRANGER);
	log_str(&l, FIELD_ADDRESS, addr_text(host, from));
	log_num(&l, FIELD_COUNT, s->data.strangers_ever - s->data.strangers_ever / 10);
	log_end(&l);
}

/* From the queue; -EAGAIN after a round of strangers as well, so that the session hears others meanwhile. */
static int
take_from_queue(struct session *s)
{
	for (unsigned i = 0; i < ROUND; i++) {
		struct sockaddr_in6 raw;
		socklen_t len = sizeof raw;
		struct addr from;
		int fd = accept4(s->data.listen_fd, (struct sockaddr *)&raw, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return -errno;
		if (addr_from(&from, &raw, len) != 0)
			from = (struct addr){ .sa.sa_family = AF_UNSPEC };
		if (addr_same_host(&from, &s->peer) || addr_nets_have(&s->set->data_peer, &from))
			return fd;
		refuse_stranger(s, &from, fd);
	}
	return -EAGAIN;
}

int
data_accept(struct session *s)
{
	int fd = s->data.early_fd;

	s->data.early_fd = -1;
	return fd >= 0 ? fd : take_from_queue(s);
}

void
data_forget_early(struct data *d)
{
	if (d->way == DATA_PASSIVE)
		drain(d);
}

int
data_watched(const struct data *d)
{
	return d->way == DATA_PASSIVE && d->early_fd < 0 && !d->unattended ? d->listen_fd : -1;
}

void
data_attend(struct session *s)
{
	int fd = take_from_queue(s);

	s->data.unattended = fd < 0 && fd != -EAGAIN;
	s->data.early_fd = fd >= 0 ? fd : -1;
}

static size_t
put_address(uint8_t dst[28], const struct addr *a)
{
	size_t n = addr_len(a);

	for (size_t i = 0; i < n && i < 28; i++)
		dst[i] = ((const uint8_t *)a)[i];
	return n;
}

int
data_connect(struct session *s)
{
	const struct addr *to = &s->data.target;
	struct msg_connect body = { .port = addr_port(to), .family = to->sa.sa_family == AF_INET6 ? 2 : 1 };

	body.claimed_len = put_address(body.claimed, to);
	s->data.way = DATA_NONE;
	if (!ask(s, MSG_CONNECT, &body, MSG_CONNECTING))
		return SP_EDENIED;
	return msg_take_fd(&s->answer, 0);
}

int
data_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;
	struct sockaddr_in6 raw;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	if (error != 0)
		return -error;
	len = sizeof raw;
	if (getpeername(fd, (struct sockaddr *)&raw, &len) == 0)
		return 0;
	return errno == ENOTCONN ? -EINPROGRESS : -errno;
}
