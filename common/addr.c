#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/str.h"

/* IPv4 in IPv6 clothes becomes IPv4, so that limits and rules see one host, not two. */
static void
undress(struct addr *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	in.sin_port = a->in6.sin6_port;
	memcpy(&in.sin_addr, a->in6.sin6_addr.s6_addr + 12, 4);
	memset(a, 0, sizeof *a);
	a->in = in;
}

int
addr_from(struct addr *a, const void *sockaddr, size_t len)
{
	sa_family_t family;

	memset(a, 0, sizeof *a);
	if (len < sizeof family)
		return SP_EFORMAT;
	memcpy(&family, sockaddr, sizeof family);
	if (!(family == AF_INET && len == sizeof a->in) && !(family == AF_INET6 && len == sizeof a->in6))
		return SP_EFORMAT;
	memcpy(a, sockaddr, len);
	undress(a);
	return 0;
}

socklen_t
addr_len(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? sizeof a->in : a->sa.sa_family == AF_INET6 ? sizeof a->in6 : 0;
}

in_port_t
addr_port(const struct addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : 0);
}

void
addr_set_port(struct addr *a, in_port_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

/* 1 to 65535, digits only. 0 for anything else. */
static in_port_t
parse_port(const char *s)
{
	size_t n = strspn(s, "0123456789");
	long port = n > 0 && n <= 5 && s[n] == '\0' ? strtol(s, NULL, 10) : 0;

	return port > 65535 ? 0 : (in_port_t)port;
}

static int
parse_host(struct addr *a, const char *host, in_port_t port)
{
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, host, &a->in.sin_addr) == 1)
		a->sa.sa_family = AF_INET;
	else if (strcmp(host, "*") == 0 || inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1)
		a->sa.sa_family = AF_INET6;
	else
		return SP_EFORMAT;
	addr_set_port(a, port);
	undress(a);
	return 0;
}

int
addr_parse(struct addr *a, const char *text, in_port_t default_port)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':'), *port = NULL;

	if (str_copy(host, sizeof host, text) != 0)
		return SP_EFORMAT;
	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return SP_EFORMAT;
		port = end[1] == ':' ? end + 2 : NULL;
		memmove(host, host + 1, (size_t)(end - text));
		host[end - text - 1] = '\0';
		if (strchr(host, ':') == NULL)
			return SP_EFORMAT;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		host[colon - text] = '\0';
		port = colon + 1;
	}
	if (port != NULL && (default_port = parse_port(port)) == 0)
		return SP_EFORMAT;
	return parse_host(a, host, default_port);
}

/* As inet_ntop() does, without what it takes to print. */
static void
put_ipv4(char *dst, const uint8_t byte[4])
{
	for (int i = 0; i < 4; i++) {
		dst += str_number(dst, byte[i], 10);
		*dst++ = i < 3 ? '.' : '\0';
	}
}

const char *
addr_host(char dst[ADDR_TEXT_MAX], const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		put_ipv4(dst, (const uint8_t *)&a->in.sin_addr);
	else if (addr_len(a) == 0 || inet_ntop(AF_INET6, &a->in6.sin6_addr, dst, ADDR_TEXT_MAX) == NULL)
		(void)str_copy(dst, ADDR_TEXT_MAX, "-");
	return dst;
}

const char *
addr_text(char dst[ADDR_TEXT_MAX], const struct addr *a)
{
	char host[ADDR_TEXT_MAX];

	(void)str_format(dst, ADDR_TEXT_MAX, a->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", addr_host(host, a),
	    (unsigned)addr_port(a));
	return dst;
}

/* The address' bytes in network order and their number. */
static const uint8_t *
bytes_of(const struct addr *a, size_t *n)
{
	*n = a->sa.sa_family == AF_INET ? 4 : a->sa.sa_family == AF_INET6 ? 16 : 0;
	return *n == 4 ? (const uint8_t *)&a->in.sin_addr : a->in6.sin6_addr.s6_addr;
}

bool
addr_same_host(const struct addr *a, const struct addr *b)
{
	struct addr x = *a, y = *b;
	size_t n, m;
	const uint8_t *p, *q;

	undress(&x);
	undress(&y);
	p = bytes_of(&x, &n);
	q = bytes_of(&y, &m);
	return n > 0 && n == m && memcmp(p, q, n) == 0 &&
	    (n == 4 || x.in6.sin6_scope_id == y.in6.sin6_scope_id);
}

bool
addr_is_loopback(const struct addr *a)
{
	static const struct addr_net v4 = { AF_INET, 8, { 127 } };
	static const struct addr_net v6 = { AF_INET6, 128, { [15] = 1 } };

	return addr_net_has(&v4, a) || addr_net_has(&v6, a);
}

/* Zeroes what lies beyond the prefix; true when something was there. */
static bool
cut_to_prefix(struct addr_net *net)
{
	bool found = false;

	for (unsigned i = 0; i < sizeof net->bytes; i++) {
		uint8_t mask = net->bits >= 8 * (i + 1) ? 0xff
			       : net->bits <= 8 * i     ? 0
							: (uint8_t)(0xff << (8 - net->bits % 8));

		found = found || (net->bytes[i] & ~mask) != 0;
		net->bytes[i] &= mask;
	}
	return found;
}

static struct addr_net
net_of(const struct addr *a, unsigned bits)
{
	struct addr_net net = { .family = a->sa.sa_family, .bits = (uint8_t)bits };
	size_t n;
	const uint8_t *p = bytes_of(a, &n);

	memcpy(net.bytes, p, n);
	return net;
}

struct addr_net
addr_bucket(const struct addr *a)
{
	struct addr plain = *a;
	struct addr_net net;

	undress(&plain);
	net = net_of(&plain, plain.sa.sa_family == AF_INET ? 32 : plain.sa.sa_family == AF_INET6 ? 64 : 0);
	cut_to_prefix(&net);
	return net;
}

int
addr_net_parse(struct addr_net *net, const char *text)
{
	char host[ADDR_TEXT_MAX];
	char *slash;
	struct addr a;
	unsigned most, bits;

	memset(net, 0, sizeof *net);
	if (strcmp(text, "*") == 0)
		return 0;
	if (str_copy(host, sizeof host, text) != 0)
		return SP_EFORMAT;
	slash = strchr(host, '/');
	if (slash != NULL)
		*slash++ = '\0';
	if (strcmp(host, "*") == 0 || parse_host(&a, host, 0) != 0)
		return SP_EFORMAT;
	most = bits = a.sa.sa_family == AF_INET ? 32 : 128;
	if (slash != NULL) {
		size_t n = strspn(slash, "0123456789");

		bits = n > 0 && n <= 3 && slash[n] == '\0' ? (unsigned)strtoul(slash, NULL, 10) : 999;
		/* ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
		if (strchr(host, ':') != NULL && most == 32)
			bits = bits >= 96 ? bits - 96 : 999;
	}
	if (bits > most)
		return SP_EFORMAT;
	*net = net_of(&a, bits);
	return cut_to_prefix(net) ? SP_EFORMAT : 0;
}

const char *
addr_net_text(char dst[ADDR_TEXT_MAX], const struct addr_net *net)
{
	char host[ADDR_TEXT_MAX];

	if (net->family == AF_UNSPEC || inet_ntop(net->family, net->bytes, host, sizeof host) == NULL)
		(void)str_copy(dst, ADDR_TEXT_MAX, "*");
	else if (net->bits == (net->family == AF_INET ? 32 : 128))
		(void)str_copy(dst, ADDR_TEXT_MAX, host);
	else
		(void)str_format(dst, ADDR_TEXT_MAX, "%s/%u", host, net->bits);
	return dst;
}

bool
addr_net_has(const struct addr_net *net, const struct addr *a)
{
	struct addr plain = *a;
	struct addr_net there;

	undress(&plain);
	if (net->family == AF_UNSPEC)
		return true;
	if (net->family != plain.sa.sa_family)
		return false;
	there = net_of(&plain, net->bits);
	cut_to_prefix(&there);
	return memcmp(there.bytes, net->bytes, sizeof there.bytes) == 0;
}

bool
addr_nets_have(const struct addr_nets *nets, const struct addr *a)
{
	for (size_t i = 0; i < nets->n; i++)
		if (addr_net_has(&nets->v[i], a))
			return true;
	return false;
}

const char *
addr_map_find(const struct addr_map *map, const struct addr *a)
{
	for (size_t i = 0; i < map->n; i++)
		if (addr_net_has(&map->v[i].net, a))
			return map->v[i].target;
	return NULL;
}

bool
addr_net_same(const struct addr_net *a, const struct addr_net *b)
{
	return a->family == b->family && a->bits == b->bits && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
	return h ^ h >> 32;
}

uint64_t
addr_net_hash(const struct addr_net *n, uint64_t seed)
{
	uint64_t half[2];

	memcpy(half, n->bytes, sizeof half);
	return mix(mix(mix(seed, n->family), half[0]), half[1]);
}
