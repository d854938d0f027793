#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "account/cluster.h"
#include "tests/unit/account.h"

static const char seed[] =
	"admin:secret-password:0:/u/admin\n"
	"root:another-secret-password:100:/u/root\n"
	"nobody:not-so-secret:1001:\n"
	"_:-:1002\n";

static const struct { const char *line; bool good; } lines[] = {
	{ "a:pw:1:/", true }, { "a:pw:1:/\r\n", true }, { "\r\na:pw:1:\n", true }, { "a::1:", true }, { "a:p:4294967294:", true }, { "a+b-c.9:pw:0:", true },
	{ "a:pw:1", false }, { "a:pw:1:/:x", false }, { "A:pw:1:", false }, { ":pw:1:", false }, { "a b:pw:1:", false },
	{ "a:pw::", false }, { "a:pw:-1:", false }, { "a:pw:1x:", false }, { "a:pw:4294967295:", false },
	{ "a:pw:99999999999999999999:", false }, { "_:-:5", false }, { "_:-:5:", false }, { "", false }, { "..:p:1:",
	    false }
};

START_TEST(reads_lines)
{
	struct cluster_row row;
	const char *at = lines[_i].line;
	unsigned line = 0, wrong = 0;

	ck_assert_msg(cluster_next(&at, &line, &row, &wrong) == lines[_i].good, "%s", lines[_i].line);
}
END_TEST

START_TEST(finds_the_first)
{
	struct cluster_row row;

	ck_assert(cluster_find("a:1st:1:\nb:x:2:\na:2nd:3:\n", "a", &row));
	ck_assert_int_eq(row.number, 1);
	ck_assert_uint_eq(row.line, 1);
	ck_assert(!cluster_find(seed, "_", &row));
	ck_assert(!cluster_find(seed, "adm", &row));
	ck_assert(cluster_find(seed, "nobody", &row));
	ck_assert_uint_eq(row.home_len, 0);
	ck_assert_uint_eq(row.line, 3);
}
END_TEST

START_TEST(ends_of_lines_are_no_part_of_a_home)
{
	struct cluster_row row;
	char *text;

	ck_assert(cluster_find("a:pw:1:/h\r\nb:x:2:\r\n", "a", &row));
	ck_assert_uint_eq(row.home_len, 2);
	text = cluster_without("a:pw:1:/h\r\nb:x:2:\r\n", &row);
	free(text);
	ck_assert(cluster_find("b:x:2:\r\n", "b", &row));
	ck_assert_uint_eq(row.home_len, 0);
	ck_assert(cluster_is_locked(&row));
}
END_TEST

/* text before, after adding x, number */
static const struct { const char *before, *after; int64_t number; } additions[] = {
	{ "_:-:7\n", "x:pw:7:/h\n_:-:8\n", 7 },
	{ "", "x:pw:1000:/h\n_:-:1001\n", 1000 },
	{ "a:b:4000:\n", "a:b:4000:\nx:pw:4001:/h\n_:-:4002\n", 4001 },
	{ "a:b:5:", "a:b:5:\nx:pw:1000:/h\n_:-:1001\n", 1000 },
	{ "_:-:7:\na:b:1:\n", "x:pw:7:/h\n_:-:8\na:b:1:\n", 7 },
	/* Never the administrator's, nobody's twin, nor a line's that is no account. */
	{ "_:-:0\n", "x:pw:1:/h\n_:-:2\n", 1 },
	{ "boss:b:0:/\n_:-:0\n", "boss:b:0:/\nx:pw:1:/h\n_:-:2\n", 1 },
	{ "bob:b:1001:/\n_:-:1001\n", "bob:b:1001:/\nx:pw:1002:/h\n_:-:1003\n", 1002 },
	{ "_:-:1001\nBob:b:5000:/\n", "x:pw:5001:/h\n_:-:5002\nBob:b:5000:/\n", 5001 },
	{ "a:b:4294967293:\n", "a:b:4294967293:\nx:pw:4294967294:/h\n_:-:4294967295\n", 4294967294 },
	{ "_:-:x\n", "_:-:x\nx:pw:1000:/h\n_:-:1001\n", 1000 },
	{ "_:-:x\na:b:1001:/\n", "_:-:x\na:b:1001:/\nx:pw:1002:/h\n_:-:1003\n", 1002 },
	{ "a:b:1010:/\n_:-:1005\n", "a:b:1010:/\nx:pw:1011:/h\n_:-:1012\n", 1011 }
};

START_TEST(adds)
{
	int64_t number = -1;
	char *text = cluster_with_account(additions[_i].before, "x", "pw", "/h", &number);

	ck_assert_str_eq(text, additions[_i].after);
	ck_assert_int_eq(number, additions[_i].number);
	free(text);
}
END_TEST

static const char *const full[] = {
	"a:b:4294967294:\n", "_:-:4294967295\n", "_:-:4294967296\n", "_:-:99999999999999999999\n",
	"a:b:1:/\n_:-:2\nA:b:4294967294:/\n"
};

START_TEST(numbers_come_to_an_end)
{
	int64_t number = -1;

	ck_assert_ptr_null(cluster_with_account(full[_i], "x", "pw", "/h", &number));
	ck_assert_int_gt(number, 4294967294);
}
END_TEST

/* before, without x: its number is not given out again */
static const struct { const char *before, *after; } removals[] = {
	{ "x:p:1001:/\na:b:5:\n", "a:b:5:\n_:-:1002\n" }, { "x:p:1001:/\n_:-:1002\n", "_:-:1002\n" },
	{ "x:p:1001:/\n_:-:7\n", "_:-:1002\n" }, { "x:p:5:/\na:b:1005:\n", "a:b:1005:\n" }
};

START_TEST(numbers_are_not_given_out_again)
{
	struct cluster_row row;
	char *text;

	ck_assert(cluster_find(removals[_i].before, "x", &row));
	text = cluster_without(removals[_i].before, &row);
	ck_assert_str_eq(text, removals[_i].after);
	free(text);
}
END_TEST

START_TEST(changes_and_removes)
{
	struct cluster_row row;
	char *text;

	ck_assert(cluster_find(seed, "root", &row));
	text = cluster_with_password(seed, &row, "new");
	ck_assert_ptr_nonnull(strstr(text, "\nroot:new:100:/u/root\nnobody:"));
	free(text);
	text = cluster_without(seed, &row);
	ck_assert_ptr_null(strstr(text, "root:"));
	ck_assert_ptr_nonnull(strstr(text, "/u/admin\nnobody:"));
	free(text);
}
END_TEST

Suite *
account_cluster_suite(void)
{
	Suite *s = suite_create("account/cluster");
	TCase *t = tcase_create("cluster");

	tcase_add_loop_test(t, reads_lines, 0, (int)(sizeof lines / sizeof *lines));
	tcase_add_test(t, finds_the_first);
	tcase_add_test(t, ends_of_lines_are_no_part_of_a_home);
	tcase_add_loop_test(t, adds, 0, (int)(sizeof additions / sizeof *additions));
	tcase_add_loop_test(t, numbers_come_to_an_end, 0, (int)(sizeof full / sizeof *full));
	tcase_add_loop_test(t, numbers_are_not_given_out_again, 0, (int)(sizeof removals / sizeof *removals));
	tcase_add_test(t, changes_and_removes);
	suite_add_tcase(s, t);
	return s;
}
