/* ctl/tree: a tree whose owner moves it about while root walks over it. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/tree.h"
#include "tests/unit/ctl.h"

#define FILES 20

static char top[] = "/tmp/unit-ctl-XXXXXX";

/* What the visitor of the test does and sees. */
static struct {
	const char *moves;	/* when it comes to this object, "tree/a/b" is moved to "out/b" */
	unsigned objects, foreign;	/* of them not below "tree" when the walk began */
	int open;		/* descriptors, at the deepest object */
} seen;

static const char *
at(const char *name)
{
	static char path[4][300];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", top, name);
	return path[turn];
}

static void
make(const char *name, bool folder)
{
	int fd;

	if (folder) {
		ck_assert_int_eq(mkdir(at(name), 0755), 0);
		return;
	}
	ck_assert_int_ge(fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644), 0);
	close(fd);
}

/* tree/a/b with files in it, and names beside the way back that "out" has as well. */
static void
lay_out(void)
{
	char name[40];

	memcpy(top, "/tmp/unit-ctl-XXXXXX", sizeof top);
	memset(&seen, 0, sizeof seen);
	ck_assert_ptr_nonnull(mkdtemp(top));
	make("tree", true);
	make("out", true);
	make("out/z", false);
	make("tree/a", true);
	make("tree/a/b", true);
	make("tree/a/z", false);
	make("tree/z", false);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "tree/a/b/%02d", i);
		make(name, false);
	}
}

static void
clean_up(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

static int
count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static int
visit(void *context, const struct tree_entry *e)
{
	struct stat foreign;

	(void)context;
	seen.objects++;
	ck_assert_int_eq(stat(at("out/z"), &foreign), 0);
	seen.foreign += e->st.st_ino == foreign.st_ino && e->st.st_dev == foreign.st_dev;
	if (seen.moves != NULL && strcmp(e->path, seen.moves) == 0)
		ck_assert_int_eq(rename(at("tree/a/b"), at("out/b")), 0);
	if (strncmp(e->path, "/a/b/", 5) == 0)
		seen.open = count_open();
	return 0;
}

static int
trouble(void *context, const char *path, int error)
{
	(void)context;
	ck_abort_msg("%s: %s", path, strerror(-error));
	return error;
}

static int
walk(void)
{
	const struct tree_walk w = { .path = "/", .visit = visit, .trouble = trouble };
	int fd = open(at("tree"), O_PATH | O_DIRECTORY | O_CLOEXEC), r = tree_walk(&w, fd);

	close(fd);
	return r;
}

START_TEST(all_is_seen_and_nothing_stays_open)
{
	int before;

	lay_out();
	before = count_open();
	ck_assert_int_eq(walk(), 0);
	ck_assert_uint_eq(seen.objects, FILES + 4);
	ck_assert_int_eq(count_open(), before);
	/* The top, its duplicate or the folder, and the object: whatever the depth and however many came before. */
	ck_assert_int_le(seen.open, before + 3);
	clean_up();
}
END_TEST

/* The way back from a folder that has been moved out of the tree leads out of the tree, where the same names may be. */
START_TEST(a_folder_that_is_moved_leads_nowhere)
{
	lay_out();
	seen.moves = "/a/b/05";
	ck_assert_int_eq(walk(), -EAGAIN);
	ck_assert_uint_eq(seen.foreign, 0);
	ck_assert_uint_eq(seen.objects, FILES + 2);
	clean_up();
}
END_TEST

Suite *
ctl_tree_suite(void)
{
	Suite *s = suite_create("ctl: trees");
	TCase *c = tcase_create("trees");

	tcase_add_test(c, all_is_seen_and_nothing_stays_open);
	tcase_add_test(c, a_folder_that_is_moved_leads_nowhere);
	suite_add_tcase(s, c);
	return s;
}
