/* Lint finds what it claims to find, at the line where it is, and is silent about good rules. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/lint.h"
#include "authz/lint_rules.h"
#include "tests/unit/authz.h"

static struct {
	unsigned count[LINT_ID_COUNT];
	unsigned line[LINT_ID_COUNT];
	unsigned total;
} got;

static void
collect(void *context, const struct lint_finding *f)
{
	(void)context;
	ck_assert_uint_gt(strlen(f->text), 0);
	got.count[f->id]++;
	got.line[f->id] = f->line;
	got.total++;
}

static struct authz_policy *
look(const char *user, const char *dialect, const char *text, const char *second, const char *second_text)
{
	struct authz_source sources[2] = {
		{ .dialect = dialect, .text = text, .file = "f", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT },
		{ .dialect = second, .text = second_text, .file = "g", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT },
	};
	struct authz_subject who = { .user = user };
	struct authz_policy *p = authz_compile(sources, second ? 2 : 1, &who, NULL, NULL);

	memset(&got, 0, sizeof(got));
	lint(p, collect, NULL);
	return p;
}

static const struct sample {
	const char *dialect, *text;
	int id;				/* -1: nothing is to be found */
	unsigned line;
} samples[] = {
	{ "sftpplus", "allow-read\n/in/, allow-write", LINT_ID_NEVER_MATCHES, 2 },
	{ "sftpplus", "allow-read\nin/*, allow-write", LINT_ID_NEVER_MATCHES, 2 },
	{ "sftpplus", "allow-read\n/in//x*, allow-write", LINT_ID_NEVER_MATCHES, 2 },
	{ "sftpplus", "allow-read\nm/^in/, allow-write", LINT_ID_NEVER_MATCHES, 2 },
	{ "sftpplus", "allow-read\n/in*, allow-write\n/in/x, allow-read", LINT_ID_SHADOWED, 3 },
	{ "sftpplus", "allow-list\n/inbox/*, allow-write\n*.exe, deny-full-control", LINT_ID_HALF_SHADOWED, 3 },
	{ "sftpplus", "allow-list\n*.txt, allow-read\n/secret/*, deny-full-control", LINT_ID_HALF_SHADOWED, 3 },
	{ "sftpplus", "allow-read\n*.csv, allow-write\n/in/*.csv, allow-read", LINT_ID_SHADOWED, 3 },
	{ "sftpplus", "allow-read\n*, allow-write\nm/x/, allow-read\n/x?, allow-read", LINT_ID_SHADOWED, 4 },
	{ "sftpplus", "allow-read\n/IN/x, allow-write\n/in/X, allow-read", LINT_ID_SHADOWED, 3 },
	{ "sftpplus", "allow-read\n/in/*, allow-list", LINT_ID_FOLDER_ITSELF, 2 },
	{ "sftpplus", "allow-read\nm/(a*)*b$/, allow-write", LINT_ID_BACKTRACKS, 2 },
	{ "sftpplus", "allow-read\nm/(x|xx)+y$/, allow-write", LINT_ID_BACKTRACKS, 2 },
	{ "sftpplus", "allow-read\nm/a\\Kb/, allow-write", LINT_ID_FOREIGN_SYNTAX, 2 },
	{ "sftpplus", "allow-read\nm/.*\\.csv/, allow-write", LINT_ID_UNANCHORED, 2 },
	{ "sftpplus", "allow-read\n/in, allow-list\n/in/*, allow-list\n*.csv, allow-write\nm/\\.pdf$/i, allow-write", -1, 0 },
	{ "sftpplus", "allow-list\n*.csv, allow-write\n/in/*, allow-read\n! *.tmp|*.part, allow-rename", LINT_ID_RENAME_ABOVE, 3 },
	{ "sftpplus", "allow-list\n*.csv, allow-write\n/in/*, allow-read\n! *.tmp|*.part, allow-delete", -1, 0 },
	/* Renames to where something closed would be opened. */
	{ "sftpplus", "deny-full-control\n!/top/secret*, allow-full-control", LINT_ID_RENAME_INTO, 2 },
	{ "sftpplus", "deny-full-control\n!/top/a|/top/secret*, allow-full-control", LINT_ID_RENAME_INTO, 2 },
	{ "sftpplus", "deny-full-control\n!*/top/secret*, allow-full-control", LINT_ID_RENAME_INTO, 2 },
	{ "sftpplus", "deny-full-control\ne/^\\/top\\/secret/, allow-full-control", LINT_ID_RENAME_INTO, 2 },
	{ "sftpplus", "deny-full-control\ne/^(\\/pub\\/x$|\\/top\\/secret)/i, allow-full-control", LINT_ID_RENAME_INTO, 2 },
	{ "sftpplus", "deny-full-control\n!/top/${USER}/x*, allow-full-control", LINT_ID_RENAME_INTO, 2 },
	{ "sftpplus", "deny-full-control\n/pub*, allow-full-control\n/top, allow-list, allow-rename", LINT_ID_RENAME_INTO, 3 },
	{ "sftpplus", "deny-full-control\nm/^\\/pub/, allow-full-control\n/top, allow-list, allow-rename",
	    LINT_ID_RENAME_INTO, 3 },
	{ "sftpplus", "allow-list\n/pub*, allow-full-control\n/top, allow-list, allow-rename", LINT_ID_RENAME_INTO, 3 },
	{ "sftpplus", "deny-full-control\n/in/secret*, deny-full-control\n/in*, allow-full-control\n/out*, allow-full-control",
	    LINT_ID_RENAME_ABOVE, 2 },
	{ "sftpplus", "deny-full-control\n/in*, allow-full-control\n/out*, allow-full-control", -1, 0 },
	{ "sftpplus", "deny-full-control\n!/top*, allow-full-control", -1, 0 },
	{ "sftpplus", "deny-full-control\n/pub*, allow-full-control\n/top, allow-list", -1, 0 },
	{ "pyftpdlib", "el\noverride top elf\noverride pub elradfmwMT recursive", LINT_ID_RENAME_INTO, 2 },
	{ "pyftpdlib", "elr\noverride a elradfmwMT recursive\noverride a/b elr", LINT_ID_SHADOWED, 3 },
	{ "pyftpdlib", "elr\noverride a rel", LINT_ID_NO_EFFECT, 2 },
	{ "pyftpdlib", "elr\nhook deny-prefix restricted", LINT_ID_NEVER_MATCHES, 2 },
	{ "pyftpdlib", "elr\nhook deny-prefix /restricted/", LINT_ID_FOLDER_ITSELF, 2 },
	{ "pyftpdlib", "elr\noverride a/b elr recursive\noverride a elradfmwMT\noverride b w", LINT_ID_NO_EFFECT, 2 },
	{ "pyftpdlib", "elr\noverride a/b w recursive\noverride a elradfmwMT\noverride b w", -1, 0 },
	{ "ups", "-W\n-d", LINT_ID_NO_EFFECT, 2 },
	{ "ups", "u-restricted-groups=all\nu-restrict-mode=-r\nu-restricted-groups=x\nu-restrict-mode=-m", LINT_ID_SHADOWED, 3 },
	{ "ups", "-W +n", -1, 0 },
};

START_TEST(finds)
{
	const struct sample *s = &samples[_i];
	struct authz_policy *p = look("u", s->dialect, s->text, NULL, NULL);

	if (s->id < 0)
		ck_assert_msg(got.total == 0, "%s: %u findings", s->text, got.total);
	else {
		ck_assert_msg(got.count[s->id] >= 1, "%s: no %s", s->text, lint_rows[s->id].id);
		ck_assert_uint_eq(got.line[s->id], s->line);
	}
	authz_free(p);
}
END_TEST

START_TEST(compares_layers)
{
	struct authz_policy *p = look("u", "ups", "-W", "sftpplus", "allow-read\n/in/*, allow-write");

	ck_assert_uint_eq(got.count[LINT_ID_CONTRADICTS], 1);
	ck_assert_uint_eq(got.line[LINT_ID_CONTRADICTS], 2);
	authz_free(p);
	p = look("u", "kernel", "", "sftpplus", "allow-read\n/in/*, allow-write");
	ck_assert_uint_eq(got.count[LINT_ID_CONTRADICTS], 0);
	authz_free(p);
}
END_TEST

START_TEST(watches_anonymous)
{
	struct authz_policy *p = look("anonymous", "ups", "-r", NULL, NULL);

	ck_assert_uint_eq(got.count[LINT_ID_ANONYMOUS_WRITES], 1);
	authz_free(p);
	p = look("anonymous", "pyftpdlib", "elr", NULL, NULL);
	ck_assert_uint_eq(got.count[LINT_ID_ANONYMOUS_WRITES], 0);
	authz_free(p);
}
END_TEST

static char folders[256];

static void
note_folder(void *context, const struct lint_folder *f)
{
	size_t n = strlen(folders);

	(void)context;
	snprintf(folders + n, sizeof(folders) - n, "%s%s%u ", f->path, f->must_exist ? "!" : ":", f->line);
}

START_TEST(names_folders)
{
	struct authz_policy *p = look("u", "pyftpdlib", "elr\noverride Up/x w", "sftpplus",
	    "allow-read\n/In/*, allow-read\n/a/b*, allow-read\n/q/${USER}/*, allow-read\n*.x, allow-read\n/lit, allow-read\n"
	    "!/out/x/*, allow-list");
	const char *file;
	unsigned line;

	folders[0] = '\0';
	lint_folders(p, note_folder, NULL);
	ck_assert_str_eq(folders, "/Up/x!2 /In:2 /a:3 /q:4 /lit:6 /out/x:7 ");
	ck_assert(lint_user_in_glob(p, &file, &line));
	ck_assert_uint_eq(line, 4);
	authz_free(p);
}
END_TEST

/* Rules without end cost no time without end, and lint says that it gave up. */
START_TEST(says_which_renames_it_did_not_try)
{
	char *text = malloc(400 * 64);
	struct authz_policy *p;
	size_t n;

	ck_assert_ptr_nonnull(text);
	n = (size_t)snprintf(text, 400 * 64, "deny-full-control");
	for (int i = 0; i < 400; i++)
		n += (size_t)snprintf(text + n, 400 * 64 - n, "\n/in%03d*, allow-full-control", i);
	p = look("u", "sftpplus", text, NULL, NULL);
	ck_assert_uint_eq(got.count[LINT_ID_RENAME_UNTRIED], 1);
	authz_free(p);
	p = look("u", "sftpplus", "deny-full-control\n/in*, allow-full-control\n/out*, allow-full-control", NULL, NULL);
	ck_assert_uint_eq(got.count[LINT_ID_RENAME_UNTRIED], 0);
	authz_free(p);
	free(text);
}
END_TEST

static const struct { const char *pattern; bool bad; } repeats[] = {
	{ "^/in/[a-z]+\\.csv$", false }, { "\\d+-.*", false }, { "(ab)+", false }, { "(a+)+$", true }, { "(a|b)*c", true }, { "([a+])+", false },
	{ "((a)+)+", true }, { "(a{2,})*x", true },
};

START_TEST(judges_repeats)
{
	ck_assert_msg(regex_backtracks(repeats[_i].pattern, strlen(repeats[_i].pattern), false) == repeats[_i].bad, "%s",
	    repeats[_i].pattern);
}
END_TEST

START_TEST(every_finding_has_a_remedy)
{
	const struct lint_row *r = &lint_rows[_i];

	ck_assert_uint_gt(strlen(r->text), 10);
	ck_assert_int_eq(r->remedy[strlen(r->remedy) - 1], '.');
	for (int i = 0; i < _i; i++)
		ck_assert_str_ne(lint_rows[i].id, r->id);
}
END_TEST

Suite *
authz_lint_suite(void)
{
	Suite *s = suite_create("authz/lint");
	TCase *t = tcase_create("lint");

	tcase_add_loop_test(t, finds, 0, sizeof(samples) / sizeof(samples[0]));
	tcase_add_test(t, compares_layers);
	tcase_add_test(t, watches_anonymous);
	tcase_add_test(t, names_folders);
	tcase_add_test(t, says_which_renames_it_did_not_try);
	tcase_add_loop_test(t, judges_repeats, 0, sizeof(repeats) / sizeof(repeats[0]));
	tcase_add_loop_test(t, every_finding_has_a_remedy, 0, LINT_ID_COUNT);
	suite_add_tcase(s, t);
	return s;
}
