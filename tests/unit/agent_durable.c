/*
 * What an upload asks of the disk, in which order, and what becomes of it when
 * the disk says no; and temporary files.  The calls go through the wrappers
 * here (the linker's --wrap), which the agent, a child of the test, shares with it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "authz/root.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "tests/unit/agent.h"
#include "tests/unit/root.h"

/* Seen by test and agent. */
static struct {
	char calls[64];		/* F, D: fsync of a file, a folder; C: close of a file that was open for writing; R: rename */
	char fail;		/* the one of them that fails next; 0: none */
	int error;
	unsigned flags;		/* of the last rename */
	bool unlocked;		/* what was renamed had no lock */
	mode_t modes;		/* all bits that files had before a change of mode */
	pid_t test;		/* whose own calls do not count */
} *disk;

int __real_fsync(int fd);
int __real_close(int fd);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_fchmod(int fd, mode_t mode);

/* Notes the call; true: it is to fail. */
static bool
fails(char call)
{
	size_t n;

	if (disk == NULL || getpid() == disk->test)
		return false;
	n = strlen(disk->calls);
	if (n + 1 < sizeof disk->calls)
		disk->calls[n] = call;
	if (disk->fail != call)
		return false;
	disk->fail = 0;
	errno = disk->error;
	return true;
}

int
__wrap_fsync(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && fails(S_ISDIR(st.st_mode) ? 'D' : 'F') ? -1 : __real_fsync(fd);
}

int
__wrap_close(int fd)
{
	int flags = disk == NULL ? -1 : fcntl(fd, F_GETFL);
	struct stat st;

	if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && (flags & O_PATH) == 0 && fstat(fd, &st) == 0 &&
	    S_ISREG(st.st_mode) && fails('C')) {
		(void)__real_close(fd);
		errno = disk->error;
		return -1;
	}
	return __real_close(fd);
}

/* Whoever gets the lock of a temporary file takes it for a dead session's, and removes it. */
static void
look_at_lock(int dir_fd, const char *name)
{
	int fd = root_open_entry(dir_fd, name, O_WRONLY);

	disk->unlocked = disk->unlocked || fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
	if (fd >= 0)
		(void)__real_close(fd);
}

int
__wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (disk != NULL) {
		disk->flags = flags;
		look_at_lock(from_fd, from);
	}
	return fails('R') ? -1 : __real_renameat2(from_fd, from, to_fd, to, flags);
}

int
__wrap_fchmod(int fd, mode_t mode)
{
	struct stat st;

	if (disk != NULL && fstat(fd, &st) == 0)
		disk->modes |= st.st_mode & 0777;
	return __real_fchmod(fd, mode);
}

/* Starts an agent that has a file "f" to replace, with a quota that knows it. */
static void
start(const char *settings)
{
	disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(disk, MAP_FAILED);
	agent_test_make();
	at->settings = settings;
	at->flags |= PROFILE_QUOTA;
	at->limit.bytes = 1000;
	at->used = (struct ledger){ 3, 1 };
	make_file("f", "old");
	agent_test_start();
	memset(disk, 0, sizeof *disk);
	disk->test = getpid();
}

/* Uploads to the name; the calls that were made for it must be those. */
static void
expect_calls(const char *name, const char *calls)
{
	memset(disk->calls, 0, sizeof disk->calls);
	ck_assert_int_eq(put_file(name, 0, "content", true), MSG_DONE);
	ck_assert_str_eq(disk->calls, calls);
	ck_assert_msg(!disk->unlocked, "the temporary file was anybody's before it had its name");
}

START_TEST(what_is_acknowledged_is_on_the_disk)
{
	start("fsync=file+dir\n");
	/* First the file that is going to be replaced is closed, last the lock. */
	expect_calls("f", "CFCRDC");
	expect_calls("new", "FCRDC");
	agent_test_end(SP_EXIT_OK);
	start("fsync=file\n");
	expect_calls("new", "FCRC");
	agent_test_end(SP_EXIT_OK);
	start("fsync=none\n");
	expect_calls("new", "CRC");
	agent_test_end(SP_EXIT_OK);
	start("fsync=file+dir\natomic_uploads=no\n");
	expect_calls("f", "FDC");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Each call fails once: the client hears of it, the old file is there, nothing else is, and nothing is charged. */
START_TEST(no_error_is_kept_from_the_client)
{
	static const struct { char call; int error; const char *name; } failures[] = {
		{ 'F', EIO, "f" }, { 'F', EIO, "new" }, { 'C', ENOSPC, "new" }, { 'R', EIO, "f" }, { 'R', EIO, "new" }
	};

	start("fsync=file+dir\n");
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		disk->fail = failures[i].call;
		disk->error = failures[i].error;
		ck_assert_int_eq(put_file(failures[i].name, 0, "content", true), MSG_FAILED);
		ck_assert_int_eq(at->reply.failed.error, failures[i].error);
		expect_file("f", "old");
		ck_assert_uint_eq(count_names(""), 1);
		expect_charged(3, 1);
	}
	/* The folder comes last: the file has its name by then, but nobody says that it will keep it. */
	disk->fail = 'D';
	disk->error = EIO;
	ck_assert_int_eq(put_file("f", 0, "content", true), MSG_FAILED);
	expect_charged(7, 1);
	agent_test_end(SP_EXIT_OK);
	start("atomic_uploads=no\n");
	disk->fail = 'C';
	disk->error = EIO;
	ck_assert_int_eq(put_file("f", 0, "content", true), MSG_FAILED);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Who may only create takes no name that is taken, who may only replace makes no new one: the kernel is told so. */
START_TEST(renames_say_what_was_granted)
{
	static const struct { const char *rules, *name; unsigned flags; } cases[] = {
		{ "-W +c", "new", RENAME_NOREPLACE }, { "-W +m", "f", RENAME_EXCHANGE }
	};

	for (size_t i = 0; i < 2; i++) {
		disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		agent_test_make();
		at->dialect = "ups";
		at->rules = cases[i].rules;
		make_file("f", "old");
		agent_test_start();
		ck_assert_int_eq(put_file(cases[i].name, 0, "content", true), MSG_DONE);
		ck_assert_uint_eq(disk->flags, cases[i].flags);
		ck_assert_uint_eq(count_names(""), i == 0 ? 2 : 1);
		agent_test_end(SP_EXIT_OK);
	}
}
END_TEST

static void
rename_to(const char *from, const char *to, unsigned flags)
{
	disk->flags = ~0u;
	expect_path(MSG_RENAME_FROM, from, MSG_DONE);
	expect_path(MSG_RENAME_TO, to, MSG_DONE);
	ck_assert_uint_eq(disk->flags, flags);
}

/*
 * What has the new name by then is replaced only by those who may; a link that gets another text on the way
 * likewise.
 */
START_TEST(renames_of_clients_say_it_too)
{
	static const struct { const char *rules; unsigned flags; } cases[] = { { "-W +n", RENAME_NOREPLACE }, { "-R", 0 } };

	for (size_t i = 0; i < 2; i++) {
		disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		agent_test_make();
		at->dialect = "ups";
		at->rules = cases[i].rules;
		make_file("f", "old");
		make_folder("d", 0755);
		make_folder("d/e", 0755);
		make_link("d/e/link", "../../f");
		agent_test_start();
		rename_to("f", "g", cases[i].flags);
		rename_to("d/e/link", "link", cases[i].flags);
		agent_test_end(SP_EXIT_OK);
	}
}
END_TEST

/* -------------------------------------------------------------------- temporary files */

static const char *
path_of(const char *name)
{
	static char path[400];

	(void)str_format(path, sizeof path, "%s/%s", at->dir, name);
	return path;
}

/* The name of the temporary file that is there. */
static void
find_temporary(char *name, size_t size)
{
	char command[300];
	FILE *f;

	(void)str_format(command, sizeof command, "cd %s && ls -a | grep '^" ROOT_RESERVED "' | head -1", at->dir);
	ck_assert_ptr_nonnull(f = popen(command, "r"));
	ck_assert_ptr_nonnull(fgets(name, (int)size, f));
	pclose(f);
	name[strcspn(name, "\n")] = '\0';
}

static mode_t
mode_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(path_of(name), &st), 0);
	return st.st_mode & 07777;
}

/* What is to replace a file is nobody else's before it has that one's mode, and gives nobody an identity. */
START_TEST(modes_of_replacements)
{
	struct msg_store s = { .path = "f" };
	struct msg_finish f = { .complete = 1 };
	char name[300];

	disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	agent_test_make();
	make_file("f", "old");
	ck_assert_int_eq(chmod(path_of("f"), 04640), 0);
	agent_test_start();
	disk->modes = 0;
	expect(MSG_STORE, &s, MSG_WRITING);
	find_temporary(name, sizeof name);
	ck_assert_uint_eq(mode_of(name), 0640);
	ck_assert_uint_eq(disk->modes, 0600);
	expect(MSG_FINISH, &f, MSG_DONE);
	ck_assert_uint_eq(mode_of("f"), 0640);
	ck_assert_int_eq(chmod(path_of("f"), 0600), 0);
	expect(MSG_STORE, &s, MSG_WRITING);
	find_temporary(name, sizeof name);
	ck_assert_uint_eq(mode_of(name), 0600);
	expect(MSG_FINISH, &f, MSG_DONE);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

static void
make_aged(const char *name, time_t age)
{
	struct timespec t[2] = { { .tv_sec = time(NULL) - age }, { .tv_sec = time(NULL) - age } };

	make_file(name, "x");
	ck_assert_int_eq(utimensat(AT_FDCWD, path_of(name), t, 0), 0);
}

/*
 * An agent is killed: the next listing takes its file away, without waiting.  That of a running upload, and those of
 * which this kernel cannot know, stay: another node's, one without the lock, somebody else's.
 */
START_TEST(only_own_dead_ones_go_at_once)
{
	struct msg_store s = { .path = "f" };
	char dead[300], text[4096], killed[64];

	agent_test_make();
	agent_test_start();
	expect(MSG_STORE, &s, MSG_WRITING);
	find_temporary(dead, sizeof dead);
	ck_assert_uint_eq(strlen(dead), sizeof ROOT_RESERVED - 1 + 33);
	(void)str_copy(killed, sizeof killed, at->dir);
	kill(at->pid, SIGKILL);
	ck_assert_int_eq(waitpid(at->pid, NULL, 0), at->pid);
	msg_close(&at->reply);
	close(at->files.fd);
	close(at->monitor.fd);
	/* Another session of the same folder. */
	agent_test_spawn();
	agent_test_login();
	make_aged(ROOT_RESERVED "0123456789abcdef-0123456789abcdef", 3600);
	make_aged(ROOT_RESERVED "0123456789abcdef-0000000000000000", 90000 * 2);
	make_aged(ROOT_RESERVED "foreign-owner", 90000 * 2);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(path_of(ROOT_RESERVED "foreign-owner"), 12345, 12345), 0);
	s = (struct msg_store){ .path = "running" };
	expect(MSG_STORE, &s, MSG_WRITING);
	/* The first upload into a folder sweeps it as a listing does. */
	ck_assert(!exists(dead));
	ck_assert(!exists(ROOT_RESERVED "0123456789abcdef-0000000000000000"));
	ck_assert(exists(ROOT_RESERVED "0123456789abcdef-0123456789abcdef"));
	ck_assert(geteuid() != 0 || exists(ROOT_RESERVED "foreign-owner"));
	{
		struct msg_finish f = { .complete = 1 };

		expect(MSG_FINISH, &f, MSG_DONE);
	}
	make_aged(ROOT_RESERVED "0123456789abcdef-1111111111111111", 90000 * 2);
	ck_assert_int_eq(list(LIST_LONG, "", LIST_ALL, 0, text, sizeof text), MSG_LINES);
	ck_assert(!exists(ROOT_RESERVED "0123456789abcdef-1111111111111111"));
	ck_assert(exists(ROOT_RESERVED "0123456789abcdef-0123456789abcdef"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* One session lists while another uploads: its file is left alone, however silent it is. */
START_TEST(running_uploads_are_left_alone)
{
	char name[300], text[4096], path[400];
	int fd;

	agent_test_make();
	agent_test_start();
	{
		struct msg_store s = { .path = "f" };

		expect(MSG_STORE, &s, MSG_WRITING);
	}
	find_temporary(name, sizeof name);
	(void)str_copy(path, sizeof path, path_of(name));
	fd = msg_take_fd(&at->reply, 0);
	kill(at->pid, SIGKILL);
	ck_assert_int_eq(waitpid(at->pid, NULL, 0), at->pid);
	close(at->files.fd);
	close(at->monitor.fd);
	/* The worker still has it open, and with it the lock. */
	agent_test_spawn();
	agent_test_login();
	ck_assert_int_eq(list(LIST_LONG, "", LIST_ALL, 0, text, sizeof text), MSG_LINES);
	ck_assert(exists(name));
	close(fd);
	ck_assert_int_eq(list(LIST_LONG, "", LIST_ALL, 0, text, sizeof text), MSG_LINES);
	ck_assert(!exists(name));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_durable_suite(void)
{
	Suite *s = suite_create("agent: durability");
	TCase *c = tcase_create("durability");

	tcase_add_test(c, what_is_acknowledged_is_on_the_disk);
	tcase_add_test(c, no_error_is_kept_from_the_client);
	tcase_add_test(c, renames_say_what_was_granted);
	tcase_add_test(c, renames_of_clients_say_it_too);
	tcase_add_test(c, modes_of_replacements);
	tcase_add_test(c, only_own_dead_ones_go_at_once);
	tcase_add_test(c, running_uploads_are_left_alone);
	suite_add_tcase(s, c);
	return s;
}
