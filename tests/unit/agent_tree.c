/*
 * Rules that stand in the tree (ftpcluster's), while another session renames the
 * tree: what was decided on is what is acted on.
 */
#include "config.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/authz.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "tests/unit/agent.h"

#define ROUNDS 3000

static pid_t other;	/* the session that renames */

/*
 * Another session's rename at the one moment that counts: right before the policy is asked about an object, or
 * right after. The agent makes it itself, in the linker's wrapper (--wrap) that it shares with the test which
 * forked it.
 */
static struct { const char *path, *with; bool early; } moment;

bool __real_authz_decide(struct authz_policy *, enum authz_op, const struct authz_object *, struct authz_verdict *);
bool __wrap_authz_decide(struct authz_policy *, enum authz_op, const struct authz_object *, struct authz_verdict *);

static void
exchange_now(void)
{
	int fd = 3;

	/* One of its descriptors is the root's. */
	while (fd < 64 && renameat2(fd, moment.path, fd, moment.with, RENAME_EXCHANGE) < 0)
		fd++;
	moment.path = NULL;
}

bool
__wrap_authz_decide(struct authz_policy *p, enum authz_op op, const struct authz_object *o, struct authz_verdict *v)
{
	bool due = moment.path != NULL && o != NULL && strcmp(o->path + 1, moment.path) == 0, allow;

	if (due && moment.early)
		exchange_now();
	allow = __real_authz_decide(p, op, o, v);
	if (due && !moment.early)
		exchange_now();
	return allow;
}

/* Exchanges two names below the root until it is killed. */
static void
exchange_for_ever(const char *a, const char *b)
{
	char x[200], y[200];

	snprintf(x, sizeof x, "%s/%s", at->dir, a);
	snprintf(y, sizeof y, "%s/%s", at->dir, b);
	other = fork();
	while (other == 0)
		(void)renameat2(AT_FDCWD, x, AT_FDCWD, y, RENAME_EXCHANGE);
}

static void
stop_exchanging(void)
{
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

static void
begin_cluster(void)
{
	agent_test_make();
	at->dialect = "ftpcluster";
	at->rules = "";
	at->dialect_uid = 1005;
}

/* What a descriptor that was handed out reads; "" when nothing was. */
static const char *
read_answer(enum msg_type answer)
{
	static char text[16];
	ssize_t n = answer == MSG_READING ? pread(at->reply.fd[0], text, sizeof text - 1, 0) : 0;

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Two folders, one forbidden, whose names are exchanged all the time: a name is now this, now that. */
static void
lay_out_folders(void)
{
	make_folder("open", 0755);
	make_folder("open/sub", 0755);
	make_file("open/.permissions", "* lrwdmsn\n");
	make_file("open/f", "open");
	make_file("open/sub/f", "open");
	make_folder("secret", 0755);
	make_folder("secret/sub", 0755);
	make_file("secret/.permissions", "*\n");
	make_file("secret/f", "secret");
	make_file("secret/sub/f", "secret");
}

static const char *const reading[] = { "secret/f", "secret/sub/f", "open/sub/../f" };

START_TEST(rules_are_those_of_the_folder_that_is_read)
{
	unsigned answered = 0;

	begin_cluster();
	lay_out_folders();
	agent_test_start();
	exchange_for_ever("open", "secret");
	for (unsigned i = 0; i < ROUNDS || answered == 0; i++) {
		const char *text = read_answer(ask_path(MSG_DIGEST, reading[_i]));

		ck_assert_str_ne(text, "secret");
		answered += *text != '\0';
		at->log_count = 0;
	}
	stop_exchanging();
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(rules_are_those_of_the_folder_that_is_changed)
{
	char path[64], text[16];
	const char *secret;
	unsigned done = 0;

	begin_cluster();
	lay_out_folders();
	agent_test_start();
	exchange_for_ever("open", "secret");
	for (unsigned i = 0; i < ROUNDS || done == 0; i++) {
		snprintf(path, sizeof path, "secret/made-%u", i);
		done += ask_path(MSG_MAKE_DIR, path) == MSG_WHERE;
		(void)ask_path(MSG_DELETE, "secret/sub/f");
		at->log_count = 0;
	}
	stop_exchanging();
	ck_assert(read_file("open/f", text, sizeof text));
	secret = strcmp(text, "secret") == 0 ? "open" : "secret";
	ck_assert_uint_eq(count_names(secret), 3);
	snprintf(path, sizeof path, "%s/sub/f", secret);
	expect_file(path, "secret");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

static char text[65536];

/* A folder is judged on itself: the one that is listed is the one whose rules were asked. */
START_TEST(rules_are_those_of_the_folder_that_is_listed)
{
	unsigned listed = 0;

	begin_cluster();
	lay_out_folders();
	make_file("secret/hidden", "");
	agent_test_start();
	exchange_for_ever("open", "secret");
	for (unsigned i = 0; i < ROUNDS || listed == 0; i++) {
		if (list(LIST_NAMES, "secret", 0, 0, text, sizeof text) == MSG_LINES) {
			ck_assert_ptr_null(strstr(text, "hidden"));
			listed++;
		}
		at->log_count = 0;
	}
	stop_exchanging();
	agent_test_end(SP_EXIT_OK);
}
END_TEST

static void
set_owner(const char *name, const char *owner)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", at->dir, name);
	ck_assert_int_eq(setxattr(path, USER_ATTRIBUTE, owner, strlen(owner), 0), 0);
}

/* What the owner may, he may do to that object, not to the next one of its name. */
START_TEST(owners_are_those_of_the_object_that_is_read)
{
	unsigned answered = 0;

	begin_cluster();
	if (agent_test_lacks(__func__, USER_ATTRIBUTE))
		return;
	make_file(".permissions", "*\n");
	make_file("mine", "mine");
	make_file("foreign", "foreign");
	set_owner("mine", "1005");
	set_owner("foreign", "1006");
	agent_test_start();
	exchange_for_ever("mine", "foreign");
	for (unsigned i = 0; i < ROUNDS || answered == 0; i++) {
		const char *got = read_answer(ask_path(MSG_DIGEST, "mine"));

		ck_assert_str_ne(got, "foreign");
		answered += *got != '\0';
		at->log_count = 0;
	}
	stop_exchanging();
	agent_test_end(SP_EXIT_OK);
}
END_TEST

static const enum msg_type changing[] = { MSG_SET_TIME, MSG_CHANGE_MODE, MSG_ACL_SET, MSG_ACL_GET };

static enum msg_type
change_mine(enum msg_type type)
{
	struct msg_set_time time = { .path = "mine", .mtime = 86400 };
	struct msg_change_mode mode = { .path = "mine", .mode = 0604 };
	struct msg_acl_set set = { .path = "mine", .acl = "u::rw,g::-,o::r" };
	struct msg_acl_get get = { .path = "mine" };

	switch (type) {
	case MSG_SET_TIME:
		return ask(type, &time);
	case MSG_CHANGE_MODE:
		return ask(type, &mode);
	case MSG_ACL_SET:
		return ask(type, &set);
	default:
		return ask(type, &get);
	}
}

START_TEST(owners_are_those_of_the_object_that_is_changed)
{
	char path[200];
	struct stat before, now;
	unsigned done = 0;
	enum msg_type r;

	begin_cluster();
	if (agent_test_lacks(__func__, USER_ATTRIBUTE))
		return;
	make_file(".permissions", "*\n");
	make_file("mine", "mine");
	make_file("foreign", "foreign");
	set_owner("mine", "1005");
	set_owner("foreign", "1006");
	snprintf(path, sizeof path, "%s/mine", at->dir);
	ck_assert_int_eq(chmod(path, 0600), 0);
	snprintf(path, sizeof path, "%s/foreign", at->dir);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(stat(path, &before), 0);
	agent_test_start();
	exchange_for_ever("mine", "foreign");
	for (unsigned i = 0; i < ROUNDS || done == 0; i++) {
		r = change_mine(changing[_i]);
		ck_assert(r != MSG_TEXT || strstr(at->reply.text.text, "group::r--") == NULL);
		done += r != MSG_FAILED;
		at->log_count = 0;
	}
	stop_exchanging();
	if (stat(path, &now) == 0 && now.st_ino != before.st_ino) {
		snprintf(path, sizeof path, "%s/mine", at->dir);
		ck_assert_int_eq(stat(path, &now), 0);
	}
	ck_assert(now.st_ino == before.st_ino && now.st_mode == before.st_mode && now.st_mtime == before.st_mtime);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Two files, of which only owners may do anything. */
static bool
lay_out_owned(const char *owner, const char *other_owner)
{
	begin_cluster();
	if (agent_test_lacks(__func__, USER_ATTRIBUTE))
		return false;
	make_file(".permissions", "*\n");
	make_file("one", "1");
	make_file("two", "2");
	set_owner("one", owner);
	set_owner("two", other_owner);
	return true;
}

static void
begin_with_exchange(bool early)
{
	moment.path = "one";
	moment.with = "two";
	moment.early = early;
	agent_test_start();
	moment.path = NULL;	/* of the test, which other agents may come from */
}

/* The name is another object's by the time of the deed: that one is judged, and was not allowed. */
START_TEST(what_comes_after_the_decision_is_decided_on)
{
	if (!lay_out_owned("1005", "1006"))
		return;
	begin_with_exchange(false);
	expect_path_failed(MSG_DELETE, "one", FAIL_POLICY, 0);
	expect_file("one", "2");
	expect_path(MSG_DELETE, "two", MSG_DONE);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The name is another object's when its owner is asked for: there is no answer about the first, but one about that. */
START_TEST(what_comes_before_the_decision_is_decided_on)
{
	if (!lay_out_owned("1005", "1005"))
		return;
	begin_with_exchange(true);
	ck_assert_str_eq(read_answer(ask_path(MSG_DIGEST, "one")), "2");
	expect_file("two", "1");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A link is no folder: what it leads to has rules, and those above that. */
START_TEST(links_lead_to_the_rules_of_folders)
{
	begin_cluster();
	make_file(".permissions", "* lr\n");
	make_folder("real", 0755);
	make_file("real/.permissions", "1005 lrw\n");
	make_file("real/f", "x");
	make_folder("dark", 0755);
	make_folder("dark/room", 0755);
	make_file("dark/.permissions", "*\n");
	make_file("dark/room/f", "x");
	make_link("ln", "real");
	make_link("door", "dark/room");
	agent_test_start();
	ck_assert_int_eq(list(LIST_FACTS, "ln", LIST_NO_HEAD, FACT_PERM, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "perm=r; f\r\n");
	expect_path(MSG_DIGEST, "ln/f", MSG_READING);
	ck_assert_int_eq(put_file("ln/g", 0, "x", true), MSG_DONE);
	expect_path_failed(MSG_DELETE, "ln/f", FAIL_POLICY, 0);
	expect_path_failed(MSG_DIGEST, "door/f", FAIL_POLICY, 0);
	ck_assert_int_eq(list(LIST_NAMES, "door", 0, 0, text, sizeof text), MSG_FAILED);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Descriptors of deep places are given back, and deeper ones than can be held are denied. */
START_TEST(depth_is_bounded)
{
	char path[2048] = "d";
	unsigned depth = 1;

	begin_cluster();
	make_file(".permissions", "* lrwm\n");
	make_folder("d", 0755);
	agent_test_start();
	for (; depth < 190; depth++) {
		(void)str_copy(path + strlen(path), sizeof path - strlen(path), "/d");
		expect_path(MSG_MAKE_DIR, path, MSG_WHERE);
	}
	for (unsigned i = 0; i < 20; i++)
		expect_path(MSG_FACTS, path, MSG_OBJECT);
	for (; depth < 210; depth++) {
		(void)str_copy(path + strlen(path), sizeof path - strlen(path), "/d");
		(void)ask_path(MSG_MAKE_DIR, path);
	}
	expect_path_failed(MSG_FACTS, path, FAIL_POLICY, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_tree_suite(void)
{
	Suite *s = suite_create("agent: rules in the tree");
	TCase *c = tcase_create("tree");

	tcase_add_loop_test(c, rules_are_those_of_the_folder_that_is_read, 0, sizeof reading / sizeof *reading);
	tcase_add_test(c, rules_are_those_of_the_folder_that_is_changed);
	tcase_add_test(c, rules_are_those_of_the_folder_that_is_listed);
	tcase_add_test(c, owners_are_those_of_the_object_that_is_read);
	tcase_add_loop_test(c, owners_are_those_of_the_object_that_is_changed, 0, sizeof changing / sizeof *changing);
	tcase_add_test(c, what_comes_after_the_decision_is_decided_on);
	tcase_add_test(c, what_comes_before_the_decision_is_decided_on);
	tcase_add_test(c, links_lead_to_the_rules_of_folders);
	tcase_add_test(c, depth_is_bounded);
	suite_add_tcase(s, c);
	return s;
}
