#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "privsep/sandbox.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

enum { W = 1 << ROLE_WORKER, A = 1 << ROLE_AGENT, M = 1 << ROLE_MONITOR, K = 1 << ROLE_KEEPER, C = 1 << ROLE_CLERK,
	V = 1 << ROLE_VERIFIER, L = 1 << ROLE_LISTENER };
#define KILLING_API 3	/* libseccomp's level of interface that has SCMP_ACT_KILL_PROCESS */

enum { T = PHASE_TEMPLATE, S = PHASE_SPARE, E = PHASE_LIVE };
enum strictness { NARROW, SOFT, HARD };

struct allowed {
	const char *name, *reason;
	int call;
	unsigned roles;
	int until;
	unsigned arg_count;
	struct scmp_arg_cmp args[2];
	const char *args_text;
};

struct other {
	const char *name, *reason;
	int call;
	int how;		/* an errno, or enum strictness */
};

#define ANY			0, { { 0, 0, 0, 0 } }, ""
#define EQ(i, v)		1, { { i, SCMP_CMP_EQ, v, 0 } }, "argument " #i " is " #v
#define EQ2(i, v, j, w)		2, { { i, SCMP_CMP_EQ, v, 0 }, { j, SCMP_CMP_EQ, w, 0 } }, \
				"argument " #i " is " #v ", " #j " is " #w
#define NOBITS(i, m)		1, { { i, SCMP_CMP_MASKED_EQ, m, 0 } }, "argument " #i " without " #m

#define REFUSE(call, error, reason)
#define FORBID(call, how, reason)
#define SYS(call, roles, until, args, reason) { #call, reason, SCMP_SYS(call), roles, until, args },
static const struct allowed allow[] = {
#include "privsep/syscalls.def"
};
#undef SYS
#undef REFUSE
#define SYS(call, roles, until, args, reason)
#define REFUSE(call, error, reason) { #call, reason, SCMP_SYS(call), error },
static const struct other refuse[] = {
#include "privsep/syscalls.def"
};
#undef REFUSE
#undef FORBID
#define REFUSE(call, error, reason)
#define FORBID(call, how, reason) { #call, reason, SCMP_SYS(call), how },
static const struct other forbid[] = {
#include "privsep/syscalls.def"
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static const struct allowed *
find_allowed(enum msg_role role, int phase, int call)
{
	for (size_t i = 0; i < ROWS(allow); i++)
		if (allow[i].call == call && (allow[i].roles & 1u << role) != 0 && allow[i].until >= phase)
			return &allow[i];
	return NULL;
}

static const struct other *
find_other(const struct other *table, size_t rows, int call)
{
	for (size_t i = 0; i < rows; i++)
		if (table[i].call == call)
			return &table[i];
	return NULL;
}

/* Calls that do not exist on this machine have negative numbers here and need no rule. */
static int
rule(scmp_filter_ctx ctx, uint32_t action, int call, unsigned n, const struct scmp_arg_cmp *args)
{
	return call < 0 ? 0 : seccomp_rule_add_array(ctx, action, call, n, args);
}

/* Filters add up: what the broad one of an earlier phase kills need not stand in the list. */
static bool
kills_already(enum msg_role role, int phase, const struct other *f)
{
	const struct role_row *row = role_row(role);

	for (int p = 0; p < phase; p++)
		if (row->filter[p] == FILTER_BROAD && f->how == HARD && find_allowed(role, p, f->call) == NULL)
			return true;
	return false;
}

static int
add_listed(scmp_filter_ctx ctx, enum msg_role role, int phase)
{
	int r = 0;

	for (size_t i = 0; i < ROWS(allow) && r == 0; i++)
		if ((allow[i].roles & 1u << role) != 0 && allow[i].until >= phase)
			r = rule(ctx, SCMP_ACT_ALLOW, allow[i].call, allow[i].arg_count, allow[i].args);
	for (size_t i = 0; i < ROWS(refuse) && r == 0; i++)
		if (find_allowed(role, phase, refuse[i].call) == NULL)
			r = rule(ctx, SCMP_ACT_ERRNO((uint16_t)refuse[i].how), refuse[i].call, 0, NULL);
	for (size_t i = 0; i < ROWS(forbid) && r == 0; i++)
		if (find_allowed(role, phase, forbid[i].call) == NULL && !kills_already(role, phase, &forbid[i]))
			r = rule(ctx, SCMP_ACT_KILL_PROCESS, forbid[i].call, 0, NULL);
	return r;
}

static int
add_forbidden(scmp_filter_ctx ctx, enum msg_role role, int phase)
{
	int r = 0;

	for (size_t i = 0; i < ROWS(forbid) && r == 0; i++)
		if (forbid[i].how != NARROW && find_allowed(role, phase, forbid[i].call) == NULL)
			r = rule(ctx, forbid[i].how == HARD ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM),
			    forbid[i].call, 0, NULL);
	return r;
}

/* What the phases before this one had and this one has not. */
static int
add_taken_away(scmp_filter_ctx ctx, enum msg_role role, int phase)
{
	int r = 0;

	for (size_t i = 0; i < ROWS(allow) && r == 0; i++) {
		int call = allow[i].call;

		if (find_allowed(role, PHASE_TEMPLATE, call) != &allow[i] || find_allowed(role, phase, call) != NULL)
			continue;
		r = rule(ctx, find_other(forbid, ROWS(forbid), call) != NULL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_TRAP,
		    call, 0, NULL);
	}
	return r;
}

/* The filter as a program for seccomp(2), which the C library does not wrap. */
static int
export_program(scmp_filter_ctx ctx, struct sandbox_programs *all, int phase)
{
	struct stat st;
	int r, fd = memfd_create("filter", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(ctx, fd);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && (size_t)st.st_size > sizeof all->code[phase])
		r = -E2BIG;
	if (r == 0 && pread(fd, all->code[phase], (size_t)st.st_size, 0) != st.st_size)
		r = -EIO;
	if (r == 0)
		all->len[phase] = (uint32_t)((size_t)st.st_size / sizeof all->code[phase][0]);
	close(fd);
	return r;
}

static int
make_filter(enum msg_role role, int phase, enum role_filter kind, struct sandbox_programs *all)
{
	scmp_filter_ctx ctx;
	int r;

	/*
	 * The library asks the kernel what it can do, and makes no such filter where it is told nothing.  Whether the
	 * filter can be loaded is seen when that is tried.
	 */
	if (seccomp_api_get() < KILLING_API && (r = seccomp_api_set(KILLING_API)) != 0)
		return r;
	ctx = seccomp_init(kind == FILTER_LIST ? SCMP_ACT_TRAP : SCMP_ACT_ALLOW);
	if (ctx == NULL)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A binary tree: older libraries have none, and do with the list. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0 && kind == FILTER_LIST)
		r = add_listed(ctx, role, phase);
	else if (r == 0 && kind == FILTER_BROAD)
		r = add_forbidden(ctx, role, phase);
	else if (r == 0)
		r = add_taken_away(ctx, role, phase);
	if (r == 0)
		r = export_program(ctx, all, phase);
	seccomp_release(ctx);
	return r;
}

int
sandbox_make(enum msg_role role, struct sandbox_programs *all)
{
	const struct role_row *row = role_row(role);
	int r = 0;

	memset(all, 0, sizeof *all);
	all->role = role;
	for (int phase = 0; phase < PHASE_COUNT && r == 0; phase++)
		if (row->filter[phase] != FILTER_NONE)
			r = make_filter(role, phase, row->filter[phase], all);
	return r;
}

int
sandbox_prepare(enum msg_role role, bool lax)
{
	static struct sandbox_programs all;
	int r = sandbox_make(role, &all);

	return r != 0 ? r : sandbox_take(&all, role, lax);
}

/* The filters of a role as they are written. */
static int
write_programs(int fd, enum msg_role role)
{
	static struct sandbox_programs all;
	int r = sandbox_make(role, &all);

	return r != 0 ? r : write(fd, &all, sizeof all) == (ssize_t)sizeof all ? 0 : -EIO;
}

int
sandbox_seal(enum msg_role role)
{
	int r, fd = memfd_create("filters", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	r = write_programs(fd, role);
	if (r == 0 && role_helper(role) != ROLE_ANY)
		r = write_programs(fd, role_helper(role));
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -EIO;
	if (r != 0)
		close(fd);
	return r != 0 ? r : fd;
}

static char
broad_verdict(enum msg_role role, int phase, int call)
{
	const struct other *f = find_other(forbid, ROWS(forbid), call);

	if (f == NULL || f->how == NARROW || find_allowed(role, phase, call) != NULL)
		return 'a';
	return f->how == HARD ? 'k' : 'r';
}

/* The phase whose filter decides: what was loaded last, of one kind or of any. -1: nothing yet. */
static int
last_filter(const struct role_row *row, int phase, bool list_only)
{
	while (phase >= 0 && (list_only ? row->filter[phase] != FILTER_LIST : row->filter[phase] == FILTER_NONE))
		phase--;
	return phase;
}

char
sandbox_verdict(enum msg_role role, enum role_phase phase, int call)
{
	const struct role_row *row = role_row(role);
	int last = last_filter(row, (int)phase, false), list = last_filter(row, (int)phase, true);
	const struct allowed *a;

	if (last < 0)
		return 'a';
	if (row->filter[last] == FILTER_BROAD)
		return broad_verdict(role, last, call);
	a = find_allowed(role, last, call);
	if (a != NULL)
		return a->arg_count == 0 ? 'a' : 'c';
	/* Only the list knows polite refusals; what a later phase takes away was in the list. */
	if (find_other(refuse, ROWS(refuse), call) != NULL && find_allowed(role, list, call) == NULL)
		return 'r';
	return find_other(forbid, ROWS(forbid), call) != NULL ? 'k' : 'l';
}

static void
print_roles(FILE *out, unsigned roles)
{
	static const struct { unsigned bit; char letter; } letters[] = {
		{ L, 'L' }, { M, 'M' }, { W, 'W' }, { A, 'A' }, { K, 'K' }, { C, 'C' }, { V, 'V' },
	};

	for (size_t i = 0; i < ROWS(letters); i++)
		putc((roles & letters[i].bit) != 0 ? letters[i].letter : '-', out);
}

void
sandbox_print(FILE *out)
{
	static const char *const strict[] = { "killed unless broad", "killed, EPERM when broad", "killed" };

	fprintf(out, "System calls (L listener, M monitor, W worker, A agent, K keeper, C clerk, V verifier)\n\n");
	for (size_t i = 0; i < ROWS(allow); i++) {
		print_roles(out, allow[i].roles);
		fprintf(out, " %-8s %-24s %s%s%s\n", role_phase_name(allow[i].until), allow[i].name,
		    allow[i].args_text, allow[i].arg_count > 0 ? ": " : "", allow[i].reason);
	}
	for (size_t i = 0; i < ROWS(refuse); i++)
		fprintf(out, "refused        %-24s %s: %s\n", refuse[i].name, strerror(refuse[i].how), refuse[i].reason);
	for (size_t i = 0; i < ROWS(forbid); i++)
		fprintf(out, "forbidden      %-24s %s: %s\n", forbid[i].name, strict[forbid[i].how], forbid[i].reason);
	fprintf(out, "\nAny other call of a listed role fails with ENOSYS and is named in the log.\n");
}
