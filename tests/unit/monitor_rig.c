#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"

/* "secret" */
#define HASH "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"

static const char base[] =
	"[server]\n"
	"accounts = config\n"
	"log = %s\n"
	"log_level = debug\n"
	"xferlog = %s.xfer\n"
	"login_delay = %s\n"
	"worker_user = 65534\nmonitor_user = 65534\n"
	"%s\n"
	"[class limited]\n"
	"members = none\n"
	"max_sessions_per_class = 2\n"
	"[account alice]\n"
	"password = " HASH "\n"
	"run_as = 4000:4001\n"
	"home = %s/alice\n"
	"start = /in\n"
	"layer = pyftpdlib elradfmw\n"
	"umask = 027\n"
	"max_sessions_per_user = 7\n"
	"[account closed]\n"
	"password = " HASH "\n"
	"run_as = 4000\n"
	"home = /\n"
	"enabled = no\n"
	"[account past]\n"
	"password = " HASH "\n"
	"run_as = 4000\n"
	"home = /\n"
	"expires = 2001-01-01\n"
	"[account homeless]\n"
	"password = " HASH "\n"
	"run_as = 4000\n"
	"home = %s/missing\n"
	"[account hidden]\n"
	"password = " HASH "\n"
	"run_as = 4002\n"
	"home = %s/private\n"
	"[account maker]\n"
	"password = " HASH "\n"
	"run_as = 4003\n"
	"home = %s/made\n"
	"create_home = yes\n"
	"[account tenant]\n"
	"password = " HASH "\n"
	"run_as = 4000:4001\n"
	"home = %s/yard/made\n"
	"create_home = yes\n"
	"umask = 027\n"
	"[account free]\n"
	"password = " HASH "\n"
	"run_as = 4000\n"
	"home = %s/alice\n"
	"jail = no\n"
	"class = limited\n"
	"chown = yes\n"
	"active_mode = no\n"
	"[account boss]\n"
	"password = " HASH "\n"
	"run_as = 4009\n"
	"home = %s/alice\n"
	"administrator = yes\n"
	"chown = yes\n";

const char *rig_login_delay = "0", *rig_peer = "192.0.2.7:40000", *rig_local = "192.0.2.1:21";

static int
nothing_to_verify(const struct monitor *s)
{
	return s->agent_pid == 1234 ? 0 : -1;
}

static int
stay(uint64_t caps)
{
	(void)caps;
	return 0;
}

static int
be_anything(void)
{
	return 0;
}

/* It believes a handshake that ends with names, a line each, behind the monitor's challenge. */
static void __attribute__((noreturn))
be_verifier(int fd)
{
	static struct msg m;
	static struct msg_verified a;
	struct chan c;

	chan_init(&c, fd, CH_VERIFY, ROLE_VERIFIER);
	if (chan_receive(&c, &m, ST_LIVE) == 0) {
		const struct msg_verify *q = &m.verify;
		const size_t skip = q->challenge_len;

		if (skip > 0 && q->handshake_len > skip && memcmp(q->handshake, q->challenge, skip) == 0) {
			memcpy(a.certificate, q->handshake + skip, a.certificate_len = q->handshake_len - skip);
			(void)chan_answer(&c, &m, MSG_VERIFIED, &a, NULL, 0);
		} else
			(void)chan_refuse(&c, &m, FAIL_ARGUMENT, 0, "the handshake of another session");
	}
	_exit(0);
}

static int
rig_start_verifier(pid_t *pid, int *fd)
{
	int ends[2], r = chan_pair(ends);

	if (r != 0)
		return r;
	*pid = fork();
	if (*pid == 0)
		be_verifier(ends[1]);
	close(ends[1]);
	*fd = ends[0];
	return 0;
}

/* What outlives the rest of its session has the time a slow test needs, but where this very time is tested. */
static struct monitor_system no_system = {
	nothing_to_verify, stay, NULL, be_anything, rig_start_verifier, PATIENCE_MS
};

const struct monitor_system *
rig_system(void)
{
	return &no_system;
}

void
rig_survivors(int milliseconds)
{
	no_system.end_wait = milliseconds;
}

static void
make_files(struct rig *r)
{
	static const struct { const char *name; mode_t mode; uid_t uid; } folders[] = {
		{ "alice", 0755, 4000 }, { "alice/in", 0755, 4000 }, { "private", 0700, 0 }, { "private/inner", 0755, 0 }
	};
	char path[160];

	(void)str_copy(r->dir, sizeof r->dir, "/tmp/unit-monitor.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(r->dir));
	ck_assert_int_eq(chmod(r->dir, 0755), 0);
	(void)str_format(r->log_path, sizeof r->log_path, "%s/log", r->dir);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		(void)str_format(path, sizeof path, "%s/%s", r->dir, folders[i].name);
		ck_assert_int_eq(mkdir(path, folders[i].mode), 0);
		ck_assert_int_eq(chmod(path, folders[i].mode), 0);
		if (geteuid() == 0)
			ck_assert_int_eq(chown(path, folders[i].uid, folders[i].uid), 0);
	}
}

static struct conf *
load(const struct rig *r, const char *config)
{
	struct conf *conf = conf_new();
	char text[8192], problem[512];

	(void)snprintf(text, sizeof text, base, r->log_path, r->log_path, rig_login_delay, config, r->dir, r->dir, r->dir, r->dir, r->dir, r->dir,
	    r->dir);
	if (conf_load_text(conf, "test.conf", text, strlen(text)) != 0) {
		(void)conf_problem_text(conf_problem_at(conf, 0), problem, sizeof problem);
		ck_abort_msg("%s", problem);
	}
	return conf;
}

void
rig_start(struct rig *r, const char *config)
{
	struct { struct chan *own; enum msg_channel kind; enum msg_role role; } ends[] = {
		{ &r->listener, CH_SESSION, ROLE_LISTENER }, { &r->login, CH_LOGIN, ROLE_WORKER },
		{ &r->log, CH_LOG, ROLE_WORKER }, { &r->agent, CH_AGENT, ROLE_AGENT }
	};
	int theirs[4], pair[2];
	struct conf *conf;

	memset(r, 0, offsetof(struct rig, m));
	make_files(r);
	conf = load(r, config);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(chan_pair(pair), 0);
		chan_init(ends[i].own, pair[0], ends[i].kind, ends[i].role);
		theirs[i] = pair[1];
	}
	r->pid = fork();
	ck_assert_int_ge(r->pid, 0);
	if (r->pid == 0) {
		for (int i = 0; i < 4; i++)
			close(ends[i].own->fd);
		monitor_system = &no_system;
		if (monitor_warm_up(conf) != 0)
			_exit(99);
		_exit(monitor_session(theirs, 4));
	}
	for (int i = 0; i < 4; i++)
		close(theirs[i]);
	conf_free(conf);
}

/* The next message whatever the state: the test plays the other side's part. */
void
rig_expect(struct rig *r, struct chan *c, enum msg_type type)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int e;

	/* That a password is checked is told beside what is expected. */
	do {
		ck_assert_msg(poll(&p, 1, PATIENCE_MS) == 1, "no %s came", msg_name(type));
		e = chan_receive(c, &r->m, ~0u);
	} while (e == 0 && r->m.type == MSG_CHECKING && type != MSG_CHECKING);
	ck_assert_msg(e == 0, "instead of %s: error %d", msg_name(type), e);
	ck_assert_str_eq(msg_name(r->m.type), msg_name(type));
}

void
rig_ready(struct rig *r)
{
	static const struct msg_worker_ready worker;
	static const struct msg_agent_ready agent;

	ck_assert_int_eq(chan_tell(&r->login, MSG_WORKER_READY, &worker), 0);
	ck_assert_int_eq(chan_tell(&r->agent, MSG_AGENT_READY, &agent), 0);
	rig_expect(r, &r->listener, MSG_SESSION_READY);
	msg_close(&r->m);
	r->descriptors = tests_descriptors(r->pid);
}

static void
arrive(struct rig *r, bool quiet)
{
	static struct msg_client client;
	struct addr peer, local;
	int pair[2];

	ck_assert_int_eq(addr_parse(&peer, rig_peer, 0), 0);
	ck_assert_int_eq(addr_parse(&local, rig_local, 0), 0);
	client.session = 0x4f2a;
	client.quiet = quiet;
	client.lines = quiet ? 0 : 10;
	client.agent_pid = 1234;
	client.listener[0] = '\0';
	memcpy(client.peer, &peer.sa, client.peer_len = addr_len(&peer));
	memcpy(client.local, &local.sa, client.local_len = addr_len(&local));
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(chan_send(&r->listener, MSG_CLIENT, 1, &client, pair, 1), 0);
	close(pair[0]);
	rig_expect(r, &r->login, MSG_SERVE);
	ck_assert_uint_eq(r->m.serve.session, 0x4f2a);
	ck_assert_uint_eq(r->m.fd_count, 1);
	memcpy(r->challenge, r->m.serve.challenge, r->challenge_len = r->m.serve.challenge_len);
	msg_close(&r->m);
	close(pair[1]);
}

void
rig_client(struct rig *r)
{
	arrive(r, false);
}

void
rig_quiet_client(struct rig *r)
{
	arrive(r, true);
}

void
rig_login(struct rig *r, const char *user, const char *password)
{
	static struct msg_login login;

	(void)str_copy(login.user, sizeof login.user, user);
	ck_assert_int_eq(secret_set(&login.password, password, strlen(password)), 0);
	ck_assert_int_eq(chan_send(&r->login, MSG_LOGIN, 77, &login, NULL, 0), 0);
}

void
rig_admit(struct rig *r, struct msg_profile *profile, int *root_fd)
{
	static const struct msg_claimed claimed;
	static struct msg_profile_ok ok;

	rig_expect(r, &r->listener, MSG_CLAIM);
	ck_assert_int_eq(chan_answer(&r->listener, &r->m, MSG_CLAIMED, &claimed, NULL, 0), 0);
	msg_close(&r->m);
	do {
		msg_close(&r->m);
		ck_assert_int_eq(chan_receive(&r->agent, &r->m, ~0u), 0);
	} while (r->m.type == MSG_LAYER);
	ck_assert_str_eq(msg_name(r->m.type), "PROFILE");
	if (profile != NULL)
		*profile = r->m.profile;
	if (root_fd != NULL)
		*root_fd = msg_take_fd(&r->m, 0);
	ck_assert_uint_eq(r->m.fd_count, 2);
	r->inflight = inflight_map(msg_take_fd(&r->m, 1));
	(void)str_copy(ok.start, sizeof ok.start, "/in");
	ok.rights = 0x123;
	ck_assert_int_eq(chan_answer(&r->agent, &r->m, MSG_PROFILE_OK, &ok, NULL, 0), 0);
	msg_close(&r->m);
	rig_expect(r, &r->login, MSG_LOGIN_OK);
}

void
rig_live(struct rig *r, const char *user, const char *password)
{
	rig_ready(r);
	rig_client(r);
	rig_login(r, user, password);
	rig_admit(r, NULL, NULL);
	msg_close(&r->m);
	chan_close(&r->login);
	r->live = true;
	r->kept = strcmp(user, "free") == 0 || strcmp(user, "boss") == 0;	/* these have a clerk */
}

int
rig_wait(struct rig *r)
{
	int64_t end = clock_ms() + PATIENCE_MS;
	int status;

	while (waitpid(r->pid, &status, WNOHANG) == 0) {
		if (clock_ms() > end) {
			kill(r->pid, SIGKILL);
			waitpid(r->pid, &status, 0);
			ck_abort_msg("the monitor does not end");
		}
		(void)poll(NULL, 0, 5);
	}
	ck_assert_msg(WIFEXITED(status), "the monitor died by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

int
rig_end(struct rig *r)
{
	/*
	 * What it had as a spare, less the login's channel, the turns of the hashing and the hashes that are known,
	 * and the memory of what is being transferred: all it was sent meanwhile is closed.
	 */
	int wanted = r->descriptors - 3 + 1 + r->kept;

	if (r->live && r->descriptors > 0)
		ck_assert_int_eq(tests_await_descriptors(r->pid, wanted), wanted);
	chan_close(&r->login);
	chan_close(&r->log);
	chan_close(&r->agent);
	chan_close(&r->listener);
	return rig_wait(r);
}

bool
rig_logged(struct rig *r, const char *text)
{
	static char content[1 << 18];
	FILE *f = fopen(r->log_path, "r");
	size_t n;

	if (f == NULL)
		return false;
	n = fread(content, 1, sizeof content - 1, f);
	content[n] = '\0';
	fclose(f);
	return strstr(content, text) != NULL;
}

void
rig_remove(struct rig *r)
{
	static const char *const names[] = {
		"log", "log.xfer", "alice/file", "alice/in", "alice", "private/inner", "private", "made", "."
	};
	char path[160];

	chan_close(&r->login);
	chan_close(&r->log);
	chan_close(&r->agent);
	chan_close(&r->listener);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		(void)str_format(path, sizeof path, "%s/%s", r->dir, names[i]);
		(void)remove(strcmp(names[i], ".") == 0 ? r->dir : path);
	}
}
