/*
 * Addresses and networks as people write them: parsing, printing, comparing.
 * Numbers only; nothing here asks a name service.  IPv4 addresses that arrive
 * in IPv6 clothes (::ffff:a.b.c.d) are treated as what they are.  Anyone may
 * use it; it trusts nothing that it parses.
 */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT_MAX	56	/* "[" IPv6 "]:65535" and NUL */

/* An address with port. sa.sa_family is AF_INET, AF_INET6, or AF_UNSPEC for none. */
struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

/* A network. family AF_UNSPEC matches every address. */
struct addr_net {
	sa_family_t family;
	uint8_t bits;			/* of the prefix */
	uint8_t bytes[16];		/* network order; bits beyond the prefix are zero */
};

struct addr_nets {
	size_t n;
	const struct addr_net *v;
};

/* NETWORK = TARGET; the first network that holds the peer counts. */
struct addr_map_row {
	struct addr_net net;
	const char *target;		/* an address, or a host name to be looked up by whoever may */
};

struct addr_map {
	size_t n;
	const struct addr_map_row *v;
};

/* Takes len bytes of a struct sockaddr_in or _in6; ::ffff:a.b.c.d becomes a.b.c.d. 0 or SP_EFORMAT. */
int addr_from(struct addr *, const void *sockaddr, size_t len);
/* Bytes of the sockaddr within. */
socklen_t addr_len(const struct addr *);
in_port_t addr_port(const struct addr *);
void addr_set_port(struct addr *, in_port_t);

/*
 * "192.0.2.1", "2001:db8::1"; with a port "192.0.2.1:21", "[2001:db8::1]:21".
 * Without one the port is default_port.  "*", "*:21": all addresses, as ::.
 * 0 or SP_EFORMAT.
 */
int addr_parse(struct addr *, const char *text, in_port_t default_port);

/* The address alone, without port. Returns dst; "-" for none. */
const char *addr_host(char dst[ADDR_TEXT_MAX], const struct addr *);
/* Address and port, as addr_parse() reads them. */
const char *addr_text(char dst[ADDR_TEXT_MAX], const struct addr *);

/* The same host, whatever the ports. */
bool addr_same_host(const struct addr *, const struct addr *);
bool addr_is_loopback(const struct addr *);

/*
 * What limits and penalties are counted for: the whole IPv4 address, or the
 * /64 network of an IPv6 one (a host there has 2^64 addresses of its own).
 */
struct addr_net addr_bucket(const struct addr *);

/* "10.0.0.0/8", "2001:db8::/32", a single address, or "*". Bits beyond the prefix must be zero. 0 or SP_EFORMAT. */
int addr_net_parse(struct addr_net *, const char *text);
/* Network in the same notation; dst as above. */
const char *addr_net_text(char dst[ADDR_TEXT_MAX], const struct addr_net *);
bool addr_net_has(const struct addr_net *, const struct addr *);
bool addr_nets_have(const struct addr_nets *, const struct addr *);
bool addr_net_same(const struct addr_net *, const struct addr_net *);
/* For tables of networks; with a secret seed nobody outside can aim at one place. */
uint64_t addr_net_hash(const struct addr_net *, uint64_t seed);
/* The target of the first row whose network holds the address; NULL: none. */
const char *addr_map_find(const struct addr_map *, const struct addr *);

#endif
