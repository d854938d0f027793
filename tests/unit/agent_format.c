#include "config.h"

#include <string.h>
#include <time.h>

#include "daemon/agent/format.h"
#include "privsep/msg.h"
#include "tests/unit/agent.h"

#define NOW 1700000000	/* Tue Nov 14 22:13:20 2023 */

static const uint64_t key[2] = { 1, 2 };

static struct statx
object(unsigned mode, uint64_t size, int64_t mtime)
{
	struct statx st = { .stx_mode = (uint16_t)mode, .stx_size = size, .stx_nlink = 1, .stx_uid = 1000, .stx_gid = 100 };

	st.stx_mtime.tv_sec = mtime;
	return st;
}

/* LIST, byte by byte: what old clients cut at fixed columns. */
static const struct {
	unsigned mode;
	uint64_t size;
	int64_t mtime;
	const char *owner, *name, *target, *line;
} long_rows[] = {
	{ S_IFREG | 0644, 5, NOW, "bob", "a.txt", NULL,
	    "-rw-r--r--    1 bob      bob             5 Nov 14 22:13 a.txt" },
	{ S_IFREG | 0644, 5, NOW - 86400 * 9, "bob", "a b ", NULL,
	    "-rw-r--r--    1 bob      bob             5 Nov  5 22:13 a b " },
	{ S_IFDIR | 01777, 4096, NOW - 86400 * 365, NULL, "tmp", NULL,
	    "drwxrwxrwt    1 1000     100          4096 Nov 14  2022 tmp" },
	{ S_IFREG | 0600, 12345678901ull, NOW + 86400, "anaccountname", "big", NULL,
	    "-rw-------    1 anaccountname anaccountname 12345678901 Nov 15  2023 big" },
	{ S_IFREG | 06755, 0, NOW + 30, "bob", "skew\r\nevil", NULL,
	    "-rwsr-sr-x    1 bob      bob             0 Nov 14 22:13 skew??evil" },
	{ S_IFIFO | 0666, 77, NOW, "bob", "pipe", NULL,
	    "prw-rw-rw-    1 bob      bob             0 Nov 14 22:13 pipe" },
	{ S_IFSOCK | 0755, 0, NOW, "bob", "socket", NULL,
	    "srwxr-xr-x    1 bob      bob             0 Nov 14 22:13 socket" },
	{ S_IFCHR | 0660, 9, NOW, "bob", "null", NULL,
	    "crw-rw----    1 bob      bob             0 Nov 14 22:13 null" },
	{ S_IFBLK | 0660, 9, NOW, "bob", "disk", NULL,
	    "brw-rw----    1 bob      bob             0 Nov 14 22:13 disk" },
	{ S_IFLNK | 0777, 0, NOW, "bob", "folder", NULL,
	    "lrwxrwxrwx    1 bob      bob             0 Nov 14 22:13 folder" },
	{ S_IFLNK | 0777, 3, NOW, "bob", "link", "../x",
	    "lrwxrwxrwx    1 bob      bob             3 Nov 14 22:13 link -> ../x" },
	/* A name is one word, whatever is in it: clients count columns by blanks. */
	{ S_IFREG | 0644, 5, NOW, "domain users", "a b", NULL,
	    "-rw-r--r--    1 domain_users domain_users        5 Nov 14 22:13 a b" },
	{ S_IFREG | 0644, 5, NOW, "a\tb;\x1b", "n", NULL, "-rw-r--r--    1 a_b__    a_b__           5 Nov 14 22:13 n" },
	{ S_IFREG | 0644, 5, NOW, "", "n", NULL, "-rw-r--r--    1 _        _               5 Nov 14 22:13 n" },
	{ S_IFREG | 0, 1, -1, "bob", "old", NULL,
	    "----------    1 bob      bob             1 Dec 31  1969 old" },
	{ S_IFREG | 0444, 1, 951782400, "bob", "leap", NULL,
	    "-r--r--r--    1 bob      bob             1 Feb 29  2000 leap" },
	/* Half a year is the border between time and year. */
	{ S_IFREG | 0644, 1, NOW - 365 * 43200 + 60, "bob", "x", NULL,
	    "-rw-r--r--    1 bob      bob             1 May 16 10:14 x" },
	{ S_IFREG | 0644, 1, NOW - 365 * 43200 - 60, "bob", "x", NULL,
	    "-rw-r--r--    1 bob      bob             1 May 16  2023 x" },
};

START_TEST(long_lines)
{
	struct format f;
	struct statx st = object(long_rows[_i].mode, long_rows[_i].size, long_rows[_i].mtime);
	struct format_entry e = { .name = long_rows[_i].name, .name_len = strlen(long_rows[_i].name),
	    .target = long_rows[_i].target, .st = &st };
	char line[FORMAT_LINE_MAX + 1];

	format_init(&f, NOW, key, long_rows[_i].owner, long_rows[_i].owner);
	*format_long(&f, line, &e) = '\0';
	ck_assert_str_eq(line, long_rows[_i].line);
	/* From what was kept of the line before. */
	*format_long(&f, line, &e) = '\0';
	ck_assert_str_eq(line, long_rows[_i].line);
}
END_TEST

static const struct {
	unsigned mode;
	uint32_t facts;
	const char *type, *owner, *line;
} fact_rows[] = {
	{ S_IFREG | 0644, FACT_TYPE | FACT_SIZE | FACT_MODIFY | FACT_PERM, NULL, "bob",
	    "type=file;size=5;modify=20231114221320;perm=adfrw; n" },
	{ S_IFDIR | 0755, FACT_TYPE | FACT_SIZE | FACT_MODIFY, NULL, "bob", "type=dir;modify=20231114221320; n" },
	{ S_IFIFO | 0644, FACT_TYPE | FACT_SIZE, NULL, "bob", "type=OS.unix=fifo; n" },
	{ S_IFSOCK | 0644, FACT_TYPE | FACT_SIZE, NULL, "bob", "type=OS.unix=socket; n" },
	{ S_IFCHR | 0644, FACT_TYPE | FACT_SIZE, NULL, "bob", "type=OS.unix=chr; n" },
	{ S_IFBLK | 0644, FACT_TYPE | FACT_SIZE, NULL, "bob", "type=OS.unix=blk; n" },
	{ S_IFLNK | 0777, FACT_TYPE | FACT_SIZE | FACT_PERM, NULL, "bob", "type=OS.unix=symlink;size=5;perm=adfrw; n" },
	{ S_IFDIR | 0755, FACT_TYPE, "cdir", "bob", "type=cdir; n" },
	{ S_IFREG | 0640, FACT_MODE | FACT_OWNER | FACT_GROUP, NULL, "bob", "UNIX.mode=0640;UNIX.owner=bob;UNIX.group=bob; n" },
	{ S_IFREG | 0640, FACT_OWNER | FACT_GROUP, NULL, NULL, "UNIX.owner=1000;UNIX.group=100; n" },
	{ S_IFREG | 0640, FACT_OWNER | FACT_GROUP, NULL, "the; staff", "UNIX.owner=the__staff;UNIX.group=the__staff; n" },
	{ S_IFREG | 0644, 0, NULL, "bob", " n" },
};

START_TEST(fact_lines)
{
	struct format f;
	struct statx st = object(fact_rows[_i].mode, 5, NOW);
	struct format_entry e = { .name = "n", .name_len = 1, .st = &st, .perm = "adfrw", .type = fact_rows[_i].type };
	char line[FORMAT_LINE_MAX + 1];

	format_init(&f, NOW, key, fact_rows[_i].owner, fact_rows[_i].owner);
	*format_facts(&f, line, &e, fact_rows[_i].facts) = '\0';
	ck_assert_str_eq(line, fact_rows[_i].line);
}
END_TEST

/* Objects are told apart, inode numbers are not told, another session sees other values. */
START_TEST(unique_hides_inodes)
{
	static const uint64_t other[2] = { 3, 4 };
	struct format f, g;
	struct statx st = object(S_IFREG | 0644, 5, NOW), st2 = st;
	struct format_entry e = { .name = "n", .name_len = 1, .st = &st }, e2 = { .name = "n", .name_len = 1, .st = &st2 };
	char a[FORMAT_LINE_MAX], b[FORMAT_LINE_MAX], c[FORMAT_LINE_MAX];

	st.stx_ino = 0xabcdef;
	st2.stx_ino = 0xabcdf0;
	format_init(&f, NOW, key, NULL, NULL);
	format_init(&g, NOW, other, NULL, NULL);
	*format_facts(&f, a, &e, FACT_UNIQUE) = '\0';
	*format_facts(&f, b, &e2, FACT_UNIQUE) = '\0';
	*format_facts(&g, c, &e, FACT_UNIQUE) = '\0';
	ck_assert_str_ne(a, b);
	ck_assert_str_ne(a, c);
	ck_assert_ptr_null(strstr(a, "abcdef"));
	*format_facts(&f, b, &e, FACT_UNIQUE) = '\0';
	ck_assert_str_eq(a, b);
}
END_TEST

/* Every day of eight centuries against the C library. */
START_TEST(times_are_those_of_the_c_library)
{
	struct format f;
	char mine[32], theirs[32];

	format_init(&f, NOW, key, NULL, NULL);
	for (int64_t t = -11676096000 + 4321; t < 13569465600; t += 86399) {
		time_t when = t;
		struct tm tm;

		gmtime_r(&when, &tm);
		*format_time(&f, mine, t) = '\0';
		ck_assert_uint_gt(strftime(theirs, sizeof theirs, "%Y%m%d%H%M%S", &tm), 0);
		if (strcmp(mine, theirs) != 0)
			ck_abort_msg("%s is not %s", mine, theirs);
	}
}
END_TEST

Suite *
agent_format_suite(void)
{
	Suite *s = suite_create("agent: lines");
	TCase *c = tcase_create("lines");

	tcase_add_loop_test(c, long_lines, 0, sizeof long_rows / sizeof long_rows[0]);
	tcase_add_loop_test(c, fact_lines, 0, sizeof fact_rows / sizeof fact_rows[0]);
	tcase_add_test(c, unique_hides_inodes);
	tcase_add_test(c, times_are_those_of_the_c_library);
	suite_add_tcase(s, c);
	return s;
}
