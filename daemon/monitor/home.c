/*
 * The folder of an account.  Its path comes from the configuration or a data
 * base, but parts of it may lie where other accounts can write: an account made over FTP has its home
 * below that of its maker.  So a symbolic link on the way counts only if
 * it belongs to root, and nothing is made or given away behind another one.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "account/profile.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "common/trusted.h"
#include "daemon/monitor/monitor.h"

#define FOLDER (O_PATH | O_DIRECTORY | O_CLOEXEC)

static void
log_home(const struct account *a, const char *path, int code, const char *hint)
{
	struct log_line l;

	log_begin(&l, LOG_LEVEL_ERROR, "home-unusable");
	log_str(&l, "path", path);
	log_num(&l, "uid", a->uid);
	log_code(&l, code);
	if (hint != NULL)
		log_str(&l, "hint", hint);
	log_end(&l);
}

/* For paths without a link the kernel's own walk is enough. */
static int
open_folder(const char *path)
{
	struct open_how how = { .flags = FOLDER, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

	if (fd >= 0)
		return fd;
	return errno == ELOOP || errno == ENOSYS ? trusted_walk(path) : -errno;
}

/* ------------------------------------------------------------------------ the folder */

/* It must be possible to enter the folder, not only to see it. */
static int
open_as(const struct account *a, const char *path)
{
	int fd, seen;

	unix_see_as(a, false);
	seen = open_folder(path);
	fd = seen < 0 ? seen : openat(seen, ".", FOLDER);
	if (seen >= 0 && fd < 0)
		fd = -errno;
	unix_see_as(a, true);
	if (seen >= 0)
		close(seen);
	return fd;
}

/* Makes the folder, which is root's at first; then it is given away. */
static int
make_in(int parent_fd, const char *name, const struct account *a)
{
	struct stat st;
	int fd, r = 0;

	/* Who may rename in it could put another folder in the new one's place. */
	if (fstat(parent_fd, &st) < 0)
		return -errno;
	if (!uid_is_trusted(st.st_uid) && st.st_uid != a->uid)
		return -EPERM;
	if (mkdirat(parent_fd, name, 0700) < 0)
		return -errno;
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (geteuid() == 0 && fchown(fd, a->uid, a->gid) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, 0755 & ~(mode_t)a->resolved->s.umask) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Makes a missing home; its parent must be there. */
static int
make_home(const struct account *a, const char *path)
{
	char parent[4096], *slash;
	int fd, r;

	if (str_copy(parent, sizeof parent, path) != 0)
		return -ENAMETOOLONG;
	while ((slash = strrchr(parent, '/')) != NULL && slash[1] == '\0' && slash != parent)
		*slash = '\0';
	if (slash == NULL || slash[1] == '\0' || strcmp(slash, "/..") == 0)
		return -EINVAL;
	*slash = '\0';
	fd = open_folder(slash == parent ? "/" : parent);
	if (fd < 0)
		return fd;
	r = make_in(fd, slash + 1, a);
	close(fd);
	if (r == -EPERM)
		log_home(a, path, r, "create_home: the folder above must belong to root or to the account");
	return r;
}

int
monitor_open_root(struct monitor *s)
{
	const struct account *a = &s->account;
	const struct settings *set = &a->resolved->s;
	static char home[sizeof s->root_path];
	int r = profile_places(a, home, s->root_path, monitor_scratch.start, sizeof home), fd, root_fd;

	if (r != 0) {
		log_home(a, home[0] == '\0' ? "(none is set)" : home, r, NULL);
		return -ENOENT;
	}
	fd = open_as(a, home);
	if (fd == -ENOENT && set->create_home)
		fd = (r = make_home(a, home)) == 0 ? open_as(a, home) : r;
	if (fd < 0) {
		log_home(a, home, fd, fd == -ELOOP ? "symbolic links on the way to a home must belong to root" : NULL);
		return fd;
	}
	if (set->jail)
		return fd;
	root_fd = open("/", FOLDER);
	close(fd);
	return root_fd < 0 ? -errno : root_fd;
}
