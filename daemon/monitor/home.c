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

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"

#define LINKS_MAX 40 /* as the kernel's own limit */
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

/* ------------------------------------------------------------------------ the walk */

/* A path that is gone through: what is behind us is open, what lies ahead is text. */
struct walk {
	int fd;
	char rest[4096];
	unsigned links;
};

/* Root's, or that of the user whom a server without root runs as. */
static bool
is_trusted(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

static int
go_to(struct walk *w, int fd)
{
	if (fd < 0)
		return -errno;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = fd;
	return 0;
}

/* What a link says comes before the rest. link: an O_PATH descriptor of it. */
static int
follow(struct walk *w, int link, const struct stat *st)
{
	char target[4096], rest[sizeof w->rest];
	ssize_t n;

	if (!is_trusted(st) || w->links++ == LINKS_MAX)
		return -ELOOP;
	n = readlinkat(link, "", target, sizeof target - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	(void)str_copy(rest, sizeof rest, w->rest);
	if (str_format(w->rest, sizeof w->rest, "%s/%s", target, rest) != 0)
		return -ENAMETOOLONG;
	return target[0] == '/' ? go_to(w, open("/", FOLDER)) : 0;
}

/* The first name of the rest, which is not empty and does not begin with a slash. */
static int
step(struct walk *w)
{
	char name[256];
	size_t n = strcspn(w->rest, "/");
	struct stat st;
	int fd, r;

	if (n >= sizeof name)
		return -ENAMETOOLONG;
	memcpy(name, w->rest, n);
	name[n] = '\0';
	memmove(w->rest, w->rest + n, strlen(w->rest + n) + 1);
	fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISLNK(st.st_mode))
		return go_to(w, fd);
	else
		r = follow(w, fd, &st);
	if (fd >= 0)
		close(fd);
	return r;
}

/* The way over links; for paths without one the kernel's own walk is enough. */
static int
walk(const char *path)
{
	struct walk w = { .fd = -1 };
	int r = str_copy(w.rest, sizeof w.rest, path) != 0 ? -ENAMETOOLONG : go_to(&w, open("/", FOLDER)), fd;

	while (r == 0) {
		size_t slashes = strspn(w.rest, "/");

		memmove(w.rest, w.rest + slashes, strlen(w.rest + slashes) + 1);
		if (w.rest[0] == '\0')
			break;
		r = step(&w);
	}
	/* Once more, as a folder: the last name may be a file. */
	fd = r == 0 ? openat(w.fd, ".", FOLDER) : -1;
	if (r == 0 && fd < 0)
		r = -errno;
	if (w.fd >= 0)
		close(w.fd);
	return r == 0 ? fd : r;
}

static int
open_folder(const char *path)
{
	struct open_how how = { .flags = FOLDER, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

	if (fd >= 0)
		return fd;
	return errno == ELOOP || errno == ENOSYS ? walk(path) : -errno;
}

/* ------------------------------------------------------------------------ the folder */

/* Looks at the file system with the account's eyes for the time of one call; own: with our own again, which has no
 * groups. */
static void
see_as(const struct account *a, bool own)
{
	if (geteuid() != 0)
		return;
	if (a->group_count > 0)
		(void)setgroups(own ? 0 : a->group_count, a->groups);
	setfsgid(own ? 0 : a->gid);
	setfsuid(own ? 0 : a->uid);
}

/* It must be possible to enter the folder, not only to see it. */
static int
open_as(const struct account *a, const char *path)
{
	int fd, seen;

	see_as(a, false);
	seen = open_folder(path);
	fd = seen < 0 ? seen : openat(seen, ".", FOLDER);
	if (seen >= 0 && fd < 0)
		fd = -errno;
	see_as(a, true);
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
	if (!is_trusted(&st) && st.st_uid != a->uid)
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

/* A jail's root is the home; without one it is the system's, and the home is where the session starts. */
static int
place_root(struct monitor *s, int home_fd)
{
	const struct settings *set = &s->account.resolved->s;
	char *start = monitor_scratch.start;
	bool own_start = set->start != NULL && strcmp(set->start, "/") != 0;
	int r = str_copy(start, sizeof monitor_scratch.start, own_start ? set->start : set->jail ? "/" : s->root_path);

	if (r != 0 || set->jail)
		return r != 0 ? SP_ERANGE : home_fd;
	(void)str_copy(s->root_path, sizeof s->root_path, "/");
	home_fd = open("/", FOLDER);
	return home_fd < 0 ? -errno : home_fd;
}

int
monitor_open_root(struct monitor *s)
{
	const struct account *a = &s->account;
	const struct settings *set = &a->resolved->s;
	const char *text = set->home != NULL ? set->home : a->home;
	char *home = s->root_path;
	int r = text == NULL ? -ENOENT : account_expand(a, text, home, sizeof s->root_path), fd, root_fd;

	if (r != 0 || home[0] != '/') {
		log_home(a, text == NULL ? "(none is set)" : text, r != 0 ? r : SP_EFORMAT, NULL);
		return -ENOENT;
	}
	fd = open_as(a, home);
	if (fd == -ENOENT && set->create_home)
		fd = (r = make_home(a, home)) == 0 ? open_as(a, home) : r;
	if (fd < 0) {
		log_home(a, home, fd, fd == -ELOOP ? "symbolic links on the way to a home must belong to root" : NULL);
		return fd;
	}
	root_fd = place_root(s, fd);
	if (root_fd != fd)
		close(fd);
	return root_fd;
}
