/* The control socket: who may connect, what every command answers, and clients that do not behave. */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/control.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/pool_inside.h"
#include "daemon/listener/server.h"
#include "tests/unit/listener.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

#define CLIENTS_MAX	32	/* of control.c */
#define BANS		4000	/* their list is longer than a socket takes */
#define OTHER		65534	/* a user and a group that may not do anything */

static struct server server;
static struct options options;
static struct msg m;
static char dir[64], path[96], logged[65536];
static size_t logged_len;

static void
collect(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level;
	if (logged_len + len + 1 < sizeof logged) {
		memcpy(logged + logged_len, text, len);
		logged_len += len;
		logged[logged_len] = '\0';
	}
}

static void
set(const char *key, const char *value)
{
	char why[128];

	ck_assert_int_eq(conf_set(server.conf, SC_SERVER, NULL, key, value, why, sizeof why), 0);
	server.settings = conf_server(server.conf);
}

/* A server without sessions, and without programs to make any. */
static void
begin(void)
{
	static const char template[] = "/tmp/sallyport-control-XXXXXX";

	memcpy(dir, template, sizeof template);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	(void)str_format(path, sizeof path, "%s/control", dir);
	memset(&server, 0, sizeof server);
	options = (struct options){ .libexec = dir, .inetd = true };
	server.options = &options;
	server.base = event_base_new();
	server.conf = conf_new();
	server.settings = conf_server(server.conf);
	server.claims = claim_new();
	server.sources = srclimit_new();
	logged_len = 0;
	log_set_sink(collect, NULL);
	ck_assert_int_eq(server_init(&server), 0);
	ck_assert_int_eq(pool_start(&server), 0);
	ck_assert_int_eq(doors_open(&server), 0);
	options.inetd = false;
	ck_assert_int_ne(templates_start(&server), 0);
	set("control_socket", path);
	ck_assert_int_eq(control_open(&server), 0);
}

static void
end(void)
{
	control_close(&server);
	ck_assert_int_eq(access(path, F_OK), -1);
	event_base_free(server.base);
	conf_free(server.conf);
	claim_free(server.claims);
	srclimit_free(server.sources);
	ck_assert_int_eq(rmdir(dir), 0);
}

/* All that is at hand: what a client has done is there when its call returns. */
static void
turn(void)
{
	for (int i = 0; i < 3 * CLIENTS_MAX; i++)
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_NONBLOCK), 0);
}

static int
try_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	(void)str_copy(a.sun_path, sizeof a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -errno;
}

static struct chan
client(void)
{
	struct chan c;
	int fd = try_connect();

	ck_assert_int_ge(fd, 0);
	chan_init(&c, fd, CH_CONTROL, ROLE_CTL);
	turn();
	return c;
}

static void
ask(struct chan *c, const char *verb, const char *argument, bool json)
{
	static struct msg_command q;

	q.json = json;
	(void)str_copy(q.verb, sizeof q.verb, verb);
	(void)str_copy(q.argument, sizeof q.argument, argument);
	ck_assert_int_eq(chan_tell(c, MSG_COMMAND, &q), 0);
}

/* The whole answer; the caller's. The exit code goes to *status. */
static char *
answer(struct chan *c, int *status)
{
	char *text = calloc(1, 1);
	size_t len = 0;

	do {
		size_t n;

		turn();
		ck_assert_int_eq(chan_receive(c, &m, ST_AWAIT), 0);
		ck_assert_int_eq((int)m.type, MSG_REPORT);
		n = strlen(m.report.text);
		text = realloc(text, len + n + 1);
		memcpy(text + len, m.report.text, n + 1);
		len += n;
	} while (!m.report.end);
	*status = m.report.status;
	return text;
}

static void
expect(struct chan *c, int status, const char *text)
{
	int told;
	char *got = answer(c, &told);

	ck_assert_str_eq(got, text);
	ck_assert_int_eq(told, status);
	free(got);
}

static void
expect_dropped(struct chan *c)
{
	turn();
	ck_assert_int_eq(chan_receive(c, &m, ST_AWAIT), SP_ECLOSED);
	chan_close(c);
}

/* Somebody else is served, whatever the others do. */
static void
expect_served(void)
{
	struct chan c = client();

	ask(&c, "unban", "192.0.2.99", false);
	expect(&c, 1, "There is no such ban.\n");
	chan_close(&c);
	turn();
}

/* ------------------------------------------------------------------------- answers */

/* Those of the table of sallyctl that the server answers. */
static const struct { const char *name, *handler; bool server; } rows[] = {
#define COMMAND(name, handler, arguments, least, most, options, server, help) { name, #handler, server },
#include "ctl/commands.def"
#undef COMMAND
};

/* What a command is given here; none of it is a command of its own. */
static const char *
argument_of(const char *name)
{
	return strcmp(name, "kick") == 0 ? "nobody" : strcmp(name, "ban") == 0 ? "192.0.2.0/24\n10m" :
	    strcmp(name, "unban") == 0 ? "192.0.2.0/24" : strcmp(name, "drain") == 0 ? "1h\nBye \"all\"\x01." : "";
}

static void
check_json(const char *name, const char *text)
{
	size_t len = strlen(text);
	int depth = 0;
	bool quoted = false;

	ck_assert_msg(len >= 2 && strchr("{[", text[0]) != NULL, "%s: %s", name, text);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (quoted && text[i] == '\\')
			i++;
		else if (!quoted)
			depth += (text[i] == '{' || text[i] == '[') - (text[i] == '}' || text[i] == ']');
		ck_assert_msg((unsigned char)text[i] >= ' ' || text[i] == '\n', "%s: %s", name, text);
		ck_assert_msg(depth > 0 || i + 2 >= len, "%s: %s", name, text);
	}
	ck_assert_msg(depth == 0 && !quoted, "%s: %s", name, text);
}

START_TEST(every_command_has_both_forms)
{
	static const char *const arguments[] = { NULL, "", "\n", "\n\n\n\n\n", "x\nx\nx\nx", "\x1b[2J\"\\\xff" };
	struct chan c = client();
	unsigned seen = 0;
	char *sandbox;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool passes_on = strcmp(rows[i].handler, "server_command") == 0 || strcmp(rows[i].handler, "bans_command") == 0;

		if (!rows[i].server || !passes_on || strcmp(rows[i].name, "stop") == 0)
			continue;
		for (size_t n = 0; n < sizeof arguments / sizeof arguments[0]; n++)
			for (int json = 0; json < 2; json++) {
				const char *argument = arguments[n] == NULL ? argument_of(rows[i].name) : arguments[n];
				int status;
				char *text;

				ask(&c, rows[i].name, argument, json != 0);
				text = answer(&c, &status);
				ck_assert_ptr_null(strstr(text, "does not know"));
				ck_assert_msg(*text != '\0', "%s has no text", rows[i].name);
				ck_assert_msg(status == 0 || status == 1 || status == 2 || status == 64, "%s: %d", rows[i].name, status);
				if (json)
					check_json(rows[i].name, text);
				free(text);
			}
		seen++;
	}
	ck_assert_uint_ge(seen, 9);
	/* One that sallyctl has no row for, and one that there is not. */
	ask(&c, "sandbox", "", true);
	sandbox = answer(&c, &(int){ 0 });
	check_json("sandbox", sandbox);
	free(sandbox);
	ask(&c, "nonsense", "", true);
	expect(&c, 64, "{\"error\":\"The server does not know this command.\"}");
	chan_close(&c);
}
END_TEST

/* There is nobody to wait for: the server, its control socket included, is over before the answer is. */
START_TEST(the_end_is_answered)
{
	struct chan c = client(), silent = client(), waiting = client();

	ask(&c, "stop", "", true);
	ask(&waiting, "who", "", true);
	expect(&c, 0, "{\"result\":\"stopping\"}");
	expect_dropped(&c);
	expect_dropped(&silent);
	ck_assert_ptr_null(server.control);
	ck_assert_int_eq(try_connect(), -ENOENT);
	chan_close(&waiting);
}
END_TEST

START_TEST(reloads_are_answered_in_the_form_of_the_question)
{
	struct chan plain = client(), json = client(), away = client(), other = client();
	char file[96];

	(void)str_format(file, sizeof file, "%s/conf", dir);
	close(open(file, O_WRONLY | O_CREAT, 0600));
	options.conf_path = file;
	server.ready = true;
	server.root = false;
	ask(&plain, "reload", "", false);
	ask(&json, "reload", "", true);
	ask(&away, "reload", "", true);
	turn();
	/* The first has begun one, and the others were told so; nobody else is told its end. */
	expect(&json, 2, "{\"error\":\"A reload is already going on.\"}");
	chan_close(&away);
	ask(&other, "kick", "nobody", true);
	expect(&other, 1, "{\"kicked\":0}");
	control_reloaded(&server, 2, "a \"b\"\nc");
	expect(&plain, 2, "a \"b\"\nc\n");
	turn();
	ck_assert_int_eq(chan_receive(&json, &m, ST_AWAIT), -EAGAIN);
	ck_assert_int_eq(chan_receive(&other, &m, ST_AWAIT), -EAGAIN);
	chan_close(&plain);
	chan_close(&json);
	chan_close(&other);
	ck_assert_int_eq(unlink(file), 0);
}
END_TEST

START_TEST(the_end_of_a_reload_is_told_in_json)
{
	struct chan c = client(), gone = client();
	char file[96];

	(void)str_format(file, sizeof file, "%s/conf", dir);
	close(open(file, O_WRONLY | O_CREAT, 0600));
	options.conf_path = file;
	server.ready = true;
	ask(&c, "reload", "", true);
	turn();
	control_reloaded(&server, 0, "a \"b\"\nc");
	expect(&c, 0, "{\"result\":\"a \\\"b\\\"\\nc\"}");
	/* Whoever has gone meanwhile is forgotten. */
	chan_close(&gone);
	control_reloaded(&server, 0, "again");
	turn();
	ck_assert_int_eq(chan_receive(&c, &m, ST_AWAIT), -EAGAIN);
	chan_close(&c);
	ck_assert_int_eq(unlink(file), 0);
}
END_TEST

/* ------------------------------------------------------------------ hostile clients */

START_TEST(whoever_breaks_the_protocol_is_dropped)
{
	static struct msg_report wrong;
	static const char *const packets[] = { "x", "\1\0\0\0\0\0\0\0", "\377\377\377\377\377\377\377\377", "COMMAND status" };
	static char large[60000];
	int before, fds[2];
	struct chan c;

	turn();
	before = tests_descriptors(getpid());
	for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
		c = client();
		ck_assert_int_gt((int)send(c.fd, packets[i], i == 0 ? 1 : 8, MSG_NOSIGNAL), 0);
		expect_dropped(&c);
	}
	c = client();
	ck_assert_int_eq((int)send(c.fd, large, sizeof large, MSG_NOSIGNAL), (int)sizeof large);
	expect_dropped(&c);
	/* A message of the other direction. */
	c = client();
	c.role = ROLE_LISTENER;
	ck_assert_int_eq(chan_tell(&c, MSG_REPORT, &wrong), 0);
	c.role = ROLE_CTL;
	expect_dropped(&c);
	/* Descriptors are not kept. */
	c = client();
	ck_assert_int_eq(pipe(fds), 0);
	{
		char body[8] = { 0 }, space[CMSG_SPACE(sizeof fds)] = { 0 };
		struct iovec v = { body, sizeof body };
		struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
		struct cmsghdr *x = CMSG_FIRSTHDR(&h);

		x->cmsg_level = SOL_SOCKET;
		x->cmsg_type = SCM_RIGHTS;
		x->cmsg_len = CMSG_LEN(sizeof fds);
		memcpy(CMSG_DATA(x), fds, sizeof fds);
		ck_assert_int_eq((int)sendmsg(c.fd, &h, MSG_NOSIGNAL), (int)sizeof body);
	}
	close(fds[0]);
	close(fds[1]);
	expect_dropped(&c);
	expect_served();
	ck_assert_int_eq(tests_descriptors(getpid()), before);
	ck_assert_ptr_nonnull(strstr(logged, "event=protocol-violation peer=sallyctl"));
}
END_TEST

START_TEST(whoever_comes_and_goes_leaves_nothing)
{
	int before;
	struct chan c;

	turn();
	before = tests_descriptors(getpid());
	for (int i = 0; i < 200; i++) {
		c = client();
		if (i % 2 == 0)
			ask(&c, i % 4 == 0 ? "status" : "bans", "", i % 3 == 0);
		chan_close(&c);
	}
	expect_served();
	ck_assert_int_eq(tests_descriptors(getpid()), before);
}
END_TEST

/* As many that an answer does not go into a socket at once. */
static void
ban_many(void)
{
	for (int i = 0; i < BANS; i++) {
		struct addr_net net;
		char text[32];

		(void)str_format(text, sizeof text, "198.18.%d.%d", i / 256, i % 256);
		ck_assert_int_eq(addr_net_parse(&net, text), 0);
		ck_assert_int_eq(srclimit_ban(server.sources, &net, 0, "a reason that is \xc3\xa4 long one, and longer still"), 0);
	}
}

static unsigned
lines_of(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

START_TEST(a_client_that_does_not_read_gets_all_of_it_later)
{
	struct chan slow = client(), gone = client();
	int status, before = tests_descriptors(getpid());
	char *text;

	ban_many();
	ask(&slow, "bans", "", false);
	ask(&gone, "bans", "", false);
	turn();
	expect_served();
	chan_close(&gone);
	turn();
	ck_assert_int_eq(tests_descriptors(getpid()), before - 2);
	/* Two questions at once are answered one after the other. */
	ask(&slow, "unban", "192.0.2.99", false);
	text = answer(&slow, &status);
	ck_assert_uint_eq(lines_of(text), BANS + 1);
	ck_assert_int_eq(status, 0);
	free(text);
	expect(&slow, 1, "There is no such ban.\n");
	chan_close(&slow);
}
END_TEST

/* sallyctl looks at the bytes of each piece by itself. */
START_TEST(pieces_are_whole_lines)
{
	struct chan c = client();
	unsigned pieces = 0;

	ban_many();
	ask(&c, "bans", "", false);
	do {
		turn();
		ck_assert_int_eq(chan_receive(&c, &m, ST_AWAIT), 0);
		ck_assert_int_eq(m.report.text[strlen(m.report.text) - 1], '\n');
		pieces++;
	} while (!m.report.end);
	ck_assert_uint_gt(pieces, 5);
	/* JSON has no lines: its pieces are as they come. */
	ask(&c, "bans", "", true);
	free(answer(&c, &(int){ 0 }));
	chan_close(&c);
}
END_TEST

START_TEST(half_closed_connections_get_their_answer)
{
	struct chan c = client();
	int status;
	char *text;

	ban_many();
	ask(&c, "bans", "", false);
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	text = answer(&c, &status);
	ck_assert_uint_eq(lines_of(text), BANS + 1);
	free(text);
	expect_dropped(&c);
	/* Who says nothing and never will is no client. */
	c = client();
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	expect_dropped(&c);
	/* Who does not hear cannot be answered. */
	c = client();
	ck_assert_int_eq(shutdown(c.fd, SHUT_RD), 0);
	ask(&c, "status", "", false);
	turn();
	chan_close(&c);
	expect_served();
}
END_TEST

START_TEST(a_crowd_keeps_nobody_out)
{
	struct chan c[CLIENTS_MAX];

	ban_many();
	for (int i = 0; i < CLIENTS_MAX; i++)
		c[i] = client();
	/* The first was heard last. The second waits with an answer that it does not read. */
	ask(&c[1], "bans", "", false);
	ask(&c[0], "kick", "nobody", true);
	expect(&c[0], 1, "{\"kicked\":0}");
	expect_served();
	expect_dropped(&c[2]);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (i == 1 || i == 2)
			continue;
		ck_assert_int_eq(chan_receive(&c[i], &m, ST_AWAIT), -EAGAIN);
		ask(&c[i], "kick", "nobody", true);
		expect(&c[i], 1, "{\"kicked\":0}");
	}
	/* And when all of them do not read. */
	c[2] = client();
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (i != 1)
			ask(&c[i], "bans", "", false);
	turn();
	for (int i = 0; i < 5; i++)
		expect_served();
	for (int i = 0; i < CLIENTS_MAX; i++)
		chan_close(&c[i]);
}
END_TEST

static unsigned ticks;

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	ticks++;
}

START_TEST(without_descriptors_the_loop_rests)
{
	static const struct timeval often = { 0, 20000 };
	struct event *tick = event_new(server.base, -1, EV_PERSIST, on_tick, NULL);
	struct rlimit old, none;
	unsigned turns = 0;
	struct chan c;
	int fd = try_connect();

	ck_assert_int_ge(fd, 0);
	chan_init(&c, fd, CH_CONTROL, ROLE_CTL);
	ask(&c, "kick", "nobody", true);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = (rlim_t)fd + 1;
	/* What lies below is used up. */
	while (dup(fd) >= 0)
		if (none.rlim_cur < 200)
			(void)setrlimit(RLIMIT_NOFILE, &none);
	event_add(tick, &often);
	while (ticks < 10) {
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
		turns++;
	}
	ck_assert_uint_le(turns, ticks + 5);
	event_free(tick);
	ck_assert_int_eq(chan_receive(&c, &m, ST_AWAIT), -EAGAIN);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	/* It has waited, and is served when there is room. */
	while (chan_receive(&c, &m, ST_AWAIT) == -EAGAIN)
		ck_assert_int_ge(event_base_loop(server.base, EVLOOP_ONCE), 0);
	ck_assert_str_eq(m.report.text, "{\"kicked\":0}");
	chan_close(&c);
}
END_TEST

/* ------------------------------------------------------------------ who may connect */

static mode_t
mode_of_socket(gid_t *group)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	*group = st.st_gid;
	return st.st_mode & 07777;
}

/* As another user and group: what connect() says; with a verb, which is then sent. */
static int
connect_as(uid_t uid, gid_t gid, const char *verb)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct chan c;
		int fd;

		if (setgroups(0, NULL) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
			_exit(99);
		fd = try_connect();
		if (fd >= 0 && verb != NULL) {
			chan_init(&c, fd, CH_CONTROL, ROLE_CTL);
			ask(&c, verb, "nobody", false);
		}
		_exit(fd < 0 ? -fd : 0);
	}
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	turn();
	return WEXITSTATUS(status);
}

START_TEST(only_the_owner_may)
{
	gid_t group;

	ck_assert_int_eq(mode_of_socket(&group), 0600);
	if (needs_root("only_the_owner_may"))
		return;
	ck_assert_int_eq(connect_as(OTHER, OTHER, NULL), EACCES);
	/* Not even in the owner's group. */
	ck_assert_int_eq(connect_as(OTHER, group, NULL), EACCES);
	ck_assert_int_eq(connect_as(0, 0, NULL), 0);
}
END_TEST

START_TEST(a_group_may_where_it_is_named)
{
	const struct group *g = getgrgid(OTHER);
	gid_t group;

	if (needs_root("a_group_may_where_it_is_named") || g == NULL)
		return;
	control_close(&server);
	set("control_group", g->gr_name);
	ck_assert_int_eq(control_open(&server), 0);
	ck_assert_int_eq(mode_of_socket(&group), 0660);
	ck_assert_uint_eq(group, OTHER);
	ck_assert_int_eq(connect_as(OTHER, OTHER, "kick"), 0);
	ck_assert_ptr_nonnull(strstr(logged, "event=control command=kick arguments=nobody uid=65534"));
	ck_assert_int_eq(connect_as(OTHER, OTHER - 1, NULL), EACCES);
	/* One that is not there opens nothing, and leaves nothing. */
	control_close(&server);
	set("control_group", "no-such-group");
	ck_assert_int_eq(control_open(&server), SP_ENOGROUP);
	ck_assert_ptr_null(server.control);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(what_lies_in_the_way)
{
	static struct server second;
	char other[64];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	/* A server that lives is left alone, and its socket too. */
	second = server;
	second.control = NULL;
	ck_assert_int_eq(control_open(&second), -EADDRINUSE);
	expect_served();
	/* What a dead one has left is replaced. */
	control_close(&server);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)str_copy(a.sun_path, sizeof a.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd);
	ck_assert_int_eq(control_open(&server), 0);
	expect_served();
	control_close(&server);
	/* What is no socket stays, and what a link leads to. */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	close(fd);
	ck_assert_int_eq(control_open(&server), -EEXIST);
	ck_assert_int_eq(unlink(path), 0);
	(void)str_format(other, sizeof other, "%.50s/other", dir);
	ck_assert_int_eq(symlink(other, path), 0);
	ck_assert_int_eq(control_open(&server), -EEXIST);
	ck_assert_int_eq(access(other, F_OK), -1);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(paths_that_do_not_do)
{
	char text[200];

	control_close(&server);
	memset(text, 'x', sizeof text - 1);
	text[0] = '/';
	text[sizeof text - 1] = '\0';
	set("control_socket", text);
	ck_assert_int_eq(control_open(&server), -ENAMETOOLONG);
	set("control_socket", "/nonexistent/control");
	ck_assert_int_eq(control_open(&server), -ENOENT);
	ck_assert_ptr_null(server.control);
	/* Closing what is not open is nothing; so is the end of a reload. */
	control_close(&server);
	control_reloaded(&server, 0, "");
}
END_TEST

Suite *
listener_control_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *t = tcase_create("control");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, every_command_has_both_forms);
	tcase_add_test(t, the_end_is_answered);
	tcase_add_test(t, reloads_are_answered_in_the_form_of_the_question);
	tcase_add_test(t, the_end_of_a_reload_is_told_in_json);
	tcase_add_test(t, whoever_breaks_the_protocol_is_dropped);
	tcase_add_test(t, whoever_comes_and_goes_leaves_nothing);
	tcase_add_test(t, a_client_that_does_not_read_gets_all_of_it_later);
	tcase_add_test(t, pieces_are_whole_lines);
	tcase_add_test(t, half_closed_connections_get_their_answer);
	tcase_add_test(t, a_crowd_keeps_nobody_out);
	tcase_add_test(t, without_descriptors_the_loop_rests);
	tcase_add_test(t, only_the_owner_may);
	tcase_add_test(t, a_group_may_where_it_is_named);
	tcase_add_test(t, what_lies_in_the_way);
	tcase_add_test(t, paths_that_do_not_do);
	suite_add_tcase(suite, t);
	return suite;
}
