#include "config.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "privsep/drop.h"

/* Rights by the version of the interface that brought them (linux/landlock.h of an older system lacks some). */
#define RIGHT(n)	(UINT64_C(1) << (n))
#define ABI1_RIGHTS	(RIGHT(13) - 1)
#define REFER		RIGHT(13)
#define TRUNCATE	RIGHT(14)
#define IOCTL_DEV	RIGHT(15)
#define READ_RIGHTS	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Neither executing nor making devices is ever needed. */
#define WRITE_RIGHTS	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
			 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | \
			 REFER | TRUNCATE)

/* The first two members of the kernel's struct; network rights came with version 4. */
struct ruleset {
	uint64_t files, network;
};

static uint64_t
handled_rights(long abi)
{
	uint64_t rights = ABI1_RIGHTS;

	if (abi >= 2)
		rights |= REFER;
	if (abi >= 3)
		rights |= TRUNCATE;
	if (abi >= 5)
		rights |= IOCTL_DEV;
	return rights;
}

static int
add_tree(int ruleset_fd, int dir_fd, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = dir_fd };

	return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

bool
landlock_is_missing(int code)
{
	/* Kernels without it, or booted without it; filters of containers, which differ in what they answer. */
	return code == -ENOSYS || code == -EOPNOTSUPP || code == -EPERM || code == -EACCES;
}

int
landlock_restrict_to(int dir_fd, enum landlock_access access)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	uint64_t rights = access == LANDLOCK_WRITE_TREE ? READ_RIGHTS | WRITE_RIGHTS : READ_RIGHTS;
	struct ruleset set = { 0, 0 };
	int fd, r = 0;

	if (abi < 0)
		return -errno;
	set.files = handled_rights(abi);
	/* No path, no port: neither bind nor connect. */
	set.network = access == LANDLOCK_NOTHING && abi >= 4 ? 3 : 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &set, abi >= 4 ? sizeof set : sizeof set.files, 0);
	if (fd < 0)
		return -errno;
	if (access != LANDLOCK_NOTHING)
		r = add_tree(fd, dir_fd, rights & set.files);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}
