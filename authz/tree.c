#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/tree.h"

#define OWNER_SIZE 16

void
tree_at(struct tree *t, const struct place *p)
{
	t->at = p;
	t->changed = false;
}

struct authz_object
tree_object(const struct place *p, bool resolved)
{
	return (struct authz_object){ .path = p->typed,
		.place = p,
		.resolved = resolved && root_by_link(p) ? p->path : NULL,
		.kind = !p->found ? AUTHZ_MISSING : root_is_folder(p) ? AUTHZ_FOLDER : AUTHZ_FILE };
}

/* ------------------------------------------------------------ what a client names */

/* "~" alone is a name like any other for these, so that there can be such a one. */
static bool
makes_names(int op)
{
	return op == AUTHZ_OP_STOR || op == AUTHZ_OP_RESUME || op == AUTHZ_OP_STOU || op == AUTHZ_OP_APPE || op == AUTHZ_OP_MKD ||
	    op == AUTHZ_OP_RNTO || op == AUTHZ_OP_SYMLINK;
}

static bool
is_there(const struct root *root, const char *cwd, const char *name, struct place *p)
{
	bool found = root_find(root, cwd, name, ROOT_NAME, p) == 0 && p->found;

	root_leave(p);
	return found;
}

int
tree_find(const struct root *root, const char *cwd, const char *start, int op, const char *path, enum root_last last,
    struct place *p)
{
	const char *rest;

	if (path[0] != '~' || (path[1] != '/' && (path[1] != '\0' || makes_names(op))) || is_there(root, cwd, "~", p))
		return root_find(root, cwd, path, last, p);
	rest = path + 1 + strspn(path + 1, "/");
	return root_find(root, start, *rest == '\0' ? "." : rest, last, p);
}

/* ------------------------------------------------------- which folder is meant */

/* Where a path of a question lies: a level of a place, or a member of its folder. */
struct spot {
	const struct place *place;
	unsigned level;
	const char *member;	/* NULL: none */
};

/* What of path lies below base: "" for base itself; NULL: it is elsewhere. */
static const char *
below(const char *path, const char *base)
{
	size_t n = base[1] == '\0' ? 0 : strlen(base);

	return strncmp(path, base, n) == 0 && (path[n] == '/' || path[n] == '\0') ? path + n : NULL;
}

static unsigned
count_slashes(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += *s == '/';
	return n;
}

/*
 * A level is counted from the object upwards, so that the path that a client typed over links means the folders where
 * these lead: rules stand in folders, not in names.
 */
static bool
spot_below(const struct place *p, const char *base, const char *path, struct spot *s)
{
	const char *rest = below(path, base);
	unsigned depth = root_depth(p), up;

	*s = (struct spot){ p, depth, NULL };
	if (rest != NULL && *rest == '/' && rest[1] != '\0') {
		s->member = rest + 1;
		return strchr(s->member, '/') == NULL;
	}
	if (rest != NULL)
		return true;
	rest = below(base, path);
	if (rest == NULL)
		return false;
	up = count_slashes(rest);
	s->level = depth > up ? depth - up : 0;
	return true;
}

static bool
find_spot(const struct tree *t, const char *path, struct spot *s)
{
	const struct place *p = t->at;

	/* What the walk went through comes before what may be a member of its end. */
	for (unsigned members = 0; p != NULL && members < 2; members++)
		if ((spot_below(p, p->path, path, s) && (s->member != NULL) == members) ||
		    (spot_below(p, p->typed, path, s) && (s->member != NULL) == members))
			return true;
	return false;
}

/* A member of the object, which is a folder. A descriptor or -errno. */
static int
open_member(const struct tree *t, const struct spot *s, int flags)
{
	int fd, folder;

	if (t->list_fd >= 0)
		return root_open_entry(t->list_fd, s->member, flags);
	folder = root_open_level(s->place, s->level, O_PATH);
	if (folder < 0)
		return folder;
	fd = root_open_entry(folder, s->member, flags);
	close(folder);
	return fd;
}

static int
open_spot(struct tree *t, const char *path, int flags)
{
	struct spot s;
	int fd;

	if (!find_spot(t, path, &s))
		return -ESTALE;
	if (s.member != NULL)
		fd = open_member(t, &s, flags);
	else if (s.level == root_depth(s.place) && s.level > 0 && (flags & O_DIRECTORY) == 0)
		fd = s.place->found ? root_open(s.place, flags, 0) : s.place->error != 0 ? s.place->error : -ENOENT;
	else
		fd = root_open_level(s.place, s.level, flags);
	t->changed |= fd == -EAGAIN;
	return fd;
}

/* ---------------------------------------------------------------- control files */

static void
identify(const struct stat *st, struct authz_identity *id)
{
	memset(id, 0, sizeof *id);
	id->device = st->st_dev;
	id->inode = st->st_ino;
	id->size = (uint64_t)st->st_size;
	id->ctime_s = st->st_ctim.tv_sec;
	id->ctime_ns = st->st_ctim.tv_nsec;
}

static int
read_all(int fd, char *text, size_t *len)
{
	ssize_t n;

	*len = 0;
	while (*len < AUTHZ_CONTROL_MAX && (n = read(fd, text + *len, AUTHZ_CONTROL_MAX - *len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		*len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int
read_control(int fd, const struct authz_identity *known, struct authz_identity *found, char *text, size_t *len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > AUTHZ_CONTROL_MAX)
		return -EFBIG;
	identify(&st, found);
	if (known != NULL && memcmp(known, found, sizeof *found) == 0)
		return 1;
	return read_all(fd, text, len);
}

static int
tree_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	int fd, r, dir_fd = open_spot(context, folder, O_PATH | O_DIRECTORY);

	if (dir_fd < 0)
		return dir_fd;
	fd = root_open_entry(dir_fd, name, O_RDONLY);
	close(dir_fd);
	if (fd < 0)
		return fd;
	r = read_control(fd, known, found, text, len);
	close(fd);
	return r;
}

/* ----------------------------------------------------------------------- owners */

/* What an attribute of n bytes (or -1) and the Unix owner say. */
static uint32_t
owner_from(const struct tree *t, char value[static OWNER_SIZE + 1], ssize_t n, uid_t uid)
{
	unsigned long owner;
	char *end;

	if (n > 0 && n <= OWNER_SIZE) {
		value[n] = '\0';
		errno = 0;
		owner = strtoul(value, &end, 10);
		return *end == '\0' && errno == 0 && owner < AUTHZ_NOBODY ? (uint32_t)owner : AUTHZ_NOBODY;
	}
	/* A Unix user of its own whose number is the account's: virtual ones share theirs and prove nothing by it. */
	return uid == t->uid && t->dialect_uid == t->uid ? t->dialect_uid : AUTHZ_NOBODY;
}

static uint32_t
owner_of(const struct tree *t, int fd)
{
	char value[OWNER_SIZE + 1];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return AUTHZ_NOBODY;
	return owner_from(t, value, fgetxattr(fd, TREE_OWNER, value, OWNER_SIZE), st.st_uid);
}

/* A listing asks for the owner of its folder and of each entry: one system call instead of four, or none. */
static bool
listed_owner(const struct tree *t, const char *path, uint32_t *owner)
{
	char value[OWNER_SIZE + 1];
	struct spot s;

	if (t->list_fd < 0 || !find_spot(t, path, &s))
		return false;
	if (s.member != NULL && t->entry != NULL && strcmp(s.member, t->entry) == 0)
		*owner = owner_from(t, value, lgetxattr(t->entry, TREE_OWNER, value, OWNER_SIZE), t->entry_uid);
	else if (s.member == NULL && s.level == root_depth(s.place))
		*owner = t->list_owner;
	else
		return false;
	return true;
}

static int
tree_owner(void *context, const char *path, uint32_t *owner)
{
	struct tree *t = context;
	int fd;

	if (listed_owner(t, path, owner))
		return 0;
	*owner = AUTHZ_NOBODY;
	fd = open_spot(t, path, O_RDONLY);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	if (fd < 0)
		return 0;	/* it cannot be read: nobody owns it */
	*owner = owner_of(t, fd);
	close(fd);
	return 0;
}

/* --------------------------------------------------------------------- listings */

void
tree_list(struct tree *t, int fd)
{
	t->entry = NULL;
	t->list_fd = -1;
	if (fd < 0 || fchdir(fd) < 0)
		return;
	t->list_owner = owner_of(t, fd);
	t->list_fd = fd;
}

void
tree_list_entry(struct tree *t, const char *name, uid_t uid)
{
	t->entry = name;
	t->entry_uid = uid;
}

/* What changed at the one place counts for both. */
static void
tree_turn(void *context, const void *place)
{
	((struct tree *)context)->at = place;
}

/* ------------------------------------------------------------ a tree on its way */

#define LEVELS_MAX 200
#define ENTRIES_MAX 20000	/* of a tree that is searched: a rename must not take long */

struct search {
	const struct tree *tree;
	uint32_t owner;
	unsigned left;
};

static bool search_dir(struct search *, int fd, unsigned level);

static bool
search_entry(struct search *s, int dir_fd, const struct dirent *e, unsigned level)
{
	int fd;

	if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
		return true;
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return true;
	fd = root_open_entry(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || (fd == -ELOOP && e->d_type == DT_UNKNOWN);
	return search_dir(s, fd, level + 1);
}

/* Takes fd. */
static bool
search_dir(struct search *s, int fd, unsigned level)
{
	const struct dirent *e;
	bool own = level < LEVELS_MAX && owner_of(s->tree, fd) == s->owner;
	DIR *d = own ? fdopendir(fd) : NULL;

	if (d == NULL) {
		close(fd);
		return false;
	}
	errno = 0;
	while (own && (e = readdir(d)) != NULL) {
		own = s->left-- > 0 && search_entry(s, dirfd(d), e, level);
		errno = 0;
	}
	own = own && errno == 0;
	closedir(d);
	return own;
}

static bool
tree_owns_all(void *context, const char *path, uint32_t owner)
{
	struct search s = { context, owner, ENTRIES_MAX };
	int fd = open_spot(context, path, O_RDONLY | O_DIRECTORY);

	return fd >= 0 && search_dir(&s, fd, 0);
}

void
tree_init(struct tree *t, uid_t uid, uint32_t dialect_uid)
{
	*t = (struct tree){ .hooks = { t, tree_control, tree_owner, tree_turn, tree_owns_all }, .uid = uid, .dialect_uid = dialect_uid, .list_fd = -1 };
}
