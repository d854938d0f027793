#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/str.h"
#include "common/trusted.h"

#define LINKS_MAX 40	/* as the kernel's own limit */
#define FOLDER (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* A path that is gone through: what is behind us is open, what lies ahead is text. */
struct walk {
	int fd;
	unsigned links;
	char name[NAME_MAX + 1];	/* the name that is looked at */
	char rest[TRUSTED_PATH_MAX];	/* what follows it */
};

bool
uid_is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
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

static int
begin(struct walk *w, const char *path)
{
	w->fd = -1;
	w->links = 0;
	w->name[0] = '\0';
	if (path[0] == '\0' || str_copy(w->rest, sizeof w->rest, path) != 0)
		return path[0] == '\0' ? -ENOENT : -ENAMETOOLONG;
	return go_to(w, open(path[0] == '/' ? "/" : ".", FOLDER));
}

/* Takes the first name off the rest, which has one. */
static int
next_name(struct walk *w)
{
	size_t n = strcspn(w->rest, "/"), slashes = strspn(w->rest + n, "/");

	if (n >= sizeof w->name)
		return -ENAMETOOLONG;
	memcpy(w->name, w->rest, n);
	w->name[n] = '\0';
	memmove(w->rest, w->rest + n + slashes, strlen(w->rest + n + slashes) + 1);
	return 0;
}

static void
skip_slashes(struct walk *w)
{
	size_t n = strspn(w->rest, "/");

	memmove(w->rest, w->rest + n, strlen(w->rest + n) + 1);
}

/* What a link says comes before the rest. link: an O_PATH descriptor of it. */
static int
follow(struct walk *w, int link, const struct stat *st)
{
	char target[TRUSTED_PATH_MAX], rest[TRUSTED_PATH_MAX];
	ssize_t n;
	int r = 0;

	if (!uid_is_trusted(st->st_uid) || w->links++ == LINKS_MAX)
		return -ELOOP;
	n = readlinkat(link, "", target, sizeof target - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	(void)str_copy(rest, sizeof rest, w->rest);
	if (str_format(w->rest, sizeof w->rest, "%s%s%s", target, rest[0] == '\0' ? "" : "/", rest) != 0)
		return -ENAMETOOLONG;
	if (target[0] == '/')
		r = go_to(w, open("/", FOLDER));
	skip_slashes(w);
	return r;
}

/* Links in /proc (/dev/stderr leads there) have no text that could be walked, and are the kernel's. */
static bool
is_kernels(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Looks at w->name. 1: it is what the path leads to, *found is open (O_PATH); 0: there is more to go; or -errno. */
static int
step(struct walk *w, int *found)
{
	struct stat st;
	int fd = openat(w->fd, w->name, O_PATH | O_CLOEXEC | (is_kernels(w->fd) ? 0 : O_NOFOLLOW)), r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
	} else if (S_ISLNK(st.st_mode)) {
		r = follow(w, fd, &st);
	} else if (w->rest[0] == '\0') {
		*found = fd;
		return 1;
	} else {
		return go_to(w, fd);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

/* Goes to the end. 0 with *found, w->fd being the folder of it; or -errno. */
static int
walk(struct walk *w, int *found)
{
	int r = 0;

	skip_slashes(w);
	while (r == 0) {
		if (w->rest[0] == '\0') {
			*found = openat(w->fd, ".", FOLDER);
			return *found < 0 ? -errno : 0;
		}
		r = next_name(w);
		if (r == 0)
			r = step(w, found);
	}
	return r == 1 ? 0 : r;
}

int
trusted_walk(const char *path)
{
	struct walk w;
	int found = -1, r = begin(&w, path);

	if (r == 0)
		r = walk(&w, &found);
	if (w.fd >= 0)
		close(w.fd);
	return r == 0 ? found : r;
}

/* It is opened first and judged afterwards, so that both are about the same file. */
static int
open_here(const struct walk *w, int flags, mode_t mode)
{
	int fd = openat(w->fd, w->name, flags | O_CLOEXEC | (is_kernels(w->fd) ? 0 : O_NOFOLLOW), mode);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || is_kernels(w->fd) || (uid_is_trusted(st.st_uid) && st.st_nlink <= 1)))
		return fd;
	close(fd);
	return -EPERM;
}

int
trusted_open(const char *path, int flags, mode_t mode)
{
	struct walk w;
	int found = -1, r = path[0] == '/' ? begin(&w, path) : -EINVAL;

	if (path[0] != '/')
		return r;
	if (r == 0)
		r = walk(&w, &found);
	if (found >= 0)
		close(found);
	if (r == 0 && w.name[0] == '\0')
		r = -EISDIR;
	if (r == 0 || (r == -ENOENT && w.rest[0] == '\0' && (flags & O_CREAT) != 0))
		r = open_here(&w, flags, mode);
	if (w.fd >= 0)
		close(w.fd);
	return r;
}
