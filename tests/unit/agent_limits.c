/*
 * Uploads and their limits: the quota, the size of files, the room on the disk.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"

START_TEST(quota_is_asked_before_and_charged_after)
{
	struct msg_store s = { .path = "g" };

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->quota_bytes = 10;
	at->quota_files = 2;
	make_file("f", "12345");
	agent_test_start();
	expect_path(MSG_STORE, "f", MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, 15);
	ck_assert_int_eq(write(at->reply.fd[0], "12345678", 8), 8);
	{
		struct msg_finish f = { .complete = 1 };

		expect(MSG_FINISH, &f, MSG_DONE);
	}
	ck_assert_uint_eq(at->charged.bytes_added, 3);
	ck_assert_uint_eq(at->charged.files_added, 0);
	ck_assert_uint_eq(at->quota_bytes, 7);
	s.announced = 8;
	expect_failed(MSG_STORE, &s, FAIL_QUOTA, 0);
	/* A worker that does not care about the room gains nothing. */
	ck_assert_int_eq(put_file("g", 0, "12345678", true), MSG_FAILED);
	ck_assert_uint_eq(at->reply.failed.reason, FAIL_QUOTA);
	ck_assert(!exists("g"));
	ck_assert_int_eq(put_file("f", 0, "12345678901234567890", true), MSG_FAILED);
	expect_file("f", "12345678");
	expect_path(MSG_DELETE, "f", MSG_DONE);
	ck_assert_uint_eq(at->quota_bytes, 15);
	ck_assert_uint_eq(at->quota_files, 3);
	at->quota_files = 0;
	expect_path_failed(MSG_STORE, "h", FAIL_QUOTA, 0);
	ck_assert_uint_eq(count_names(""), 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* In place there is no temporary file to throw away: what is too much is cut off again. */
START_TEST(excess_in_place_is_cut_and_charged)
{
	struct msg_append append = { .path = "f" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->quota_bytes = 3;
	make_file("f", "12345");
	agent_test_start();
	expect(MSG_APPEND, &append, MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, 3);
	ck_assert_int_eq(write(at->reply.fd[0], "678901", 6), 6);
	expect_failed(MSG_FINISH, &f, FAIL_QUOTA, 0);
	expect_file("f", "12345678");
	ck_assert_uint_eq(at->quota_bytes, 0);
	expect_failed(MSG_APPEND, &append, FAIL_QUOTA, 0);
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
	tcase_add_test(c, excess_in_place_is_cut_and_charged);
	tcase_add_test(c, large_files_are_refused);
	tcase_add_test(c, a_full_disk_costs_nothing_old);
	tcase_add_test(c, what_is_announced_and_fits_is_taken);
	suite_add_tcase(s, c);
	return s;
}
