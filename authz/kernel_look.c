/* Collects what kernel_decide() wants to know from a real file system. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "authz/kernel.h"
#include "common/err.h"
#include "common/str.h"

#define LINKS_MAX	40
#define FOLDERS_MAX	4096

struct kernel_facts {
	struct kernel_node *folder;
	size_t folder_count, folder_room;
	struct kernel_node object;
	bool found;
	struct kernel_path path;
	char resolved[PATH_MAX];
};

/* A walk in progress: where it is, and what is still to come. */
struct walk {
	struct kernel_facts *facts;
	const char *root;
	int root_fd, fd;		/* fd: the folder reached, O_PATH */
	char here[PATH_MAX];		/* its canonical path below root; "" is root */
	char rest[2 * PATH_MAX];
	unsigned links;
	bool on_link;
};

static void
free_node(struct kernel_node *n)
{
	free((void *)(uintptr_t)n->path);
	free((void *)(uintptr_t)n->acl);
}

void
kernel_facts_free(struct kernel_facts *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->folder_count; i++)
		free_node(&f->folder[i]);
	free_node(&f->object);
	free(f->folder);
	free(f);
}

const struct kernel_path *
kernel_facts_path(const struct kernel_facts *f)
{
	return &f->path;
}

enum authz_kind
kernel_facts_kind(const struct kernel_facts *f)
{
	return !f->found ? AUTHZ_MISSING : S_ISDIR(f->object.mode) ? AUTHZ_FOLDER : AUTHZ_FILE;
}

const char *
kernel_facts_resolved(const struct kernel_facts *f)
{
	return f->resolved;
}

/* The extended access ACL of an O_PATH descriptor, by way of /proc (the kernel gives no attributes on O_PATH). */
static int
load_acl(int fd, struct kernel_node *n)
{
	struct pacl_row *row = NULL;
	struct pacl *acl = NULL;
	bool extended;
	char path[40];
	size_t count;
	int error;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISLNK(n->mode) || (error = pacl_extended(pacl_at_path(path), &extended, NULL)) == -EOPNOTSUPP)
		return 0;
	if (error != 0 || !extended)
		return error;
	if ((error = pacl_get(pacl_at_path(path), PACL_ACCESS, &acl)) != 0)
		return error;
	count = pacl_count(acl);
	if ((row = calloc(count + 1, sizeof(*row))) == NULL)
		error = -ENOMEM;
	else
		n->acl_count = pacl_rows(acl, row, count);
	n->acl = row;
	pacl_free(acl);
	return error;
}

static int
fill_node(const struct walk *w, int fd, const char *name, struct kernel_node *n)
{
	struct statx sx;
	struct statvfs vfs;
	char path[3 * PATH_MAX];

	memset(n, 0, sizeof(*n));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx) < 0 || fstatvfs(fd, &vfs) < 0)
		return -errno;
	(void)str_format(path, sizeof(path), "%s%s%s%s", strcmp(w->root, "/") == 0 ? "" : w->root, w->here,
	    name != NULL ? "/" : "", name != NULL ? name : "");
	if ((n->path = strdup(*path != '\0' ? path : "/")) == NULL)
		return -ENOMEM;
	n->device = (uint64_t)sx.stx_dev_major << 32 | sx.stx_dev_minor;
	n->inode = sx.stx_ino;
	n->mode = sx.stx_mode;
	n->uid = sx.stx_uid;
	n->gid = sx.stx_gid;
	n->flags = ((vfs.f_flag & ST_RDONLY) != 0 ? KERNEL_READ_ONLY : 0u) |
	    ((sx.stx_attributes & STATX_ATTR_IMMUTABLE) != 0 ? KERNEL_IMMUTABLE : 0u) |
	    ((sx.stx_attributes & STATX_ATTR_APPEND) != 0 ? KERNEL_APPEND_ONLY : 0u);
	return load_acl(fd, n);
}

/* Notes that the folder reached is searched; the same one twice running is noted once. */
static int
note_folder(struct walk *w)
{
	struct kernel_facts *f = w->facts;
	struct kernel_node n, *list;
	size_t room;
	int error = fill_node(w, w->fd, NULL, &n);

	if (error == 0 && f->folder_count == f->folder_room) {
		room = f->folder_room == 0 ? 16 : f->folder_room * 2;
		if (room > FOLDERS_MAX)
			error = -ELOOP;
		else if ((list = realloc(f->folder, room * sizeof(*list))) == NULL)
			error = -ENOMEM;
		else {
			f->folder = list;
			f->folder_room = room;
		}
	}
	if (error != 0 || (f->folder_count > 0 && f->folder[f->folder_count - 1].inode == n.inode &&
	    f->folder[f->folder_count - 1].device == n.device))
		free_node(&n);
	else
		f->folder[f->folder_count++] = n;
	return error;
}

static void
step_to(struct walk *w, int fd)
{
	if (w->fd != w->root_fd)
		close(w->fd);
	w->fd = fd;
}

/* One folder up, never above root. here has no links in it, so it can be opened again. */
static int
step_up(struct walk *w)
{
	char *slash = strrchr(w->here, '/');
	int fd, next;

	if (slash == NULL)
		return 0;
	*slash = '\0';
	fd = w->root_fd;
	for (char *p = w->here, *end; *p == '/'; p = end) {
		end = p + 1 + strcspn(p + 1, "/");
		char kept = *end;
		*end = '\0';
		next = openat(fd, p + 1, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		*end = kept;
		if (fd != w->root_fd)
			close(fd);
		if (next < 0)
			return -errno;
		fd = next;
	}
	step_to(w, fd);
	return 0;
}

/* Puts a link's target in front of what is still to come. */
static int
follow(struct walk *w, int link_fd)
{
	char target[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (str_format(rest, sizeof(rest), "%s/%s", target, w->rest) != 0)
		return -ENAMETOOLONG;
	(void)str_copy(w->rest, sizeof(w->rest), rest);
	if (target[0] == '/') {
		step_to(w, w->root_fd);
		w->here[0] = '\0';
	}
	return 0;
}

/* The walk has ended at fd (-1: at a missing name). */
static int
arrive(struct walk *w, int fd, const char *name)
{
	struct kernel_facts *f = w->facts;
	int error = 0;

	if (str_format(f->resolved, sizeof(f->resolved), "%s%s%s", w->here, name != NULL ? "/" : "",
	    name != NULL ? name : "") != 0)
		return -ENAMETOOLONG;
	if (f->resolved[0] == '\0')
		(void)str_copy(f->resolved, sizeof(f->resolved), "/");
	if (fd >= 0) {
		error = fill_node(w, fd, name, &f->object);
		f->found = error == 0;
	}
	return error;
}

/* Goes on with one name. 1: the walk has ended; 0: go on; or -errno. */
static int
step(struct walk *w, const char *name)
{
	bool last = w->rest[strspn(w->rest, "/")] == '\0';
	struct stat st;
	int fd, error;

	if ((error = note_folder(w)) != 0)
		return error;
	fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && last ? ((error = arrive(w, -1, name)) != 0 ? error : 1) : -errno;
	if (fstat(fd, &st) < 0)
		error = -errno;
	else if (S_ISLNK(st.st_mode) && !(last && w->on_link))
		error = follow(w, fd);
	else if (last)
		error = (error = arrive(w, fd, name)) != 0 ? error : 1;
	else if (!S_ISDIR(st.st_mode))
		error = -ENOTDIR;
	else if (strlen(w->here) + strlen(name) + 2 > sizeof(w->here))
		error = -ENAMETOOLONG;
	else {
		size_t len = strlen(w->here);

		(void)str_format(w->here + len, sizeof(w->here) - len, "/%s", name);
		step_to(w, fd);
		return 0;
	}
	close(fd);
	return error;
}

/* Takes the next name off the rest. False: there is none. */
static bool
next_name(struct walk *w, char name[NAME_MAX + 1], int *error)
{
	size_t skip = strspn(w->rest, "/"), n = strcspn(w->rest + skip, "/");

	if (n == 0)
		return false;
	if (n > NAME_MAX) {
		*error = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, w->rest + skip, n);
	name[n] = '\0';
	memmove(w->rest, w->rest + skip + n, strlen(w->rest + skip + n) + 1);
	return true;
}

static int
walk_all(struct walk *w)
{
	char name[NAME_MAX + 1];
	int error = 0;

	while (error == 0 && next_name(w, name, &error)) {
		if (strcmp(name, ".") == 0)
			continue;
		error = strcmp(name, "..") == 0 ? step_up(w) : step(w, name);
	}
	if (error == 0)
		error = arrive(w, w->fd, NULL);
	return error > 0 ? 0 : error;
}

int
kernel_look(const char *root, const char *path, bool on_link, struct kernel_facts **out)
{
	struct walk w = { .root = root, .on_link = on_link };
	int error;

	*out = NULL;
	if (str_copy(w.rest, PATH_MAX, path) != 0)
		return -ENAMETOOLONG;
	if ((w.facts = calloc(1, sizeof(*w.facts))) == NULL)
		return -ENOMEM;
	w.fd = w.root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	error = w.root_fd < 0 ? -errno : walk_all(&w);
	if (w.root_fd >= 0) {
		step_to(&w, w.root_fd);
		close(w.root_fd);
	}
	if (error != 0) {
		kernel_facts_free(w.facts);
		return error;
	}
	w.facts->path = (struct kernel_path){ w.facts->folder, w.facts->folder_count,
		w.facts->found ? &w.facts->object : NULL };
	*out = w.facts;
	return 0;
}

/* Errors that say where the way to the object ends: answers of the tree, which everybody else gets too. */
static bool
way_ends(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -ENAMETOOLONG;
}

int
kernel_predict(const struct authz_subject *who, const char *root, enum authz_op op, const char *path, const char *other,
    kernel_namer *namer, char *text, size_t size)
{
	struct kernel_cred cred = { who->uid, who->gid, who->groups, who->group_count, 0 };
	struct kernel_request r = { .op = op, .namer = namer, .new_uid = (uid_t)-1, .new_gid = (gid_t)-1 };
	struct kernel_facts *facts = NULL, *second = NULL;
	int error = 0;

	if (!authz_op_session(op))
		error = kernel_look(root, path, kernel_op_on_link(op), &facts);
	/* A way to the other path that ends early is that path's own refusal: here it is as if it were not known. */
	if (error == 0 && other != NULL && (error = kernel_look(root, other, true, &second)) != 0 && way_ends(error))
		error = 0;
	if (error == 0) {
		r.path = facts != NULL ? kernel_facts_path(facts) : NULL;
		r.other = second != NULL ? kernel_facts_path(second) : NULL;
		/* Without a new group at hand: may the group be chosen at all? */
		r.new_gid = op == AUTHZ_OP_CHOWN && facts != NULL && facts->found ? facts->object.gid : (gid_t)-1;
		error = kernel_decide(&r, &cred, text, size) == 0;
	} else
		(void)str_format(text, size, "%s%s: %s", strcmp(root, "/") == 0 ? "" : root, path, sp_strerror(error));
	kernel_facts_free(facts);
	kernel_facts_free(second);
	return error < 0 && way_ends(error) ? 0 : error;
}
