/*
 * System call filters, from the table privsep/syscalls.def.
 *
 * A process enters its phases one after the other.  The filter of the first
 * one lists everything that the role ever needs; those of the later phases
 * take away what only the earlier ones needed.  All are made by libseccomp
 * once, in the listener, and loaded as prepared programs.
 *
 * What happens to other calls:
 *   listed as FORBID   dangerous: the process is killed (SIGSYS)
 *   listed as REFUSE   a library probes for it: the listed errno, silently
 *   anything else      ENOSYS, and sandbox_report() names it in the log
 */
#ifndef PRIVSEP_SANDBOX_H
#define PRIVSEP_SANDBOX_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "privsep/role.h"

#define SANDBOX_PROGRAM_MAX 1024	/* instructions of one filter */

/* The prepared filters of a role, a program for each phase (length 0: none). */
struct sandbox_programs {
	uint32_t role;
	uint32_t len[PHASE_COUNT];
	struct sock_filter code[PHASE_COUNT][SANDBOX_PROGRAM_MAX];
};

/*
 * Makes and takes the filters of all phases of a role.  To be called once,
 * before the sandbox is entered.  lax (sandbox = best_effort): later failures
 * are logged and not errors.  Needs libseccomp.  0 or -errno.
 */
int sandbox_prepare(enum msg_role, bool lax);

/*
 * The same in two processes, with the filters of the role's helper as well, so that what is forked for each session
 * need not have libseccomp mapped: the listener makes the filters (a sealed memory file, close-on-exec; or a
 * negative code), the template takes them from it.  The fd stays the caller's.
 */
int sandbox_seal(enum msg_role);
int sandbox_unseal(int fd, enum msg_role, bool lax);

/* The halves of both: makes them; takes them (kept by reference for the life of the process). 0 or a negative code. */
int sandbox_make(enum msg_role, struct sandbox_programs *);
int sandbox_take(const struct sandbox_programs *, enum msg_role, bool lax);

/*
 * For a child that goes on as the helper of its role (role_helper()): enters
 * that role's last phase for ever, whose filters came with sandbox_unseal().
 * 0 or -errno (-EINVAL: they did not).
 */
int sandbox_become(enum msg_role helper);

/* Enters a phase for ever. Sets no_new_privs. 0 or -errno (-EINVAL: no filters were prepared or taken). */
int sandbox_enter(enum role_phase);

/*
 * Logs the system calls refused since the last call, each kind once a
 * process.  Cheap when there is nothing to tell: call it once in every turn of a
 * loop that does not pass privsep/template.
 */
void sandbox_report(void);

/* Writes the table for a reader: role, system call, until which phase, arguments, reason. */
void sandbox_print(FILE *);

/*
 * What becomes of a call in a phase: allowed, with certain arguments, refused, killed, refused and logged (a c r k
 * l).
 */
char sandbox_verdict(enum msg_role, enum role_phase, int syscall_number);

#endif
