#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/str.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"

/* Wide, and below the ports that the system gives away: others run here, too. */
#define RANGE "20000-30000"

static struct sockaddr_in
told(void)
{
	struct sockaddr_in in;

	ck_assert_uint_eq(at->reply.listening.address_len, sizeof in);
	memcpy(&in, at->reply.listening.address, sizeof in);
	return in;
}

static in_port_t
port_of(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof in;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

static int
is_listening(int fd)
{
	int on = -1;
	socklen_t len = sizeof on;

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len), 0);
	return on;
}

START_TEST(passive_sockets_are_in_the_range_and_used_again)
{
	struct msg_listen m = { .family = 4 };
	in_port_t first;

	agent_test_make();
	at->settings = "passive_ports=" RANGE "\n";
	agent_test_start();
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	first = at->reply.listening.port;
	ck_assert(first >= 20000 && first <= 30000);
	ck_assert_uint_eq(port_of(at->reply.fd[0]), first);
	ck_assert_uint_eq(told().sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	ck_assert_int_ne(fcntl(at->reply.fd[0], F_GETFL) & O_NONBLOCK, 0);
	m.family = 0;
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_uint_eq(at->reply.listening.port, first);
	/* The worker shuts the port of a refused transfer. */
	ck_assert_int_eq(shutdown(at->reply.fd[0], SHUT_RDWR), 0);
	ck_assert_int_eq(is_listening(at->reply.fd[0]), 0);
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_uint_eq(at->reply.listening.port, first);
	ck_assert_uint_eq(port_of(at->reply.fd[0]), first);
	ck_assert_int_eq(is_listening(at->reply.fd[0]), 1);
	m.family = 2;
	expect_failed(MSG_LISTEN, &m, FAIL_ARGUMENT, 0);
	m.family = 9;
	expect_failed(MSG_LISTEN, &m, FAIL_ARGUMENT, 0);
	at->kept = 1;		/* the passive socket */
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(clients_are_told_the_address_of_their_network)
{
	struct msg_listen m = { .family = 4 };

	agent_test_make();
	at->settings = "passive_address=10.0.0.0/8 = 10.1.1.1, 127.0.0.0/8 = 192.0.2.7\npassive_ports=" RANGE "\n";
	agent_test_start();
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_str_eq(inet_ntoa(told().sin_addr), "192.0.2.7");
	at->kept = 1;		/* the passive socket */
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The commonest mistake of all: a server behind NAT that tells its inner address. */
START_TEST(unreachable_addresses_are_warned_of)
{
	struct msg_listen m = { .family = 4 };

	agent_test_make();
	at->peer = "198.51.100.7";
	at->settings = "passive_ports=" RANGE "\n";
	agent_test_start();
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_ptr_nonnull(strstr(at->log[0], "private-passive-address"));
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_uint_eq(at->log_count, 1);
	at->kept = 1;		/* the passive socket */
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A socket at any port: nobody else gets that by chance, but who asks for it can share it. */
static int
hold_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	return fd;
}

/* While it was shut, somebody else took the port: there is a new socket then, and the old one is closed. */
START_TEST(a_port_that_was_taken_is_given_up)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct msg_listen m = { .family = 4 };
	int thief = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	in_port_t first;

	agent_test_make();
	at->settings = "passive_ports=" RANGE "\n";
	agent_test_start();
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	first = at->reply.listening.port;
	ck_assert_int_eq(shutdown(at->reply.fd[0], SHUT_RDWR), 0);
	in.sin_port = htons(first);
	ck_assert_int_eq(setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	ck_assert_int_eq(bind(thief, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(listen(thief, 1), 0);
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_uint_ne(at->reply.listening.port, first);
	at->kept = 1;		/* the passive socket */
	agent_test_end(SP_EXIT_OK);
	close(thief);
}
END_TEST

#define FEW 4

/* So many free ports in a row, with somebody listening at each; the first one. */
static unsigned
take_ports(int fd[FEW])
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned first = 20000 + (unsigned)getpid() % 10000;
	int taken = 0;

	for (unsigned port = first; taken < FEW; port = port < 30000 ? port + 1 : 20000) {
		in.sin_port = htons((in_port_t)port);
		fd[taken] = socket(AF_INET, SOCK_STREAM, 0);
		if (bind(fd[taken], (struct sockaddr *)&in, sizeof in) == 0 && listen(fd[taken], 1) == 0) {
			first = taken++ == 0 ? port : first;
			continue;
		}
		for (; taken >= 0; taken--)
			close(fd[taken]);
		taken = 0;
	}
	return first;
}

START_TEST(exhausted_ranges_are_said_so)
{
	struct msg_listen m = { .family = 4 };
	char settings[64];
	int fd[FEW];
	unsigned first = take_ports(fd);

	agent_test_make();
	(void)str_format(settings, sizeof settings, "passive_ports=%u-%u\n", first, first + FEW - 1);
	at->settings = settings;
	agent_test_start();
	expect_failed(MSG_LISTEN, &m, FAIL_BUSY, 0);
	ck_assert_ptr_nonnull(strstr(at->log[0], "passive-ports-exhausted"));
	/* Several, because somebody else may need one of them just now. */
	for (int i = 0; i < FEW; i++)
		close(fd[i]);
	expect(MSG_LISTEN, &m, MSG_LISTENING);
	ck_assert_uint_ge(at->reply.listening.port, first);
	ck_assert_uint_lt(at->reply.listening.port, first + FEW);
	at->kept = 1;		/* the passive socket */
	agent_test_end(SP_EXIT_OK);
}
END_TEST

static int
listener(in_port_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	*port = port_of(fd);
	return fd;
}

static void
claim(struct msg_connect *m, const char *address, in_port_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	ck_assert_int_eq(inet_pton(AF_INET, address, &in.sin_addr), 1);
	m->port = port;
	memcpy(m->claimed, &in, m->claimed_len = sizeof in);
}

START_TEST(active_connections_go_to_the_peer)
{
	struct msg_connect m = { .family = 1 };
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	in_port_t port;
	int fd = listener(&port), in, held = hold_port();
	char settings[64];

	agent_test_make();
	(void)str_format(settings, sizeof settings, "active_port=%u\n", port_of(held));
	at->settings = settings;
	agent_test_start();
	m.port = port;
	expect(MSG_CONNECT, &m, MSG_CONNECTING);
	in = accept(fd, (struct sockaddr *)&from, &len);
	ck_assert_int_ge(in, 0);
	ck_assert_uint_eq(ntohs(from.sin_port), port_of(held));
	close(in);
	claim(&m, "127.0.0.1", port);
	expect(MSG_CONNECT, &m, MSG_CONNECTING);
	agent_test_end(SP_EXIT_OK);
	close(fd);
	close(held);
}
END_TEST

/* Port 20 and its like are bound by the monitor; a second connection between the same two ports gets another one. */
START_TEST(low_ports_come_from_the_monitor)
{
	struct msg_connect m = { .family = 1 };
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	in_port_t port;
	int fd, in;

	if (needs_root(__func__))
		return;
	agent_test_make();
	at->settings = "active_port=1022\n";
	at->flags |= PROFILE_BIND_LOW;
	agent_test_start();
	fd = listener(&port);
	m.port = port;
	for (unsigned i = 0; i < 2; i++) {
		expect(MSG_CONNECT, &m, MSG_CONNECTING);
		in = accept(fd, (struct sockaddr *)&from, &len);
		ck_assert_int_ge(in, 0);
		if (i == 0)
			ck_assert_uint_eq(ntohs(from.sin_port), 1022);
		close(at->reply.fd[0]);
		at->reply.fd[0] = -1;
		close(in);
	}
	close(fd);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* FTP bounce. */
START_TEST(foreign_addresses_and_low_ports_are_refused)
{
	struct msg_connect m = { .family = 1 };

	agent_test_begin(EVERYTHING);
	claim(&m, "192.0.2.1", 4000);
	expect_failed(MSG_CONNECT, &m, FAIL_PEER, 0);
	ck_assert_ptr_nonnull(strstr(at->log[0], "data-address-ignored"));
	claim(&m, "127.0.0.1", 25);
	expect_failed(MSG_CONNECT, &m, FAIL_PEER, 0);
	m.claimed_len = 3;
	m.port = 4000;
	expect_failed(MSG_CONNECT, &m, FAIL_PEER, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(trusted_networks_may_be_named)
{
	struct msg_connect m = { .family = 1 };
	in_port_t port;
	int fd = listener(&port);

	agent_test_make();
	at->settings = "data_peer=127.0.0.2/32\n";
	agent_test_start();
	claim(&m, "127.0.0.2", port);
	expect(MSG_CONNECT, &m, MSG_CONNECTING);
	claim(&m, "127.0.0.3", port);
	expect_failed(MSG_CONNECT, &m, FAIL_PEER, 0);
	agent_test_end(SP_EXIT_OK);
	close(fd);
}
END_TEST

START_TEST(active_mode_can_be_off)
{
	struct msg_connect m = { .family = 1, .port = 4000 };

	agent_test_make();
	at->settings = "active_mode=no\n";
	agent_test_start();
	expect_failed(MSG_CONNECT, &m, FAIL_ARGUMENT, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(passive_mode_can_be_off)
{
	struct msg_listen m = { .family = 0 };

	agent_test_make();
	at->settings = "passive_mode=no\n";
	agent_test_start();
	expect_failed(MSG_LISTEN, &m, FAIL_ARGUMENT, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_data_suite(void)
{
	Suite *s = suite_create("agent: data sockets");
	TCase *c = tcase_create("data sockets");

	tcase_add_test(c, passive_sockets_are_in_the_range_and_used_again);
	tcase_add_test(c, clients_are_told_the_address_of_their_network);
	tcase_add_test(c, unreachable_addresses_are_warned_of);
	tcase_add_test(c, a_port_that_was_taken_is_given_up);
	tcase_add_test(c, exhausted_ranges_are_said_so);
	tcase_add_test(c, active_connections_go_to_the_peer);
	tcase_add_test(c, low_ports_come_from_the_monitor);
	tcase_add_test(c, foreign_addresses_and_low_ports_are_refused);
	tcase_add_test(c, trusted_networks_may_be_named);
	tcase_add_test(c, active_mode_can_be_off);
	tcase_add_test(c, passive_mode_can_be_off);
	suite_add_tcase(s, c);
	return s;
}
