#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/ledger.h"
#include "account/ledger_private.h"
#include "common/str.h"

#define PAGE		LEDGER_PAGE
#define NAME_LONGEST	200
#define MAGIC		0x53504c4544474552u

uint64_t
ledger_mix(uint64_t h, uint64_t value)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		h = (h ^ (value & 0xff)) * 0x100000001b3u;
	return h;
}

static uint64_t
sum_of(const struct ledger_entry *e)
{
	uint64_t h = ledger_mix(ledger_mix(ledger_mix(ledger_mix(LEDGER_SEED, e->magic), e->number), e->bytes), e->files);

	return e->records == 0 ? h : ledger_mix(ledger_mix(h, e->records), e->record_count);
}

/* A name as a file name: what is not plain becomes %HH; what is too long is told apart by a hash. */
static void
file_name(const char *account, char *out, size_t size)
{
	static const char hex[] = "0123456789ABCDEF";
	uint64_t h = LEDGER_SEED;
	size_t n = 0;

	for (const char *p = account; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		h = ledger_mix(h, c);
		if (n + 4 > NAME_LONGEST)
			continue;
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	out[n] = '\0';
	if (n + 4 > NAME_LONGEST)
		(void)str_format(out + n, size - n, "=%016llx", (unsigned long long)h);
}

int
ledger_lock_range(int fd, short how, off_t at, off_t len, bool wait)
{
	struct flock l = { .l_type = how, .l_whence = SEEK_SET, .l_start = at, .l_len = len };

	while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l) < 0) {
		if (errno == EACCES)
			return -EAGAIN;
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

bool
ledger_is_locked(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

int
ledger_lock_total(int fd, short how)
{
	return ledger_lock_range(fd, how, 0, 2 * PAGE, true);
}

/* Takes the room of both places from the disk now: later it may be full, and what is removed must still be noted. */
static void
reserve(int fd)
{
	struct stat st;

	if (ledger_lock_total(fd, F_WRLCK) != 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size < 2 * PAGE)
		(void)posix_fallocate(fd, 0, 2 * PAGE);	/* where it fails, changes will say so */
	(void)ledger_lock_total(fd, F_UNLCK);
}

/* A file of the account in the directory, which is made when it is not there. */
static int
open_file(const char *directory, const char *name, int flags)
{
	int dir_fd, fd, error;

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, name, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	error = errno;
	close(dir_fd);
	return fd < 0 ? -error : fd;
}

int
ledger_open(const char *directory, const char *account)
{
	char name[NAME_LONGEST + 40];
	int fd;

	file_name(account, name, sizeof name);
	if ((fd = open_file(directory, name, O_RDWR)) >= 0)
		reserve(fd);
	return fd;
}

int
ledger_open_witness(const char *directory, const char *account)
{
	char name[1 + NAME_LONGEST + 40] = ".";	/* no account's name begins so */

	file_name(account, name + 1, sizeof name - 1);
	return open_file(directory, name, O_RDONLY);
}

int
ledger_read_entry(int fd, struct ledger_entry *newest, int *older)
{
	struct ledger_entry e;

	*newest = (struct ledger_entry){ .magic = MAGIC };
	*older = 0;
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(fd, &e, sizeof e, (off_t)i * PAGE);

		if (n < 0)
			return -errno;
		if (n != sizeof e || e.magic != MAGIC || e.sum != sum_of(&e) || e.number <= newest->number)
			continue;
		*newest = e;
		*older = 1 - i;
	}
	return 0;
}

int
ledger_write_entry(int fd, struct ledger_entry *e, int place)
{
	e->number++;
	e->sum = sum_of(e);
	if (pwrite(fd, e, sizeof *e, (off_t)place * PAGE) != sizeof *e)
		return errno != 0 ? -errno : -EIO;
	return fdatasync(fd) < 0 ? -errno : 0;
}

int
ledger_read(int fd, struct ledger *l)
{
	struct ledger_entry e;
	int older, r = ledger_lock_total(fd, F_RDLCK);

	if (r == 0)
		r = ledger_read_entry(fd, &e, &older);
	(void)ledger_lock_total(fd, F_UNLCK);
	if (r == 0)
		*l = (struct ledger){ e.bytes, e.files };
	return r;
}

int
ledger_peek(const char *directory, const char *account, struct ledger *l)
{
	char name[NAME_LONGEST + 40];
	int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, r;

	if (dir_fd < 0)
		return -errno;
	file_name(account, name, sizeof name);
	fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	r = fd < 0 ? -errno : ledger_read(fd, l);
	if (fd >= 0)
		close(fd);
	close(dir_fd);
	return r;
}

int
ledger_set(int fd, const struct ledger *l)
{
	struct ledger_entry e;
	int older, r = ledger_lock_total(fd, F_WRLCK);

	if (r == 0)
		r = ledger_read_entry(fd, &e, &older);
	e.bytes = l->bytes;
	e.files = l->files;
	if (r == 0)
		r = ledger_write_entry(fd, &e, older);
	(void)ledger_lock_total(fd, F_UNLCK);
	return r;
}

/* One of the two counts. */
static int
change(uint64_t *count, uint64_t added, uint64_t removed, uint64_t limit)
{
	uint64_t left = *count > removed ? *count - removed : 0;
	uint64_t next = left > UINT64_MAX - added ? UINT64_MAX : left + added;

	if (limit != 0 && added > removed && next > limit)
		return -EDQUOT;
	*count = next;
	return 0;
}

int
ledger_apply(struct ledger_entry *e, uint64_t added_bytes, uint64_t removed_bytes, uint64_t added_files,
    uint64_t removed_files, uint64_t limit_bytes, uint64_t limit_files)
{
	struct ledger_entry before = *e;
	int r = change(&e->bytes, added_bytes, removed_bytes, limit_bytes);

	if (r == 0)
		r = change(&e->files, added_files, removed_files, limit_files);
	if (r != 0)
		*e = before;
	return r;
}

int
ledger_change(int fd, const struct ledger *added, const struct ledger *removed, const struct ledger *limit,
    struct ledger *now)
{
	struct ledger_entry e, before;
	int older, r = ledger_lock_total(fd, F_WRLCK);

	if (r == 0)
		r = ledger_read_entry(fd, &e, &older);
	if (r == 0) {
		before = e;
		r = ledger_apply(&e, added->bytes, removed->bytes, added->files, removed->files, limit->bytes,
		    limit->files);
		*now = (struct ledger){ e.bytes, e.files };
		if (r == 0 && (e.bytes != before.bytes || e.files != before.files))
			r = ledger_write_entry(fd, &e, older);
	}
	(void)ledger_lock_total(fd, F_UNLCK);
	return r;
}

/* The value of a hexadecimal digit, -1: it is none. */
static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* A file name back to the account's; false: it is none of ours. */
static bool
account_name(const char *file, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = file; *p != '\0' && *p != '=' && n + 1 < size; p++) {
		int byte = (unsigned char)*p;

		if (*p == '%') {
			int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);

			byte = high * 16 + low;
			if (low < 0 || byte == 0)
				return false;
			p += 2;
		}
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	return n > 0 && file[0] != '.';
}

static int
list_one(int dir_fd, const char *file, int (*each)(void *, const char *, const struct ledger *), void *context)
{
	char name[NAME_LONGEST + 1];
	struct ledger l;
	int fd, r;

	if (!account_name(file, name, sizeof name))
		return 0;
	fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : -errno;
	r = ledger_read(fd, &l);
	close(fd);
	return r != 0 ? r : each(context, name, &l);
}

int
ledger_list(const char *directory, int (*each)(void *, const char *, const struct ledger *), void *context)
{
	DIR *d = opendir(directory);
	struct dirent *e;
	int r = 0;

	if (d == NULL)
		return -errno;
	while (r == 0 && (e = readdir(d)) != NULL)
		r = list_one(dirfd(d), e->d_name, each, context);
	closedir(d);
	return r;
}
