/* Renaming a folder above a rule: what is refused, by which rule, and what is not. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "authz/authz.h"
#include "authz/lint.h"
#include "tests/unit/authz.h"

#define PY	"pyftpdlib"
#define SP	"sftpplus"
#define FULL	"elradfmwMT\n"
#define ALLOW	"allow-full-control\n"
#define DENY	"deny-full-control\n"

static char long_name[4096];	/* 4,095 bytes */

/* language, rules, prefix, from, to; what the reason cites (NULL: it may be moved) */
static const struct {
	const char *dialect, *rules, *prefix, *from, *to, *cites;
} rows[] = {
	{ PY, FULL "override /top/secret - recursive", NULL, "/top", "/zop", "override /top/secret" },
	{ PY, FULL "override /top/a/secret -", NULL, "/top", "/zop", "override /top/a/secret" },
	{ PY, FULL "override /top/a/secret -", NULL, "/top/a", "/top/b", "override /top/a/secret" },
	{ PY, FULL "override /top/secret -", NULL, "/topper", "/zop", NULL },
	{ PY, FULL "override /top/secret -", NULL, "/other", "/top2", NULL },
	{ PY, FULL "override /top/secret elrf recursive", NULL, "/top/secret", "/zop", NULL },
	{ PY, FULL "override /a/s -\noverride /b/s -", NULL, "/a", "/b", NULL },
	{ PY, FULL "override /a/s -\noverride /b/s l", NULL, "/a", "/b", "override /a/s" },
	{ PY, FULL "override /a elf recursive\noverride /a/s -", NULL, "/a", "/b", NULL },	/* the second is never asked */
	{ PY, FULL "hook deny-prefix /top/x", NULL, "/top", "/zop", "hook deny-prefix" },
	{ PY, FULL "hook deny-prefix /top/", NULL, "/top", "/zop", "hook deny-prefix" },
	{ PY, FULL "hook deny-prefix /to", NULL, "/a", "/b", NULL },
	{ PY, FULL "hook deny-prefix /top/x\nhook deny-prefix /zop/", NULL, "/top", "/zop", NULL },
	{ SP, ALLOW "/top/secret*, deny-full-control", NULL, "/top", "/zop", "rule 1" },
	{ SP, ALLOW "/top/secret*, deny-full-control", NULL, "/TOP", "/zop", "rule 1" },
	{ SP, ALLOW "/top/secret*, deny-full-control", NULL, "/top/se", "/zop", NULL },
	{ SP, ALLOW "/top/secret*, deny-full-control", NULL, "/tops", "/zop", NULL },
	{ SP, ALLOW "/top/*, allow-read", NULL, "/top", "/zop", "rule 1" },
	{ SP, ALLOW "/inbox/*, allow-full-control", NULL, "/inbox/a", "/inbox/b", NULL },
	{ SP, ALLOW "/inbox/*, allow-full-control", NULL, "/inbox/a", "/done/a", NULL },	/* it decides about /inbox/a itself */
	{ SP, ALLOW "/inbox/a/*, allow-read\n/inbox/*, allow-full-control", NULL, "/inbox/a", "/inbox/b", "rule 1" },
	{ SP, ALLOW "/inbox/*, allow-full-control\n/inbox/a/*, allow-read", NULL, "/inbox/a", "/inbox/b", NULL },
	{ SP, ALLOW "*.pdf, allow-read", NULL, "/a", "/b", NULL },
	{ SP, ALLOW "*/secret/*, deny-full-control", NULL, "/a", "/b", NULL },
	{ SP, ALLOW "*/top/secret*, deny-full-control", NULL, "/x/top", "/x/zop", "rule 1" },
	{ SP, ALLOW "*/top/secret*, deny-full-control", NULL, "/x", "/y", NULL },
	{ SP, ALLOW "/t[o]p/s?cret|/q*, deny-full-control", NULL, "/top", "/zop", "rule 1" },
	{ SP, ALLOW "/?op/s*, deny-full-control", NULL, "/top", "/zop", NULL },
	{ SP, ALLOW "/top/s*|/zop/*, deny-full-control", NULL, "/top", "/zop", NULL },	/* all of /zop is the rule's */
	{ SP, ALLOW "!/top*, deny-full-control", NULL, "/a", "/b", NULL },
	{ SP, ALLOW "!/pub/*, allow-rename", NULL, "/top", "/pub/top", NULL },	/* it decides about /top itself */
	{ SP, ALLOW "!/pub/*|/t?p, deny-write", NULL, "/top", "/pub/top", "rule 1" },
	{ SP, ALLOW "m/^\\/top\\/secret/, deny-full-control", NULL, "/top", "/zop", "rule 1" },
	{ SP, ALLOW "m/^\\/top\\/secret/, deny-full-control", NULL, "/a", "/b", NULL },
	{ SP, ALLOW "m/^\\/(top|zop)\\/secret/, deny-full-control", NULL, "/top", "/zop", NULL },
	{ SP, ALLOW "m/^\\/(top\\/secret|zop\\/other)/, deny-full-control", NULL, "/top", "/zop", "rule 1" },
	{ SP, ALLOW "m/^\\/(top|zop)\\/[s]ecret/, deny-full-control", NULL, "/top", "/zop", "rule 1" },	/* does it stay? */
	{ SP, ALLOW "m/\\.pdf$/, allow-read", NULL, "/a", "/b", NULL },
	{ SP, ALLOW "m/^.*\\.exe$/i, deny-full-control", NULL, "/a", "/b", NULL },
	{ SP, ALLOW "m/secret/, deny-full-control", NULL, "/top", "/zop", NULL },
	{ SP, ALLOW "m/^\\/users\\/[^\\/]+\\/private/, deny-full-control", NULL, "/users/a", "/users/b", NULL },
	{ SP, ALLOW "m/^\\/users\\/[^\\/]+\\/private/, deny-full-control", NULL, "/users/a", "/b", "rule 1" },
	{ SP, ALLOW "t//top/{year.decimal}*/, deny-full-control", NULL, "/top", "/zop", "rule 1" },
	{ SP, ALLOW "t//t?p/{year.decimal}*/, deny-full-control", NULL, "/top", "/zap", "rule 1" },
	{ SP, ALLOW "t//t?p/{year.decimal}*/, deny-full-control", NULL, "/top", "/tip", NULL },
	{ SP, ALLOW "t/*/{year.decimal}.txt/, deny-full-control", NULL, "/top", "/zop", NULL },
	{ SP, ALLOW "t//t*p-{year.decimal}/x/, deny-full-control", NULL, "/other", "/zop", NULL },
	/* A layer of a folder: inside of it as everywhere, and out of it nothing is said any more. */
	{ SP, ALLOW "/p/a/secret*, deny-full-control", "/p", "/p/a", "/p/b", "rule 1" },
	{ SP, ALLOW "*secret*, deny-full-control", "/p", "/p/a", "/p/b", NULL },
	{ SP, ALLOW "*secret*, deny-full-control", "/p", "/p/a", "/q", "rule 1" },
	/* A name so long that nothing below it can be asked about is no way around: the next rename would be. */
	{ SP, ALLOW "/top/secret*, deny-full-control", NULL, "/top", long_name, "rule 1" },
	/* The same override, but not as far down. */
	{ PY, FULL "override /a/s - recursive\noverride /b/s -", NULL, "/a", "/b", "override /a/s" },
	{ PY, FULL "override /a/s - recursive\noverride /b/s - recursive", NULL, "/a", "/b", NULL },
	/* Under a rule that gives more than there is now, and that does not decide about the new name itself. */
	{ PY, "elf\noverride /zop/secret elr recursive", NULL, "/top", "/zop", "override /zop/secret" },
	{ PY, "elf\noverride /zop/secret el recursive", NULL, "/top", "/zop", NULL },
	{ PY, "elf\noverride /zop elrf recursive", NULL, "/top", "/zop", NULL },
	{ PY, "elf\noverride /top elrf recursive\noverride /zop/secret elr", NULL, "/top", "/zop", NULL },
	{ SP, "allow-write, allow-rename, allow-list\n/out/pub/*, allow-read", NULL, "/in/x", "/out/pub", "rule 1" },
	{ SP, "allow-write, allow-rename, allow-list\n/out/pub/*, allow-read", NULL, "/in/x", "/out", "rule 1" },
	{ SP, "allow-write, allow-rename, allow-list\n/out/pub/*, allow-read, allow-rename", NULL, "/in/x", "/out/pub/x", NULL },
	{ SP, "allow-write, allow-rename, allow-list\n/out/pub/*, deny-write", NULL, "/in/x", "/out", NULL },
	/*
	 * What nothing lets be moved alone is not brought to a rule that gives more: what "!" and its kin leave out
	 * ...
	 */
	{ SP, DENY "!/top/secret*, " ALLOW, NULL, "/top", "/pub/top", "rule 1" },
	{ SP, DENY "!/top/a/secret*, " ALLOW, NULL, "/top/a", "/zop", "rule 1" },
	{ SP, DENY "!*/top/secret*, " ALLOW, NULL, "/x/top", "/x/zop", "rule 1" },
	{ SP, DENY "!*/top/secret*, " ALLOW, NULL, "/x", "/y", NULL },
	{ SP, DENY "!/top/secret*, " ALLOW, NULL, "/top/a", "/pub/a", NULL },
	{ SP, DENY "e/^\\/top\\/secret/, " ALLOW, NULL, "/top", "/pub/top", "rule 1" },
	{ SP, DENY "e/^\\/(top|zop)\\/secret/, " ALLOW, NULL, "/top", "/zop", NULL },
	{ SP, DENY "e/^\\/top\\/secret/, " ALLOW, NULL, "/top/a", "/pub/a", NULL },
	{ SP, DENY "!/top/secret*, " ALLOW "/top/secret*, allow-read, allow-rename\n", NULL, "/top", "/zop", "rule 2" },
	{ SP, DENY "!/top/secret*, " ALLOW "/top/secret*, allow-read, allow-list\n", NULL, "/top", "/zop", "rule 2" },
	/* ... and what the globals do. */
	{ SP, DENY "/pub*, " ALLOW "/top, allow-list, allow-rename", NULL, "/top", "/pub/top", "rule 1" },
	{ SP, "allow-list\n/pub*, " ALLOW "/top, allow-list, allow-rename", NULL, "/top", "/pub/top", "rule 1" },
	{ SP, "allow-list\n/pub*, allow-list, allow-rename\n/top, allow-rename", NULL, "/top", "/pub/top", "rule 1" },
	{ SP, "allow-list\n/pub*, allow-list, allow-create-folder\n/top, allow-rename", NULL, "/top", "/pub/top", NULL },
	{ SP, "allow-list, allow-rename\n/pub*, " ALLOW, NULL, "/top", "/pub/top", NULL },	/* each one may be moved alone */
	{ SP, "allow-list\n/p/a, allow-rename", "/p", "/p/a", "/q", "global permissions" },
	{ SP, "allow-list\n/p/a*, " ALLOW, "/p", "/p/a", "/q", NULL },
	{ SP, ALLOW, "/p", "/p/a", "/q", NULL },
	/* A rule further up that ends leaves the word to one that gives more. */
	{ SP, DENY "/in/*.key, allow-list\n/in*|/out*, " ALLOW, NULL, "/in/a", "/out/a", "rule 1" },
	/* All rights in both places. */
	{ SP, DENY "/in*, " ALLOW "/out*, " ALLOW, NULL, "/in/a", "/out/a", NULL },
	{ SP, DENY "/in*, " ALLOW "/out*, " ALLOW, NULL, "/in/a", "/in/b", NULL },
	{ SP, DENY "*.exe, deny-full-control\n/in*, " ALLOW "/out*, " ALLOW, NULL, "/in/a", "/out/a", NULL },
	{ SP, DENY "m/\\.exe$/, deny-full-control\nm/^\\/(in|out)\\//, " ALLOW, NULL, "/in/a", "/out/a", NULL },
	{ SP, "allow-list\n/home/*, " ALLOW, NULL, "/home/a", "/home/b", NULL },
	{ SP, "allow-list, allow-traverse\n/in*, allow-write, allow-rename\n/done*, allow-read, allow-rename", NULL, "/in/a", "/done/a",
	    NULL },
	{ PY, "el\noverride /in " FULL "override /out " FULL, NULL, "/in/a", "/in/b", NULL },
	{ PY, "el\noverride /in elradfmwMT recursive\noverride /out elradfmwMT recursive", NULL, "/in/a", "/out/a", NULL },
	/* An override that ends at the directory's own members. */
	{ PY, "el\noverride /top elf\noverride /pub elradfmwMT recursive", NULL, "/top", "/pub/top", "override /pub" },
	{ PY, "elf\noverride /pub elradfmwMT recursive", NULL, "/top", "/pub/top", NULL },
	/* Control files are moved along, and say nothing beyond the layer. */
	{ "ftpcluster", "", "/p", "/p/a", "/p/b", NULL },
	{ "ftpcluster", "", "/p", "/p/a", "/q", "any control file in it" },
	{ "ups", "-W +n", NULL, "/top", "/zop", NULL },
	{ "ftpcluster", "", NULL, "/top", "/zop", NULL },
	{ "kernel", "", NULL, "/top", "/zop", NULL },
};

static struct authz_policy *
make(int i, uint32_t choices)
{
	struct authz_source source = { .dialect = rows[i].dialect, .text = rows[i].rules, .prefix = rows[i].prefix,
	    .file = "f", .line = 1, .scope = AUTHZ_SCOPE_ACCOUNT };
	struct authz_subject who = { .user = "u", .dialect_uid = 5, .choices = choices };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);

	memset(long_name, 'x', sizeof long_name - 1);
	long_name[0] = '/';
	ck_assert_ptr_nonnull(p);
	return p;
}

START_TEST(moves_that_escape_are_refused)
{
	struct authz_object from = { .path = rows[_i].from, .kind = AUTHZ_FOLDER }, to = { .path = rows[_i].to };
	struct authz_policy *p = make(_i, 0);
	struct authz_verdict v;
	char why[640] = "";
	bool may = authz_decide_move(p, &from, &to, &v);

	if (!may)
		authz_reason(p, &from, &v, why, sizeof why);
	ck_assert_msg(may == (rows[_i].cites == NULL), "%s: %s -> %s: %s", rows[_i].rules, rows[_i].from, rows[_i].to, why);
	ck_assert_msg(may || strstr(why, rows[_i].cites) != NULL, "%s", why);
	/* A file takes nothing along. */
	from.kind = AUTHZ_FILE;
	ck_assert(authz_decide_move(p, &from, &to, &v));
	authz_free(p);
	from.kind = AUTHZ_FOLDER;
	p = make(_i, AUTHZ_RENAME_ORIGINAL);
	ck_assert(authz_decide_move(p, &from, &to, &v));
	authz_free(p);
}
END_TEST

/* Over links both names are judged; where only the typed one counts, a link is a folder. */
START_TEST(links_are_no_way_around)
{
	struct authz_source source = { .dialect = PY, .text = FULL "override /top/secret -", .file = "f", .line = 1 };
	struct authz_object from = { .path = "/ln", .resolved = "/top", .kind = AUTHZ_FOLDER }, to = { .path = "/zop" };
	struct authz_subject who = { .user = "u" };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);
	struct authz_verdict v;

	ck_assert(!authz_decide_move(p, &from, &to, &v));
	ck_assert(v.on_resolved);
	authz_free(p);
	who.choices = AUTHZ_LINKS_TYPED;
	p = authz_compile(&source, 1, &who, NULL, NULL);
	ck_assert(authz_decide_move(p, &from, &to, &v));
	from = (struct authz_object){ .path = "/top", .kind = AUTHZ_FILE };
	ck_assert(!authz_decide_move(p, &from, &to, &v));
	authz_free(p);
}
END_TEST

/*
 * Rules that stand in the tree go along, and count where a layer of that language reaches; elsewhere they would say
 * nothing.
 */
START_TEST(rules_in_the_tree_move_along)
{
	const struct authz_source both[] = {
		{ .dialect = "ftpcluster", .text = "", .prefix = "/a", .file = "f", .line = 1 },
		{ .dialect = "ftpcluster", .text = "", .prefix = "/b", .file = "f", .line = 2 }
	};
	struct authz_subject who = { .user = "u", .dialect_uid = 5 };
	struct authz_object from = { .path = "/a/x", .kind = AUTHZ_FOLDER }, near = { .path = "/b/x" }, far = { .path = "/c" };
	struct authz_policy *p = authz_compile(both, 2, &who, NULL, NULL);
	struct authz_verdict v;

	ck_assert_ptr_nonnull(p);
	ck_assert(authz_decide_move(p, &from, &near, &v));
	ck_assert(!authz_decide_move(p, &from, &far, &v));
	authz_free(p);
}
END_TEST

/* A tree with two control files at most; which side of a rename is asked about is checked. */
struct moved_tree {
	const char *here, *there, *own;	/* of /a, /b and /a/x (NULL: none) */
	bool owns_all;
	const void *at;
};

static int
moved_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	const struct moved_tree *t = context;
	bool there = strncmp(folder, "/b", 2) == 0;
	const char *file = strcmp(folder, "/a") == 0 ? t->here : strcmp(folder, "/b") == 0 ? t->there :
	    strcmp(folder, "/a/x") == 0 ? t->own : NULL;

	(void)name;
	(void)known;
	ck_assert_str_eq(t->at, there || strcmp(folder, "/") == 0 ? t->at : "from");
	ck_assert(!there || strcmp(t->at, "to") == 0);
	if (file == NULL)
		return -ENOENT;
	memset(found, 0, sizeof *found);
	*len = strlen(file);
	memcpy(text, file, *len);
	return 0;
}

static void
moved_turn(void *context, const void *place)
{
	((struct moved_tree *)context)->at = place;
}

static bool
moved_owns_all(void *context, const char *path, uint32_t owner)
{
	const struct moved_tree *t = context;

	ck_assert_str_eq(t->at, "from");
	ck_assert_str_eq(path, "/a/x");
	ck_assert_uint_eq(owner, 5);
	return t->owns_all;
}

/* control files of /a, /b, /a/x; all directories are the account's; a second layer; what the reason cites */
static const struct {
	const char *here, *there, *own;
	bool owns_all;
	const char *layer, *rules, *cites;
} tree_rows[] = {
	{ "* l", "* lrw", NULL, false, NULL, NULL, "/b/.permissions:1: * lrw" },
	{ "* l", "* lrw", NULL, true, NULL, NULL, NULL },		/* files can be taken there one by one */
	{ "* ln", "* lrw", NULL, false, NULL, NULL, NULL },		/* these too */
	{ "* lrw", "* lrw", NULL, false, NULL, NULL, NULL },
	{ "* lrw", "* l", NULL, false, NULL, NULL, NULL },
	{ "* lr", "* lrwm", NULL, false, NULL, NULL, NULL },		/* what may be made there does not matter */
	{ "* lr", "* lrws", NULL, false, NULL, NULL, "/b/.permissions:1: * lrws" },
	{ "* l", NULL, NULL, false, NULL, NULL, "the built-in lr on the root" },
	{ "5 l\n* lr", "5 l\n* lr", NULL, false, NULL, NULL, NULL },
	{ "5 l\n* lr", "* lr", NULL, false, NULL, NULL, "/b/.permissions:1: * lr" },
	{ "* lr", "5 lrd", NULL, false, NULL, NULL, "/b/.permissions:1: 5 lrd" },
	{ "bob l", "* lr", NULL, false, NULL, NULL, "/b/.permissions:1: * lr" },	/* malformed: nothing */
	{ "* l", "* lrw", "* r", false, NULL, NULL, NULL },		/* its own file goes along */
	{ "* l", "* lrw", "5", false, NULL, NULL, NULL },
	{ "* l", "* lrw", "6 r", false, NULL, NULL, "/b/.permissions:1: * lrw" },	/* and says nothing of this account */
	{ "* l", "* lrw", NULL, false, PY, "el", NULL },		/* another layer keeps it closed */
	{ "* l", "* lrw", NULL, false, PY, "elr", "/b/.permissions:1: * lrw" },
	{ "* l", "* l", NULL, false, PY, FULL "override /a el recursive", NULL },
	{ "* lr", "* lr", NULL, false, PY, FULL "override /a el recursive", "pyftpdlib" },
};

static struct authz_policy *
make_tree(int i, const struct authz_tree *tree, uint32_t number)
{
	const struct authz_source layers[] = {
		{ .dialect = "ftpcluster", .text = "", .file = "f", .line = 1 },
		{ .dialect = tree_rows[i].layer, .text = tree_rows[i].rules, .file = "f", .line = 2 },
	};
	struct authz_subject who = { .user = "u", .dialect_uid = number };
	struct authz_policy *p = authz_compile(layers, tree_rows[i].layer != NULL ? 2 : 1, &who, tree, NULL);

	ck_assert_ptr_nonnull(p);
	return p;
}

/*
 * The owner of a directory moves it below another control file: that one must not give more of what others have in
 * it.
 */
START_TEST(files_above_in_the_tree_do_not_open)
{
	struct moved_tree t = { tree_rows[_i].here, tree_rows[_i].there, tree_rows[_i].own, tree_rows[_i].owns_all, "" };
	struct authz_tree tree = { &t, moved_control, NULL, moved_turn, moved_owns_all };
	struct authz_object from = { .path = "/a/x", .kind = AUTHZ_FOLDER, .place = "from" }, to = { .path = "/b/x", .place = "to" };
	struct authz_policy *p = make_tree(_i, &tree, 5);
	struct authz_verdict v;
	char why[640] = "";
	bool may = authz_decide_move(p, &from, &to, &v);

	if (!may)
		authz_reason(p, &from, &v, why, sizeof why);
	ck_assert_msg(may == (tree_rows[_i].cites == NULL), "row %d: %s", _i, why);
	ck_assert_msg(may || strstr(why, tree_rows[_i].cites) != NULL, "row %d: %s", _i, why);
	authz_free(p);
	if (tree_rows[_i].layer == NULL) {
		p = make_tree(_i, &tree, 0);
		ck_assert_msg(authz_decide_move(p, &from, &to, &v), "row %d: the administrator", _i);
		authz_free(p);
	}
}
END_TEST

static void
count(void *context, const struct lint_finding *f)
{
	unsigned *n = context;

	n[0] += f->id == LINT_ID_RENAME_ABOVE;
	n[1] += f->id == LINT_ID_RENAME_ESCAPES;
}

START_TEST(such_trees_are_named)
{
	for (uint32_t original = 0; original < 2; original++) {
		struct authz_policy *p = make(0, original ? AUTHZ_RENAME_ORIGINAL : 0);
		unsigned n[2] = { 0, 0 };

		lint(p, count, n);
		ck_assert_uint_eq(n[original], 1);
		ck_assert_uint_eq(n[!original], 0);
		authz_free(p);
	}
}
END_TEST

Suite *
authz_move_suite(void)
{
	Suite *s = suite_create("authz: renaming above rules");
	TCase *c = tcase_create("move");

	tcase_add_loop_test(c, moves_that_escape_are_refused, 0, sizeof rows / sizeof *rows);
	tcase_add_test(c, links_are_no_way_around);
	tcase_add_test(c, rules_in_the_tree_move_along);
	tcase_add_loop_test(c, files_above_in_the_tree_do_not_open, 0, sizeof tree_rows / sizeof *tree_rows);
	tcase_add_test(c, such_trees_are_named);
	suite_add_tcase(s, c);
	return s;
}
