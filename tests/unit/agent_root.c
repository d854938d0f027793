/*
 * The walk against a tree whose owner is hostile.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/root.h"
#include "authz/tree.h"
#include "common/err.h"
#include "daemon/agent/hold.h"
#include "tests/unit/agent.h"
#include "tests/unit/run.h"

static struct root root;
static struct place place;
static char outside[64];	/* a folder beside the root, with a file "secret" */

static void
set_up(void)
{
	char path[96];
	int fd;

	agent_test_make();
	root_init(&root, open(at->dir, O_PATH | O_DIRECTORY));
	snprintf(outside, sizeof outside, "/tmp/sallyport-outside-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(outside));
	snprintf(path, sizeof path, "%s/secret", outside);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	ck_assert_int_ge(fd, 0);
	close(fd);
	make_folder("a", 0755);
	make_folder("a/b", 0755);
	make_file("a/b/f", "inside");
	make_file("top", "top");
}

static void
tear_down(void)
{
	char command[200];

	root_leave(&place);
	close(root.fd);
	snprintf(command, sizeof command, "rm -rf %s %s", at->dir, outside);
	ck_assert_int_eq(system(command), 0);
}

/* Paths are normal before anything is opened. */
static const struct {
	const char *cwd, *path, *out;
	int code;	/* when not a path */
} normal_rows[] = {
	{ "/", "", "/", 0 }, { "/", ".", "/", 0 }, { "/", "/", "/", 0 }, { "/", "..", "/", 0 }, { "/", "../..", "/", 0 },
	{ "/a", "", "/a", 0 }, { "/a", ".", "/a", 0 }, { "/a", "..", "/", 0 }, { "/a/b", "../c", "/a/c", 0 },
	{ "/a", "/b", "/b", 0 }, { "/a", "b/", "/a/b", 0 }, { "/a", "b//c///", "/a/b/c", 0 }, { "/a", "//x", "/x", 0 },
	{ "/a", "./b/./c/.", "/a/b/c", 0 }, { "/", "a/../../b", "/b", 0 }, { "/a/b/c", "../../../../..", "/", 0 },
	{ "/", "...", "/...", 0 }, { "/", "..a", "/..a", 0 }, { "/", " ", "/ ", 0 }, { "/", "a ", "/a ", 0 },
	{ "/", "~", "/~", 0 }, { "/", "a\\..\\b", "/a\\..\\b", 0 }, { "/", "a\nb", NULL, SP_EFORMAT },
	{ "/", "a\r", NULL, SP_EFORMAT }, { "/", "%2e%2e/x", "/%2e%2e/x", 0 },
};

START_TEST(paths_become_normal)
{
	char out[ROOT_PATH_MAX + 1];
	int r = root_normal(normal_rows[_i].cwd, normal_rows[_i].path, out);

	if (normal_rows[_i].out == NULL) {
		ck_assert_int_eq(r, normal_rows[_i].code);
		return;
	}
	ck_assert_str_eq(out, normal_rows[_i].out);
	ck_assert_int_eq(r, strlen(out));
}
END_TEST

START_TEST(lengths_are_bounded)
{
	static char path[8192], out[ROOT_PATH_MAX + 1];

	memset(path, 'a', 255);
	ck_assert_int_eq(root_normal("/", path, out), 256);
	path[255] = 'a';
	ck_assert_int_eq(root_normal("/", path, out), -ENAMETOOLONG);
	memset(path, 0, sizeof path);
	for (unsigned i = 0; i < 2047; i++)
		memcpy(path + 2 * i, "/a", 3);
	ck_assert_int_eq(root_normal("/", path, out), 4094);
	memcpy(path + 4094, "/a", 3);
	ck_assert_int_eq(root_normal("/", path, out), -ENAMETOOLONG);
}
END_TEST

/* Links, and where the walk must end. error: of the place; NULL path: only the error counts. */
static const struct {
	const char *path, *canonical;
	enum root_last last;
	int error;
	bool found;
} walk_rows[] = {
	{ "/a/b/f", "/a/b/f", ROOT_FOLLOW, 0, true },
	{ "/a/b/none", "/a/b/none", ROOT_FOLLOW, 0, false },
	{ "/a/none/f", NULL, ROOT_FOLLOW, -ENOENT, false },
	{ "/top/f", NULL, ROOT_FOLLOW, -ENOTDIR, false },
	{ "/", "/", ROOT_FOLLOW, 0, true },
	{ "/up", "/", ROOT_FOLLOW, 0, true },			/* a/../.. and further up ends at the root */
	{ "/abs", "/a/b/f", ROOT_FOLLOW, 0, true },		/* absolute: below the virtual root */
	{ "/abs", "/abs", ROOT_NAME, 0, true },
	{ "/dirlink/f", "/a/b/f", ROOT_FOLLOW, 0, true },
	{ "/dirlink/f", "/a/b/f", ROOT_NAME, 0, true },
	{ "/dirlink/../top", "/top", ROOT_FOLLOW, 0, true },	/* textual, as the client sees it */
	{ "/dirlink/new", "/a/b/new", ROOT_FOLLOW, 0, false },
	{ "/a/rel", "/top", ROOT_FOLLOW, 0, true },
	{ "/passwd", "/etc/passwd", ROOT_FOLLOW, -ENOENT, false },
	{ "/dangling", "/a/gone", ROOT_FOLLOW, 0, false },
	{ "/dangling", "/dangling", ROOT_NAME, 0, true },
	{ "/loop1", NULL, ROOT_FOLLOW, -ELOOP, false },
	{ "/self", NULL, ROOT_FOLLOW, -ELOOP, false },
	{ "/self/x", NULL, ROOT_FOLLOW, -ELOOP, false },
	{ "/chain39", "/top", ROOT_FOLLOW, 0, true },		/* 40 links */
	{ "/chain40", NULL, ROOT_FOLLOW, -ELOOP, false },	/* 41 */
	{ "/slashes", "/a/b", ROOT_FOLLOW, 0, true },
	{ "/bomb0", NULL, ROOT_FOLLOW, -ENAMETOOLONG, false },
};

static void
make_links(void)
{
	char name[32], target[600];

	make_link("up", "a/../../../../..");
	make_link("abs", "/a/b/f");
	make_link("dirlink", "a/b");
	make_link("a/rel", "../top");
	make_link("passwd", "/etc/passwd");
	make_link("dangling", "a/gone");
	make_link("loop1", "loop2");
	make_link("loop2", "loop1");
	make_link("self", "self/self");
	make_link("slashes", ".//a/./b//");
	make_link("chain0", "top");
	for (unsigned i = 1; i <= 40; i++) {
		snprintf(name, sizeof name, "chain%u", i);
		snprintf(target, sizeof target, "chain%u", i - 1);
		make_link(name, target);
	}
	/* Each link names the next one many times. */
	for (unsigned i = 0; i < 30; i++) {
		snprintf(name, sizeof name, "bomb%u", i);
		target[0] = '\0';
		for (unsigned k = 0; k < 40; k++)
			snprintf(target + strlen(target), sizeof target - strlen(target), "bomb%u/../", i + 1);
		make_link(name, target);
	}
}

START_TEST(links_stay_inside)
{
	int r;

	make_links();
	r = root_find(&root, "/", walk_rows[_i].path, walk_rows[_i].last, &place);
	ck_assert_int_eq(r, 0);
	ck_assert_msg(place.error == walk_rows[_i].error, "%s: %d is not %d", walk_rows[_i].path, place.error, walk_rows[_i].error);
	ck_assert_int_eq(place.found && place.error == 0, walk_rows[_i].found);
	if (walk_rows[_i].canonical != NULL && walk_rows[_i].error == 0)
		ck_assert_str_eq(place.path, walk_rows[_i].canonical);
}
END_TEST

START_TEST(uploads_in_progress_have_no_name)
{
	int open_now;

	make_file("a/" ROOT_RESERVED "0123", "half");
	make_link("door", "a/" ROOT_RESERVED "0123");
	ck_assert_int_eq(root_find(&root, "/", "/a/" ROOT_RESERVED "0123", ROOT_FOLLOW, &place), SP_EFORMAT);
	ck_assert_int_eq(root_find(&root, "/a", ROOT_RESERVED "0123", ROOT_NAME, &place), SP_EFORMAT);
	ck_assert_int_eq(root_find(&root, "/", "door", ROOT_FOLLOW, &place), SP_EFORMAT);
	ck_assert_int_eq(root_find(&root, "/", ROOT_RESERVED "x/y", ROOT_FOLLOW, &place), SP_EFORMAT);
	open_now = tests_descriptors(getpid());
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(root_find(&root, "/", "door", ROOT_FOLLOW, &place), SP_EFORMAT);
	ck_assert_int_eq(tests_descriptors(getpid()), open_now);
}
END_TEST

/* A link that takes the object's place between the walk and the deed is not followed. */
START_TEST(late_links_are_not_followed)
{
	char target[96], leaf[96];

	ck_assert_int_eq(root_find(&root, "/", "top", ROOT_FOLLOW, &place), 0);
	snprintf(target, sizeof target, "%s/secret", outside);
	snprintf(leaf, sizeof leaf, "%s/top", at->dir);
	ck_assert_int_eq(unlink(leaf), 0);
	ck_assert_int_eq(symlink(target, leaf), 0);
	ck_assert_int_eq(root_open(&place, O_RDONLY, 0), -ELOOP);
	ck_assert_int_eq(root_open(&place, O_WRONLY | O_CREAT | O_EXCL, 0644), -EEXIST);
}
END_TEST

START_TEST(fifos_do_not_block)
{
	char path[96];
	int fd;

	snprintf(path, sizeof path, "%s/fifo", at->dir);
	ck_assert_int_eq(mkfifo(path, 0666), 0);
	ck_assert_int_eq(root_find(&root, "/", "fifo", ROOT_FOLLOW, &place), 0);
	fd = root_open(&place, O_RDONLY, 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(root_open(&place, O_WRONLY, 0), -ENXIO);
}
END_TEST

/* Swaps a folder with a link that leads out, as fast as it can. */
static void
swap_for_ever(void)
{
	char d[96], l[96], t[96];

	snprintf(d, sizeof d, "%s/race", at->dir);
	snprintf(l, sizeof l, "%s/evil", at->dir);
	snprintf(t, sizeof t, "%s", outside);
	ck_assert_int_eq(symlink(t, l), 0);
	for (;;)
		(void)renameat2(AT_FDCWD, d, AT_FDCWD, l, RENAME_EXCHANGE);
}

START_TEST(races_do_not_lead_out)
{
	struct stat st, secret;
	unsigned opened = 0;
	char path[96];
	pid_t pid;

	make_folder("race", 0755);
	make_file("race/secret", "decoy");
	snprintf(path, sizeof path, "%s/secret", outside);
	ck_assert_int_eq(stat(path, &secret), 0);
	pid = fork();
	if (pid == 0)
		swap_for_ever();
	for (unsigned i = 0; i < 20000; i++) {
		int fd;

		ck_assert_int_eq(root_find(&root, "/", "race/secret", ROOT_FOLLOW, &place), 0);
		fd = root_open(&place, O_RDONLY, 0);
		if (fd >= 0) {
			opened++;
			ck_assert_int_eq(fstat(fd, &st), 0);
			ck_assert_uint_ne(st.st_ino, secret.st_ino);
			close(fd);
		}
		root_leave(&place);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_uint_gt(opened, 0);
}
END_TEST

/*
 * A folder that was moved away, and a link to where it is now in its place: the path leads there, but it is another
 * place.
 */
START_TEST(moved_folders_are_noticed)
{
	static struct agent a;
	char old[96], new[96];

	a.root = root;
	snprintf(old, sizeof old, "%s/a/b", at->dir);
	snprintf(new, sizeof new, "%s/b", at->dir);
	ck_assert_int_eq(root_find(&root, "/", "a/b/f", ROOT_NAME, &place), 0);
	ck_assert(hold_same_folder(&a, &place) && hold_same_object(&a, &place));
	ck_assert_int_eq(rename(old, new), 0);
	ck_assert(!hold_same_folder(&a, &place));
	ck_assert_int_eq(symlink("../b", old), 0);
	ck_assert(!hold_same_folder(&a, &place));
	ck_assert_int_eq(unlink(old), 0);
	ck_assert_int_eq(rename(new, old), 0);
	ck_assert(hold_same_object(&a, &place));
	make_file("a/b/g", "another");
	snprintf(new, sizeof new, "%s/a/b/g", at->dir);
	snprintf(old, sizeof old, "%s/a/b/f", at->dir);
	ck_assert_int_eq(rename(new, old), 0);
	ck_assert(hold_same_folder(&a, &place) && !hold_same_object(&a, &place));
}
END_TEST

/* A short path of links that are long: it ends before the client's turn takes for ever. */
START_TEST(steps_are_bounded)
{
	char text[4000];
	size_t n = 0;

	for (int i = 0; i < 390; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "a/b/../../");
	snprintf(text + n, sizeof text - n, "top");
	make_link("long", text);
	ck_assert_int_eq(root_find(&root, "/", "/long", ROOT_FOLLOW, &place), 0);
	ck_assert_int_eq(place.error, -ELOOP);
}
END_TEST

static uint32_t
owner_of(struct tree *t, const char *path)
{
	uint32_t owner = 0;

	ck_assert_int_eq(t->hooks.owner(t->hooks.context, path, &owner), 0);
	return owner;
}

static int
control_of(struct tree *t, const char *folder)
{
	static char text[AUTHZ_CONTROL_MAX + 1];
	struct authz_identity found;
	size_t len;

	return t->hooks.control(t->hooks.context, folder, ".permissions", NULL, &found, text, &len);
}

/* What rules ask about the tree is answered by what the walk holds, and what is no answer is no right. */
START_TEST(questions_are_about_what_was_found)
{
	uint32_t own;
	int open_now;
	struct tree t;
	char path[96], aside[96];

	root.chain = true;
	ck_assert_int_eq(root_find(&root, "/", "/a/b/f", ROOT_FOLLOW, &place), 0);
	own = place.st.stx_uid;
	tree_init(&t, own, own);
	tree_at(&t, &place);
	make_file("a/.permissions", "1003 lr\n");
	snprintf(path, sizeof path, "%s/.permissions", at->dir);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
	open_now = tests_descriptors(getpid());
	ck_assert_uint_eq(owner_of(&t, "/a/b/f"), own);
	ck_assert_int_eq(control_of(&t, "/a/b"), -ENOENT);
	ck_assert_int_eq(control_of(&t, "/a"), 0);
	ck_assert_int_eq(control_of(&t, "/"), -EFBIG);	/* that of a FIFO would be empty */
	ck_assert_int_eq(tests_descriptors(getpid()), open_now);
	/* Virtual accounts share a Unix user. */
	t.dialect_uid = own + 7;
	ck_assert_uint_eq(owner_of(&t, "/a/b/f"), AUTHZ_NOBODY);
	t.dialect_uid = own;
	ck_assert(!t.changed);
	/* A mark that is no number is nobody's; where there are no marks, this says nothing. */
	snprintf(path, sizeof path, "%s/a/b/f", at->dir);
	if (setxattr(path, TREE_OWNER, "12x", 3, 0) == 0)
		ck_assert_uint_eq(owner_of(&t, "/a/b/f"), AUTHZ_NOBODY);
	snprintf(aside, sizeof aside, "%s/a/b/g", at->dir);
	ck_assert_int_eq(rename(path, aside), 0);
	make_file("a/b/f", "another");
	ck_assert_uint_eq(owner_of(&t, "/a/b/f"), AUTHZ_NOBODY);
	ck_assert(t.changed);
	root_leave(&place);
	/* Of a directory its members are known, and nothing that lies deeper. */
	ck_assert_int_eq(root_find(&root, "/", "/a", ROOT_FOLLOW, &place), 0);
	tree_at(&t, &place);
	open_now = tests_descriptors(getpid());
	ck_assert_uint_eq(owner_of(&t, "/a/b"), own);
	ck_assert_uint_eq(owner_of(&t, "/a/b/f"), AUTHZ_NOBODY);
	ck_assert_int_eq(tests_descriptors(getpid()), open_now);
	root_leave(&place);
	/* What the walk went through comes first: this is the directory that the link leads to, not the link in it. */
	make_link("a/self", ".");
	ck_assert_int_eq(root_find(&root, "/", "/a/self", ROOT_FOLLOW, &place), 0);
	ck_assert_uint_eq(owner_of(&t, "/a/self"), own);
}
END_TEST

/* Helper programs are run elsewhere, but no descriptor of a tenant's tree may ever reach one. */
START_TEST(descriptors_do_not_outlive_exec)
{
	int fd;

	ck_assert_int_eq(root_find(&root, "/", "/a/b/f", ROOT_FOLLOW, &place), 0);
	fd = root_open(&place, O_RDONLY, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(place.dir_fd, F_GETFD), FD_CLOEXEC);
	close(fd);
}
END_TEST

Suite *
agent_root_suite(void)
{
	Suite *s = suite_create("agent: the walk");
	TCase *c = tcase_create("text"), *d = tcase_create("tree");

	tcase_add_loop_test(c, paths_become_normal, 0, sizeof normal_rows / sizeof normal_rows[0]);
	tcase_add_test(c, lengths_are_bounded);
	suite_add_tcase(s, c);
	tcase_add_checked_fixture(d, set_up, tear_down);
	tcase_add_loop_test(d, links_stay_inside, 0, sizeof walk_rows / sizeof walk_rows[0]);
	tcase_add_test(d, uploads_in_progress_have_no_name);
	tcase_add_test(d, late_links_are_not_followed);
	tcase_add_test(d, moved_folders_are_noticed);
	tcase_add_test(d, fifos_do_not_block);
	tcase_add_test(d, descriptors_do_not_outlive_exec);
	tcase_add_test(d, steps_are_bounded);
	tcase_add_test(d, questions_are_about_what_was_found);
	tcase_add_test(d, races_do_not_lead_out);
	suite_add_tcase(s, d);
	return s;
}
