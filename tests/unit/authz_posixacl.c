/* authz/posixacl: every function of seed 004 has a test here. */
#include "config.h"

#include <acl/libacl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authz/posixacl.h"
#include "common/err.h"
#include "tests/unit/authz.h"
#include "tests/unit/root.h"

static struct pacl *
parse(const char *text)
{
	struct pacl_error e = { 0, "" };
	struct pacl *acl;
	int error = pacl_parse(text, &pacl_nss, &acl, &e);

	ck_assert_msg(error == 0, "%s: %s at %zu", text, e.text, e.at);
	return acl;
}

static void
expect_text(const struct pacl *acl, const char *want)
{
	char *text;

	ck_assert_int_eq(pacl_text_as(acl, NULL, ',', PACL_NUMERIC_IDS, &text), 0);
	ck_assert_str_eq(text, want);
	free(text);
}

static const struct { const char *text, *canonical;
} good[] = {
	{ "u::rw,g::r,o::r", "user::rw-,group::r--,other::r--" },
	{ "user::rw-\ngroup::rw-\nother::r--", "user::rw-,group::rw-,other::r--" },
	{ "u::rx g::- o::-", "user::r-x,group::---,other::---" },
	{ "u::rw , g::r ,\n o::r,", "user::rw-,group::r--,other::r--" },
	{ "# file: x\n\nu::rw#c\ng::r  # d\n# e\no:r", "user::rw-,group::r--,other::r--" },
	{ "u::rw,u:2002:rw,g::r,m:r,o:-", "user::rw-,user:2002:rw-,group::r--,mask::r--,other::---" },
	{ "user::xwr,user: 0:-r-,group:root:w,mask::rwx,g::x,other::---",
	    "user::rwx,user:0:r--,group::--x,group:0:-w-,mask::rwx,other::---" },
	{ "u:\\162oot:r", "user:0:r--" },
	{ "u:4294967294:r", "user:4294967294:r--" },
	{ "", "" },
};

START_TEST(text_is_read)
{
	struct pacl *acl = parse(good[_i].text);

	expect_text(acl, good[_i].canonical);
	pacl_free(acl);
}
END_TEST

static const struct { const char *text; size_t at;
} bad[] = {
	{ "u:rw,g:r,o:r", 4 },
	{ "u::rwz,g::r,o::r", 5 },
	{ "u::6,g::4,o::4", 3 },
	{ "u::rr,g::r,o::r", 4 },
	{ "u::,g::r,o::r", 3 },
	{ "u::rwX", 5 },
	{ "U::r", 0 },
	{ "u::rw,,g::r", 6 },
	{ ",u::rw", 0 },
	{ "default:u::rw", 0 },
	{ "d:u::rw", 0 },
	{ "u:99999999999:r", 2 },
	{ "u:4294967295:r", 2 },
	{ "u:-1:r", 2 },
	{ "u:+1:r", 2 },
	{ "u:0x10:r", 2 },
	{ "u:010:r", 2 },
	{ "u:no such user:r", 4 },
	{ "u:nosuchuser:r", 2 },
	{ "g:nosuchgroup:r", 2 },
	{ "u::rwx-", 6 },
	{ "u::----", 6 },
	{ "u:", 2 },
	{ "u", 1 },
	{ "m:x:r", 3 },
	{ "us::r", 0 },
	{ "u :: r", 1 },
	{ "u::r w", 5 },
	{ "u:a\\000b:r", 2 },
	{ "other:foo:r", 6 },
	{ "g::r;o::r", 4 },
	{ "u:00:r", 2 },
	{ "\xff::r", 0 },
};

START_TEST(text_is_refused)
{
	struct pacl_error e = { 999, "" };
	struct pacl *acl = (struct pacl *)&e;

	ck_assert_int_eq(pacl_parse(bad[_i].text, &pacl_nss, &acl, &e), SP_EFORMAT);
	ck_assert_ptr_null(acl);
	ck_assert_str_ne(e.text, "");
	ck_assert_msg(e.at == bad[_i].at, "%s: at %zu, not %zu: %s", bad[_i].text, e.at, bad[_i].at, e.text);
}
END_TEST

START_TEST(names_need_a_resolver)
{
	struct pacl_error e;
	struct pacl *acl;

	ck_assert_int_eq(pacl_parse("u::rw,u:root:r", NULL, &acl, &e), SP_EFORMAT);
	ck_assert_uint_eq(e.at, 8);
	ck_assert_int_eq(pacl_parse("u::rw,u:0:r", NULL, &acl, &e), 0);
	pacl_free(acl);
}
END_TEST

/* What we accept, libacl accepts, and reads in the same way. */
START_TEST(text_agrees_with_libacl)
{
	static const char *const part[] = { "u", "g", "m", "o", "user", "group", "mask", "other", ":",
		"::", ":0:", ":7:", ":root:", "r", "w", "x", "-", "rw", "rwx", "r-x", ",", " ", "\n", ":-:", "d:", "7",
		",u::rw", "g::r", "o::-" };
	struct pacl *acl;
	unsigned accepted = 0;

	srandom(4711);
	for (int round = 0; round < 60000; round++) {
		char text[200] = "", *end = text;
		acl_t theirs;
		char *a, *b;

		for (int n = 1 + (int)(random() % 9); n > 0; n--)
			end = stpcpy(end, part[(size_t)random() % (sizeof(part) / sizeof(part[0]))]);
		if (strchr(text, '#') != NULL || pacl_parse(text, &pacl_nss, &acl, NULL) != 0)
			continue;
		if (pacl_count(acl) > 0) {
			theirs = acl_from_text(text);
			ck_assert_msg(theirs != NULL, "libacl refuses \"%s\"", text);
			a = acl_to_any_text(theirs, NULL, ',', TEXT_NUMERIC_IDS);
			ck_assert_int_eq(pacl_text_as(acl, NULL, ',', PACL_NUMERIC_IDS, &b), 0);
			ck_assert_str_eq(a, b);
			acl_free(a);
			acl_free(theirs);
			free(b);
			accepted++;
		}
		pacl_free(acl);
	}
	ck_assert_uint_gt(accepted, 200);
}
END_TEST

static const struct { const char *text; enum pacl_fault fault; size_t index; } checks[] = {
	{ "u::rx,g::-,o::-", PACL_FINE, 0 },
	{ "", PACL_MISS, 0 },
	{ "u::rw,u::r,g::r,o::r", PACL_MULTI, 1 },
	{ "u::rw,u:7:r,u:7:rw,g::r,m::rw,o::r", PACL_DUPLICATE, 2 },
	{ "u::rw,g::r,g:7:r,g:7:r,m::rw,o::r", PACL_DUPLICATE, 3 },
	{ "u::rw,u:7:r,g::r,o::r", PACL_MISS, 3 },
	{ "u::rw,g::r", PACL_MISS, 2 },
	{ "u::rw,g::r,m::r,o::r", PACL_FINE, 0 },
};

START_TEST(faults_are_found)
{
	struct pacl *acl = parse(checks[_i].text);
	size_t index = 99;

	ck_assert_int_eq(pacl_check(acl, &index), checks[_i].fault);
	if (checks[_i].fault != PACL_FINE)
		ck_assert_uint_eq(index, checks[_i].index);
	ck_assert_int_eq(pacl_valid(acl), checks[_i].fault == PACL_FINE);
	pacl_free(acl);
}
END_TEST

START_TEST(undefined_entry_is_a_fault)
{
	struct pacl *acl = parse("u::rw,g::r,o::r");
	struct pacl_entry e;

	ck_assert_int_eq(pacl_append(acl, NULL, &e), 0);
	ck_assert_int_eq(pacl_entry_tag(&e), PACL_UNDEFINED);
	ck_assert_int_eq(pacl_check(acl, NULL), PACL_ENTRY);
	ck_assert_str_eq(pacl_fault_word(PACL_ENTRY), "ENTRY");
	ck_assert_str_ne(pacl_fault_text(PACL_ENTRY), "");
	pacl_free(acl);
}
END_TEST

START_TEST(modes)
{
	struct pacl *acl;
	mode_t mode = 0;

	ck_assert_int_eq(pacl_from_mode(0106754, &acl), 0);
	expect_text(acl, "user::rwx,group::r-x,other::r--");
	ck_assert_int_eq(pacl_equiv_mode(acl, &mode), 0);
	ck_assert_uint_eq(mode, 0754);
	pacl_free(acl);
	acl = parse("u::rw,u:7:r,g::r,m::rw,o::r");
	ck_assert_int_eq(pacl_equiv_mode(acl, &mode), 1);
	ck_assert_uint_eq(mode, 0664);
	pacl_free(acl);
}
END_TEST

START_TEST(masks)
{
	struct pacl *acl = parse("u::rw,u:7:r,g:8:x,g::-,m::rwx,o::rwx");

	ck_assert_int_eq(pacl_calc_mask(acl), 0);
	expect_text(acl, "user::rw-,user:7:r--,group::---,group:8:--x,mask::r-x,other::rwx");
	pacl_free(acl);
	acl = parse("u::rw,u:7:rw,g::r,o::r");
	ck_assert_int_eq(pacl_calc_mask(acl), 0);
	expect_text(acl, "user::rw-,user:7:rw-,group::r--,mask::rw-,other::r--");
	pacl_free(acl);
}
END_TEST

START_TEST(text_forms)
{
	struct pacl *acl = parse("u::rw,u:2002:rw,g::r,m::r,o::-");
	static const struct { unsigned options; const char *want;
	} form[] = {
		{ PACL_NUMERIC_IDS, "user::rw-,user:2002:rw-,group::r--,mask::r--,other::---" },
		{ PACL_NUMERIC_IDS | PACL_ABBREVIATE, "u::rw-,u:2002:rw-,g::r--,m::r--,o::---" },
		{ PACL_NUMERIC_IDS | PACL_SOME_EFFECTIVE,
		    "user::rw-,user:2002:rw-\t#effective:r--,group::r--,mask::r--,other::---" },
		{ PACL_NUMERIC_IDS | PACL_ALL_EFFECTIVE,
		    "user::rw-,user:2002:rw-\t#effective:r--,group::r--\t#effective:r--,mask::r--,other::---" },
		{ PACL_NUMERIC_IDS | PACL_SOME_EFFECTIVE | PACL_SMART_INDENT,
		    "user::rw-,user:2002:rw-\t\t\t#effective:r--,group::r--,mask::r--,other::---" },
	};
	char *text;

	for (size_t i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
		ck_assert_int_eq(pacl_text_as(acl, NULL, ',', form[i].options, &text), 0);
		ck_assert_str_eq(text, form[i].want);
		free(text);
	}
	ck_assert_int_eq(pacl_text_as(acl, "> ", ';', PACL_NUMERIC_IDS | PACL_ABBREVIATE, &text), 0);
	ck_assert_str_eq(text, "> u::rw-;> u:2002:rw-;> g::r--;> m::r--;> o::---");
	free(text);
	ck_assert_int_eq(pacl_text(acl, &text), 0);
	ck_assert_ptr_nonnull(strchr(text, '\n'));
	free(text);
	pacl_free(acl);
}
END_TEST

START_TEST(copies_and_frozen_ones)
{
	struct pacl *acl = parse("u::rw,u:7:rw,g::r,m::r,o::-"), *other, *empty;
	void *ice;
	size_t len;

	ck_assert_int_eq(pacl_dup(acl, &other), 0);
	ck_assert(pacl_equal(acl, other));
	pacl_free(other);
	ck_assert_int_eq(pacl_freeze(acl, &ice, &len), 0);
	ck_assert_int_eq(pacl_thaw(ice, len, &other), 0);
	ck_assert(pacl_equal(acl, other));
	pacl_free(other);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_ne(pacl_thaw(ice, cut, &other), 0);
	*(size_t *)ice = len + 4096;
	ck_assert_int_eq(pacl_thaw(ice, len, &other), SP_EFORMAT);
	ck_assert_ptr_null(other);
	free(ice);
	ck_assert_int_eq(pacl_new(&empty), 0);
	ck_assert(!pacl_equal(acl, empty));
	ck_assert_uint_eq(pacl_count(empty), 0);
	pacl_free(empty);
	pacl_free(acl);
}
END_TEST

START_TEST(entries)
{
	struct pacl *acl = parse("u::rw,g::r,o::r"), *other = parse("u::rw,u:9:x,g::r,m::x,o::r");
	struct pacl_entry e, f;
	uint32_t id;

	ck_assert_int_eq(pacl_append(acl, NULL, &e), 0);
	ck_assert_ptr_eq(pacl_entry_parent(&e), acl);
	ck_assert_int_eq(pacl_entry_set_id(&e, 7), -EINVAL);
	ck_assert_int_eq(pacl_entry_set_tag(&e, PACL_USER), 0);
	ck_assert_int_eq(pacl_entry_set_id(&e, PACL_NO_ID), -EINVAL);
	ck_assert_int_eq(pacl_entry_set_id(&e, 7), 0);
	ck_assert_int_eq(pacl_entry_set_perm(&e, 8), -EINVAL);
	ck_assert_int_eq(pacl_entry_set_perm(&e, PACL_READ | PACL_WRITE), 0);
	ck_assert_int_eq(pacl_entry_id(&e, &id), 0);
	ck_assert_uint_eq(id, 7);
	ck_assert_int_eq(pacl_entry_find(other, PACL_USER, 9, &f), 0);
	ck_assert_int_eq(pacl_append(acl, &f, NULL), 0);
	ck_assert_int_eq(pacl_calc_mask(acl), 0);
	expect_text(acl, "user::rw-,user:7:rw-,user:9:--x,group::r--,mask::rwx,other::r--");
	ck_assert_int_eq(pacl_delete(acl, &f), -EINVAL);
	ck_assert_int_eq(pacl_entry_copy(&f, &e), 0);
	expect_text(other, "user::rw-,user:7:rw-,group::r--,mask::--x,other::r--");
	ck_assert_int_eq(pacl_delete(acl, &e), 0);
	ck_assert_int_eq(pacl_entry_find(acl, PACL_USER, 7, &e), -ENOENT);
	ck_assert_int_eq(pacl_entry_find(acl, PACL_MASK, 0, &e), 0);
	ck_assert_int_eq(pacl_entry_id(&e, &id), -EINVAL);
	ck_assert_int_eq(pacl_entry_at(acl, 5, &e), -ENOENT);
	pacl_free(acl);
	pacl_free(other);
}
END_TEST

START_TEST(nested_loops_end)
{
	struct pacl *acl = parse("u::rw,u:7:r,g::r,m::r,o::r");
	struct pacl_entry a, b;
	unsigned pairs = 0;

	for (size_t i = 0; pacl_entry_at(acl, i, &a) == 0; i++)
		for (size_t j = 0; pacl_entry_at(acl, j, &b) == 0; j++)
			pairs++;
	ck_assert_uint_eq(pairs, 25);
	pacl_free(acl);
}
END_TEST

START_TEST(permission_sets)
{
	struct pacl *acl = parse("u::rw,g::r,o::r");
	struct pacl_entry e, f;
	struct pacl_permset p, q;

	ck_assert_int_eq(pacl_entry_find(acl, PACL_USER_OBJ, 0, &e), 0);
	ck_assert_int_eq(pacl_entry_permset(&e, &p), 0);
	ck_assert_int_eq(pacl_perm_clear(&p), 0);
	ck_assert(!pacl_perm_test(&p, PACL_READ));
	ck_assert_int_eq(pacl_perm_add(&p, PACL_READ), 0);
	ck_assert_int_eq(pacl_perm_add(&p, PACL_READ), 0);
	ck_assert(pacl_perm_test(&p, PACL_READ));
	ck_assert(!pacl_perm_test(&p, PACL_READ | PACL_WRITE));
	ck_assert_int_eq(pacl_perm_delete(&p, PACL_READ), 0);
	ck_assert_int_eq(pacl_perm_delete(&p, PACL_READ), 0);
	ck_assert(!pacl_perm_test(&p, PACL_READ));
	ck_assert_int_eq(pacl_perm_set(&p, PACL_WRITE, true), 0);
	ck_assert_int_eq(pacl_perm_set(&p, PACL_EXECUTE, true), 0);
	ck_assert_int_eq(pacl_perm_set(&p, PACL_EXECUTE, false), 0);
	ck_assert_int_eq(pacl_perm_add(&p, 8), -EINVAL);
	ck_assert_int_eq(pacl_perm_add(&p, 0), -EINVAL);
	ck_assert_int_eq(pacl_perm_delete(&p, 16), -EINVAL);
	ck_assert(!pacl_perm_test(&p, 0));
	expect_text(acl, "user::-w-,group::r--,other::r--");
	ck_assert_int_eq(pacl_entry_find(acl, PACL_OTHER, 0, &f), 0);
	ck_assert_int_eq(pacl_entry_permset(&f, &q), 0);
	ck_assert_int_eq(pacl_entry_set_permset(&f, &p), 0);
	expect_text(acl, "user::-w-,group::r--,other::-w-");
	pacl_free(acl);
}
END_TEST

START_TEST(rows_and_attributes)
{
	struct pacl *acl = parse("o::r,m::rw,g:9:x,g::r,u:8:w,u:7:rw,u::rwx"), *other;
	struct pacl_row row[8];
	uint8_t value[128];
	ssize_t n;

	ck_assert_uint_eq(pacl_rows(acl, row, 2), 7);
	ck_assert_uint_eq(pacl_rows(acl, row, 8), 7);
	ck_assert_uint_eq(row[0].tag, PACL_USER_OBJ);
	ck_assert_uint_eq(row[0].id, PACL_NO_ID);
	ck_assert_uint_eq(row[1].id, 7);
	ck_assert_uint_eq(row[6].tag, PACL_OTHER);
	ck_assert_int_eq(pacl_from_rows(row, 7, &other), 0);
	ck_assert(pacl_equal(acl, other));
	pacl_free(other);
	ck_assert_int_eq(pacl_to_xattr(acl, value, 59), SP_ERANGE);
	n = pacl_to_xattr(acl, value, sizeof(value));
	ck_assert_int_eq(n, 60);
	ck_assert_int_eq(pacl_from_xattr(value, (size_t)n, &other), 0);
	ck_assert(pacl_equal(acl, other));
	pacl_free(other);
	for (size_t cut = 0; cut < (size_t)n; cut++)
		ck_assert(cut >= 4 && (cut - 4) % 8 == 0 ? pacl_from_xattr(value, cut, &other) == 0 &&
		    (pacl_free(other), 1) : pacl_from_xattr(value, cut, &other) < 0);
	value[0] = 3;
	ck_assert_int_eq(pacl_from_xattr(value, (size_t)n, &other), SP_EFORMAT);
	value[0] = 2;
	value[4] = 3;		/* a tag that does not exist */
	ck_assert_int_eq(pacl_from_xattr(value, (size_t)n, &other), SP_EFORMAT);
	value[4] = 1;
	value[6] = 8;		/* a permission that does not exist */
	ck_assert_int_eq(pacl_from_xattr(value, (size_t)n, &other), SP_EFORMAT);
	pacl_free(acl);
}
END_TEST

static char dir[] = "/tmp/posixacl.XXXXXX";

static void
make_tree(void)
{
	int fd;

	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_ge(fd = open("f", O_CREAT | O_RDWR, 0640), 0);
	close(fd);
	ck_assert_int_eq(chmod("f", 0640), 0);
	ck_assert_int_eq(mkdir("d", 0755), 0);
	ck_assert_int_eq(chmod("d", 0755), 0);
	ck_assert_int_eq(symlink("f", "l"), 0);
}

static void
remove_tree(void)
{
	ck_assert_int_eq(chdir(dir), 0);
	unlink("f");
	unlink("l");
	rmdir("d");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}

static bool
have_acls(void)
{
	struct pacl *acl = parse("u::rw,u:7:rw,g::r,m::rw,o::-");
	int error = pacl_apply(pacl_at_path("f"), PACL_ACCESS, acl);

	pacl_free(acl);
	if (error == -EOPNOTSUPP)
		skip("authz_posixacl", "no ACLs on the file system of /tmp");
	return error == 0;
}

/* The same ACLs through every kind of place. */
START_TEST(files)
{
	struct pacl *acl = parse("u::rwx,u:7:r,g::r,m::r,o::-"), *back;
	int folder = open(dir, O_PATH | O_DIRECTORY), fd = open("f", O_RDONLY), dfd = open("d", O_RDONLY);
	struct pacl_place f[] = { pacl_at_path("f"), pacl_at_fd(fd), pacl_at_leaf(folder, "f") };
	struct pacl_place d[] = { pacl_at_path("d"), pacl_at_fd(dfd), pacl_at_leaf(folder, "d") };
	bool access, def;

	if (!have_acls())
		return;
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(chdir(dir), 0);
		ck_assert_int_eq(pacl_apply(f[i], PACL_ACCESS, acl), 0);
		for (size_t j = 0; j < 3; j++) {
			ck_assert_int_eq(chdir(dir), 0);
			ck_assert_int_eq(pacl_get(f[j], PACL_ACCESS, &back), 0);
			ck_assert(pacl_equal(acl, back));
			pacl_free(back);
			ck_assert_int_eq(pacl_extended(f[j], &access, &def), 0);
			ck_assert(access && !def);
			ck_assert_int_eq(pacl_get(f[j], PACL_DEFAULT, &back), -EACCES);
			ck_assert_int_eq(pacl_apply(f[j], PACL_DEFAULT, acl), -EACCES);
		}
		/* The type is honoured on descriptors, too. */
		ck_assert_int_eq(pacl_apply(d[i], PACL_DEFAULT, acl), 0);
		ck_assert_int_eq(pacl_get(d[i], PACL_DEFAULT, &back), 0);
		ck_assert(pacl_equal(acl, back));
		pacl_free(back);
		ck_assert_int_eq(pacl_get(d[i], PACL_ACCESS, &back), 0);
		expect_text(back, "user::rwx,group::r-x,other::r-x");
		pacl_free(back);
		ck_assert_int_eq(pacl_extended(d[i], &access, &def), 0);
		ck_assert(!access && def);
		ck_assert_int_eq(pacl_drop_default(d[i]), 0);
		ck_assert_int_eq(pacl_drop_default(d[i]), 0);
		ck_assert_int_eq(pacl_get(d[i], PACL_DEFAULT, &back), 0);
		ck_assert_uint_eq(pacl_count(back), 0);
		pacl_free(back);
	}
	pacl_free(acl);
	close(fd);
	close(dfd);
	close(folder);
}
END_TEST

START_TEST(invalid_ones_are_not_applied)
{
	struct pacl *acl = parse("u::rw,u:7:r,u:7:rw,g::r,m::rw,o::-"), *back;

	if (!have_acls())
		return;
	ck_assert_int_eq(pacl_apply(pacl_at_path("f"), PACL_ACCESS, acl), -EINVAL);
	ck_assert_int_eq(pacl_get(pacl_at_path("f"), PACL_ACCESS, &back), 0);
	expect_text(back, "user::rw-,user:7:rw-,group::r--,mask::rw-,other::---");
	pacl_free(back);
	pacl_free(acl);
}
END_TEST

START_TEST(places_are_checked)
{
	struct pacl *acl;
	int folder = open(dir, O_PATH | O_DIRECTORY), path_fd = open("f", O_PATH);

	ck_assert_int_eq(pacl_get(pacl_at_leaf(folder, "../x"), PACL_ACCESS, &acl), -EINVAL);
	ck_assert_int_eq(pacl_get(pacl_at_leaf(folder, ".."), PACL_ACCESS, &acl), -EINVAL);
	ck_assert_int_eq(pacl_get(pacl_at_leaf(folder, ""), PACL_ACCESS, &acl), -EINVAL);
	ck_assert_int_eq(pacl_get(pacl_at_leaf(folder, "l"), PACL_ACCESS, &acl), -ELOOP);
	ck_assert_int_eq(pacl_get(pacl_at_leaf(folder, "none"), PACL_ACCESS, &acl), -ENOENT);
	ck_assert_int_eq(pacl_get(pacl_at_path("none"), PACL_ACCESS, &acl), -ENOENT);
	ck_assert_int_eq(pacl_get(pacl_at_fd(-1), PACL_ACCESS, &acl), -EBADF);
	ck_assert_int_eq(pacl_get(pacl_at_fd(path_fd), PACL_ACCESS, &acl), -EBADF);
	ck_assert_ptr_null(acl);
	close(folder);
	close(path_fd);
}
END_TEST

/* Without ACL support: a basic ACL is a mode, anything else is refused. /proc has none. */
START_TEST(file_systems_without_acls)
{
	struct pacl *acl, *extended = parse("u::rw,u:7:r,g::r,m::r,o::-");

	ck_assert_int_eq(pacl_get(pacl_at_path("/proc/self/comm"), PACL_ACCESS, &acl), 0);
	expect_text(acl, "user::rw-,group::r--,other::r--");
	pacl_free(acl);
	ck_assert_int_eq(pacl_apply(pacl_at_path("/proc/self/comm"), PACL_ACCESS, extended), -EOPNOTSUPP);
	ck_assert_int_eq(pacl_get(pacl_at_path("/proc/self"), PACL_DEFAULT, &acl), -EOPNOTSUPP);
	pacl_free(extended);
}
END_TEST

START_TEST(capabilities_of_the_build)
{
	ck_assert_uint_eq(pacl_caps(), PACL_HAS_ENTRY | PACL_HAS_FROM_MODE | PACL_HAS_CHECK | PACL_HAS_EXTENDED_CHECK |
	    PACL_HAS_EQUIV_MODE | PACL_HAS_COPY_EXT);
}
END_TEST

Suite *
authz_posixacl_suite(void)
{
	Suite *s = suite_create("posixacl");
	TCase *text = tcase_create("text"), *memory = tcase_create("memory"), *file = tcase_create("file");

	tcase_add_loop_test(text, text_is_read, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(text, text_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(text, names_need_a_resolver);
	tcase_add_test(text, text_agrees_with_libacl);
	tcase_add_test(text, text_forms);
	tcase_add_loop_test(memory, faults_are_found, 0, sizeof(checks) / sizeof(checks[0]));
	tcase_add_test(memory, undefined_entry_is_a_fault);
	tcase_add_test(memory, modes);
	tcase_add_test(memory, masks);
	tcase_add_test(memory, copies_and_frozen_ones);
	tcase_add_test(memory, entries);
	tcase_add_test(memory, nested_loops_end);
	tcase_add_test(memory, permission_sets);
	tcase_add_test(memory, rows_and_attributes);
	tcase_add_test(memory, capabilities_of_the_build);
	tcase_add_checked_fixture(file, make_tree, remove_tree);
	tcase_add_test(file, files);
	tcase_add_test(file, invalid_ones_are_not_applied);
	tcase_add_test(file, places_are_checked);
	tcase_add_test(file, file_systems_without_acls);
	suite_add_tcase(s, text);
	suite_add_tcase(s, memory);
	suite_add_tcase(s, file);
	return s;
}
