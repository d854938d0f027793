#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "tests/unit/common.h"
#include "tests/unit/run.h"

static const struct { const char *line, *json, *journal; } lines[] = {
	{ "event=login user=bob", "{\"event\":\"login\",\"user\":\"bob\"}", "SALLYPORT_EVENT=login\nSALLYPORT_USER=bob\n" },
	{ "event=x path=\"/a b\" n=-7", "{\"event\":\"x\",\"path\":\"/a b\",\"n\":-7}",
	  "SALLYPORT_EVENT=x\nSALLYPORT_PATH=/a b\nSALLYPORT_N=-7\n" },
	{ "event=x t=\"q\\\"b\\\\c\\x0a\"", "{\"event\":\"x\",\"t\":\"q\\\"b\\\\c\\u000a\"}",
	  "SALLYPORT_EVENT=x\nSALLYPORT_T=q\"b\\c\\x0a\n" },
	{ "event=x empty=\"\" last=1", "{\"event\":\"x\",\"empty\":\"\",\"last\":1}",
	  "SALLYPORT_EVENT=x\nSALLYPORT_EMPTY=\nSALLYPORT_LAST=1\n" },
	/* Numbers are what stands without quotes and is one to JSON; a session's is a name. */
	{ "session=17 a=\"1\" b=007 c=-0 d=- e=0 f=123456789012345678", "{\"session\":\"17\",\"a\":\"1\",\"b\":\"007\",\"c\":\"-0\","
	  "\"d\":\"-\",\"e\":0,\"f\":123456789012345678}", "SALLYPORT_SESSION=17\n" },
	/* Whoever wrote the line: UTF-8, and nothing that ends or breaks a string. */
	{ "event=x a=\xff\xc3 b=\xc3\xa4 c=\"\xe2\x80\xae\" d=a\"b e=\\q f=\"\\xzz\"",
	  "{\"event\":\"x\",\"a\":\"\\u00ff\\u00c3\",\"b\":\"\xc3\xa4\",\"c\":\"\\u00e2\\u0080\\u00ae\",\"d\":\"a\\u0022b\","
	  "\"e\":\"\\u005cq\",\"f\":\"\\u005cxzz\"}", "SALLYPORT_EVENT=x\n" },
	{ "", "{}", "" },
	{ "no pairs", "{}", "" },
	{ "event=x open=\"cut", "{\"event\":\"x\",\"open\":\"cut\"}", "SALLYPORT_EVENT=x\nSALLYPORT_OPEN=cut\n" }
};

START_TEST(other_forms)
{
	char out[512];
	size_t n;

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		n = log_line_to_json(out, sizeof out - 1, lines[i].line, strlen(lines[i].line));
		out[n] = '\0';
		ck_assert_str_eq(out, lines[i].json);
		n = log_line_to_journal(out, sizeof out - 1, 5, lines[i].line, strlen(lines[i].line));
		out[n] = '\0';
		ck_assert(strncmp(out, "PRIORITY=5\n", 11) == 0);
		ck_assert_ptr_nonnull(strstr(out, "\nMESSAGE="));
		if (lines[i].journal[0] != '\0')
			ck_assert_ptr_nonnull(strstr(out, lines[i].journal));
	}
}
END_TEST

/* Whatever fits is a whole object. */
START_TEST(json_is_never_cut)
{
	const char *line = lines[2].line;
	char out[64];

	for (size_t size = 2; size < sizeof out; size++) {
		size_t n = log_line_to_json(out, size, line, strlen(line));

		ck_assert_uint_le(n, size);
		ck_assert_int_eq(out[0], '{');
		ck_assert_int_eq(out[n - 1], '}');
		ck_assert_int_ne(out[n - 2], ',');
	}
}
END_TEST

static void
read_all(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

START_TEST(files)
{
	char path[] = "/tmp/unit-logsink.XXXXXX", text[1024];
	struct stat st;
	int fd = mkstemp(path);

	close(fd);
	unlink(path);
	ck_assert_int_eq(log_open(path), 0);
	ck_assert_int_ge(log_fd(), 0);
	log_problem(EVENT_READY, NULL, 0);
	ck_assert_int_eq(log_open_json(path), 0);	/* a reload opens it anew and goes on at its end */
	log_problem(EVENT_RELOADED, "x", 0);
	read_all(path, text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "Z notice event=ready\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"level\":\"notice\",\"event\":\"reloaded\",\"about\":\"x\"}\n"));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777 & ~0640u, 0);
	ck_assert_int_eq(xferlog_open(path), 0);
	ck_assert_int_eq(xferlog_write("line\n", 5), 0);
	read_all(path, text, sizeof text);
	ck_assert_str_eq(text + strlen(text) - 5, "line\n");
	ck_assert_int_eq(xferlog_open(NULL), 0);
	ck_assert_int_eq(xferlog_fd(), -1);
	unlink(path);
}
END_TEST

#define NO_LIMIT SIZE_MAX

/* A file that takes so many bytes more, as on a disk that is full. */
static void
let_grow(const char *path, size_t bytes)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes == NO_LIMIT ? limit.rlim_max : (rlim_t)st.st_size + bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A socket in the place of the system log. */
static int
hear_alerts(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	(void)str_copy(to.sun_path, sizeof to.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
	log_alert_socket = path;
	return fd;
}

/* The lines of the file, without times; "|" between them. */
static const char *
lines_of(const char *path)
{
	static char out[4096];
	char text[4096], *line, *rest = text;

	read_all(path, text, sizeof text);
	out[0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && (rest != NULL || *line != '\0')) {
		char *event = strstr(line, "event=");

		if (event != NULL && strstr(event, " milliseconds=") != NULL)
			*strstr(event, " milliseconds=") = '\0';
		(void)str_copy(out + strlen(out), sizeof out - strlen(out), event == NULL ? "?" : event);
		(void)str_copy(out + strlen(out), sizeof out - strlen(out), "|");
	}
	return out;
}

/*
 * A full disk: a line that fits in part, others that do not fit at all.  Afterwards a line that
 * is whole, behind the number of those that are missing; and somebody else has heard of it at once, once.
 */
static void
fill_disk(size_t room, const char *want)
{
	char path[] = "/tmp/unit-logsink.XXXXXX", socket_path[64], text[512];
	int fd = mkstemp(path), alerts;
	ssize_t n;

	close(fd);
	snprintf(socket_path, sizeof socket_path, "%s.s", path);
	alerts = hear_alerts(socket_path);
	ck_assert_int_eq(log_open(path), 0);
	log_problem(EVENT_READY, NULL, 0);
	ck_assert(log_is_whole());
	let_grow(path, room);
	for (int i = 0; i < 3; i++)
		log_problem(EVENT_STOPPING, NULL, 0);
	ck_assert(!log_is_whole());
	ck_assert_uint_eq(log_lost(), 3);
	n = recv(alerts, text, sizeof text - 1, 0);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "event=log-unwritable about=\"/tmp/"));
	ck_assert_ptr_nonnull(strstr(text, "errno=27 "));
	ck_assert_int_lt(recv(alerts, text, sizeof text, 0), 0);
	let_grow(path, NO_LIMIT);
	log_problem(EVENT_RELOADED, NULL, 0);
	log_problem(EVENT_STOPPED, NULL, 0);
	ck_assert(log_is_whole());
	ck_assert_str_eq(lines_of(path), want);
	close(alerts);
	unlink(socket_path);
	unlink(path);
}

START_TEST(full_disk)
{
	fill_disk(0, "event=ready|event=log-gap lost=3|event=reloaded|event=stopped|");
}
END_TEST

START_TEST(disk_full_within_a_line)
{
	fill_disk(40, "event=ready|event=st|event=log-gap lost=3|event=reloaded|event=stopped|");
}
END_TEST

/* The transfer log has no line for what it lacks: statistics would not know it.  The log has. */
START_TEST(gaps_of_the_transfer_log)
{
	char path[] = "/tmp/unit-logsink.XXXXXX", transfers[64], text[512];
	int fd = mkstemp(path);

	close(fd);
	snprintf(transfers, sizeof transfers, "%s.x", path);
	log_alert_socket = "/nonexistent";
	ck_assert_int_eq(log_open(path), 0);
	ck_assert_int_eq(xferlog_open(transfers), 0);
	ck_assert_int_eq(xferlog_write("one\n", 4), 0);
	let_grow(transfers, 0);
	ck_assert_int_eq(xferlog_write("lost\n", 5), -EFBIG);
	let_grow(transfers, NO_LIMIT);
	ck_assert_int_eq(xferlog_write("two\n", 4), 0);
	read_all(transfers, text, sizeof text);
	ck_assert_str_eq(text, "one\ntwo\n");
	ck_assert_str_eq(lines_of(path), "event=xferlog-gap lost=1|");
	unlink(transfers);
	unlink(path);
}
END_TEST

/* Who lost lines may be gone when there is room again: somebody else says so. */
START_TEST(gaps_are_shared)
{
	char path[] = "/tmp/unit-logsink.XXXXXX";
	int fd = mkstemp(path), shared, status;
	pid_t pid;

	close(fd);
	shared = log_share();
	ck_assert_int_ge(shared, 0);
	ck_assert_int_eq(log_open_json(path), 0);
	log_problem(EVENT_READY, NULL, 0);
	log_alert_socket = "/nonexistent";
	pid = fork();
	if (pid == 0) {
		/* As a template does after exec: it knows the descriptor only. */
		if (log_shared(shared) != 0 || dup2(open("/dev/null", O_WRONLY), STDERR_FILENO) < 0)
			_exit(1);
		let_grow(path, 20);
		log_problem(EVENT_STOPPING, NULL, 0);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	log_problem(EVENT_RELOADED, NULL, 0);
	{
		char text[1024], *second;

		read_all(path, text, sizeof text);
		second = strchr(text, '\n') + 1;
		ck_assert_ptr_nonnull(strstr(second, "\n{\"time\":\""));
		ck_assert_ptr_nonnull(strstr(second, "\"event\":\"log-gap\",\"lost\":1,\"milliseconds\":"));
		ck_assert_ptr_nonnull(strstr(second, "\"event\":\"reloaded\"}\n"));
	}
	close(shared);
	unlink(path);
}
END_TEST

/*
 * A log in a place where others may plant things: their links, and hard links to files of root, are not written
 * through.
 */
START_TEST(planted_logs)
{
	char dir[] = "/tmp/unit-logsink.XXXXXX", path[64], other[64];
	struct stat st;
	int fd;

	if (geteuid() != 0)
		return;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(other, sizeof other, "%s/root", dir);
	snprintf(path, sizeof path, "%s/log", dir);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	/* A link of root's is followed, */
	ck_assert_int_eq(symlink("root", path), 0);
	ck_assert_int_eq(log_open(path), 0);
	/* one of somebody else's is not, neither as the last name nor on the way. */
	ck_assert_int_eq(lchown(path, 65534, 65534), 0);
	ck_assert_int_eq(log_open(path), -ELOOP);
	ck_assert_int_eq(xferlog_open(path), -ELOOP);
	unlink(path);
	ck_assert_int_eq(symlink(dir, path), 0);
	ck_assert_int_eq(lchown(path, 65534, 65534), 0);
	snprintf(path, sizeof path, "%s/log/root", dir);
	ck_assert_int_eq(log_open(path), -ELOOP);
	snprintf(path, sizeof path, "%s/log", dir);
	unlink(path);
	ck_assert_int_eq(link(other, path), 0);
	ck_assert_int_eq(log_open(path), -EPERM);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT, 0666);
	ck_assert_int_eq(fchown(fd, 65534, 65534), 0);
	ck_assert_int_eq(log_open(path), -EPERM);
	ck_assert_int_eq(log_open(dir), -EISDIR);
	snprintf(path, sizeof path, "%s/new", dir);
	ck_assert_int_eq(log_open(path), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(log_open("/dev/null"), 0);
	unlink(path);
	snprintf(path, sizeof path, "%s/log", dir);
	unlink(path);
	unlink(other);
	rmdir(dir);
}
END_TEST

/* Each sink that is left is closed, whatever kind it was: a server is told to reopen its logs for years. */
START_TEST(sinks_are_closed)
{
	char path[] = "/tmp/unit-logsink.XXXXXX";
	int wanted = -1;

	close(mkstemp(path));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(log_open(path), 0);
		ck_assert_int_eq(log_open_json(path), 0);
		ck_assert_int_eq(xferlog_open(path), 0);
		ck_assert_int_eq(log_open("syslog"), 0);
		ck_assert_int_eq(log_open("journal"), 0);
		ck_assert_int_eq(log_open("stderr"), 0);
		ck_assert_int_eq(xferlog_open(path), 0);
		ck_assert_int_lt(log_open("/no/such/folder/log"), 0);
		ck_assert_int_lt(xferlog_open("/no/such/folder/log"), 0);
		if (i == 0)
			wanted = tests_descriptors(getpid());
		ck_assert_int_eq(tests_descriptors(getpid()), wanted);
	}
	ck_assert_int_eq(xferlog_open(NULL), 0);
	ck_assert_int_eq(tests_descriptors(getpid()), wanted < 0 ? wanted : wanted - 1);
	unlink(path);
}
END_TEST

START_TEST(what_cannot_be_opened)
{
	ck_assert_int_eq(log_open("relative/path"), -EINVAL);
	ck_assert_int_eq(log_open("/no/such/folder/log"), -ENOENT);
	ck_assert_int_eq(xferlog_open("/no/such/folder/xferlog"), -ENOENT);
	ck_assert_int_eq(log_open("stderr"), 0);
	ck_assert_int_eq(log_fd(), -1);
	/* A daemon that is not there loses lines and nothing else. */
	ck_assert_int_eq(log_open("syslog"), 0);
	log_problem_at(LOG_LEVEL_DEBUG, EVENT_STOPPED, NULL, 0);
	ck_assert_int_eq(log_open("journal"), 0);
	log_problem_at(LOG_LEVEL_DEBUG, EVENT_STOPPED, NULL, 0);
	ck_assert_int_eq(log_open("stderr"), 0);
}
END_TEST

/* The C library's calendar is the reference. */
START_TEST(calendar)
{
	static const time_t special[] = { 0, -1, 951782400, 951868799, 951868800, 1709164800, 4107542400, 68169600, -2208988800, 253402300799 };
	struct tm ours, theirs;

	for (size_t i = 0; i < 20000 + sizeof special / sizeof *special; i++) {
		time_t t = i < 20000 ? (time_t)i * 86399 * 3 : special[i - 20000];

		clock_utc(t, &ours);
		gmtime_r(&t, &theirs);
		ck_assert_msg(ours.tm_year == theirs.tm_year && ours.tm_mon == theirs.tm_mon && ours.tm_mday == theirs.tm_mday &&
		    ours.tm_hour == theirs.tm_hour && ours.tm_min == theirs.tm_min && ours.tm_sec == theirs.tm_sec &&
		    ours.tm_wday == theirs.tm_wday && ours.tm_yday == theirs.tm_yday, "%lld: %d-%d-%d %d %d", (long long)t,
		    ours.tm_year, ours.tm_mon, ours.tm_mday, ours.tm_wday, ours.tm_yday);
	}
}
END_TEST

COMMON_SUITE(logsink, other_forms, json_is_never_cut, files, full_disk, disk_full_within_a_line, gaps_are_shared, gaps_of_the_transfer_log,
    planted_logs, sinks_are_closed, what_cannot_be_opened, calendar)
