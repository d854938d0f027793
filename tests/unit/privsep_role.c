#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "privsep/role.h"
#include "tests/unit/privsep.h"

static const enum msg_role roles[] = { ROLE_LISTENER, ROLE_MONITOR, ROLE_WORKER, ROLE_AGENT, ROLE_KEEPER,
    ROLE_CLERK, ROLE_STARTER, ROLE_VERIFIER };

/*
 * Nobody gains anything from one phase to the next, and everybody but the starter, who passes it on, ends behind a
 * filter.
 */
START_TEST(phases_only_take_away)
{
	const struct role_row *row = role_row(roles[_i]);

	ck_assert_ptr_nonnull(row);
	for (int p = 1; p < PHASE_COUNT; p++)
		ck_assert_msg((row->caps[p] & ~row->caps[p - 1]) == 0, "%s gains capabilities", row->name);
	ck_assert_uint_eq(role_filters(row, PHASE_LIVE) == 0, row->role == ROLE_STARTER);
	ck_assert_msg(row->filter[PHASE_LIVE] != FILTER_BROAD || row->role == ROLE_LISTENER, "%s stays broad", row->name);
	/* The clerk writes files of accounts, which are root's; the starter starts what begins as root. */
	if (row->role != ROLE_LISTENER && row->role != ROLE_CLERK && row->role != ROLE_STARTER)
		ck_assert_int_ne(row->user[PHASE_LIVE], USER_ROOT);
}
END_TEST

START_TEST(roles_without_processes_have_no_row)
{
	ck_assert_ptr_null(role_row(ROLE_ANY));
	ck_assert_ptr_null(role_row(ROLE_TEMPLATE));
	ck_assert_ptr_null(role_row(ROLE_CTL));
	ck_assert_ptr_null(role_row(ROLE_OLD));
	ck_assert_ptr_null(role_row(ROLE_NEW));
}
END_TEST

static const struct {
	const char *text;
	int result;
	uid_t uid;
	gid_t gid;
} users[] = {
	{ "0", 0, 0, 0 }, { "64001", 0, 64001, 64001 }, { "64001:64002", 0, 64001, 64002 }, { "root", 0, 0, 0 },
	{ "root:root", 0, 0, 0 }, { "64001:root", 0, 64001, 0 },
	{ "", SP_EFORMAT, 0, 0 }, { "12x", SP_EFORMAT, 0, 0 }, { "12:", SP_EFORMAT, 0, 0 }, { ":12", SP_EFORMAT, 0, 0 },
	{ "4294967295", SP_EFORMAT, 0, 0 }, { "99999999999999999999", SP_EFORMAT, 0, 0 }, { "1:4294967295", SP_EFORMAT, 0, 0 },
	{ "no such user", -ENOENT, 0, 0 }, { "root:no such group", -ENOENT, 0, 0 },
};

START_TEST(users_of_the_configuration)
{
	struct role_id id = { 1, 1 };

	ck_assert_msg(role_find_user(users[_i].text, &id) == users[_i].result, "\"%s\"", users[_i].text);
	if (users[_i].result != 0)
		return;
	ck_assert_uint_eq(id.uid, users[_i].uid);
	ck_assert_uint_eq(id.gid, users[_i].gid);
}
END_TEST

START_TEST(printing_names_every_role)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	role_print(out);
	fclose(out);
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
		ck_assert_ptr_nonnull(strstr(text, role_row(roles[i])->program));
	ck_assert_ptr_nonnull(strstr(text, "cap_chown cap_net_bind_service"));
	free(text);
}
END_TEST

Suite *
privsep_role_suite(void)
{
	Suite *s = suite_create("role");
	TCase *t = tcase_create("table");

	tcase_add_loop_test(t, phases_only_take_away, 0, (int)(sizeof roles / sizeof roles[0]));
	tcase_add_test(t, roles_without_processes_have_no_row);
	tcase_add_loop_test(t, users_of_the_configuration, 0, (int)(sizeof users / sizeof users[0]));
	tcase_add_test(t, printing_names_every_role);
	suite_add_tcase(s, t);
	return s;
}
