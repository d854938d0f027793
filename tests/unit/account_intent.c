/* Deeds that a killed session was at. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/charge.h"
#include "account/charge_step.h"
#include "common/str.h"
#include "tests/unit/account.h"
#include "tests/unit/charge_rig.h"

/* A deed that is about to be done with the second file; fd -1: an entry is about to be made there. */
static void
intend(struct charge *c, unsigned parts, int fd, const char *path)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(charge_lock(c), 0);
	ck_assert_int_eq(charge_begin(c, parts, fd, 0, &unlimited, &keep, &now), 0);
	ck_assert_int_eq(charge_intend(c, dir, path), 0);
	close(dir);
}

/* The monitor is killed: its locks go. */
static void
kill_monitor(struct charge *c)
{
	close(c->fd);
}

static void
expect_intent(struct charge *c, enum charge_kind wanted, const char *wanted_path, uint32_t *place)
{
	char path[CHARGE_PATH_MAX + 1];
	enum charge_kind kind;
	struct charge_id id;
	uint32_t at = 0;

	ck_assert_int_eq(charge_lock(c), 0);
	ck_assert(charge_find_intent(c, &at, &kind, &id, path));
	ck_assert_int_eq(kind, wanted);
	ck_assert_str_eq(path, wanted_path);
	*place = at - 1;
}

static void
expect_no_intent(struct charge *c)
{
	char path[CHARGE_PATH_MAX + 1];
	enum charge_kind kind;
	struct charge_id id;
	uint32_t at = 0;

	ck_assert_int_eq(charge_lock(c), 0);
	ck_assert(!charge_find_intent(c, &at, &kind, &id, path));
	charge_unlock(c);
}

static void
forget(struct charge *c, uint32_t place)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(charge_forget_left(c, place, dir), 0);
	close(dir);
	ck_assert_int_eq(charge_settle(c, false, &now), 0);
}

/* The monitor is killed after the deed, which nobody has charged: the next session finds what it was. */
START_TEST(a_removal_under_way_is_settled)
{
	struct charge a, b;
	uint32_t place;

	begin("removal");
	open_session(&a);
	open_session(&b);
	ck_assert_int_eq(ftruncate(upload(&a, CHARGE_NEW, "f", O_WRONLY | O_CREAT, &unlimited), 60), 0);
	ck_assert_int_eq(end(&a, &unlimited), 0);
	intend(&a, 0, file_of("f", O_PATH, -1), "/f");
	drop("f");
	kill_monitor(&a);
	expect_total(&b, 60, 1);
	expect_intent(&b, CHARGE_OTHER, "/f", &place);
	forget(&b, place);
	expect_total(&b, 0, 0);
	expect_no_intent(&b);
	/* It was not done: the file is there, and charged with what it has become. */
	ck_assert_int_eq(ftruncate(upload(&b, CHARGE_NEW, "g", O_WRONLY | O_CREAT, &unlimited), 60), 0);
	ck_assert_int_eq(end(&b, &unlimited), 0);
	open_session(&a);
	intend(&a, CHARGE_GROWS, file_of("g", O_PATH, -1), "/g");
	close(file_of("g", O_WRONLY, 100));
	kill_monitor(&a);
	expect_intent(&b, CHARGE_OTHER, "/g", &place);
	ck_assert_int_eq(charge_begin(&b, CHARGE_GROWS, file_of("g", O_PATH, -1), 100, &unlimited, &keep, &now), 0);
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	expect_total(&b, 100, 1);
	expect_no_intent(&b);
}
END_TEST

static int
directory_of(const char *name, bool make)
{
	char path[260];
	int fd;

	(void)str_format(path, sizeof path, "%s/%s", folder, name);
	ck_assert(!make || mkdir(path, 0755) == 0);
	ck_assert_int_ge(fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), 0);
	return fd;
}

static void
drop_directory(struct charge *c, const char *name)
{
	char path[260];

	(void)str_format(path, sizeof path, "%s/%s", folder, name);
	ck_assert_int_eq(charge_lock(c), 0);
	ck_assert_int_eq(charge_begin(c, 0, directory_of(name, false), 0, &unlimited, &keep, &now), 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(charge_settle(c, false, &now), 0);
}

/* Directories count as entries, made ones at once, those from before not at all; whoever dies in between. */
START_TEST(an_entry_under_way_is_settled)
{
	const struct ledger limit = { 0, 1 };
	struct charge a, b;
	uint32_t place;

	begin("entries");
	open_session(&a);
	open_session(&b);
	close(directory_of("before", true));
	intend(&a, CHARGE_MAKES, -1, "/d");
	ck_assert_int_eq(charge_begin(&a, CHARGE_MAKES | CHARGE_GROWS, directory_of("d", true), 0, &unlimited, &keep, &now), 0);
	ck_assert_int_eq(charge_settle(&a, false, &now), 0);
	expect_total(&a, 0, 1);
	expect_no_intent(&b);
	ck_assert_int_eq(charge_lock(&a), 0);
	ck_assert_int_eq(charge_begin(&a, CHARGE_MAKES, -1, 0, &limit, &keep, &now), -EDQUOT);
	charge_unlock(&a);
	drop_directory(&a, "before");
	expect_total(&a, 0, 1);
	drop_directory(&a, "d");
	expect_total(&a, 0, 0);
	/* Made, and the monitor killed. */
	intend(&a, CHARGE_MAKES, -1, "/e");
	close(directory_of("e", true));
	kill_monitor(&a);
	expect_intent(&b, CHARGE_MADE, "/e", &place);
	ck_assert_int_eq(charge_begin(&b, CHARGE_MAKES | CHARGE_GROWS, directory_of("e", false), 0, &unlimited, &keep, &now), 0);
	forget(&b, place);
	expect_total(&b, 0, 1);
	/* Not made, and nobody says so. */
	intend(&b, CHARGE_MAKES, -1, "/f");
	ck_assert_int_eq(charge_settle(&b, false, &now), 0);
	open_session(&a);
	expect_intent(&a, CHARGE_MADE, "/f", &place);
	forget(&a, place);
	expect_total(&a, 0, 1);
	expect_no_intent(&a);
}
END_TEST

/* The agent has the witness and outlives its monitor: nobody takes the lock before it is gone. */
START_TEST(an_agent_that_outlives_its_monitor_keeps_the_lock)
{
	struct charge a, b;
	int first, second, agent;

	begin("witness");
	open_session(&a);
	open_session(&b);
	ck_assert_int_ge(first = ledger_open_witness(folder, "w"), 0);
	ck_assert_int_ge(second = ledger_open_witness(folder, "w"), 0);
	charge_share(&a, first);
	charge_share(&b, second);
	ck_assert_int_ge(agent = dup(first), 0);
	ck_assert_int_eq(charge_lock(&a), 0);
	ck_assert_int_eq(charge_lock(&b), -EAGAIN);
	charge_unlock(&a);
	ck_assert_int_eq(charge_lock(&b), 0);
	charge_unlock(&b);
	ck_assert_int_eq(charge_lock(&a), 0);
	kill_monitor(&a);
	close(first);
	ck_assert_int_eq(charge_lock(&b), -EAGAIN);
	close(agent);
	ck_assert_int_eq(charge_lock(&b), 0);
	close(second);
}
END_TEST

/* Killed between the notes of two files and the total: neither counts, whatever is charged next. */
START_TEST(a_note_without_its_total_never_counts)
{
	static char total[2 * 4096];
	struct charge a, b;
	char ledger[260];
	struct step gone;
	uint32_t place;
	int fd;

	begin("torn");
	open_session(&a);
	open_session(&b);
	ck_assert_int_eq(ftruncate(upload(&a, CHARGE_NEW, "f", O_WRONLY | O_CREAT, &unlimited), 60), 0);
	ck_assert_int_eq(end(&a, &unlimited), 0);
	intend(&a, 0, file_of("f", O_PATH, -1), "/f");
	drop("f");
	/* Everything is written but the total, which stays in its two places as it was. */
	(void)str_format(ledger, sizeof ledger, "%s/ledger", folder);
	ck_assert_int_ge(fd = open(ledger, O_RDWR | O_CLOEXEC), 0);
	ck_assert_int_eq(pread(fd, total, sizeof total, 0), sizeof total);
	gone = (struct step){ .id = a.files[0].id, .before = a.files[0].before };
	ck_assert_int_eq(step_write(&a, &gone, 1, &unlimited, &now), 0);
	ck_assert_int_eq(pwrite(fd, total, sizeof total, 0), sizeof total);
	close(fd);
	kill_monitor(&a);
	expect_total(&b, 60, 1);
	/* Something else is charged first. */
	ck_assert_int_ge(upload(&b, CHARGE_NEW, "g", O_WRONLY | O_CREAT, &unlimited), 0);
	ck_assert_int_eq(end(&b, &unlimited), 0);
	expect_total(&b, 60, 2);
	expect_intent(&b, CHARGE_OTHER, "/f", &place);
	forget(&b, place);
	expect_total(&b, 0, 1);
}
END_TEST

Suite *
account_intent_suite(void)
{
	Suite *s = suite_create("account/intent");
	TCase *t = tcase_create("intent");

	tcase_add_test(t, a_removal_under_way_is_settled);
	tcase_add_test(t, an_entry_under_way_is_settled);
	tcase_add_test(t, an_agent_that_outlives_its_monitor_keeps_the_lock);
	tcase_add_test(t, a_note_without_its_total_never_counts);
	suite_add_tcase(s, t);
	return s;
}
