#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "privsep/spawn.h"

#define FIRST_FD	3
#define SPAWN_FDS_MAX	8

/* fork() that also gives a descriptor of the child. */
static pid_t
fork_with_fd(int *pid_fd)
{
	return (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | SIGCHLD), NULL, pid_fd, NULL, NULL);
}

/* fds[i] becomes FIRST_FD + i: first all out of the way, then each to its place. */
static int
place_fds(const int *fds, unsigned n)
{
	int away[SPAWN_FDS_MAX];

	for (unsigned i = 0; i < n; i++)
		if (fds[i] >= 0 && (away[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + SPAWN_FDS_MAX)) < 0)
			return -errno;
	for (unsigned i = 0; i < n; i++) {
		if (fds[i] < 0)
			close(FIRST_FD + (int)i);
		else if (dup2(away[i], FIRST_FD + (int)i) < 0)
			return -errno;
	}
	/* By way of /proc where close_range(2) is missing or denied. */
	closefrom(FIRST_FD + (int)n);
	return 0;
}

/* What output_fd can be besides a descriptor. */
enum { OUTPUT_NOWHERE = -1, OUTPUT_KEPT = -2 };

/* stderr stays where stdout has no descriptor of its own. */
static int
place_standard(int output_fd)
{
	int fd = open("/dev/null", O_RDWR);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return -errno;
	if (output_fd != OUTPUT_KEPT && dup2(output_fd < 0 ? fd : output_fd, STDOUT_FILENO) < 0)
		return -errno;
	if (output_fd >= 0 && dup2(output_fd, STDERR_FILENO) < 0)
		return -errno;
	if (fd > STDERR_FILENO)
		close(fd);
	return 0;
}

static void
default_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Appends the name of the stream that stderr may be: numbers and a colon, see log_find_journal(). false: there is none. */
static bool
name_journal(char *text, size_t size)
{
	const char *name = getenv(LOG_JOURNAL_STREAM);
	size_t used = strlen(text);

	return name != NULL && name[strspn(name, "0123456789:")] == '\0' && str_copy(text + used, size - used, name) == 0;
}

static void
run(const char *path, char *const *argv, const int *fds, unsigned n, int output_fd)
{
	/*
	 * Restartable sequences are of use to programs with threads on many processors.  Here the kernel's note of
	 * the processor costs each session process a page, and some time whenever it is moved.
	 */
	static char search[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C",
	    tunables[] = "GLIBC_TUNABLES=glibc.pthread.rseq=0";
	char journal[64] = LOG_JOURNAL_STREAM "=";
	char *const environment[] = { search, locale, tunables, name_journal(journal, sizeof journal) ? journal : NULL, NULL };
	int r;

	default_signals();
	/*
	 * Signals of a terminal or to the group of the server reach the listener alone, which then ends all in
	 * order.
	 */
	(void)setsid();
	r = place_standard(output_fd);
	if (r == 0)
		r = place_fds(fds, n);
	if (r == 0) {
		execve(path, argv, environment);
		r = -errno;
	}
	dprintf(STDERR_FILENO, "sallyportd: cannot execute %s: %s\n", path, sp_strerror(r));
	_exit(SP_EXIT_OS);
}

static int
start(const char *path, char *const *argv, const int *fds, unsigned n, int output_fd, struct spawned *child)
{
	int pid_fd = -1;
	pid_t pid;

	if (n > SPAWN_FDS_MAX)
		return -EINVAL;
	if (access(path, X_OK) < 0)
		return -errno;
	pid = fork_with_fd(&pid_fd);
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(path, argv, fds, n, output_fd);
	child->pid = pid;
	child->pid_fd = pid_fd;
	return 0;
}

int
spawn_signal(const struct spawned *child, int number)
{
	if (syscall(SYS_pidfd_send_signal, child->pid_fd, number, NULL, 0) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -errno;
	/* A kernel or container without that call. The number is this child's until the caller has waited for it. */
	return kill(child->pid, number) < 0 ? -errno : 0;
}

int
spawn_program(const char *path, const char *name, const int *fds, unsigned n, struct spawned *child)
{
	char *const argv[] = { (char *)(uintptr_t)name, NULL };

	return start(path, argv, fds, n, OUTPUT_NOWHERE, child);
}

int
spawn_logging(const char *path, const char *name, const int *fds, unsigned n, struct spawned *child)
{
	char *const argv[] = { (char *)(uintptr_t)name, NULL };

	return start(path, argv, fds, n, OUTPUT_KEPT, child);
}

int
spawn_command(const char *path, const char *const *argv, int *output_fd, struct spawned *child)
{
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	r = start(path, (char *const *)(uintptr_t)argv, NULL, 0, ends[1], child);
	close(ends[1]);
	if (r != 0)
		close(ends[0]);
	else
		*output_fd = ends[0];
	return r;
}
