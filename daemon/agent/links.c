#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/agent/links.h"
#include "daemon/agent/listing.h"
#include "daemon/agent/temporary.h"

#define LEVELS_MAX 250	/* an agent has 1024 descriptors */

/* A tree on its way from one depth to another. */
struct search {
	bool remove;		/* what is found is removed; otherwise the first one ends it */
	int found;
};

/* Does a relative text lead above the root from a folder so deep? An absolute one does everywhere. */
static bool
leads_out(const char *text, unsigned depth)
{
	for (size_t n; *text != '\0'; text += n) {
		text += strspn(text, "/");
		n = strcspn(text, "/");
		if (n == 2 && text[0] == '.' && text[1] == '.') {
			if (depth-- == 0)
				return true;
		} else if (n > 0 && !(n == 1 && text[0] == '.'))
			depth++;
	}
	return false;
}

/*
 * new: how deep the folder of the link is to lie.  One that leads out already counts as well: it may stay within
 * the root of another account, in which ours lies, and upward it leads out of that one too.
 */
static int
look_at_link(struct search *s, int dir_fd, const char *name, unsigned new)
{
	static char text[ROOT_PATH_MAX + 1];
	ssize_t n = readlinkat(dir_fd, name, text, sizeof text - 1);

	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : -errno;
	text[n] = '\0';
	if (text[0] == '/' || !leads_out(text, new))
		return 0;
	if (s->remove && unlinkat(dir_fd, name, 0) < 0)
		return -errno;
	s->found++;
	return 0;
}

static int look_into(struct search *, int dir_fd, const char *name, unsigned level, unsigned new);

static int
look_at_entry(struct search *s, int fd, const struct entry *e, unsigned level, unsigned new)
{
	struct statx st = { .stx_mode = DTTOIF(e->type) };

	if (e->type == DT_UNKNOWN && statx(fd, e->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.stx_mode))
		return look_at_link(s, fd, e->name, new);
	return S_ISDIR(st.stx_mode) ? look_into(s, fd, e->name, level + 1, new) : 0;
}

/* new: how deep the folder itself is to lie. */
static int
look_into(struct search *s, int dir_fd, const char *name, unsigned level, unsigned new)
{
	struct entries *e;
	struct entry entry;
	int fd = level < LEVELS_MAX ? root_open_entry(dir_fd, name, O_RDONLY | O_DIRECTORY) : -ELOOP, r;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	e = calloc(1, sizeof *e);
	if (e == NULL) {
		close(fd);
		return -ENOMEM;
	}
	r = entries_open(e, fd, NULL, false);
	while (r == 0 && (s->remove || s->found == 0) && (r = entries_next(e, &entry)) == 1)
		r = look_at_entry(s, e->fd, &entry, level, new + 1);
	entries_close(e);
	free(e);
	return r > 0 ? 0 : r;
}

/* at: where the object is now. */
static int
search(struct search *s, const struct place *at, const struct place *from, const struct place *to)
{
	unsigned new = root_depth(to) - 1;	/* folders above the object, which is not the root */
	int r = 0;

	if (root_depth(to) >= root_depth(from))
		return 0;
	if (S_ISLNK(from->st.stx_mode))
		r = look_at_link(s, at->dir_fd, at->leaf, new);
	else if (root_is_folder(from))
		r = look_into(s, at->dir_fd, at->leaf, 0, new);
	return r != 0 ? r : s->found;
}

int
links_escape(const struct place *from, const struct place *to)
{
	struct search s = { .remove = false };

	return search(&s, from, from, to);
}

int
links_remove_escaped(const struct place *from, const struct place *to)
{
	struct search s = { .remove = true };

	return search(&s, to, from, to);
}

/* ------------------------------------------------------------------ moving a link */

/* How long the first names of a path are, without the slash in front and with one behind each. */
static size_t
first_names(const char *path, unsigned count)
{
	size_t n = 0;

	for (path++; count > 0; count--)
		n += strcspn(path + n, "/") + 1;
	return n;
}

/*
 * From the new folder up to the root, down to where the steps up of the old text led, and on with the rest of it.  0 or
 * -ENAMETOOLONG, -EXDEV: it led out before.
 */
static int
text_there(const struct place *from, unsigned new, const char *text, char out[static ROOT_PATH_MAX + 1])
{
	static const char up[] = { '.', '.', '/' };
	unsigned depth = root_depth(from) - 1;
	size_t len = 0, n;

	for (; strncmp(text, "../", 3) == 0; text += 3)
		if (depth-- == 0)
			return -EXDEV;
	n = first_names(from->path, depth);
	if (sizeof up * new + n + strlen(text) + 1 > ROOT_PATH_MAX)
		return -ENAMETOOLONG;
	for (; new > 0; new--, len += sizeof up)
		memcpy(out + len, up, sizeof up);
	memcpy(out + len, from->path + 1, n);
	memcpy(out + len + n, text, strlen(text) + 1);
	return 0;
}

int
links_move(const struct place *from, const struct place *to, unsigned flags)
{
	static char old[ROOT_PATH_MAX + 1], text[ROOT_PATH_MAX + 1];
	char temp[64];
	ssize_t n = readlinkat(from->dir_fd, from->leaf, old, sizeof old - 1);
	int r;

	if (n < 0)
		return -errno;
	old[n] = '\0';
	r = text_there(from, root_depth(to) - 1, old, text);
	if (r != 0 || leads_out(text, root_depth(to) - 1))
		return r != 0 ? r : -EXDEV;
	/* A name of its own each time: sessions with another root may have the directory, too. */
	if ((r = temporary_name(to->dir_fd, temp)) != 0)
		return r;
	if (symlinkat(text, to->dir_fd, temp) < 0)
		return -errno;
	if (renameat2(to->dir_fd, temp, to->dir_fd, to->leaf, flags) < 0) {
		r = -errno;
		(void)unlinkat(to->dir_fd, temp, 0);
		return r;
	}
	if (unlinkat(from->dir_fd, from->leaf, 0) == 0)
		return 0;
	r = -errno;
	(void)unlinkat(to->dir_fd, to->leaf, 0);
	return r;
}
