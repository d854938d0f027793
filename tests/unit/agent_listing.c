#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"
#include "common/exitcode.h"
#include "tests/unit/agent.h"

#define FACTS (FACT_TYPE | FACT_SIZE | FACT_PERM)

static char text[4 << 20];

static void
make_tree(void)
{
	make_folder("d", 0755);
	make_folder("d/sub", 0755);
	make_file("d/sub/deep", "deep");
	make_file("d/b", "22");
	make_file("d/a.c", "1");
	make_file("d/.hidden", "");
	make_link("d/link", "../top");
	make_link("d/dangling", "gone");
	make_file("top", "topfile");
}

/* Names only, so that times and owners do not matter. */
static const struct {
	const char *path;
	unsigned options;
	const char *names;
} name_rows[] = {
	{ "d", 0, "d/.hidden\r\nd/a.c\r\nd/b\r\nd/dangling\r\nd/link\r\nd/sub\r\n" },
	{ "d/", 0, "d/.hidden\r\nd/a.c\r\nd/b\r\nd/dangling\r\nd/link\r\nd/sub\r\n" },
	{ "/d/sub", 0, "/d/sub/deep\r\n" },
	{ "", 0, "d\r\ntop\r\n" }, { ".", 0, "d\r\ntop\r\n" }, { "./", 0, "./d\r\n./top\r\n" },
	{ "top", 0, "top\r\n" }, { "/top", 0, "/top\r\n" },
	{ "d/*.c", 0, "d/a.c\r\n" }, { "t?p", 0, "top\r\n" }, { "*.none", 0, "" }, { "d/[!ab]*", 0, "d/dangling\r\nd/link\r\nd/sub\r\n" },
	{ "", LIST_REVERSE, "top\r\nd\r\n" }, { "", LIST_ALL, ".\r\n..\r\nd\r\ntop\r\n" },
	{ "", LIST_CLASSIFY, "d/\r\ntop\r\n" },
	{ "d/[!s]*", LIST_BY_SIZE, "d/link\r\nd/dangling\r\nd/b\r\nd/a.c\r\n" },
	{ "d", LIST_SELF, "d\r\n" }, { "t*", LIST_SELF, "top\r\n" }, { "*", LIST_SELF | LIST_ALL, "d\r\ntop\r\n" }, { "t*", LIST_ALL, "top\r\n" },
	{ "d", LIST_RECURSIVE, "d/.hidden\r\nd/a.c\r\nd/b\r\nd/dangling\r\nd/link\r\nd/sub\r\nd/sub/deep\r\n" },
};

START_TEST(names_are_as_typed)
{
	agent_test_make();
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_NAMES, name_rows[_i].path, name_rows[_i].options, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, name_rows[_i].names);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* With link_policy=typed a denied folder is open through a link, all the way down, and says so. */
START_TEST(folders_over_links_are_judged_as_typed)
{
	agent_test_make();
	at->settings = "link_policy=typed\n";
	at->dialect = "sftpplus";
	at->rules = "allow-full-control\n/real*, deny-full-control\n/l/sub/hidden, allow-traverse";
	make_folder("real", 0755);
	make_folder("real/sub", 0755);
	make_folder("real/sub/hidden", 0755);
	make_file("real/sub/f", "x");
	make_file("real/sub/hidden/f", "x");
	make_link("l", "real");
	agent_test_start();
	ck_assert_int_eq(list(LIST_NAMES, "l", LIST_RECURSIVE, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "l/sub\r\nl/sub/f\r\nl/sub/hidden\r\n");
	ck_assert_int_eq(list(LIST_FACTS, "l/sub", 0, FACT_PERM, text, sizeof text), MSG_LINES);
	ck_assert_ptr_nonnull(strstr(text, "perm=adfrw; f\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "perm=celmp; hidden\r\n"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(long_lines_are_exact)
{
	char want[512], date[32], path[96];
	struct timespec t[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };

	agent_test_make();
	make_folder("e", 0750);
	make_file("e/f", "12345");
	snprintf(path, sizeof path, "%s/e/f", at->dir);
	ck_assert_int_eq(utimensat(AT_FDCWD, path, t, 0), 0);
	agent_test_start();
	(void)str_copy(date, sizeof date, "Sep  9  2001");
	snprintf(want, sizeof want, "-rw-r--r--    1 tester   tester          5 %s f\r\n", date);
	ck_assert_int_eq(list(LIST_LONG, "e", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, want);
	ck_assert_int_eq(list(LIST_LONG, "e/f", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, want);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(links_are_shown_as_what_they_lead_to)
{
	agent_test_make();
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_LONG, "d", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_null(strstr(text, "->"));
	ck_assert_ptr_nonnull(strstr(text, "       7 "));
	ck_assert_ptr_nonnull(strstr(text, " dangling\r\n"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(link_targets_are_shown_where_granted)
{
	agent_test_make();
	at->settings = "show_links=yes\n";
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_LONG, "d", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_nonnull(strstr(text, " link -> ../top\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\nlrwxrwxrwx "));
	agent_test_end(SP_EXIT_OK);

	agent_test_make();
	at->settings = "show_links=yes\n";
	at->dialect = "sftpplus";
	at->rules = "allow-read, allow-list\n/d/link, allow-read";
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_LONG, "d", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_null(strstr(text, "link -> "));
	ck_assert_ptr_nonnull(strstr(text, "dangling -> gone\r\n"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(facts_have_heads_and_perm)
{
	agent_test_make();
	make_tree();
	make_file("d/readonly", "x");
	{
		char path[96];

		snprintf(path, sizeof path, "%s/d/readonly", at->dir);
		ck_assert_int_eq(chmod(path, 0444), 0);
	}
	agent_test_start();
	ck_assert_int_eq(list(LIST_FACTS, "d", 0, FACTS, text, sizeof text), MSG_LINES);
	ck_assert_int_eq(strncmp(text, "type=cdir;perm=celmp; .\r\ntype=pdir;perm=", 39), 0);
	ck_assert_ptr_nonnull(strstr(text, "\r\ntype=file;size=2;perm=adfrw; b\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\ntype=file;size=1;perm=dfr; readonly\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\ntype=dir;perm=cdeflmp; sub\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "\r\ntype=file;size=7;perm=adfrw; link\r\n"));
	ck_assert_int_eq(list(LIST_FACTS, "d", LIST_NO_HEAD, FACT_TYPE, text, sizeof text), MSG_LINES);
	ck_assert_ptr_null(strstr(text, "cdir"));
	ck_assert_int_eq(list(LIST_FACTS, "top", 0, FACT_TYPE, text, sizeof text), MSG_FAILED);
	ck_assert_uint_eq(at->reply.failed.reason, FAIL_KIND);
	agent_test_end(SP_EXIT_OK);

	agent_test_make();
	at->rules = "elr";
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_FACTS, "d", LIST_NO_HEAD, FACTS, text, sizeof text), MSG_LINES);
	ck_assert_ptr_nonnull(strstr(text, "type=file;size=2;perm=r; b\r\n"));
	ck_assert_ptr_nonnull(strstr(text, "type=dir;perm=el; sub\r\n"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/*
 * What DELE removes is never called a folder, and what is called a folder RMD
 * removes: a client that deletes a tree descends into folders only.
 */
START_TEST(links_to_folders_are_links)
{
	struct msg_mlst m = { .path = "t/in", .facts = FACTS };

	agent_test_make();
	make_folder("keep", 0755);
	make_file("keep/precious", "x");
	make_folder("t", 0755);
	make_folder("t/real", 0755);
	make_link("t/in", "../keep");
	make_link("t/file", "../keep/precious");
	make_link("t/out", "../../../../etc");
	make_link("t/gone", "nothing");
	make_link("t/self", ".");
	agent_test_start();
	ck_assert_int_eq(list(LIST_FACTS, "t", LIST_NO_HEAD, FACTS, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "type=file;size=1;perm=adfrw; file\r\n" "type=OS.unix=symlink;size=0;perm=df; gone\r\n"
	    "type=OS.unix=symlink;size=0;perm=df; in\r\n" "type=OS.unix=symlink;size=0;perm=df; out\r\n" "type=dir;perm=cdeflmp; real\r\n"
	    "type=OS.unix=symlink;size=0;perm=df; self\r\n");
	ck_assert_int_eq(list(LIST_LONG, "t", LIST_RECURSIVE, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_nonnull(strstr(text, "\r\nlrwxrwxrwx "));
	ck_assert_ptr_null(strstr(text, "precious"));
	ck_assert_ptr_null(strstr(text, "->"));
	ck_assert_int_eq(list(LIST_NAMES, "t", LIST_CLASSIFY, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "t/file\r\nt/gone@\r\nt/in@\r\nt/out@\r\nt/real/\r\nt/self@\r\n");
	/* Asked about by name it is what it leads to, but RMD will not remove it; DELE will. */
	expect(MSG_MLST, &m, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "type=dir;perm=ceflmp; /t/in");
	(void)str_copy(m.path, sizeof m.path, "t/file");
	expect(MSG_MLST, &m, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "type=file;size=1;perm=adfrw; /t/file");
	expect_path_failed(MSG_REMOVE_DIR, "t/in", FAIL_KIND, 0);
	expect_path(MSG_DELETE, "t/in", MSG_DONE);
	expect_path(MSG_DELETE, "t/gone", MSG_DONE);
	expect_path(MSG_DELETE, "t/file", MSG_DONE);
	expect_file("keep/precious", "x");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* The name's rights are those of the name, the content's those of what is behind it. */
START_TEST(perm_tells_what_happens_to_links)
{
	agent_test_make();
	at->dialect = "sftpplus";
	at->rules = "allow-full-control\n/safe*, allow-read, allow-list\n/t/ro, allow-read";
	make_folder("safe", 0755);
	make_file("safe/f", "x");
	make_folder("t", 0755);
	make_link("t/link", "../safe/f");
	make_link("t/ro", "../t/own");
	make_file("t/own", "x");
	agent_test_start();
	ck_assert_int_eq(list(LIST_FACTS, "t", LIST_NO_HEAD, FACT_PERM, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "perm=dfr; link\r\n" "perm=adfrw; own\r\n" "perm=r; ro\r\n");
	expect_path(MSG_DELETE, "t/link", MSG_DONE);
	expect_path_failed(MSG_DELETE, "t/ro", FAIL_POLICY, 0);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(mlst_names_the_whole_path)
{
	struct msg_mlst m = { .path = "d/b", .facts = FACT_TYPE | FACT_SIZE };

	agent_test_make();
	make_tree();
	agent_test_start();
	expect(MSG_MLST, &m, MSG_TEXT);
	ck_assert_str_eq(at->reply.text.text, "type=file;size=2; /d/b");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* SFTPPlus: who may only traverse sees folders, and no names at all. */
START_TEST(traversing_shows_folders_only)
{
	agent_test_make();
	at->dialect = "sftpplus";
	at->rules = "allow-traverse";
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_FACTS, "d", LIST_NO_HEAD, FACT_TYPE, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "type=dir; sub\r\n");
	ck_assert_int_eq(list(LIST_NAMES, "d", 0, 0, text, sizeof text), MSG_FAILED);
	ck_assert_uint_eq(at->reply.failed.reason, FAIL_POLICY);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(control_files_are_not_listed)
{
	agent_test_make();
	at->dialect = "ftpcluster";
	at->rules = "";
	at->dialect_uid = 1005;
	make_file(".permissions", "* lr\n");
	make_file("f", "");
	agent_test_start();
	ck_assert_int_eq(list(LIST_NAMES, "", LIST_ALL, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, ".\r\n..\r\nf\r\n");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(dot_files_can_be_hidden)
{
	agent_test_make();
	at->settings = "hide_dot_files=yes\n";
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_NAMES, "d", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_null(strstr(text, "hidden"));
	ck_assert_int_eq(list(LIST_NAMES, "d", LIST_ALMOST_ALL, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_nonnull(strstr(text, "hidden"));
	ck_assert_int_eq(list(LIST_NAMES, "d/.h*", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "d/.hidden\r\n");
	ck_assert_int_eq(list(LIST_NAMES, "d/*", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_ptr_null(strstr(text, "hidden"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Never short without saying so: what is allowed arrives, in every format, then FAILED says why there is no more. */
static const struct {
	enum list_format format;
	const char *path;
	unsigned options, facts;
	unsigned lines;		/* that arrive */
} limit_rows[] = {
	{ LIST_NAMES, "d", 0, 0, 3 }, { LIST_LONG, "d", 0, 0, 3 }, { LIST_LONG, "d", LIST_BY_TIME, 0, 3 },
	{ LIST_FACTS, "d", LIST_NO_HEAD, FACT_TYPE | FACT_PERM, 3 }, { LIST_NAMES, "", LIST_RECURSIVE, 0, 3 }, { LIST_NAMES, "d/*", 0, 0, 3 },
	{ LIST_LONG, "d", LIST_ALL, 0, 5 },
};

START_TEST(limits_are_failures)
{
	unsigned lines = 0;

	agent_test_make();
	at->settings = "list_max_entries=3\n";
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(limit_rows[_i].format, limit_rows[_i].path, limit_rows[_i].options, limit_rows[_i].facts, text, sizeof text),
	    MSG_FAILED);
	ck_assert_uint_eq(at->reply.failed.reason, FAIL_ARGUMENT);
	ck_assert_ptr_nonnull(strstr(at->reply.failed.text, "list_max_entries"));
	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert_uint_eq(lines, limit_rows[_i].lines);
	ck_assert_int_eq(list(LIST_NAMES, "", 0, 0, text, sizeof text), MSG_LINES);
	ck_assert_int_eq(list(LIST_LONG, "none", 0, 0, text, sizeof text), MSG_FAILED);
	ck_assert_uint_eq(at->reply.failed.error, ENOENT);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* As many as are allowed are no reason to fail; and thousands arrive before the failure. */
START_TEST(the_last_allowed_entry_is_the_last)
{
	static const struct { const char *settings; enum msg_type end; unsigned lines; } rows[] = {
		{ "list_max_entries=2999\n", MSG_FAILED, 2999 }, { "list_max_entries=3000\n", MSG_LINES, 3000 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char name[64];
		unsigned lines = 0;

		agent_test_make();
		at->settings = rows[i].settings;
		make_folder("many", 0755);
		for (unsigned k = 0; k < 3000; k++) {
			snprintf(name, sizeof name, "many/a-name-of-some-length-%04u", k);
			make_file(name, "");
		}
		agent_test_start();
		ck_assert_int_eq(list(LIST_LONG, "many", 0, 0, text, sizeof text), rows[i].end);
		for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
			lines++;
		ck_assert_uint_eq(lines, rows[i].lines);
		agent_test_end(SP_EXIT_OK);
	}
}
END_TEST

START_TEST(deeper_folders_are_entries_only)
{
	agent_test_make();
	at->settings = "list_max_depth=1\n";
	make_folder("x", 0755);
	make_folder("x/y", 0755);
	make_folder("x/y/z", 0755);
	make_file("x/y/z/deep", "");
	make_file("x/y/f", "");
	agent_test_start();
	ck_assert_int_eq(list(LIST_NAMES, "x", LIST_RECURSIVE, 0, text, sizeof text), MSG_LINES);
	ck_assert_str_eq(text, "x/y\r\nx/y/f\r\nx/y/z\r\n");
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* RFC 3659, 2.2.2. A name in brackets that is missing is missing for people's listings too. */
static const struct {
	enum list_format format;
	const char *path;
	enum msg_type end;
	const char *names;	/* of LIST_NAMES */
} pattern_rows[] = {
	{ LIST_FACTS, "none*", MSG_FAILED, NULL }, { LIST_FACTS, "*", MSG_FAILED, NULL }, { LIST_FACTS, "d*", MSG_FAILED, NULL },
	{ LIST_FACTS, "photos [2024]", MSG_FAILED, NULL }, { LIST_FACTS, "?", MSG_FAILED, NULL }, { LIST_FACTS, "d/*", MSG_FAILED, NULL },
	{ LIST_FACTS, "[x]", MSG_LINES, NULL }, { LIST_FACTS, "st*r", MSG_LINES, NULL },
	{ LIST_LONG, "photos [2024]", MSG_FAILED, NULL }, { LIST_NAMES, "photos [2024]", MSG_FAILED, NULL },
	{ LIST_LONG, "[z]", MSG_FAILED, NULL }, { LIST_LONG, "none*", MSG_LINES, NULL },
	{ LIST_NAMES, "[cd]", MSG_LINES, "d\r\n" }, { LIST_NAMES, "none*", MSG_LINES, "" }, { LIST_NAMES, "[x]", MSG_LINES, "[x]/in\r\n" },
};

START_TEST(machines_know_no_patterns)
{
	agent_test_make();
	make_tree();
	make_folder("[x]", 0755);
	make_file("[x]/in", "");
	make_folder("st*r", 0755);
	agent_test_start();
	ck_assert_int_eq(list(pattern_rows[_i].format, pattern_rows[_i].path, 0, FACT_TYPE, text, sizeof text), pattern_rows[_i].end);
	if (pattern_rows[_i].end == MSG_FAILED)
		ck_assert_uint_eq(at->reply.failed.error, ENOENT);
	if (pattern_rows[_i].names != NULL)
		ck_assert_str_eq(text, pattern_rows[_i].names);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Brackets say nothing about what the policy hides. */
START_TEST(hidden_names_do_not_match)
{
	agent_test_make();
	at->dialect = "sftpplus";
	at->rules = "allow-full-control\n/d/a, deny-full-control";
	make_folder("d", 0755);
	make_file("d/a", "");
	agent_test_start();
	(void)list(LIST_NAMES, "d/[b]", 0, 0, text, sizeof text);
	ck_assert_uint_eq(at->reply.failed.error, ENOENT);
	if (list(LIST_NAMES, "d", 0, 0, text, sizeof text) == MSG_LINES && text[0] == '\0')
		ck_assert_int_eq(list(LIST_NAMES, "d/[a]", 0, 0, text, sizeof text), MSG_FAILED);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

START_TEST(recursion_has_headings)
{
	const char *heading;

	agent_test_make();
	make_tree();
	agent_test_start();
	ck_assert_int_eq(list(LIST_LONG, "", LIST_RECURSIVE, 0, text, sizeof text), MSG_LINES);
	heading = strstr(text, "\r\n\r\nd:\r\n");
	ck_assert_ptr_nonnull(heading);
	ck_assert_ptr_nonnull(strstr(heading, "\r\n\r\nd/sub:\r\n"));
	ck_assert_ptr_nonnull(strstr(heading, " deep\r\n"));
	agent_test_end(SP_EXIT_OK);
}
END_TEST

/* Many entries come in many pieces, each once, and quickly. */
/* With rules that look at every name, and with none that does. */
static const struct {
	const char *dialect, *rules;
} policies[] = {
	{ "pyftpdlib", EVERYTHING },
	{ "sftpplus", "allow-full-control\n/many/*5, allow-read, allow-list\n/other/*, deny-full-control" },
	{ "ftpcluster", "" },
};

START_TEST(large_folders_are_complete)
{
	const unsigned n = 20000;
	struct timespec from, to;
	char name[128];
	unsigned lines = 0;
	double us;

	agent_test_make();
	at->dialect = policies[_i].dialect;
	at->rules = policies[_i].rules;
	at->dialect_uid = 1005;
	make_folder("many", 0755);
	for (unsigned i = 0; i < n; i++) {
		int fd;

		snprintf(name, sizeof name, "%s/many/file-with-a-name-%05u", at->dir, i);
		fd = open(name, O_WRONLY | O_CREAT, 0644);
		ck_assert_int_ge(fd, 0);
		close(fd);
	}
	agent_test_start();
	for (unsigned round = 0; round < 4; round++) {
		bool facts = round & 1;

		clock_gettime(CLOCK_MONOTONIC, &from);
		ck_assert_int_eq(list(facts ? LIST_FACTS : LIST_LONG, "many", LIST_NO_HEAD,
		    FACT_TYPE | FACT_SIZE | FACT_MODIFY | FACT_PERM | FACT_UNIQUE, text, sizeof text), MSG_LINES);
		clock_gettime(CLOCK_MONOTONIC, &to);
		us = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
		if (getenv("AGENT_TIMES") != NULL)
			printf("%s %s: %.2f us an entry\n", at->dialect, facts ? "MLSD" : "LIST", us / n);
		lines = 0;
		for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
			lines++;
		ck_assert_uint_eq(lines, n);
	}
	ck_assert_ptr_nonnull(strstr(text, " file-with-a-name-19999\r\n"));
	ck_assert_int_eq(list(LIST_NAMES, "many", LIST_BY_TIME, 0, text, sizeof text), MSG_LINES);
	agent_test_end(SP_EXIT_OK);
}
END_TEST

Suite *
agent_listing_suite(void)
{
	Suite *s = suite_create("agent: listings");
	TCase *c = tcase_create("listings");

	tcase_add_loop_test(c, names_are_as_typed, 0, sizeof name_rows / sizeof name_rows[0]);
	tcase_add_test(c, folders_over_links_are_judged_as_typed);
	tcase_add_test(c, long_lines_are_exact);
	tcase_add_test(c, links_are_shown_as_what_they_lead_to);
	tcase_add_test(c, link_targets_are_shown_where_granted);
	tcase_add_test(c, facts_have_heads_and_perm);
	tcase_add_test(c, mlst_names_the_whole_path);
	tcase_add_test(c, traversing_shows_folders_only);
	tcase_add_test(c, control_files_are_not_listed);
	tcase_add_test(c, dot_files_can_be_hidden);
	tcase_add_loop_test(c, limits_are_failures, 0, sizeof limit_rows / sizeof limit_rows[0]);
	tcase_add_test(c, the_last_allowed_entry_is_the_last);
	tcase_add_test(c, deeper_folders_are_entries_only);
	tcase_add_loop_test(c, machines_know_no_patterns, 0, sizeof pattern_rows / sizeof pattern_rows[0]);
	tcase_add_test(c, hidden_names_do_not_match);
	tcase_add_test(c, links_to_folders_are_links);
	tcase_add_test(c, perm_tells_what_happens_to_links);
	tcase_add_test(c, recursion_has_headings);
	tcase_add_loop_test(c, large_folders_are_complete, 0, sizeof policies / sizeof policies[0]);
	suite_add_tcase(s, c);
	return s;
}
