/*
 * A load for FTP servers: load PORT USER PASSWORD TEST SECONDS
 *
 * One client on 127.0.0.1 that does one thing as fast as it can, and prints
 * a line: what it did, how often a second, the median and the 99th percentile
 * of one turn in microseconds, and megabytes a second where bytes are moved.
 * Errors end it with a message and the exit code 1.  tests/bench/run starts
 * it against tests/bench/serve; it trusts its server, being a tool of tests.
 */
#include "config.h"

#include <arpa/inet.h>
#include <err.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TURNS_MAX	(1u << 20)
#define BIG		(256u << 20)

struct client {
	int fd;
	const char *user, *password;
	struct sockaddr_in server;
	char line[4096];	/* of the last reply, its last line */
	char in[65536];
	size_t have, at;
	uint64_t bytes;		/* of data connections, both ways */
};

static char buffer[1 << 18];

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
connect_to(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
		err(1, "connect to port %u", ntohs(to->sin_port));
	return fd;
}

static int
next_byte(struct client *c)
{
	if (c->at == c->have) {
		ssize_t n = read(c->fd, c->in, sizeof c->in);

		if (n <= 0)
			errx(1, "the server closed the connection after: %s", c->line);
		c->have = (size_t)n;
		c->at = 0;
	}
	return (unsigned char)c->in[c->at++];
}

/* Reads a reply, of several lines too, and fails when its code is another. */
static void
expect(struct client *c, int code)
{
	size_t n;

	do {
		int b;

		for (n = 0; (b = next_byte(c)) != '\n';)
			if (n < sizeof c->line - 1)
				c->line[n++] = (char)b;
		c->line[n] = '\0';
	} while (n < 4 || strspn(c->line, "0123456789") != 3 || c->line[3] != ' ');
	if (atoi(c->line) != code)
		errx(1, "expected %d, got: %s", code, c->line);
}

static void say(struct client *, const char *, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct client *c, const char *format, ...)
{
	va_list ap;
	char text[512];
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text || write(c->fd, text, (size_t)n) != n)
		err(1, "write");
}

static void
open_session(struct client *c)
{
	c->fd = connect_to(&c->server);
	c->have = c->at = 0;
	expect(c, 220);
	say(c, "USER %s\r\n", c->user);
	expect(c, 331);
	say(c, "PASS %s\r\n", c->password);
	expect(c, 230);
	say(c, "TYPE I\r\n");
	expect(c, 200);
}

static void
close_session(struct client *c)
{
	say(c, "QUIT\r\n");
	expect(c, 221);
	close(c->fd);
}

static int
open_data(struct client *c)
{
	struct sockaddr_in to = c->server;
	const char *bars;

	say(c, "EPSV\r\n");
	expect(c, 229);
	bars = strstr(c->line, "|||");
	if (bars == NULL)
		errx(1, "no port in: %s", c->line);
	to.sin_port = htons((uint16_t)atoi(bars + 3));
	return connect_to(&to);
}

static void
get(struct client *c, const char *command)
{
	int fd = open_data(c);
	ssize_t n;

	say(c, "%s\r\n", command);
	expect(c, 150);
	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		c->bytes += (uint64_t)n;
	if (n < 0)
		err(1, "data connection");
	close(fd);
	expect(c, 226);
}

static void
put(struct client *c, const char *command, size_t size)
{
	int fd = open_data(c);

	say(c, "%s\r\n", command);
	expect(c, 150);
	while (size > 0) {
		ssize_t n = write(fd, buffer, size < sizeof buffer ? size : sizeof buffer);

		if (n <= 0)
			err(1, "data connection");
		size -= (size_t)n;
		c->bytes += (uint64_t)n;
	}
	close(fd);
	expect(c, 226);
}

/* ------------------------------------------------------------------- turns */

static void
turn_login(struct client *c)
{
	close_session(c);
	open_session(c);
}

static void
turn_noop(struct client *c)
{
	say(c, "NOOP\r\n");
	expect(c, 200);
}

static void
turn_size(struct client *c)
{
	say(c, "SIZE small\r\n");
	expect(c, 213);
}

static void
turn_small(struct client *c)
{
	get(c, "RETR small");
}

static void
turn_store_small(struct client *c)
{
	put(c, "STOR up-small", 1024);
}

static void
turn_retr(struct client *c)
{
	get(c, "RETR big");
}

static void
turn_stor(struct client *c)
{
	put(c, "STOR up-big", BIG);
}

static void
turn_list(struct client *c)
{
	get(c, "LIST many");
}

static void
turn_mlsd(struct client *c)
{
	get(c, "MLSD many");
}

static const struct test {
	const char *name;
	void (*turn)(struct client *);
} tests[] = {
	{ "login", turn_login }, { "noop", turn_noop }, { "size", turn_size }, { "small", turn_small },
	{ "store-small", turn_store_small }, { "retr", turn_retr }, { "stor", turn_stor }, { "list", turn_list },
	{ "mlsd", turn_mlsd },
};

static int
by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void
measure(struct client *c, const struct test *t, double limit)
{
	float *took = calloc(TURNS_MAX, sizeof *took);
	double start, now, last;
	size_t n = 0;

	if (took == NULL)
		err(1, NULL);
	t->turn(c);
	c->bytes = 0;
	last = start = seconds();
	do {
		t->turn(c);
		now = seconds();
		took[n++] = (float)(now - last);
		last = now;
	} while (n < TURNS_MAX && now - start < limit);
	qsort(took, n, sizeof *took, by_size);
	printf("%s turns=%zu rate=%.1f/s p50=%.0fus p99=%.0fus", t->name, n, (double)n / (now - start),
	    1e6 * (double)took[n / 2], 1e6 * (double)took[n * 99 / 100]);
	if (c->bytes > 0)
		printf(" MB/s=%.1f", (double)c->bytes / 1e6 / (now - start));
	putchar('\n');
	free(took);
}

int
main(int argc, char **argv)
{
	static struct client c;

	if (argc != 6)
		errx(64, "usage: load PORT USER PASSWORD TEST SECONDS");
	c.server.sin_family = AF_INET;
	c.server.sin_port = htons((uint16_t)atoi(argv[1]));
	c.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c.user = argv[2];
	c.password = argv[3];
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		if (strcmp(argv[4], tests[i].name) == 0) {
			open_session(&c);
			measure(&c, &tests[i], atof(argv[5]));
			close_session(&c);
			return 0;
		}
	errx(64, "no such test: %s", argv[4]);
}
