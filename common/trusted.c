#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/str.h"
#include "common/trusted.h"

#define LINKS_MAX 40	/* as the kernel */

/* The way still to go, from the folder fd. */
struct way {
	int fd;
	unsigned links;
	int flags;
	mode_t mode;
	char rest[PATH_MAX];
};

static bool
is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static int
enter(struct way *w, const char *name)
{
	int fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(w->fd);
	w->fd = fd;
	return 0;
}

/* Puts the text of a link in front of what follows it. */
static int
follow(struct way *w, const char *name, const struct stat *st, const char *behind)
{
	char text[PATH_MAX];
	size_t after = strlen(behind);
	ssize_t n;

	if (!is_trusted(st->st_uid))
		return -EPERM;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	n = readlinkat(w->fd, name, text, sizeof text);
	if (n < 0)
		return -errno;
	if ((size_t)n + 1 + after >= sizeof text)
		return -ENAMETOOLONG;
	text[n++] = '/';
	memcpy(text + n, behind, after + 1);
	/* Nothing behind it: what it leads to is the last name. */
	if (after == 0)
		text[n - 1] = '\0';
	memcpy(w->rest, text, sizeof text);
	return text[0] == '/' ? enter(w, "/") : 0;
}

/* The last name: it is opened first and judged afterwards, so that both are about the same file. */
static int
open_last(const struct way *w, const char *name)
{
	struct stat st;
	int fd = openat(w->fd, name, w->flags | O_NOFOLLOW | O_CLOEXEC, w->mode);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && (!is_trusted(st.st_uid) || st.st_nlink > 1))) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

/* Links in /proc (/dev/stderr leads there) have no text that could be walked, and are the kernel's. */
static bool
is_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* One step. -EAGAIN: there are more; else the end, as a descriptor or -errno. */
static int
step(struct way *w)
{
	char name[NAME_MAX + 1];
	const char *start = w->rest + strspn(w->rest, "/"), *behind;
	size_t n = strcspn(start, "/");
	struct stat st;
	int r;

	if (is_proc(w->fd)) {
		r = openat(w->fd, start, w->flags | O_CLOEXEC);
		return r < 0 ? -errno : r;
	}
	if (n == 0 || n >= sizeof name)
		return n == 0 ? -EISDIR : -ENAMETOOLONG;
	memcpy(name, start, n);
	name[n] = '\0';
	behind = start + n + strspn(start + n, "/");
	r = fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (r == 0 && S_ISLNK(st.st_mode))
		r = follow(w, name, &st, behind);
	else if (*behind == '\0')
		return r == 0 || r == -ENOENT ? open_last(w, name) : r;
	else if (r == 0 && (r = enter(w, name)) == 0)
		memmove(w->rest, behind, strlen(behind) + 1);
	return r == 0 ? -EAGAIN : r;
}

int
fd_open_trusted(const char *path, int flags, mode_t mode)
{
	struct way w = { .flags = flags, .mode = mode };
	int r;

	if (path[0] != '/' || str_copy(w.rest, sizeof w.rest, path) != 0)
		return path[0] != '/' ? -EINVAL : -ENAMETOOLONG;
	w.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.fd < 0)
		return -errno;
	do
		r = step(&w);
	while (r == -EAGAIN);
	close(w.fd);
	return r;
}
