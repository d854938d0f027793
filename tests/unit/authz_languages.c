/* The rules of the four languages one by one: what is granted, what is refused at load and where. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/authz.h"
#include "authz/ftpcluster.h"
#include "authz/pyftpdlib.h"
#include "authz/sftpplus.h"
#include "authz/ups.h"
#include "tests/unit/authz.h"

/* ------------------------------------------------------------ one decision */

struct decision {
	const char *dialect, *text, *user, *command, *path;
	enum authz_kind kind;
	bool allow;
};

static struct authz_policy *
compiled(const char *dialect, const char *text, const char *user, struct authz_problems *problems)
{
	struct authz_source source = { .dialect = dialect, .text = text, .file = "test.conf", .line = 10,
	    .scope = AUTHZ_SCOPE_ACCOUNT, .section = "account test" };
	struct authz_subject who = { .user = user, .dialect_uid = 1003, .may_change_password = true };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, problems);

	ck_assert_ptr_nonnull(p);
	return p;
}

static void
check(const struct decision *d)
{
	struct authz_problems problems = { 0 };
	struct authz_policy *p = compiled(d->dialect, d->text, d->user, &problems);
	struct authz_object o = { .path = d->path, .kind = d->kind };
	struct authz_verdict v;
	char why[512];
	bool allow = authz_decide(p, (enum authz_op)authz_command(d->command), &o, &v);

	authz_reason(p, &o, &v, why, sizeof(why));
	ck_assert_msg(problems.errors == 0, "%s: %s", d->text, problems.list[0].text);
	ck_assert_msg(allow == d->allow, "%s \"%s\": %s %s %s: %s", d->dialect, d->text, d->user, d->command, d->path, why);
	authz_problems_clear(&problems);
	authz_free(p);
}

#define ALLOW true
#define DENY false
#define PY "pyftpdlib"
#define SFTP "sftpplus"

static const struct decision decisions[] = {
	{ PY, "elr\noverride a w\noverride /b/ elr recursive", "u", "STOR", "/a/new", AUTHZ_MISSING, ALLOW },
	{ PY, "elr\noverride a w", "u", "RETR", "/a/f", AUTHZ_FILE, DENY },
	{ PY, "elr\noverride a w", "u", "LIST", "/a", AUTHZ_FOLDER, DENY },
	{ PY, "elr\noverride a w", "u", "LIST", "/a/sub", AUTHZ_FOLDER, ALLOW },
	{ PY, "elr\noverride a w", "u", "STOR", "/a/sub/f", AUTHZ_MISSING, DENY },
	{ PY, "elr\noverride my folder elradfmwMT recursive", "u", "DELE", "/my folder/x", AUTHZ_FILE, ALLOW },
	{ PY, "elrw\nhook deny-prefix /priv", "u", "RETR", "/private", AUTHZ_FILE, DENY },
	{ PY, "elrw\nhook deny-prefix /priv", "u", "RETR", "/priv", AUTHZ_FILE, DENY },
	{ PY, "elrw\nhook deny-prefix /priv", "u", "RETR", "/pri", AUTHZ_FILE, ALLOW },
	{ PY, "-", "u", "SITE PASSWD", "/", AUTHZ_FOLDER, ALLOW },
	{ PY, "elradfmwMT", "u", "SITE SYMLINK", "/l", AUTHZ_MISSING, DENY },
	{ PY, "M", "u", "SITE SETFACL", "/f", AUTHZ_FILE, ALLOW },
	{ SFTP, "allow-read\n*[*]x, allow-write", "u", "STOR", "/a*x", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\n*[*]x, allow-write", "u", "STOR", "/abx", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-read\n/INBOX/*, allow-write", "u", "STOR", "/inbox/x", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\n/stra\xc3\x9f""e/\xc3\x84*, allow-write", "u", "STOR", "/Stra\xc3\x9f""e/\xc3\xa4rger", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\n/a?c, allow-write", "u", "STOR", "/a\xc3\xa4""c", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\n/[!a-c]*, allow-write", "u", "STOR", "/Bx", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-read\n/u/${USER}/*, allow-write", "*", "STOR", "/u/bob/x", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-read\n/u/${USER}/*, allow-write", "*", "STOR", "/u/*/x", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\nm/^\\/u\\/${USER}\\//, allow-write", "a.b", "STOR", "/u/axb/x", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-read\nm/^\\/u\\/${USER}\\//, allow-write", "a.b", "STOR", "/u/a.b/x", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\nm/^/in/[a-z]{2,3}$/, allow-write", "u", "STOR", "/in/abc", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\nm/a,b/, allow-write", "u", "STOR", "/xa,by", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-read\nm/\\.PDF$/, allow-write", "u", "STOR", "/x.pdf", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-read\ne/\\.pdf$/i, allow-write", "u", "STOR", "/x.PDF", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-write\n!*.tmp|*.part, deny-full-control", "u", "STOR", "/x.part", AUTHZ_MISSING, ALLOW },
	{ SFTP, "allow-write\n!*.tmp|*.part, deny-full-control", "u", "STOR", "/x.txt", AUTHZ_MISSING, DENY },
	{ SFTP, "allow-full-control, deny-read", "u", "CWD", "/", AUTHZ_FOLDER, ALLOW },
	{ SFTP, "read, list", "u", "RETR", "/x", AUTHZ_FILE, ALLOW },
	{ SFTP, "allow-traverse", "u", "MLST", "/d", AUTHZ_FOLDER, ALLOW },
	{ SFTP, "allow-traverse", "u", "MLST", "/f", AUTHZ_FILE, DENY },
	{ SFTP, "allow-list\n/${USER}x, allow-read\n*, deny-full-control", "ab", "RETR", "/abx", AUTHZ_FILE, ALLOW },
	{ "ups", "-* +cC", "u", "STOR", "/n", AUTHZ_MISSING, ALLOW },
	{ "ups", "-mdD", "u", "APPE", "/f", AUTHZ_FILE, ALLOW },
	{ "ups", "-*", "u", "SITE USERADD", "/", AUTHZ_FOLDER, DENY },
	{ "ups", "u-restrict-mode=unrestricted,-r,+m", "u", "RETR", "/f", AUTHZ_FILE, DENY },
	{ "ups", "u-restricted-groups=none\nu-restrict-mode=-r", "u", "RETR", "/f", AUTHZ_FILE, ALLOW },
	{ "ups", "u-restricted-groups=all\nu-restrict-mode=-r\nu-restricted-groups=all\nu-restrict-mode=-*", "u", "LIST", "/", AUTHZ_FOLDER, ALLOW },
	{ "kernel", "", "u", "SITE CHOWN", "/f", AUTHZ_FILE, ALLOW },
};

START_TEST(decides)
{
	check(&decisions[_i]);
}
END_TEST

/* ---------------------------------------------------------------- mistakes */

static const struct mistake {
	const char *dialect, *text;
	unsigned line, column;
	const char *word;		/* in the message or in what was expected */
} mistakes[] = {
	{ PY, "elx", 10, 3, "\"x\"" },
	{ PY, "", 10, 0, "base letters" },
	{ PY, "elr\noverride a ely", 11, 14, "\"y\"" },
	{ PY, "elr\noverride / elr", 11, 10, "home folder itself" },
	{ PY, "elr\noverride ../x elr", 11, 10, "outside" },
	{ PY, "elr\noverride a", 11, 0, "lacks" },
	{ PY, "elr\nhook allow /x", 11, 0, "hook" },
	{ PY, "elr extra", 10, 5, "more than letters" },
	{ SFTP, "allow-reed", 10, 1, "allow-reed" },
	{ SFTP, "/inbox/*, allow-read", 10, 1, "first line" },
	{ SFTP, "allow-read\n/x/*", 11, 1, "without a permission" },
	{ SFTP, "allow-read\n/x/*,", 11, 1, "without a permission" },
	{ SFTP, "allow-read\nm/abc/x, allow-write", 11, 7, "modifier" },
	{ SFTP, "allow-read\nm/abc, allow-write", 11, 1, "not closed" },
	{ SFTP, "allow-read\nm/a(b/, allow-write", 11, 0, "does not compile" },
	{ SFTP, "allow-read\nx/abc/, allow-write", 11, 1, "method" },
	{ SFTP, "allow-read\nt/{year.digits}*/, allow-write", 11, 3, "part of a date" },
	{ SFTP, "allow-read\nt/{year.decimal}*/-1h, allow-write", 11, 19, "offset" },
	{ SFTP, "allow-read\n*.a||*.b, allow-write", 11, 5, "empty" },
	{ SFTP, "allow-read\ng//, allow-write", 11, 0, "" },
	{ SFTP, "allow-read\n/x, allow-write, fly", 11, 18, "fly" },
	{ "ups", "rCL", 10, 1, "+ or -" },
	{ "ups", "-W\n-* rCL", 11, 4, "+ or -" },
	{ "ups", "- r", 10, 1, "no letter" },
	{ "ups", "-rX", 10, 3, "unknown letter" },
	{ "ups", "-r,+n", 10, 3, "unknown letter" },
	{ "ups", "u-restrict-mode=homedir,root=/x", 10, 25, "second place" },
	{ "ups", "u-restrict-mode=house", 10, 17, "unknown item" },
	{ "ups", "begin-new-user-class X\nu-restricted-groups=a", 0, 0, "not closed" },
	{ "ups", "end-user-class", 10, 1, "no class" },
	{ "ftpcluster", "1003 lr", 10, 1, "not a rule" },
	{ "kernel", "rw", 10, 1, "no rules" },
	{ "proftpd", "x", 10, 0, "unknown permission language" },
};

START_TEST(refuses)
{
	const struct mistake *m = &mistakes[_i];
	struct authz_problems problems = { 0 };
	struct authz_policy *p = compiled(m->dialect, m->text, "u", &problems);
	struct authz_object o = { .path = "/f", .kind = AUTHZ_FILE };
	struct authz_verdict v;
	const struct authz_problem *first = problems.list;

	ck_assert_msg(problems.errors >= 1, "accepted: %s %s", m->dialect, m->text);
	if (m->line)
		ck_assert_msg(first->line == m->line, "%s: line %u: %s", m->text, first->line, first->text);
	if (m->column)
		ck_assert_msg(first->column == m->column, "%s: column %u: %s", m->text, first->column, first->text);
	ck_assert_str_eq(first->file, "test.conf");
	ck_assert_msg(strstr(first->text, m->word) || strstr(first->expected, m->word), "%s: %s", m->text, first->text);
	for (int op = 0; op < AUTHZ_OP_COUNT; op++)
		ck_assert_msg(!authz_decide(p, op, &o, &v), "a broken layer allows %s", authz_op_name(op));
	authz_problems_clear(&problems);
	authz_free(p);
}
END_TEST

START_TEST(reports_all_mistakes)
{
	struct authz_problems problems = { 0 };
	struct authz_policy *p = compiled(SFTP, "allow-red, allow-wite\n/x\nm/(/, allow-read\n*|, allow-read", "u", &problems);

	ck_assert_uint_eq(problems.errors, 5);
	authz_problems_clear(&problems);
	authz_free(p);
}
END_TEST

/* ------------------------------------------------------------- round trips */

START_TEST(pyftpdlib_letters_and_back)
{
	char letters[16], back[32];

	for (uint32_t set = 0; set < 1u << 10; set++) {
		struct text t;
		uint32_t rights, again;
		const char *bad;

		text_begin(&t, letters, sizeof(letters));
		for (size_t i = 0; i < pyftpdlib_letter_count; i++)
			if (set & 1u << i)
				text_add(&t, "%c", pyftpdlib_letters[i].letter);
		ck_assert(pyftpdlib_parse_letters((struct span){ letters, t.len }, &rights, &bad));
		ck_assert(authz_in_language(PY, rights, back, sizeof(back)));
		ck_assert_str_eq(back, set ? letters : "-");
		ck_assert(pyftpdlib_parse_letters((struct span){ back, strlen(back) }, &again, &bad));
		ck_assert_uint_eq(again, rights);
	}
}
END_TEST

START_TEST(ups_states_and_back)
{
	for (uint32_t set = 0; set <= UPS_EVERYTHING; set++) {
		char string[64];
		uint32_t state = 0x155, want = ups_rights(set, 0), touched;
		const char *at;

		/* A state whose rights another state gives as well prints as some state with those rights. */
		ck_assert(authz_in_language("ups", want, string, sizeof(string)));
		ck_assert_ptr_null(ups_apply((struct span){ string, strlen(string) }, &state, &touched, &at));
		ck_assert_uint_eq(ups_rights(state, 0), want);
		ck_assert_uint_eq(touched, UPS_EVERYTHING);
	}
}
END_TEST

START_TEST(cluster_letters_and_back)
{
	for (uint32_t set = 0; set < 1u << 8; set++) {
		char letters[16], line[32];
		struct cluster_file f;

		ck_assert(authz_in_language("ftpcluster", cluster_rights(set, 0), letters, sizeof(letters)));
		snprintf(line, sizeof(line), "1003\t%s\n", letters);
		cluster_parse(line, strlen(line), 1003, &f, NULL, NULL);
		ck_assert(!f.malformed && f.own.present && !f.own.bad);
		ck_assert_uint_eq(f.own.letters, set);
	}
}
END_TEST

START_TEST(never_rounds_up)
{
	static const char *const dialects[] = { PY, SFTP, "ups" };
	unsigned seed = 7;

	for (int i = 0; i < 3000; i++) {
		uint32_t mask = ((uint32_t)rand_r(&seed) << 12 ^ (uint32_t)rand_r(&seed)) & AUTHZ_ALL_FILES;

		for (size_t k = 0; k < 3; k++) {
			char text[256];
			struct authz_policy *p;
			struct authz_object o = { .path = "/f", .kind = AUTHZ_FILE };
			bool exact = authz_in_language(dialects[k], mask, text, sizeof(text));
			uint32_t got;

			p = compiled(dialects[k], text, "u", NULL);
			got = authz_rights(p, &o) & AUTHZ_ALL_FILES;
			ck_assert_msg((got & ~mask) == 0, "%s %s gives more than asked", dialects[k], text);
			ck_assert_msg((got == mask) == exact, "%s %s", dialects[k], text);
			authz_free(p);
		}
	}
}
END_TEST

static const struct { const char *ups, *canonical; } identities[] = {
	{ "-rM -Luo", "+* -rLMuo" }, { "+* -Luo", "+* -Luo" }, { "-* +rmacdnCMDtl", "+* -Luo" },
	{ "-W +n", "-* +rnLCu" }, { "-* +rCL", "-* +rLC" }, { "", "+*" }, { "-*", "-*" }, { "-R", "+* -r" }, { "-W", "-* +rLCu" },
};

START_TEST(ups_prints_canonically)
{
	uint32_t state = UPS_EVERYTHING;
	char out[64];
	const char *at;
	struct text t;

	text_begin(&t, out, sizeof(out));
	ck_assert_ptr_null(ups_apply((struct span){ identities[_i].ups, strlen(identities[_i].ups) }, &state, NULL, &at));
	ups_print(state, &t);
	ck_assert_str_eq(out, identities[_i].canonical);
}
END_TEST

/* ----------------------------------------------------------- .permissions */

START_TEST(permissions_file)
{
	static const char text[] = "# rules\n\n  1003  lr # look\n1003 lrw\n* l\n1004 lrx\n1004 l\r\n";
	static const char broken[] = "1003 lr\nbob lr\n";
	struct cluster_file f;

	cluster_parse(text, sizeof(text) - 1, 1003, &f, NULL, NULL);
	ck_assert(!f.malformed && f.own.present && f.everybody.present);
	ck_assert_uint_eq(f.own.letters, 7);
	ck_assert_uint_eq(f.own.line, 4);
	ck_assert_uint_eq(f.everybody.letters, 1);
	cluster_parse(text, sizeof(text) - 1, 1004, &f, NULL, NULL);
	ck_assert(f.own.bad);
	cluster_parse(text, sizeof(text) - 1, AUTHZ_NOBODY, &f, NULL, NULL);
	ck_assert(!f.own.present && f.everybody.present);
	cluster_parse(broken, sizeof(broken) - 1, 1003, &f, NULL, NULL);
	ck_assert(f.malformed);
	ck_assert_uint_eq(f.malformed_line, 2);
	cluster_parse("1003 lr\0", 8, 1003, &f, NULL, NULL);
	ck_assert(f.malformed);
	cluster_parse("4294967295 lr\n", 14, 1003, &f, NULL, NULL);
	ck_assert(f.malformed);
}
END_TEST

/* A tree of one folder, /d, whose control file changes. */
struct one_file {
	const char *text;
	uint64_t version;
	int error, reads;
	uint32_t owner;
};

static int
one_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	struct one_file *f = context;

	ck_assert_str_eq(name, ".permissions");
	if (strcmp(folder, "/d") != 0)
		return -ENOENT;
	if (f->error)
		return f->error;
	found->ctime_s = (int64_t)f->version;
	if (known && known->ctime_s == found->ctime_s)
		return 1;
	f->reads++;
	*len = strlen(f->text);
	memcpy(text, f->text, *len);
	return 0;
}

static int
one_owner(void *context, const char *path, uint32_t *owner)
{
	*owner = strcmp(path, "/d/mine") == 0 ? 1003 : ((struct one_file *)context)->owner;
	return 0;
}

static bool
can(struct authz_policy *p, enum authz_op op, const char *path, enum authz_kind kind)
{
	struct authz_object o = { .path = path, .kind = kind };
	struct authz_verdict v;

	return authz_decide(p, op, &o, &v);
}

START_TEST(edits_act_at_once)
{
	struct one_file f = { "1003 l\n", 1, 0, 0, AUTHZ_NOBODY };
	struct authz_tree tree = { &f, one_control, one_owner, NULL, NULL };
	struct authz_source source = { .dialect = "ftpcluster", .text = "" };
	struct authz_subject who = { .user = "other", .dialect_uid = 1003 };
	struct authz_policy *p = authz_compile(&source, 1, &who, &tree, NULL);

	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert_int_eq(f.reads, 1);
	f = (struct one_file){ "1003 lr\n", 2, 0, 0, AUTHZ_NOBODY };
	ck_assert(can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert(can(p, AUTHZ_OP_LIST, "/d", AUTHZ_FOLDER));
	f.error = -EACCES;
	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert(!can(p, AUTHZ_OP_LIST, "/d/sub", AUTHZ_FOLDER));
	ck_assert(can(p, AUTHZ_OP_RETR, "/d/mine", AUTHZ_FILE));
	/*
	 * A directory is judged on itself, and its owner has what those of directories have; a file is an entry of
	 * one.
	 */
	ck_assert(can(p, AUTHZ_OP_CWD, "/d/mine", AUTHZ_FOLDER));
	ck_assert(!can(p, AUTHZ_OP_CWD, "/d/mine", AUTHZ_FILE));
	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/.permissions", AUTHZ_FILE));
	f.error = 0;
	ck_assert(can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert(!can(p, AUTHZ_OP_DELE, "/d/f", AUTHZ_FILE));
	f.owner = 1003;
	ck_assert(can(p, AUTHZ_OP_DELE, "/d/f", AUTHZ_FILE));
	authz_free(p);
}
END_TEST

/*
 * Whoever wonders why nobody gets anything finds the folder, the line and the reason in the log; read once, told
 * once.
 */
START_TEST(mistakes_in_the_tree_are_logged)
{
	struct one_file f = { .text = "1003 lr\nbob lr\n", .owner = 7 };
	struct authz_tree tree = { &f, one_control, one_owner, NULL, NULL };
	struct authz_source source = { .dialect = "ftpcluster", .text = "" };
	struct authz_subject who = { .user = "u", .dialect_uid = 1003 };
	struct authz_policy *p = authz_compile(&source, 1, &who, &tree, NULL);
	char log[4096];

	authz_tests_keep_log(log, sizeof log);
	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert_ptr_nonnull(strstr(log, "warning event=permissions-file-wrong path=/d line=2 reason="));
	ck_assert_ptr_nonnull(strstr(log, "bob"));
	ck_assert_ptr_nonnull(strstr(log, "effect=\"nobody gets anything from this file\"\n"));
	f.text = "1003 lrx\n";
	f.version++;
	authz_tests_keep_log(log, sizeof log);
	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert_ptr_nonnull(strstr(log, "event=permissions-file-wrong path=/d line=1 "));
	ck_assert_ptr_nonnull(strstr(log, "effect=\"this subject gets nothing from this file\"\n"));
	f.error = -EACCES;
	f.version++;
	authz_tests_keep_log(log, sizeof log);
	ck_assert(!can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert_ptr_nonnull(strstr(log, "warning event=permissions-file-unreadable about=/d "));
	f = (struct one_file){ .text = "1003 lr\n", .version = f.version + 1, .owner = 7 };
	authz_tests_keep_log(log, sizeof log);
	ck_assert(can(p, AUTHZ_OP_RETR, "/d/f", AUTHZ_FILE));
	ck_assert_str_eq(log, "");
	authz_tests_keep_log(NULL, 0);
	authz_free(p);
}
END_TEST

START_TEST(administrator_by_number)
{
	struct authz_source source = { .dialect = "ftpcluster", .text = "" };
	struct authz_subject who = { .user = "nobody", .dialect_uid = 0, .may_change_password = true };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);

	ck_assert(can(p, AUTHZ_OP_STOR, "/d/.permissions", AUTHZ_FILE));
	ck_assert_uint_eq(authz_session_rights(p), AUTHZ_UMASK | AUTHZ_PASSWD | AUTHZ_USERADM);
	authz_free(p);
	who.choices = AUTHZ_CLUSTER_NO_ADMIN;
	p = authz_compile(&source, 1, &who, NULL, NULL);
	ck_assert(!can(p, AUTHZ_OP_STOR, "/d/.permissions", AUTHZ_FILE));
	ck_assert_uint_eq(authz_session_rights(p), AUTHZ_PASSWD);
	authz_free(p);
}
END_TEST

Suite *
authz_languages_suite(void)
{
	Suite *s = suite_create("authz/languages");
	TCase *t = tcase_create("languages");

	tcase_add_loop_test(t, decides, 0, sizeof(decisions) / sizeof(decisions[0]));
	tcase_add_loop_test(t, refuses, 0, sizeof(mistakes) / sizeof(mistakes[0]));
	tcase_add_test(t, reports_all_mistakes);
	tcase_add_test(t, pyftpdlib_letters_and_back);
	tcase_add_test(t, ups_states_and_back);
	tcase_add_test(t, cluster_letters_and_back);
	tcase_add_test(t, never_rounds_up);
	tcase_add_loop_test(t, ups_prints_canonically, 0, sizeof(identities) / sizeof(identities[0]));
	tcase_add_test(t, permissions_file);
	tcase_add_test(t, edits_act_at_once);
	tcase_add_test(t, mistakes_in_the_tree_are_logged);
	tcase_add_test(t, administrator_by_number);
	suite_add_tcase(s, t);
	return s;
}
