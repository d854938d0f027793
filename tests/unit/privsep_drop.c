#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"
#include "tests/unit/privsep.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

#define BIT(x)	(UINT64_C(1) << CAP_##x)
#define UID	64201
#define GID	64202

#define NOT_HERE 77	/* instead of a check's number: the kernel lacks what is tested */

static gid_t groups[] = { 64210, 64205, 64207 };
static char tree[] = "/tmp/tree-XXXXXX";

/* Each check returns a number of its own, so that the failure says which. */
static int
drop_to_a_user(void)
{
	struct drop_target t = { UID, GID, groups, 3, 0 };

	if (drop_to(&t) != 0)
		return 1;
	if (getuid() != UID || geteuid() != UID || getgid() != GID || getgroups(0, NULL) != 3)
		return 2;
	if (setuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0)
		return 3;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 4;
	return prctl(PR_CAPBSET_READ, CAP_SETUID, 0, 0, 0) == 0 ? 0 : 5;
}

static int
drop_keeps_named_capabilities(void)
{
	struct drop_target t = { UID, GID, NULL, 0, BIT(CHOWN) };
	char path[] = "/tmp/drop-XXXXXX";
	int fd = mkstemp(path), r = drop_to(&t);

	unlink(path);
	if (r != 0)
		return 1;
	if (fchown(fd, UID, GID) < 0)
		return 2;
	return fchmod(fd, 0600) == 0 && chroot("/") == 0 ? 3 : 0;
}

static int
drop_caps_of_root(void)
{
	struct drop_target t = { 0, 0, NULL, 0, BIT(SETUID) | BIT(SETGID) | BIT(SETPCAP) | BIT(SYS_CHROOT) };
	struct drop_target user = { UID, GID, groups, 2, 0 };

	char path[] = "/tmp/drop-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	if (drop_to(&t) != 0)
		return 1;
	if (fchown(fd, UID, GID) == 0)
		return 2;
	/* No change of uid has done it: a debugger of the same user is kept out by this alone. */
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 5;
	if (drop_to(&user) != 0)
		return 3;
	/* A second time there is nothing to come back from. */
	return drop_to(&t) == 0 ? 4 : 0;
}

/* Ambient capabilities would survive an exec. */
static int
drop_leaves_nothing_ambient(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return 1;
	data[0].inheritable |= 1u << CAP_CHOWN;
	if (syscall(SYS_capset, &head, data) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0) < 0)
		return 2;
	if (drop_caps(BIT(CHOWN), BIT(CHOWN)) != 0)
		return 3;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) != 0)
		return 4;
	return syscall(SYS_capget, &head, data) == 0 && (data[0].permitted & 1u << CAP_CHOWN) != 0 ? 0 : 5;
}

static int
drop_refuses_what_it_cannot_do(void)
{
	struct drop_target t = { UID, GID, NULL, 0, 0 }, other = { UID + 1, GID, NULL, 0, 0 };

	if (drop_to(&t) != 0)
		return 1;
	return drop_to(&other) == -EPERM ? 0 : 2;
}

static int
user_without_root(void)
{
	return drop_to_user(0, 0, NULL, 0, -1, false) == SP_EDENIED ? 0 : 1;
}

static int
user_in_a_jail(void)
{
	char path[] = "/tmp/jail-XXXXXX";
	int fd;

	/* A home that only its owner may enter. */
	if (mkdtemp(path) == NULL || chown(path, UID, GID) < 0 || chmod(path, 0700) < 0)
		return 1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rmdir(path);
	if (fd < 0 || sandbox_prepare(ROLE_AGENT, false) != 0 || sandbox_enter(PHASE_SPARE) != 0)
		return 2;
	if (drop_to_user(UID, GID, groups, 3, fd, false) != 0)
		return 3;
	/* The way up from the working directory ends at the jail: its inode is that of the root. */
	struct open_how how = { .flags = O_PATH | O_CLOEXEC };
	struct stat root, above;
	int up = (int)syscall(SYS_openat2, AT_FDCWD, "../../../..", &how, sizeof how);

	if (up < 0 || fstat(up, &above) < 0 || fstat(fd, &root) < 0 || above.st_ino != root.st_ino || above.st_dev != root.st_dev)
		return 6;
	/* openat2 is the only door, and there is no world behind it. */
	return faccessat(AT_FDCWD, "/etc/passwd", F_OK, 0) == 0 ? 4 : getgroups(0, NULL) == 3 ? 0 : 5;
}

static int
monitor_keeps_no_more_than_its_role(void)
{
	struct role_id id = { UID, GID };

	if (drop_monitor(&id, BIT(SETUID)) != SP_EDENIED)
		return 1;
	if (sandbox_prepare(ROLE_MONITOR, false) != 0 || sandbox_enter(PHASE_SPARE) != 0)
		return 2;
	if (drop_monitor(&id, BIT(CHOWN)) != 0)
		return 3;
	return getuid() == UID ? 0 : 4;
}

static int
empty_root(void)
{
	DIR *d;

	if (jail_to_nothing() != 0)
		return 1;
	d = opendir("/");
	if (d == NULL || readdir(d) != NULL)
		return 2;
	if (access("etc", F_OK) == 0 || access("../etc", F_OK) == 0)
		return 4;
	return mkdir("/x", 0700) == 0 || access("/etc", F_OK) == 0 ? 3 : 0;
}

static int
landlock_without_paths(void)
{
	int r = landlock_restrict_to(-1, LANDLOCK_NOTHING);

	if (landlock_is_missing(r))
		return NOT_HERE;
	if (r != 0)
		return 1;
	return open("/etc/passwd", O_RDONLY) >= 0 || open("/tmp", O_RDONLY) >= 0 ? 2 : 0;
}

static int
landlock_of_a_tree(enum landlock_access access, bool may_write)
{
	int dir = open(tree, O_RDONLY | O_DIRECTORY), fd, r;

	if (dir < 0)
		return 1;
	r = landlock_restrict_to(dir, access);
	if (landlock_is_missing(r))
		return NOT_HERE;
	if (r != 0)
		return 2;
	if (open("/etc/passwd", O_RDONLY) >= 0)
		return 3;
	fd = openat(dir, "file", O_WRONLY | O_CREAT, 0600);
	if ((fd >= 0) != may_write)
		return 4;
	(void)unlinkat(dir, "file", 0);
	return openat(dir, ".", O_RDONLY) >= 0 ? 0 : 5;
}

static int
landlock_reading(void)
{
	return landlock_of_a_tree(LANDLOCK_READ_TREE, false);
}

static int
landlock_writing(void)
{
	return landlock_of_a_tree(LANDLOCK_WRITE_TREE, true);
}

static int
limits_of_a_role(void)
{
	struct rlimit core, files, memory;

	if (drop_limits(role_row(ROLE_WORKER)) != 0)
		return 1;
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_DATA, &memory);
	if (memory.rlim_max != (rlim_t)role_row(ROLE_WORKER)->memory << 20 || memory.rlim_max == 0)
		return 3;
	return core.rlim_max == 0 && files.rlim_max == role_row(ROLE_WORKER)->files ? 0 : 2;
}

static int
worker_role(void)
{
	struct role_id id = { UID, GID };
	const struct drop_how how = { false, CONF_LANDLOCK_AUTO };
	const char *what = "";

	/* A folder that was open before: an empty root does not keep one out of it, Landlock does. */
	int before = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;

	if (drop_to_role(role_row(ROLE_WORKER), &id, &how, &what) != 0)
		return 1;
	if (getuid() != UID || getgroups(0, NULL) != 0)
		return 2;
	if (landlock && openat(before, ".", O_RDONLY | O_DIRECTORY) >= 0)
		return 4;
	return access("/etc", F_OK) == 0 ? 3 : 0;
}

static const struct {
	const char *name;
	int (*f)(void);
	bool filters;		/* enters one */
} cases[] = {
	{ "a user", drop_to_a_user, false },
	{ "named capabilities", drop_keeps_named_capabilities, false },
	{ "root with few capabilities, then a user", drop_caps_of_root, false },
	{ "nothing ambient", drop_leaves_nothing_ambient, false },
	{ "no way back", drop_refuses_what_it_cannot_do, false },
	{ "no session runs as root", user_without_root, false },
	{ "a jail entered as the user", user_in_a_jail, true },
	{ "the monitor", monitor_keeps_no_more_than_its_role, true },
	{ "an empty root", empty_root, false },
	{ "Landlock without paths", landlock_without_paths, false },
	{ "Landlock for reading", landlock_reading, false },
	{ "Landlock for writing", landlock_writing, false },
	{ "limits", limits_of_a_role, false },
	{ "the worker's role", worker_role, false },
};

START_TEST(dropping)
{
	int r;

	/* Without root there is nothing to drop. */
	if (needs_root(__func__) || (cases[_i].filters && needs_plain_build(__func__)))
		return;
	ck_assert_ptr_nonnull(mkdtemp(tree));
	r = privsep_in_child(cases[_i].f);
	ck_assert_int_eq(rmdir(tree), 0);
	if (r == NOT_HERE) {
		skip(__func__, "this kernel has no Landlock");
		return;
	}
	ck_assert_msg(r == 0, "%s: check %d", cases[_i].name, r);
}
END_TEST

/*
 * In the middle of three processes: makes the innermost one, which drops everything, says so and waits; then it
 * dies.
 */
static int
die_above(int ready, int (*fall)(void))
{
	int inner[2];
	char byte;

	if (pipe(inner) < 0)
		return 1;
	if (fork() == 0) {
		close(inner[0]);
		/* The last word lets the process above die, and this one with it. */
		if (fall() != 0 || write(ready, "", 1) != 1 || write(inner[1], "", 1) != 1)
			_exit(1);
		close(inner[1]);
		for (;;)
			(void)ppoll(NULL, 0, NULL, NULL);
	}
	close(inner[1]);
	return read(inner[0], &byte, 1) == 1 ? 0 : 2;
}

static int
become_user(void)
{
	return sandbox_prepare(ROLE_AGENT, false) != 0 || sandbox_enter(PHASE_SPARE) != 0 ||
	    drop_to_user(UID, GID, groups, 3, -1, false) != 0;
}

static int
become_monitor(void)
{
	struct role_id id = { UID, GID };

	return sandbox_prepare(ROLE_MONITOR, false) != 0 || sandbox_enter(PHASE_SPARE) != 0 || drop_monitor(&id, 0) != 0;
}

/*
 * The change of uid clears the signal that comes with the parent's death; who has changed it ends with its parent
 * all the same.
 */
START_TEST(death_of_the_parent)
{
	int ready[2], r;
	char byte;
	pid_t pid;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		_exit(die_above(ready[1], _i == 0 ? become_user : become_monitor));
	close(ready[1]);
	ck_assert_int_eq(waitpid(pid, &r, 0), pid);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
	/* The end of the pipe is that of the last process that has it. */
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = ready[0], .events = POLLIN }, 1, PATIENCE_MS), 1);
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 0);
	close(ready[0]);
}
END_TEST

Suite *
privsep_drop_suite(void)
{
	Suite *s = suite_create("drop");
	TCase *t = tcase_create("drop");

	tcase_add_loop_test(t, dropping, 0, (int)(sizeof cases / sizeof cases[0]));
	tcase_add_loop_test(t, death_of_the_parent, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
