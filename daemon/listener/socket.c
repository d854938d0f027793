#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/listener/socket.h"

#define BACKLOG 1024

int
socket_options(int fd)
{
	static const struct { int level, name; } on[] = {
		{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_OOBINLINE },
		{ IPPROTO_TCP, TCP_NODELAY },
	};
	int one = 1;

	for (size_t i = 0; i < sizeof on / sizeof on[0]; i++)
		if (setsockopt(fd, on[i].level, on[i].name, &one, sizeof one) < 0)
			return -errno;
	return 0;
}

static int
open_socket(const struct addr *a)
{
	int off = 0, r, fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	r = socket_options(fd);
	/* The IPv6 wildcard takes IPv4 clients as well, whatever the system's default is. */
	if (r == 0 && a->sa.sa_family == AF_INET6)
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ? -errno : 0;
	if (r == 0)
		r = bind(fd, &a->sa, addr_len(a)) < 0 ? -errno : 0;
	if (r == 0)
		r = listen(fd, BACKLOG) < 0 ? -errno : 0;
	if (r != 0) {
		close(fd);
		return r;
	}
	return fd;
}

int
socket_open(struct addr *a)
{
	int fd = open_socket(a);

	if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && a->sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr)) {
		in_port_t port = addr_port(a);

		*a = (struct addr){ .in = { .sin_family = AF_INET } };
		addr_set_port(a, port);
		fd = open_socket(a);
	}
	return fd;
}
