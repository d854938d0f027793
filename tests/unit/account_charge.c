#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/charge.h"
#include "common/reserved.h"
#include "common/str.h"
#include "tests/unit/account.h"
#include "tests/unit/charge_rig.h"

/* Two sessions append to one file, one of them is refused; then a third deletes it. */
START_TEST(one_file_of_two_sessions)
{
	const struct ledger limit = { 300, 9 };
	struct charge a, b, third;
	int fa, fb;

	begin("two");
	open_session(&a);
	open_session(&b);
	open_session(&third);
	close(file_of("f", O_RDWR | O_CREAT, 100));
	ck_assert_int_eq(ledger_set(a.fd, &(struct ledger){ 100, 1 }), 0);
	fa = upload(&a, CHARGE_EXISTING, "f", O_WRONLY, &limit);
	fb = upload(&b, CHARGE_EXISTING, "f", O_WRONLY, &limit);
	/* While one works the other asks again. */
	ck_assert_int_eq(charge_lock(&a), 0);
	ck_assert_int_eq(charge_lock(&b), -EAGAIN);
	charge_unlock(&a);
	ck_assert_int_eq(ftruncate(fa, 250), 0);
	ck_assert_int_eq(end(&a, &limit), 0);
	expect_total(&third, 250, 1);
	ck_assert_int_eq(ftruncate(fb, 301), 0);
	ck_assert_int_eq(end(&b, &limit), -EDQUOT);
	ck_assert_uint_eq(keep, 250);
	expect_total(&third, 250, 1);
	/* What grows is given back as it was charged, not as it is. */
	fa = upload(&a, CHARGE_EXISTING, "f", O_WRONLY, &limit);
	ck_assert_int_eq(ftruncate(fa, 100000), 0);
	ck_assert_int_eq(charge_lock(&third), 0);
	ck_assert_int_eq(charge_begin(&third, 0, file_of("f", O_PATH, -1), 0, &limit, &keep, &now), 0);
	drop("f");
	ck_assert_int_eq(charge_settle(&third, false, &now), 0);
	expect_total(&third, 0, 0);
	ck_assert_int_eq(end(&a, &limit), 0);
	expect_total(&third, 0, 0);
}
END_TEST

START_TEST(new_files_count_at_once)
{
	const struct ledger limit = { 0, 1 };
	struct charge a, b;

	begin("new");
	open_session(&a);
	open_session(&b);
	ck_assert_int_ge(upload(&a, CHARGE_NEW, "f", O_WRONLY | O_CREAT, &limit), 0);
	expect_total(&b, 0, 1);
	ck_assert_int_eq(upload(&b, CHARGE_NEW, "g", O_WRONLY | O_CREAT, &limit), -EDQUOT);
	drop("g");
	ck_assert_int_ge(upload(&b, CHARGE_TEMPORARY, "t", O_WRONLY | O_CREAT, &limit), 0);
	expect_total(&b, 0, 1);
	drop("f");
	ck_assert_int_eq(end(&a, &limit), 0);
	expect_total(&b, 0, 0);
}
END_TEST

/* The monitor outlives its agent: the file is charged. The next session finds it and gives the charge back. */
START_TEST(what_the_dead_leave_is_found)
{
	char path[CHARGE_PATH_MAX + 1];
	enum charge_kind kind;
	struct charge a, b;
	struct charge_id id, same;
	uint32_t at = 0;
	int fd, file;

	begin("dead");
	open_session(&a);
	open_session(&b);
	fd = upload(&a, CHARGE_TEMPORARY, "t", O_WRONLY | O_CREAT, &unlimited);
	ck_assert_int_eq(ftruncate(fd, 500), 0);
	/* It lives: nobody else finds it. */
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert(!charge_find_left(&b, &at, &kind, &id, path));
	charge_unlock(&b);
	charge_abandon(&a);
	expect_total(&b, 500, 1);
	at = 0;
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert(charge_find_left(&b, &at, &kind, &id, path));
	ck_assert_str_eq(path, "/t");
	ck_assert_int_eq(kind, CHARGE_TEMPORARY);
	file = file_of("t", O_PATH, -1);
	ck_assert_int_eq(charge_identify(file, &same), 0);
	ck_assert(same.inode == id.inode && same.born_s == id.born_s && same.born_ns == id.born_ns);
	ck_assert_int_eq(charge_begin(&b, CHARGE_LEFTOVER, file, 0, &unlimited, &keep, &now), 0);
	drop("t");
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	expect_total(&b, 0, 0);
	at = 0;
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert(!charge_find_left(&b, &at, &kind, &id, path));
	charge_unlock(&b);
}
END_TEST

/* Monitor and agent are killed: nothing was charged, and nothing is given back. */
START_TEST(a_dead_monitor_charges_nothing)
{
	char path[CHARGE_PATH_MAX + 1];
	enum charge_kind kind;
	struct charge a, b;
	struct charge_id id;
	uint32_t at = 0;
	pid_t pid;
	int fd;

	begin("killed");
	open_session(&b);
	ck_assert_int_eq(ledger_set(b.fd, &(struct ledger){ 70, 7 }), 0);
	pid = fork();
	if (pid == 0) {
		open_session(&a);
		fd = upload(&a, CHARGE_TEMPORARY, "t", O_WRONLY | O_CREAT, &unlimited);
		_exit(ftruncate(fd, 500) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	expect_total(&b, 70, 7);
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert(charge_find_left(&b, &at, &kind, &id, path));
	ck_assert_int_eq(charge_begin(&b, CHARGE_LEFTOVER, file_of("t", O_PATH, -1), 0, &unlimited, &keep, &now), 0);
	drop("t");
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	expect_total(&b, 70, 7);
	/* One that is no temporary file of the table's costs nothing either. */
	close(file_of("u", O_WRONLY | O_CREAT, 60));
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert_int_eq(charge_begin(&b, CHARGE_LEFTOVER, file_of("u", O_PATH, -1), 0, &unlimited, &keep, &now), 0);
	drop("u");
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	expect_total(&b, 70, 7);
}
END_TEST

/* A replacement: what comes and what goes are one sum, and the limit is asked before. */
START_TEST(replacing_is_one_sum)
{
	const struct ledger limit = { 100, 1 };
	struct charge a;
	int fd;

	begin("replace");
	open_session(&a);
	close(file_of("f", O_RDWR | O_CREAT, 90));
	ck_assert_int_eq(ledger_set(a.fd, &(struct ledger){ 90, 1 }), 0);
	fd = upload(&a, CHARGE_TEMPORARY, "t", O_WRONLY | O_CREAT, &limit);
	ck_assert_int_eq(ftruncate(fd, 101), 0);
	ck_assert_int_eq(charge_lock(&a), 0);
	ck_assert_int_eq(charge_begin(&a, CHARGE_OWN, file_of("f", O_PATH, -1), 0, &limit, &keep, &now), -EDQUOT);
	ck_assert_int_eq(ftruncate(fd, 100), 0);
	ck_assert_int_eq(charge_begin(&a, CHARGE_OWN, file_of("f", O_PATH, -1), 0, &limit, &keep, &now), 0);
	drop("f");
	ck_assert_int_eq(charge_settle(&a, true, &now), 0);
	expect_total(&a, 100, 1);
}
END_TEST

/* A file counts as gone where its own directory no longer has it, not where one of the same name never had it. */
START_TEST(gone_is_proven_by_the_directory)
{
	char path[CHARGE_PATH_MAX + 1], old[260], moved[270];
	enum charge_kind kind;
	struct charge a, b;
	struct charge_id id;
	uint32_t at = 0;
	int fd, dir;

	begin("gone");
	(void)str_format(old, sizeof old, "%s", folder);
	(void)str_format(moved, sizeof moved, "%s-moved", folder);
	open_session(&a);
	open_session(&b);
	fd = upload(&a, CHARGE_TEMPORARY, "t", O_WRONLY | O_CREAT, &unlimited);
	ck_assert_int_eq(ftruncate(fd, 500), 0);
	charge_abandon(&a);
	expect_total(&b, 500, 1);
	ck_assert_int_eq(rename(old, moved), 0);
	ck_assert_int_eq(mkdir(old, 0755), 0);
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert(charge_find_left(&b, &at, &kind, &id, path));
	ck_assert_int_ge(dir = open(old, O_PATH | O_DIRECTORY | O_CLOEXEC), 0);
	ck_assert_int_eq(charge_forget_left(&b, at - 1, dir), -ESTALE);
	close(dir);
	expect_total(&b, 500, 1);
	ck_assert_int_ge(dir = open(moved, O_PATH | O_DIRECTORY | O_CLOEXEC), 0);
	ck_assert_int_eq(charge_forget_left(&b, at - 1, dir), 0);
	close(dir);
	charge_unlock(&b);
	expect_total(&b, 0, 0);
}
END_TEST

/* One in place may have another name in another directory: it stays listed, so that its growth is never given back. */
START_TEST(in_place_nothing_is_forgotten)
{
	struct charge a, b;
	int fd, dir;

	begin("inplace");
	open_session(&b);
	if (fork() == 0) {
		open_session(&a);
		fd = upload(&a, CHARGE_NEW, "f", O_WRONLY | O_CREAT, &unlimited);
		_exit(ftruncate(fd, 500) == 0 ? 0 : 1);
	}
	ck_assert_int_gt(wait(NULL), 0);
	expect_total(&b, 0, 1);
	ck_assert_int_ge(dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), 0);
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert_int_eq(charge_forget_left(&b, 0, dir), -ESTALE);
	close(dir);
	ck_assert_int_eq(charge_begin(&b, 0, file_of("f", O_PATH, -1), 0, &unlimited, &keep, &now), 0);
	drop("f");
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	expect_total(&b, 0, 0);
}
END_TEST

static void
count_file(struct charge_census *c, const char *name)
{
	struct statx st;
	int fd = file_of(name, O_PATH, -1);

	ck_assert_int_eq(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st), 0);
	ck_assert_int_eq(charge_census_file(c, &st, name), 0);
	close(fd);
}

/* Counting anew beside an upload that runs and one that died; files of two names count once. */
START_TEST(a_census_agrees_with_the_table)
{
	struct charge_census *c;
	struct charge a, b, dead;
	char one[260], two[260];
	int fd;

	begin("census");
	open_session(&a);
	open_session(&b);
	open_session(&dead);
	close(file_of("f", O_RDWR | O_CREAT, 100));
	close(file_of(RESERVED_PREFIX "unknown", O_RDWR | O_CREAT, 1000));
	(void)str_format(one, sizeof one, "%s/f", folder);
	(void)str_format(two, sizeof two, "%s/g", folder);
	ck_assert_int_eq(link(one, two), 0);
	fd = upload(&a, CHARGE_TEMPORARY, RESERVED_PREFIX "live", O_WRONLY | O_CREAT, &unlimited);
	ck_assert_int_eq(ftruncate(fd, 20), 0);
	fd = upload(&dead, CHARGE_TEMPORARY, RESERVED_PREFIX "dead", O_WRONLY | O_CREAT, &unlimited);
	ck_assert_int_eq(ftruncate(fd, 3), 0);
	charge_abandon(&dead);
	ck_assert_int_eq(charge_census_begin(&c, b.fd, false), 0);
	count_file(c, "f");
	count_file(c, "g");
	count_file(c, RESERVED_PREFIX "live");
	count_file(c, RESERVED_PREFIX "dead");
	count_file(c, RESERVED_PREFIX "unknown");
	ck_assert_int_eq(charge_census_end(c, &now), 0);
	charge_census_free(c);
	expect_total(&b, 1103, 3);
	ck_assert_int_eq(end(&a, &unlimited), 0);
	expect_total(&b, 1123, 4);
	/* Nobody's temporary file was counted, and whoever removes it gives that back. */
	fd = file_of(RESERVED_PREFIX "unknown", O_PATH, -1);
	ck_assert_int_eq(charge_lock(&b), 0);
	ck_assert_int_eq(charge_begin(&b, CHARGE_LEFTOVER, fd, 0, &unlimited, &keep, &now), 0);
	drop(RESERVED_PREFIX "unknown");
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	expect_total(&b, 123, 3);
	/* Whatever changes meanwhile makes it count again. */
	ck_assert_int_eq(charge_census_begin(&c, b.fd, false), 0);
	count_file(c, "f");
	(void)upload(&a, CHARGE_EXISTING, "f", O_WRONLY, &unlimited);
	ck_assert_int_eq(charge_census_end(c, &now), -EAGAIN);
	charge_census_free(c);
	expect_total(&b, 123, 3);
}
END_TEST

/* Nothing is given back that this account was not charged with, be it one file or more than the first table takes. */
START_TEST(what_others_paid_costs_nothing)
{
	struct charge a, b;
	char name[40];
	int fd, fb;

	begin("others");
	open_session(&a);
	open_session(&b);
	for (int i = 0; i < 700; i++) {
		(void)str_format(name, sizeof name, "f%d", i);
		fd = upload(&a, CHARGE_NEW, name, O_WRONLY | O_CREAT, &unlimited);
		ck_assert_int_eq(ftruncate(fd, 10 + i), 0);
		ck_assert_int_eq(end(&a, &unlimited), 0);
	}
	expect_total(&b, 7000 + 699 * 350, 700);
	/* Somebody else's, to which something is added by two sessions; it may be cut to what it had and that. */
	close(file_of("g", O_RDWR | O_CREAT, 5000));
	fd = upload(&a, CHARGE_EXISTING, "g", O_WRONLY, &unlimited);
	fb = upload(&b, CHARGE_EXISTING, "g", O_WRONLY, &unlimited);
	ck_assert_int_eq(ftruncate(fd, 5003), 0);
	ck_assert_int_eq(end(&a, &unlimited), 0);
	expect_total(&b, 7003 + 699 * 350, 700);
	ck_assert_int_eq(ftruncate(fb, 90000), 0);
	ck_assert_int_eq(end(&b, &(struct ledger){ 300000, 0 }), -EDQUOT);
	ck_assert_uint_eq(keep, 5003);
	expect_total(&b, 7003 + 699 * 350, 700);
	for (int i = 0; i < 701; i++) {
		(void)str_format(name, sizeof name, i == 700 ? "g" : "f%d", i);
		ck_assert_int_eq(charge_lock(&b), 0);
		ck_assert_int_eq(charge_begin(&b, 0, file_of(name, O_PATH, -1), 0, &unlimited, &keep, &now), 0);
		drop(name);
		ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	}
	expect_total(&a, 0, 0);
}
END_TEST

/* Replacing a file that has another name frees nothing, and there must be room for both. */
START_TEST(what_has_another_name_frees_nothing)
{
	const struct ledger limit = { 100, 9 };
	char from[260], to[260];
	struct charge a;
	int fd;

	begin("names");
	open_session(&a);
	ck_assert_int_eq(ftruncate(upload(&a, CHARGE_NEW, "f", O_WRONLY | O_CREAT, &limit), 60), 0);
	ck_assert_int_eq(end(&a, &limit), 0);
	(void)str_format(from, sizeof from, "%s/f", folder);
	(void)str_format(to, sizeof to, "%s/g", folder);
	ck_assert_int_eq(link(from, to), 0);
	expect_total(&a, 60, 1);
	fd = upload(&a, CHARGE_TEMPORARY, "t", O_WRONLY | O_CREAT, &limit);
	ck_assert_int_eq(ftruncate(fd, 60), 0);
	/* A deed is one of whoever holds the lock. */
	ck_assert_int_eq(charge_begin(&a, CHARGE_OWN, file_of("f", O_PATH, -1), 0, &limit, &keep, &now), -EPERM);
	ck_assert_int_eq(charge_lock(&a), 0);
	ck_assert_int_eq(charge_begin(&a, CHARGE_OWN, file_of("f", O_PATH, -1), 0, &limit, &keep, &now), -EDQUOT);
	drop("g");
	ck_assert_int_eq(charge_begin(&a, CHARGE_OWN, file_of("f", O_PATH, -1), 0, &limit, &keep, &now), 0);
	ck_assert_uint_eq(now.bytes, 60);
	drop("f");
	ck_assert_int_eq(charge_settle(&a, true, &now), 0);
	expect_total(&a, 60, 1);
}
END_TEST

/* A file that takes its own place costs what it costs. */
START_TEST(one_file_in_both_roles_counts_once)
{
	struct charge a;

	begin("both");
	open_session(&a);
	ck_assert_int_eq(ftruncate(upload(&a, CHARGE_NEW, "f", O_WRONLY | O_CREAT, &unlimited), 60), 0);
	ck_assert_int_eq(end(&a, &unlimited), 0);
	ck_assert_int_ge(upload(&a, CHARGE_EXISTING, "f", O_WRONLY, &unlimited), 0);
	ck_assert_int_eq(charge_lock(&a), 0);
	ck_assert_int_eq(charge_begin(&a, CHARGE_OWN, file_of("f", O_PATH, -1), 0, &unlimited, &keep, &now), 0);
	ck_assert_uint_eq(now.bytes, 60);
	ck_assert_int_eq(charge_settle(&a, true, &now), 0);
	expect_total(&a, 60, 1);
}
END_TEST

Suite *
account_charge_suite(void)
{
	Suite *s = suite_create("account/charge");
	TCase *t = tcase_create("charge");

	tcase_add_test(t, one_file_of_two_sessions);
	tcase_add_test(t, new_files_count_at_once);
	tcase_add_test(t, what_others_paid_costs_nothing);
	tcase_add_test(t, what_the_dead_leave_is_found);
	tcase_add_test(t, a_dead_monitor_charges_nothing);
	tcase_add_test(t, replacing_is_one_sum);
	tcase_add_test(t, a_census_agrees_with_the_table);
	tcase_add_test(t, gone_is_proven_by_the_directory);
	tcase_add_test(t, in_place_nothing_is_forgotten);
	tcase_add_test(t, what_has_another_name_frees_nothing);
	tcase_add_test(t, one_file_in_both_roles_counts_once);
	suite_add_tcase(s, t);
	return s;
}
