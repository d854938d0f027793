/* Sessions of an account with a quota, and files in a directory of the test. */
#ifndef UNIT_CHARGE_RIG_H
#define UNIT_CHARGE_RIG_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/charge.h"
#include "common/str.h"
#include "tests/unit/account.h"

static const struct ledger unlimited;
static struct ledger now;
static uint64_t keep;
static char folder[200];

/* A ledger, opened by another session each time: locks belong to the open file. */
__attribute__((unused)) static void
open_session(struct charge *c)
{
	char path[260];
	int fd;

	(void)str_format(path, sizeof path, "%s/ledger", folder);
	ck_assert_int_ge(fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), 0);
	charge_init(c, fd);
}

__attribute__((unused)) static void
begin(const char *name)
{
	(void)str_format(folder, sizeof folder, "%s/%s", test_dir, name);
	ck_assert_int_eq(mkdir(folder, 0755), 0);
}

/* A file of that size. */
__attribute__((unused)) static int
file_of(const char *name, int flags, off_t size)
{
	char path[260];
	int fd;

	(void)str_format(path, sizeof path, "%s/%s", folder, name);
	ck_assert_int_ge(fd = open(path, flags | O_CLOEXEC, 0644), 0);
	if (size >= 0)
		ck_assert_int_eq(ftruncate(fd, size), 0);
	return fd;
}

__attribute__((unused)) static void
drop(const char *name)
{
	char path[260];

	(void)str_format(path, sizeof path, "%s/%s", folder, name);
	ck_assert_int_eq(unlink(path), 0);
}

__attribute__((unused)) static void
expect_total(struct charge *c, uint64_t bytes, uint64_t files)
{
	struct ledger l;

	ck_assert_int_eq(ledger_read(c->fd, &l), 0);
	ck_assert_uint_eq(l.bytes, bytes);
	ck_assert_uint_eq(l.files, files);
}

/* An upload to a new file of that name; its descriptor is the session's. */
__attribute__((unused)) static int
upload(struct charge *c, enum charge_kind kind, const char *name, int flags, const struct ledger *limit)
{
	char path[64];
	int fd = file_of(name, flags, -1), dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	(void)str_format(path, sizeof path, "/%s", name);
	ck_assert_int_eq(charge_lock(c), 0);
	r = charge_open(c, fd, kind, dir, path, limit, &now);
	close(dir);
	if (r != 0)
		close(fd);
	ck_assert_int_eq(charge_settle(c, false, &now), 0);
	return r != 0 ? r : fd;
}

__attribute__((unused)) static int
end(struct charge *c, const struct ledger *limit)
{
	int r;

	ck_assert_int_eq(charge_lock(c), 0);
	r = charge_begin(c, CHARGE_OWN, -1, 0, limit, &keep, &now);
	if (r == -EDQUOT)
		ck_assert_int_eq(ftruncate(c->own_fd, (off_t)keep), 0);
	ck_assert_int_eq(charge_settle(c, true, &now), 0);
	return r;
}

#endif
