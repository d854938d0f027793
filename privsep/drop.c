#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"

#define GROUPS_MAX 1024
#define FEW_GROUPS 32	/* as many are compared without touching a page for it */

/* What the bounding set still may hold: a child need not try what its template dropped. */
static uint64_t bounding = ~UINT64_C(0);

/*
 * Two calls of the kernel, made directly: each library that a session process has
 * mapped makes its fork and its end dearer.  libcap names capabilities for people (role_print.c).
 */
static int
set_caps(uint64_t permitted, uint64_t effective)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, 0 },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), 0 },
	};

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int
get_caps(uint64_t *permitted, uint64_t *effective, uint64_t *inheritable)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	*permitted = *effective = *inheritable = 0;
	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	*permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	*effective = data[0].effective | (uint64_t)data[1].effective << 32;
	*inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return 0;
}

/* Needs CAP_SETPCAP; without it (no root, a container) the set stays, and no_new_privs makes it worthless. */
static void
cut_bounding(uint64_t keep)
{
	for (unsigned c = 0; c < 64; c++) {
		uint64_t bit = UINT64_C(1) << c;

		if ((bounding & bit) == 0 || (keep & bit) != 0)
			continue;
		/* EINVAL: the kernel knows no such capability. */
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0 || errno == EINVAL)
			bounding &= ~bit;
	}
}

static int
narrow_caps(uint64_t permitted, uint64_t effective)
{
	uint64_t have, now, inheritable;
	int r = get_caps(&have, &now, &inheritable);

	/* What is not inheritable is not ambient, and set_caps() leaves nothing inheritable. */
	return r != 0 ? r : set_caps(have & permitted, have & effective & permitted);
}

int
drop_caps(uint64_t permitted, uint64_t effective)
{
	cut_bounding(permitted);
	return narrow_caps(permitted, effective);
}

static int
same_groups(const struct drop_target *t)
{
	static gid_t many[GROUPS_MAX];
	gid_t few[FEW_GROUPS], *have = t->group_count <= FEW_GROUPS ? few : many;
	int n = getgroups(0, NULL);

	if (n < 0)
		return -errno;
	if ((size_t)n != t->group_count)
		return SP_ENOTDROPPED;
	if (n == 0)
		return 0;
	if (getgroups(n, have) != n)
		return SP_ENOTDROPPED;
	/* The kernel keeps them sorted; the caller need not. */
	for (int i = 0; i < n; i++) {
		bool found = false;

		for (size_t j = 0; j < t->group_count && !found; j++)
			found = t->groups[j] == have[i];
		if (!found)
			return SP_ENOTDROPPED;
	}
	return 0;
}

static bool
same_ids(const struct drop_target *t)
{
	uid_t ru, eu, su;
	gid_t rg, eg, sg;

	return getresuid(&ru, &eu, &su) == 0 && getresgid(&rg, &eg, &sg) == 0 &&
	    ru == t->uid && eu == t->uid && su == t->uid && rg == t->gid && eg == t->gid && sg == t->gid;
}

/* For want of permission or, in a user namespace of our own, of any root. */
static bool
refused(int r)
{
	return r < 0 && (errno == EPERM || errno == EINVAL);
}

/* Tries to come back. Every attempt must fail. */
static bool
can_regain(const struct drop_target *t)
{
	uint64_t all = ~UINT64_C(0);

	if (t->uid != 0 && (!refused(setresuid((uid_t)-1, 0, (uid_t)-1)) || !refused(setuid(0))))
		return true;
	return set_caps(all, all) == 0;
}

static int
prove(const struct drop_target *t, bool groups_too)
{
	uint64_t permitted, effective, inheritable;
	int r = groups_too ? same_groups(t) : 0;

	if (r != 0)
		return r;
	if (!same_ids(t) || can_regain(t))
		return SP_ENOTDROPPED;
	r = get_caps(&permitted, &effective, &inheritable);
	if (r != 0)
		return r;
	return (permitted & ~t->caps) == 0 && (effective & ~t->caps) == 0 && inheritable == 0 ? 0 : SP_ENOTDROPPED;
}

/* Groups, gid, uid; capabilities survive the change of uid only as far as keep says. */
static int
become(const struct drop_target *t, uint64_t keep)
{
	if (setgroups(t->group_count, t->groups) < 0 || setresgid(t->gid, t->gid, t->gid) < 0)
		return -errno;
	if (t->uid != 0 && keep != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	if (setresuid(t->uid, t->uid, t->uid) < 0)
		return -errno;
	if (keep != 0 && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* The change of uid has emptied the effective set; what KEEPCAPS kept is permitted. */
static int
raise_cap(uint64_t cap)
{
	uint64_t have, now, inheritable;
	int r = get_caps(&have, &now, &inheritable);

	return r != 0 ? r : set_caps(have, cap);
}

static int
jail_to(int dir_fd)
{
	/* By the place, not by a name: the working directory is the new root, and nothing of the old one is left. */
	return fchdir(dir_fd) < 0 || chroot(".") < 0 ? -errno : 0;
}

/*
 * cut: the bounding set as well.  Where exec is forbidden and no_new_privs set
 * it has no effect any more, and each bit costs a call.
 */
static int
drop(const struct drop_target *t, int jail_fd, bool lax, bool cut)
{
	uint64_t jail_cap = jail_fd < 0 ? 0 : UINT64_C(1) << CAP_SYS_CHROOT;
	bool root = geteuid() == 0;
	int r = 0;

	if (!root && t->uid != geteuid())
		return -EPERM;
	if (t->group_count > GROUPS_MAX)
		return -EINVAL;
	if (cut)
		cut_bounding(t->caps);
	if (root)
		r = become(t, t->caps | jail_cap);
	if (r == 0 && root && jail_fd >= 0) {
		r = raise_cap(jail_cap);
		if (r == 0)
			r = jail_to(jail_fd);
		/* The listener has said at its start what is lost (PART_ROOT). */
		if (lax && (r == -EPERM || r == -ENOSYS))
			r = 0;
	}
	/* Containers often lack some of what a role may have at most. */
	if (r == 0)
		r = narrow_caps(t->caps, t->caps);
	if (r != 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return prove(t, root);
}

int
drop_to(const struct drop_target *t)
{
	return drop(t, -1, false, true);
}

/* The change of uid has cleared the parent-death signal: set it again. */
static int
rearm_parent_death(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 ? -errno : 0;
}

int
drop_to_user(uid_t uid, gid_t gid, const gid_t *groups, size_t count, int jail_fd, bool lax)
{
	struct drop_target t = { uid, gid, groups, count, 0 };
	int r;

	if (uid == 0)
		return SP_EDENIED;
	if (geteuid() != 0) {
		t.uid = geteuid();
		t.gid = getegid();
	}
	r = drop(&t, jail_fd, lax, false);
	if (r == 0)
		r = rearm_parent_death();
	return r != 0 ? r : sandbox_enter(PHASE_LIVE);
}

int
drop_monitor(const struct role_id *id, uint64_t caps)
{
	struct drop_target t = { id->uid, id->gid, NULL, 0, caps };
	int r;

	if ((caps & ~role_row(ROLE_MONITOR)->caps[PHASE_LIVE]) != 0)
		return SP_EDENIED;
	if (geteuid() != 0) {
		t.uid = geteuid();
		t.gid = getegid();
	}
	r = drop(&t, -1, false, false);
	if (r == 0)
		r = rearm_parent_death();
	return r != 0 ? r : sandbox_enter(PHASE_LIVE);
}

/* Whoever started the server may have set a lower one, which stays. */
static int
limit_to(__rlimit_resource_t what, rlim_t most)
{
	struct rlimit l;

	if (getrlimit(what, &l) < 0)
		return -errno;
	if (l.rlim_max > most)
		l.rlim_max = most;
	if (l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	return setrlimit(what, &l) < 0 ? -errno : 0;
}

int
drop_limits(const struct role_row *row)
{
	int r = limit_to(RLIMIT_CORE, 0);

	if (r == 0 && row->files != 0)
		r = limit_to(RLIMIT_NOFILE, row->files);
	if (r == 0 && row->memory != 0)
		r = limit_to(RLIMIT_DATA, (rlim_t)row->memory << 20);
	return r;
}

static int
in_a_folder_without_name(char *path)
{
	if (mkdtemp(path) == NULL)
		return -errno;
	/* As in jail_to(), the working directory is the new root. */
	return chdir(path) < 0 || rmdir(path) < 0 || chroot(".") < 0 ? -errno : 0;
}

int
jail_to_nothing(void)
{
	static const char *const places[] = { SP_RUNDIR "/root-XXXXXX", "/run/sallyport-XXXXXX", "/tmp/sallyport-XXXXXX" };
	int r = -ENOENT;

	for (size_t i = 0; i < sizeof places / sizeof places[0] && r != 0; i++) {
		char path[128];

		strncpy(path, places[i], sizeof path - 1);
		path[sizeof path - 1] = '\0';
		r = in_a_folder_without_name(path);
	}
	return r;
}

int
empty_network(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	if (errno != EPERM || geteuid() == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -errno;
	return 0;
}

/* A part of the sandbox that some systems do not offer. */
static int
part(const char *name, int r, bool lax, const char **what)
{
	if (r == 0)
		return 0;
	*what = name;
	if (!lax)
		return r;
	log_problem(EVENT_SANDBOX_INCOMPLETE, name, r);
	return 0;
}

struct drop_how
drop_how(const struct settings *s)
{
	return (struct drop_how){ s->sandbox == CONF_SANDBOX_BEST_EFFORT, s->landlock };
}

/* The third wall, behind an empty root and filters; the listener has said at its start where it is missing. */
static int
restrict_to_nothing(const struct drop_how *how, const char **what)
{
	int r = how->landlock == CONF_LANDLOCK_OFF ? 0 : landlock_restrict_to(-1, LANDLOCK_NOTHING);

	if (how->landlock == CONF_LANDLOCK_AUTO && landlock_is_missing(r))
		return 0;
	return part("Landlock", r, how->lax && how->landlock != CONF_LANDLOCK_REQUIRE, what);
}

int
drop_to_role(const struct role_row *row, const struct role_id *id, const struct drop_how *how, const char **what)
{
	bool root = geteuid() == 0;
	struct drop_target t = { 0, 0, NULL, 0, row->caps[PHASE_TEMPLATE] };
	int r = 0;

	r = part("resource limits", drop_limits(row), how->lax, what);
	if (r == 0 && (row->flags & ROLE_EMPTY_NET) != 0)
		r = part("empty network namespace", empty_network(), how->lax, what);
	if (r == 0 && (row->flags & ROLE_EMPTY_ROOT) != 0)
		r = part("empty root", jail_to_nothing(), how->lax, what);
	if (r == 0 && (row->flags & ROLE_EMPTY_ROOT) != 0)
		r = restrict_to_nothing(how, what);
	if (r != 0)
		return r;
	*what = "user and capabilities";
	if (root && row->user[PHASE_TEMPLATE] == USER_ROOT) {
		t.gid = getgid();
	} else if (root) {
		t.uid = id->uid;
		t.gid = id->gid;
	} else {
		t.uid = geteuid();
		t.gid = getegid();
	}
	return drop_to(&t);
}
