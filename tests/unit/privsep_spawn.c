#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "privsep/spawn.h"
#include "tests/unit/privsep.h"
#include "tests/unit/run.h"

/* A script in the working folder: where the tests were built programs may be executed, in /tmp perhaps not. */
static void
make_script(char path[static 20], const char *text)
{
	int fd;

	memcpy(path, "./spawn-XXXXXX", 15);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(dprintf(fd, "#!/bin/sh\n%s\n", text), 0);
	ck_assert_int_eq(fchmod(fd, 0700), 0);
	close(fd);
}

/* Runs a shell script that looks around; its exit code. */
static int
look(const char *script, const int *fds, unsigned n)
{
	char path[20];
	int status;
	struct spawned child;

	make_script(path, script);
	ck_assert_int_eq(spawn_program(path, "looker", fds, n, &child), 0);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = child.pid_fd, .events = POLLIN }, 1, PATIENCE_MS), 1);
	ck_assert_int_eq(waitpid(child.pid, &status, 0), child.pid);
	ck_assert_int_eq(fcntl(child.pid_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(child.pid_fd);
	unlink(path);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}


START_TEST(nothing_is_inherited)
{
	int stray = open("/dev/null", O_RDONLY), null = open("/dev/null", O_RDONLY);
	int fds[] = { null, -1, null };

	setenv("LD_PRELOAD_TEST", "1", 1);
	/* 10 and 255 are the shell's own descriptor of the script, 4 that of the listing. */
	ck_assert_int_eq(look("for f in /proc/$$/fd/*; do case ${f##*/} in 0|1|2|3|4|5|10|255) ;; *) exit 1;; esac; done\n"
	    "test -e /proc/$$/fd/3 -a -e /proc/$$/fd/5 -a ! -e /proc/$$/fd/4", fds, 3), 0);
	ck_assert_int_eq(look("test -z \"$LD_PRELOAD_TEST$HOME$NOTIFY_SOCKET\" -a -n \"$PATH\"", NULL, 0), 0);
	/* But for where stderr leads, if it is that. */
	setenv("JOURNAL_STREAM", "8:4711", 1);
	ck_assert_int_eq(look("test \"$JOURNAL_STREAM\" = 8:4711", NULL, 0), 0);
	setenv("JOURNAL_STREAM", "8:4711 LD_PRELOAD=x", 1);
	ck_assert_int_eq(look("test -z \"$JOURNAL_STREAM\"", NULL, 0), 0);
	unsetenv("JOURNAL_STREAM");
	ck_assert_int_eq(look("test \"$(readlink /proc/$$/fd/0)\" = /dev/null", NULL, 0), 0);
	close(stray);
	close(null);
}
END_TEST

/* Descriptors that stand where others must go are not lost on the way. In a child: the numbers are taken here. */
static char swap_script[20];

static int
swap_places(void)
{
	struct spawned child;
	int pipes[2], status;
	char text = 0;

	if (pipe(pipes) < 0 || dup2(pipes[0], 30) < 0 || dup2(pipes[1], 31) < 0)
		return 1;
	dup2(31, 4);
	dup2(30, 3);
	if (spawn_program(swap_script, "x", (int[]){ 4, 3 }, 2, &child) != 0)
		return 2;
	if (waitpid(child.pid, &status, 0) != child.pid || status != 0)
		return 3;
	return read(3, &text, 1) == 1 && text == 'x' ? 0 : 4;
}

START_TEST(descriptors_swap_places)
{
	make_script(swap_script, "printf x >&3");
	ck_assert_int_eq(privsep_in_child(swap_places), 0);
	unlink(swap_script);
}
END_TEST

START_TEST(what_cannot_be_executed)
{
	struct spawned child;

	ck_assert_int_eq(spawn_program("/proc/nonexistent/program", "x", NULL, 0, &child), -ENOENT);
	ck_assert_int_eq(spawn_program("/etc/passwd", "x", NULL, 0, &child), -EACCES);
	ck_assert_int_eq(spawn_program("/bin/true", "x", NULL, 99, &child), -EINVAL);
}
END_TEST

Suite *
privsep_spawn_suite(void)
{
	Suite *s = suite_create("spawn");
	TCase *t = tcase_create("exec");

	tcase_add_test(t, nothing_is_inherited);
	tcase_add_test(t, descriptors_swap_places);
	tcase_add_test(t, what_cannot_be_executed);
	suite_add_tcase(s, t);
	return s;
}
