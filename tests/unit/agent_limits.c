/*
 * Uploads and their limits: the quota, the size of files, the room on the disk.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/str.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"

START_TEST(quota_is_asked_before_and_charged_after)
{
	struct msg_store s = { .path = "g" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->limit = (struct ledger){ 15, 2 };
	at->used = (struct ledger){ 5, 1 };
	make_file("f", "12345");
	agent_test_start();
	expect_path(MSG_STORE, "f", MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, 15);
	ck_assert_int_eq(write(at->reply.fd[0], "12345678", 8), 8);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_charged(8, 1);
	s.announced = 8;
	expect_failed(MSG_STORE, &s, FAIL_QUOTA, 0);
	/* A worker that does not care about the room gains nothing. */
	ck_assert_int_eq(put_file("g", 0, "12345678", true), MSG_FAILED);
	ck_assert_uint_eq(at->reply.failed.reason, FAIL_QUOTA);
	ck_assert(!exists("g"));
	ck_assert_int_eq(put_file("f", 0, "12345678901234567890", true), MSG_FAILED);
	expect_file("f", "12345678");
	expect_charged(8, 1);
	ck_assert_int_eq(put_file("g", 0, "1234567", true), MSG_DONE);
	expect_charged(15, 2);
	expect_path_failed(MSG_STORE, "h", FAIL_QUOTA, 0);
	expect_path(MSG_DELETE, "f", MSG_DONE);
	expect_path(MSG_DELETE, "g", MSG_DONE);
	expect_charged(0, 0);
	ck_assert_uint_eq(count_names(""), 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* In place there is no temporary file to throw away: what is refused is cut off again. */
START_TEST(excess_in_place_is_cut_off)
{
	struct msg_append append = { .path = "f" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->limit.bytes = 8;
	at->used = (struct ledger){ 5, 1 };
	make_file("f", "12345");
	agent_test_start();
	expect(MSG_APPEND, &append, MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, 3);
	ck_assert_int_eq(write(at->reply.fd[0], "678901", 6), 6);
	expect_failed(MSG_FINISH, &f, FAIL_QUOTA, 0);
	expect_file("f", "12345");
	expect_charged(5, 1);
	expect(MSG_APPEND, &append, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "678", 3), 3);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_charged(8, 1);
	expect_failed(MSG_APPEND, &append, FAIL_QUOTA, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The account's lock is another session's: it is waited for, and the deed goes on. */
START_TEST(the_lock_is_waited_for)
{
	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->limit.bytes = 100;
	agent_test_start();
	at->busy = 3;
	ck_assert_int_eq(put_file("f", 0, "12345", true), MSG_DONE);
	ck_assert_uint_eq(at->busy, 0);
	expect_charged(5, 1);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* What cannot be charged is not done. */
START_TEST(a_deed_without_its_charge_is_none)
{
	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->used = (struct ledger){ 8, 2 };
	make_file("f", "12345");
	make_file("g", "123");
	agent_test_start();
	expect_path(MSG_FACTS, "f", MSG_OBJECT);
	at->broken = 1;
	expect_path_failed(MSG_DELETE, "f", FAIL_SYSTEM, EIO);
	expect_path(MSG_RENAME_FROM, "g", MSG_DONE);
	at->broken = 1;
	expect_path_failed(MSG_RENAME_TO, "f", FAIL_SYSTEM, EIO);
	ck_assert_uint_eq(at->broken, 0);
	expect_file("f", "12345");
	expect_file("g", "123");
	expect_charged(8, 2);
	expect_path(MSG_DELETE, "f", MSG_DONE);
	expect_charged(3, 1);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/*
 * Charged and gone, it would be charged forever: the place of a file written in place says that it may have another
 * name.
 */
START_TEST(a_new_file_stays_when_nobody_says_what_it_costs)
{
	struct msg_append append = { .path = "f" };

	agent_test_make();
	at->settings = "atomic_uploads=no\n";
	at->flags |= PROFILE_QUOTA;
	agent_test_start();
	at->mortal = true;
	ck_assert_int_eq(ask(MSG_APPEND, &append), MSG_NONE);
	expect_charged(0, 1);
	expect_file("f", "");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The room that there was at the beginning is another session's by the end: the ledger says no, and nothing is kept. */
START_TEST(the_ledger_has_the_last_word)
{
	struct msg_finish f = { .complete = 1 };
	struct charge other;
	struct ledger now;
	char path[64];
	int fd;

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->limit.bytes = 15;
	agent_test_start();
	expect_path(MSG_STORE, "f", MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, 15);
	ck_assert_int_eq(write(at->reply.fd[0], "1234567890", 10), 10);
	make_file("g", "");
	(void)str_format(path, sizeof path, "/proc/self/fd/%d", at->charge.fd);
	charge_init(&other, open(path, O_RDWR | O_CLOEXEC));
	ck_assert_int_eq(charge_lock(&other), 0);
	(void)str_format(path, sizeof path, "%s/g", at->dir);
	ck_assert_int_ge(fd = open(path, O_WRONLY | O_CLOEXEC), 0);
	ck_assert_int_eq(charge_begin(&other, CHARGE_GROWS, fd, 6, &at->limit, &(uint64_t){ 0 }, &now), 0);
	make_file("g", "123456");
	ck_assert_int_eq(charge_settle(&other, false, &now), 0);
	expect_charged(6, 0);
	expect_failed(MSG_FINISH, &f, FAIL_QUOTA, 0);
	ck_assert(!exists("f"));
	expect_charged(6, 0);
	close(other.fd);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A session that is killed while it uploads to a temporary file of that name. */
static void
die_uploading(const char *name)
{
	char path[200], ledger[64];
	const struct ledger limit = { 0, 0 };
	struct ledger now;
	struct charge c;
	int status;
	pid_t pid;

	make_file(name, "part");
	(void)str_format(path, sizeof path, "%s/%s", at->dir, name);
	(void)str_format(ledger, sizeof ledger, "/proc/self/fd/%d", at->charge.fd);
	pid = fork();
	if (pid == 0) {
		int dir_fd = open(at->dir, O_PATH | O_DIRECTORY), fd = open(path, O_WRONLY);

		charge_init(&c, open(ledger, O_RDWR));	/* its own locks */
		(void)str_format(path, sizeof path, "/%s", name);
		_exit(charge_lock(&c) == 0 && charge_open(&c, fd, CHARGE_TEMPORARY, dir_fd, path, &limit, &now) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a dead session left is removed; what has its name by now is another's. */
START_TEST(leftovers_are_known_by_more_than_their_names)
{
	char from[200], to[200];

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	agent_test_start();
	die_uploading("left");
	die_uploading("replaced");
	make_file("other", "theirs");
	(void)str_format(from, sizeof from, "%s/other", at->dir);
	(void)str_format(to, sizeof to, "%s/replaced", at->dir);
	ck_assert_int_eq(rename(from, to), 0);
	(void)ask_path(MSG_FACTS, "replaced");
	ck_assert(!exists("left"));
	expect_file("replaced", "theirs");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A name of several is no room that is given back. */
START_TEST(a_file_costs_until_its_last_name_goes)
{
	char one[200], two[200];

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->used = (struct ledger){ 15, 3 };
	make_file("one", "12345");
	make_file("other", "1234567890");
	(void)str_format(one, sizeof one, "%s/one", at->dir);
	(void)str_format(two, sizeof two, "%s/two", at->dir);
	ck_assert_int_eq(link(one, two), 0);
	agent_test_start();
	expect_path(MSG_DELETE, "one", MSG_DONE);
	expect_charged(15, 3);
	/* Nor is one that another file takes over. */
	ck_assert_int_eq(link(two, one), 0);
	expect_path(MSG_RENAME_FROM, "other", MSG_DONE);
	expect_path(MSG_RENAME_TO, "one", MSG_DONE);
	expect_charged(15, 3);
	expect_path(MSG_RENAME_FROM, "one", MSG_DONE);
	expect_path(MSG_RENAME_TO, "two", MSG_DONE);
	expect_charged(10, 2);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* What broke off for want of room gives way, whatever keep_partial says. */
START_TEST(want_of_room_leaves_nothing)
{
	struct msg_append append = { .path = "old" };
	struct msg_finish f = { .no_room = 1 };

	agent_test_make();
	make_file("old", "12345");
	agent_test_start();
	expect_path(MSG_STORE, "new", MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "part", 4), 4);
	expect(MSG_FINISH, &f, MSG_DONE);
	ck_assert(!exists("new"));
	expect(MSG_APPEND, &append, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "part", 4), 4);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("old", "12345");
	ck_assert_uint_eq(count_names(""), 1);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(large_files_are_refused)
{
	agent_test_make();
	at->settings = "max_file_size=4\n";
	agent_test_start();
	expect_path(MSG_STORE, "f", MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, 4);
	{
		struct msg_finish f = { .complete = 1 };

		ck_assert_int_eq(write(at->reply.fd[0], "12345", 5), 5);
		expect_failed(MSG_FINISH, &f, FAIL_QUOTA, 0);
	}
	ck_assert_uint_eq(count_names(""), 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A full disk: the client hears of it and the old file is there. */
START_TEST(a_full_disk_costs_nothing_old)
{
	struct msg_finish f = { .complete = 0 };
	struct msg_store big = { .path = "huge", .announced = 1ull << 40 };
	static char block[65536];
	ssize_t n;

	if (needs_root(__func__))
		return;
	agent_test_make();
	if (mount("none", at->dir, "tmpfs", 0, "size=256k,mode=0777") < 0) {
		rmdir(at->dir);
		skip(__func__, "no file system can be mounted here");
		return;
	}
	make_file("f", "old");
	agent_test_start();
	expect_failed(MSG_STORE, &big, FAIL_SYSTEM, ENOSPC);
	expect_path(MSG_STORE, "f", MSG_WRITING);
	while ((n = write(at->reply.fd[0], block, sizeof block)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("f", "old");
	ck_assert_uint_eq(count_names(""), 1);
	ck_assert_int_eq(umount2(at->dir, MNT_DETACH), 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(what_is_announced_and_fits_is_taken)
{
	struct msg_store s = { .path = "f", .announced = 3 };
	struct msg_finish f = { .complete = 1, .bytes = 3 };

	agent_test_begin(EVERYTHING);
	expect(MSG_STORE, &s, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "abc", 3), 3);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("f", "abc");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_limits_suite(void)
{
	Suite *s = suite_create("agent: limits of uploads");
	TCase *c = tcase_create("limits");

	tcase_add_test(c, quota_is_asked_before_and_charged_after);
	tcase_add_test(c, excess_in_place_is_cut_off);
	tcase_add_test(c, the_lock_is_waited_for);
	tcase_add_test(c, a_deed_without_its_charge_is_none);
	tcase_add_test(c, a_new_file_stays_when_nobody_says_what_it_costs);
	tcase_add_test(c, the_ledger_has_the_last_word);
	tcase_add_test(c, leftovers_are_known_by_more_than_their_names);
	tcase_add_test(c, a_file_costs_until_its_last_name_goes);
	tcase_add_test(c, want_of_room_leaves_nothing);
	tcase_add_test(c, large_files_are_refused);
	tcase_add_test(c, a_full_disk_costs_nothing_old);
	tcase_add_test(c, what_is_announced_and_fits_is_taken);
	suite_add_tcase(s, c);
	return s;
}
