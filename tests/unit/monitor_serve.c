#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "tests/unit/monitor.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

static struct rig r;

/* A file of that owner and mode in the rig's folder. */
static int
make_file(uid_t owner, mode_t mode)
{
	char path[160];
	int fd;

	(void)str_format(path, sizeof path, "%s/alice/file", r.dir);
	(void)unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchown(fd, owner, owner), 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	return fd;
}

static const struct {
	const char *session;	/* who asks */
	uid_t owner;		/* of the file */
	mode_t mode;
	const char *to, *group;
	uid_t becomes;		/* 0: refused */
} chowns[] = {
	{ "free", 4000, 0644, "boss", "", 4009 },
	{ "free", 4000, 0644, "alice", "", 4000 },
	{ "free", 4000, 0644, "mallory", "", 0 },	/* no such account */
	{ "free", 4000, 0644, "root", "", 0 },
	{ "free", 4000, 0644, "../boss", "", 0 },
	{ "free", 4009, 0644, "free", "", 0 },		/* somebody else's file */
	{ "free", 0, 0644, "free", "", 0 },		/* the system's */
	{ "free", 4000, 04755, "boss", "", 0 },		/* would lend an identity */
	{ "free", 4000, 02755, "boss", "", 0 },
	{ "free", 4000, 0644, "", "root", 0 },		/* not a member, privileged */
	{ "free", 4000, 0644, "", "nogroup", 0 },	/* not a member */
	{ "boss", 4000, 0644, "boss", "", 4009 },	/* an administrator's right */
	{ "boss", 4000, 0644, "", "root", 0 },		/* privileged, whoever asks */
	{ "boss", 0, 0644, "boss", "", 0 },
	{ "boss", 33, 0644, "boss", "", 0 },
	{ "alice", 4000, 0644, "boss", "", 0 }		/* chown is not switched on */
};

START_TEST(chown_files)
{
	static struct msg_chown_file c;
	struct stat st;
	int fd;

	if (needs_root(__func__))
		return;
	rig_start(&r, "");
	rig_live(&r, chowns[_i].session, "secret");
	fd = make_file(chowns[_i].owner, chowns[_i].mode);
	(void)str_copy(c.owner, sizeof c.owner, chowns[_i].to);
	(void)str_copy(c.group, sizeof c.group, chowns[_i].group);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 9, &c, &fd, 1), 0);
	rig_expect(&r, &r.agent, chowns[_i].becomes != 0 ? MSG_GIVEN : MSG_FAILED);
	ck_assert_uint_eq(r.m.id, 9);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_uid, chowns[_i].becomes != 0 ? chowns[_i].becomes : chowns[_i].owner);
	close(fd);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* The agent holds no more than a place in the tree; a device or a pipe is nothing to give away. */
START_TEST(kinds_of_descriptors)
{
	static const struct msg_chown_file c = { .owner = "boss" };
	char path[160];
	int fd, ends[2];

	if (needs_root(__func__))
		return;
	rig_start(&r, "");
	rig_live(&r, "free", "secret");
	close(make_file(4000, 0644));
	(void)str_format(path, sizeof path, "%s/alice/file", r.dir);
	fd = open(path, O_PATH | O_NOFOLLOW);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 1, &c, &fd, 1), 0);
	rig_expect(&r, &r.agent, MSG_GIVEN);
	close(fd);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 2, &c, ends, 1), 0);
	rig_expect(&r, &r.agent, MSG_FAILED);
	fd = open("/dev/null", O_RDWR);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 3, &c, &fd, 1), 0);
	rig_expect(&r, &r.agent, MSG_FAILED);
	/* Be it the account's own. */
	ck_assert_int_eq(fchown(ends[1], 4000, 4000), 0);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 4, &c, &ends[1], 1), 0);
	rig_expect(&r, &r.agent, MSG_FAILED);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* Where no number is too low for an account, root's still is. */
START_TEST(roots_files_are_nobodys_to_give)
{
	static const struct msg_chown_file c = { .owner = "boss" };
	int fd;

	if (needs_root(__func__))
		return;
	rig_start(&r, "uid_min = 0");
	rig_live(&r, "boss", "secret");
	fd = make_file(0, 0644);
	ck_assert_int_eq(chan_send(&r.agent, MSG_CHOWN_FILE, 1, &c, &fd, 1), 0);
	rig_expect(&r, &r.agent, MSG_FAILED);
	close(fd);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

static void
ask_low(const char *target, enum msg_type answer)
{
	static struct msg_bind_low b;
	struct addr to;

	ck_assert_int_eq(addr_parse(&to, target, 0), 0);
	memcpy(b.target, &to.sa, b.target_len = addr_len(&to));
	ck_assert_int_eq(chan_send(&r.agent, MSG_BIND_LOW, 1, &b, NULL, 0), 0);
	rig_expect(&r, &r.agent, answer);
}

START_TEST(low_port_only_where_configured)
{
	rig_start(&r, "active_port = 0");
	rig_live(&r, "alice", "secret");
	ask_low("192.0.2.7:4000", MSG_FAILED);
	ck_assert_uint_eq(r.m.failed.error, EPERM);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

START_TEST(low_port_for_the_peer_only)
{
	rig_start(&r, "active_port = 1021\ndata_peer = 198.51.100.0/24");
	rig_live(&r, "alice", "secret");
	ask_low("192.0.2.8:4000", MSG_FAILED);
	ck_assert_uint_eq(r.m.failed.error, EPERM);
	ask_low("[2001:db8::1]:4000", MSG_FAILED);
	/* A trusted one is not refused by us, but by the kernel: this is not our address. */
	ask_low("198.51.100.9:4000", MSG_FAILED);
	ck_assert_uint_eq(r.m.failed.error, EADDRNOTAVAIL);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* A port below 1024 that nobody uses now. */
static unsigned
low_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned port = 1023;
	int fd;

	do {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		in.sin_port = htons((uint16_t)port);
		if (bind(fd, (struct sockaddr *)&in, sizeof in) == 0) {
			close(fd);
			return port;
		}
		close(fd);
	} while (--port > 512);
	ck_abort_msg("no low port is free");
}

/* A connection from that address, begun and given a moment: is it there? */
static bool
reaches(const char *from, const char *to, int patience)
{
	struct addr a, b;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = -1;
	socklen_t len = sizeof error;

	ck_assert_int_eq(addr_parse(&a, from, 0) | addr_parse(&b, to, 0), 0);
	ck_assert_int_eq(bind(fd, &a.sa, addr_len(&a)), 0);
	(void)connect(fd, &b.sa, addr_len(&b));
	if (poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, patience) == 1)
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	close(fd);
	return error == 0;
}

/* What a hostile agent would do with the port of the system that it got. */
START_TEST(low_port_serves_nobody_else)
{
	int fd, zero = 0;
	char config[40], to[40];
	unsigned port;

	if (needs_root(__func__))
		return;
	port = low_port();
	(void)str_format(config, sizeof config, "active_port = %u", port);
	(void)str_format(to, sizeof to, "127.0.0.1:%u", port);
	rig_peer = "127.0.0.2:40000";
	rig_local = "127.0.0.1:21";
	rig_start(&r, config);
	rig_live(&r, "alice", "secret");
	ask_low("127.0.0.2:4000", MSG_BOUND);
	fd = msg_take_fd(&r.m, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	if (rig_logged(&r, "event=active-port-not-locked")) {
		skip(__func__, "this kernel takes a socket's filter from network administrators only");
		goto out;
	}
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof zero), -1);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &zero, sizeof zero), -1);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert(reaches("127.0.0.2", to, PATIENCE_MS));
	ck_assert(!reaches("127.0.0.3", to, 300));
out:
	close(fd);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

START_TEST(no_quota_is_no_limit)
{
	static const struct msg_quota q;

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	ck_assert_int_eq(chan_send(&r.agent, MSG_QUOTA, 1, &q, NULL, 0), 0);
	rig_expect(&r, &r.agent, MSG_QUOTA_LEFT);
	ck_assert_uint_eq(r.m.quota_left.bytes, UINT64_MAX);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

static int
set_any(void *state, const char *name, const struct secret *password)
{
	(void)state;
	return strcmp(name, "alice") == 0 && strcmp(password->data, "new") == 0 ? 0 : -EIO;
}

static int
add_any(void *state, const char *name, const struct secret *password, const char *home, int64_t *id)
{
	(void)state, (void)name, (void)password, (void)home;
	*id = 7;
	return 0;
}

/* A monitor that is lost asks its clerk for more than the account may: the clerk knows from before. */
START_TEST(clerks_do_not_believe_their_monitors)
{
	static const struct account_source source = { .name = "any", .add = add_any, .set_password = set_any };
	static struct conf_resolved resolved;
	static struct monitor s;
	struct clerk_answer answer;
	struct secret password;

	ck_assert_int_eq(secret_set(&password, "new", 3), 0);
	resolved.s.change_password = _i == 0;
	resolved.s.administrator = _i == 1;
	account_init(&s.account, "alice");
	s.account.resolved = &resolved;
	s.account.source = &source;
	s.listener.fd = s.login.fd = s.log.fd = s.agent.fd = s.rate_fd = -1;
	monitor_system = rig_system();
	ck_assert_int_eq(clerk_start(&s), 0);
	ck_assert(s.has_clerk);
	ck_assert_int_eq(clerk_ask(&s, CLERK_PASSWORD, "alice", &password, "", &answer), 0);
	ck_assert_int_eq(clerk_ask(&s, CLERK_PASSWORD, "bob", &password, "", &answer), _i == 0 ? -EPERM : -EIO);
	ck_assert_int_eq(clerk_ask(&s, CLERK_ADD, "eve", &password, "/", &answer), _i == 0 ? -EPERM : 0);
	if (_i == 0)
		ck_assert_int_eq(clerk_ask(&s, CLERK_LOOK_UP, "bob", NULL, "", &answer), -EPERM);
	close(s.clerk_fd);
}
END_TEST

START_TEST(accounts_are_not_everybodys_business)
{
	static struct msg_admin a = { .account = "alice" };

	rig_start(&r, "");
	rig_live(&r, "alice", "secret");
	for (unsigned op = ADMIN_ADD; op <= ADMIN_SET_PASSWORD; op++) {
		a.operation = (uint8_t)op;
		ck_assert_int_eq(secret_set(&a.password, "new", 3), 0);
		ck_assert_int_eq(chan_send(&r.agent, MSG_ADMIN, op, &a, NULL, 0), 0);
		rig_expect(&r, &r.agent, MSG_FAILED);
		ck_assert_str_eq(r.m.failed.text, "This account may not do that.");
	}
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* An administrator may, but accounts of the configuration file are not changed over FTP. */
START_TEST(sources_that_cannot_be_changed_say_so)
{
	static struct msg_admin a = { .operation = ADMIN_SET_PASSWORD, .account = "alice" };

	rig_start(&r, "");
	rig_live(&r, "boss", "secret");
	ck_assert_int_eq(chan_send(&r.agent, MSG_ADMIN, 1, &a, NULL, 0), 0);
	rig_expect(&r, &r.agent, MSG_FAILED);
	ck_assert_str_eq(r.m.failed.text, "Accounts of this kind cannot be changed over FTP.");
	a.operation = 9;
	ck_assert_int_eq(chan_send(&r.agent, MSG_ADMIN, 2, &a, NULL, 0), 0);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
	rig_remove(&r);
}
END_TEST

Suite *
monitor_serve_suite(void)
{
	Suite *s = suite_create("monitor/serve");
	TCase *t = tcase_create("serve");

	tcase_add_loop_test(t, chown_files, 0, (int)(sizeof chowns / sizeof *chowns));
	tcase_add_test(t, kinds_of_descriptors);
	tcase_add_test(t, roots_files_are_nobodys_to_give);
	tcase_add_test(t, low_port_only_where_configured);
	tcase_add_test(t, low_port_for_the_peer_only);
	tcase_add_test(t, low_port_serves_nobody_else);
	tcase_add_loop_test(t, clerks_do_not_believe_their_monitors, 0, 2);
	tcase_add_test(t, no_quota_is_no_limit);
	tcase_add_test(t, accounts_are_not_everybodys_business);
	tcase_add_test(t, sources_that_cannot_be_changed_say_so);
	suite_add_tcase(s, t);
	return s;
}
