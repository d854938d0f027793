/* Composition: layers only take away, folding equals asking one by one, listings equal single decisions; reasons. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/authz.h"
#include "tests/unit/authz.h"

static const struct { const char *dialect, *text; } samples[] = {
	{ "pyftpdlib", "elr" },
	{ "pyftpdlib", "elradfmwMT\noverride a elr recursive\noverride a/b w\nhook deny-prefix /b/a" },
	{ "pyftpdlib", "l\noverride b elradfmwMT" },
	{ "sftpplus", "allow-read, allow-list\n/a/*, allow-full-control\n*.b, deny-full-control" },
	{ "sftpplus", "allow-traverse\nm/b$/, allow-full-control\n!*a*, allow-write" },
	{ "sftpplus", "allow-full-control, deny-write\n/a*, allow-list, allow-rename" },
	{ "ups", "-W +c" },
	{ "ups", "-* +rCLnm" },
	{ "ftpcluster", "" },
	{ "kernel", "" },
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static const char *const paths[] = { "/", "/a", "/b", "/a/b", "/a/x.b", "/b/a", "/b/a/b", "/ab", "/c.b", "/a/b/c/d" };
#define PATHS (sizeof(paths) / sizeof(paths[0]))

static int
control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	static const char file[] = "1003 lrwn\n* l\n";

	(void)context;
	(void)name;
	if (strcmp(folder, "/a") != 0)
		return -ENOENT;
	found->inode = 5;
	if (known)
		return 1;
	*len = sizeof(file) - 1;
	memcpy(text, file, *len);
	return 0;
}

static int
owner(void *context, const char *path, uint32_t *out)
{
	(void)context;
	*out = strcmp(path, "/b") == 0 || strcmp(path, "/a/x.b") == 0 ? 1003 : 7;
	return 0;
}

static const struct authz_tree tree = { NULL, control, owner, NULL, NULL };
static const struct authz_subject who = { .user = "u", .dialect_uid = 1003, .may_change_password = true };

static struct authz_policy *
policy(const size_t *which, size_t n, const char *prefix)
{
	struct authz_source sources[4];
	struct authz_policy *p;

	for (size_t i = 0; i < n; i++)
		sources[i] = (struct authz_source){ .dialect = samples[which[i]].dialect, .text = samples[which[i]].text,
		    .prefix = i == n - 1 ? prefix : NULL, .file = "f", .line = 1, .scope = AUTHZ_SCOPE_SERVER };
	p = authz_compile(sources, n, &who, &tree, NULL);
	ck_assert_ptr_nonnull(p);
	return p;
}

static bool unreadable;

static int
control_of_a_moment(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	return unreadable && strcmp(folder, "/a") == 0 ? -EACCES : control(context, folder, name, known, found, text, len);
}

/* A control file that cannot be read gives nothing, and is read again once it can. */
START_TEST(what_could_not_be_read_is_read_again)
{
	static const struct authz_tree moody = { NULL, control_of_a_moment, NULL, NULL, NULL };
	const struct authz_source s = { .dialect = "ftpcluster", .text = "", .file = "f", .line = 1 };
	const struct authz_object o = { .path = "/a/f", .kind = AUTHZ_FILE };
	struct authz_policy *p = authz_compile(&s, 1, &who, &moody, NULL);
	struct authz_verdict v;

	for (int i = 0; i < 4; i++) {
		unreadable = i % 2 == 0;
		ck_assert_int_eq(authz_decide(p, AUTHZ_OP_RETR, &o, &v), !unreadable);
	}
	authz_free(p);
}
END_TEST

START_TEST(layers_fold_by_and)
{
	for (size_t a = 0; a < SAMPLES; a++)
		for (size_t b = 0; b < SAMPLES; b++) {
			size_t both[2] = { a, b }, back[2] = { b, a };
			struct authz_policy *pa = policy(&a, 1, NULL), *pb = policy(&b, 1, NULL), *pab = policy(both, 2, NULL), *pba = policy(back, 2, NULL);

			for (size_t i = 0; i < PATHS; i++)
				for (int kind = 0; kind < AUTHZ_KINDS; kind++) {
					struct authz_object o = { .path = paths[i], .kind = kind };
					uint32_t one = authz_rights(pa, &o), two = authz_rights(pb, &o), all = authz_rights(pab, &o);

					ck_assert_uint_eq(all, one & two);
					ck_assert_uint_eq(all, authz_rights(pba, &o));
				}
			authz_free(pa);
			authz_free(pb);
			authz_free(pab);
			authz_free(pba);
		}
}
END_TEST

/* What no rule grants anywhere is not called possible, and what any path has is. */
START_TEST(possible_is_what_some_path_has)
{
	static const struct { const char *dialect, *text; uint32_t possible; } rows[] = {
		{ "pyftpdlib", "e\noverride in w", AUTHZ_CHDIR | AUTHZ_CREATE | AUTHZ_OVERWRITE },
		{ "sftpplus", "allow-traverse\n/x/*, allow-create-folder", AUTHZ_TRAVERSE | AUTHZ_MKDIR },
		{ "ups", "-* +cC", AUTHZ_CREATE | AUTHZ_APPNEW | AUTHZ_CHDIR | AUTHZ_MTIME },
		{ "ftpcluster", "", AUTHZ_ALL & ~(uint32_t)(AUTHZ_SYMLINK | AUTHZ_UMASK | AUTHZ_USERADM) },
		{ "kernel", "", AUTHZ_ALL },
	};
	const uint32_t asked = AUTHZ_ALL & ~(uint32_t)(AUTHZ_PASSWD | AUTHZ_STAT | AUTHZ_CHDIR | AUTHZ_APPNEW | AUTHZ_APPEND);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct authz_source s = { .dialect = rows[i].dialect, .text = rows[i].text, .file = "f", .line = 1 };
		struct authz_policy *p = authz_compile(&s, 1, &who, &tree, NULL), *part;

		ck_assert_msg((authz_possible_rights(p) & asked) == (rows[i].possible & asked), "%s: %x", rows[i].dialect,
		    authz_possible_rights(p));
		authz_free(p);
		s.prefix = "/in/here";
		part = authz_compile(&s, 1, &who, &tree, NULL);
		ck_assert_uint_eq(authz_possible_rights(part) & AUTHZ_ALL_FILES & ~(uint32_t)AUTHZ_UMASK,
		    AUTHZ_ALL_FILES & ~(uint32_t)AUTHZ_UMASK);
		authz_free(part);
	}
	for (size_t a = 0; a < SAMPLES; a++)
		for (size_t b = 0; b < SAMPLES; b++) {
			size_t both[2] = { a, b };
			struct authz_policy *p = policy(both, 2, b & 1 ? "/b" : NULL);
			uint32_t possible = authz_possible_rights(p);

			for (size_t i = 0; i < PATHS; i++)
				for (int kind = 0; kind < AUTHZ_KINDS; kind++) {
					struct authz_object o = { .path = paths[i], .kind = kind };

					ck_assert_uint_eq(authz_rights(p, &o) & ~possible & AUTHZ_ALL_FILES & ~(uint32_t)AUTHZ_UMASK, 0);
				}
			authz_free(p);
		}
}
END_TEST

/* Whatever two layers allow together each of them allows; and what is denied names a layer that denies. */
START_TEST(composition_never_widens)
{
	for (size_t a = 0; a < SAMPLES; a++)
		for (size_t b = 0; b < SAMPLES; b++) {
			size_t both[2] = { a, b };
			struct authz_policy *pa = policy(&a, 1, NULL), *pb = policy(&b, 1, NULL), *pab = policy(both, 2, NULL);

			for (int op = 0; op < AUTHZ_OP_COUNT; op++)
				for (size_t i = 0; i < PATHS; i++)
					for (int kind = 0; kind < AUTHZ_KINDS; kind++) {
						struct authz_object o = { .path = paths[i], .kind = kind };
						struct authz_verdict v, va, vb;
						bool alone = authz_decide(pa, op, &o, &va), other = authz_decide(pb, op, &o, &vb);
						char why[512];

						if (authz_decide(pab, op, &o, &v)) {
							ck_assert(alone && other);
							ck_assert_int_eq(v.layer, -1);
							continue;
						}
						ck_assert_uint_ne(v.missing, 0);
						ck_assert(v.layer == 0 ? !alone : v.layer == 1);
						ck_assert_uint_gt(strlen(authz_reason(pab, &o, &v, why, sizeof(why))), 8);
					}
			authz_free(pa);
			authz_free(pb);
			authz_free(pab);
		}
}
END_TEST

START_TEST(links_must_pass_on_both_paths)
{
	for (size_t a = 0; a < SAMPLES; a++) {
		struct authz_policy *p = policy(&a, 1, NULL);

		for (size_t i = 0; i < PATHS; i++)
			for (size_t k = 0; k < PATHS; k++) {
				struct authz_object o = { .path = paths[i], .resolved = paths[k], .kind = AUTHZ_FILE };
				struct authz_object one = { .path = paths[i], .kind = AUTHZ_FILE }, two = { .path = paths[k], .kind = AUTHZ_FILE };

				ck_assert_uint_eq(authz_rights(p, &o), authz_rights(p, &one) & authz_rights(p, &two));
			}
		authz_free(p);
	}
}
END_TEST

START_TEST(prefix_limits_a_layer)
{
	size_t which[2] = { 9, 6 };	/* kernel, then UPS -W +c below /a */
	struct authz_policy *p = policy(which, 2, "/a/");
	struct authz_object in = { .path = "/a/x", .kind = AUTHZ_FILE }, at = { .path = "/a", .kind = AUTHZ_FOLDER },
	    out = { .path = "/ab", .kind = AUTHZ_FILE };

	ck_assert(!(authz_rights(p, &in) & AUTHZ_DELFILE));
	ck_assert(!(authz_rights(p, &at) & AUTHZ_DELDIR));
	ck_assert(authz_rights(p, &out) & AUTHZ_DELFILE);
	authz_free(p);
}
END_TEST

/* Whoever may rename what holds an attached folder could take it out of its layer's reach. */
START_TEST(folders_above_an_attached_layer_keep_their_names)
{
	size_t which[2] = { 9, 6 };
	struct authz_policy *p = policy(which, 2, "/a/b/");
	struct authz_object above = { .path = "/a", .kind = AUTHZ_FOLDER }, beside = { .path = "/ab", .kind = AUTHZ_FOLDER };
	struct authz_verdict v;
	char why[256];

	ck_assert(authz_decide(p, AUTHZ_OP_RNFR, &beside, &v));
	ck_assert(authz_decide(p, AUTHZ_OP_CWD, &above, &v));
	ck_assert(!authz_decide(p, AUTHZ_OP_RNFR, &above, &v));
	ck_assert_ptr_nonnull(strstr(authz_reason(p, &above, &v, why, sizeof(why)), "attached to /a/b"));
	authz_free(p);
}
END_TEST

/* Members of listings have the rights a single decision gives, wherever the engine takes its short way. */
START_TEST(listings_equal_single_decisions)
{
	static const char *const names[] = { "a", "b", "x.b", "c.b", "zz", ".permissions" };

	for (size_t a = 0; a < SAMPLES; a++)
		for (size_t b = 0; b < SAMPLES; b++)
			for (size_t i = 0; i < PATHS; i++) {
				size_t both[2] = { a, b };
				struct authz_policy *p = policy(both, 2, b % 2 ? "/a/b" : NULL);
				struct authz_listing *l = malloc(sizeof(*l));

				authz_listing_begin(l, p, paths[i], NULL, AUTHZ_LIST);
				for (size_t k = 0; k < 12; k++) {
					enum authz_kind kind = k % 2 ? AUTHZ_FILE : AUTHZ_FOLDER;
					char path[64];
					struct authz_object o = { .path = path, .kind = kind };
					uint32_t inside, got = authz_listing_rights(l, names[k / 2], kind, &inside);

					snprintf(path, sizeof(path), "%s/%s", i ? paths[i] : "", names[k / 2]);
					ck_assert_msg((got & AUTHZ_ALL_FILES) == (authz_rights(p, &o) & AUTHZ_ALL_FILES), "%s: %s + %s", path,
					    samples[a].text, samples[b].text);
					if (kind == AUTHZ_FOLDER)
						ck_assert_uint_eq(inside & AUTHZ_ALL_FILES, authz_child_rights(p, &o) & AUTHZ_ALL_FILES);
				}
				free(l);
				authz_free(p);
			}
}
END_TEST

START_TEST(listings_hide)
{
	size_t cluster = 8;
	struct authz_policy *p = policy(&cluster, 1, NULL);
	struct authz_listing *l = malloc(sizeof(*l));

	authz_listing_begin(l, p, "/a", NULL, AUTHZ_LIST | AUTHZ_TRAVERSE);
	ck_assert(authz_listing_shows(l, "x", false));
	ck_assert(!authz_listing_shows(l, ".permissions", false));
	ck_assert(!authz_listing_shows(l, ".passwd", false));
	authz_listing_begin(l, p, "/a", NULL, AUTHZ_TRAVERSE);
	ck_assert(!authz_listing_shows(l, "x", false));
	ck_assert(authz_listing_shows(l, "x", true));
	free(l);
	authz_free(p);
}
END_TEST

/* What is listed over a link is judged on both paths, or as the client sees it when so configured. */
START_TEST(listings_over_links)
{
	static const struct authz_source sources[] = {
		{ "sftpplus", "allow-full-control\n/l/x, allow-list\n/real/y, allow-list", NULL, "c", 1, AUTHZ_SCOPE_ACCOUNT, NULL },
		{ "ftpcluster", "", "/l", "c", 9, AUTHZ_SCOPE_ACCOUNT, NULL },
	};
	static const struct {
		uint32_t choices;
		const char *name;
		bool readable;
	} rows[] = { { 0, "x", false }, { 0, "y", false }, { 0, "z", true }, { AUTHZ_LINKS_TYPED, "x", false },
		{ AUTHZ_LINKS_TYPED, "y", true } };
	struct authz_listing *l = malloc(sizeof(*l));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct authz_subject subject = who;
		struct authz_policy *p;

		subject.choices = rows[i].choices;
		p = authz_compile(sources, 2, &subject, NULL, NULL);
		authz_listing_begin(l, p, "/l", "/real", AUTHZ_LIST);
		ck_assert_int_eq((authz_listing_rights(l, rows[i].name, AUTHZ_FILE, NULL) & AUTHZ_READ) != 0, rows[i].readable);
		ck_assert(!authz_listing_shows(l, ".permissions", false));
		authz_free(p);
	}
	free(l);
}
END_TEST

/* A link that is judged by its own path only would open what rules about its target deny. */
START_TEST(no_links_are_made_where_only_their_path_is_judged)
{
	static const struct {
		const char *dialect, *text, *prefix;
		bool may;
	} rows[] = {
		{ "ups", "+*", NULL, true }, { "ups", "+*", "/a", false }, { "posix1e", "", NULL, true },
		{ "sftpplus", "allow-full-control", NULL, true }, { "sftpplus", "allow-full-control\n/b, allow-read", NULL, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct authz_source source = { rows[i].dialect, rows[i].text, rows[i].prefix, "c", 1, AUTHZ_SCOPE_ACCOUNT, NULL };
		struct authz_object o = { .path = "/x", .kind = AUTHZ_MISSING };
		struct authz_subject subject = who;
		struct authz_policy *p;
		struct authz_verdict v;
		char why[256];

		p = authz_compile(&source, 1, &subject, NULL, NULL);
		ck_assert(authz_decide(p, AUTHZ_OP_SYMLINK, &o, &v));
		authz_free(p);
		subject.choices = AUTHZ_LINKS_TYPED;
		p = authz_compile(&source, 1, &subject, NULL, NULL);
		ck_assert_int_eq(authz_decide(p, AUTHZ_OP_SYMLINK, &o, &v), rows[i].may);
		if (!rows[i].may)
			ck_assert_ptr_nonnull(strstr(authz_reason(p, &o, &v, why, sizeof(why)), "link_policy"));
		authz_free(p);
	}
}
END_TEST

START_TEST(no_layer_reads_only)
{
	struct authz_policy *p = authz_compile(NULL, 0, &who, NULL, NULL);
	struct authz_object o = { .path = "/x", .kind = AUTHZ_FILE };
	struct authz_verdict v;
	char why[256];

	ck_assert(authz_decide(p, AUTHZ_OP_RETR, &o, &v));
	ck_assert(!authz_decide(p, AUTHZ_OP_STOR, &o, &v));
	ck_assert_int_eq(v.layer, -1);
	ck_assert_ptr_nonnull(strstr(authz_reason(p, &o, &v, why, sizeof(why)), "no layer"));
	authz_free(p);
}
END_TEST

START_TEST(odd_paths_are_denied)
{
	static const char *const odd[] = { "", "a", "/a/", NULL };
	size_t kernel = 9;
	struct authz_policy *p = policy(&kernel, 1, NULL);

	for (size_t i = 0; i < 4; i++) {
		struct authz_object o = { .path = odd[i], .kind = AUTHZ_FILE };
		struct authz_verdict v;

		ck_assert(!authz_decide(p, AUTHZ_OP_RETR, &o, &v));
	}
	authz_free(p);
}
END_TEST

/* --------------------------------------------------------------- inheritance */

struct part {
	const char *dialect, *text;
	enum authz_scope scope;
};

static uint32_t
joint_rights(const struct part *parts, size_t n, const char *path)
{
	struct authz_source sources[4];
	struct authz_object o = { .path = path, .kind = AUTHZ_FILE };
	struct authz_policy *p;
	uint32_t rights;

	for (size_t i = 0; i < n; i++)
		sources[i] = (struct authz_source){ .dialect = parts[i].dialect, .text = parts[i].text, .scope = parts[i].scope };
	p = authz_compile(sources, n, &who, NULL, NULL);
	rights = authz_rights(p, &o);
	authz_free(p);
	return rights;
}

START_TEST(ups_record_modifies_class)
{
	/* Out of order on purpose: scopes decide. */
	static const struct part parts[] = { { "ups", "+d", AUTHZ_SCOPE_ACCOUNT }, { "ups", "-W", AUTHZ_SCOPE_CLASS } };
	static const struct part server[] = { { "ups", "+d", AUTHZ_SCOPE_ACCOUNT }, { "ups", "-W", AUTHZ_SCOPE_SERVER } };

	ck_assert(joint_rights(parts, 2, "/x") & AUTHZ_DELFILE);
	ck_assert(!(joint_rights(parts, 2, "/x") & AUTHZ_CREATE));
	ck_assert(!(joint_rights(server, 2, "/x") & AUTHZ_DELFILE));
}
END_TEST

START_TEST(sftpplus_groups_and_account)
{
	static const struct part groups[] = {
		{ "sftpplus", "allow-read\n/a/*, allow-write", AUTHZ_SCOPE_GROUP },
		{ "sftpplus", "allow-full-control\n/b/*, allow-rename", AUTHZ_SCOPE_OTHER_GROUP },
		{ "sftpplus", "Inherit", AUTHZ_SCOPE_ACCOUNT } };
	static const struct part own[] = { { "sftpplus", "allow-read", AUTHZ_SCOPE_GROUP }, { "sftpplus", "allow-write", AUTHZ_SCOPE_ACCOUNT } };
	static const struct part second[] = { { "sftpplus", "allow-read\n/b/*, allow-list", AUTHZ_SCOPE_OTHER_GROUP } };
	static const struct part two[] = { { "sftpplus", "allow-read", AUTHZ_SCOPE_ACCOUNT }, { "sftpplus", "allow-write", AUTHZ_SCOPE_ACCOUNT } };

	ck_assert(joint_rights(groups, 3, "/x") & AUTHZ_READ);
	ck_assert(!(joint_rights(groups, 3, "/x") & AUTHZ_DELFILE));
	ck_assert(joint_rights(groups, 3, "/a/x") & AUTHZ_CREATE);
	ck_assert(joint_rights(groups, 2, "/b/x") & AUTHZ_RENTO);
	ck_assert(joint_rights(own, 2, "/x") & AUTHZ_CREATE);
	ck_assert(!(joint_rights(own, 2, "/x") & AUTHZ_READ));
	ck_assert(joint_rights(second, 1, "/x") & AUTHZ_SYMLINK);
	ck_assert(!(joint_rights(second, 1, "/b/x") & AUTHZ_READ));
	ck_assert(!(joint_rights(two, 2, "/x") & (AUTHZ_READ | AUTHZ_CREATE)));
}
END_TEST

/* ---------------------------------------------------------------- explanation */

START_TEST(why_names_layer_rule_and_place)
{
	static const struct authz_source sources[] = {
		{ "ups", "-W +c", NULL, "sallyport.conf", 14, AUTHZ_SCOPE_ACCOUNT, "account partner" },
		{ "sftpplus", "allow-list, allow-write\n/inbox/*, allow-full-control", NULL, "sallyport.conf", 15, AUTHZ_SCOPE_ACCOUNT, "account partner" },
		{ "pyftpdlib", "elrw", NULL, "sallyport.conf", 18, AUTHZ_SCOPE_ACCOUNT, "account partner" },
	};
	struct authz_policy *p = authz_compile(sources, 3, &who, NULL, NULL);
	struct authz_step step = { .op = AUTHZ_OP_DELE, .object = { .path = "/inbox/x", .kind = AUTHZ_FILE },
	    .kernel = { true, true, "/srv/partner/inbox: user::rwx" } };
	struct authz_verdict v;
	char *text, why[512];

	ck_assert(!authz_decide(p, AUTHZ_OP_DELE, &step.object, &v));
	ck_assert_str_eq(authz_reason(p, &step.object, &v, why, sizeof(why)),
	    "ups: d removed by \"-W +c\" (account partner, sallyport.conf:14); state: -* +rcLCu");
	ck_assert_int_eq(authz_explain(p, &step, 1, false, &text), AUTHZ_DENY);
	ck_assert_ptr_nonnull(strstr(text, "DENY  decided by layer 1 (ups)\n"));
	ck_assert_ptr_nonnull(strstr(text, "rule 1 \"/inbox/*\": allow-full-control (account partner, sallyport.conf:16)"));
	ck_assert_ptr_nonnull(strstr(text, "letter d not in base letters \"elrw\" (account partner, sallyport.conf:18)  [would also deny]"));
	ck_assert_ptr_nonnull(strstr(text, "user::rwx"));
	free(text);
	ck_assert_int_eq(authz_explain(p, &step, 1, true, &text), AUTHZ_DENY);
	ck_assert_ptr_nonnull(strstr(text, "\"decided_by\""));
	free(text);
	step.op = AUTHZ_OP_STOR;
	step.object.kind = AUTHZ_MISSING;
	ck_assert_int_eq(authz_explain(p, &step, 1, false, &text), AUTHZ_ALLOW);
	free(text);
	ck_assert(authz_decide(p, AUTHZ_OP_STOR, &step.object, &v));
	ck_assert_str_eq(authz_reason(p, &step.object, &v, why, sizeof(why)),
	    "ups: state: -* +rcLCu; sftpplus: rule 1 \"/inbox/*\": allow-full-control (account partner, sallyport.conf:16); "
	    "pyftpdlib: base letters \"elrw\" (account partner, sallyport.conf:18)");
	step.kernel.allow = false;
	ck_assert_int_eq(authz_explain(p, &step, 1, false, &text), AUTHZ_DENY);
	ck_assert_ptr_nonnull(strstr(text, "decided by the kernel"));
	free(text);
	authz_free(p);
}
END_TEST

/* A path that may be used as it is typed, but leads where it may not: the reason says where. */
START_TEST(reasons_name_where_links_lead)
{
	static const struct authz_source source = { "sftpplus", "allow-full-control\n/secret/*, deny-full-control", NULL, "f", 1,
	    AUTHZ_SCOPE_ACCOUNT, "account u" };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);
	struct authz_object o = { .path = "/door", .resolved = "/secret/f", .kind = AUTHZ_FILE };
	struct authz_verdict v;
	char why[512];

	ck_assert(!authz_decide(p, AUTHZ_OP_RETR, &o, &v));
	ck_assert(v.on_resolved);
	ck_assert_ptr_nonnull(strstr(authz_reason(p, &o, &v, why, sizeof why), "/secret/*"));
	ck_assert_ptr_nonnull(strstr(why, "; the link leads to /secret/f"));
	/* Where the typed path is denied already, the link is nobody's business. */
	o = (struct authz_object){ .path = "/secret/link", .resolved = "/secret/f", .kind = AUTHZ_FILE };
	ck_assert(!authz_decide(p, AUTHZ_OP_RETR, &o, &v));
	ck_assert(!v.on_resolved);
	ck_assert_ptr_null(strstr(authz_reason(p, &o, &v, why, sizeof why), "the link leads"));
	authz_free(p);
}
END_TEST

START_TEST(why_cannot_tell_about_a_broken_layer)
{
	struct authz_source source = { .dialect = "ups", .text = "-Q", .file = "x.conf", .line = 3 };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);
	struct authz_step step = { .op = AUTHZ_OP_RETR, .object = { .path = "/x", .kind = AUTHZ_FILE } };
	char *text;

	ck_assert_int_eq(authz_explain(p, &step, 1, false, &text), AUTHZ_CANNOT_TELL);
	ck_assert_ptr_nonnull(strstr(text, "x.conf:3"));
	free(text);
	authz_free(p);
}
END_TEST

START_TEST(last_upload_may_be_stamped)
{
	struct authz_source source = { .dialect = "ups", .text = "-t" };
	struct authz_policy *p = authz_compile(&source, 1, &who, NULL, NULL);
	struct authz_object o = { .path = "/up", .kind = AUTHZ_FILE }, other = { .path = "/up2", .kind = AUTHZ_FILE };
	struct authz_verdict v;

	ck_assert(!authz_decide(p, AUTHZ_OP_MTIME, &o, &v));
	ck_assert_int_eq(authz_set_last_upload(p, "/up"), 0);
	ck_assert(authz_decide(p, AUTHZ_OP_MTIME, &o, &v));
	ck_assert(!authz_decide(p, AUTHZ_OP_MTIME, &other, &v));
	ck_assert(!authz_decide(p, AUTHZ_OP_CHMOD, &o, &v) == !(authz_rights(p, &o) & AUTHZ_CHMOD));
	ck_assert_int_eq(authz_set_last_upload(p, NULL), 0);
	ck_assert(!authz_decide(p, AUTHZ_OP_MTIME, &o, &v));
	authz_free(p);
}
END_TEST

START_TEST(perm_facts)
{
	char perm[AUTHZ_PERM_MAX];

	ck_assert_str_eq(authz_perm(AUTHZ_ALL, 0, AUTHZ_FILE, perm), "adfrw");
	ck_assert_str_eq(authz_perm(AUTHZ_ALL, AUTHZ_ALL, AUTHZ_FOLDER, perm), "cdeflmp");
	ck_assert_str_eq(authz_perm(AUTHZ_READ_ONLY, AUTHZ_READ_ONLY, AUTHZ_FOLDER, perm), "el");
	ck_assert_str_eq(authz_perm(0, AUTHZ_ALL, AUTHZ_FILE, perm), "");
}
END_TEST

START_TEST(tables_fit)
{
	char words[512];

	for (int op = 0; op < AUTHZ_OP_COUNT; op++) {
		ck_assert_int_ge(authz_command(authz_op_name(op)), 0);
		for (int kind = 0; kind < AUTHZ_KINDS; kind++) {
			const struct authz_need *n = authz_need(op, kind);

			ck_assert_uint_ge(n->n, 1);
			for (unsigned i = 0; i < n->n; i++)
				ck_assert(n->alt[i] && !(n->alt[i] & ~AUTHZ_ALL));
		}
	}
	for (int bit = 0; bit < 25; bit++)
		ck_assert_uint_eq(authz_right_parse(authz_right_word(1u << bit)), 1u << bit);
	ck_assert_int_eq(authz_command("mlsd"), AUTHZ_OP_LIST);
	ck_assert_int_eq(authz_command("NOOP"), AUTHZ_NEVER_GATED);
	ck_assert_int_eq(authz_command("FROB"), AUTHZ_UNKNOWN_COMMAND);
	ck_assert_str_eq(authz_rights_text(AUTHZ_READ | AUTHZ_DELFILE, words, sizeof(words)), "read delete-file");
}
END_TEST

Suite *
authz_policy_suite(void)
{
	Suite *s = suite_create("authz/policy");
	TCase *t = tcase_create("policy");

	tcase_add_test(t, what_could_not_be_read_is_read_again);
	tcase_add_test(t, layers_fold_by_and);
	tcase_add_test(t, composition_never_widens);
	tcase_add_test(t, possible_is_what_some_path_has);
	tcase_add_test(t, links_must_pass_on_both_paths);
	tcase_add_test(t, prefix_limits_a_layer);
	tcase_add_test(t, folders_above_an_attached_layer_keep_their_names);
	tcase_add_test(t, listings_equal_single_decisions);
	tcase_add_test(t, listings_hide);
	tcase_add_test(t, listings_over_links);
	tcase_add_test(t, no_links_are_made_where_only_their_path_is_judged);
	tcase_add_test(t, no_layer_reads_only);
	tcase_add_test(t, odd_paths_are_denied);
	tcase_add_test(t, ups_record_modifies_class);
	tcase_add_test(t, sftpplus_groups_and_account);
	tcase_add_test(t, why_names_layer_rule_and_place);
	tcase_add_test(t, reasons_name_where_links_lead);
	tcase_add_test(t, why_cannot_tell_about_a_broken_layer);
	tcase_add_test(t, last_upload_may_be_stamped);
	tcase_add_test(t, perm_facts);
	tcase_add_test(t, tables_fit);
	suite_add_tcase(s, t);
	return s;
}
