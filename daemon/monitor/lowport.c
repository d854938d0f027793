/*
 * BIND_LOW: active data connections from a port below 1024, which only a
 * privilege can bind.  A bound socket in the hands of an agent that turned
 * hostile is a port of the system: it could be listened on, or connected to
 * services that trust such ports.  So the kernel is told, before the agent has it and for
 * ever, to take packets from one host only, the one that the connection goes to.
 * Some kernels let only CAP_NET_ADMIN say so, which is more than it is worth: there
 * the port is handed over as it is, and the log says so.
 */
#include "config.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"

#define LOW_PORTS	1024
#define WORDS_MAX	4	/* of an address */

/* Drops what does not come from this host, and cannot be taken off again (socket(7): SO_LOCK_FILTER). */
static int
accept_only(int fd, const struct addr *host)
{
	struct sock_filter code[2 * WORDS_MAX + 2];
	struct sock_fprog program = { 0, code };
	bool four = host->sa.sa_family == AF_INET;
	unsigned words = four ? 1 : WORDS_MAX, on = 1;
	size_t at = four ? offsetof(struct iphdr, saddr) : offsetof(struct ip6_hdr, ip6_src);
	uint32_t address[WORDS_MAX];

	if (four)
		memcpy(address, &host->in.sin_addr, sizeof host->in.sin_addr);
	else
		memcpy(address, &host->in6.sin6_addr, sizeof host->in6.sin6_addr);
	for (unsigned i = 0; i < words; i++) {
		uint8_t to_the_end = (uint8_t)(2 * (words - i) - 1);

		code[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + (uint32_t)at + 4 * i);
		code[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(address[i]), 0, to_the_end);
	}
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof on) < 0)
		return -errno;
	return 0;
}

/* The socket that the configuration allows, on the address that the client is connected to. Or -errno. */
static int
bind_low(const struct monitor *s, const struct addr *target)
{
	struct addr a = s->local;
	int fd, on = 1, r;

	if (a.sa.sa_family != target->sa.sa_family)
		return -EAFNOSUPPORT;
	addr_set_port(&a, (in_port_t)s->account.resolved->s.active_port);
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = accept_only(fd, target);
	if (r == -EPERM) {
		log_problem(EVENT_ACTIVE_PORT_NOT_LOCKED, "the kernel refuses a filter", r);
		r = 0;
	}
	/* Many connections leave from this one port, each to another client. */
	if (r == 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 || bind(fd, &a.sa, addr_len(&a)) < 0))
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* The session's peer, or a host in a network that the administrator trusts with data connections. */
static bool
may_be_reached(const struct monitor *s, const struct addr *target)
{
	return addr_same_host(target, &s->peer) || addr_nets_have(&s->account.resolved->s.data_peer, target);
}

int
monitor_bind_low(struct monitor *s, struct msg *m)
{
	static const struct msg_bound bound;
	int64_t port = s->account.resolved->s.active_port;
	struct addr target;
	int fd, r;

	ration_agent(s, RATION_RECORD);
	if (addr_from(&target, m->bind_low.target, m->bind_low.target_len) != 0)
		return SP_EFORMAT;
	if (port <= 0 || port >= LOW_PORTS || !may_be_reached(s, &target))
		return chan_refuse(&s->agent, m, FAIL_SYSTEM, EPERM, NULL);
	if (!chan_is_read(&s->agent))
		return SP_EUNREAD;
	fd = bind_low(s, &target);
	if (fd < 0) {
		log_problem(EVENT_ACTIVE_PORT_UNUSABLE, NULL, fd);
		return chan_refuse(&s->agent, m, FAIL_SYSTEM, -fd, NULL);
	}
	r = chan_answer(&s->agent, m, MSG_BOUND, &bound, &fd, 1);
	close(fd);
	return r;
}
