/*
 * A parent looks at a child from outside, in /proc, before it counts as
 * ready: readiness is otherwise only a claim.  Used by the listener (spares,
 * keeper) and the monitor (its agent after PROFILE_OK).  Trusts the kernel.
 */
#ifndef PRIVSEP_VERIFY_H
#define PRIVSEP_VERIFY_H

#include <stddef.h>
#include <sys/types.h>

#include "privsep/role.h"

struct verify_want {
	uid_t uid;		/* all four uids of the process */
	gid_t gid;		/* all four gids */
	const gid_t *groups;	/* supplementary groups in any order; NULL: not compared */
	size_t group_count;
	uint64_t caps;		/* permitted and effective are within these */
	unsigned filters;	/* seccomp mode 2 and at least so many filters; 0: not compared */
};

/*
 * Compares /proc/PID/status with what must hold; no_new_privs always.  pid
 * must not have been reaped.  0; SP_ENOTDROPPED with the reason in why[size];
 * -errno when it cannot be read.
 */
int verify_process(pid_t pid, const struct verify_want *, char *why, size_t size);

/* The same with the wants of a role's row in a phase, for the user given. lax: filters are not compared. */
int verify_role(pid_t pid, enum msg_role, enum role_phase, const struct role_id *, bool lax, char *why, size_t size);

#endif
