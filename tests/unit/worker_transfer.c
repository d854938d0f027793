#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exitcode.h"
#include "daemon/worker/data.h"
#include "tests/unit/worker.h"
#include "tests/unit/worker_fake.h"

static struct fake f;
static char text[256];

static void
download(const char *command, const char *want)
{
	int data = fake_data(&f);
	ssize_t n;

	ck_assert_int_eq(fake_ask(&f, command), 150);
	n = fake_drain(data, text, sizeof text);
	ck_assert_int_eq(n, (ssize_t)strlen(want));
	ck_assert_mem_eq(text, want, (size_t)n);
	ck_assert_int_eq(fake_reply(&f), 226);
}

static int
upload(const char *command, const char *data, size_t n)
{
	int fd = fake_data(&f);

	ck_assert_int_eq(fake_ask(&f, command), 150);
	if (n > 0)
		ck_assert_int_eq(send(fd, data, n, MSG_NOSIGNAL), (ssize_t)n);
	close(fd);
	return fake_reply(&f);
}

START_TEST(both_ways)
{
	fake_login(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "TYPE I"), 200);
	download("RETR file", FAKE_TEXT);
	ck_assert_ptr_nonnull(strstr(f.text, "226"));
	ck_assert_int_eq(upload("STOR x", "hello", 5), 226);
	download("RETR x", "hello");
	ck_assert_int_eq(fake_ask(&f, "REST 1"), 350);
	download("RETR x", "ello");
	download("RETR x", "hello");
	ck_assert_int_eq(fake_ask(&f, "RANG 1 3"), 350);
	download("RETR x", "ell");
	ck_assert_int_eq(upload("APPE x", "!", 1), 226);
	download("RETR x", FAKE_TEXT "!");
	ck_assert_int_eq(fake_ask(&f, "REST 3"), 350);
	ck_assert_int_eq(upload("STOR x", "XY", 2), 226);
	download("RETR x", "oneXY");
	ck_assert_int_eq(upload("STOR x", "", 0), 226);
	download("RETR x", "");
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* So large that it goes through the pipe; into a file opened for appending, which takes no pipe, too. */
START_TEST(large_upload)
{
	static char data[5000001], back[5000001 + sizeof FAKE_TEXT];
	size_t before = _i == 0 ? 0 : sizeof FAKE_TEXT - 1;
	int fd;

	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (char)(i * 2654435761u >> 24);
	fake_login(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "TYPE I"), 200);
	ck_assert_int_eq(upload(_i == 0 ? "STOR x" : "APPE x", data, sizeof data), 226);
	fd = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR x"), 150);
	ck_assert_int_eq(fake_drain(fd, back, sizeof back), (ssize_t)(before + sizeof data));
	ck_assert_mem_eq(back, FAKE_TEXT, before);
	ck_assert_mem_eq(back + before, data, sizeof data);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(upload("STOR room", data, 5000000), 226);
	fd = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "STOR room"), 150);
	ck_assert_int_gt(send(fd, data, 5000001, MSG_NOSIGNAL), 0);
	ck_assert_int_eq(fake_reply(&f), 552);
	close(fd);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* Then what was prepared for it is closed. */
static void
refused(const char *command, int code)
{
	int data = fake_data(&f);

	ck_assert_int_eq(fake_ask(&f, command), code);
	ck_assert_int_le(fake_drain(data, NULL, 0), 0);		/* its end, or a reset */
	ck_assert_int_eq(fake_ask(&f, command), 425);
}

START_TEST(replies)
{
	int data;

	fake_login(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "TYPE I"), 200);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	ck_assert_ptr_nonnull(strstr(f.text, "(8 bytes)"));
	fake_drain(data, NULL, 0);
	ck_assert_int_eq(fake_reply(&f), 226);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "STOU"), 150);
	ck_assert_ptr_nonnull(strstr(f.text, "150 FILE: unique.1\n"));
	close(data);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_ask(&f, "RETR x"), 425);
	refused("RETR missing", 550);
	refused("STOR denied", 553);
	refused("RETR folder", 550);
	ck_assert_int_eq(fake_ask(&f, "REST 5"), 350);
	refused("STOU", 503);
	ck_assert_int_eq(upload("STOR tiny", "0123456789", 10), 226);
	ck_assert_int_eq(upload("STOR tiny", "0123456789X", 11), 552);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(ascii)
{
	struct fake_options o = { .convert = true };

	fake_login(&f, &o);
	download("RETR file", "one\r\ntwo\r\n");
	ck_assert_int_eq(fake_ask(&f, "SIZE file"), 550);
	ck_assert_int_eq(fake_ask(&f, "REST 3"), 501);
	ck_assert_int_eq(fake_ask(&f, "REST 0"), 350);
	ck_assert_int_eq(upload("STOR x", "a\r\nb\rc\r", 7), 226);
	ck_assert_int_eq(fake_ask(&f, "TYPE I"), 200);
	download("RETR x", "a\nb\rc\r");
	ck_assert_int_eq(fake_ask(&f, "SIZE file"), 213);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

#define LINE "-rw-r--r-- 1 u g 8 Jan  1  2026 name\r\n"

START_TEST(listings)
{
	static const char *const commands[] = { "LIST", "LIST -la", "LIST -la path", "NLST", "NLST *", "MLSD", "LIST -- -a", "LIST -zz" };
	int data;

	fake_login(&f, NULL);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		download(commands[i], LINE LINE);
	refused("LIST missing", 550);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "LIST half"), 150);
	ck_assert_int_eq(fake_drain(data, text, sizeof text), sizeof LINE - 1);
	ck_assert_int_eq(fake_reply(&f), 451);
	ck_assert_ptr_nonnull(strstr(f.text, "The listing is incomplete. Too many entries."));
	ck_assert_int_eq(fake_ask(&f, "STAT path"), 213);
	ck_assert_ptr_nonnull(strstr(f.text, "name\n-rw"));
	ck_assert_int_eq(fake_ask(&f, "STAT folder"), 212);
	/* What was read is shown under the code that says that there should be more. */
	ck_assert_int_eq(fake_ask(&f, "STAT half"), 451);
	ck_assert_str_eq(f.text, "451-Status:\n" "-rw-r--r-- 1 u g 8 Jan  1  2026 name\n451 The listing is incomplete. Too many entries.\n");
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* The client connects only after it has read the 150. */
START_TEST(late_connection)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned port;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	fake_login(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
	ck_assert_int_eq(sscanf(f.text, "229 Entering Extended Passive Mode (|||%u|)", &port), 1);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	usleep(50000);
	a.sin_port = htons((in_port_t)port);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(fake_drain(fd, NULL, 0), 8);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(active)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	char line[64];
	int l, fd;

	fake_login(&f, NULL);
	l = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(bind(l, (struct sockaddr *)&a, n) == 0 && listen(l, 1) == 0 && getsockname(l, (struct sockaddr *)&a, &n) == 0);
	snprintf(line, sizeof line, "EPRT |1|127.0.0.1|%u|", ntohs(a.sin_port));
	ck_assert_int_eq(fake_ask(&f, line), 200);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	fd = accept(l, NULL, NULL);
	ck_assert_int_eq(fake_drain(fd, NULL, 0), 8);
	ck_assert_int_eq(fake_reply(&f), 226);
	/* It counts for one transfer; and nobody listening is a 425. */
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 425);
	close(l);
	ck_assert_int_eq(fake_ask(&f, line), 200);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	ck_assert_int_eq(fake_reply(&f), 425);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* Until the other end has this connection: what was sent on it is acknowledged. */
static void
await_established(int fd)
{
	struct tcp_info info;
	socklen_t n;

	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	do {
		n = sizeof info;
		ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
	} while (info.tcpi_unacked != 0);
}

/* A connection made for an earlier EPSV, or from an address that is not the client's, gets nothing. */
START_TEST(stale_connection)
{
	int old, new;

	fake_login(&f, NULL);
	old = fake_data(&f);
	await_established(old);
	new = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	ck_assert_int_eq(fake_drain(new, NULL, 0), 8);
	ck_assert_int_le(fake_drain(old, NULL, 0), 0);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(stranger)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	int thief = socket(AF_INET, SOCK_STREAM, 0), data = socket(AF_INET, SOCK_STREAM, 0);
	unsigned port;

	fake_login(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
	ck_assert_int_eq(sscanf(f.text, "229 Entering Extended Passive Mode (|||%u|)", &port), 1);
	a.sin_port = htons((in_port_t)port);
	ck_assert_int_eq(bind(thief, (struct sockaddr *)&other, sizeof other), 0);
	ck_assert_int_eq(connect(thief, (struct sockaddr *)&a, sizeof a), 0);
	await_established(thief);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	ck_assert_int_le(fake_drain(thief, NULL, 0), 0);
	ck_assert_int_eq(connect(data, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(fake_drain(data, NULL, 0), 8);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

static void
strangers_come(struct sockaddr_in *a, unsigned n)
{
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };

	for (unsigned i = 0; i < n; i++) {
		int thief = socket(AF_INET, SOCK_STREAM, 0);

		ck_assert_int_eq(bind(thief, (struct sockaddr *)&other, sizeof other), 0);
		ck_assert_int_eq(connect(thief, (struct sockaddr *)a, sizeof *a), 0);
		ck_assert_int_le(fake_drain(thief, NULL, 0), 0);
		close(thief);
	}
}

/*
 * More than the queue holds, before the command and after it; each of them meets its end at once, so that the queue is
 * empty again.  The client's own connection is kept from before the command on.
 */
START_TEST(strangers_keep_nobody_away)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned port;

	fake_login(&f, NULL);
	for (int round = 0; round < 4; round++) {
		int data = socket(AF_INET, SOCK_STREAM, 0);

		ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
		ck_assert_int_eq(sscanf(f.text, "229 Entering Extended Passive Mode (|||%u|)", &port), 1);
		a.sin_port = htons((in_port_t)port);
		strangers_come(&a, 150);
		if ((round & 1) == 0)
			ck_assert_int_eq(connect(data, (struct sockaddr *)&a, sizeof a), 0);
		if (round < 2) {
			ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
		} else {
			ck_assert_int_eq(fake_ask(&f, "NOOP"), 200);
			ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
		}
		if ((round & 1) != 0) {
			strangers_come(&a, 150);
			ck_assert_int_eq(connect(data, (struct sockaddr *)&a, sizeof a), 0);
		}
		ck_assert_int_eq(fake_drain(data, NULL, 0), 8);
		ck_assert_int_eq(fake_reply(&f), 226);
		close(data);
	}
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* What came for one EPSV is not there for the next. */
START_TEST(early_connections_belong_to_their_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int early = socket(AF_INET, SOCK_STREAM, 0), data = socket(AF_INET, SOCK_STREAM, 0);
	unsigned port;

	fake_login(&f, NULL);
	ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
	ck_assert_int_eq(sscanf(f.text, "229 Entering Extended Passive Mode (|||%u|)", &port), 1);
	a.sin_port = htons((in_port_t)port);
	ck_assert_int_eq(connect(early, (struct sockaddr *)&a, sizeof a), 0);
	/* Mostly long enough for it to be taken out of the queue; both must do. */
	(void)poll(NULL, 0, 60);
	ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
	ck_assert_int_le(fake_drain(early, NULL, 0), 0);
	ck_assert_int_eq(connect(data, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(fake_ask(&f, "RETR file"), 150);
	ck_assert_int_eq(fake_drain(data, NULL, 0), 8);
	ck_assert_int_eq(fake_reply(&f), 226);
	close(early);
	close(data);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* Who connects to the port all the time does not keep an idle session alive. */
START_TEST(strangers_do_not_count_as_activity)
{
	struct fake_options o = { .idle_s = 1 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };
	struct pollfd p = { .events = POLLIN };
	unsigned port;

	fake_login(&f, &o);
	ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
	ck_assert_int_eq(sscanf(f.text, "229 Entering Extended Passive Mode (|||%u|)", &port), 1);
	a.sin_port = htons((in_port_t)port);
	p.fd = f.client;
	do {
		int thief = socket(AF_INET, SOCK_STREAM, 0);

		ck_assert_int_eq(bind(thief, (struct sockaddr *)&other, sizeof other), 0);
		(void)connect(thief, (struct sockaddr *)&a, sizeof a);
		close(thief);
	} while (poll(&p, 1, 100) == 0);
	ck_assert_int_eq(fake_reply(&f), 421);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(no_connection)
{
	struct fake_options o = { .data_s = 1 };

	fake_login(&f, &o);
	ck_assert_int_eq(fake_ask(&f, "EPSV"), 229);
	ck_assert_int_eq(fake_ask(&f, "STOR x"), 150);
	ck_assert_int_eq(fake_reply(&f), 425);
	ck_assert_int_eq(fake_ask(&f, "NOOP"), 200);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* ABOR in its disguises; what was sent after it is served after it. */
START_TEST(abort_transfer)
{
	static const char *const disguises[] = { "ABOR\r\n", "\377\364\377\362ABOR\r\n", "\362ABOR\r\n", "\377\364\377ABOR\r\n", "abor\n" };
	char line[64];
	int data;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	snprintf(line, sizeof line, "NOOP\r\n%sPWD\r\n", disguises[_i]);
	fake_send(&f, line, strlen(line));
	ck_assert_int_eq(fake_reply(&f), 426);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_reply(&f), 200);
	ck_assert_int_eq(fake_reply(&f), 257);
	ck_assert(fake_silent(&f, 5));
	close(data);
	/* An upload that is aborted stays incomplete. */
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "STOR x"), 150);
	fake_send(&f, "ABOR\r\n", 6);
	ck_assert_int_eq(fake_reply(&f), 426);
	ck_assert_int_eq(fake_reply(&f), 226);
	close(data);
	download("RETR x", "");
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(meanwhile)
{
	int data;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	fake_send(&f, "NOOP and much more\r\nSTAT\r\nPWD\r\nQUIT\r\n", 37);
	ck_assert_int_eq(fake_reply(&f), 211);
	ck_assert_ptr_nonnull(strstr(f.text, "RETR big"));
	ck_assert_int_eq(fake_drain(data, NULL, 0), FAKE_BIG);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_reply(&f), 200);
	ck_assert_int_eq(fake_reply(&f), 257);
	ck_assert_int_eq(fake_reply(&f), 221);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* The name in the reply is that of the file, whatever is said while its checksum is made. */
START_TEST(checksum_meanwhile)
{
	fake_login(&f, NULL);
	fake_send(&f, "HASH big\r\n", 10);
	usleep(5000);
	fake_send(&f, "NOOP and much more\r\n", 20);
	ck_assert_int_eq(fake_reply(&f), 213);
	ck_assert_ptr_nonnull(strstr(f.text, " big"));
	ck_assert_int_eq(fake_reply(&f), 200);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* However many of the same wait, each is answered. */
START_TEST(long_queue)
{
	static char many[9000];
	int data;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	for (size_t i = 0; i < sizeof many; i += 6)
		memcpy(many + i, "NOOP\r\n", 6);
	fake_send(&f, many, sizeof many);
	ck_assert_int_eq(fake_drain(data, NULL, 0), FAKE_BIG);
	ck_assert_int_eq(fake_reply(&f), 226);
	for (int i = 0; i < 1500; i++)
		ck_assert_int_eq(fake_reply(&f), 200);
	ck_assert(fake_silent(&f, 5));
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* What is said last is seen behind more commands than may wait; of those that wait each has its answer, in order. */
START_TEST(behind_a_crowd)
{
	static const struct { const char *line; int code; } rows[] = { { "ABOR\r\n", 426 }, { "STAT\r\n", 211 } };
	char line[64];
	int data, code, served = 0;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	for (int i = 0; i < 5000; i++) {
		snprintf(line, sizeof line, "MDTM file-%d\r\n", i);
		fake_send(&f, line, strlen(line));
	}
	fake_send(&f, rows[_i].line, 6);
	ck_assert_int_eq(fake_reply(&f), rows[_i].code);
	if (_i == 1)
		ck_assert_int_eq(fake_drain(data, NULL, 0), FAKE_BIG);
	ck_assert_int_eq(fake_reply(&f), 226);
	for (int i = 0; i < 5000; i++) {
		code = fake_reply(&f);
		ck_assert_msg(code == 450 || (code == 213 && served == i), "%d: %s", i, f.text);
		served += code == 213;
	}
	ck_assert(served > 500 && served < 5000);
	ck_assert_int_eq(fake_ask(&f, "NOOP"), 200);
	close(data);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* One packet with the transfer: ABOR needs no second one to be seen. */
START_TEST(abort_in_the_same_packet)
{
	int data;

	fake_login(&f, NULL);
	data = fake_data(&f);
	fake_send(&f, "RETR big\r\nNOOP\r\nABOR\r\n", 22);
	ck_assert_int_eq(fake_reply(&f), 150);
	ck_assert_int_eq(fake_reply(&f), 426);
	ck_assert_int_eq(fake_reply(&f), 226);
	ck_assert_int_eq(fake_reply(&f), 200);
	close(data);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

/* Until the session has taken the connection: one byte of the download has come, or one of the upload was counted. */
static void
await_data(int data, bool download)
{
	char byte = 'x';

	if (download) {
		ck_assert_int_eq(recv(data, &byte, 1, 0), 1);
		return;
	}
	ck_assert_int_eq(send(data, &byte, 1, MSG_NOSIGNAL), 1);
	do
		ck_assert_int_eq(fake_ask(&f, "STAT"), 211);
	while (strstr(f.text, " 1 bytes received") == NULL);
}

/* The client goes away: with QUIT the transfer is finished, without it is not; never does anything hang. */
START_TEST(client_leaves)
{
	int data;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, "RETR big"), 150);
	await_data(data, true);
	for (int i = 0; i < 3000; i++)
		fake_send(&f, i % 2 == 0 ? "NOOP\r\n" : "PWD\r\n", i % 2 == 0 ? 6 : 5);
	if (_i == 1)
		fake_send(&f, "QUIT\r\n", 6);
	shutdown(f.client, SHUT_WR);
	if (_i == 1)
		ck_assert_int_eq(fake_drain(data, NULL, 0), FAKE_BIG - 1);
	else
		ck_assert_int_eq(fake_stop(&f), 0);
	if (_i == 0)
		ck_assert_int_lt(fake_drain(data, NULL, 0), FAKE_BIG - 1);
	else
		ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(peer_resets)
{
	struct linger hard = { 1, 0 };
	int data;

	fake_login(&f, NULL);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, _i == 0 ? "RETR big" : "STOR x"), 150);
	await_data(data, _i == 0);
	setsockopt(data, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(data);
	ck_assert_int_eq(fake_reply(&f), 426);
	ck_assert_int_eq(fake_ask(&f, "NOOP"), 200);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(stall)
{
	struct fake_options o = { .stall_s = 1 };
	int data;

	fake_login(&f, &o);
	data = fake_data(&f);
	ck_assert_int_eq(fake_ask(&f, _i == 0 ? "RETR big" : "STOR x"), 150);
	ck_assert_int_eq(fake_reply(&f), 426);
	close(data);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

START_TEST(limited)
{
	struct fake_options o = { .rate = 4000 };
	static char data[10000];
	int64_t start, spent;

	fake_login(&f, &o);
	start = clock_ms();
	ck_assert_int_eq(upload("STOR x", data, sizeof data), 226);
	spent = clock_ms() - start;
	/* How much longer it takes than 2.5 seconds is the machine's affair. */
	ck_assert_msg(spent > 1200, "10000 bytes at 4000 a second took %d ms", (int)spent);
	ck_assert_int_eq(fake_stop(&f), 0);
}
END_TEST

Suite *
worker_transfer_suite(void)
{
	Suite *s = suite_create("worker/transfer");
	TCase *t = tcase_create("transfer");

	tcase_add_test(t, both_ways);
	tcase_add_loop_test(t, large_upload, 0, 2);
	tcase_add_test(t, replies);
	tcase_add_test(t, ascii);
	tcase_add_test(t, listings);
	tcase_add_test(t, late_connection);
	tcase_add_test(t, active);
	tcase_add_test(t, stale_connection);
	tcase_add_test(t, stranger);
	tcase_add_test(t, strangers_keep_nobody_away);
	tcase_add_test(t, early_connections_belong_to_their_port);
	tcase_add_test(t, strangers_do_not_count_as_activity);
	tcase_add_test(t, no_connection);
	tcase_add_loop_test(t, abort_transfer, 0, 5);
	tcase_add_test(t, meanwhile);
	tcase_add_test(t, checksum_meanwhile);
	tcase_add_test(t, long_queue);
	tcase_add_loop_test(t, behind_a_crowd, 0, 2);
	tcase_add_test(t, abort_in_the_same_packet);
	tcase_add_loop_test(t, client_leaves, 0, 2);
	tcase_add_loop_test(t, peer_resets, 0, 2);
	tcase_add_loop_test(t, stall, 0, 2);
	tcase_add_test(t, limited);
	suite_add_tcase(s, t);
	return s;
}
