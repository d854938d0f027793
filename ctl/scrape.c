/*
 * sallyctl metrics --http: one answer to one request of Prometheus (RFC 9112), on standard input and output, for a
 * socket unit or inetd.  What reads the network here has nothing but a file that the metrics were written to: it asks no
 * server, so it needs no permission to do so, and runs as a user of its own.  One request, at most REQUEST_MAX bytes of
 * it, within REQUEST_MS; nothing of it but method and path is looked at, or shown to anybody.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/ctl.h"

#define REQUEST_MAX	8192
#define REQUEST_MS	5000		/* for the request, and again for the answer */
#define PAGE_MAX	(8 << 20)	/* tens of thousands of certificates; only what is used is memory */

static struct {
	int64_t end;		/* clock_ms(): no later */
	char request[REQUEST_MAX + 1], page[PAGE_MAX];
} scrape;

/* What stands behind the version: "HTTP/1.1 200 OK". */
static const char ok[] = "200 OK", bad[] = "400 Bad Request", not_found[] = "404 Not Found", not_allowed[] = "405 Method Not Allowed",
    late[] = "408 Request Timeout", large[] = "431 Request Header Fields Too Large", unavailable[] = "503 Service Unavailable";

static bool
wait_until_ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = scrape.end - clock_ms();

	return left > 0 && poll(&p, 1, (int)left) == 1;
}

/* All of it, or as much as the client takes in time. */
static void
send_all(const char *text, size_t len)
{
	while (len > 0 && wait_until_ready(STDOUT_FILENO, POLLOUT)) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* Reads to the empty line behind the header. NULL, or what to answer instead. */
static const char *
read_request(void)
{
	const char *begin = scrape.request;
	size_t len = 0;

	while (strstr(begin, "\r\n\r\n") == NULL && strstr(begin, "\n\n") == NULL) {
		ssize_t n;

		if (len == REQUEST_MAX)
			return large;
		if (!wait_until_ready(STDIN_FILENO, POLLIN))
			return late;
		n = read(STDIN_FILENO, scrape.request + len, REQUEST_MAX - len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0 || memchr(scrape.request + len, '\0', (size_t)n) != NULL)
			return bad;
		len += (size_t)n;
		scrape.request[len] = '\0';
		begin = scrape.request + strspn(scrape.request, "\r\n");
	}
	return NULL;
}

/* Without "http://host", which a proxy leaves in front of it (RFC 9112, 3.2.2). */
static char *
path_of(char *target)
{
	static const char scheme[] = "http://";

	if (strncasecmp(target, scheme, sizeof scheme - 1) != 0)
		return target;
	target += sizeof scheme - 1;
	return target + strcspn(target, "/");
}

/*
 * "GET /metrics HTTP/1.1" or HEAD; what follows a question mark is of no importance, and empty lines in front of it are
 * none (RFC 9112, 2.2). NULL, or what to answer instead.
 */
static const char *
judge(bool *head)
{
	char *rest = scrape.request + strspn(scrape.request, "\r\n"), *line = strsep(&rest, "\r\n");
	char *method = strsep(&line, " "), *path = strsep(&line, " ");

	if (path == NULL || line == NULL || strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) != 8)
		return bad;
	*head = strcmp(method, "HEAD") == 0;
	if (!*head && strcmp(method, "GET") != 0)
		return not_allowed;
	path = path_of(path);
	path[strcspn(path, "?")] = '\0';
	return strcmp(path, "/metrics") == 0 ? NULL : not_found;
}

/* The page. Its length; -1: there is none that is whole. */
static ssize_t
load(const struct invocation *inv, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, scrape.page, sizeof scrape.page);

	if (n == sizeof scrape.page) {
		errno = EFBIG;
		n = -1;
	}
	if (n < 0)
		(void)ctl_fail_code(inv, CTL_FAILED, path, -errno);
	if (fd >= 0)
		close(fd);
	return n;
}

static bool
is_openmetrics(size_t len)
{
	static const char end[] = "# EOF\n";
	size_t n = sizeof end - 1;

	return len >= n && memcmp(scrape.page + len - n, end, n) == 0;
}

static void
answer(const char *status, size_t len, bool head)
{
	const char *type = status != ok ? "text/plain; charset=utf-8" : is_openmetrics(len) ?
	    "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
	char header[512];

	(void)str_format(header, sizeof header, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n%sConnection: close\r\n\r\n", status, type, len,
	    status == not_allowed ? "Allow: GET, HEAD\r\n" : "");
	send_all(header, strlen(header));
	if (!head)
		send_all(scrape.page, len);
}

/* What the client still sends is read: closed over it, the connection would be reset, and the answer be lost. */
static void
linger(void)
{
	if (shutdown(STDOUT_FILENO, SHUT_WR) != 0)
		return;
	for (int i = 0; i < 64 && wait_until_ready(STDIN_FILENO, POLLIN); i++)
		if (read(STDIN_FILENO, scrape.request, REQUEST_MAX) <= 0)
			return;
}

int
scrape_answer(const struct invocation *inv, const char *path)
{
	const char *status;
	bool head = false;
	ssize_t len = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	scrape.end = clock_ms() + REQUEST_MS;
	status = read_request();
	if (status == NULL)
		status = judge(&head);
	if (status == NULL && (len = load(inv, path)) <= 0)
		status = unavailable;
	if (status != NULL)
		len = str_format(scrape.page, sizeof scrape.page, "%s\n", status + 4) == 0 ? (ssize_t)strlen(scrape.page) : 0;
	scrape.end = clock_ms() + REQUEST_MS;
	answer(status == NULL ? ok : status, (size_t)len, head);
	linger();
	return status == unavailable ? CTL_FAILED : CTL_OK;
}
