#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/selftest.h"
#include "daemon/listener/server.h"

#define TIME_LIMIT 20	/* seconds for the whole conversation */

/* What must come, and what is said then. */
static const struct {
	const char *reply, *answer;
} conversation[] = {
	{ "220", "FEAT\r\n" },
	{ "211", "QUIT\r\n" },
	{ "221", "" },
};
#define STEPS (sizeof conversation / sizeof conversation[0])

struct selftest {
	int fd;
	struct event readable;
	size_t step, len;
	char within[4];		/* the code of the reply of several lines that is being heard, or "" */
	char line[512];
};

/* Two connected TCP sockets of this host. */
static int
loopback_pair(int *client_fd, int *server_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	int r = 0, listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*server_fd = -1;
	if (listen_fd < 0 || *client_fd < 0 || bind(listen_fd, (struct sockaddr *)&a, len) < 0 || listen(listen_fd, 1) < 0 ||
	    getsockname(listen_fd, (struct sockaddr *)&a, &len) < 0)
		r = -errno;
	/* The loopback interface connects at once; the socket does not block should it not. */
	if (r == 0 && connect(*client_fd, (struct sockaddr *)&a, len) < 0 && errno != EINPROGRESS)
		r = -errno;
	if (r == 0 && (*server_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
		r = -errno;
	if (listen_fd >= 0)
		close(listen_fd);
	if (r != 0 && *client_fd >= 0)
		close(*client_fd);
	return r;
}

void
selftest_end(struct server *s)
{
	if (s->selftest == NULL)
		return;
	event_del(&s->selftest->readable);
	close(s->selftest->fd);
	free(s->selftest);
	s->selftest = NULL;
}

static void
fail(struct server *s, const char *what)
{
	static char text[640];
	const struct selftest *t = s->selftest;

	(void)str_format(text, sizeof text, "%s (reply %s was expected, received: \"%.80s\")", what,
	    t->step < STEPS ? conversation[t->step].reply : "none", t->line);
	selftest_end(s);
	server_selftest_done(s, text);
}

/*
 * Is more to come of this reply?  One of several lines ends at the first that has its code and a blank (RFC 959,
 * 4.2).
 */
static bool
goes_on(struct selftest *t, const char *line)
{
	if (t->within[0] != '\0') {
		if (strncmp(line, t->within, 3) != 0 || line[3] != ' ')
			return true;
		t->within[0] = '\0';
	} else if (strlen(line) > 3 && line[3] == '-') {
		memcpy(t->within, line, 3);
		return true;
	}
	return false;
}

/* One whole line of a reply. Returns false when the conversation is over. */
static bool
hear(struct server *s, const char *line)
{
	struct selftest *t = s->selftest;
	const char *answer = conversation[t->step].answer;

	if (goes_on(t, line))
		return true;
	if (strncmp(line, conversation[t->step].reply, 3) != 0) {
		fail(s, "the session answered something else");
		return false;
	}
	t->step++;
	if (t->step == STEPS) {
		selftest_end(s);
		server_selftest_done(s, NULL);
		return false;
	}
	if (send(t->fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		fail(s, "the session does not listen");
		return false;
	}
	return true;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct selftest *t = s->selftest;
	ssize_t n;
	char *end;

	if ((what & EV_TIMEOUT) != 0) {
		fail(s, "the session did not answer in time");
		return;
	}
	n = recv(fd, t->line + t->len, sizeof t->line - 1 - t->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(s, "the session ended");
		return;
	}
	t->len += (size_t)n;
	t->line[t->len] = '\0';
	while ((end = strstr(t->line, "\r\n")) != NULL) {
		*end = '\0';
		if (!hear(s, t->line))
			return;
		t->len -= (size_t)(end + 2 - t->line);
		memmove(t->line, end + 2, t->len + 1);
	}
	/* Of a long line, as a banner may have, the code and the end matter. */
	if (t->len == sizeof t->line - 1) {
		t->line[4] = t->line[t->len - 1];
		t->len = 5;
	}
}

int
selftest_start(struct server *s)
{
	static const struct timeval limit = { TIME_LIMIT, 0 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct addr address;
	int client_fd, server_fd, r = loopback_pair(&client_fd, &server_fd);

	if (r != 0)
		return r;
	s->selftest = calloc(1, sizeof *s->selftest);
	if (s->selftest == NULL) {
		close(client_fd);
		close(server_fd);
		return -ENOMEM;
	}
	s->selftest->fd = client_fd;
	event_assign(&s->selftest->readable, s->base, client_fd, EV_READ | EV_PERSIST, on_event, s);
	event_add(&s->selftest->readable, &limit);
	(void)addr_from(&address, &a, sizeof a);
	pool_client(s, server_fd, SELFTEST_LISTENER, &address, &address);
	return 0;
}
