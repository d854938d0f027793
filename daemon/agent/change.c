/*
 * Changing the tree: MKD, RMD, DELE, RNFR, RNTO, SITE SYMLINK, SITE READLINK.
 * Everything acts through the descriptor of the folder and one name.
 */
#include "config.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/links.h"
#include "daemon/agent/quota.h"

/* A new folder gets what mkdir(2) does not give: setgid and its owner in the permission language. */
static void
finish_folder(struct agent *a)
{
	mode_t mode = a->set->dir_mode;
	int fd;

	if ((mode & 07000) == 0 && !authz_needs_tree(a->policy))
		return;
	fd = root_open(&a->place, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return;
	if ((mode & 07000) != 0 && fchmod(fd, mode & ~a->mask) < 0)
		log_problem(LOG_LEVEL_WARNING, "folder-mode", a->place.path, -errno);
	policy_own(a, fd);
	close(fd);
}

int
handle_make_dir(struct agent *a, const struct msg *m)
{
	struct msg_where *w = &a->out.where;
	struct place *p = &a->place;

	(void)m;
	if (p->error != 0)
		return p->error;
	if (p->found)
		return -EEXIST;
	if (mkdirat(p->dir_fd, p->leaf, a->set->dir_mode & 0777) < 0)
		return -errno;
	finish_folder(a);
	memcpy(w->path, p->typed, p->typed_len + 1);
	w->message[0] = '\0';
	return agent_answer(a, MSG_WHERE, w, NULL, 0);
}

/* The kernel's EBUSY and EINVAL would tell the client to try again, or nothing. */
static int
refuse_root(struct agent *a)
{
	return agent_refuse(a, FAIL_KIND, "the topmost directory cannot be renamed or removed");
}

int
handle_remove_dir(struct agent *a, const struct msg *m)
{
	struct place *p = &a->place;

	(void)m;
	if (p->error != 0)
		return p->error;
	if (p->found && !root_is_folder(p))
		return agent_refuse(a, FAIL_KIND, NULL);
	if (p->path_len == 1)
		return refuse_root(a);
	return unlinkat(p->dir_fd, p->leaf, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int
handle_delete(struct agent *a, const struct msg *m)
{
	struct place *p = &a->place;

	(void)m;
	if (p->error != 0)
		return p->error;
	if (root_is_folder(p))
		return agent_refuse(a, FAIL_KIND, NULL);
	return quota_remove(a, p->dir_fd, p->leaf, false);
}

int
handle_rename_from(struct agent *a, const struct msg *m)
{
	struct place *p = &a->place;

	(void)m;
	if (p->error != 0)
		return p->error;
	if (!p->found)
		return -ENOENT;
	if (p->path_len == 1)
		return refuse_root(a);
	memcpy(a->rename_from, p->typed, p->typed_len + 1);
	a->states |= ST_RENAMING;
	return 0;
}

/* Is one place inside another, which is a folder? */
static bool
lies_below(const struct place *p, const struct place *folder)
{
	return root_is_folder(folder) && p->path_len > folder->path_len && p->path[folder->path_len] == '/' &&
	    memcmp(p->path, folder->path, folder->path_len) == 0;
}

static int
rename_over(const struct place *from, const struct place *to, bool replace)
{
	if (renameat2(from->dir_fd, from->leaf, to->dir_fd, to->leaf, replace ? 0 : RENAME_NOREPLACE) == 0)
		return 0;
	/* A file system without flags. */
	if (errno == EINVAL && !replace && !to->found && renameat(from->dir_fd, from->leaf, to->dir_fd, to->leaf) == 0)
		return 0;
	return -errno;
}

/* Nothing that is moved may lead out of the root from where it comes to lie. 1: it is a link that needs another text. */
static int
check_links(struct agent *a)
{
	int r = links_escape(&a->source, &a->place);

	if (r > 0)
		return S_ISLNK(a->source.st.stx_mode) ? 1 : agent_refuse(a, FAIL_KIND, "a symbolic link would lead out of the root");
	return r == -EACCES || r == -ELOOP ? agent_refuse(a, FAIL_KIND,
	    "a folder in it cannot be searched for symbolic links that would lead out of the root") : r;
}

/* The same for what another session made meanwhile. The deed is done. */
static void
remove_escaped_links(struct agent *a)
{
	int r = links_remove_escaped(&a->source, &a->place);

	if (r != 0)
		log_problem(LOG_LEVEL_WARNING, r > 0 ? "links-led-out-removed" : "links-not-searched", a->place.path, r < 0 ? r : 0);
}

int
handle_rename_to(struct agent *a, const struct msg *m)
{
	struct place *from = &a->source, *to = &a->place;
	bool replace = (a->verdict.granted & AUTHZ_RENREPL) != 0;
	int victim = -1, link, r;

	(void)m;
	a->states &= ~(unsigned)ST_RENAMING;
	if (from->error != 0 || to->error != 0)
		return from->error != 0 ? from->error : to->error;
	if (to->path_len == 1)
		return refuse_root(a);
	if (lies_below(to, from))
		return agent_refuse(a, FAIL_KIND, "a directory cannot be moved into itself");
	if ((link = check_links(a)) < 0)
		return link;
	if ((r = quota_lock(a)) != 0)
		return r;
	/* What has the name now, under the lock; it may be another file than was found before. */
	if (a->quota_locked && replace)
		victim = root_open(to, O_PATH, 0);
	if (victim >= 0)
		r = quota_deed(a, 0, victim, 0, NULL);
	if (victim == -EAGAIN)
		r = AGAIN;
	if (r == 0)
		r = link > 0 ? links_move(from, to, replace ? 0 : RENAME_NOREPLACE) : rename_over(from, to, replace);
	(void)quota_settle(a, false);
	if (victim >= 0)
		close(victim);
	if (r == 0)
		remove_escaped_links(a);
	return r;
}

/* ------------------------------------------------------------------------ links */

/* Writes the way from the folder of `from` to `to`, both canonical. 0 or -ENAMETOOLONG. */
static int
relative(const char *from, const char *to, char *dst, size_t size)
{
	const char *f = from, *t = to;
	size_t len = 0, same = 0;

	for (size_t i = 0; from[i] == to[i] && from[i] != '\0'; i++)
		if (from[i] == '/')
			same = i + 1;
	dst[0] = '\0';
	for (f = from + same; (f = strchr(f, '/')) != NULL; f++) {
		if (len + 3 >= size)
			return -ENAMETOOLONG;
		memcpy(dst + len, "../", 4);
		len += 3;
	}
	t += same;
	if (*t == '\0' && len == 0)
		t = ".";
	return str_copy(dst + len, size - len, t) != 0 ? -ENAMETOOLONG : 0;
}

/* Is the folder of the new link still the one at its path? Its text counts on that. */
static bool
lies_where_found(struct agent *a)
{
	static struct place now;
	struct stat made, found;
	bool same;

	same = root_find(&a->root, "/", a->place.path, ROOT_NAME, &now) == 0 && now.error == 0 &&
	    fstat(a->place.dir_fd, &made) == 0 && fstat(now.dir_fd, &found) == 0 && made.st_ino == found.st_ino &&
	    made.st_dev == found.st_dev;
	root_leave(&now);
	return same;
}

/* Another session has moved the folder: what moves folders looks for links before we can have made this one. */
static int
undo_link(const struct place *p)
{
	return unlinkat(p->dir_fd, p->leaf, 0) < 0 ? -errno : AGAIN;
}

/*
 * A link that is absolute, or that leads out, would be followed by others who
 * know no virtual root: the text that is stored leads from folder to target
 * inside the root, whatever the client typed.
 */
int
handle_make_link(struct agent *a, const struct msg *m)
{
	static char folder[ROOT_PATH_MAX + 1], text[ROOT_PATH_MAX + 1];
	struct place *p = &a->place, *target = &a->source;
	int r;

	if (p->error != 0)
		return p->error;
	if (p->found)
		return -EEXIST;
	memcpy(folder, p->path, p->path_len + 1);
	*strrchr(folder, '/') = '\0';
	r = root_find(&a->root, folder[0] == '\0' ? "/" : folder, m->make_link.target, ROOT_FOLLOW, target);
	if (r != 0 || (r = target->error) != 0)
		return r;
	if (!target->found)
		return -ENOENT;
	r = relative(p->path, target->path, text, sizeof text);
	if (r == 0 && symlinkat(text, p->dir_fd, p->leaf) < 0)
		r = -errno;
	return r == 0 && !lies_where_found(a) ? undo_link(p) : r;
}

int
handle_read_link(struct agent *a, const struct msg *m)
{
	struct msg_text *t = &a->out.text;
	struct place *p = &a->place;
	ssize_t n;

	(void)m;
	if (p->error != 0)
		return p->error;
	n = readlinkat(p->dir_fd, p->leaf, t->text, sizeof t->text - 1);
	if (n < 0)
		return errno == EINVAL ? agent_refuse(a, FAIL_KIND, "not a symbolic link") : -errno;
	for (ssize_t i = 0; i < n; i++)
		if ((unsigned char)t->text[i] < 0x20 || t->text[i] == 0x7f)
			t->text[i] = '?';
	t->text[n] = '\0';
	return agent_answer(a, MSG_TEXT, t, NULL, 0);
}
