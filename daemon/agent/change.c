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
#include "daemon/agent/hold.h"
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
		log_problem(EVENT_DIRECTORY_MODE_NOT_SET, a->place.path, -errno);
	policy_own(a, fd);
	close(fd);
}

static int
make_folder(struct agent *a)
{
	struct place *p = &a->place;
	int r = quota_make(a, p);

	if (r == 0 && mkdirat(p->dir_fd, p->leaf, a->set->dir_mode & 0777) < 0)
		r = -errno;
	if (r == 0)
		quota_made(a, p);
	(void)quota_settle(a, false);
	return r;
}

int
handle_make_dir(struct agent *a, const struct msg *m)
{
	struct msg_where *w = &a->out.where;
	struct place *p = &a->place;
	int r;

	(void)m;
	if (p->error != 0)
		return p->error;
	if (p->found)
		return -EEXIST;
	if ((r = make_folder(a)) != 0)
		return r;
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
	return quota_remove(a, p->dir_fd, p->leaf, p->path, AT_REMOVEDIR);
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
	return quota_remove(a, p->dir_fd, p->leaf, p->path, 0);
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

static int
refuse_unsearched(struct agent *a)
{
	return agent_refuse(a, FAIL_KIND,
	    "a directory in it cannot be searched for symbolic links that would lead out of the root");
}

static int
refuse_outward(struct agent *a)
{
	return agent_refuse(a, FAIL_KIND, "a symbolic link would lead out of the root");
}

/*
 * Nothing that is moved may lead out of the root from where it comes to lie. 1: it is a link that needs another
 * text.
 */
static int
check_links(struct agent *a)
{
	int r = links_escape(&a->source, &a->place);

	if (r > 0)
		return S_ISLNK(a->source.st.stx_mode) ? 1 : refuse_outward(a);
	return r == -EACCES || r == -ELOOP ? refuse_unsearched(a) : r;
}

/* Moves what the place `from` holds: a link that would lead out with a new text. 0 or -errno. */
static int
move(const struct place *from, const struct place *to, bool link, bool replace)
{
	return link ? links_move(from, to, replace ? 0 : RENAME_NOREPLACE) : rename_over(from, to, replace);
}

/* The text of a link cannot be changed: the new one costs what the old one did. */
static void
charge_moved_link(struct agent *a, int old, const struct place *from, const struct place *to)
{
	if (quota_lock(a) == 0)
		quota_made(a, to);
	(void)quota_settle(a, false);
	if (old >= 0 && quota_lock(a) == 0)
		(void)quota_change(a, 0, old, 0, from->dir_fd, from->path);
	(void)quota_settle(a, false);
}

/*
 * move(), under the account's lock, which is given back, and after what it replaces has been named.  A session killed
 * between a link's making and the old one's removal leaves both charged, and not neither.
 */
static int
move_charged(struct agent *a, const struct place *from, const struct place *to, bool link, bool replace)
{
	int old = link && a->quota_locked ? root_open_entry(from->dir_fd, from->leaf, O_PATH) : -1;
	int r = move(from, to, link, replace);

	(void)quota_settle(a, false);
	if (r == 0 && link)
		charge_moved_link(a, old, from, to);
	if (old >= 0)
		close(old);
	return r;
}

/*
 * Back to where it came from, which is deeper.  When that has moved too, nobody has looked at what was away meanwhile:
 * a link, which costs nothing to make anew, goes then.  AGAIN, or the refusal.
 */
static int
undo_rename(struct agent *a, bool link, int error)
{
	struct place *from = &a->source, *to = &a->place;
	const struct place *left;
	int r = quota_lock(a);

	if (r == 0)
		r = move_charged(a, to, from, link, false);
	if (S_ISLNK(from->st.stx_mode) && (r != 0 || !hold_same_folder(a, from))) {
		left = r != 0 ? to : from;
		r = quota_remove(a, left->dir_fd, left->leaf, left->path, 0);
	}
	if (r != 0)
		log_problem(EVENT_LINKS_NOT_SEARCHED, to->path, r);
	return error == 0 && r == 0 ? AGAIN : refuse_unsearched(a);
}

/*
 * What was made by those who do not take our lock: sessions with a root above or below ours, and processes of the
 * machine.  The deed is done, and undone where it cannot be told that it was harmless.
 */
static int
look_again(struct agent *a, bool link)
{
	int r;

	if (!S_ISLNK(a->source.st.stx_mode) && !root_is_folder(&a->source))
		return 0;
	if (!hold_same_folder(a, &a->place))
		return undo_rename(a, link, 0);
	r = links_remove_escaped(&a->source, &a->place);
	if (r != 0)
		log_problem_at(LOG_LEVEL_WARNING, r > 0 ? EVENT_LINKS_LED_OUT_REMOVED : EVENT_LINKS_NOT_SEARCHED,
		    a->place.path, r < 0 ? r : 0);
	return r < 0 ? undo_rename(a, link, r) : 0;
}

/* Both places lie where they were found, and nobody else renames: the deed, as the policy has allowed it. */
static int
rename_held(struct agent *a, bool replace)
{
	struct place *from = &a->source, *to = &a->place;
	int victim = -1, link, r;

	if ((link = check_links(a)) < 0)
		return link;
	if ((r = quota_lock(a)) != 0)
		return r;
	/* What has the name now, under the lock; it may be another file than was found before. */
	if (a->quota_locked && replace)
		victim = root_open(to, O_PATH, 0);
	if (victim >= 0)
		r = quota_change(a, 0, victim, 0, to->dir_fd, to->path);
	if (victim == -EAGAIN)
		r = AGAIN;
	if (r == 0)
		r = move_charged(a, from, to, link > 0, replace);
	(void)quota_settle(a, false);
	if (victim >= 0)
		close(victim);
	if (r == -EXDEV && link > 0)
		return refuse_outward(a);
	return r == 0 ? look_again(a, link > 0) : r;
}

int
handle_rename_to(struct agent *a, const struct msg *m)
{
	struct place *from = &a->source, *to = &a->place;
	int r;

	(void)m;
	a->states &= ~(unsigned)ST_RENAMING;
	if (from->error != 0 || to->error != 0)
		return from->error != 0 ? from->error : to->error;
	if (to->path_len == 1)
		return refuse_root(a);
	if (lies_below(to, from))
		return agent_refuse(a, FAIL_KIND, "a directory cannot be moved into itself");
	if ((r = hold_tree(a)) != 0)
		return r;
	if (hold_same_object(a, from) && hold_same_folder(a, to))
		r = rename_held(a, (a->verdict.granted & AUTHZ_RENREPL) != 0);
	else
		r = AGAIN;
	hold_release();
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

static int
place_link(struct agent *a, const char *text)
{
	struct place *p = &a->place;

	if (symlinkat(text, p->dir_fd, p->leaf) < 0)
		return -errno;
	/* What moved the folder has looked for links before we can have made this one. */
	if (hold_same_folder(a, p) || unlinkat(p->dir_fd, p->leaf, 0) < 0) {
		quota_made(a, p);
		return hold_same_folder(a, p) ? 0 : -EIO;
	}
	return AGAIN;
}

/* Where each lies counts: nothing is renamed from here on, but by those who do not take the lock. */
static int
make_link_held(struct agent *a, const char *folder, const char *wanted)
{
	static char text[ROOT_PATH_MAX + 1];
	struct place *p = &a->place, *target = &a->source;
	int r;

	if (!hold_same_folder(a, p))
		return AGAIN;
	r = root_find(&a->root, folder[0] == '\0' ? "/" : folder, wanted, ROOT_FOLLOW, target);
	if (r != 0 || (r = target->error) != 0)
		return r;
	if (!target->found)
		return -ENOENT;
	r = relative(p->path, target->path, text, sizeof text);
	if (r != 0)
		return r;
	r = quota_make(a, p);
	if (r == 0)
		r = place_link(a, text);
	(void)quota_settle(a, false);
	return r;
}

/*
 * A link that is absolute, or that leads out, would be followed by others who
 * know no virtual root: the text that is stored leads from folder to target
 * inside the root, whatever the client typed.
 */
int
handle_make_link(struct agent *a, const struct msg *m)
{
	static char folder[ROOT_PATH_MAX + 1];
	struct place *p = &a->place;
	int r;

	if (p->error != 0)
		return p->error;
	if (p->found)
		return -EEXIST;
	memcpy(folder, p->path, p->path_len + 1);
	*strrchr(folder, '/') = '\0';
	if ((r = hold_tree(a)) != 0)
		return r;
	r = make_link_held(a, folder, m->make_link.target);
	hold_release();
	return r;
}

int
handle_read_link(struct agent *a, const struct msg *m)
{
	struct msg_text *t = &a->out.text;
	struct place *p = &a->place;
	ssize_t n;
	int fd, r;

	(void)m;
	if (p->error != 0)
		return p->error;
	if (p->found && !S_ISLNK(p->st.stx_mode))
		return agent_refuse(a, FAIL_KIND, "not a symbolic link");
	if ((fd = root_open(p, O_PATH, 0)) < 0)
		return fd == -EAGAIN ? AGAIN : fd;
	n = readlinkat(fd, "", t->text, sizeof t->text - 1);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (r != 0)
		return r;
	for (ssize_t i = 0; i < n; i++)
		if ((unsigned char)t->text[i] < 0x20 || t->text[i] == 0x7f)
			t->text[i] = '?';
	t->text[n] = '\0';
	return agent_answer(a, MSG_TEXT, t, NULL, 0);
}
