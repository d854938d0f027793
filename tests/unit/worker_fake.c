#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/session.h"
#include "privsep/chan.h"
#include "tests/unit/run.h"
#include "tests/unit/worker_fake.h"

#define LONG_S 300	/* a time limit of the session that no test waits for */

/* ------------------------------------------------------------------ agent and monitor */

static struct {
	struct chan login, files;
	const struct fake_options *o;
	int stored;		/* the last upload */
	unsigned states;	/* as the real agent keeps them */
	bool listing, half, of_folder;
	uint64_t mtime;		/* of every object; 0: a day after the beginning */
	uint32_t mode;
} peers;

static int
again(int memory, int flags)
{
	char name[64];

	snprintf(name, sizeof name, "/proc/self/fd/%d", memory);
	return open(name, flags | O_CLOEXEC);
}

static int
memory_file(const void *data, size_t n)
{
	int fd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (data != NULL && write(fd, data, n) != (ssize_t)n)
		_exit(99);
	if (data == NULL && ftruncate(fd, (off_t)n) < 0)
		_exit(99);
	return fd;
}

static void
answer(struct chan *c, const struct msg *m, enum msg_type type, const void *body, int fd)
{
	chan_answer(c, m, type, body, &fd, fd >= 0 ? 1 : 0);
	if (fd >= 0)
		close(fd);
}

static bool
refuse_path(const struct msg *m, const char *path)
{
	if (strncmp(path, "missing", 7) == 0)
		chan_refuse(&peers.files, m, FAIL_SYSTEM, ENOENT, NULL);
	else if (strncmp(path, "denied", 6) == 0)
		chan_refuse(&peers.files, m, FAIL_POLICY, 0, "rule 7");
	else
		return false;
	return true;
}

static void
on_read(const struct msg *m, const char *path)
{
	struct msg_reading body = { .size = sizeof FAKE_TEXT - 1 };
	int fd, memory;

	if (refuse_path(m, path))
		return;
	if (strncmp(path, "folder", 6) == 0) {
		chan_refuse(&peers.files, m, FAIL_KIND, 0, NULL);
		return;
	}
	if (strcmp(path, "big") == 0)
		memory = memory_file(NULL, body.size = FAKE_BIG);
	else if (peers.stored >= 0) {
		memory = dup(peers.stored);
		body.size = (uint64_t)lseek(memory, 0, SEEK_END);
	} else
		memory = memory_file(FAKE_TEXT, sizeof FAKE_TEXT - 1);
	fd = again(memory, O_RDONLY);
	close(memory);
	if (m->type == MSG_RETRIEVE)
		peers.states = ST_TRANSFER;
	answer(&peers.files, m, MSG_READING, &body, fd);
}

static void
on_write(const struct msg *m, const char *path, uint64_t offset)
{
	struct msg_writing body = { .room = UINT64_MAX, .name = "unique.1" };
	int fd;

	if (refuse_path(m, path))
		return;
	if (peers.stored >= 0)
		close(peers.stored);
	peers.stored = memory_file(FAKE_TEXT, sizeof FAKE_TEXT - 1);
	if (m->type != MSG_APPEND && ftruncate(peers.stored, (off_t)offset) < 0)
		_exit(99);
	lseek(peers.stored, 0, SEEK_END);
	if (strncmp(path, "tiny", 4) == 0)
		body.room = 10;
	if (strncmp(path, "room", 4) == 0)
		body.room = 5000000;
	fd = m->type == MSG_APPEND ? again(peers.stored, O_WRONLY | O_APPEND) : dup(peers.stored);
	peers.states = ST_TRANSFER;
	answer(&peers.files, m, MSG_WRITING, &body, fd);
}

static void
on_listen(const struct msg *m)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int blocking = peers.o->forgery == FORGE_BLOCKING ? 0 : SOCK_NONBLOCK;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | blocking, 0);
	struct msg_listening body;

	if (bind(fd, (struct sockaddr *)&a, n) < 0 || listen(fd, 4) < 0)
		_exit(99);
	getsockname(fd, (struct sockaddr *)&a, &n);
	body.port = ntohs(a.sin_port);
	memcpy(body.address, &a, sizeof a);
	body.address_len = sizeof a;
	answer(&peers.files, m, MSG_LISTENING, &body, fd);
}

static void
on_connect(const struct msg *m)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct msg_connecting body = { .end_ = "" };

	a.sin_port = htons(m->connect.port);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)
		_exit(99);
	answer(&peers.files, m, MSG_CONNECTING, &body, fd);
}

static void
on_object(const struct msg *m, const char *path)
{
	struct msg_object body = { .file = strncmp(path, "folder", 6) != 0, .mode = peers.mode, .size = 8, .mtime = peers.mtime == 0 ? 86400 : peers.mtime };

	if (!refuse_path(m, path))
		answer(&peers.files, m, MSG_OBJECT, &body, -1);
}

static void
on_where(const struct msg *m, const char *path)
{
	static struct msg_where body;

	if (refuse_path(m, path))
		return;
	(void)str_copy(body.path, sizeof body.path, path);
	answer(&peers.files, m, MSG_WHERE, &body, -1);
}

static void
on_list(const struct msg *m, const char *path)
{
	struct msg_done body = { .end_ = "" };

	if (refuse_path(m, path))
		return;
	peers.half = strcmp(path, "half") == 0;
	peers.of_folder = strncmp(path, "folder", 6) == 0;
	peers.listing = false;
	peers.states |= ST_LISTING;
	answer(&peers.files, m, MSG_DONE, &body, -1);
}

/* Two chunks, the second of which fails for the path "half". */
static void
on_next(const struct msg *m)
{
	static struct msg_lines body;
	static const char line[] = "-rw-r--r-- 1 u g 8 Jan  1  2026 name\r\n";

	if (peers.listing && peers.half) {
		chan_refuse(&peers.files, m, FAIL_SYSTEM, EIO, "too many entries");
		return;
	}
	body.end = peers.listing;
	body.of_folder = peers.of_folder;
	body.text_len = sizeof line - 1;
	memcpy(body.text, line, sizeof line - 1);
	peers.listing = true;
	answer(&peers.files, m, MSG_LINES, &body, -1);
}

static void
on_text(const struct msg *m, const char *path)
{
	static struct msg_text body;

	if (refuse_path(m, path))
		return;
	(void)str_copy(body.text, sizeof body.text, "type=file;size=8; /name");
	answer(&peers.files, m, MSG_TEXT, &body, -1);
}

static void
on_simple(const struct msg *m, const char *path)
{
	struct msg_done body = { .end_ = "" };

	if (!refuse_path(m, path))
		answer(&peers.files, m, MSG_DONE, &body, -1);
}

static bool upload_open;

static void
on_finish(const struct msg *m)
{
	struct msg_done body = { .end_ = "" };

	if (upload_open)
		answer(&peers.files, m, MSG_DONE, &body, -1);
	upload_open = false;
	peers.states = ST_LIVE;
}

static void
serve_files(const struct msg *m)
{
	if (m->type == MSG_RETRIEVE || m->type == MSG_DIGEST)
		upload_open = false;
	peers.states = m->type == MSG_RENAME_FROM ? peers.states | ST_RENAMING : m->type == MSG_RENAME_TO || m->type == MSG_NOTE ?
	    peers.states : peers.states & ~(unsigned)ST_RENAMING;
	if (m->type == MSG_STORE || m->type == MSG_STORE_UNIQUE || m->type == MSG_APPEND)
		upload_open = true;
	switch (m->type) {
	case MSG_RETRIEVE: on_read(m, m->retrieve.path); break;
	case MSG_DIGEST: on_read(m, m->digest.path); break;
	case MSG_STORE: on_write(m, m->store.path, m->store.offset); break;
	case MSG_STORE_UNIQUE: on_write(m, m->store_unique.path, 0); break;
	case MSG_APPEND: on_write(m, m->append.path, 0); break;
	case MSG_FINISH: on_finish(m); break;
	case MSG_LISTEN: on_listen(m); break;
	case MSG_CONNECT: on_connect(m); break;
	case MSG_FACTS: on_object(m, m->facts.path); break;
	case MSG_SPACE: on_object(m, m->space.path); break;
	case MSG_CHANGE_DIR: on_where(m, m->change_dir.path); break;
	case MSG_MAKE_DIR: on_where(m, m->make_dir.path); break;
	case MSG_LIST_OPEN: on_list(m, m->list_open.path); break;
	case MSG_NAMES_OPEN: on_list(m, m->names_open.path); break;
	case MSG_LIST_NEXT: on_next(m); break;
	case MSG_LIST_CLOSE: case MSG_NOTE: break;
	case MSG_MLST: on_text(m, m->mlst.path); break;
	case MSG_ACL_GET: on_text(m, m->acl_get.path); break;
	case MSG_READ_LINK: on_text(m, m->read_link.path); break;
	case MSG_EXPLAIN: on_text(m, m->explain.path); break;
	case MSG_SET_UMASK: case MSG_ADD_ACCOUNT: case MSG_OWN_PASSWORD: case MSG_SET_PASSWORD: on_text(m, ""); break;
	case MSG_DELETE: on_simple(m, m->delete.path); break;
	case MSG_RENAME_FROM: on_simple(m, m->rename_from.path); break;
	case MSG_SET_TIME: peers.mtime = m->set_time.mtime; on_object(m, m->set_time.path); peers.mtime = 0; break;
	case MSG_CHANGE_MODE: peers.mode = m->change_mode.mode; on_object(m, m->change_mode.path); break;
	default: on_simple(m, ""); break;
	}
}

static void
serve_login(const struct msg *m)
{
	static struct msg_login_ok ok = { .rights = UINT32_MAX, .start = "/" };
	static struct msg_login_refused no = { .code = 530, .text = "Login incorrect." };
	static struct msg_prepared p;

	if (m->type == MSG_PREPARE) {
		p.verdict = strcmp(m->prepare.user, "tls") == 0 ? 1 : strcmp(m->prepare.user, "open") == 0 ? 2 : 0;
		answer(&peers.login, m, MSG_PREPARED, &p, -1);
		return;
	}
	no.last = strcmp(m->login.user, "last") == 0;
	(void)str_copy(ok.user, sizeof ok.user, m->login.user);
	ok.ascii = peers.o->convert ? CONF_ASCII_ON : CONF_ASCII_OFF;
	ok.idle_timeout = peers.o->idle_s;
	ok.stall_timeout = peers.o->stall_s;
	ok.rate_up = ok.rate_down = peers.o->rate;
	if (strcmp(m->login.user, "open") == 0 || strcmp(m->login.password.data, "secret") == 0)
		answer(&peers.login, m, MSG_LOGIN_OK, &ok, -1);
	else
		answer(&peers.login, m, MSG_LOGIN_REFUSED, &no, -1);
}

/* Sends bytes that no honest peer would. */
static void
forge(struct chan *c, const struct msg *m)
{
	static union { uint32_t head[2]; uint8_t bytes[64]; } raw;
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), pair[2] = { folder, folder };
	static struct msg_reading reading;
	static struct msg_listening listening;
	bool sockets = m->type == MSG_LISTEN;
	enum msg_type type = sockets ? MSG_LISTENING : MSG_READING;
	const void *body = sockets ? (const void *)&listening : &reading;
	size_t n = 8;

	memset(&raw, 0, sizeof raw);
	raw.head[0] = peers.o->forged;
	raw.head[1] = m->id;
	switch (peers.o->forgery) {
	case FORGE_TYPE: n = sizeof raw; break;
	case FORGE_UNKNOWN: raw.head[0] = 60000; break;
	case FORGE_ID: raw.head[0] = MSG_DONE; raw.head[1]++; break;
	case FORGE_SHORT: n = 5; break;
	case FORGE_LONG: raw.head[0] = MSG_DONE; n = 20; break;
	case FORGE_NO_FD: chan_answer(c, m, type, body, NULL, 0); return;
	case FORGE_TWO_FDS: chan_answer(c, m, type, body, pair, 2); return;
	case FORGE_FOLDER_FD: chan_answer(c, m, type, body, pair, 1); return;
	default: _exit(0);
	}
	if (send(c->fd, &raw, n, MSG_NOSIGNAL) < 0)
		_exit(99);
}

static void
end_after(void)
{
	struct msg_end_after body = { .text = "Maintenance." };

	chan_tell(&peers.files, MSG_END_AFTER, &body);
}

/* One message of either channel; false at the end. */
static bool
serve_one(struct chan *c, unsigned states)
{
	static struct msg m;

	if (chan_receive(c, &m, states) != 0)
		return false;
	if (peers.o->forgery != FORGE_NOTHING && peers.o->forgery != FORGE_BLOCKING && peers.o->at == m.type)
		forge(c, &m);
	else if (c == &peers.files)
		serve_files(&m);
	else
		serve_login(&m);
	if (peers.o->end_after != MSG_NONE && peers.o->end_after == m.type)
		end_after();
	msg_close(&m);
	return true;
}

/* REIN: the next session greets and is over. */
static void
serve_log(int fd)
{
	static const char greeting[] = "220 Next session.\r\n";
	static struct msg m;
	struct chan logs;

	chan_init(&logs, fd, CH_LOG, ROLE_MONITOR);
	if (chan_receive(&logs, &m, ST_LIVE) == 0 && m.type == MSG_GIVE_BACK)
		(void)send(m.fd[0], greeting, sizeof greeting - 1, MSG_NOSIGNAL);
	msg_close(&m);
}

static void
serve_peers(int login, int files, int logs, const struct fake_options *o)
{
	peers.o = o;
	peers.stored = -1;
	peers.states = ST_LIVE;
	chan_init(&peers.login, login, CH_LOGIN, ROLE_MONITOR);
	chan_init(&peers.files, files, CH_FILES, ROLE_AGENT);
	for (;;) {
		struct pollfd p[3] = { { .fd = peers.login.fd, .events = POLLIN }, { .fd = files, .events = POLLIN },
		    { .fd = logs, .events = POLLIN } };

		poll(p, 3, -1);
		if ((p[2].revents & POLLIN) != 0)
			serve_log(logs);
		if (p[1].revents != 0 && !serve_one(&peers.files, peers.states))
			_exit(0);
		if (p[0].revents != 0 && !serve_one(&peers.login, ST_LOGIN))
			chan_close(&peers.login);
	}
}

/* -------------------------------------------------------------------------- the session */

static void
no_log(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)text, (void)len;
}

static void
serve_session(int control, const int fds[3], const struct fake_options *o)
{
	static struct session s;
	static struct settings set;
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	set.tls = o->no_tls ? CONF_TLS_OFF : CONF_TLS_CONTROL;
	set.idle_timeout = o->idle_s;
	set.stall_timeout = o->stall_s;
	set.data_timeout = o->data_s;
	log_set_sink(no_log, NULL);
	session_init(&s, &set, fds, 3);
	stream_open(&s.control, control);
	if (addr_from(&s.peer, &peer, sizeof peer) != 0)
		_exit(99);
	session_serve(&s);
	_exit(s.exit_code);
}

void
fake_start(struct fake *f, const struct fake_options *given)
{
	struct fake_options o = { 0 };
	int control[2], login[2], logs[2], files[2];

	if (given != NULL)
		o = *given;
	o.idle_s = o.idle_s == 0 ? LONG_S : o.idle_s;
	o.stall_s = o.stall_s == 0 ? LONG_S : o.stall_s;
	o.data_s = o.data_s == 0 ? LONG_S : o.data_s;
	f->have = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
	ck_assert(chan_pair(login) == 0 && chan_pair(logs) == 0 && chan_pair(files) == 0);
	f->server = fork();
	if (f->server == 0) {
		int fds[3] = { login[0], logs[0], files[0] };

		close(login[1]), close(logs[1]), close(files[1]), close(control[0]);
		serve_session(control[1], fds, &o);
	}
	f->peers = fork();
	if (f->peers == 0) {
		close(login[0]), close(logs[0]), close(files[0]), close(control[0]), close(control[1]);
		serve_peers(login[1], files[1], logs[1], &o);
	}
	close(login[0]), close(logs[0]), close(files[0]), close(control[1]);
	close(login[1]), close(logs[1]), close(files[1]);
	f->client = control[0];
	ck_assert_int_eq(fake_reply(f), 220);
}

static int
reap(pid_t pid)
{
	int status;

	for (int64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end; usleep(1000))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

int
fake_stop(struct fake *f)
{
	int code;

	close(f->client);
	code = reap(f->server);
	kill(f->peers, SIGKILL);
	reap(f->peers);
	return code;
}

void
fake_login(struct fake *f, const struct fake_options *o)
{
	fake_start(f, o);
	ck_assert_int_eq(fake_ask(f, "USER user"), 331);
	ck_assert_int_eq(fake_ask(f, "PASS secret"), 230);
}

/* ---------------------------------------------------------------------------- the client */

void
fake_send(struct fake *f, const char *bytes, size_t n)
{
	ck_assert_int_eq(send(f->client, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* More bytes into the buffer: 1, 0 at the end, -2 when nothing comes. */
static int
more(struct fake *f, int ms)
{
	struct pollfd p = { .fd = f->client, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return -2;
	n = recv(f->client, f->buffer + f->have, sizeof f->buffer - f->have, 0);
	if (n <= 0)
		return 0;
	f->have += (size_t)n;
	return 1;
}

/* Cuts one line off the buffer into dst, without its CR LF. 1, or as more(). */
static int
take_line(struct fake *f, char *dst, size_t size)
{
	char *lf;
	size_t n;
	int e;

	while ((lf = memchr(f->buffer, '\n', f->have)) == NULL)
		if ((e = more(f, PATIENCE_MS)) != 1)
			return e;
	n = (size_t)(lf - f->buffer);
	if (n == 0 || lf[-1] != '\r' || n > size)
		return -1;
	memcpy(dst, f->buffer, n - 1);
	dst[n - 1] = '\0';
	f->have -= n + 1;
	memmove(f->buffer, lf + 1, f->have);
	return 1;
}

int
fake_reply(struct fake *f)
{
	static char line[128 * 1024];
	size_t len = 0;
	int code = 0, e;

	do {
		e = take_line(f, line, sizeof line);
		if (e != 1)
			return e;
		if (len == 0) {
			if (strlen(line) < 4 || strspn(line, "0123456789") != 3 || (line[3] != ' ' && line[3] != '-'))
				return -1;
			code = atoi(line);
		}
		len += (size_t)snprintf(f->text + len, sizeof f->text - len, "%s\n", line);
	} while (strncmp(line, f->text, 3) != 0 || line[3] != ' ');
	return code;
}

int
fake_ask(struct fake *f, const char *line)
{
	fake_send(f, line, strlen(line));
	fake_send(f, "\r\n", 2);
	return fake_reply(f);
}

bool
fake_silent(struct fake *f, int ms)
{
	return f->have == 0 && more(f, ms) == -2;
}

int
fake_data(struct fake *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned port;
	int fd;

	ck_assert_int_eq(fake_ask(f, "EPSV"), 229);
	ck_assert_int_eq(sscanf(f->text, "229 Entering Extended Passive Mode (|||%u|)", &port), 1);
	a.sin_port = htons((in_port_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

ssize_t
fake_drain(int fd, char *dst, size_t size)
{
	static char part[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, part, sizeof part, 0)) > 0) {
		size_t k = total < size ? size - total : 0;

		if (k > 0)
			memcpy(dst + total, part, (size_t)n < k ? (size_t)n : k);
		total += (size_t)n;
	}
	close(fd);
	return n < 0 ? -1 : (ssize_t)total;
}
