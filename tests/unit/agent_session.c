#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/authz.h"
#include "common/conf.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "daemon/agent/agent.h"
#include "privsep/sandbox.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

struct agent_test *at;

static const char *
at_path(const char *path)
{
	static char full[4400];

	ck_assert_int_eq(str_format(full, sizeof full, "%s/%s", at->dir, path), 0);
	return full;
}

/* --------------------------------------------------------------------- the tree */

static void
give(const char *path)
{
	if (geteuid() == 0)
		ck_assert_int_eq(lchown(path, TEST_UID, TEST_UID), 0);
}

void
make_file(const char *path, const char *text)
{
	int fd = open(at_path(path), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_assert_int_eq(fchmod(fd, 0644), 0);
	close(fd);
	give(at_path(path));
}

void
make_folder(const char *path, mode_t mode)
{
	ck_assert_msg(mkdir(at_path(path), mode) == 0, "%s", path);
	ck_assert_int_eq(chmod(at_path(path), mode), 0);
	give(at_path(path));
}

void
make_link(const char *path, const char *target)
{
	ck_assert_int_eq(symlink(target, at_path(path)), 0);
	give(at_path(path));
}

bool
read_file(const char *path, char *text, size_t size)
{
	int fd = open(at_path(path), O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	close(fd);
	return true;
}

void
expect_file(const char *path, const char *text)
{
	char have[8192];

	ck_assert_msg(read_file(path, have, sizeof have), "%s is not there", path);
	ck_assert_str_eq(have, text);
}

bool
exists(const char *path)
{
	struct stat st;

	return lstat(at_path(path), &st) == 0;
}

unsigned
count_names(const char *path)
{
	DIR *d = opendir(at_path(path));
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

/* ------------------------------------------------------------- the monitor's side */

static void
remember_log(const struct msg_agent_log *line)
{
	ck_assert_msg(strstr(line->text, "syscall-refused") == NULL, "the filter lacks a row: %s", line->text);
	(void)str_copy(at->log[at->log_count++ % 16], sizeof at->log[0], line->text);
	at->log_level = line->level;
}

void
expect_charged(uint64_t bytes, uint64_t files)
{
	struct ledger now;

	ck_assert_int_eq(ledger_read(at->charge.fd, &now), 0);
	ck_assert_uint_eq(now.bytes, bytes);
	ck_assert_uint_eq(now.files, files);
}

static void
open_ledger(void)
{
	int fd;

	if ((at->flags & PROFILE_QUOTA) == 0 || at->charge.fd >= 0)
		return;
	ck_assert_int_ge(fd = memfd_create("ledger", MFD_CLOEXEC), 0);
	ck_assert_int_eq(ledger_set(fd, &at->used), 0);
	charge_init(&at->charge, fd);
}

static uint64_t
left_of(uint64_t limit, uint64_t used)
{
	return limit == 0 ? UINT64_MAX : limit > used ? limit - used : 0;
}

/* Done, or the refusal of a code. */
static void
answer_code(struct msg *m, int r)
{
	static const struct msg_done done;

	if (r == 0)
		r = chan_answer(&at->monitor, m, MSG_DONE, &done, NULL, 0);
	else if (r == -EDQUOT)
		r = chan_refuse(&at->monitor, m, FAIL_QUOTA, EDQUOT, "quota: used up");
	else
		r = chan_refuse(&at->monitor, m, r == -EAGAIN ? FAIL_BUSY : FAIL_SYSTEM, (uint32_t)-r, NULL);
	ck_assert_int_eq(r, 0);
}

static void
answer_left(struct msg *m, const struct ledger *now)
{
	struct msg_quota_left left = {
		.bytes = left_of(at->limit.bytes, now->bytes), .files = left_of(at->limit.files, now->files)
	};

	ck_assert_int_eq(chan_answer(&at->monitor, m, MSG_QUOTA_LEFT, &left, NULL, 0), 0);
}

static void
answer_found(struct msg *m, uint32_t from, bool (*find)(struct charge *, uint32_t *, enum charge_kind *,
    struct charge_id *, char *))
{
	static struct msg_quota_found found;
	enum charge_kind kind = CHARGE_NONE;
	struct charge_id id = { 0 };

	found.path[0] = '\0';
	found.found = find(&at->charge, &from, &kind, &id, found.path);
	found.place = from - 1;
	found.kind = (uint8_t)kind;
	found.inode = id.inode;
	found.born = (uint64_t)id.born_s;
	found.born_ns = id.born_ns;
	ck_assert_int_eq(chan_answer(&at->monitor, m, MSG_QUOTA_FOUND, &found, NULL, 0), 0);
}

/* As daemon/monitor/quota.c does it, with the real ledger. */
static void
answer_quota(struct msg *m)
{
	static struct msg_quota_verdict verdict;
	struct ledger now = { 0, 0 };
	int r;

	switch (m->type) {
	case MSG_QUOTA:
		ck_assert_int_eq(ledger_read(at->charge.fd, &now), 0);
		answer_left(m, &now);
		return;
	case MSG_QUOTA_LOCK:
		r = at->busy > 0 ? (at->busy--, -EAGAIN) : charge_lock(&at->charge);
		if (r == 0)
			answer_found(m, m->quota_lock.from, charge_find_intent);
		else
			answer_code(m, r);
		return;
	case MSG_QUOTA_OPEN:
		r = charge_open(&at->charge, m->fd[0], (enum charge_kind)m->quota_open.kind, m->fd[1],
		    m->quota_open.path, &at->limit, &now);
		if (r != 0) {
			answer_code(m, r);
			return;
		}
		(void)msg_take_fd(m, 0);
		if (at->mortal)
			chan_close(&at->monitor);
		else
			answer_left(m, &now);
		return;
	case MSG_QUOTA_DEED:
		if (at->broken > 0) {
			at->broken--;
			answer_code(m, -EIO);
			return;
		}
		r = charge_begin(&at->charge, m->quota_deed.parts, m->fd_count > 0 ? msg_take_fd(m, 0) : -1,
		    m->quota_deed.size, &at->limit, &verdict.keep, &now);
		ck_assert(r == 0 || r == -EDQUOT);
		verdict.refused = r != 0;
		ck_assert_int_eq(chan_answer(&at->monitor, m, MSG_QUOTA_VERDICT, &verdict, NULL, 0), 0);
		return;
	case MSG_QUOTA_SETTLE:
		answer_code(m, charge_settle(&at->charge, m->quota_settle.close != 0, &now));
		return;
	case MSG_QUOTA_FIND:
		answer_found(m, m->quota_find.from, charge_find_left);
		return;
	case MSG_QUOTA_INTEND:
		answer_code(m, charge_intend(&at->charge, m->fd[0], m->quota_intend.path));
		return;
	case MSG_QUOTA_GONE:
		answer_code(m, charge_forget_left(&at->charge, m->quota_gone.place, m->fd[0]));
		return;
	default:
		return;
	}
}

static void
answer_bind_low(struct msg *m)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1022) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	static const struct msg_bound bound;
	struct addr target;

	ck_assert_int_eq(addr_from(&target, m->bind_low.target, m->bind_low.target_len), 0);
	ck_assert_uint_eq(target.sa.sa_family, AF_INET);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(chan_answer(&at->monitor, m, MSG_BOUND, &bound, &fd, 1), 0);
	close(fd);
}

/* One message of the agent to the monitor. */
static void
serve_monitor(void)
{
	static struct msg m;
	static struct msg_admin_ok ok;
	static const struct msg_given given = { .dialect_uid = 1006 };

	if (chan_receive(&at->monitor, &m, ST_START | ST_LIVE) != 0) {
		chan_close(&at->monitor);
		return;
	}
	if (m.type == MSG_AGENT_LOG)
		remember_log(&m.agent_log);
	answer_quota(&m);
	if (m.type == MSG_TRANSFER_RECORD) {
		at->record = m.transfer_record;
		at->records++;
	}
	if (m.type == MSG_CHOWN_FILE)
		ck_assert_int_eq(chan_answer(&at->monitor, &m, MSG_GIVEN, &given, NULL, 0), 0);
	if (m.type == MSG_BIND_LOW)
		answer_bind_low(&m);
	if (m.type == MSG_ADMIN) {
		(void)str_format(ok.text, sizeof ok.text, "%d %s %s", m.admin.operation, m.admin.account, m.admin.password.data);
		ck_assert_int_eq(chan_answer(&at->monitor, &m, MSG_ADMIN_OK, &ok, NULL, 0), 0);
	}
	msg_close(&m);
}

/* Serves the monitor's side until the worker's has something. */
static void
wait_for_files(void)
{
	for (;;) {
		struct pollfd p[2] = { { at->files.fd, POLLIN, 0 }, { at->monitor.fd, POLLIN, 0 } };

		ck_assert_int_gt(poll(p, 2, PATIENCE_MS), 0);
		if (p[1].revents != 0)
			serve_monitor();
		if (p[0].revents != 0)
			return;
	}
}

static void
drain_monitor(void)
{
	struct pollfd p = { at->monitor.fd, POLLIN, 0 };

	while (at->monitor.fd >= 0 && poll(&p, 1, 0) > 0)
		serve_monitor();
}

/* -------------------------------------------------------------- the worker's side */

enum msg_type
ask(enum msg_type type, const void *body)
{
	uint32_t id = ++at->files.last_id;

	msg_close(&at->reply);
	ck_assert_int_eq(chan_send(&at->files, type, id, body, NULL, 0), 0);
	wait_for_files();
	if (chan_receive(&at->files, &at->reply, ST_AWAIT) != 0)
		return MSG_NONE;
	ck_assert_uint_eq(at->reply.id, id);
	drain_monitor();
	return at->reply.type;
}

void
tell(enum msg_type type, const void *body)
{
	ck_assert_int_eq(chan_tell(&at->files, type, body), 0);
}

void
expect(enum msg_type type, const void *body, enum msg_type answer)
{
	enum msg_type got = ask(type, body);

	ck_assert_msg(got == answer, "%s was answered by %s, not %s (reason %u, errno %u, text %s)", msg_name(type),
	    msg_name(got), msg_name(answer), got == MSG_FAILED ? at->reply.failed.reason : 0,
	    got == MSG_FAILED ? at->reply.failed.error : 0, got == MSG_FAILED ? at->reply.failed.text : "");
}

void
expect_failed(enum msg_type type, const void *body, enum fail_reason reason, int error)
{
	expect(type, body, MSG_FAILED);
	ck_assert_msg(at->reply.failed.reason == reason && (int)at->reply.failed.error == error,
	    "%s failed with reason %u, errno %u (%s), not %d, %d", msg_name(type), at->reply.failed.reason,
	    at->reply.failed.error, at->reply.failed.text, reason, error);
}

/* Every request begins with its path, so one body serves all. */
static const void *
with_path(const char *path)
{
	static struct msg m;

	memset(&m.failed, 0, 8192);
	ck_assert_int_eq(str_copy(m.change_dir.path, sizeof m.change_dir.path, path), 0);
	return &m.failed;
}

enum msg_type
ask_path(enum msg_type type, const char *path)
{
	return ask(type, with_path(path));
}

void
expect_path(enum msg_type type, const char *path, enum msg_type answer)
{
	expect(type, with_path(path), answer);
}

void
expect_path_failed(enum msg_type type, const char *path, enum fail_reason reason, int error)
{
	expect_failed(type, with_path(path), reason, error);
}

enum msg_type
put_file(const char *path, uint64_t offset, const char *text, bool complete)
{
	struct msg_store s = { .offset = offset };
	struct msg_finish f = { .complete = complete };

	ck_assert_int_eq(str_copy(s.path, sizeof s.path, path), 0);
	expect(MSG_STORE, &s, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], text, strlen(text)), strlen(text));
	f.bytes = strlen(text);
	return ask(MSG_FINISH, &f);
}

enum msg_type
list(enum list_format format, const char *path, unsigned options, uint32_t facts, char *text, size_t size)
{
	struct msg_list_open o = { .format = (uint8_t)format, .options = options, .facts = facts };
	struct msg_names_open n = { .options = options };
	static const struct msg_list_next next;
	size_t len = 0;
	enum msg_type r;

	text[0] = '\0';
	(void)str_copy(o.path, sizeof o.path, path);
	(void)str_copy(n.path, sizeof n.path, path);
	r = format == LIST_NAMES ? ask(MSG_NAMES_OPEN, &n) : ask(MSG_LIST_OPEN, &o);
	while (r == MSG_DONE && (r = ask(MSG_LIST_NEXT, &next)) == MSG_LINES) {
		ck_assert_uint_lt(len + at->reply.lines.text_len, size);
		memcpy(text + len, at->reply.lines.text, at->reply.lines.text_len);
		len += at->reply.lines.text_len;
		text[len] = '\0';
		if (at->reply.lines.end)
			return r;
		r = MSG_DONE;
	}
	return r;
}

/* ------------------------------------------------------------------- beginning, end */

void
agent_test_make(void)
{
	static struct agent_test test;

	memset(&test, 0, sizeof test);
	at = &test;
	at->flags = PROFILE_JAIL | PROFILE_RECORDS;
	at->settings = "";
	at->dialect = "pyftpdlib";
	at->rules = EVERYTHING;
	at->start = "/";
	at->peer = "127.0.0.1";
	charge_init(&at->charge, -1);
	at->dialect_uid = AUTHZ_NOBODY;
	(void)str_copy(at->dir, sizeof at->dir, "/tmp/sallyport-agent-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(at->dir));
	ck_assert_int_eq(chmod(at->dir, 0755), 0);
	give(at->dir);
}

bool
agent_test_lacks(const char *test, const char *attribute)
{
	if (getxattr(at->dir, attribute, NULL, 0) >= 0 || errno != EOPNOTSUPP)
		return false;
	ck_assert_int_eq(rmdir(at->dir), 0);
	skip(test, "the file system of /tmp lacks ACLs or extended attributes");
	return true;
}

/* As an executed program would, it holds its two channels and nothing of the test's. */
static void
close_others(const int fds[2])
{
	unsigned low = (unsigned)(fds[0] < fds[1] ? fds[0] : fds[1]), high = (unsigned)(fds[0] < fds[1] ? fds[1] : fds[0]);

	(void)close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high - low > 1)
		(void)close_range(low + 1, high - 1, 0);
	(void)close_range(high + 1, ~0u, 0);
}

static void
run_agent(int monitor_fd, int files_fd)
{
	int fds[2] = { monitor_fd, files_fd };
	struct conf *conf = conf_new();

	close_others(fds);
	/* The filter of the real program. Sanitizers need calls of their own: an empty one. */
#ifdef __SANITIZE_ADDRESS__
	static const struct sandbox_programs none = { .role = ROLE_AGENT };

	if (sandbox_take(&none, ROLE_AGENT, false) != 0)
		_exit(98);
#else
	if (sandbox_prepare(ROLE_AGENT, false) != 0)
		_exit(98);
#endif
	if (conf == NULL || conf_load(conf, NULL) != 0 || agent_warm_up(conf) != 0)
		_exit(99);
	/* Not by way of a sanitizer's search for leaks, which would want to trace a process that cannot be traced. */
	(void)syscall(SYS_exit_group, agent_session(fds, 2));
}

static void
fill_profile(struct msg_profile *p)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(21) };
	struct sockaddr_in peer = local;

	peer.sin_port = htons(3200);
	ck_assert_int_eq(inet_pton(AF_INET, at->peer, &peer.sin_addr), 1);
	p->session = 77;
	p->uid = geteuid() == 0 ? TEST_UID : geteuid();
	p->gid = geteuid() == 0 ? TEST_UID : getegid();
	p->dialect_uid = at->dialect_uid;
	p->umask = 022;
	p->flags = (uint8_t)at->flags;
	(void)str_copy(p->user, sizeof p->user, "tester");
	(void)str_copy(p->start, sizeof p->start, at->start);
	(void)str_copy(p->settings, sizeof p->settings, at->settings);
	memcpy(p->peer, &peer, p->peer_len = sizeof peer);
	memcpy(p->local, &local, p->local_len = sizeof local);
}

static void
log_in(void)
{
	static struct msg_layer layer;
	static struct msg_profile profile;
	int fd = open(at->dir, O_RDONLY | O_DIRECTORY);

	if (at->dialect != NULL) {
		(void)str_copy(layer.dialect, sizeof layer.dialect, at->dialect);
		(void)str_copy(layer.origin, sizeof layer.origin, "test.conf");
		layer.line = 1;
		layer.scope = AUTHZ_SCOPE_ACCOUNT;
		memcpy(layer.text, at->rules, layer.text_len = strlen(at->rules));
		ck_assert_int_eq(chan_tell(&at->monitor, MSG_LAYER, &layer), 0);
	}
	fill_profile(&profile);
	ck_assert_int_eq(chan_send(&at->monitor, MSG_PROFILE, 5, &profile, &fd, 1), 0);
	close(fd);
	while (chan_receive(&at->monitor, &at->reply, ST_AWAIT | ST_START | ST_LIVE) == 0 && at->reply.type == MSG_AGENT_LOG)
		remember_log(&at->reply.agent_log);
	ck_assert_msg(at->reply.type == MSG_PROFILE_OK, "no PROFILE_OK but %s: %s (%s)", msg_name(at->reply.type),
	    at->reply.type == MSG_FAILED ? at->reply.failed.text : "", at->log[(at->log_count - 1) % 16]);
}

void
agent_test_spawn(void)
{
	int monitor[2], files[2];

	ck_assert_int_eq(chan_pair(monitor), 0);
	ck_assert_int_eq(chan_pair(files), 0);
	at->pid = fork();
	ck_assert_int_ge(at->pid, 0);
	if (at->pid == 0) {
		close(monitor[0]);
		close(files[0]);
		run_agent(monitor[1], files[1]);
	}
	close(monitor[1]);
	close(files[1]);
	chan_init(&at->monitor, monitor[0], CH_AGENT, ROLE_MONITOR);
	chan_init(&at->files, files[0], CH_FILES, ROLE_WORKER);
	ck_assert_int_eq(chan_receive(&at->monitor, &at->reply, ST_START), 0);
	ck_assert_int_eq(at->reply.type, MSG_AGENT_READY);
}

void
agent_test_login(void)
{
	log_in();
}

void
agent_test_start(void)
{
	open_ledger();
	agent_test_spawn();
	log_in();
	at->descriptors = tests_descriptors(at->pid);
}

void
agent_test_begin(const char *letters)
{
	agent_test_make();
	at->rules = letters;
	agent_test_start();
}

void
agent_test_await(void)
{
	siginfo_t end;

	do {
		drain_monitor();
		usleep(200);
		end.si_pid = 0;
		ck_assert_int_eq(waitid(P_PID, (id_t)at->pid, &end, WEXITED | WNOHANG | WNOWAIT), 0);
	} while (end.si_pid == 0);
	drain_monitor();
}

void
agent_test_end(int code)
{
	char command[128];
	int status, wanted = at->descriptors + at->kept;
	/* Whatever was asked for and refused: the agent has what it had, and what the test says. */
	int open_now = code == 0 && at->descriptors > 0 ? tests_await_descriptors(at->pid, wanted) : wanted;

	ck_assert_msg(open_now == wanted, "%d descriptors after the login and %d at the end, where %d are expected",
	    at->descriptors, open_now, wanted);
	msg_close(&at->reply);
	chan_close(&at->files);
	agent_test_await();
	ck_assert_int_eq(waitpid(at->pid, &status, 0), at->pid);
	chan_close(&at->monitor);
	charge_abandon(&at->charge);
	if (at->charge.fd >= 0)
		close(at->charge.fd);
	at->charge.fd = -1;
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "the agent ended with status %#x (%s); last log: %s",
	    (unsigned)status, sp_exit_word(WEXITSTATUS(status)), at->log[(at->log_count + 15) % 16]);
	ck_assert_int_eq(str_format(command, sizeof command, "rm -rf %s", at->dir), 0);
	ck_assert_int_eq(system(command), 0);
}
