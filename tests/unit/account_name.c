#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/str.h"
#include "tests/unit/account.h"

static const struct { const char *name; bool ok; } names[] = {
	{ "alice", true }, { "DOMAIN\\user", true }, { "user@example.org", true }, { "J\xc3\xb6rg", true },
	{ "with blank", true }, { "a:b", true }, { "'; DROP TABLE users; --", true }, { "%s%n", true },
	{ "...", true }, { "-rf", true }, { "", false }, { ".", false }, { "..", false }, { "a/b", false },
	{ "../etc", false }, { "a\nb", false }, { "a\x7f", false }, { "\xff\xfe", false }, { "\xc0\xaf", false },
	{ "\xed\xa0\x80", false }
};

START_TEST(names_of_clients)
{
	ck_assert_msg(account_name_ok(names[_i].name) == names[_i].ok, "name %d", _i);
}
END_TEST

START_TEST(length_is_bounded)
{
	char name[ACCOUNT_NAME_MAX + 2];

	memset(name, 'a', sizeof name);
	name[ACCOUNT_NAME_MAX] = '\0';
	ck_assert(account_name_ok(name));
	name[ACCOUNT_NAME_MAX] = 'a';
	name[ACCOUNT_NAME_MAX + 1] = '\0';
	ck_assert(!account_name_ok(name));
	/* A forbidden byte at the end of a name that is all backslashes is still found. */
	memset(name, '\\', ACCOUNT_NAME_MAX);
	name[ACCOUNT_NAME_MAX - 1] = '\x01';
	name[ACCOUNT_NAME_MAX] = '\0';
	ck_assert(!account_name_ok(name));
}
END_TEST

static const struct { const char *user, *text, *want; int r; } paths[] = {
	{ "alice", "/srv/${USER}", "/srv/alice", 0 },
	{ "alice", "/srv/${USER}/in-${USER}", "/srv/alice/in-alice", 0 },
	{ "DOMAIN\\bob", "/srv/${USER}", "/srv/DOMAIN.bob", 0 },
	{ "a:b*c?d\"e<f>g|h", "/srv/${USER}", "/srv/a.b.c.d.e.f.g.h", 0 },
	{ "\\\\", "/srv/${USER}", NULL, SP_EFORMAT },
	{ "::", "/srv/${USER}/x", NULL, SP_EFORMAT },
	{ ":", "/srv/${USER}", NULL, SP_EFORMAT },
	{ "alice", "${OS_HOME}/ftp", "/home/alice/ftp", 0 },
	{ "alice", "/srv/${SHELL}", NULL, SP_EFORMAT },
	{ "alice", "/srv/$USER/${", "/srv/$USER/${", 0 },
	{ "alice", "", "", 0 }
};

START_TEST(placeholders)
{
	struct account a;
	char out[64];
	int r;

	account_init(&a, paths[_i].user);
	a.home = "/home/alice";
	r = account_expand(&a, paths[_i].text, out, sizeof out);
	ck_assert_msg(r == paths[_i].r, "%s: %d", paths[_i].text, r);
	if (r == 0)
		ck_assert_str_eq(out, paths[_i].want);
	account_free(&a);
}
END_TEST

START_TEST(expansion_is_bounded)
{
	struct account a;
	char out[16];

	account_init(&a, "a-rather-long-name");
	ck_assert_int_eq(account_expand(&a, "/${USER}", out, sizeof out), SP_ERANGE);
	ck_assert_int_eq(account_expand(&a, "/srv/ftp/folder/x", out, sizeof out), SP_ERANGE);
	account_free(&a);
}
END_TEST

Suite *
account_name_suite(void)
{
	Suite *s = suite_create("account/name");
	TCase *t = tcase_create("name");

	tcase_add_loop_test(t, names_of_clients, 0, (int)(sizeof names / sizeof *names));
	tcase_add_test(t, length_is_bounded);
	tcase_add_loop_test(t, placeholders, 0, (int)(sizeof paths / sizeof *paths));
	tcase_add_test(t, expansion_is_bounded);
	suite_add_tcase(s, t);
	return s;
}
