#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "account/unix.h"
#include "common/err.h"
#include "common/str.h"
#include "tests/unit/account.h"
#include "tests/unit/root.h"

START_TEST(users_are_found)
{
	struct account a;

	account_init(&a, "alice");
	ck_assert_int_eq(unix_find(&a, "alice"), ACCOUNT_FOUND);
	ck_assert_uint_eq(a.uid, 2001);
	ck_assert_str_eq(a.home, "/home/alice");
	ck_assert_str_eq(a.shell, "/bin/sh");
	ck_assert_int_eq(unix_find(&a, "nobody-at-all"), ACCOUNT_UNKNOWN);
	account_free(&a);
}
END_TEST

START_TEST(groups_are_the_users_without_privileged_ones)
{
	static const char *const names[] = { "disk", "no-such-group" };
	struct account a;
	char text[256] = "";

	if (needs_root(__func__))
		return;
	ck_assert_int_eq(unix_forbid_groups(names, 2), 0);
	account_init(&a, "alice");
	ck_assert_int_eq(unix_find(&a, "alice"), ACCOUNT_FOUND);
	ck_assert_int_eq(account_load_groups(&a), 0);
	ck_assert_uint_eq(a.group_count, 2);		/* not root, disk, nor the primary one */
	ck_assert(a.groups[0] == 2050 || a.groups[1] == 2050);
	ck_assert(a.groups[0] == 2051 || a.groups[1] == 2051);
	unix_group_names(&a, text, sizeof text);
	ck_assert_str_eq(text, a.groups[0] == 2050 ? "alice,staff,projects" : "alice,projects,staff");
	account_free(&a);
}
END_TEST

START_TEST(a_forbidden_group_that_finds_no_room_is_an_error)
{
	static const char *const numbers[] = { "7", "8" };
	const char *many[33];

	for (int i = 0; i < 33; i++)
		many[i] = numbers[i % 2];
	ck_assert_int_eq(unix_forbid_groups(many, 32), 0);
	ck_assert(unix_group_forbidden(8) && !unix_group_forbidden(9) && unix_group_forbidden(0));
	ck_assert_int_eq(unix_forbid_groups(many, 33), -E2BIG);
	ck_assert_int_eq(unix_forbid_groups(many, 0), 0);
	ck_assert(!unix_group_forbidden(8));
}
END_TEST

static const struct { const char *text; int r; uid_t uid; gid_t gid; unsigned groups; } identities[] = {
	{ "alice", 0, 2001, 2001, 0 },
	{ "alice:staff", 0, 2001, 2050, 0 },
	{ "alice:3000", 0, 2001, 3000, 0 },
	{ "4000", 0, 4000, 4000, 0 },
	{ "4000:4001", 0, 4000, 4001, 0 },
	{ "4000:4001,4002,4003", 0, 4000, 4001, 2 },
	{ "mallory", SP_ENOUSER, 0, 0, 0 },
	{ "alice:mallory", SP_ENOGROUP, 0, 0, 0 },
	{ "4000:", SP_EFORMAT, 0, 0, 0 },
	{ "4000:1,,2", SP_EFORMAT, 0, 0, 0 },
	{ "4000:4294967295", SP_EFORMAT, 0, 0, 0 },
	{ "", SP_EFORMAT, 0, 0, 0 },
	{ ":5", SP_EFORMAT, 0, 0, 0 }
};

START_TEST(run_as)
{
	struct account a;
	int r;

	account_init(&a, "x");
	r = unix_run_as(&a, identities[_i].text);
	ck_assert_msg(r == identities[_i].r, "%s: %d", identities[_i].text, r);
	if (r == 0) {
		ck_assert_uint_eq(a.uid, identities[_i].uid);
		ck_assert_uint_eq(a.gid, identities[_i].gid);
		ck_assert_uint_eq(a.group_count, identities[_i].groups);
	}
	account_free(&a);
}
END_TEST

START_TEST(name_files)
{
	char path[300];
	struct name_file f = { .path = path };

	(void)str_format(path, sizeof path, "%s/list", test_dir);
	unlink(path);
	ck_assert(!name_file_has(&f, "root"));
	ck_assert(f.missing);
	test_write("list", "# who may not\nroot\n  \nbin # comment\ndaemon\t\nlast");
	ck_assert(name_file_has(&f, "root"));
	ck_assert(!f.missing);
	ck_assert(name_file_has(&f, "bin"));
	ck_assert(name_file_has(&f, "daemon"));
	ck_assert(name_file_has(&f, "last"));
	ck_assert(!name_file_has(&f, "who"));
	ck_assert(!name_file_has(&f, ""));
	ck_assert(!name_file_has(&f, "roo"));
	test_write("list", "alice\n");
	ck_assert(name_file_has(&f, "alice"));
	ck_assert(!name_file_has(&f, "root"));
	unlink(path);
	ck_assert(!name_file_has(&f, "alice"));
	name_file_free(&f);
}
END_TEST

Suite *
account_unix_suite(void)
{
	Suite *s = suite_create("account/unix");
	TCase *t = tcase_create("unix");

	tcase_add_test(t, users_are_found);
	tcase_add_test(t, groups_are_the_users_without_privileged_ones);
	tcase_add_test(t, a_forbidden_group_that_finds_no_room_is_an_error);
	tcase_add_loop_test(t, run_as, 0, (int)(sizeof identities / sizeof *identities));
	tcase_add_test(t, name_files);
	suite_add_tcase(s, t);
	return s;
}
