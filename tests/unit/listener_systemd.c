#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/listener/systemd.h"
#include "tests/unit/listener.h"

/* A manager that listens by a path, or by an abstract name. */
START_TEST(the_manager_is_told)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/sallyport-notify-XXXXXX", name[64], text[64];
	socklen_t len;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ssize_t n;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/socket", folder);
	if (_i == 1)
		name[0] = '@';
	memcpy(a.sun_path, name, strlen(name));
	if (_i == 1)
		a.sun_path[0] = '\0';
	len = (socklen_t)(sizeof a.sun_family + strlen(name));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	systemd_notify("READY=1\nSTATUS=Serving.");
	n = recv(fd, text, sizeof text, 0);
	ck_assert_int_eq((int)n, 23);
	ck_assert_int_eq(memcmp(text, "READY=1\nSTATUS=Serving.", 23), 0);
	unlink(name);
	rmdir(folder);
	close(fd);
}
END_TEST

START_TEST(without_a_manager_nothing_happens)
{
	static char longer[300];

	memset(longer, 'x', sizeof longer - 1);
	longer[0] = '/';
	unsetenv("NOTIFY_SOCKET");
	systemd_notify("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	systemd_notify("READY=1");
	setenv("NOTIFY_SOCKET", longer, 1);
	systemd_notify("READY=1");
	setenv("NOTIFY_SOCKET", "/proc/nonexistent/socket", 1);
	systemd_notify("READY=1");
}
END_TEST

static const struct {
	const char *pid, *count;
	int result;
} environments[] = {
	{ "self", "2", 2 }, { "self", "0", 0 }, { "self", "-1", 0 }, { "self", "1000", 0 }, { "self", "x", 0 },
	{ "1", "2", 0 }, { NULL, "2", 0 }, { "self", NULL, 0 },
};

START_TEST(sockets_are_for_one_process)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)getpid());
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	if (environments[_i].pid != NULL)
		setenv("LISTEN_PID", strcmp(environments[_i].pid, "self") == 0 ? pid : environments[_i].pid, 1);
	if (environments[_i].count != NULL)
		setenv("LISTEN_FDS", environments[_i].count, 1);
	ck_assert_int_eq(systemd_listen_fds(), environments[_i].result);
}
END_TEST

START_TEST(sockets_have_names)
{
	char name[9];

	setenv("LISTEN_FDNAMES", "ftp::a-very-long-name:last", 1);
	ck_assert_int_eq(systemd_listen_fd(0, name, sizeof name), 3);
	ck_assert_str_eq(name, "ftp");
	systemd_listen_fd(1, name, sizeof name);
	ck_assert_str_eq(name, "");
	systemd_listen_fd(2, name, sizeof name);
	ck_assert_str_eq(name, "");
	ck_assert_int_eq(systemd_listen_fd(3, name, sizeof name), 6);
	ck_assert_str_eq(name, "last");
	systemd_listen_fd(4, name, sizeof name);
	ck_assert_str_eq(name, "");
	unsetenv("LISTEN_FDNAMES");
	systemd_listen_fd(0, name, sizeof name);
	ck_assert_str_eq(name, "");
}
END_TEST

Suite *
listener_systemd_suite(void)
{
	Suite *suite = suite_create("systemd");
	TCase *t = tcase_create("protocols");

	tcase_add_loop_test(t, the_manager_is_told, 0, 2);
	tcase_add_test(t, without_a_manager_nothing_happens);
	tcase_add_loop_test(t, sockets_are_for_one_process, 0, 8);
	tcase_add_test(t, sockets_have_names);
	suite_add_tcase(suite, t);
	return suite;
}
