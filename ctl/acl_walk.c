/* Walking over paths for "sallyctl acl". */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "common/trusted.h"
#include "ctl/acl.h"
#include "ctl/progress.h"
#include "ctl/tree.h"

static int
report(struct acl_job *job, const char *path, int error)
{
	if (job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		json_str(&job->json, "error", sp_strerror(error));
		json_close(&job->json);
	}
	job->answer = acl_fail(job->inv, path, error);
	return error;
}

int
acl_fail(const struct invocation *inv, const char *path, int error)
{
	if (error == -ELOOP)
		return ctl_fail(inv, CTL_FAILED, "%s: a symbolic link on the way belongs to somebody else; name the place itself",
		    path);
	return ctl_fail_code(inv, CTL_FAILED, path, error);
}

struct pacl_place
acl_held(struct acl_object *o)
{
	(void)str_format(o->name, sizeof o->name, "/proc/self/fd/%d", o->fd);
	return pacl_at_path(o->name);
}

int
acl_find(struct acl_object *o, const char *path)
{
	o->fd = trusted_walk(path);
	if (o->fd < 0)
		return o->fd;
	return fstat(o->fd, &o->st) < 0 ? -errno : 0;
}

static int
handle(struct acl_job *job, struct acl_object *o, const char *path)
{
	int error;

	progress_step(job->inv, "objects", ++job->done);
	/* Below a folder given with --default only folders are meant. */
	if (job->type == PACL_DEFAULT && job->below && !S_ISDIR(o->st.st_mode))
		return 0;
	error = job->one(job, acl_held(o), path, &o->st);
	return error == 0 ? 0 : report(job, path, error);
}

/* An object below the folder of the command line. */
static int
visit(void *context, const struct tree_entry *e)
{
	struct acl_job *job = context;
	struct acl_object o = { .fd = e->fd, .st = e->st };

	/* A second name of somebody else's file: whoever may write to the folder has put it there. */
	if (job->changes && !S_ISDIR(e->st.st_mode) && e->st.st_nlink > 1 && e->st.st_uid != job->owner) {
		job->answer = ctl_fail(job->inv, CTL_FAILED, "%s: left alone, it belongs to somebody else and has another name",
		    e->path);
		return 0;
	}
	(void)handle(job, &o, e->path);
	return 0;
}

static int
trouble(void *context, const char *path, int error)
{
	(void)report(context, path, error);
	return 0;
}

/* One path of the command line: links in it are the administrator's own words, where they are the administrator's. */
static void
begin(struct acl_job *job, const char *path)
{
	const struct tree_walk walk = { .path = path, .visit = visit, .trouble = trouble, .context = job };
	struct acl_object o;
	int error = acl_find(&o, path);

	job->below = false;
	if (error != 0)
		(void)report(job, path, error);
	else
		(void)handle(job, &o, path);
	if (error == 0 && job->inv->count[OPT_RECURSIVE] > 0 && S_ISDIR(o.st.st_mode)) {
		job->below = true;
		job->owner = o.st.st_uid;
		error = tree_walk(&walk, o.fd);
		if (error == -EAGAIN)
			job->answer = ctl_fail(job->inv, CTL_FAILED, "%s: folders were moved meanwhile, not all was reached", path);
		else if (error != 0)
			(void)report(job, path, error);
	}
	if (o.fd >= 0)
		close(o.fd);
}

int
acl_run(struct acl_job *job, struct invocation *inv, char **paths, int n)
{
	int printed;

	job->inv = inv;
	job->type = inv->count[OPT_DEFAULT] > 0 ? PACL_DEFAULT : PACL_ACCESS;
	json_init(&job->json);
	json_open(&job->json, NULL, '[');
	for (int i = 0; i < n; i++)
		begin(job, paths[i]);
	progress_end(inv);
	json_close(&job->json);
	if (inv->json && (printed = ctl_print_json(inv, &job->json)) != CTL_OK)
		job->answer = printed;
	json_free(&job->json);
	pacl_free(job->acl);
	return job->answer;
}

struct pacl *
acl_text_argument(const struct invocation *inv, const char *text)
{
	struct pacl_error e = { 0, "" };
	struct pacl *acl = NULL;
	int error = pacl_parse(text, &pacl_nss, &acl, &e);

	if (error == SP_EFORMAT)
		(void)ctl_fail(
		    inv, CTL_USAGE, "ACL text, column %zu: %s\n  %s\n  %*s^", e.at + 1, e.text, text, (int)e.at, "");
	else if (error != 0)
		(void)ctl_fail_code(inv, CTL_FAILED, "ACL text", error);
	return error == 0 ? acl : NULL;
}

int
acl_entry_argument(const struct invocation *inv, const char *spec, enum pacl_tag *tag, uint32_t *id)
{
	char text[512];
	struct pacl *acl;
	struct pacl_row row;
	size_t len = strlen(spec);
	bool bare = strchr(spec, ':') == NULL;

	/* "u:bob" and "u:bob:" mean the same, so do "m", "m:" and "m::". */
	while (len > 0 && spec[len - 1] == ':' && strchr(spec, ':') != spec + len - 1)
		len--;
	if (str_format(text, sizeof(text), "%.*s%s-", (int)len, spec,
	    bare ? "::" : ":") != 0)
		return ctl_fail(inv, CTL_USAGE, "this entry is too long");
	if ((acl = acl_text_argument(inv, text)) == NULL)
		return CTL_USAGE;
	if (pacl_rows(acl, &row, 1) != 1) {
		pacl_free(acl);
		return ctl_fail(inv, CTL_USAGE, "one entry was expected: %s", spec);
	}
	*tag = (enum pacl_tag)row.tag;
	*id = row.id;
	pacl_free(acl);
	return 0;
}

unsigned
acl_text_options(const struct invocation *inv)
{
	return (inv->count[OPT_ABBREVIATE] > 0 ? PACL_ABBREVIATE : 0u) |
	       (inv->count[OPT_NUMERIC] > 0 ? PACL_NUMERIC_IDS : 0u) |
	       (inv->count[OPT_EFFECTIVE] == 1 ? PACL_SOME_EFFECTIVE : 0u) |
	       (inv->count[OPT_EFFECTIVE] > 1 ? PACL_ALL_EFFECTIVE : 0u) |
	       (inv->count[OPT_INDENT] > 0 ? PACL_SMART_INDENT : 0u);
}

static const char *
letters(unsigned perm, char dst[4])
{
	for (unsigned i = 0; i < 3; i++)
		dst[i] = (perm & (4u >> i)) != 0 ? "rwx"[i] : '-';
	dst[3] = '\0';
	return dst;
}

static void
entry_json(struct json *j, const struct pacl_row *row, unsigned mask)
{
	bool user = row->tag == PACL_USER, group = row->tag == PACL_GROUP;
	struct passwd *pw = user ? getpwuid(row->id) : NULL;
	struct group *gr = group ? getgrgid(row->id) : NULL;
	const char *word = "undefined";
	char text[4];

#define PACL_TAG(NAME, number, w, qualified) word = row->tag == number ? w : word;
	PACL_TAGS(PACL_TAG)
#undef PACL_TAG
	json_open(j, NULL, '{');
	json_str(j, "tag", word);
	if (user || group) {
		json_unsigned(j, "id", row->id);
		json_str(j, "name", pw != NULL ? pw->pw_name : gr != NULL ? gr->gr_name : NULL);
	}
	json_str(j, "perms", letters(row->perm, text));
	if (user || group || row->tag == PACL_GROUP_OBJ)
		json_str(j, "effective", letters(row->perm & mask, text));
	json_close(j);
}

static void
rows_json(struct json *j, const struct pacl *acl)
{
	size_t n = pacl_count(acl);
	struct pacl_row *row = calloc(n + 1, sizeof(*row));
	unsigned mask = 7;

	json_open(j, "entries", '[');
	n = row == NULL ? 0 : pacl_rows(acl, row, n);
	for (size_t i = 0; i < n; i++)
		mask = row[i].tag == PACL_MASK ? row[i].perm : mask;
	for (size_t i = 0; i < n; i++)
		entry_json(j, &row[i], mask);
	json_close(j);
	free(row);
}

void
acl_json(struct json *j, const char *key, enum pacl_type type, const struct pacl *acl)
{
	char *text = NULL, octal[8];
	mode_t mode = 0;
	int extended = pacl_equiv_mode(acl, &mode);

	json_open(j, key, '{');
	json_str(j, "type", type == PACL_DEFAULT ? "default" : "access");
	rows_json(j, acl);
	if (pacl_count(acl) > 0 && extended >= 0) {
		(void)str_format(octal, sizeof(octal), "%04o", (unsigned)mode & 0777);
		json_str(j, "mode", octal);
		json_bool(j, "extended", extended > 0);
	}
	json_bool(j, "valid", pacl_valid(acl));
	if (pacl_text_as(acl, NULL, ',', PACL_NUMERIC_IDS, &text) == 0)
		json_str(j, "text", text);
	free(text);
	json_close(j);
}
