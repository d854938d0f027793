#include "config.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "authz/root.h"
#include "common/err.h"

#define TRIES		8	/* a tree that changes faster than that under us is refused */
#define STEPS_MAX	1024	/* names looked at for one path, links included */
#define STAT_MASK	(STATX_BASIC_STATS | STATX_BTIME)

void
root_init(struct root *root, int fd)
{
	root->fd = fd;
	root->chain = false;
}

bool
root_is_reserved(const char *name)
{
	return name[0] == '.' && strncmp(name, ROOT_RESERVED, sizeof ROOT_RESERVED - 1) == 0;
}

/* The one call that turns names into a descriptor. */
static int
open_below(int dir_fd, const char *path, uint64_t flags, mode_t mode)
{
	/* openat2() takes no flag that O_PATH would not heed. */
	uint64_t opened = (flags & O_PATH) != 0 ? 0 : O_NOCTTY | O_NONBLOCK;
	/* Without it a link at the end is ELOOP for folders too, not ENOTDIR. */
	uint64_t follow = (flags & O_DIRECTORY) != 0 ? 0 : O_NOFOLLOW;
	struct open_how how = {
		.flags = flags | opened | follow | O_CLOEXEC,
		.mode = (flags & O_CREAT) != 0 ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (unsigned i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

/* ------------------------------------------------------------ text of paths */

/* A path that grows name by name: always begins with '/', never ends with one unless it is the root. */
struct text {
	char *buf;
	size_t len;	/* 0: the root */
};

static int
text_push(struct text *t, const char *name, size_t n)
{
	if (n > ROOT_NAME_MAX || t->len + 1 + n > ROOT_PATH_MAX)
		return -ENAMETOOLONG;
	t->buf[t->len] = '/';
	memcpy(t->buf + t->len + 1, name, n);
	t->len += 1 + n;
	return 0;
}

static void
text_pop(struct text *t)
{
	while (t->len > 0 && t->buf[--t->len] != '/')
		;
}

static size_t
text_end(struct text *t)
{
	if (t->len == 0)
		t->buf[t->len++] = '/';
	t->buf[t->len] = '\0';
	return t->len;
}

/* The next name of a path, NULL at its end; *rest goes on behind it. */
static const char *
next_name(const char **rest, size_t *len)
{
	const char *s = *rest;

	while (*s == '/')
		s++;
	*len = strcspn(s, "/");
	*rest = s + *len;
	return *len == 0 ? NULL : s;
}

static bool
is_dot(const char *s, size_t n)
{
	return n == 1 && s[0] == '.';
}

static bool
is_dots(const char *s, size_t n)
{
	return n == 2 && s[0] == '.' && s[1] == '.';
}

int
root_normal(const char *cwd, const char *path, char out[static ROOT_PATH_MAX + 1])
{
	struct text t = { out, 0 };
	const char *name;
	size_t n;

	if (strpbrk(path, "\r\n") != NULL)
		return SP_EFORMAT;
	if (path[0] != '/' && cwd[1] != '\0') {
		n = strlen(cwd);
		if (n > ROOT_PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(out, cwd, n);
		t.len = n;
	}
	while ((name = next_name(&path, &n)) != NULL) {
		if (is_dot(name, n))
			continue;
		if (is_dots(name, n))
			text_pop(&t);
		else if (text_push(&t, name, n) != 0)
			return -ENAMETOOLONG;
	}
	return (int)text_end(&t);
}

int
root_pattern_folder(const char *path, char folder[static ROOT_PATH_MAX + 1])
{
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
	size_t n = (size_t)(name - path);

	if (strpbrk(name, ROOT_WILD_CARDS) == NULL || strlen(name) > ROOT_NAME_MAX)
		return 0;
	if (n > ROOT_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(folder, n == 0 ? "." : path, n == 0 ? 1 : n);
	folder[n == 0 ? 1 : n] = '\0';
	return 1;
}

/* ------------------------------------------------- a walk that resolves links */

struct walk {
	const struct root *root;
	struct text at;		/* resolved so far */
	int fd;			/* the folder there */
	unsigned links, steps;
	const char *rest;
	char spare[2][ROOT_PATH_MAX + 1];	/* rest points into one of them after a link */
	unsigned turn;
};

static struct walk walk;	/* one thread, one walk; too large for the stack */

static void
walk_to(struct walk *w, int fd)
{
	if (w->fd != w->root->fd && w->fd >= 0)
		close(w->fd);
	w->fd = fd;
}

/* The folder at w->at, anew from the root: after ".." and absolute links. */
static int
walk_reopen(struct walk *w)
{
	int fd = w->root->fd;

	if (w->at.len > 0) {
		w->at.buf[w->at.len] = '\0';
		fd = open_below(w->root->fd, w->at.buf + 1, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return fd;
	}
	walk_to(w, fd);
	return 0;
}

/* A link was met: what it says goes in front of the rest. */
static int
walk_link(struct walk *w, const char *target, size_t n)
{
	char *next = w->spare[w->turn ^= 1];
	size_t left = strlen(w->rest);

	if (++w->links > ROOT_LINKS_MAX)
		return -ELOOP;
	if (n + 1 + left > ROOT_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(next, target, n);
	next[n] = '/';
	memcpy(next + n + 1, w->rest, left + 1);
	w->rest = next;
	if (target[0] != '/')
		return 0;
	w->at.len = 0;
	return walk_reopen(w);
}

static bool
is_last(const char *rest)
{
	return rest[strspn(rest, "/")] == '\0';
}

/* One name further. */
static int
walk_step(struct walk *w, const char *name, size_t n)
{
	static char target[ROOT_PATH_MAX + 1];
	char leaf[ROOT_NAME_MAX + 1];
	ssize_t got;
	int fd;

	if (n > ROOT_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(leaf, name, n);
	leaf[n] = '\0';
	fd = open_below(w->fd, leaf, O_PATH, 0);
	if (fd == -ENOENT && is_last(w->rest))
		return text_push(&w->at, leaf, n);
	if (fd < 0)
		return fd;
	got = readlinkat(fd, "", target, sizeof target);
	if (got > 0) {
		close(fd);
		return got == sizeof target ? -ENAMETOOLONG : walk_link(w, target, (size_t)got);
	}
	walk_to(w, fd);
	return text_push(&w->at, leaf, n);
}

static int
walk_up(struct walk *w)
{
	text_pop(&w->at);
	return walk_reopen(w);
}

static int
walk_all(struct walk *w, enum root_last last)
{
	const char *name;
	size_t n;
	int r = 0;

	while (r == 0 && (name = next_name(&w->rest, &n)) != NULL) {
		if (++w->steps > STEPS_MAX)
			r = -ELOOP;
		else if (is_dots(name, n))
			r = walk_up(w);
		else if (is_dot(name, n))
			continue;
		else if (last == ROOT_NAME && is_last(w->rest))
			r = text_push(&w->at, name, n);
		else
			r = walk_step(w, name, n);
	}
	return r;
}

/* Replaces place->path by the path without links. */
static int
resolve(const struct root *root, struct place *p, enum root_last last)
{
	static char out[ROOT_PATH_MAX + 1];
	int r;

	walk.root = root;
	walk.at = (struct text){ out, 0 };
	walk.fd = root->fd;
	walk.links = walk.steps = 0;
	walk.rest = p->typed;
	r = walk_all(&walk, last);
	walk_to(&walk, -1);
	if (r != 0)
		return r;
	p->path_len = text_end(&walk.at);
	memcpy(p->path, out, p->path_len + 1);
	return 0;
}

/* ------------------------------------------------------------------ places */

static void
leave_chain(struct place *p)
{
	for (unsigned i = 1; i < p->chain_count; i++)
		close(p->chain[i]);
	p->chain_count = 0;
}

void
root_leave(struct place *p)
{
	if (p->dir_owned && p->dir_fd >= 0)
		close(p->dir_fd);
	p->dir_fd = -1;
	p->dir_owned = false;
	leave_chain(p);
}

void
root_forget(struct place *p, unsigned level)
{
	if (p->dir_owned && p->dir_fd >= 0)
		close(p->dir_fd);
	p->dir_owned = p->found = false;
	p->dir_fd = -1;
	p->error = -ENOENT;
	while (p->chain_count > level)
		close(p->chain[--p->chain_count]);
}

unsigned
root_depth(const struct place *p)
{
	unsigned depth = 0;

	for (const char *s = p->path; p->path_len > 1 && *s != '\0'; s++)
		depth += *s == '/';
	return depth;
}

/* Name by name, every folder held: what is asked about them later is asked of these. */
static int
open_chain(const struct root *root, struct place *p)
{
	char name[ROOT_NAME_MAX + 1];
	const char *rest = p->path, *at;
	size_t n;

	p->chain[0] = root->fd;
	p->chain_count = 1;
	while ((at = next_name(&rest, &n)) != NULL && *rest != '\0') {
		memcpy(name, at, n);
		name[n] = '\0';
		p->dir_fd = open_below(p->chain[p->chain_count - 1], name, O_PATH | O_DIRECTORY, 0);
		if (p->dir_fd < 0)
			return p->dir_fd;
		p->chain[p->chain_count++] = p->dir_fd;
	}
	return 0;
}

/* The folder of p->path and its last name, without following any link: -ELOOP when there is one. */
static int
open_folder(const struct root *root, struct place *p)
{
	char *slash = memrchr(p->path, '/', p->path_len);

	root_leave(p);
	p->dir_fd = root->fd;
	p->leaf = p->path_len == 1 ? "." : slash + 1;
	/* Deeper than that nothing is held: the policy cannot ask, and denies. */
	if (root->chain && root_depth(p) <= ROOT_CHAIN_MAX)
		return open_chain(root, p);
	if (slash == p->path)
		return 0;
	*slash = '\0';
	p->dir_fd = open_below(root->fd, p->path + 1, O_PATH | O_DIRECTORY, 0);
	*slash = '/';
	if (p->dir_fd < 0)
		return p->dir_fd;
	p->dir_owned = true;
	return 0;
}

/* After an error the object cannot be reached; what leads to it may still be asked about. */
static int
fail(struct place *p, int error)
{
	if (p->chain_count == 0)
		root_leave(p);
	p->dir_fd = -1;
	return error;
}

static int
look(const struct root *root, struct place *p, enum root_last last)
{
	int r = open_folder(root, p);

	p->found = false;
	if (r != 0)
		return fail(p, r);
	if (statx(p->dir_fd, p->leaf, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STAT_MASK, &p->st) < 0) {
		r = errno == ENOENT ? 0 : -errno;
	} else {
		p->found = true;
		r = last == ROOT_FOLLOW && S_ISLNK(p->st.stx_mode) ? -ELOOP : 0;
	}
	return r != 0 ? fail(p, r) : 0;
}

static bool
names_reserved(const char *path)
{
	for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/'))
		if (strncmp(p + 1, ROOT_RESERVED, sizeof ROOT_RESERVED - 1) == 0)
			return true;
	return false;
}

int
root_find(const struct root *root, const char *cwd, const char *path, enum root_last last, struct place *p)
{
	int r = root_normal(cwd, path, p->typed);

	p->dir_fd = -1;
	p->dir_owned = p->found = false;
	p->chain_count = 0;
	p->leaf = "";
	if (r < 0)
		return r;
	p->typed_len = p->path_len = (size_t)r;
	memcpy(p->path, p->typed, p->typed_len + 1);
	for (unsigned i = 0; i < TRIES; i++) {
		r = look(root, p, last);
		if (r != -ELOOP || (r = resolve(root, p, last)) != 0)
			break;
		r = -ELOOP;
	}
	if (names_reserved(p->path) || names_reserved(p->typed)) {
		root_leave(p);
		p->found = false;
		return SP_EFORMAT;
	}
	if (r != 0)	/* judged as typed, where nothing better is known */
		memcpy(p->path, p->typed, (p->path_len = p->typed_len) + 1);
	p->error = r;
	return 0;
}

bool
root_by_link(const struct place *p)
{
	return p->typed_len != p->path_len || memcmp(p->typed, p->path, p->path_len) != 0;
}

bool
root_is_folder(const struct place *p)
{
	return p->found && S_ISDIR(p->st.stx_mode);
}

bool
root_is_file(const struct place *p)
{
	return p->found && S_ISREG(p->st.stx_mode);
}

static bool
is_object(const struct place *p, const struct statx *st)
{
	return st->stx_ino == p->st.stx_ino && st->stx_dev_major == p->st.stx_dev_major &&
	    st->stx_dev_minor == p->st.stx_dev_minor;
}

bool
root_is_same(const struct place *p)
{
	struct statx st;

	if (p->chain_count == 0 || !p->found)
		return true;
	return statx(p->dir_fd, p->leaf, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO, &st) == 0 && is_object(p, &st);
}

int
root_open(const struct place *p, int flags, mode_t mode)
{
	struct statx st;
	int fd;

	if (p->error != 0)
		return p->error;
	fd = open_below(p->dir_fd, p->leaf, (uint64_t)(unsigned)flags, mode);
	if (fd < 0 || p->chain_count == 0 || !p->found)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_INO, &st) == 0 && is_object(p, &st))
		return fd;
	close(fd);
	return -EAGAIN;
}

int
root_open_level(const struct place *p, unsigned depth, int flags)
{
	if (depth < p->chain_count)
		return open_below(p->chain[depth], ".", (uint64_t)(unsigned)flags | O_DIRECTORY, 0);
	if (p->chain_count == 0)
		return -ESTALE;
	if (p->error != 0)
		return p->error;
	return p->found ? root_open(p, flags | O_DIRECTORY, 0) : -ENOENT;
}

int
root_open_entry(int dir_fd, const char *name, int flags)
{
	return open_below(dir_fd, name, (uint64_t)(unsigned)flags, 0);
}

int
root_create_entry(int dir_fd, const char *name, mode_t mode)
{
	return open_below(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, mode);
}

int
root_keep_folder(const struct place *p)
{
	int fd = fcntl(p->dir_fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}
