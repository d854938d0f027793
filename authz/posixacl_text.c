/*
 * The reader of ACL text.  libacl's own one is not used: it lets numbers wrap
 * (u:99999999999 becomes another user), reads 010 as octal, and asks the name
 * services, which an agent in its jail must not.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "authz/posixacl.h"
#include "common/err.h"

#define NAME_MAX_BYTES 256

struct reader {
	const char *text, *p;
	const struct pacl_names *names;
	struct pacl_error *error;
};

static int
wrong(struct reader *r, const char *at, const char *why)
{
	if (r->error != NULL) {
		r->error->at = (size_t)(at - r->text);
		snprintf(r->error->text, sizeof(r->error->text), "%s", why);
	}
	return SP_EFORMAT;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Blanks, newlines and comments. */
static void
skip_blanks(struct reader *r)
{
	for (;;) {
		if (is_blank(*r->p))
			r->p++;
		else if (*r->p == '#')
			r->p += strcspn(r->p, "\n");
		else
			return;
	}
}

/* A tag and its colon. */
static int
read_tag(struct reader *r, enum pacl_tag *tag)
{
	static const struct { const char *word; enum pacl_tag tag; } words[] = {
		{ "user", PACL_USER_OBJ }, { "group", PACL_GROUP_OBJ }, { "mask", PACL_MASK }, { "other", PACL_OTHER }
	};
	size_t n = strcspn(r->p, ": \t\r\n,#");
	const char *start = r->p;

	if (n == 0)
		return wrong(r, start, "an entry is missing: user, group, mask or other was expected");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!(n == 1 && *start == *words[i].word) &&
		    !(n == strlen(words[i].word) && strncmp(start, words[i].word, n) == 0))
			continue;
		*tag = words[i].tag;
		r->p += n;
		if (*r->p != ':')
			return wrong(r, r->p, "a colon was expected after the tag");
		r->p++;
		return 0;
	}
	if (strncmp(start, "default:", 8) == 0 || strncmp(start, "d:", 2) == 0)
		return wrong(r, start, "default: has no place in ACL text; ask for the default ACL by its option");
	return wrong(r, start, "no such tag: user, group, mask or other (or the first letter) was expected");
}

static int
read_number(struct reader *r, const char *start, size_t n, uint32_t *id)
{
	uint64_t value = 0;

	if (n > 1 && *start == '0')
		return wrong(r, start, "a number with a leading zero: other tools read it as octal");
	for (size_t i = 0; i < n && value < PACL_NO_ID; i++)
		value = value * 10 + (uint64_t)(start[i] - '0');
	if (value >= PACL_NO_ID)
		return wrong(r, start, "this number is too large for a user or group");
	*id = (uint32_t)value;
	return 0;
}

static bool
is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

/* A name; \ooo stands for a byte, so that names with a backslash or a colon can be written. */
static int
read_name(struct reader *r, enum pacl_tag tag, const char *start, size_t n, uint32_t *id)
{
	char name[NAME_MAX_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (len + 1 >= sizeof(name))
			return wrong(r, start, "this name is too long");
		if (start[i] == '\\' && n - i > 3 && is_octal(start + i + 1)) {
			name[len++] = (char)((start[i + 1] - '0') << 6 | (start[i + 2] - '0') << 3 |
			    (start[i + 3] - '0'));
			i += 3;
		} else
			name[len++] = start[i];
		if (name[len - 1] == '\0')
			return wrong(r, start, "a name cannot contain a zero byte");
	}
	name[len] = '\0';
	if (r->names == NULL)
		return wrong(r, start, "names cannot be looked up here: write the number");
	if (r->names->find(r->names->context, tag, name, id) != 0 || *id == PACL_NO_ID)
		return wrong(r, start, tag == PACL_USER ? "there is no user of this name" :
		    "there is no group of this name");
	return 0;
}

/* What stands between the colons; an empty one means the owner, the owning group. */
static int
read_qualifier(struct reader *r, enum pacl_tag *tag, uint32_t *id)
{
	const char *start;
	size_t n;

	r->p += strspn(r->p, " \t");
	start = r->p;
	n = strcspn(start, ": \t\r\n,#");
	r->p += n;
	if (*r->p != ':')
		return wrong(r, r->p, "a second colon was expected: user::rwx or user:NAME:rwx");
	r->p++;
	if (n == 0)
		return 0;
	*tag = *tag == PACL_USER_OBJ ? PACL_USER : PACL_GROUP;
	if (strspn(start, "0123456789") >= n)
		return read_number(r, start, n, id);
	return read_name(r, *tag, start, n, id);
}

static int
read_perms(struct reader *r, unsigned *perm)
{
	static const char letters[] = "xwr";
	const char *at;
	unsigned bit;
	size_t n = 0;

	for (*perm = 0; *r->p != '\0' && *r->p != ',' && *r->p != '#' && !is_blank(*r->p); r->p++, n++) {
		at = strchr(letters, *r->p);
		if (at == NULL && *r->p != '-')
			return wrong(r, r->p, "no such permission: r, w, x or - was expected");
		if (n == 3)
			return wrong(r, r->p, "more than three permission letters");
		bit = at == NULL ? 0 : 1u << (at - letters);
		if ((*perm & bit) != 0)
			return wrong(r, r->p, "the same permission twice");
		*perm |= bit;
	}
	return n > 0 ? 0 : wrong(r, r->p, "permissions are missing; write - for none");
}

static int
read_entry(struct reader *r, struct pacl *acl)
{
	enum pacl_tag tag = PACL_UNDEFINED;
	uint32_t id = PACL_NO_ID;
	const char *start = r->p;
	unsigned perm;
	int error;

	if ((error = read_tag(r, &tag)) != 0)
		return error;
	if (tag == PACL_USER_OBJ || tag == PACL_GROUP_OBJ)
		error = read_qualifier(r, &tag, &id);
	else
		r->p += *r->p == ':';
	if (error != 0 || (error = read_perms(r, &perm)) != 0)
		return error;
	if ((error = pacl_add(acl, tag, id, perm)) == -ENOSPC)
		return wrong(r, start, "too many entries");
	return error;
}

int
pacl_parse(const char *text, const struct pacl_names *names, struct pacl **out, struct pacl_error *e)
{
	struct reader r = { text, text, names, e };
	int error;

	if ((error = pacl_new(out)) != 0)
		return error;
	skip_blanks(&r);
	while (error == 0 && *r.p != '\0') {
		error = read_entry(&r, *out);
		skip_blanks(&r);
		if (error == 0 && *r.p == ',') {
			r.p++;
			skip_blanks(&r);
		}
	}
	if (error != 0) {
		pacl_free(*out);
		*out = NULL;
	}
	return error;
}

static int
nss_find(void *context, enum pacl_tag tag, const char *name, uint32_t *id)
{
	struct passwd *pw;
	struct group *gr;

	(void)context;
	if (tag == PACL_USER && (pw = getpwnam(name)) != NULL)
		*id = pw->pw_uid;
	else if (tag == PACL_GROUP && (gr = getgrnam(name)) != NULL)
		*id = gr->gr_gid;
	else
		return -ENOENT;
	return 0;
}

const struct pacl_names pacl_nss = { nss_find, NULL };
