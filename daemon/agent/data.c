/*
 * Sockets for data connections: made here, used by the worker, which cannot
 * make any.  A passive socket is made once a session and used for every
 * transfer; an active one goes to the session's peer, to a port that the
 * client names, and to no other address unless the administrator trusts its
 * network.
 */
#include "config.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "daemon/agent/agent.h"

#define BACKLOG		128	/* strangers who find the port come in front of the client; the worker takes them out */
#define PORT_LOW	49152	/* where nothing is configured: the dynamic ports of RFC 6335 */
#define PORT_HIGH	65534

static void
set_option(int fd, int level, int option, int value)
{
	/* Options make a connection better; none is worth refusing it. */
	(void)setsockopt(fd, level, option, &value, sizeof value);
}

static void
set_options(int fd, sa_family_t family)
{
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);	/* ports with old connections that linger are free */
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* A short queue of bytes that are not sent yet stays in the processor's cache: downloads take half the time. */
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 128 * 1024);
	if (family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

static int
new_socket(sa_family_t family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	set_options(fd, family);
	return fd;
}

/* ------------------------------------------------------------------------ passive */

/* A listening socket on that address and port, or -errno. Each attempt is a new socket: bind() cannot be taken back. */
static int
listen_on(const struct addr *where)
{
	int r, fd = new_socket(where->sa.sa_family);

	if (fd < 0)
		return fd;
	if (bind(fd, &where->sa, addr_len(where)) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

/* From a random port of the range on, each port once. */
static int
listen_in_range(struct addr *where, struct conf_ports range)
{
	uint32_t count, first;
	int fd = -EADDRINUSE;

	if (range.low == 0)
		range = (struct conf_ports){ PORT_LOW, PORT_HIGH };
	count = (uint32_t)(range.high - range.low) + 1;
	if (getrandom(&first, sizeof first, 0) != sizeof first)
		return -EIO;
	first %= count;
	for (uint32_t i = 0; i < count && fd == -EADDRINUSE; i++) {
		addr_set_port(where, (in_port_t)(range.low + (first + i) % count));
		fd = listen_on(where);
	}
	return fd;
}

/* Addresses that nobody outside can reach. */
static bool
is_private(const struct addr *a)
{
	static const char *const networks[] = {
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
		"fc00::/7", "fe80::/10", "::1",
	};
	struct addr_net net;

	for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++)
		if (addr_net_parse(&net, networks[i]) == 0 && addr_net_has(&net, a))
			return true;
	return false;
}

/* The most common reason for "login works, listing hangs": behind NAT without passive_address. */
static void
warn_unreachable(const struct agent *a, const struct addr *tell)
{
	char host[ADDR_TEXT_MAX];
	struct log_line l;

	if (!is_private(tell) || is_private(&a->peer))
		return;
	log_begin(&l, EVENT_PRIVATE_PASSIVE_ADDRESS);
	log_str(&l, FIELD_ADDRESS, addr_host(host, tell));
	log_str(&l, FIELD_HINT, "set passive_address to the address that clients reach this server at");
	log_end(&l);
}

/*
 * passive_address names a host of which the listener has found no address, or none of the client's family; why, it has
 * said itself.  Once a session: a client asks for each of its transfers.
 */
static void
warn_unresolved(struct agent *a, const char *name, const struct addr *tell)
{
	struct log_line l;
	char host[ADDR_TEXT_MAX];

	if (a->warned_unresolved)
		return;
	a->warned_unresolved = true;
	log_begin(&l, EVENT_PASSIVE_ADDRESS_UNRESOLVED);
	log_str(&l, FIELD_NAME, name);
	log_str(&l, FIELD_ADDRESS, addr_host(host, tell));
	log_str(&l, FIELD_REASON, "no address of this family is known for the name");
	log_end(&l);
}

/*
 * The address that this client is told: as configured for its network, else the one it came to.  EPSV tells a port
 * only, but the worker may answer PASV with the same socket later.
 */
static void
address_to_tell(struct agent *a, struct addr *tell, bool pasv)
{
	const char *target = addr_map_find(&a->set->passive_address, &a->peer);
	struct addr configured;

	if (target == NULL)
		return;
	if (addr_parse(&configured, target, 0) == 0)
		*tell = configured;
	else if (pasv)
		warn_unresolved(a, target, tell);
}

static int
answer_listening(struct agent *a, const struct addr *tell)
{
	struct msg_listening m;

	m.port = addr_port(&a->listen_addr);
	m.address_len = addr_len(tell);
	memcpy(m.address, &tell->sa, m.address_len);
	return agent_answer(a, MSG_LISTENING, &m, &a->listen_fd, 1);
}

/* family: 0 as the control connection, 4 PASV, 1 and 2 as RFC 2428 numbers them. */
static bool
family_fits(uint8_t family, sa_family_t local, const struct addr *tell)
{
	switch (family) {
	case 0:
		return true;
	case 1:
		return local == AF_INET;
	case 2:
		return local == AF_INET6;
	case 4:
		return tell->sa.sa_family == AF_INET;
	}
	return false;
}

int
handle_listen(struct agent *a, const struct msg *m)
{
	struct addr tell = a->local;
	int fd;

	if (!a->set->passive_mode)
		return agent_refuse(a, FAIL_ARGUMENT, "passive mode is switched off, use active mode");
	address_to_tell(a, &tell, m->listen.family == 4);
	if (!family_fits(m->listen.family, a->local.sa.sa_family, &tell))
		return agent_refuse(a, FAIL_ARGUMENT, NULL);
	/*
	 * A worker that refused a transfer has shut the port; the socket still has its name, unless somebody took
	 * it since.
	 */
	if (a->listen_fd >= 0 && listen(a->listen_fd, BACKLOG) == 0)
		return answer_listening(a, &tell);
	if (a->listen_fd >= 0)
		close(a->listen_fd);
	a->listen_fd = -1;
	a->listen_addr = a->local;
	fd = listen_in_range(&a->listen_addr, a->set->passive_ports);
	if (fd == -EADDRINUSE) {
		log_problem(EVENT_PASSIVE_PORTS_EXHAUSTED, a->user, fd);
		return agent_refuse(a, FAIL_BUSY, "no passive port is free");
	}
	if (fd < 0)
		return fd;
	a->listen_fd = fd;
	warn_unreachable(a, &tell);
	return answer_listening(a, &tell);
}

/* ------------------------------------------------------------------------- active */

/* Where to connect to: the peer, whatever the client wrote, or the address it wrote in a network that is trusted. */
static int
choose_target(struct agent *a, const struct msg_connect *q, struct addr *to)
{
	struct addr claimed;
	struct log_line l;
	char text[ADDR_TEXT_MAX];

	*to = a->peer;
	if (q->port < IPPORT_RESERVED)
		return agent_refuse(a, FAIL_PEER, "the port is below 1024");
	if (q->claimed_len != 0 && addr_from(&claimed, q->claimed, q->claimed_len) != 0)
		return agent_refuse(a, FAIL_PEER, NULL);
	if (q->claimed_len != 0 && !addr_same_host(&claimed, &a->peer)) {
		if (!addr_nets_have(&a->set->data_peer, &claimed)) {
			log_begin(&l, EVENT_DATA_ADDRESS_IGNORED);
			log_str(&l, FIELD_ADDRESS, addr_host(text, &claimed));
			log_end(&l);
			return agent_refuse(a, FAIL_PEER, NULL);
		}
		*to = claimed;
	}
	addr_set_port(to, q->port);
	return 0;
}

/* A socket that the monitor has bound, for connections to that host. A descriptor or a negative code. */
static int
low_socket(struct agent *a, const struct addr *to)
{
	struct msg_bind_low ask = { .target_len = addr_len(to) };
	int fd, r;

	memcpy(ask.target, &to->sa, ask.target_len);
	if ((r = agent_ask(a, MSG_BIND_LOW, &ask, NULL, 0, MSG_BOUND)) != 0)
		return r;
	fd = msg_take_fd(&a->reply, 0);
	msg_close(&a->reply);
	if (!chan_fd_is(fd, 't')) {
		close(fd);
		return SP_EFDS;
	}
	set_options(fd, to->sa.sa_family);
	return fd;
}

/* A socket that is bound to the port where active connections come from. A descriptor or a negative code. */
static int
bound_socket(struct agent *a, const struct addr *to, in_port_t port)
{
	struct addr from = a->local;
	int r, fd;

	if (port != 0 && port < IPPORT_RESERVED && (a->flags & PROFILE_BIND_LOW) != 0)
		return low_socket(a, to);
	fd = new_socket(to->sa.sa_family);
	if (fd < 0)
		return fd;
	/* The client expects the data to come from the address that it speaks to. */
	addr_set_port(&from, port < IPPORT_RESERVED ? 0 : port);
	if (addr_port(&from) == 0)
		set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (from.sa.sa_family == to->sa.sa_family && bind(fd, &from.sa, addr_len(&from)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int
begin_connect(int fd, const struct addr *to)
{
	if (connect(fd, &to->sa, addr_len(to)) == 0 || errno == EINPROGRESS)
		return 0;
	return -errno;
}

int
handle_connect(struct agent *a, const struct msg *m)
{
	static const struct msg_connecting answer;
	struct addr to;
	int fd, r;

	if (!a->set->active_mode)
		return agent_refuse(a, FAIL_ARGUMENT, "active mode is switched off, use passive mode");
	if ((r = choose_target(a, &m->connect, &to)) != 0)
		return r;
	fd = bound_socket(a, &to, (in_port_t)a->set->active_port);
	if (fd >= 0 && (r = begin_connect(fd, &to)) == -EADDRNOTAVAIL) {
		/* An old connection between the same two ports lingers: any other port will do. */
		close(fd);
		fd = bound_socket(a, &to, 0);
		r = fd < 0 ? fd : begin_connect(fd, &to);
	}
	if (fd < 0)
		return fd;
	if (r == 0)
		r = agent_answer(a, MSG_CONNECTING, &answer, &fd, 1);
	close(fd);
	return r;
}
