/*
 * The folder of an account.  Its path comes from the configuration or a data
 * base, but parts of it may lie where other accounts can write: an account made over FTP has its home
 * below that of its maker.  So a symbolic link on the way counts only if
 * it belongs to root, and nothing is made or given away behind another one.
 */
#include "config.h"

#include <dirent.h>
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

	log_begin(&l, EVENT_HOME_UNUSABLE);
	log_str(&l, FIELD_PATH, path);
	log_num(&l, FIELD_UID, a->uid);
	log_code(&l, code);
	if (hint != NULL)
		log_str(&l, FIELD_HINT, hint);
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

/* Can nobody but root rename what lies in the folder? ACLs show in the group's bits. */
static bool
is_closed(const struct stat *folder)
{
	return folder->st_uid == 0 && ((folder->st_mode & (S_IWGRP | S_IWOTH)) == 0 || (folder->st_mode & S_ISVTX) != 0);
}

static bool
is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e = NULL;

	if (d == NULL && copy >= 0)
		close(copy);
	if (d == NULL)
		return false;
	errno = 0;
	while ((e = readdir(d)) != NULL && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
		;
	closedir(d);
	return e == NULL && errno == 0;
}

/*
 * Is that the folder that we have made?  Its name says nothing where others may rename; but one that is ours,
 * closed to all others and empty is as good as it: nothing is given away with it.
 */
static bool
is_new(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0077) == 0 && is_empty(fd);
}

/* What mkdirat() made; must_be_new: others can have put something else in its place. -EBUSY: so it is. */
static int
take_over(int parent_fd, const char *name, const struct account *a, uid_t uid, bool must_be_new)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (must_be_new && !is_new(fd))
		r = -EBUSY;
	else if (geteuid() == 0 && fchown(fd, uid, a->gid) < 0)
		r = -errno;
	if (r == 0 && fchmod(fd, 0755 & ~(mode_t)a->resolved->s.umask) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* In a folder of the account's own the account makes it: root gives nothing away, whatever is found under the name. */
static int
make_as(int parent_fd, const char *name, const struct account *a)
{
	int r;

	unix_see_as(a, false);
	r = mkdirat(parent_fd, name, 0700) < 0 ? -errno : take_over(parent_fd, name, a, (uid_t)-1, false);
	unix_see_as(a, true);
	return r;
}

static int
make_in(int parent_fd, const char *name, const struct account *a)
{
	struct stat st;
	int r;

	if (fstat(parent_fd, &st) < 0)
		return -errno;
	if (!uid_is_trusted(st.st_uid) && st.st_uid != a->uid)
		return -EPERM;
	/* Where the account has taken the right to write from itself, root makes it all the same. */
	if (st.st_uid == a->uid && (r = make_as(parent_fd, name, a)) != -EACCES)
		return r;
	if (mkdirat(parent_fd, name, 0700) < 0)
		return -errno;
	return take_over(parent_fd, name, a, a->uid, !is_closed(&st));
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
	else if (r == -EBUSY)
		log_home(a, path, r, "create_home: something else was put in the place of the new folder");
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
