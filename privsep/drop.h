/*
 * Giving privileges up, for ever and proved.  Every function either leaves
 * the process exactly as asked or returns an error, after which the process
 * must end (SP_EXIT_SANDBOX).  Used by templates, session processes, keeper
 * and listener; trusts its caller's numbers.
 *
 * Without root (sallyportd serve) there is no other user to become: uid and
 * groups stay, everything else holds.
 */
#ifndef PRIVSEP_DROP_H
#define PRIVSEP_DROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/conf.h"
#include "privsep/role.h"

struct drop_target {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;	/* supplementary ones, exactly these */
	size_t group_count;
	uint64_t caps;		/* permitted and effective afterwards */
};

/*
 * Becomes the target: groups, gid, uid, capabilities (all sets), then
 * no_new_privs, undumpable.  Then proves it: re-reads every id, the groups
 * and the capabilities, and tries to regain root, which must fail.  0,
 * -errno, or SP_ENOTDROPPED.
 */
int drop_to(const struct drop_target *);

/*
 * An agent becomes the user of its session: drop_to() without any
 * capability, then the filter of PHASE_LIVE.  uid 0 is refused (SP_EDENIED)
 * unless the whole server runs without privileges as that user.  jail_fd: a
 * directory that becomes its root, entered as the user (a home of mode 0700, a
 * share that knows no root), or -1; the fd stays the caller's.  lax (sandbox = best_effort): where the
 * system refuses chroot(2) the root stays as it is.  Call landlock_restrict_to() before.  0 or a negative code.
 */
int drop_to_user(uid_t uid, gid_t gid, const gid_t *groups, size_t group_count, int jail_fd, bool lax);

/*
 * A monitor leaves root after login: becomes monitor_user, keeps the named
 * capabilities only (bits of CAP_*; anything beyond roles.def is refused),
 * enters the filter of PHASE_LIVE.  To be given the id it found while warming up
 * (role_find_user() of the setting monitor_user).
 */
int drop_monitor(const struct role_id *, uint64_t caps);

/* Keeps only these capabilities and cuts the bounding set to them; the uid stays. 0 or -errno. */
int drop_caps(uint64_t permitted, uint64_t effective);

/* An empty folder that has no name any more becomes the root. 0 or -errno. */
int jail_to_nothing(void);

/*
 * A network namespace without any address; without root in a user namespace, where the system permits it. 0 or
 * -errno.
 */
int empty_network(void);

enum landlock_access {
	LANDLOCK_NOTHING,	/* no path at all; dir_fd is not used */
	LANDLOCK_READ_TREE,	/* read files, list folders below it */
	LANDLOCK_WRITE_TREE	/* and everything that changes them */
};

/*
 * From now on the process opens paths only below the directory (Landlock).
 * Descriptors that are open stay usable.  Needs no privilege, but sets
 * no_new_privs.  0, or -errno (landlock_is_missing()).
 */
int landlock_restrict_to(int dir_fd, enum landlock_access);

/* Does this code of landlock_restrict_to() mean that kernel or container have no Landlock for us? */
bool landlock_is_missing(int code);

/* No core files, few descriptors, as the role's row says. 0 or -errno. */
int drop_limits(const struct role_row *);

/* What the configuration says about parts that the system may lack. */
struct drop_how {
	bool lax;			/* sandbox = best_effort: what the system does not offer is logged and left out */
	int landlock;			/* CONF_LANDLOCK_* */
};

struct drop_how drop_how(const struct settings *);

/*
 * The end of every role's way into its sandbox that needs no path: an empty
 * network namespace, an empty root, Landlock without any path, limits, the
 * user and capabilities of the role's first phase (roles.def).  id: the user
 * that the row names, NULL for root.  The user is never left out.  0 or a
 * negative code, *what then says what failed.
 */
int drop_to_role(const struct role_row *, const struct role_id *id, const struct drop_how *, const char **what);

#endif
