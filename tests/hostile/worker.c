/*
 * A worker that has been taken over: it does what the client tells it, inside
 * the worker's sandbox, against a real monitor and a real agent.  Executed by
 * tests/it/test_hostile_worker.py in place of sallyport-worker, which says
 * on the control connection, a line each:
 *
 *	login USER PASSWORD		LOGIN, and wait for the answer
 *	claim USER TLS			LOGIN without a password, with this said of TLS (0, 1)
 *	challenge X			what the client of this session was to sign (hexadecimal); X: anything
 *	hold HEX			keep these bytes, behind those kept already
 *	prove TIMES			PROVE with the bytes kept
 *	full TYPE TIMES			send this message with every field at its bound, without reading
 *	small TYPE TIMES		the same with the smallest fields
 *	with TYPE NUMBER [PATH]		one with this path (in hexadecimal) and number
 *	read [MS]			the next message of monitor or agent; its descriptor is kept
 *	write TEXT			into the descriptor that came last
 *	log EVENT TIMES			log lines
 *	fastopen PORT			connect that descriptor to another port of this machine by sending
 *	limit PID			take the descriptors of another process away
 *	back own|kept TIMES		GIVE_BACK of the client's connection, or of that descriptor
 *	trace PID, kill PID, reopen, memory MIB, append
 *
 * Each is answered by one line.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "privsep/template.h"
#include "tests/hostile/forge.h"

static struct chan login, logs, files, sign;
static struct msg m;
static struct packet packet;
static struct msg_prove claim;
static uint8_t challenge[64];
static size_t challenge_len;
static int client = -1, kept = -1;

static int
warm_up(const struct conf *c)
{
	(void)c;
	return 0;
}

static void __attribute__((format(printf, 1, 2)))
say(const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line - 1, format, ap);
	va_end(ap);
	line[n] = '\n';
	if (send(client, line, (size_t)n + 1, MSG_NOSIGNAL) < 0)
		_exit(SP_EXIT_OK);
}

/* What a system call said. */
static void
say_result(long r)
{
	if (r < 0)
		say("error %s", strerrorname_np(errno));
	else
		say("ok %ld", r);
}

static struct chan *
channel_of(unsigned type)
{
	struct chan *const all[] = { &login, &logs, &files, &sign };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (msg_row(type) != NULL && all[i]->channel == msg_row(type)->channel)
			return all[i];
	return &files;
}

/* By name, or by number for what no table has. */
static unsigned
type_of(const char *name)
{
	for (unsigned t = 1; t < MSG_COUNT; t++)
		if (strcmp(msg_name(t), name) == 0)
			return t;
	return (unsigned)strtoul(name, NULL, 0);
}

/* -------------------------------------------------------------------- messages */

static void
send_some(unsigned type, const char *times)
{
	struct chan *c = channel_of(type);
	long i, n = times == NULL ? 1 : strtol(times, NULL, 10);
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		/* A peer that has stopped reading is not waited for for ever. */
		if (poll(&(struct pollfd){ .fd = c->fd, .events = POLLOUT }, 1, 200) != 1)
			break;
		r = forge_send(c->fd, &packet);
	}
	say("sent %ld%s%s", r == 0 ? i : i - 1, r == 0 ? "" : " ", r == 0 ? "" : strerrorname_np(-r));
}

static void
do_full(char *type, char *times)
{
	forge_right(&packet, type_of(type), true);
	send_some(type_of(type), times);
}

static void
do_small(char *type, char *times)
{
	forge_right(&packet, type_of(type), false);
	send_some(type_of(type), times);
}

static size_t
from_hex(char *text)
{
	size_t n = 0;

	for (; text[2 * n] != '\0'; n++) {
		char byte[3] = { text[2 * n], text[2 * n + 1], '\0' };

		text[n] = (char)strtoul(byte, NULL, 16);
	}
	text[n] = '\0';
	return n;
}

static void
do_with(char *type, char *rest)
{
	char *path = strchr(rest, ' ');
	uint64_t number = strtoull(rest, NULL, 0);

	if (path != NULL)
		from_hex(++path);
	forge_with(&packet, type_of(type), path, number);
	send_some(type_of(type), "1");
}

static void
keep_fd(void)
{
	if (m.fd_count == 0)
		return;
	if (kept >= 0)
		close(kept);
	kept = msg_take_fd(&m, 0);
}

static void
do_read(char *ms, char *unused)
{
	struct pollfd p[2] = { { .fd = files.fd, .events = POLLIN }, { .fd = login.fd, .events = POLLIN } };
	struct chan *c;
	int r;

	(void)unused;
	if (poll(p, 2, ms == NULL ? 30000 : atoi(ms)) <= 0) {
		say("nothing");
		return;
	}
	/* What the monitor said last counts before the end of the agent, which follows it. */
	c = p[1].revents != 0 ? &login : &files;
	r = chan_receive(c, &m, ~0u);
	if (r != 0) {
		chan_close(c);
		say("closed %s", c == &files ? "files" : "login");
		return;
	}
	keep_fd();
	msg_close(&m);
	/* As an honest one does, or its end would be taken for that of the agent's. */
	if (m.type == MSG_LOGIN_OK)
		chan_close(&login);
	if (m.type == MSG_FAILED)
		say("FAILED %u %s %s", m.failed.reason, m.failed.error == 0 ? "0" : strerrorname_np((int)m.failed.error),
		    m.failed.text);
	else if (m.type == MSG_LISTENING)
		say("LISTENING %u", m.listening.port);
	else if (m.type == MSG_LOGIN_REFUSED)
		say("LOGIN_REFUSED %u %u", m.login_refused.code, m.login_refused.last);
	else
		say("%s", msg_name(m.type));
}

static void
tell_login(const struct msg_login *body)
{
	if (chan_tell(&login, MSG_LOGIN, body) != 0)
		say("closed login");
	else
		do_read(NULL, NULL);
}

static void
do_login(char *user, char *password)
{
	static struct msg_login body;

	(void)str_copy(body.user, sizeof body.user, user);
	(void)str_copy(body.password.data, sizeof body.password.data, password);
	body.password.len = strlen(password);
	tell_login(&body);
}

static void
do_claim(char *user, char *rest)
{
	static struct msg_login body;

	(void)str_copy(body.user, sizeof body.user, user);
	body.tls = *rest == '1';
	tell_login(&body);
}

static void
do_challenge(char *any, char *rest)
{
	char text[2 * sizeof challenge + 1] = "";

	(void)any, (void)rest;
	for (size_t i = 0; i < challenge_len; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", challenge[i]);
	say("challenge %s", text);
}

static void
do_hold(char *hex, char *rest)
{
	(void)rest;
	for (unsigned byte; sscanf(hex, "%2x", &byte) == 1 && claim.handshake_len < sizeof claim.handshake; hex += 2) {
		claim.handshake[claim.handshake_len++] = (uint8_t)byte;
		if (hex[1] == '\0')
			break;
	}
	say("held %zu", claim.handshake_len);
}

static void
do_prove(char *times, char *rest)
{
	long n = strtol(times, NULL, 10), i;

	(void)rest;
	for (i = 0; i < n && chan_tell(&login, MSG_PROVE, &claim) == 0; i++)
		;
	say("sent %ld", i);
}

static void
do_log(char *event, char *times)
{
	static struct msg_log body;
	long n = strtol(times, NULL, 10), i;

	body.level = 3;
	(void)str_format(body.text, sizeof body.text, "event=%s", event);
	for (i = 0; i < n && chan_tell(&logs, MSG_LOG, &body) == 0; i++)
		;
	say("sent %ld", i);
}

static void
do_back(char *which, char *times)
{
	static const struct msg_give_back body;
	const int fd = strcmp(which, "own") == 0 ? client : kept;
	int i, n = atoi(times), r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = chan_send(&logs, MSG_GIVE_BACK, 1, &body, &fd, 1);
	say("sent %d", r == 0 ? i : i - 1);
}

/* ---------------------------------------------------------------- system calls */

static void
do_write(char *text, char *unused)
{
	(void)unused;
	say_result(write(kept, text, strlen(text)));
}

/* Writes so many MiB to the file that came last, or what it takes of them. */
static void
do_fill(char *mib, char *unused)
{
	static char block[1 << 16];
	size_t left = (size_t)atol(mib) << 20, done = 0;
	ssize_t n = 1;

	(void)unused;
	while (left > 0 && (n = write(kept, block, left < sizeof block ? left : sizeof block)) > 0) {
		left -= (size_t)n;
		done += (size_t)n;
	}
	say("filled %zu %s", done, n > 0 ? "0" : strerrorname_np(errno));
}

static void
do_fastopen(char *port, char *unused)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)atoi(port)) };
	struct iovec v = { port, 1 };
	struct msghdr h = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &v, .msg_iovlen = 1 };

	(void)unused;
	/* The connection that the agent began must have failed first. */
	(void)poll(&(struct pollfd){ .fd = kept, .events = POLLOUT }, 1, 2000);
	(void)send(kept, "x", 1, MSG_NOSIGNAL);
	say_result(sendmsg(kept, &h, MSG_FASTOPEN | MSG_NOSIGNAL));
}

static void
do_limit(char *pid, char *unused)
{
	const struct rlimit none = { 0, 0 };

	(void)unused;
	say_result(syscall(SYS_prlimit64, (pid_t)atoi(pid), RLIMIT_NOFILE, &none, NULL));
}

static void
do_trace(char *pid, char *unused)
{
	(void)unused;
	say_result(ptrace(PTRACE_ATTACH, (pid_t)atoi(pid), NULL, NULL));
}

static void
do_kill(char *pid, char *unused)
{
	(void)unused;
	say_result(kill((pid_t)atoi(pid), SIGKILL));
}

static void
do_reopen(char *unused, char *unused_too)
{
	(void)unused, (void)unused_too;
	say_result(open("/proc/self/fd/0", O_RDWR));
}

static void
do_memory(char *mib, char *unused)
{
	size_t size = (size_t)atol(mib) << 20;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	say_result(p == MAP_FAILED ? -1 : 0);
	if (p != MAP_FAILED)
		munmap(p, size);
}

/* Goes to the beginning of the file that came last, takes O_APPEND from it, or maps it to write where it likes. */
static void
do_append(char *unused, char *unused_too)
{
	(void)unused, (void)unused_too;
	(void)lseek(kept, 0, SEEK_SET);
	if (fcntl(kept, F_SETFL, 0) == 0)
		say("ok flags");
	else if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0) != MAP_FAILED)
		say("ok mapped");
	else
		say_result(pwrite(kept, "PWRITTEN", 8, 0));
}

/* ------------------------------------------------------------------------ orders */

static const struct {
	const char *word;
	int arguments;
	void (*carry_out)(char *, char *);
} orders[] = {
	{ "login", 2, do_login }, { "claim", 2, do_claim }, { "full", 1, do_full }, { "small", 1, do_small },
	{ "with", 2, do_with }, { "challenge", 0, do_challenge }, { "hold", 1, do_hold }, { "prove", 1, do_prove },
	{ "read", 0, do_read }, { "log", 2, do_log }, { "write", 1, do_write }, { "fill", 1, do_fill }, { "fastopen", 1, do_fastopen },
	{ "limit", 1, do_limit }, { "trace", 1, do_trace }, { "kill", 1, do_kill }, { "reopen", 0, do_reopen },
	{ "memory", 1, do_memory }, { "append", 0, do_append }, { "back", 2, do_back },
};

static void
obey(char *line)
{
	char *rest = line, *word = strsep(&rest, " "), *first = strsep(&rest, " ");
	int given = (first != NULL) + (rest != NULL);

	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (strcmp(orders[i].word, word) == 0 && given >= orders[i].arguments) {
			orders[i].carry_out(first, rest);
			return;
		}
	say("what?");
}

/* One line, however it arrives; false at the end. */
static bool
next_line(char *line, size_t size)
{
	for (size_t n = 0; n + 1 < size; n++) {
		if (poll(&(struct pollfd){ .fd = client, .events = POLLIN }, 1, -1) < 0 || recv(client, line + n, 1, 0) != 1)
			return false;
		if (line[n] == '\n') {
			line[n] = '\0';
			return true;
		}
	}
	return false;
}

static int
session(const int *fds, unsigned n)
{
	static struct msg_worker_ready ready;
	static char line[16384];

	if (n < 3)
		return SP_EXIT_CRASH;
	chan_init(&login, fds[0], CH_LOGIN, ROLE_WORKER);
	chan_init(&logs, fds[1], CH_LOG, ROLE_WORKER);
	chan_init(&files, fds[2], CH_FILES, ROLE_WORKER);
	chan_init(&sign, n > 3 ? fds[3] : -1, CH_SIGN, ROLE_WORKER);
	if (chan_tell(&login, MSG_WORKER_READY, &ready) != 0 || chan_receive(&login, &m, ST_SPARE) != 0 ||
	    m.type != MSG_SERVE)
		return SP_EXIT_OK;
	memcpy(challenge, m.serve.challenge, challenge_len = m.serve.challenge_len);
	forge_connection = client = msg_take_fd(&m, 0);
	say("220 at your service");
	while (next_line(line, sizeof line))
		obey(line);
	return SP_EXIT_OK;
}

int
main(int argc, char **argv)
{
	static const struct template t = { ROLE_WORKER, warm_up, session };

	return template_main(argc, argv, &t);
}
