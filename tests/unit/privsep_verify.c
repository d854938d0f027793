#include "config.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"
#include "privsep/verify.h"
#include "tests/unit/privsep.h"
#include "tests/unit/root.h"

#define UID 64301
#define GID 64302

#define OTHER_GROUPS "it has other supplementary groups"

static gid_t groups[] = { 64310, 64305 };
static struct drop_target target = { UID, GID, groups, 2, UINT64_C(1) << CAP_CHOWN };

/* A child that has dropped to the target, with so many filters, and waits to be killed. */
static pid_t
victim(int filters)
{
	int ready[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (drop_to(&target) != 0 || (filters > 0 && (sandbox_prepare(ROLE_KEEPER, false) != 0 ||
		    sandbox_enter(PHASE_LIVE) != 0)))
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const struct {
	const char *what;
	int filters;
	struct verify_want want;
	const char *why;	/* NULL: it is right */
} cases[] = {
	{ "right", 1, { UID, GID, groups, 2, UINT64_C(1) << CAP_CHOWN, 1 }, NULL },
	{ "more capabilities wanted than there are", 1, { UID, GID, groups, 2, ~UINT64_C(0), 1 }, NULL },
	{ "groups not compared", 0, { UID, GID, NULL, 0, UINT64_C(1) << CAP_CHOWN, 0 }, NULL },
	{ "another uid", 1, { UID + 1, GID, groups, 2, ~UINT64_C(0), 1 }, "it has another uid" },
	{ "another gid", 1, { UID, GID + 1, groups, 2, ~UINT64_C(0), 1 }, "it has another gid" },
	{ "fewer groups", 1, { UID, GID, groups, 1, ~UINT64_C(0), 1 }, OTHER_GROUPS },
	{ "more groups", 1, { UID, GID, (gid_t[]){ 64310, 64305, 64306 }, 3, ~UINT64_C(0), 1 }, OTHER_GROUPS },
	{ "no groups", 1, { UID, GID, groups, 0, ~UINT64_C(0), 1 }, OTHER_GROUPS },
	{ "other groups", 1, { UID, GID, (gid_t[]){ 64310, 64306 }, 2, ~UINT64_C(0), 1 }, OTHER_GROUPS },
	{ "a capability too many", 1, { UID, GID, groups, 2, 0, 1 }, "it has more capabilities than its role" },
	{ "no filter", 0, { UID, GID, groups, 2, ~UINT64_C(0), 1 }, "it has no system call filter" },
	{ "too few filters", 1, { UID, GID, groups, 2, ~UINT64_C(0), 2 }, "it has fewer system call filters than its role" },
};

START_TEST(what_differs_is_found)
{
	char why[128] = "";
	pid_t pid;
	int r;

	if (needs_root(__func__))
		return;
	pid = victim(cases[_i].filters);
	r = verify_process(pid, &cases[_i].want, why, sizeof why);
	end(pid);
	ck_assert_msg(r == (cases[_i].why == NULL ? 0 : SP_ENOTDROPPED), "%s: %s (%s)", cases[_i].what, sp_strerror(r), why);
	ck_assert_str_eq(why, cases[_i].why == NULL ? "" : cases[_i].why);
}
END_TEST

/* A keeper, below the listener's filter or not. */
static pid_t
keeper(bool below_the_listener)
{
	static struct drop_target t = { UID, GID, NULL, 0, 0 };
	int ready[2], never[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(never), 0);
	pid = fork();
	if (pid == 0) {
		if (drop_to(&t) != 0 || (below_the_listener && (sandbox_prepare(ROLE_LISTENER, false) != 0 ||
		    sandbox_enter(PHASE_LIVE) != 0)) || sandbox_prepare(ROLE_KEEPER, false) != 0 || sandbox_enter(PHASE_LIVE) != 0)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			if (read(never[0], &byte, 1) < 0)
				_exit(0);
	}
	close(ready[1]);
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* A process with all filters of its role that is not the listener's child has come from somewhere else. */
START_TEST(the_listeners_filter_counts)
{
	struct role_id id = { UID, GID };

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	for (int below = 0; below <= 1; below++) {
		char why[128] = "";
		pid_t pid = keeper(below);
		int r = verify_role(pid, ROLE_KEEPER, PHASE_LIVE, &id, false, why, sizeof why);

		end(pid);
		ck_assert_msg(r == (below ? 0 : SP_ENOTDROPPED), "%d: %s", below, why);
	}
}
END_TEST

/* A status of several pages is read to its end. */
START_TEST(many_groups)
{
	static gid_t many[800];
	struct verify_want want = { UID, GID, many, 800, UINT64_C(1) << CAP_CHOWN, 1 };
	char why[128] = "";
	pid_t pid;
	int r;

	if (needs_root(__func__))
		return;
	for (unsigned i = 0; i < 800; i++)
		many[i] = 2000000000 + i;
	target.groups = many;
	target.group_count = 800;
	pid = victim(1);
	r = verify_process(pid, &want, why, sizeof why);
	many[799]++;
	ck_assert_msg(r == 0, "%s", why);
	ck_assert_int_eq(verify_process(pid, &want, why, sizeof why), SP_ENOTDROPPED);
	end(pid);
}
END_TEST

START_TEST(a_process_that_dropped_nothing)
{
	struct verify_want want = { getuid(), getgid(), NULL, 0, ~UINT64_C(0), 0 };
	char why[128] = "";

	ck_assert_int_eq(verify_process(getpid(), &want, why, sizeof why), SP_ENOTDROPPED);
	ck_assert_str_eq(why, "no_new_privs is not set");
}
END_TEST

START_TEST(a_process_that_is_gone)
{
	struct verify_want want = { 0 };
	char why[128];
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(verify_process(pid, &want, why, sizeof why), -ENOENT);
}
END_TEST

Suite *
privsep_verify_suite(void)
{
	Suite *s = suite_create("verify");
	TCase *t = tcase_create("from outside");

	tcase_add_loop_test(t, what_differs_is_found, 0, (int)(sizeof cases / sizeof cases[0]));
	tcase_add_test(t, the_listeners_filter_counts);
	tcase_add_test(t, many_groups);
	tcase_add_test(t, a_process_that_dropped_nothing);
	tcase_add_test(t, a_process_that_is_gone);
	suite_add_tcase(s, t);
	return s;
}
