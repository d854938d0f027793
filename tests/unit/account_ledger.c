#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/ledger.h"
#include "common/str.h"
#include "tests/unit/account.h"

static char folder[300];

static int
opened(const char *account)
{
	int fd;

	(void)str_format(folder, sizeof folder, "%s/quota", test_dir);
	fd = ledger_open(folder, account);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	return fd;
}

static const struct ledger nothing;

/* For root only, whatever the mask; and never a link that somebody has put there. */
START_TEST(files_are_roots_own)
{
	char path[600], aim[600], name[300] = "";
	struct dirent *e;
	struct stat st;
	mode_t before = umask(0);
	int fd = opened("own");
	DIR *d = opendir(folder);

	(void)umask(before);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	close(fd);
	while ((e = readdir(d)) != NULL)
		if (strstr(e->d_name, "own") != NULL)
			(void)str_copy(name, sizeof name, e->d_name);
	closedir(d);
	ck_assert_str_ne(name, "");
	(void)str_format(path, sizeof path, "%s/%s", folder, name);
	(void)str_format(aim, sizeof aim, "%s/aim", test_dir);
	ck_assert_int_eq(rename(path, aim), 0);
	ck_assert_int_eq(symlink(aim, path), 0);
	ck_assert_int_eq(ledger_open(folder, "own"), -ELOOP);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(counts)
{
	const struct ledger limit = { 100, 2 };
	struct ledger now;
	int fd = opened("a");

	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 60, 1 }, &nothing, &limit, &now), 0);
	ck_assert_uint_eq(now.bytes, 60);
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 41, 1 }, &nothing, &limit, &now), -EDQUOT);
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 40, 1 }, &nothing, &limit, &now), 0);
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 0, 1 }, &nothing, &limit, &now), -EDQUOT);
	ck_assert_int_eq(ledger_change(fd, &nothing, &(struct ledger){ 1000, 1 }, &limit, &now), 0);
	ck_assert_uint_eq(now.bytes, 0);
	ck_assert_uint_eq(now.files, 1);
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ UINT64_MAX, 0 }, &nothing, &nothing, &now), 0);
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 5, 0 }, &nothing, &nothing, &now), 0);
	ck_assert_uint_eq(now.bytes, UINT64_MAX);
	/* Beyond a limit that was lowered, less is always possible. */
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 1, 0 }, &(struct ledger){ 2, 0 }, &limit, &now), 0);
	close(fd);
}
END_TEST

/* Whatever a write leaves of one place, the other one counts. */
START_TEST(survives_torn_writes)
{
	struct ledger l;
	int fd = opened("a");
	char page[64];

	for (uint64_t i = 1; i <= 9; i++) {
		ck_assert_int_eq(ledger_set(fd, &(struct ledger){ i, i }), 0);
		for (int place = 0; place < 2; place++)
			for (size_t cut = 1; cut < 40; cut += 7) {
				ck_assert_int_eq(pread(fd, page, sizeof page, place * 4096) >= 0, 1);
				if (pread(fd, page, 40, place * 4096) != 40)
					continue;
				ck_assert_int_eq(pwrite(fd, "\xff\xff\xff", 3, place * 4096 + (off_t)cut), 3);
				ck_assert_int_eq(ledger_read(fd, &l), 0);
				ck_assert_msg(l.bytes == i || l.bytes == i - 1, "%llu", (unsigned long long)l.bytes);
				ck_assert_int_eq(pwrite(fd, page, 40, place * 4096), 40);
			}
		ck_assert_int_eq(ledger_read(fd, &l), 0);
		ck_assert_uint_eq(l.bytes, i);
	}
	close(fd);
}
END_TEST

/* Only root reads it, whatever the umask is, and no link is followed to it. */
START_TEST(is_roots_own)
{
	char path[400];
	struct stat st;
	mode_t mask = umask(0);
	int fd = opened("mode");

	umask(mask);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	close(fd);
	(void)str_format(path, sizeof path, "%s/linked", folder);
	ck_assert_int_eq(symlink("mode", path), 0);
	ck_assert_int_eq(ledger_open(folder, "linked"), -ELOOP);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* A look makes nothing, follows no link, and hangs on no pipe. */
START_TEST(a_peek_changes_nothing)
{
	char path[400], none[400];
	struct ledger l = { 7, 7 };
	int fd = opened("seen");

	(void)str_format(none, sizeof none, "%s/none", test_dir);
	ck_assert_int_eq(ledger_peek(none, "seen", &l), -ENOENT);
	ck_assert_int_eq(access(none, F_OK), -1);
	(void)str_format(path, sizeof path, "%s/unseen", folder);
	ck_assert_int_eq(ledger_peek(folder, "unseen", &l), -ENOENT);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(ledger_set(fd, &(struct ledger){ 5, 2 }), 0);
	close(fd);
	ck_assert_int_eq(ledger_peek(folder, "seen", &l), 0);
	ck_assert_uint_eq(l.bytes, 5);
	ck_assert_uint_eq(l.files, 2);
	ck_assert_int_eq(symlink("seen", path), 0);
	ck_assert_int_eq(ledger_peek(folder, "unseen", &l), -ELOOP);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_lt(ledger_peek(folder, "unseen", &l), 0);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

static unsigned synced;
static int sync_error;
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int
__wrap_fdatasync(int fd)
{
	synced++;
	errno = sync_error;
	return sync_error != 0 ? -1 : __real_fdatasync(fd);
}

/* What counts is on the disk, and what could not be brought there is no success. */
START_TEST(is_on_the_disk_before_it_counts)
{
	struct ledger now;
	int fd = opened("synced");

	synced = 0;
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 1, 1 }, &nothing, &nothing, &now), 0);
	ck_assert_uint_eq(synced, 1);
	sync_error = EIO;
	ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 1, 1 }, &nothing, &nothing, &now), -EIO);
	ck_assert_int_eq(ledger_set(fd, &nothing), -EIO);
	sync_error = 0;
	close(fd);
}
END_TEST

START_TEST(is_shared)
{
	struct ledger l;
	int fd = opened("a"), status;

	for (int k = 0; k < 4; k++)
		if (fork() == 0) {
			struct ledger now;
			int own = ledger_open(folder, "a");

			for (int i = 0; i < 50; i++)
				(void)ledger_change(own, &(struct ledger){ 3, 1 }, &nothing, &nothing, &now);
			_exit(0);
		}
	for (int k = 0; k < 4; k++)
		ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(ledger_read(fd, &l), 0);
	ck_assert_uint_eq(l.bytes, 600);
	ck_assert_uint_eq(l.files, 200);
	close(fd);
}
END_TEST

/* A ledger that is there needs nothing more of the disk. */
START_TEST(keeps_its_room)
{
	struct stat before, after;
	struct ledger now;
	int fd = opened("roomy");

	close(fd);
	fd = ledger_open(folder, "roomy");
	ck_assert_int_eq(fstat(fd, &before), 0);
	ck_assert_int_ge(before.st_blocks, 2 * 4096 / 512);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(ledger_change(fd, &(struct ledger){ 7, 1 }, &nothing, &nothing, &now), 0);
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert_int_eq(before.st_blocks, after.st_blocks);
	ck_assert_uint_eq(now.bytes, 28);
	close(fd);
}
END_TEST

static unsigned seen;

static int
see(void *context, const char *account, const struct ledger *l)
{
	const char *const *names = context;

	for (unsigned i = 0; i < 8; i++)
		if (strcmp(names[i], account) == 0 && l->bytes == i + 1)
			seen |= 1u << i;
	return 0;
}

START_TEST(tells_names_apart)
{
	static const char *const names[] = { "a", "A", "a/b", "a.b", "..", "%2F", "ä", " " };
	char longs[2][400];
	struct ledger l;
	int fd;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		fd = opened(names[i]);
		ck_assert_int_eq(ledger_set(fd, &(struct ledger){ i + 1, 0 }), 0);
		close(fd);
	}
	/* Each is found again under its name. */
	seen = 0;
	ck_assert_int_eq(ledger_list(folder, see, (void *)(uintptr_t)names), 0);
	ck_assert_uint_eq(seen, (1u << sizeof names / sizeof *names) - 1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		fd = ledger_open(folder, names[i]);
		ck_assert_int_eq(ledger_read(fd, &l), 0);
		ck_assert_uint_eq(l.bytes, i + 1);
		close(fd);
	}
	for (int i = 0; i < 2; i++) {
		memset(longs[i], 'x', 320);
		longs[i][319] = (char)('0' + i);
		longs[i][320] = '\0';
		fd = opened(longs[i]);
		ck_assert_int_eq(ledger_set(fd, &(struct ledger){ 7, 0 }), 0);
		close(fd);
	}
	fd = opened(longs[1]);
	close(fd);
	fd = ledger_open(folder, longs[0]);
	ck_assert_int_eq(ledger_read(fd, &l), 0);
	ck_assert_uint_eq(l.bytes, 7);
	close(fd);
}
END_TEST

Suite *
account_ledger_suite(void)
{
	Suite *s = suite_create("account/ledger");
	TCase *t = tcase_create("ledger");

	tcase_add_test(t, files_are_roots_own);
	tcase_add_test(t, counts);
	tcase_add_test(t, survives_torn_writes);
	tcase_add_test(t, is_shared);
	tcase_add_test(t, is_roots_own);
	tcase_add_test(t, a_peek_changes_nothing);
	tcase_add_test(t, is_on_the_disk_before_it_counts);
	tcase_add_test(t, keeps_its_room);
	tcase_add_test(t, tells_names_apart);
	suite_add_tcase(s, t);
	return s;
}
