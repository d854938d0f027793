#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/addr.h"
#include "common/err.h"
#include "tests/unit/common.h"

static const struct { const char *text, *shown; } good[] = {
	{ "192.0.2.1", "192.0.2.1:2121" },
	{ "192.0.2.1:21", "192.0.2.1:21" },
	{ "2001:db8::1", "[2001:db8::1]:2121" },
	{ "[2001:db8::1]:21", "[2001:db8::1]:21" },
	{ "[::1]", "[::1]:2121" },
	{ "::", "[::]:2121" },
	{ "*", "[::]:2121" },
	{ "*:990", "[::]:990" },
	{ "::ffff:10.1.2.3", "10.1.2.3:2121" },
	{ "[::ffff:10.1.2.3]:21", "10.1.2.3:21" },
	{ "255.255.255.255:65535", "255.255.255.255:65535" },
};

START_TEST(parses_and_prints)
{
	char text[ADDR_TEXT_MAX];
	struct addr a, b;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_msg(addr_parse(&a, good[i].text, 2121) == 0, "%s", good[i].text);
		ck_assert_str_eq(addr_text(text, &a), good[i].shown);
		ck_assert_int_eq(addr_parse(&b, text, 1), 0);
		ck_assert(addr_same_host(&a, &b) && addr_port(&a) == addr_port(&b));
	}
}
END_TEST

static const char *const bad[] = {
	"",
	":",
	":21",
	"192.0.2",
	"192.0.2.256",
	"192.0.2.1:",
	"192.0.2.1:0",
	"192.0.2.1:65536",
	"192.0.2.1:-1",
	"192.0.2.1:21x",
	"192.0.2.1:+21",
	"192.0.2.1: 21",
	"[192.0.2.1]:21",
	"[2001:db8::1",
	"[2001:db8::1]21",
	"[2001:db8::1]:",
	"2001:db8::g",
	"ftp.example.org",
	"[]",
	"[]:21",
	" 192.0.2.1",
	"192.0.2.1 ",
	"0x7f.0.0.1",
	"1",
	"*:",
	"**",
	"11111111111111111111111111111111111111111111111111111111111111111111111111111",
};

START_TEST(refuses)
{
	struct addr a;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(addr_parse(&a, bad[i], 21) == SP_EFORMAT, "\"%s\"", bad[i]);
}
END_TEST

START_TEST(takes_sockaddrs)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(21) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(22) };
	struct addr a, b;

	ck_assert_int_eq(addr_from(&a, &in, sizeof in), 0);
	ck_assert_int_eq(addr_port(&a), 21);
	ck_assert_int_eq(addr_from(&a, &in6, sizeof in6), 0);
	ck_assert_int_eq(addr_len(&a), sizeof in6);
	/* Wrong lengths and families, as a hostile peer may send. */
	ck_assert_int_eq(addr_from(&a, &in, sizeof in - 1), SP_EFORMAT);
	ck_assert_int_eq(addr_from(&a, &in6, sizeof in), SP_EFORMAT);
	ck_assert_int_eq(addr_from(&a, &in, 0), SP_EFORMAT);
	in.sin_family = AF_UNIX;
	ck_assert_int_eq(addr_from(&a, &in, sizeof in), SP_EFORMAT);
	/* IPv4 in IPv6 clothes. */
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
	ck_assert_int_eq(addr_from(&a, &in6, sizeof in6), 0);
	ck_assert_int_eq(a.sa.sa_family, AF_INET);
	ck_assert_int_eq(addr_port(&a), 22);
	ck_assert_int_eq(addr_parse(&b, "192.0.2.7", 99), 0);
	ck_assert(addr_same_host(&a, &b));
	memcpy(&b, &in6, sizeof in6);
	ck_assert(addr_same_host(&b, &a));
}
END_TEST

static const struct { const char *net, *inside, *outside; } nets[] = {
	{ "10.0.0.0/8", "10.255.1.2", "11.0.0.0" },
	{ "192.0.2.128/25", "192.0.2.129", "192.0.2.127" },
	{ "192.0.2.5", "192.0.2.5", "192.0.2.4" },
	{ "0.0.0.0/0", "203.0.113.1", "::1" },
	{ "::/0", "2001:db8::", "192.0.2.1" },
	{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1" },
	{ "2001:db8::1", "2001:db8::1", "2001:db8::2" },
	{ "10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1" },
	{ "::ffff:10.0.0.0/104", "10.0.0.1", "11.0.0.1" },
};

START_TEST(networks_hold)
{
	char text[ADDR_TEXT_MAX];
	struct addr_net net, again;
	struct addr a;

	for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
		ck_assert_msg(addr_net_parse(&net, nets[i].net) == 0, "%s", nets[i].net);
		ck_assert_int_eq(addr_parse(&a, nets[i].inside, 1), 0);
		ck_assert_msg(addr_net_has(&net, &a), "%s in %s", nets[i].inside, nets[i].net);
		ck_assert_int_eq(addr_parse(&a, nets[i].outside, 1), 0);
		ck_assert_msg(!addr_net_has(&net, &a), "%s not in %s", nets[i].outside, nets[i].net);
		ck_assert_int_eq(addr_net_parse(&again, addr_net_text(text, &net)), 0);
		ck_assert_mem_eq(&net, &again, sizeof net);
	}
	ck_assert_int_eq(addr_net_parse(&net, "*"), 0);
	ck_assert(addr_net_has(&net, &a));
}
END_TEST

static const char *const bad_nets[] = {
	"",
	"10.0.0.1/8",
	"10.0.0.0/33",
	"2001:db8::1/64",
	"2001:db8::/129",
	"10.0.0.0/",
	"10.0.0.0/-1",
	"10.0.0.0/8x",
	"*/8",
	"/8",
	"host",
	"10.0.0.0/08888",
	"::ffff:10.0.0.0/8",
};

START_TEST(networks_refused)
{
	struct addr_net net;

	for (size_t i = 0; i < sizeof bad_nets / sizeof *bad_nets; i++)
		ck_assert_msg(addr_net_parse(&net, bad_nets[i]) == SP_EFORMAT, "\"%s\"", bad_nets[i]);
}
END_TEST

static struct addr_net
bucket_of(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 1), 0);
	return addr_bucket(&a);
}

START_TEST(buckets)
{
	struct addr_net a = bucket_of("2001:db8:1:2:3::4"), b = bucket_of("2001:db8:1:2:ffff::"),
			c = bucket_of("2001:db8:1:3::"), d = bucket_of("192.0.2.1"), e = bucket_of("192.0.2.2"),
			f = bucket_of("::ffff:192.0.2.1");

	ck_assert_mem_eq(&a, &b, sizeof a);
	ck_assert_mem_ne(&a, &c, sizeof a);
	ck_assert_mem_ne(&d, &e, sizeof d);
	ck_assert_mem_eq(&d, &f, sizeof d);
}
END_TEST

START_TEST(maps_by_first_match)
{
	struct addr_map_row rows[3] = { { .target = "10.9.9.9" }, { .target = "ftp.example.org" } };
	struct addr_map map = { 2, rows };
	struct addr a;

	ck_assert_int_eq(addr_net_parse(&rows[0].net, "10.0.0.0/8"), 0);
	ck_assert_int_eq(addr_net_parse(&rows[1].net, "192.0.2.0/24"), 0);
	ck_assert_int_eq(addr_parse(&a, "10.1.1.1", 1), 0);
	ck_assert_str_eq(addr_map_find(&map, &a), "10.9.9.9");
	ck_assert_int_eq(addr_parse(&a, "192.0.2.1", 1), 0);
	ck_assert_str_eq(addr_map_find(&map, &a), "ftp.example.org");
	ck_assert_int_eq(addr_parse(&a, "198.51.100.1", 1), 0);
	ck_assert_ptr_null(addr_map_find(&map, &a));
}
END_TEST

START_TEST(loopback)
{
	struct addr a;

	ck_assert(addr_parse(&a, "127.9.9.9", 1) == 0 && addr_is_loopback(&a));
	ck_assert(addr_parse(&a, "::1", 1) == 0 && addr_is_loopback(&a));
	ck_assert(addr_parse(&a, "::ffff:127.0.0.1", 1) == 0 && addr_is_loopback(&a));
	ck_assert(addr_parse(&a, "128.0.0.1", 1) == 0 && !addr_is_loopback(&a));
	ck_assert(addr_parse(&a, "::2", 1) == 0 && !addr_is_loopback(&a));
}
END_TEST

COMMON_SUITE(addr, parses_and_prints, refuses, takes_sockaddrs, networks_hold, networks_refused, buckets,
    maps_by_first_match, loopback)
