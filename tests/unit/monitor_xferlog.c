#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "tests/unit/monitor.h"

static const struct {
	const char *user, *guest, *root;
	struct msg_transfer_record t;
	const char *want;
} records[] = {
	{ "alice", "", "/", { .direction = TRANSFER_OUT, .complete = 1, .bytes = 1234, .milliseconds = 2600, .path = "/home/a/x.txt" },
	  "Fri Sep  3 04:07:09 2021 3 192.0.2.7 1234 /home/a/x.txt b _ o r alice ftp 0 * c\n" },
	{ "alice", "", "/srv/ftp", { .direction = TRANSFER_IN, .complete = 0, .ascii = 1, .bytes = 0, .milliseconds = 4, .path = "/in/a file\n.txt" },
	  "Fri Sep  3 04:07:09 2021 1 192.0.2.7 0 /srv/ftp/in/a_file_.txt a _ i r alice ftp 0 * i\n" },
	{ "anonymous", "guest@example.org", "/srv", { .direction = TRANSFER_OUT, .complete = 1, .bytes = 18446744073709551615u, .milliseconds = 1000, .path = "/f" },
	  "Fri Sep  3 04:07:09 2021 1 192.0.2.7 18446744073709551615 /srv/f b _ o a guest@example.org ftp 0 * c\n" },
	{ "anonymous", "", "/", { .direction = TRANSFER_DELETED, .complete = 1, .path = "/f" },
	  "Fri Sep  3 04:07:09 2021 1 192.0.2.7 0 /f b _ d a anonymous ftp 0 * c\n" },
	{ "DOMAIN\\a user", "", "/", { .direction = TRANSFER_OUT, .complete = 1, .path = "/\xc3\xa4" },
	  "Fri Sep  3 04:07:09 2021 1 192.0.2.7 0 /\xc3\xa4 b _ o r DOMAIN\\a_user ftp 0 * c\n" },
	/*
	 * C1, what turns the direction of writing, a separator of lines, and what is no UTF-8: a lone byte, a cut
	 * and an overlong form.
	 */
	{ "al\xc2\x9b\x33mice", "", "/srv\xe2\x80\xae", { .direction = TRANSFER_IN, .complete = 1,
	    .path = "/b\xc2\x9b\x33\x31mx\xe2\x80\xaegpj.exe\x9b\xe2\x80\xa8\xc0\xaf\xe2\x82" },
	  "Fri Sep  3 04:07:09 2021 1 192.0.2.7 0 /srv_/b_31mx_gpj.exe______ b _ i r al_3mice ftp 0 * c\n" },
	{ "anonymous", "\xe2\x81\xa6guest\x9b", "/", { .direction = TRANSFER_OUT, .complete = 1, .path = "/\xe6\xbc\xa2" },
	  "Fri Sep  3 04:07:09 2021 1 192.0.2.7 0 /\xe6\xbc\xa2 b _ o a _guest_ ftp 0 * c\n" }
};

static struct monitor s;

START_TEST(lines_are_those_of_wu_ftpd)
{
	char line[512];
	size_t n;

	setenv("TZ", "UTC", 1);
	tzset();
	account_init(&s.account, records[_i].user);
	s.account.flags = strcmp(records[_i].user, "anonymous") == 0 ? ACCOUNT_ANONYMOUS : 0;
	(void)str_copy(s.guest, sizeof s.guest, records[_i].guest);
	(void)str_copy(s.root_path, sizeof s.root_path, records[_i].root);
	(void)str_copy(s.peer_text, sizeof s.peer_text, "192.0.2.7");
	n = xferlog_line(line, sizeof line, 1630642029, &s, &records[_i].t);
	ck_assert_uint_gt(n, 0);
	line[n] = '\0';
	ck_assert_str_eq(line, records[_i].want);
}
END_TEST

START_TEST(no_line_is_cut)
{
	static struct msg_transfer_record t = { .complete = 1 };
	char line[4600];

	account_init(&s.account, "alice");
	(void)str_copy(s.root_path, sizeof s.root_path, "/");
	(void)str_copy(s.peer_text, sizeof s.peer_text, "192.0.2.7");
	memset(t.path, 'x', sizeof t.path - 1);
	for (size_t size = 1; size < sizeof line; size++) {
		size_t n = xferlog_line(line, size, 1630642029, &s, &t);

		ck_assert_msg(n <= size, "%zu of %zu", n, size);
		if (n > 0)
			ck_assert_msg(line[n - 1] == '\n', "size %zu", size);
	}
}
END_TEST

Suite *
monitor_xferlog_suite(void)
{
	Suite *suite = suite_create("monitor/xferlog");
	TCase *t = tcase_create("xferlog");

	tcase_add_loop_test(t, lines_are_those_of_wu_ftpd, 0, (int)(sizeof records / sizeof *records));
	tcase_add_test(t, no_line_is_cut);
	suite_add_tcase(suite, t);
	return suite;
}
