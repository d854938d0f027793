#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/err.h"
#include "daemon/agent/hold.h"

#define BUSY_MS_MAX	16

bool
hold_wait_turn(const struct agent *a, unsigned try)
{
	struct pollfd p = { .fd = a->monitor.fd };

	return poll(&p, 1, try < 4 ? 1 << try : BUSY_MS_MAX) <= 0 || (p.revents & (POLLHUP | POLLERR)) == 0;
}

void
hold_begin(struct agent *a)
{
	if (a->hold_fd < 0)
		a->hold_fd = root_open_entry(a->root.fd, ".", O_RDONLY | O_DIRECTORY);
}

int
hold_tree(struct agent *a)
{
	for (unsigned try = 0; a->hold_fd >= 0 && flock(a->hold_fd, LOCK_EX | LOCK_NB) < 0; try++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return 0;
		if (!hold_wait_turn(a, try))
			return SP_ECLOSED;
	}
	return 0;
}

void
hold_release(struct agent *a)
{
	if (a->hold_fd >= 0)
		(void)flock(a->hold_fd, LOCK_UN);
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
