#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "daemon/listener/starter.h"
#include "daemon/listener/state.h"
#include "privsep/chan.h"
#include "privsep/drop.h"

static struct {
	char **argv;
	char program[4096];	/* "": unknown */
} start;

/* As it was called, if that is this program: what it names may be a link to whichever version is current. */
void
starter_remember(char **argv)
{
	struct stat called, self;
	ssize_t n;

	start.argv = argv;
	if (argv[0] != NULL && strchr(argv[0], '/') != NULL && stat(argv[0], &called) == 0 && stat("/proc/self/exe", &self) == 0 &&
	    called.st_dev == self.st_dev && called.st_ino == self.st_ino &&
	    str_copy(start.program, sizeof start.program, argv[0]) == 0)
		return;
	n = readlink("/proc/self/exe", start.program, sizeof start.program - 1);
	start.program[n < 0 ? 0 : n] = '\0';
}

/* The process that becomes the new generation. The link tells what became of that. */
static void
execute(int link_fd)
{
	struct msg_link_started started = { .pid = (uint32_t)getpid() };
	struct msg_link_refused refused = { .exit = SP_EXIT_OS };
	char number[STR_NUMBER_MAX];
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct chan link;

	chan_init(&link, link_fd, CH_LINK, ROLE_NEW);
	if (self < 0 || chan_send(&link, MSG_LINK_STARTED, 1, &started, &self, 1) != 0)
		_exit(SP_EXIT_OS);
	str_number(number, (uint64_t)link_fd, 10);
	if (fcntl(link_fd, F_SETFD, 0) == 0 && setenv(STARTER_LINK, number, 1) == 0)
		execv(start.program, start.argv);
	(void)str_format(refused.text, sizeof refused.text, "cannot execute %s: %s", start.program, sp_strerror(-errno));
	(void)chan_send(&link, MSG_LINK_REFUSED, 2, &refused, NULL, 0);
	_exit(SP_EXIT_OS);
}

/* A child's child: whoever waits for orphans is its parent, as the service manager wants of a main process. */
static void
start_one(int link_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		pid_t child = fork();

		if (child == 0)
			execute(link_fd);
		_exit(child < 0 ? SP_EXIT_OS : SP_EXIT_OK);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void
wait_for_orders(int fd)
{
	static struct msg m;
	struct chan c;
	int r;

	chan_init(&c, fd, CH_START, ROLE_STARTER);
	while ((r = chan_receive(&c, &m, ST_LIVE)) == 0 || r == -EINTR)
		if (r == 0) {
			start_one(m.fd[0]);
			msg_close(&m);
		}
	_exit(r == SP_ECLOSED ? SP_EXIT_OK : SP_EXIT_PROTOCOL);
}

/* No descriptor but its channel, which becomes the first behind the standard ones. */
static int
tidy(int fd)
{
	int own = STDERR_FILENO + 1;

	if (fd != own && dup3(fd, own, O_CLOEXEC) < 0)
		return -errno;
	/* By way of /proc where close_range(2) is missing or denied. */
	closefrom(own + 1);
	return own;
}

static void
run(const struct server *s, int fd)
{
	/* Ctrl-C is for the listener. */
	(void)setsid();
	(void)prctl(PR_SET_NAME, "sallyport-start", 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	fd = tidy(fd);
	/* It may pass on what the listener starts with, and uses nothing of it. */
	if (fd < 0 || (s->root && drop_caps(role_row(ROLE_STARTER)->caps[PHASE_LIVE], 0) != 0))
		_exit(SP_EXIT_SANDBOX);
	wait_for_orders(fd);
}

int
starter_fork(struct server *s)
{
	int ends[2], r = start.program[0] == '\0' ? -ENOENT : chan_pair(ends);
	pid_t pid;

	if (r != 0)
		return r;
	pid = fork();
	if (pid == 0)
		run(s, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	s->starter_fd = ends[0];
	s->starter_pid = pid;
	return 0;
}

void
starter_end(struct server *s)
{
	if (s->starter_fd >= 0)
		close(s->starter_fd);
	s->starter_fd = -1;
	s->starter_pid = 0;
}

int
starter_ask(struct server *s, int link_fd)
{
	static const struct msg_start m;
	struct chan c;
	int r;

	chan_init(&c, s->starter_fd, CH_START, ROLE_LISTENER);
	r = chan_send(&c, MSG_START, 1, &m, &link_fd, 1);
	if (r != 0) {
		(void)waitpid(s->starter_pid, NULL, WNOHANG);
		starter_end(s);
	}
	return r;
}
