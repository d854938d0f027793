/* Homes that are made while somebody else may rename in the folder above. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "tests/unit/monitor.h"
#include "tests/unit/root.h"
#include "tests/unit/run.h"

#define TENANT	4000		/* who runs the account "tenant", whose home is yard/made */
#define OTHER	4010

static struct rig r;
static uid_t attacker;		/* exchanges what the monitor has made for "victim"; 0: nobody does */

static void
in_yard(char *path, size_t size, const char *name)
{
	(void)str_format(path, size, "%s/yard/%s", r.dir, name);
}

static void
attack(void)
{
	char made[160], away[160], victim[160];

	in_yard(made, sizeof made, "made");
	in_yard(away, sizeof away, "away");
	in_yard(victim, sizeof victim, "victim");
	if (setresgid(attacker, attacker, attacker) < 0 || setresuid(attacker, attacker, attacker) < 0)
		_exit(1);
	_exit(rename(made, away) < 0 || rename(victim, made) < 0 ? 2 : 0);
}

/* The moment that the attacker waits for; the C library's is left out, as this one comes before it. */
int
mkdirat(int dir_fd, const char *name, mode_t mode)
{
	int error = (int)syscall(SYS_mkdirat, dir_fd, name, mode), status;
	pid_t pid;

	if (error < 0 || attacker == 0)
		return error;
	if ((pid = fork()) == 0)
		attack();
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : (errno = EIO, -1);
}

static const struct {
	const char *name;
	uid_t yard, attacker;
	mode_t mode;			/* of the yard */
	uid_t victim;
	mode_t victim_mode;
	bool full;			/* something is in it */
	const char *logged;		/* NULL: the home is made */
	uid_t then;			/* whose the victim is afterwards */
} cases[] = {
	{ "the account's own, nobody attacks", TENANT, 0, 0755, 0, 0755, true, NULL, 0 },
	{ "read only, nobody attacks", TENANT, 0, 0555, 0, 0755, true, NULL, 0 },
	{ "root's, nobody attacks", 0, 0, 0755, 0, 0755, true, NULL, 0 },
	{ "open to all, nobody attacks", 0, 0, 0777, 0, 0755, true, NULL, 0 },
	{ "sticky, nobody attacks", 0, 0, 01777, 0, 0755, true, NULL, 0 },
	{ "a folder of root's", TENANT, TENANT, 0755, 0, 0755, true, "home-unusable", 0 },
	{ "a closed and empty one", TENANT, TENANT, 0755, 0, 0700, false, "home-unusable", 0 },
	{ "another user's", TENANT, TENANT, 0755, OTHER, 0755, true, "home-unusable", OTHER },
	{ "open to all: root's", 0, OTHER, 0777, 0, 0755, false, "put in the place of the new folder", 0 },
	{ "open to all: closed and full", 0, OTHER, 0777, 0, 0700, true, "put in the place of the new folder", 0 },
	{ "open to all: another user's", 0, OTHER, 0777, OTHER, 0700, false, "put in the place of the new folder", OTHER },
	{ "open to the group: root's", 0, OTHER, 0775, 0, 0755, true, "put in the place of the new folder", 0 },
};

static void
make_yard(int i)
{
	char path[160];

	(void)str_format(path, sizeof path, "%s/yard", r.dir);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	in_yard(path, sizeof path, "victim");
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(chown(path, cases[i].victim, cases[i].victim), 0);
	ck_assert_int_eq(chmod(path, cases[i].victim_mode), 0);
	in_yard(path, sizeof path, "victim/kept");
	if (cases[i].full)
		ck_assert_int_eq(close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)), 0);
	(void)str_format(path, sizeof path, "%s/yard", r.dir);
	ck_assert_int_eq(chown(path, cases[i].yard, OTHER), 0);
	ck_assert_int_eq(chmod(path, cases[i].mode), 0);
}

static void
remove_yard(void)
{
	static const char *const names[] = { "victim/kept", "made/kept", "victim", "made", "away", "." };
	char path[160];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		in_yard(path, sizeof path, names[i]);
		(void)remove(path);
	}
	(void)str_format(path, sizeof path, "%s/yard", r.dir);
	(void)rmdir(path);
}

START_TEST(making)
{
	bool attacked = cases[_i].attacker != 0;
	struct stat st;
	char path[160];

	if (needs_root(__func__))
		return;
	attacker = cases[_i].attacker;
	rig_start(&r, "");
	attacker = 0;
	make_yard(_i);
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "tenant", "secret");
	if (cases[_i].logged == NULL) {
		rig_admit(&r, NULL, NULL);
		in_yard(path, sizeof path, "made");
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_uint_eq(st.st_uid, TENANT);
		ck_assert_uint_eq(st.st_gid, 4001);
		ck_assert_uint_eq(st.st_mode & 07777, 0750);
	} else {
		rig_expect(&r, &r.login, MSG_LOGIN_REFUSED);
		ck_assert_msg(rig_logged(&r, cases[_i].logged), "%s: not logged", cases[_i].name);
	}
	in_yard(path, sizeof path, attacked ? "made" : "victim");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_msg(st.st_uid == cases[_i].then && (st.st_mode & 07777) == cases[_i].victim_mode, "%s: now %u, mode %o",
	    cases[_i].name, st.st_uid, st.st_mode & 07777);
	in_yard(path, sizeof path, "away");
	ck_assert_int_eq(access(path, F_OK) == 0, attacked);
	rig_end(&r);
	remove_yard();
	rig_remove(&r);
}
END_TEST

Suite *
monitor_home_suite(void)
{
	Suite *s = suite_create("home");
	TCase *t = tcase_create("home");

	tcase_add_loop_test(t, making, 0, (int)(sizeof cases / sizeof *cases));
	suite_add_tcase(s, t);
	return s;
}
