/*
 * From inside each filter: what it forbids kills, what it refuses fails with
 * the announced errno, what it does not know fails with ENOSYS and is
 * named, in every phase of every role.  The expectation is the table's
 * (sandbox_verdict()); some rows are stated here once more by hand, so that a
 * wrong table does not prove itself.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "privsep/sandbox.h"
#include "tests/unit/run.h"

#define CALLS 470

static const enum msg_role roles[] = { ROLE_LISTENER, ROLE_MONITOR, ROLE_WORKER, ROLE_AGENT, ROLE_KEEPER,
    ROLE_CLERK, ROLE_VERIFIER };

#define ROLES ((int)(sizeof roles / sizeof roles[0]))

static char *
call_name(int call)
{
	return seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
}

/* All arguments -1: no call can do anything with them. The result, or -errno. */
static long
attempt(int call)
{
	long r = syscall(call, -1L, -1L, -1L, -1L, -1L, -1L);

	return r < 0 ? -errno : r;
}

/* Ends with a code that says what was seen: 0 as expected. */
static void
enter(enum msg_role role, int phase)
{
	if (sandbox_prepare(role, false) != 0 || sandbox_enter((enum role_phase)phase) != 0)
		_exit(99);
}

static int
in_child(void (*f)(enum msg_role, int phase, int call), enum msg_role role, int phase, int call)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		enter(role, phase);
		f(role, phase, call);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void
try_killed(enum msg_role role, int phase, int call)
{
	(void)role, (void)phase;
	(void)attempt(call);
}

static void
check_killed(enum msg_role role, int phase, int call)
{
	int status = in_child(try_killed, role, phase, call);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
		char *name = call_name(call);

		ck_abort_msg("%s in phase %s survives %s", role_row(role)->name, role_phase_name((enum role_phase)phase), name);
	}
}

/* All calls that do not kill and are not allowed, in one process, which names those that are answered wrongly. */
static void
try_refused(enum msg_role role, int phase, int unused)
{
	int wrong = 0;

	(void)unused;
	for (int call = 0; call < CALLS; call++) {
		char verdict = sandbox_verdict(role, (enum role_phase)phase, call);
		long r;

		/* x86's uprobe calls pass every filter by design and end whoever has no probe. */
		if ((verdict != 'r' && verdict != 'l') || call == 335 || call == 336)
			continue;
		r = attempt(call);
		if (verdict == 'l' ? r != -ENOSYS : (r != -ENOSYS && r != -EPERM && r != -EACCES))
			wrong += printf("%s in %s: %s is '%c' and answered %ld\n", role_row(role)->name,
			    role_phase_name((enum role_phase)phase), call_name(call), verdict, r);
	}
	fflush(stdout);
	_exit(wrong != 0);
}

START_TEST(every_call_in_every_phase)
{
	enum msg_role role = roles[_i];
	const struct role_row *row = role_row(role);

	for (int phase = 0; phase < PHASE_COUNT; phase++) {
		unsigned kills = 0;
		int status;

		if (role_filters(row, (enum role_phase)phase) == 0)
			continue;
		for (int call = 0; call < CALLS; call++)
			if (sandbox_verdict(role, (enum role_phase)phase, call) == 'k') {
				check_killed(role, phase, call);
				kills++;
			}
		ck_assert_uint_gt(kills, 10);
		status = in_child(try_refused, role, phase, 0);
		ck_assert_msg(status == 0, "%s in phase %s: a refused call was answered wrongly (status %#x)", row->name,
		    role_phase_name((enum role_phase)phase), (unsigned)status);
	}
}
END_TEST

/* Stated by hand: what must never be possible. */
static const struct {
	enum msg_role role;
	enum role_phase phase;
	int call;
	char verdict;
} must[] = {
	{ ROLE_WORKER, PHASE_TEMPLATE, SYS_socket, 'l' },
	{ ROLE_WORKER, PHASE_TEMPLATE, SYS_openat, 'r' },
	{ ROLE_WORKER, PHASE_TEMPLATE, SYS_execve, 'k' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_clone, 'k' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_connect, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_bind, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_kill, 'k' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_ptrace, 'k' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_ftruncate, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_fchmod, 'l' },
	{ ROLE_WORKER, PHASE_TEMPLATE, SYS_prctl, 'a' },
	{ ROLE_WORKER, PHASE_TEMPLATE, SYS_prlimit64, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_prctl, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_seccomp, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_prlimit64, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_setrlimit, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_dup2, 'l' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_sendmsg, 'c' },
	{ ROLE_WORKER, PHASE_SPARE, SYS_sendmmsg, 'l' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_prlimit64, 'l' },
	{ ROLE_MONITOR, PHASE_LIVE, SYS_prlimit64, 'l' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_setresuid, 'k' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_setgroups, 'k' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_chroot, 'k' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_clone, 'k' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_execve, 'k' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_openat, 'r' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_mknodat, 'l' },
	{ ROLE_AGENT, PHASE_LIVE, SYS_openat2, 'a' },
	{ ROLE_MONITOR, PHASE_LIVE, SYS_execve, 'k' },
	{ ROLE_MONITOR, PHASE_LIVE, SYS_setresuid, 'k' },
	{ ROLE_MONITOR, PHASE_LIVE, SYS_unlinkat, 'l' },
	{ ROLE_MONITOR, PHASE_SPARE, SYS_execve, 'a' },
	{ ROLE_MONITOR, PHASE_SPARE, SYS_bpf, 'k' },
	{ ROLE_MONITOR, PHASE_SPARE, SYS_mount, 'r' },
	{ ROLE_KEEPER, PHASE_LIVE, SYS_socket, 'l' },
	{ ROLE_KEEPER, PHASE_LIVE, SYS_openat, 'r' },
	{ ROLE_KEEPER, PHASE_LIVE, SYS_execve, 'k' },
	{ ROLE_VERIFIER, PHASE_LIVE, SYS_socket, 'l' },
	{ ROLE_VERIFIER, PHASE_LIVE, SYS_connect, 'l' },
	{ ROLE_VERIFIER, PHASE_LIVE, SYS_openat, 'r' },
	{ ROLE_VERIFIER, PHASE_LIVE, SYS_execve, 'k' },
	{ ROLE_VERIFIER, PHASE_LIVE, SYS_kill, 'k' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_execve, 'k' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_clone, 'k' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_setresuid, 'k' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_capset, 'k' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_chroot, 'k' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_bind, 'l' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_mknodat, 'l' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_symlinkat, 'l' },
	{ ROLE_CLERK, PHASE_LIVE, SYS_prctl, 'l' },
	{ ROLE_LISTENER, PHASE_LIVE, SYS_ptrace, 'k' },
	{ ROLE_LISTENER, PHASE_LIVE, SYS_init_module, 'k' },
};

START_TEST(what_must_never_be_possible)
{
	char *name = call_name(must[_i].call), verdict = sandbox_verdict(must[_i].role, must[_i].phase, must[_i].call);

	ck_assert_msg(verdict == must[_i].verdict, "%s in phase %s: %s is '%c'", role_row(must[_i].role)->name,
	    role_phase_name(must[_i].phase), name, verdict);
	free(name);
}
END_TEST

/* Arguments decide: executable memory, other kinds of sockets, append flags taken away. */
static void
try_arguments(enum msg_role role, int phase, int unused)
{
	(void)role, (void)phase, (void)unused;
	if (syscall(SYS_mmap, 0L, 4096L, 7L, 0x22L, -1L, 0L) != -1 || errno != ENOSYS)
		_exit(1);
	if (syscall(SYS_socket, 16L, 3L, 0L) != -1 || errno != ENOSYS)
		_exit(2);
	if (syscall(SYS_fcntl, 0L, 4L, 0x400L) != -1 && role == ROLE_WORKER)
		_exit(3);
	if (syscall(SYS_sendto, 1L, "x", 1L, 0L, "addr", 4L) != -1 || errno != ENOSYS)
		_exit(4);
}

START_TEST(arguments_decide)
{
	static const enum msg_role listed[] = { ROLE_WORKER, ROLE_AGENT };
	int status = in_child(try_arguments, listed[_i], PHASE_LIVE, 0);

	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "check %d", WEXITSTATUS(status));
}
END_TEST

/* A service on the loopback that nobody has connected to; its address. */
static int
make_service(struct sockaddr_in *at)
{
	socklen_t len = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)at, sizeof *at), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
	return fd;
}

/*
 * What a worker is handed for an active data connection: a socket whose
 * connect(2) was begun by its agent, and failed.  With MSG_FASTOPEN, sendmsg(2)
 * is another connect(2), to an address that no filter can see.
 */
START_TEST(nothing_connects_by_sending)
{
	static const enum msg_role senders[] = { ROLE_WORKER, ROLE_KEEPER, ROLE_VERIFIER };
	struct sockaddr_in service, nobody;
	struct iovec v = { (void *)(uintptr_t)"x", 1 };
	struct msghdr h = { .msg_name = &service, .msg_namelen = sizeof service, .msg_iov = &v, .msg_iovlen = 1 };
	int listen_fd = make_service(&service), fd = socket(AF_INET, SOCK_STREAM, 0), status;
	pid_t pid;

	close(make_service(&nobody));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&nobody, sizeof nobody), -1);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		enter(senders[_i], PHASE_LIVE);
		_exit(sendmsg(fd, &h, MSG_FASTOPEN | MSG_NOSIGNAL) == -1 && errno == ENOSYS &&
		    sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&service, sizeof service) == -1 &&
		    errno == ENOSYS ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "the call was not refused (status %#x)", (unsigned)status);
	ck_assert_int_eq(accept(listen_fd, NULL, NULL), -1);
	close(fd);
	close(listen_fd);
}
END_TEST

static int told;

static void
listen_to_log(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context, (void)level, (void)len;
	/* Any other line would be wrong as well. */
	told += strstr(text, "syscall=socket ") != NULL ? 1 : 100;
}

/* Each unknown call is named once. */
static void
try_report(enum msg_role role, int phase, int unused)
{
	(void)role, (void)phase, (void)unused;
	log_set_sink(listen_to_log, NULL);
	for (int i = 0; i < 3; i++) {
		(void)attempt(SYS_socket);
		sandbox_report();
	}
	_exit(told == 1 ? 0 : 1);
}

START_TEST(unknown_calls_are_named_once)
{
	ck_assert_int_eq(in_child(try_report, ROLE_WORKER, PHASE_SPARE, 0), 0);
}
END_TEST

static Suite *
inside_suite(void)
{
	Suite *s = suite_create("roles-inside");
	TCase *t = tcase_create("filters");

	tcase_add_loop_test(t, every_call_in_every_phase, 0, ROLES);
	tcase_add_loop_test(t, what_must_never_be_possible, 0, (int)(sizeof must / sizeof must[0]));
	tcase_add_loop_test(t, arguments_decide, 0, 2);
	tcase_add_loop_test(t, nothing_connects_by_sending, 0, 2);
	tcase_add_test(t, unknown_calls_are_named_once);
	suite_add_tcase(s, t);
	return s;
}

int
main(void)
{
	static Suite *(*const suites[])(void) = { inside_suite };

	return tests_run(suites, 1);
}
