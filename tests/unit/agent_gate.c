/*
 * Invariants 2 and 3, over every row of the message table: a gated message is
 * decided, once, on the path that it acts on, and nothing happens when the
 * policy says no.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authz/authz.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "daemon/agent/gate.h"
#include "common/log.h"
#include "tests/unit/agent.h"

static bool
from_worker(unsigned type)
{
	const struct msg_row *row = msg_row(type);

	return row != NULL && row->channel == CH_FILES && row->from == ROLE_WORKER;
}

/* The row's word and the gate's number are the same operation. */
START_TEST(gates_are_those_of_the_table)
{
	const struct msg_row *row = msg_row((unsigned)_i);
	int op = gate_operation((enum msg_type)_i);

	if (row == NULL || !row->gated) {
		ck_assert_int_eq(op, -1);
		return;
	}
	ck_assert_int_ge(op, 0);
	ck_assert_str_eq(authz_op_name((enum authz_op)op), row->gate);
	ck_assert_int_eq(row->channel, CH_FILES);
}
END_TEST

/* A body that would do something if it were allowed. */
static const void *
body_for(unsigned type)
{
	static struct msg m;

	memset(&m.failed, 0, sizeof m - offsetof(struct msg, failed));
	if (msg_row(type)->gated && !authz_op_session((enum authz_op)gate_operation((enum msg_type)type)))
		(void)str_copy(m.change_dir.path, sizeof m.change_dir.path, type == MSG_REMOVE_DIR ? "d" : "f");
	if (type == MSG_MAKE_LINK)
		(void)str_copy(m.make_link.target, sizeof m.make_link.target, "d");
	if (type == MSG_ADD_ACCOUNT)
		(void)str_copy(m.add_account.account, sizeof m.add_account.account, "eve");
	return &m.failed;
}

/* With a policy that grants nothing every gated request is refused, by the policy and by nothing else. */
START_TEST(nothing_passes_a_policy_that_grants_nothing)
{
	unsigned type = (unsigned)_i;
	enum msg_type got;
	char line[64];

	if (!from_worker(type) || !msg_row(type)->gated || type == MSG_RENAME_TO || type == MSG_OWN_PASSWORD)
		return;
	agent_test_make();
	at->dialect = "sftpplus";
	at->rules = "deny-full-control";
	at->flags |= PROFILE_ADMIN;
	make_file("f", "content");
	make_folder("d", 0755);
	agent_test_start();
	got = ask((enum msg_type)type, body_for(type));
	ck_assert_msg(got == MSG_FAILED && at->reply.failed.reason == FAIL_POLICY, "%s was answered by %s, reason %u",
	    msg_name(type), msg_name(got), got == MSG_FAILED ? at->reply.failed.reason : 0);
	ck_assert_uint_eq(at->reply.fd_count, 0);
	expect_file("f", "content");
	ck_assert_uint_eq(count_names(""), 2);
	/* Exactly one decision, and it is on record with its rule. */
	ck_assert_uint_eq(at->log_count, 1);
	ck_assert_ptr_nonnull(strstr(at->log[0], "event=access"));
	(void)str_format(line, sizeof line, "op=%s ", authz_op_name((enum authz_op)gate_operation((enum msg_type)type)));
	ck_assert_ptr_nonnull(strstr(at->log[0], line));
	ck_assert_ptr_nonnull(strstr(at->log[0], "verdict=deny"));
	ck_assert_ptr_nonnull(strstr(at->log[0], "test.conf"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Once when it is allowed, too. */
START_TEST(allowed_requests_are_decided_once)
{
	unsigned type = (unsigned)_i, answer;

	if (!from_worker(type) || !msg_row(type)->gated || type == MSG_RENAME_TO)
		return;
	agent_test_make();
	at->flags |= PROFILE_OWN_PASSWORD;
	at->settings = "audit=yes\n";
	make_file("f", "content");
	make_folder("d", 0755);
	agent_test_start();
	answer = ask((enum msg_type)type, body_for(type));
	if (answer == MSG_WRITING)
		at->kept = 2;		/* until FINISH: the file and its folder */
	else if (type == MSG_RETRIEVE)
		at->kept = 1;		/* the file */
	ck_assert_uint_eq(at->log_count, 1);
	ck_assert_ptr_nonnull(strstr(at->log[0], "rule="));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(both_sides_of_a_rename_are_decided)
{
	agent_test_begin(EVERYTHING);
	make_file("f", "x");
	expect_path(MSG_RENAME_FROM, "f", MSG_DONE);
	at->log_count = 0;
	expect_path(MSG_RENAME_TO, "g", MSG_DONE);
	ck_assert_uint_eq(at->log_count, 2);
	ck_assert_ptr_nonnull(strstr(at->log[0], "op=RNFR"));
	ck_assert_ptr_nonnull(strstr(at->log[0], "path=/f"));
	ck_assert_ptr_nonnull(strstr(at->log[1], "op=RNTO"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

static const char *
last_log(void)
{
	return at->log[(at->log_count + 15) % 16];
}

static void
expect_log(const char *text)
{
	ck_assert_msg(strstr(last_log(), text) != NULL, "%s is not in: %s", text, last_log());
}

/* What policy allowed and the system, or a limit, refused: errno and all stand beside the verdict. */
START_TEST(what_came_of_it_is_on_record)
{
	char longer[300] = "", far[1500] = "";

	agent_test_make();
	at->flags |= PROFILE_QUOTA;
	at->limit.files = 4;
	at->used = (struct ledger){ 100, 5 };
	make_file("f", "content");
	make_folder("d", 0755);
	make_file("d/x", "");
	agent_test_start();
	expect_path(MSG_DELETE, "f", MSG_DONE);
	expect_log("op=DELE path=/f kind=file verdict=allow rule=");
	expect_log(" result=ok");
	ck_assert_uint_eq(at->log_level, LOG_LEVEL_INFO);
	expect_path_failed(MSG_DELETE, "f", FAIL_SYSTEM, ENOENT);
	expect_log("op=DELE path=/f kind=missing verdict=allow rule=");
	expect_log(" result=failed errno=2 error=\"No such file or directory\"");
	ck_assert_uint_eq(at->log_level, LOG_LEVEL_NOTICE);
	expect_path_failed(MSG_REMOVE_DIR, "d", FAIL_SYSTEM, ENOTEMPTY);
	expect_log("op=RMD path=/d kind=folder verdict=allow");
	expect_log(" result=failed errno=39 ");
	expect_path_failed(MSG_STORE, "new", FAIL_QUOTA, 0);
	expect_log("op=STOR path=/new kind=missing verdict=allow");
	expect_log(" result=refused error=\"the account's number of files is used up");
	/* Never decided, because there is no such name: it is on record all the same. */
	memset(longer, 'x', sizeof longer - 1);
	ck_assert_int_eq(ask_path(MSG_STORE, longer), MSG_FAILED);
	expect_log("op=STOR ");
	expect_log(" result=failed errno=36 error=\"File name too long\"");
	/* However long a name is, and whatever stands in it, the verdict has its room. */
	for (size_t i = 0; i + 1 < sizeof far; i++)
		far[i] = i % 100 == 99 ? '/' : '\x01';
	ck_assert_int_eq(ask_path(MSG_STORE, far), MSG_FAILED);
	expect_log("op=STOR ");
	expect_log(" result=failed errno=2 ");
	expect_log(" cut=yes");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Who only looks, and looks for what is not there, fills no log; what the system keeps from them does. */
START_TEST(looks_are_on_record_when_the_system_refuses)
{
	char path[200];
	unsigned before;

	if (geteuid() != 0)
		return;
	agent_test_make();
	make_folder("closed", 0700);
	snprintf(path, sizeof path, "%s/closed", at->dir);
	ck_assert_int_eq(chown(path, 0, 0), 0);
	agent_test_start();
	before = at->log_count;
	expect_path_failed(MSG_FACTS, "nothing", FAIL_SYSTEM, ENOENT);
	ck_assert_uint_eq(at->log_count, before);
	expect_path_failed(MSG_CHANGE_DIR, "closed", FAIL_SYSTEM, EACCES);
	ck_assert_uint_eq(at->log_count, before + 1);
	expect_log("op=CWD path=/closed kind=folder verdict=allow result=failed errno=13 ");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Both sides may be allowed, and the rename still take something out of a rule's reach. */
START_TEST(renames_do_not_escape_rules)
{
	agent_test_make();
	at->rules = EVERYTHING "\noverride /top/secret - recursive";
	at->settings = "explain_denials=yes\n";
	make_folder("top", 0755);
	make_folder("top/secret", 0755);
	make_file("top/secret/f", "x");
	make_file("top/plain", "x");
	agent_test_start();
	expect_path(MSG_RENAME_FROM, "top", MSG_DONE);
	at->log_count = 0;
	expect_path_failed(MSG_RENAME_TO, "zop", FAIL_POLICY, 0);
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "override /top/secret"));
	ck_assert_ptr_nonnull(strstr(at->log[at->log_count - 1], "verdict=deny"));
	ck_assert(exists("top/secret/f"));
	expect_path(MSG_RENAME_FROM, "top/plain", MSG_DONE);
	expect_path(MSG_RENAME_TO, "plain", MSG_DONE);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(renames_are_the_originals_when_so_configured)
{
	agent_test_make();
	at->rules = EVERYTHING "\noverride /top/secret - recursive";
	at->settings = "rename_above_rules=original\n";
	make_folder("top", 0755);
	make_folder("top/secret", 0755);
	agent_test_start();
	expect_path(MSG_RENAME_FROM, "top", MSG_DONE);
	expect_path(MSG_RENAME_TO, "zop", MSG_DONE);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A link in a folder that is granted does not open one that is denied. */
START_TEST(typed_and_resolved_path_are_both_judged)
{
	agent_test_make();
	at->dialect = "sftpplus";
	at->rules = "allow-full-control\n/secret/*, deny-full-control\n/door, allow-full-control";
	make_folder("secret", 0755);
	make_file("secret/f", "x");
	make_link("door", "secret/f");
	make_file("plain", "x");
	make_link("window", "plain");
	agent_test_start();
	expect_path_failed(MSG_RETRIEVE, "secret/f", FAIL_POLICY, 0);
	expect_path_failed(MSG_RETRIEVE, "door", FAIL_POLICY, 0);
	expect_log("resolved=/secret/f");
	expect_log("; the link leads to /secret/f");
	ck_assert_uint_eq(at->log_level, LOG_LEVEL_NOTICE);
	expect_path_failed(MSG_STORE, "door", FAIL_POLICY, 0);
	expect_path(MSG_DIGEST, "window", MSG_READING);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(only_the_typed_path_counts_when_so_configured)
{
	agent_test_make();
	at->settings = "link_policy=typed\n";
	at->dialect = "sftpplus";
	at->rules = "allow-full-control\n/secret/*, deny-full-control";
	make_folder("secret", 0755);
	make_file("secret/f", "x");
	make_link("door", "secret/f");
	agent_test_start();
	expect_path(MSG_DIGEST, "door", MSG_READING);
	expect_path_failed(MSG_RETRIEVE, "secret/f", FAIL_POLICY, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* What cannot be reached is judged as typed: a denied path does not tell whether it exists. */
START_TEST(denied_paths_do_not_tell_what_is_there)
{
	agent_test_make();
	at->dialect = "sftpplus";
	at->rules = "allow-full-control\n/secret/*, deny-full-control";
	make_folder("secret", 0755);
	make_folder("secret/d", 0755);
	make_link("secret/loop", "loop");
	agent_test_start();
	expect_path_failed(MSG_FACTS, "secret/d/none", FAIL_POLICY, 0);
	expect_path_failed(MSG_FACTS, "secret/none/none", FAIL_POLICY, 0);
	expect_path_failed(MSG_FACTS, "secret/loop", FAIL_POLICY, 0);
	expect_path_failed(MSG_FACTS, "elsewhere/none", FAIL_SYSTEM, ENOENT);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(without_a_layer_there_is_only_reading)
{
	agent_test_make();
	at->dialect = NULL;
	make_file("f", "x");
	agent_test_start();
	expect_path(MSG_DIGEST, "f", MSG_READING);
	expect_path_failed(MSG_STORE, "g", FAIL_POLICY, 0);
	expect_path_failed(MSG_DELETE, "f", FAIL_POLICY, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(a_layer_in_error_denies_everything)
{
	agent_test_make();
	at->rules = "elrQ?";
	make_file("f", "x");
	agent_test_start();
	ck_assert_ptr_nonnull(strstr(at->log[0], "event=policy"));
	expect_path_failed(MSG_FACTS, "f", FAIL_POLICY, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_gate_suite(void)
{
	Suite *s = suite_create("agent: the gate");
	TCase *c = tcase_create("rows"), *d = tcase_create("paths");

	tcase_add_loop_test(c, gates_are_those_of_the_table, 0, MSG_COUNT);
	tcase_add_loop_test(c, nothing_passes_a_policy_that_grants_nothing, 0, MSG_COUNT);
	tcase_add_loop_test(c, allowed_requests_are_decided_once, 0, MSG_COUNT);
	suite_add_tcase(s, c);
	tcase_add_test(d, both_sides_of_a_rename_are_decided);
	tcase_add_test(d, what_came_of_it_is_on_record);
	tcase_add_test(d, looks_are_on_record_when_the_system_refuses);
	tcase_add_test(d, renames_do_not_escape_rules);
	tcase_add_test(d, renames_are_the_originals_when_so_configured);
	tcase_add_test(d, typed_and_resolved_path_are_both_judged);
	tcase_add_test(d, only_the_typed_path_counts_when_so_configured);
	tcase_add_test(d, denied_paths_do_not_tell_what_is_there);
	tcase_add_test(d, without_a_layer_there_is_only_reading);
	tcase_add_test(d, a_layer_in_error_denies_everything);
	suite_add_tcase(s, d);
	return s;
}
