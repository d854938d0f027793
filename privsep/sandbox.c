#include "config.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "privsep/sandbox.h"

static struct {
	const struct role_row *row;
	bool lax, told;
	int entered;			/* phases so far */
	const struct sandbox_programs *programs;
	const struct sandbox_programs *helper;	/* of the role that a child may take; NULL: none */
} box;

/* Calls that the filter answered with SIGSYS; the handler may interrupt anything. */
static volatile sig_atomic_t unreported;
static volatile unsigned char refused_calls[1024];	/* 0 never, 1 to be reported, 2 reported; the last: all numbers beyond */

static const struct {
	short number;
	char name[30];
} call_names[] = {
#define CALL_NAME(name, number) { number, #name },
#include "privsep/syscall_names.h"
#undef CALL_NAME
};

/* The call that was refused returns ENOSYS; its number is kept for sandbox_report(). */
static void
on_refused_call(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	unsigned call = (unsigned)info->si_syscall;

	(void)sig;
	call = call < sizeof refused_calls ? call : sizeof refused_calls - 1;
	if (refused_calls[call] == 0) {
		refused_calls[call] = 1;
		unreported = 1;
	}
#if defined(__x86_64__)
	u->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__aarch64__)
	u->uc_mcontext.regs[0] = (unsigned long long)-ENOSYS;
#elif defined(__riscv)
	u->uc_mcontext.__gregs[10] = (unsigned long)-ENOSYS;
#else
#error "say which register holds a system call's result"
#endif
}

int
sandbox_take(const struct sandbox_programs *programs, enum msg_role role, bool lax)
{
	struct sigaction on_sys = { .sa_sigaction = on_refused_call, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (programs->role != role)
		return SP_EFORMAT;
	for (int phase = 0; phase < PHASE_COUNT; phase++)
		if (programs->len[phase] > SANDBOX_PROGRAM_MAX)
			return SP_EFORMAT;
	box.row = role_row(role);
	box.lax = lax;
	box.entered = 0;
	box.programs = programs;
	return sigaction(SIGSYS, &on_sys, NULL) < 0 ? -errno : 0;
}

/* The programs that stand at a place of the file, kept for the life of the process. */
static int
read_programs(int fd, off_t at, struct sandbox_programs **out)
{
	struct sandbox_programs *p = malloc(sizeof *p);
	int r = p == NULL ? -ENOMEM : pread(fd, p, sizeof *p, at) != (ssize_t)sizeof *p ? SP_ETRUNC : 0;

	if (r != 0)
		free(p);
	else
		*out = p;
	return r;
}

int
sandbox_unseal(int fd, enum msg_role role, bool lax)
{
	struct sandbox_programs *own = NULL, *helper = NULL;
	int r = read_programs(fd, 0, &own);

	if (r == 0)
		r = sandbox_take(own, role, lax);
	if (r == 0 && role_helper(role) != ROLE_ANY)
		r = read_programs(fd, sizeof *own, &helper);
	if (r == 0 && helper != NULL && helper->role != role_helper(role))
		r = SP_EFORMAT;
	if (r == 0) {
		box.helper = helper;
	} else {
		box.programs = NULL;
		free(own);
		free(helper);
	}
	return r;
}

int
sandbox_become(enum msg_role role)
{
	bool lax = box.lax;
	int r = box.helper == NULL || box.helper->role != role ? -EINVAL : sandbox_take(box.helper, role, lax);

	return r != 0 ? r : sandbox_enter(PHASE_LIVE);
}

int
sandbox_enter(enum role_phase phase)
{
	if (box.programs == NULL)
		return -EINVAL;
	/* Once set it stays, and children inherit it. */
	if (box.entered == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (; box.entered <= (int)phase; box.entered++) {
		struct sock_fprog p = {
			(unsigned short)box.programs->len[box.entered],
			(struct sock_filter *)(uintptr_t)box.programs->code[box.entered],
		};

		if (p.len == 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) == 0)
			continue;
		if (!box.lax)
			return -errno;
		/* Sessions inherit that it has been said. */
		if (!box.told)
			log_problem(EVENT_SANDBOX_INCOMPLETE, box.row->name, -errno);
		box.told = true;
	}
	return 0;
}

static const char *
name_of(size_t call)
{
	for (size_t i = 0; i < sizeof call_names / sizeof call_names[0]; i++)
		if ((size_t)call_names[i].number == call)
			return call_names[i].name;
	return "?";
}

void
sandbox_report(void)
{
	if (unreported == 0)
		return;
	unreported = 0;
	for (size_t i = 0; i < sizeof refused_calls; i++) {
		struct log_line l;

		if (refused_calls[i] != 1)
			continue;
		refused_calls[i] = 2;
		log_begin(&l, EVENT_SYSCALL_REFUSED);
		log_str(&l, FIELD_ROLE, box.row->name);
		log_str(&l, FIELD_SYSCALL, name_of(i));
		log_num(&l, FIELD_NUMBER, (int64_t)i);
		log_end(&l);
	}
}
