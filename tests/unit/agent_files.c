#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/str.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"

START_TEST(folders_are_entered)
{
	agent_test_make();
	make_folder("a", 0755);
	make_folder("a/b", 0755);
	make_file("a/.message", "welcome\x1b[31m\r\n");
	at->settings = "directory_message_file=.message\n";
	agent_test_start();
	expect_path(MSG_CHANGE_DIR, "a", MSG_WHERE);
	ck_assert_str_eq(at->reply.where.path, "/a");
	ck_assert_str_eq(at->reply.where.message, "welcome?[31m");
	expect_path(MSG_CHANGE_DIR, "b", MSG_WHERE);
	ck_assert_str_eq(at->reply.where.path, "/a/b");
	ck_assert_str_eq(at->reply.where.message, "");
	expect_path(MSG_CHANGE_DIR, "../../../..", MSG_WHERE);
	ck_assert_str_eq(at->reply.where.path, "/");
	expect_path_failed(MSG_CHANGE_DIR, "nowhere", FAIL_SYSTEM, ENOENT);
	expect_path_failed(MSG_CHANGE_DIR, "a/.message", FAIL_KIND, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(facts_are_told)
{
	agent_test_make();
	make_file("f", "12345");
	make_folder("d", 0755);
	agent_test_start();
	expect_path(MSG_FACTS, "f", MSG_OBJECT);
	ck_assert_uint_eq(at->reply.object.size, 5);
	ck_assert_uint_eq(at->reply.object.file, 1);
	expect_path(MSG_FACTS, "d", MSG_OBJECT);
	ck_assert_uint_eq(at->reply.object.file, 0);
	expect_path_failed(MSG_FACTS, "x", FAIL_SYSTEM, ENOENT);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(only_regular_files_are_read)
{
	char buf[16] = "";
	struct msg_finish f = { .complete = 1, .bytes = 5 };
	struct msg_retrieve beyond = { .path = "f", .offset = 6 };

	agent_test_make();
	make_file("f", "12345");
	make_folder("d", 0755);
	{
		char fifo[80];

		snprintf(fifo, sizeof fifo, "%s/fifo", at->dir);
		ck_assert_int_eq(mkfifo(fifo, 0666), 0);
	}
	agent_test_start();
	expect_path(MSG_RETRIEVE, "f", MSG_READING);
	ck_assert_uint_eq(at->reply.reading.size, 5);
	ck_assert_int_eq(read(at->reply.fd[0], buf, sizeof buf), 5);
	tell(MSG_FINISH, &f);
	expect_path_failed(MSG_RETRIEVE, "d", FAIL_KIND, 0);
	expect_path_failed(MSG_RETRIEVE, "fifo", FAIL_KIND, 0);
	expect_path_failed(MSG_RETRIEVE, "none", FAIL_SYSTEM, ENOENT);
	expect_failed(MSG_RETRIEVE, &beyond, FAIL_ARGUMENT, 0);
	expect_path(MSG_DIGEST, "f", MSG_READING);
	expect_path(MSG_FACTS, "f", MSG_OBJECT);
	ck_assert_uint_eq(at->records, 1);
	ck_assert_uint_eq(at->record.bytes, 5);
	ck_assert_str_eq(at->record.path, "/f");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(the_tree_is_changed)
{
	struct msg_change_mode mode = { .path = "d/f", .mode = 04751 };
	struct msg_set_time when = { .path = "d/f", .mtime = 1000000000 };
	struct stat st;
	char path[96];

	agent_test_begin(EVERYTHING);
	expect_path(MSG_MAKE_DIR, "d", MSG_WHERE);
	ck_assert_str_eq(at->reply.where.path, "/d");
	expect_path_failed(MSG_MAKE_DIR, "d", FAIL_SYSTEM, EEXIST);
	make_file("d/f", "x");
	expect(MSG_CHANGE_MODE, &mode, MSG_OBJECT);
	ck_assert_uint_eq(at->reply.object.mode, 0751);
	expect(MSG_SET_TIME, &when, MSG_OBJECT);
	ck_assert_uint_eq(at->reply.object.mtime, 1000000000);
	snprintf(path, sizeof path, "%s/d/f", at->dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0751);
	ck_assert_int_eq(st.st_mtime, 1000000000);
	expect_path_failed(MSG_REMOVE_DIR, "d", FAIL_SYSTEM, ENOTEMPTY);
	expect_path_failed(MSG_REMOVE_DIR, "d/f", FAIL_KIND, 0);
	expect_path_failed(MSG_DELETE, "d", FAIL_KIND, 0);
	expect_path(MSG_RENAME_FROM, "d/f", MSG_DONE);
	expect_path(MSG_RENAME_TO, "g", MSG_DONE);
	ck_assert(!exists("d/f") && exists("g"));
	expect_path(MSG_DELETE, "g", MSG_DONE);
	expect_path_failed(MSG_DELETE, "g", FAIL_SYSTEM, ENOENT);
	expect_path(MSG_REMOVE_DIR, "d", MSG_DONE);
	ck_assert_uint_eq(count_names(""), 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* What one has locked oneself out of can be opened again. */
START_TEST(modes_of_unreadable_files_can_be_changed)
{
	struct msg_change_mode shut = { .path = "f", .mode = 0 }, open_it = { .path = "f", .mode = 0640 };
	struct stat st;
	char path[96];

	agent_test_make();
	if (agent_test_lacks(__func__, ACL_ATTRIBUTE))
		return;
	make_file("f", "x");
	agent_test_start();
	expect(MSG_CHANGE_MODE, &shut, MSG_OBJECT);
	expect_path_failed(MSG_RETRIEVE, "f", FAIL_SYSTEM, EACCES);
	expect(MSG_CHANGE_MODE, &open_it, MSG_OBJECT);
	snprintf(path, sizeof path, "%s/f", at->dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(renaming_replaces_only_with_that_right)
{
	agent_test_make();
	at->dialect = "ups";
	at->rules = "-W +n";
	make_file("a", "a");
	make_file("b", "b");
	agent_test_start();
	expect_path(MSG_RENAME_FROM, "a", MSG_DONE);
	expect_path_failed(MSG_RENAME_TO, "b", FAIL_POLICY, 0);
	expect_path(MSG_RENAME_FROM, "a", MSG_DONE);
	expect_path(MSG_RENAME_TO, "c", MSG_DONE);
	expect_file("b", "b");
	expect_file("c", "a");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(groups_are_ones_own_affair)
{
	struct msg_change_owner group = { .path = "f" }, foreign = { .path = "f", .group = "0" };
	struct msg_change_owner owner = { .path = "f", .owner = "root" }, none = { .path = "f" }, name = { .path = "f", .group = "nosuchgroup" };

	/* Root's tests have an agent that is nobody, others one that is themselves. */
	ck_assert_int_eq(str_format(group.group, sizeof group.group, "%u", geteuid() == 0 ? TEST_UID : (unsigned)getegid()), 0);
	agent_test_make();
	make_file("f", "x");
	agent_test_start();
	expect(MSG_CHANGE_OWNER, &group, MSG_DONE);
	expect_failed(MSG_CHANGE_OWNER, &foreign, FAIL_SYSTEM, EPERM);
	expect_failed(MSG_CHANGE_OWNER, &owner, FAIL_ARGUMENT, 0);
	expect_failed(MSG_CHANGE_OWNER, &none, FAIL_ARGUMENT, 0);
	expect_failed(MSG_CHANGE_OWNER, &name, FAIL_ARGUMENT, 0);
	agent_test_end(SP_EXIT_OK);

	agent_test_make();
	at->flags |= PROFILE_CHOWN;
	make_file("f", "x");
	agent_test_start();
	expect(MSG_CHANGE_OWNER, &owner, MSG_DONE);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(links_are_made_relative_and_inside)
{
	struct msg_make_link in = { .path = "d/l", .target = "/f" }, out = { .path = "d/m", .target = "../../../etc/passwd" };
	char target[256] = "", path[96];

	agent_test_make();
	at->dialect = "ups";
	at->rules = "+l";
	make_folder("d", 0755);
	make_file("f", "inside");
	agent_test_start();
	expect(MSG_MAKE_LINK, &in, MSG_DONE);
	snprintf(path, sizeof path, "%s/d/l", at->dir);
	ck_assert_int_gt(readlink(path, target, sizeof target - 1), 0);
	ck_assert_str_eq(target, "../f");
	expect_failed(MSG_MAKE_LINK, &out, FAIL_SYSTEM, ENOENT);
	expect_path(MSG_READ_LINK, "d/l", MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "../f");
	expect_path_failed(MSG_READ_LINK, "f", FAIL_KIND, 0);
	expect_path(MSG_FACTS, "d/l", MSG_OBJECT);
	ck_assert_uint_eq(at->reply.object.size, 6);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(acls_are_shown_and_set)
{
	struct msg_acl_get get = { .path = "f" };
	struct msg_acl_set set = { .path = "f", .acl = "u::rw,u:12345:r,g::-,m::r,o::-" }, bad = { .path = "f", .acl = "u::rw,q::r" };

	agent_test_make();
	if (agent_test_lacks(__func__, ACL_ATTRIBUTE))
		return;
	make_file("f", "x");
	agent_test_start();
	expect(MSG_ACL_GET, &get, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "user::rw-\ngroup::r--\nother::r--");
	expect(MSG_ACL_SET, &set, MSG_DONE);
	expect(MSG_ACL_GET, &get, MSG_TEXT);
	ck_assert_ptr_nonnull(strstr(at->reply.text.text, "user:12345:r--"));
	expect_failed(MSG_ACL_SET, &bad, FAIL_ARGUMENT, 0);
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "at character"));
	get.kind = 1;
	expect_failed(MSG_ACL_GET, &get, FAIL_KIND, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(umask_acts_on_new_files)
{
	struct msg_set_umask tell_it = { UINT32_MAX, "" }, set = { 077, "" }, silly = { 01000, "" };
	struct stat st;
	char path[96];

	agent_test_begin(EVERYTHING);
	expect(MSG_SET_UMASK, &tell_it, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "The umask is 022.");
	expect(MSG_SET_UMASK, &set, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "The umask is 077 (was 022).");
	expect_failed(MSG_SET_UMASK, &silly, FAIL_ARGUMENT, 0);
	ck_assert_int_eq(put_file("f", 0, "x", true), MSG_DONE);
	snprintf(path, sizeof path, "%s/f", at->dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(accounts_are_the_monitors_affair)
{
	struct msg_own_password m = { .named = 1 };

	agent_test_make();
	at->flags |= PROFILE_OWN_PASSWORD;
	agent_test_start();
	ck_assert_int_eq(secret_set(&m.password, "new", 3), 0);
	expect(MSG_OWN_PASSWORD, &m, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "1 tester new");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(space_is_what_quota_leaves)
{
	struct statvfs fs;

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->limit.bytes = 1234;
	ck_assert_int_eq(statvfs(at->dir, &fs), 0);
	if (fs.f_bavail == 0) {
		ck_assert_int_eq(rmdir(at->dir), 0);
		skip(__func__, "the file system of /tmp does not tell what is free");
		return;
	}
	agent_test_start();
	expect_path(MSG_SPACE, ".", MSG_OBJECT);
	ck_assert_uint_eq(at->reply.object.size, 1234);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(rules_are_explained_only_to_those_who_may_see_them)
{
	struct msg_explain m = { .command = "DELE", .path = "f" };

	agent_test_make();
	at->rules = "elr";
	make_file("f", "x");
	agent_test_start();
	expect_failed(MSG_EXPLAIN, &m, FAIL_POLICY, 0);
	expect_path_failed(MSG_DELETE, "f", FAIL_POLICY, 0);
	ck_assert_str_eq(at->reply.failed.text, "");
	agent_test_end(SP_EXIT_OK);

	agent_test_make();
	at->rules = "elr";
	at->settings = "explain_denials=yes\n";
	make_file("f", "x");
	agent_test_start();
	expect(MSG_EXPLAIN, &m, MSG_TEXT);
	ck_assert_ptr_nonnull(strstr(at->reply.text.text, "deny"));
	expect_path_failed(MSG_DELETE, "f", FAIL_POLICY, 0);
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "pyftpdlib"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* from, to: what is moved; the link made by the agent or by somebody with a shell; may it be moved? its text then */
static const struct { const char *from, *to, *link, *target, *text; bool may; const char *after; } moves[] = {
	{ "a/b/c/l", "l", "a/b/c/l", "/top", NULL, true, "top" },	/* ../../../top */
	{ "a/b/c/l", "a/l", "a/b/c/l", "/top", NULL, true, "../top" },
	{ "a/b/c/l", "a/l", "a/b/c/l", "/a/x/y", NULL, true, "../a/x/y" },
	{ "a/b/c/l", "m", "a/b/c/l", "/a/b/f", NULL, true, "a/b/f" },
	{ "a/b/c/l", "a/b/l", "a/b/c/l", "/a/b/f", NULL, true, NULL },	/* ../f */
	{ "a/b/c/l", "a/x/y/l", "a/b/c/l", "/top", NULL, true, NULL },
	{ "a/b/c/l", "a/b/c/m", "a/b/c/l", "/top", NULL, true, NULL },
	{ "l", "a/l", "l", "/top", NULL, true, NULL },
	{ "a/b/c", "c", "a/b/c/l", "/top", NULL, false, NULL },
	{ "a/b/c", "a/c", "a/b/c/d/l", "/top", NULL, false, NULL },
	{ "a/b/c", "c", "a/b/c/d/l", "/a/b/c/f", NULL, true, NULL },		/* stays within what is moved */
	{ "a/b", "b", "a/b/c/d/l", "/top", NULL, false, NULL },
	{ "a/b", "z", "a/b/c/d/l", "/a/b/f", NULL, true, NULL },
	{ "a/b/c/l", "l", "a/b/c/l", NULL, "x/../../../../y", true, "a/b/c/x/../../../../y" },
	{ "a/b/c/l", "l", "a/b/c/l", NULL, "/etc/passwd", true, NULL },	/* led out before: it was no client's */
	{ "a/b/c/l", "l", "a/b/c/l", NULL, "../../../../../etc/passwd", false, NULL },	/* nor further out */
	{ "a/b/c/l", "l", "a/b/c/l", NULL, "f", true, NULL },
};

START_TEST(moved_links_do_not_lead_out)
{
	agent_test_make();
	at->dialect = "kernel";
	at->rules = "";
	for (const char *const *f = (const char *const []){ "a", "a/b", "a/b/c", "a/b/c/d", "a/x", "a/x/y", NULL }; *f != NULL; f++)
		make_folder(*f, 0755);
	make_file("top", "x");
	make_file("a/b/f", "x");
	make_file("a/b/c/f", "x");
	agent_test_start();
	if (moves[_i].target != NULL) {
		struct msg_make_link m = { 0 };

		(void)str_copy(m.path, sizeof m.path, moves[_i].link);
		(void)str_copy(m.target, sizeof m.target, moves[_i].target);
		expect(MSG_MAKE_LINK, &m, MSG_DONE);
	} else
		make_link(moves[_i].link, moves[_i].text);
	expect_path(MSG_RENAME_FROM, moves[_i].from, MSG_DONE);
	if (moves[_i].may) {
		expect_path(MSG_RENAME_TO, moves[_i].to, MSG_DONE);
		ck_assert(!exists(moves[_i].from));
		if (moves[_i].after != NULL) {
			expect_path(MSG_READ_LINK, moves[_i].to, MSG_TEXT);
			ck_assert_str_eq(at->reply.text.text, moves[_i].after);
		}
		ck_assert_uint_eq(count_names("a/x"), 1);	/* nothing is left over */
	} else {
		expect_path_failed(MSG_RENAME_TO, moves[_i].to, FAIL_KIND, 0);
		ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "link would lead out"));
		ck_assert(!exists(moves[_i].to));
	}
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* What cannot be searched is not moved up: its owner could open it afterwards. */
START_TEST(closed_folders_are_not_moved_up)
{
	agent_test_begin(EVERYTHING);
	make_folder("a", 0755);
	make_folder("a/b", 0755);
	make_folder("a/b/closed", 0000);
	expect_path(MSG_RENAME_FROM, "a/b", MSG_DONE);
	if (geteuid() == 0) {
		expect_path_failed(MSG_RENAME_TO, "b", FAIL_KIND, 0);
		expect_path(MSG_RENAME_FROM, "a/b", MSG_DONE);
	}
	expect_path(MSG_RENAME_TO, "a/c", MSG_DONE);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(texts_of_links_are_one_line)
{
	agent_test_begin(EVERYTHING);
	make_link("l", "a\r\n250 b\x7f");
	expect_path(MSG_READ_LINK, "l", MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "a??250 b?");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_files_suite(void)
{
	Suite *s = suite_create("agent: objects");
	TCase *c = tcase_create("objects");

	tcase_add_test(c, folders_are_entered);
	tcase_add_test(c, facts_are_told);
	tcase_add_test(c, only_regular_files_are_read);
	tcase_add_test(c, the_tree_is_changed);
	tcase_add_test(c, modes_of_unreadable_files_can_be_changed);
	tcase_add_test(c, renaming_replaces_only_with_that_right);
	tcase_add_test(c, groups_are_ones_own_affair);
	tcase_add_test(c, links_are_made_relative_and_inside);
	tcase_add_test(c, acls_are_shown_and_set);
	tcase_add_test(c, umask_acts_on_new_files);
	tcase_add_test(c, accounts_are_the_monitors_affair);
	tcase_add_test(c, space_is_what_quota_leaves);
	tcase_add_test(c, rules_are_explained_only_to_those_who_may_see_them);
	tcase_add_loop_test(c, moved_links_do_not_lead_out, 0, sizeof moves / sizeof *moves);
	tcase_add_test(c, closed_folders_are_not_moved_up);
	tcase_add_test(c, texts_of_links_are_one_line);
	suite_add_tcase(s, c);
	return s;
}
