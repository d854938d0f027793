#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "daemon/agent/hold.h"

#define BUSY_MS_MAX	16
#define PATIENCE_MS	1000	/* with one other session, which may hang */
#define PATIENCE_MS_MAX	5000	/* with all, who may take turns in it */
#define ABOVE_MAX	64

/*
 * POSIX locks belong to a process, so that all children of a template lock for themselves in the descriptor that
 * they inherit.
 */
static int shared = -1;

/* The bytes of the root and of the directories above it, upwards. */
static struct {
	off_t byte[1 + ABOVE_MAX];
	unsigned count;
} chain;

void
hold_share(int fd)
{
	shared = fcntl(fd, F_GETFD) < 0 ? -1 : fd;
}

/* Two directories with the same byte wait for each other in vain, and no more. */
static off_t
byte_of(const struct stat *st)
{
	uint64_t h = ((uint64_t)st->st_dev * 0x9e3779b97f4a7c15u + (uint64_t)st->st_ino) * 0xff51afd7ed558ccdu;

	return (off_t)((h ^ h >> 29) >> 2);
}

/* Only numbers are kept: a descriptor of what lies above the root would be a way out of it. */
static void
find_chain(int root_fd)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	int fd = root_fd, above;
	struct stat st;
	ino_t last = 0;

	for (chain.count = 0; chain.count <= ABOVE_MAX && fstat(fd, &st) == 0; fd = above) {
		if (chain.count > 0 && st.st_ino == last && byte_of(&st) == chain.byte[chain.count - 1])
			break;	/* "/" is above itself */
		last = st.st_ino;
		chain.byte[chain.count++] = byte_of(&st);
		above = (int)syscall(SYS_openat2, fd, "..", &how, sizeof how);
		if (fd != root_fd)
			close(fd);
		if (above < 0)
			return;
	}
	if (fd != root_fd)
		close(fd);
}

bool
hold_wait_turn(const struct agent *a, unsigned try)
{
	struct pollfd p = { .fd = a->monitor.fd };

	return poll(&p, 1, try < 4 ? 1 << try : BUSY_MS_MAX) <= 0 || (p.revents & (POLLHUP | POLLERR)) == 0;
}

void
hold_begin(const struct agent *a)
{
	if (shared >= 0 && chain.count == 0)
		find_chain(a->root.fd);
}

static bool
lock_byte(short type, off_t at, off_t count)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = count };

	return fcntl(shared, F_SETLK, &l) == 0 || (errno != EAGAIN && errno != EACCES && errno != EINTR);
}

/* The process that keeps us from it, or one of them; 0: nobody does, or it cannot be told. */
static pid_t
holder_of(short type, off_t at)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(shared, F_GETLK, &l) < 0 || l.l_type == F_UNLCK ? 0 : l.l_pid;
}

/* One whose file system hangs is waited for once by a session, not at each of its changes. */
static pid_t given_up;

static void
give_up(pid_t holder)
{
	struct log_line l;

	if (holder == given_up)
		return;
	given_up = holder;
	log_begin(&l, EVENT_TREE_NOT_HELD);
	log_num(&l, FIELD_HELD_BY_PID, holder);
	log_str(&l, FIELD_REASON, "the session of that agent keeps the tree longer than others wait; links are looked for after the deed");
	log_end(&l);
}

/* 0; 1: it is given up; SP_ECLOSED. */
static int
hold_byte(const struct agent *a, short type, off_t at, int64_t end)
{
	pid_t holder = 0, now;
	int64_t patience = 0;

	for (unsigned try = 0; !lock_byte(type, at, 1); try++) {
		now = holder_of(type, at);
		if (now != holder)
			patience = clock_ms() + PATIENCE_MS;
		holder = now;
		if ((holder != 0 && holder == given_up) || clock_ms() > (patience < end ? patience : end)) {
			give_up(holder);
			return 1;
		}
		if (!hold_wait_turn(a, try))
			return SP_ECLOSED;
	}
	return 0;
}

/* Always upwards, so that nobody waits in a circle. */
int
hold_tree(struct agent *a)
{
	int64_t end = clock_ms() + PATIENCE_MS_MAX;
	bool all = true;
	int r = 0;

	for (unsigned i = 0; shared >= 0 && r >= 0 && i < chain.count; i++)
		if ((r = hold_byte(a, i == 0 ? F_WRLCK : F_RDLCK, chain.byte[i], end)) > 0)
			all = false;
	if (all)
		given_up = 0;
	return r < 0 ? r : 0;
}

void
hold_release(void)
{
	if (shared >= 0)
		(void)lock_byte(F_UNLCK, 0, 0);
}

static bool
same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor &&
	    ((a->stx_mode ^ b->stx_mode) & S_IFMT) == 0;
}

/* The way there is walked anew; a link on it, which can lead to the same directory, shows in the canonical path. */
static bool
is_same(const struct agent *a, const struct place *p, bool object)
{
	static struct place now;
	struct stat held, there;
	bool same;

	if (root_find(&a->root, "/", p->path, ROOT_NAME, &now) != 0)
		return false;
	same = now.error == 0 && strcmp(now.path, p->path) == 0 && fstat(p->dir_fd, &held) == 0 &&
	    fstat(now.dir_fd, &there) == 0 && held.st_ino == there.st_ino && held.st_dev == there.st_dev &&
	    (!object || (now.found == p->found && (!p->found || same_file(&now.st, &p->st))));
	root_leave(&now);
	return same;
}

bool
hold_same_folder(const struct agent *a, const struct place *p)
{
	return is_same(a, p, false);
}

bool
hold_same_object(const struct agent *a, const struct place *p)
{
	return is_same(a, p, true);
}
