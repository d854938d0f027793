/* ftpcluster's .passwd: which lines are accounts, who may log in, which number comes next. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/clusterpasswd.h"
#include "tests/unit/common.h"

static const char file[] =
    "admin:secret:0:/u/admin\r\n"
    "\n"
    "bob:first:1001:\n"
    "bob:second:1002:/x\n"
    "Bad:pw:1003:/\n"
    "short:pw:1004\n"
    "long:pw:1005:/:more\n"
    "letters:pw:10a:/\n"
    "huge:pw:4294967295:/\n"
    "open::1006:/\n"
    "locked:x:1007:/\n"
    "a.b+c-1:pw:1008:/home";

static unsigned complaints, last_line;

static void
note(void *context, unsigned line, const char *what)
{
	(void)context;
	ck_assert_ptr_nonnull(what);
	complaints++;
	last_line = line;
}

static bool
find(const char *name, struct clusterpasswd *e)
{
	return clusterpasswd_find(file, sizeof(file) - 1, name, e, NULL, NULL);
}

START_TEST(lines_that_are_accounts)
{
	static const char *const absent[] = { "Bad", "short", "long", "letters", "huge", "_", "", "bo", "bobb" };
	struct clusterpasswd e;

	ck_assert(find("admin", &e));
	ck_assert_uint_eq(e.uid, 0);
	ck_assert_uint_eq(e.home_len, 8);
	ck_assert(find("bob", &e));
	ck_assert_uint_eq(e.uid, 1001);
	ck_assert_uint_eq(e.line, 3);
	ck_assert_uint_eq(e.home_len, 0);
	ck_assert(find("a.b+c-1", &e));
	ck_assert_mem_eq(e.home, "/home", 5);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		ck_assert_msg(!find(absent[i], &e), "%s", absent[i]);
	ck_assert(clusterpasswd_find_uid(file, sizeof(file) - 1, 1002, &e));
	ck_assert_uint_eq(e.line, 4);
	ck_assert(!clusterpasswd_find_uid(file, sizeof(file) - 1, 1003, &e));
}
END_TEST

START_TEST(mistakes_are_told)
{
	struct clusterpasswd e;

	complaints = 0;
	ck_assert(clusterpasswd_find(file, sizeof(file) - 1, "bob", &e, note, NULL));
	ck_assert_uint_eq(complaints, 6);
	ck_assert_uint_eq(last_line, 9);
	ck_assert_uint_eq(e.uid, 1001);
}
END_TEST

START_TEST(passwords)
{
	struct clusterpasswd e;

	ck_assert(find("bob", &e) && clusterpasswd_check(&e, "first"));
	ck_assert(!clusterpasswd_check(&e, "second") && !clusterpasswd_check(&e, "firs") && !clusterpasswd_check(&e, "firstt"));
	ck_assert(!clusterpasswd_check(&e, ""));
	ck_assert(find("open", &e) && clusterpasswd_check(&e, "") && !clusterpasswd_check(&e, "x"));
	ck_assert(find("locked", &e) && !clusterpasswd_check(&e, "x") && !clusterpasswd_check(&e, ""));
}
END_TEST

START_TEST(next_number)
{
	static const struct { const char *text; uint32_t next; } rows[] = {
		{ "", 1000 }, { "a:b:7:/\n", 1000 }, { "a:b:1010:/\nc:d:1003:/\n", 1011 }, { "a:b:1010:/\n_:-:1005\n", 1005 },
		{ "_:-:x\na:b:1001:/\n", 1002 }, { "_:-:1005:\n", 1005 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_uint_eq(clusterpasswd_next(rows[i].text, strlen(rows[i].text)), rows[i].next);
}
END_TEST

START_TEST(names)
{
	ck_assert(clusterpasswd_name_ok("a.b+c-1", 7));
	ck_assert(!clusterpasswd_name_ok("", 0) && !clusterpasswd_name_ok("A", 1) && !clusterpasswd_name_ok("a_b", 3) && !clusterpasswd_name_ok("a b", 3));
}
END_TEST

COMMON_SUITE(clusterpasswd, lines_that_are_accounts, mistakes_are_told, passwords, next_number, names)
