#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "daemon/agent/entries.h"
#include "daemon/agent/quota.h"
#include "daemon/agent/temporary.h"

#define MAKE_TRIES	8
#define LINK_AGE	60	/* seconds */
#define FOLDERS		8	/* that were swept last and are not read again */
#define NAME_SIZE	64
#define TAG_AT		(sizeof ROOT_RESERVED - 1)
#define TAG_LEN		16

static uint64_t
hash(uint64_t h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t origin = 0xcbf29ce484222325u;	/* of node and boot */

void
temporary_warm_up(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	struct utsname node;
	char boot[64];
	ssize_t n = fd < 0 ? -1 : read(fd, boot, sizeof boot);

	if (n > 0)
		origin = hash(origin, boot, (size_t)n);
	if (fd >= 0)
		close(fd);
	if (uname(&node) == 0)
		origin = hash(origin, node.nodename, strlen(node.nodename));
}

/* "HHHHHHHHHHHHHHHH", for one folder. 0 or -errno. */
static int
tag_of(int dir_fd, char tag[TAG_LEN + 1])
{
	struct stat st;

	if (fstat(dir_fd, &st) < 0)
		return -errno;
	return str_format(tag, TAG_LEN + 1, "%016llx", (unsigned long long)hash(origin, &st.st_dev, sizeof st.st_dev));
}

/* ------------------------------------------------------------------------- making one */

/* Whoever finds it unlocked knows that its session is gone: between making and locking it may have been found so. */
static bool
is_ours(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return false;
	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int
temporary_name(int dir_fd, char name[NAME_SIZE])
{
	char tag[TAG_LEN + 1];
	uint64_t random;
	int r = tag_of(dir_fd, tag);

	if (r == 0 && getrandom(&random, sizeof random, 0) != sizeof random)
		r = -EIO;
	return r != 0 ? r : str_format(name, NAME_SIZE, ROOT_RESERVED "%s-%016llx", tag, (unsigned long long)random);
}

int
temporary_make(int dir_fd, mode_t mode, char name[NAME_SIZE])
{
	int fd, r = 0;

	for (unsigned i = 0; r == 0 && i < MAKE_TRIES; i++) {
		if ((r = temporary_name(dir_fd, name)) != 0)
			return r;
		fd = root_create_entry(dir_fd, name, mode);
		if (fd == -EEXIST)
			continue;
		if (fd < 0 || is_ours(fd))
			return fd;
		close(fd);
		(void)unlinkat(dir_fd, name, 0);
	}
	return r != 0 ? r : -EBUSY;
}

/* --------------------------------------------------------------------------- sweeping */

/* How far the file server's clock is ahead of ours, from the date of a file made for it. false: none can be made. */
static bool
clock_ahead(int dir_fd, int64_t *seconds)
{
	static bool known;
	static dev_t device;
	static int64_t ahead;
	char name[NAME_SIZE];
	struct stat st;
	int fd;

	if (fstat(dir_fd, &st) < 0)
		return false;
	if (!known || device != st.st_dev) {
		device = st.st_dev;
		known = false;
		if ((fd = temporary_make(dir_fd, S_IRUSR | S_IWUSR, name)) < 0)
			return false;
		if (fstat(fd, &st) == 0) {
			ahead = (int64_t)st.st_ctim.tv_sec - (int64_t)time(NULL);
			known = true;
		}
		close(fd);
		(void)unlinkat(dir_fd, name, 0);
	}
	*seconds = ahead;
	return known;
}

static bool
is_older(int dir_fd, const struct stat *st, int64_t age)
{
	int64_t ahead;

	return clock_ahead(dir_fd, &ahead) && (int64_t)time(NULL) + ahead - (int64_t)st->st_mtim.tv_sec > age;
}

/* Older than any upload that still goes on somewhere. */
static bool
is_stale(const struct agent *a, int dir_fd, const struct stat *st)
{
	int64_t age = a->set->stale_upload_age, stall = 2 * (int64_t)a->set->stall_timeout;

	return is_older(dir_fd, st, age > stall ? age : stall);
}

static bool
is_own(int dir_fd, const char *name)
{
	char tag[TAG_LEN + 1];

	return strlen(name) > TAG_AT + TAG_LEN && name[TAG_AT + TAG_LEN] == '-' && tag_of(dir_fd, tag) == 0 &&
	    strncmp(name + TAG_AT, tag, TAG_LEN) == 0;
}

/* NFS gives an exclusive lock to a descriptor for writing only. */
static int
open_found(int dir_fd, const char *name)
{
	int fd = root_open_entry(dir_fd, name, O_WRONLY);

	return fd == -EACCES ? root_open_entry(dir_fd, name, O_RDONLY) : fd;
}

/*
 * Nobody can lock a link; it has its name for as long as a rename takes, and who comes back later finds it gone and
 * fails.
 */
static void
sweep_link(struct agent *a, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode) || st.st_uid != geteuid())
		return;
	if (is_own(dir_fd, name) ? is_older(dir_fd, &st, LINK_AGE) : is_stale(a, dir_fd, &st))
		(void)quota_remove(a, dir_fd, name, NULL, 0);
}

void
temporary_sweep(struct agent *a, int dir_fd, const char *name)
{
	struct stat st;
	bool dead;
	int fd;

	/* The own upload: its lock is ours, and would be given. */
	if (strcmp(name, a->transfer.temp) == 0)
		return;
	if ((fd = open_found(dir_fd, name)) < 0) {
		if (fd == -ELOOP)
			sweep_link(a, dir_fd, name);
		return;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		close(fd);
		return;
	}
	dead = flock(fd, LOCK_EX | LOCK_NB) == 0;
	if ((dead && is_own(dir_fd, name)) || ((dead || errno != EWOULDBLOCK) && is_stale(a, dir_fd, &st)))
		(void)quota_remove(a, dir_fd, name, NULL, 0);
	close(fd);
}

/* Has this session read the folder already? It has now. */
static bool
was_swept(const struct stat *st)
{
	static struct { dev_t device; ino_t inode; } seen[FOLDERS];
	static unsigned next;

	for (unsigned i = 0; i < FOLDERS; i++)
		if (seen[i].inode == st->st_ino && seen[i].device == st->st_dev)
			return true;
	seen[next].device = st->st_dev;
	seen[next].inode = st->st_ino;
	next = (next + 1) % FOLDERS;
	return false;
}

void
temporary_sweep_folder(struct agent *a, int dir_fd)
{
	struct entries *e;
	struct entry found;
	struct stat st;
	int fd;

	if (fstat(dir_fd, &st) < 0 || was_swept(&st) || (fd = root_open_entry(dir_fd, ".", O_RDONLY | O_DIRECTORY)) < 0)
		return;
	if ((e = malloc(sizeof *e)) == NULL) {
		close(fd);
		return;
	}
	if (entries_open(e, fd, NULL, false) == 0) {
		while (entries_next(e, &found) == 1)
			if (root_is_reserved(found.name))
				temporary_sweep(a, dir_fd, found.name);
		entries_close(e);
	}
	free(e);
}
