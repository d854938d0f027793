/*
 * Invariants 8 and 9: a file of its final name is complete, and an upload
 * that fails never damages what was there.
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
#include <utime.h>

#include "authz/posixacl.h"
#include "authz/root.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"

static struct stat
status_of(const char *path)
{
	char full[200];
	struct stat st = { 0 };

	snprintf(full, sizeof full, "%s/%s", at->dir, path);
	ck_assert_msg(stat(full, &st) == 0, "%s", path);
	return st;
}

START_TEST(new_files_appear_complete)
{
	struct msg_store s = { .path = "f" };
	struct msg_finish f = { .complete = 1 };

	agent_test_begin(EVERYTHING);
	expect(MSG_STORE, &s, MSG_WRITING);
	ck_assert_uint_eq(at->reply.writing.room, UINT64_MAX);
	ck_assert_int_eq(write(at->reply.fd[0], "half", 4), 4);
	ck_assert(!exists("f"));
	ck_assert_int_eq(write(at->reply.fd[0], "full", 4), 4);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("f", "halffull");
	ck_assert_uint_eq(status_of("f").st_mode & 0777, 0644);
	ck_assert_uint_eq(count_names(""), 1);
	ck_assert_uint_eq(at->record.direction, 1);
	ck_assert_uint_eq(at->record.complete, 1);
	ck_assert_uint_eq(at->record.bytes, 8);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(broken_off_new_files_keep_what_came)
{
	agent_test_begin(EVERYTHING);
	ck_assert_int_eq(put_file("f", 0, "part", false), MSG_DONE);
	expect_file("f", "part");
	ck_assert_uint_eq(at->record.complete, 0);
	ck_assert_int_eq(put_file("f", 4, "ial", true), MSG_DONE);
	expect_file("f", "partial");
	ck_assert_int_eq(put_file("empty", 0, "", false), MSG_DONE);
	ck_assert(!exists("empty"));
	ck_assert_uint_eq(count_names(""), 1);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(broken_off_new_files_vanish_when_so_configured)
{
	agent_test_make();
	at->settings = "keep_partial=no\n";
	agent_test_start();
	ck_assert_int_eq(put_file("f", 0, "part", false), MSG_DONE);
	ck_assert_uint_eq(count_names(""), 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Whoever vanishes in the middle leaves a record of it, whatever becomes of the bytes. */
START_TEST(transfers_broken_off_are_recorded)
{
	static const struct { enum msg_type type; const char *path, *settings; unsigned direction; uint64_t bytes; } cases[] = {
		{ MSG_RETRIEVE, "f", "", TRANSFER_OUT, 4 },
		{ MSG_STORE, "f", "", TRANSFER_IN, 3 },
		{ MSG_STORE, "new", "keep_partial=no\n", TRANSFER_IN, 3 },
		{ MSG_STORE, "new", "keep_partial=no\natomic_uploads=no\n", TRANSFER_IN, 3 },
		{ MSG_APPEND, "f", "", TRANSFER_IN, 3 }
	};

	agent_test_make();
	at->flags |= PROFILE_RECORDS;
	at->settings = cases[_i].settings;
	make_file("f", "content");
	agent_test_start();
	ck_assert_int_eq(ask_path(cases[_i].type, cases[_i].path), cases[_i].type == MSG_RETRIEVE ? MSG_READING : MSG_WRITING);
	if (cases[_i].direction == TRANSFER_IN) {
		ck_assert_int_eq(write(at->reply.fd[0], "abc", 3), 3);
		at->kept = 2;		/* the file and its folder */
	} else {
		ck_assert_int_eq(lseek(at->reply.fd[0], 4, SEEK_SET), 4);
		at->kept = 1;
	}
	agent_test_end(SP_EXIT_OK);
	ck_assert_uint_eq(at->records, 1);
	ck_assert_uint_eq(at->record.complete, 0);
	ck_assert_uint_eq(at->record.how, FINISH_KILLED);
	ck_assert_uint_eq(at->record.direction, cases[_i].direction);
	ck_assert_uint_eq(at->record.bytes, cases[_i].bytes);
}
END_TEST

/* And one that the worker calls complete, but that could not be kept, is none. */
START_TEST(what_was_not_kept_is_not_complete)
{
	struct msg_finish f = { .complete = 1, .bytes = 3 };

	agent_test_make();
	at->flags |= PROFILE_RECORDS;
	at->settings = "max_file_size=2\n";
	agent_test_start();
	expect_path(MSG_STORE, "new", MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "abc", 3), 3);
	expect_failed(MSG_FINISH, &f, FAIL_QUOTA, 0);
	agent_test_end(SP_EXIT_OK);
	ck_assert_uint_eq(at->records, 1);
	ck_assert_uint_eq(at->record.complete, 0);
	ck_assert_uint_eq(at->record.how, FINISH_NO_ROOM);
	ck_assert_uint_eq(at->record.bytes, 3);
}
END_TEST

/* The errno that the worker met stands in the record, as far as it is one; of what is complete there is none. */
START_TEST(the_workers_error_is_recorded)
{
	static const struct { uint32_t error; uint8_t complete; uint32_t recorded; } cases[] = {
		{ ENOSPC, 0, ENOSPC }, { 4095, 0, 4095 }, { 4096, 0, 0 }, { UINT32_MAX, 0, 0 }, { ENOSPC, 1, 0 }
	};
	struct msg_finish f = { .complete = cases[_i / 2].complete, .how = FINISH_UNWRITABLE, .error = cases[_i / 2].error };

	agent_test_make();
	at->flags |= PROFILE_RECORDS;
	make_file("f", "content");
	agent_test_start();
	if (_i % 2 == 0) {
		expect_path(MSG_STORE, "new", MSG_WRITING);
		expect(MSG_FINISH, &f, MSG_DONE);
	} else {
		expect_path(MSG_RETRIEVE, "f", MSG_READING);
		tell(MSG_FINISH, &f);
	}
	agent_test_end(SP_EXIT_OK);
	ck_assert_uint_eq(at->records, 1);
	ck_assert_uint_eq(at->record.error, cases[_i / 2].recorded);
	ck_assert_uint_eq(at->record.how, f.complete ? FINISH_OK : FINISH_UNWRITABLE);
}
END_TEST

START_TEST(broken_off_replacements_keep_the_old_file)
{
	agent_test_make();
	make_file("f", "old content");
	agent_test_start();
	ck_assert_int_eq(put_file("f", 0, "new", false), MSG_DONE);
	expect_file("f", "old content");
	ck_assert_uint_eq(count_names(""), 1);
	ck_assert_int_eq(put_file("f", 0, "new", true), MSG_DONE);
	expect_file("f", "new");
	ck_assert_uint_eq(count_names(""), 1);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The worker vanishes, or the whole session is killed: nothing of the old file is lost. */
START_TEST(a_vanished_worker_ends_the_upload)
{
	struct msg_store s = { .path = "new" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	make_file("old", "old");
	agent_test_start();
	expect(MSG_STORE, &s, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "part", 4), 4);
	chan_close(&at->files);
	agent_test_await();
	expect_file("new", "part");
	expect_file("old", "old");
	ck_assert_uint_eq(count_names(""), 2);
	(void)f;
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(a_killed_agent_leaves_no_half_file)
{
	struct msg_store s = { .path = "old" };
	char command[128];

	agent_test_make();
	make_file("old", "old");
	agent_test_start();
	expect(MSG_STORE, &s, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "x", 1), 1);
	kill(at->pid, SIGKILL);
	ck_assert_int_eq(waitpid(at->pid, NULL, 0), at->pid);
	expect_file("old", "old");
	snprintf(command, sizeof command, "rm -rf %s", at->dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* What dead sessions left is removed by the next listing; what is being written is not. */
START_TEST(stale_temporaries_are_swept)
{
	struct msg_store s = { .path = "f" };
	struct utimbuf long_ago = { 1000000, 1000000 };
	char text[4096], path[200];
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	make_file(ROOT_RESERVED "dead", "x");
	make_file(ROOT_RESERVED "young", "x");
	snprintf(path, sizeof path, "%s/" ROOT_RESERVED "dead", at->dir);
	ck_assert_int_eq(utime(path, &long_ago), 0);
	agent_test_start();
	ck_assert_int_eq(list(LIST_LONG, "", LIST_ALL, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_null(strstr(text, "sallyport"));
	ck_assert(!exists(ROOT_RESERVED "dead") && exists(ROOT_RESERVED "young"));
	expect(MSG_STORE, &s, MSG_WRITING);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_path_failed(MSG_DELETE, ROOT_RESERVED "young", FAIL_PATH, EINVAL);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(resuming_and_appending_write_in_place)
{
	struct msg_store beyond = { .path = "f", .offset = 7 };
	struct msg_append append = { .path = "f" };
	struct msg_finish f = { .complete = 1 };
	ino_t inode;

	agent_test_make();
	make_file("f", "123456");
	agent_test_start();
	inode = status_of("f").st_ino;
	expect_failed(MSG_STORE, &beyond, FAIL_ARGUMENT, 0);
	/* A connection that never brought a byte does not shorten the file. */
	ck_assert_int_eq(put_file("f", 2, "", false), MSG_DONE);
	expect_file("f", "123456");
	ck_assert_int_eq(put_file("f", 2, "xy", true), MSG_DONE);
	expect_file("f", "12xy");
	expect(MSG_APPEND, &append, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "z", 1), 1);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("f", "12xyz");
	ck_assert_uint_eq(status_of("f").st_ino, inode);
	agent_test_end(SP_EXIT_OK);

	agent_test_make();
	at->settings = "rest_keeps_tail=yes\n";
	make_file("f", "123456");
	agent_test_start();
	ck_assert_int_eq(put_file("f", 2, "xy", true), MSG_DONE);
	expect_file("f", "12xy56");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The right to append is none to overwrite, whatever the worker does with the descriptor. */
START_TEST(appending_cannot_overwrite)
{
	struct msg_append append = { .path = "f" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	make_file("f", "123456");
	agent_test_start();
	expect(MSG_APPEND, &append, MSG_WRITING);
	ck_assert_int_eq(lseek(at->reply.fd[0], 0, SEEK_SET), 0);
	ck_assert_int_eq(write(at->reply.fd[0], "xx", 2), 2);
	ck_assert_int_eq(pwrite(at->reply.fd[0], "yy", 2, 1), 2);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("f", "123456xxyy");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(replaced_files_keep_mode_and_acl)
{
	static const struct pacl_row rows[] = {
		{ PACL_USER_OBJ, 6, PACL_NO_ID }, { PACL_USER, 4, 12345 }, { PACL_GROUP_OBJ, 0, PACL_NO_ID },
		{ PACL_MASK, 4, PACL_NO_ID }, { PACL_OTHER, 0, PACL_NO_ID },
	};
	struct pacl *acl, *now;
	char path[200];

	agent_test_make();
	if (agent_test_lacks(__func__, ACL_ATTRIBUTE))
		return;
	make_file("f", "old");
	make_file("plain", "old");
	snprintf(path, sizeof path, "%s/plain", at->dir);
	ck_assert_int_eq(chmod(path, 0606), 0);
	snprintf(path, sizeof path, "%s/f", at->dir);
	ck_assert_int_eq(pacl_from_rows(rows, 5, &acl), 0);
	ck_assert_int_eq(pacl_apply(pacl_at_path(path), PACL_ACCESS, acl), 0);
	agent_test_start();
	ck_assert_int_eq(put_file("f", 0, "new", true), MSG_DONE);
	ck_assert_int_eq(put_file("plain", 0, "new", true), MSG_DONE);
	expect_file("f", "new");
	ck_assert_int_eq(pacl_get(pacl_at_path(path), PACL_ACCESS, &now), 0);
	ck_assert(pacl_equal(acl, now));
	ck_assert_uint_eq(status_of("plain").st_mode & 0777, 0606);
	pacl_free(acl);
	pacl_free(now);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Somebody else's file that may be written, and a file with two names: they stay what they are. */
START_TEST(foreign_and_linked_files_keep_owner_and_links)
{
	char path[200], second[200];
	ino_t inode;

	if (needs_root(__func__))
		return;
	agent_test_make();
	make_file("theirs", "old");
	make_file("grouped", "old");
	make_file("one", "old");
	snprintf(path, sizeof path, "%s/grouped", at->dir);
	ck_assert_int_eq(chown(path, TEST_UID, 12345), 0);
	snprintf(path, sizeof path, "%s/theirs", at->dir);
	ck_assert_int_eq(chown(path, 12345, 12345), 0);
	ck_assert_int_eq(chmod(path, 0666), 0);
	snprintf(path, sizeof path, "%s/one", at->dir);
	snprintf(second, sizeof second, "%s/two", at->dir);
	ck_assert_int_eq(link(path, second), 0);
	agent_test_start();
	inode = status_of("theirs").st_ino;
	ck_assert_int_eq(put_file("theirs", 0, "new and longer", false), MSG_DONE);
	expect_file("theirs", "old");
	ck_assert_int_eq(put_file("theirs", 0, "n", true), MSG_DONE);
	expect_file("theirs", "n");
	ck_assert_uint_eq(status_of("theirs").st_ino, inode);
	ck_assert_uint_eq(status_of("theirs").st_uid, 12345);
	ck_assert_int_eq(put_file("grouped", 0, "new", true), MSG_DONE);
	expect_file("grouped", "new");
	ck_assert_uint_eq(status_of("grouped").st_gid, 12345);
	ck_assert_int_eq(put_file("one", 0, "new", true), MSG_DONE);
	expect_file("two", "new");
	ck_assert_uint_eq(count_names(""), 4);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/*
 * A042: the file may be written, its folder may not. And the reverse, A041: rename must not go around the file's
 * mode.
 */
START_TEST(the_kernels_rights_on_the_file_count)
{
	char path[200];

	if (needs_root(__func__))
		return;
	agent_test_make();
	make_folder("closed", 0755);
	make_file("closed/f", "old");
	make_file("locked", "old");
	snprintf(path, sizeof path, "%s/closed", at->dir);
	ck_assert_int_eq(chown(path, 0, 0), 0);
	snprintf(path, sizeof path, "%s/locked", at->dir);
	ck_assert_int_eq(chmod(path, 0444), 0);
	agent_test_start();
	ck_assert_int_eq(put_file("closed/f", 0, "n", true), MSG_DONE);
	expect_file("closed/f", "n");
	ck_assert_ptr_nonnull(strstr(at->log[0], "event=upload-in-place"));
	expect_path_failed(MSG_STORE, "closed/new", FAIL_SYSTEM, EACCES);
	expect_path_failed(MSG_STORE, "locked", FAIL_SYSTEM, EACCES);
	expect_file("locked", "old");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(default_acls_act_on_new_files)
{
	static const struct pacl_row rows[] = {
		{ PACL_USER_OBJ, 7, PACL_NO_ID }, { PACL_USER, 6, 12345 }, { PACL_GROUP_OBJ, 4, PACL_NO_ID },
		{ PACL_MASK, 6, PACL_NO_ID }, { PACL_OTHER, 0, PACL_NO_ID },
	};
	struct pacl *acl, *now;
	struct pacl_entry e;
	char path[200];

	agent_test_make();
	if (agent_test_lacks(__func__, ACL_ATTRIBUTE))
		return;
	agent_test_start();
	ck_assert_int_eq(pacl_from_rows(rows, 5, &acl), 0);
	ck_assert_int_eq(pacl_apply(pacl_at_path(at->dir), PACL_DEFAULT, acl), 0);
	ck_assert_int_eq(put_file("f", 0, "x", true), MSG_DONE);
	snprintf(path, sizeof path, "%s/f", at->dir);
	ck_assert_int_eq(pacl_get(pacl_at_path(path), PACL_ACCESS, &now), 0);
	ck_assert_int_eq(pacl_entry_find(now, PACL_USER, 12345, &e), 0);
	/* The umask plays no part: group class is the mask, rw. */
	ck_assert_uint_eq(status_of("f").st_mode & 0777, 0660);
	pacl_free(acl);
	pacl_free(now);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* What replaces a file has its ACL, also where that is none and the folder would give one. */
START_TEST(default_acls_do_not_act_on_replacements)
{
	static const struct pacl_row rows[] = {
		{ PACL_USER_OBJ, 7, PACL_NO_ID }, { PACL_USER, 6, 12345 }, { PACL_GROUP_OBJ, 4, PACL_NO_ID },
		{ PACL_MASK, 6, PACL_NO_ID }, { PACL_OTHER, 0, PACL_NO_ID },
	};
	struct pacl *acl, *now;
	struct pacl_entry e;
	char path[200];

	agent_test_make();
	if (agent_test_lacks(__func__, ACL_ATTRIBUTE))
		return;
	make_file("f", "old");
	snprintf(path, sizeof path, "%s/f", at->dir);
	ck_assert_int_eq(chmod(path, 0660), 0);
	ck_assert_int_eq(pacl_from_rows(rows, 5, &acl), 0);
	ck_assert_int_eq(pacl_apply(pacl_at_path(at->dir), PACL_DEFAULT, acl), 0);
	agent_test_start();
	ck_assert_int_eq(put_file("f", 0, "new", true), MSG_DONE);
	expect_file("f", "new");
	ck_assert_int_eq(pacl_get(pacl_at_path(path), PACL_ACCESS, &now), 0);
	ck_assert_int_ne(pacl_entry_find(now, PACL_USER, 12345, &e), 0);
	ck_assert_uint_eq(status_of("f").st_mode & 0777, 0660);
	pacl_free(acl);
	pacl_free(now);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* UPS says which of creating and replacing is allowed; the kernel tells them apart. */
START_TEST(creating_and_replacing_are_different_rights)
{
	agent_test_make();
	at->dialect = "ups";
	at->rules = "-W +c";
	make_file("old", "old");
	agent_test_start();
	ck_assert_int_eq(put_file("new", 0, "x", true), MSG_DONE);
	expect_path_failed(MSG_STORE, "old", FAIL_POLICY, 0);
	expect_path_failed(MSG_STORE, "new", FAIL_POLICY, 0);
	expect_file("old", "old");
	agent_test_end(SP_EXIT_OK);

	agent_test_make();
	at->dialect = "ups";
	at->rules = "-W +m";
	make_file("old", "old");
	agent_test_start();
	ck_assert_int_eq(put_file("old", 0, "new", true), MSG_DONE);
	expect_path_failed(MSG_STORE, "none", FAIL_POLICY, 0);
	expect_file("old", "new");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* A file that appears while the upload runs is not replaced by who may only create. */
START_TEST(what_appears_meanwhile_is_respected)
{
	struct msg_store s = { .path = "f" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	at->dialect = "ups";
	at->rules = "-W +c";
	agent_test_start();
	expect(MSG_STORE, &s, MSG_WRITING);
	ck_assert_int_eq(write(at->reply.fd[0], "mine", 4), 4);
	make_file("f", "theirs");
	expect_failed(MSG_FINISH, &f, FAIL_SYSTEM, EEXIST);
	expect_file("f", "theirs");
	ck_assert_uint_eq(count_names(""), 1);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(unique_names_are_unique)
{
	struct msg_store_unique none = { .path = "" }, wish = { .path = "f" };
	struct msg_finish f = { .complete = 1 };

	agent_test_make();
	make_file("f", "old");
	agent_test_start();
	expect(MSG_STORE_UNIQUE, &wish, MSG_WRITING);
	ck_assert_str_eq(at->reply.writing.name, "f.1");
	ck_assert_int_eq(write(at->reply.fd[0], "1", 1), 1);
	expect(MSG_FINISH, &f, MSG_DONE);
	expect(MSG_STORE_UNIQUE, &wish, MSG_WRITING);
	ck_assert_str_eq(at->reply.writing.name, "f.2");
	f.complete = 0;
	expect(MSG_FINISH, &f, MSG_DONE);
	expect(MSG_STORE_UNIQUE, &none, MSG_WRITING);
	ck_assert_int_eq(strncmp(at->reply.writing.name, "upload-", 7), 0);
	f.complete = 1;
	expect(MSG_FINISH, &f, MSG_DONE);
	expect_file("f.1", "1");
	ck_assert_uint_eq(count_names(""), 3);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The name that is told is one by which the client can name the file; a name without room for a number is shortened. */
START_TEST(unique_names_name_the_file)
{
	static const struct { const char *wish, *before; } rows[] = {
		{ "sub/other", "sub/other.1" }, { "/sub/other", "/sub/other.2" }, { "../sub/../sub/other", "../sub/../sub/other.3" },
		{ "sub/", "sub/upload-" }, { "via/other", "via/other.4" }, { "new", "new" }, { "~/other", "~/other" }, { "~/other", "~/other.1" },
	};
	struct msg_store_unique m = { .announced = 0 };
	struct msg_facts look = { .path = "" };
	struct msg_finish f = { .complete = 1 };
	char longest[ROOT_NAME_MAX + 1], letters[ROOT_NAME_MAX + 1];

	agent_test_make();
	make_folder("sub", 0755);
	make_file("sub/other", "old");
	make_link("via", "sub");
	memset(longest, 'n', ROOT_NAME_MAX);
	longest[ROOT_NAME_MAX] = '\0';
	for (size_t i = 0; i + 1 < ROOT_NAME_MAX; i += 2)
		memcpy(letters + i, "\303\244", 2);	/* an a with dots */
	letters[ROOT_NAME_MAX - 1] = '\0';
	agent_test_start();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0] + 4; i++) {
		size_t k = i - sizeof rows / sizeof rows[0];

		(void)str_copy(m.path, sizeof m.path, i < sizeof rows / sizeof rows[0] ? rows[i].wish : k < 2 ? longest : letters);
		expect(MSG_STORE_UNIQUE, &m, MSG_WRITING);
		ck_assert_int_eq(write(at->reply.fd[0], "1234", 4), 4);
		(void)str_copy(look.path, sizeof look.path, at->reply.writing.name);
		if (i < sizeof rows / sizeof rows[0])
			ck_assert_int_eq(strncmp(look.path, rows[i].before, strlen(rows[i].before)), 0);
		expect(MSG_FINISH, &f, MSG_DONE);
		expect(MSG_FACTS, &look, MSG_OBJECT);
		ck_assert_uint_eq(at->reply.object.size, 4);
	}
	ck_assert_uint_eq(strlen(look.path), ROOT_NAME_MAX - 1);
	ck_assert_str_eq(look.path + ROOT_NAME_MAX - 5, "\303\244.1");
	expect_file("sub/other", "old");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(without_atomic_uploads_files_are_written_in_place)
{
	ino_t inode;

	agent_test_make();
	at->settings = "atomic_uploads=no\nfsync=file+dir\n";
	make_file("f", "old content");
	agent_test_start();
	inode = status_of("f").st_ino;
	ck_assert_int_eq(put_file("f", 0, "new", true), MSG_DONE);
	expect_file("f", "new");
	ck_assert_uint_eq(status_of("f").st_ino, inode);
	ck_assert_int_eq(put_file("g", 0, "g", true), MSG_DONE);
	expect_file("g", "g");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(syncing_works)
{
	agent_test_make();
	at->settings = "fsync=file+dir\n";
	agent_test_start();
	ck_assert_int_eq(put_file("f", 0, "x", true), MSG_DONE);
	expect_file("f", "x");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* ftpcluster keeps owners of its own. */
START_TEST(new_objects_belong_to_their_maker)
{
	char path[200], value[16] = "";

	agent_test_make();
	if (agent_test_lacks(__func__, USER_ATTRIBUTE))
		return;
	at->dialect = "ftpcluster";
	at->rules = "";
	at->dialect_uid = 1005;
	at->flags |= PROFILE_CHOWN;
	make_file(".permissions", "1005 lrwma\n");
	agent_test_start();
	ck_assert_int_eq(put_file("f", 0, "x", true), MSG_DONE);
	expect_path(MSG_MAKE_DIR, "d", MSG_WHERE);
	snprintf(path, sizeof path, "%s/f", at->dir);
	ck_assert_int_eq(getxattr(path, "user.sallyport.owner", value, sizeof value - 1), 4);
	ck_assert_str_eq(value, "1005");
	{
		struct msg_change_owner give = { .path = "d", .owner = "other" };
		char dir[200];

		expect(MSG_CHANGE_OWNER, &give, MSG_DONE);
		snprintf(dir, sizeof dir, "%s/d", at->dir);
		ck_assert_int_eq(getxattr(dir, "user.sallyport.owner", value, sizeof value - 1), 4);
		ck_assert_str_eq(value, "1006");
	}
	/* The owner may delete although the letters do not say so; an edit of the rules acts at once. */
	expect_path(MSG_DELETE, "f", MSG_DONE);
	make_file(".permissions", "1005 l\n");
	expect_path_failed(MSG_STORE, "g", FAIL_POLICY, 0);
	expect_path_failed(MSG_RETRIEVE, ".permissions", FAIL_POLICY, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_upload_suite(void)
{
	Suite *s = suite_create("agent: uploads");
	TCase *c = tcase_create("uploads");

	tcase_add_test(c, new_files_appear_complete);
	tcase_add_test(c, broken_off_new_files_keep_what_came);
	tcase_add_test(c, broken_off_new_files_vanish_when_so_configured);
	tcase_add_loop_test(c, transfers_broken_off_are_recorded, 0, 5);
	tcase_add_test(c, what_was_not_kept_is_not_complete);
	tcase_add_loop_test(c, the_workers_error_is_recorded, 0, 10);
	tcase_add_test(c, broken_off_replacements_keep_the_old_file);
	tcase_add_test(c, a_vanished_worker_ends_the_upload);
	tcase_add_test(c, a_killed_agent_leaves_no_half_file);
	tcase_add_test(c, stale_temporaries_are_swept);
	tcase_add_test(c, resuming_and_appending_write_in_place);
	tcase_add_test(c, appending_cannot_overwrite);
	tcase_add_test(c, replaced_files_keep_mode_and_acl);
	tcase_add_test(c, foreign_and_linked_files_keep_owner_and_links);
	tcase_add_test(c, the_kernels_rights_on_the_file_count);
	tcase_add_test(c, default_acls_act_on_new_files);
	tcase_add_test(c, default_acls_do_not_act_on_replacements);
	tcase_add_test(c, creating_and_replacing_are_different_rights);
	tcase_add_test(c, what_appears_meanwhile_is_respected);
	tcase_add_test(c, unique_names_are_unique);
	tcase_add_test(c, unique_names_name_the_file);
	tcase_add_test(c, without_atomic_uploads_files_are_written_in_place);
	tcase_add_test(c, syncing_works);
	tcase_add_test(c, new_objects_belong_to_their_maker);
	suite_add_tcase(s, c);
	return s;
}
