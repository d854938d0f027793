#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/fdutil.h"
#include "privsep/drop.h"
#include "privsep/part.h"
#include "privsep/spawn.h"

typedef int try_function(const struct role_id *);

#define PART(id, name, need, try, without, remedy) static try_function try;
#include "privsep/parts.def"
#undef PART

static const struct {
	struct part_row row;
	try_function *try;
} parts[PART_COUNT] = {
#define PART(id, name, need, try, without, remedy) [PART_##id] = { { name, NEED_##need, without, remedy }, try },
#include "privsep/parts.def"
#undef PART
};

const struct part_row *
part_row(enum part p)
{
	return &parts[p].row;
}

enum part_verdict
part_verdict(enum part p, int error, const struct settings *s)
{
	if (error == SP_EKILLED && p != PART_LANDLOCK)
		return PART_FATAL;
	switch (parts[p].row.need) {
	case NEED_ALWAYS:
		return PART_FATAL;
	case NEED_SANDBOX:
		return s->sandbox == CONF_SANDBOX_BEST_EFFORT ? PART_TOLD : PART_FATAL;
	case NEED_LANDLOCK:
		return s->landlock == CONF_LANDLOCK_REQUIRE ? PART_FATAL
		       : s->landlock == CONF_LANDLOCK_OFF   ? PART_SILENT
							    : PART_TOLD;
	case NEED_WARN:
		return PART_TOLD;
	case NEED_OTHERWISE:
		break;
	}
	return PART_SILENT;
}

/* ------------------------------------------------------------------------- trials */

static int
try_memory_files(const struct role_id *id)
{
	int fd = fd_sealed("trial", "", 0);

	(void)id;
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* A child that waits to be ended. */
static pid_t
fork_waiting(int *pid_fd)
{
	pid_t pid = (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | SIGCHLD), NULL, pid_fd, NULL, NULL);

	/* Should the parent be ended by what it tries, nobody would end this one. */
	if (pid == 0) {
		(void)alarm(10);
		for (;;)
			(void)pause();
	}
	return pid;
}

static int
try_process_descriptors(const struct role_id *id)
{
	siginfo_t end = { 0 };
	int pid_fd = -1, r = 0;
	pid_t pid = fork_waiting(&pid_fd);

	(void)id;
	if (pid < 0)
		return -errno;
	(void)kill(pid, SIGKILL);
	if (waitid(P_PIDFD, (id_t)pid_fd, &end, WEXITED) < 0) {
		r = -errno;
		(void)waitpid(pid, NULL, 0);
	}
	close(pid_fd);
	return r;
}

static int
try_pidfd_signals(const struct role_id *id)
{
	int pid_fd = -1, r = 0;
	pid_t pid = fork_waiting(&pid_fd);

	(void)id;
	if (pid < 0)
		return -errno;
	if (syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0) < 0)
		r = -errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	close(pid_fd);
	return r;
}

static int
try_close_range(const struct role_id *id)
{
	(void)id;
	/* None has such a number. */
	return close_range(~0u, ~0u, 0) < 0 ? -errno : 0;
}

/* Below the root directory, which everybody may pass: the current one may be closed to who started the server. */
static int
try_openat2(const struct role_id *id)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	int r, top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	(void)id;
	if (top >= 0)
		fd = (int)syscall(SYS_openat2, top, ".", &how, sizeof how);
	r = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (top >= 0)
		close(top);
	return r;
}

static int
try_proc(const struct role_id *id)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)id;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static bool
has_cap(unsigned cap)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &head, data) == 0 && (data[cap / 32].permitted & 1u << cap % 32) != 0;
}

static int
try_killing(const struct role_id *id)
{
	(void)id;
	return geteuid() != 0 ? PART_NOT_TRIED : has_cap(CAP_KILL) ? 0 : -EPERM;
}

static int
try_limits(const struct role_id *id)
{
	(void)id;
	return drop_limits(role_row(ROLE_WORKER));
}

static int
try_network(const struct role_id *id)
{
	(void)id;
	return empty_network();
}

static int
try_root(const struct role_id *id)
{
	(void)id;
	return jail_to_nothing();
}

static int
try_landlock(const struct role_id *id)
{
	(void)id;
	return landlock_restrict_to(-1, LANDLOCK_NOTHING);
}

static int
try_users(const struct role_id *id)
{
	if (geteuid() != 0)
		return PART_NOT_TRIED;
	return setgroups(0, NULL) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
		       setresuid(id->uid, id->uid, id->uid) < 0
		   ? -errno
		   : 0;
}

static int
try_capabilities(const struct role_id *id)
{
	(void)id;
	return drop_caps(0, 0);
}

static int
try_bounding_set(const struct role_id *id)
{
	(void)id;
	if (geteuid() != 0)
		return PART_NOT_TRIED;
	return prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE, 0, 0, 0) < 0 ? -errno : 0;
}

static int
try_no_new_privs(const struct role_id *id)
{
	(void)id;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

static int
try_filters(const struct role_id *id)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = { 1, &all };

	(void)id;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) < 0 ? -errno : 0;
}

/* -------------------------------------------------------------------------- in turn */

/* Tries this part and those behind it, and tells what came of each as soon as it is known. */
static void
try_from(enum part first, const struct role_id *id, int fd)
{
	for (unsigned p = first; p < PART_COUNT; p++) {
		int r = parts[p].try(id);

		if (write(fd, &r, sizeof r) != (ssize_t)sizeof r)
			break;
	}
	_exit(0);
}

/* The number of parts that were tried before the child ended; -errno. */
static int
try_in_child(enum part first, const struct role_id *id, int errors[PART_COUNT])
{
	int ends[2], n = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		try_from(first, id, ends[1]);
	close(ends[1]);
	while (pid > 0 && first + (unsigned)n < PART_COUNT &&
	       read(ends[0], &errors[first + (unsigned)n], sizeof errors[0]) == (ssize_t)sizeof errors[0])
		n++;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return pid < 0 ? -EAGAIN : n;
}

int
parts_try(const struct role_id *id, int errors[PART_COUNT])
{
	unsigned p = 0;

	while (p < PART_COUNT) {
		int n = try_in_child((enum part)p, id, errors);

		if (n < 0)
			return n;
		p += (unsigned)n;
		if (p < PART_COUNT)
			errors[p++] = SP_EKILLED;
	}
	return 0;
}
