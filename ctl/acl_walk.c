/* Walking over paths for "sallyctl acl". */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/acl.h"
#include "ctl/progress.h"

static int walk(struct acl_job *, int folder_fd, const char *leaf, const char *path);

static int
report(struct acl_job *job, const char *path, int error)
{
	if (job->inv->json) {
		json_open(&job->json, NULL, '{');
		json_str(&job->json, "path", path);
		json_str(&job->json, "error", sp_strerror(error));
		json_close(&job->json);
	}
	job->answer = ctl_fail_code(job->inv, CTL_FAILED, path, error);
	return error;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted, so that output can be compared. */
static int
read_names(int fd, char ***names, size_t *count)
{
	char **list = NULL, **more;
	size_t n = 0, room = 0;
	struct dirent *e;
	DIR *d = fdopendir(fd);
	int error = 0;

	if (d == NULL) {
		error = -errno;
		close(fd);
		return error;
	}
	while (error == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (n == room) {
			room = room == 0 ? 64 : room * 2;
			if ((more = realloc(list, room * sizeof(*list))) == NULL) {
				error = -ENOMEM;
				break;
			}
			list = more;
		}
		if ((list[n] = strdup(e->d_name)) == NULL)
			error = -ENOMEM;
		else
			n++;
	}
	closedir(d);
	if (list != NULL)
		qsort(list, n, sizeof(*list), by_name);
	*names = list;
	*count = n;
	return error;
}

static void
walk_below(struct acl_job *job, int folder_fd, const char *leaf, const char *path)
{
	char **names = NULL, *below;
	size_t n = 0;
	int fd, error;

	fd = openat(folder_fd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	error = fd < 0 ? -errno : read_names(dup(fd), &names, &n);
	if (error != 0)
		(void)report(job, path, error);
	for (size_t i = 0; i < n; i++) {
		if (asprintf(&below, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", names[i]) > 0) {
			(void)walk(job, fd, names[i], below);
			free(below);
		}
		free(names[i]);
	}
	free(names);
	if (fd >= 0)
		close(fd);
}

static int
walk(struct acl_job *job, int folder_fd, const char *leaf, const char *path)
{
	struct stat st;
	int error = 0;

	if (fstatat(folder_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return report(job, path, -errno);
	if (S_ISLNK(st.st_mode))
		return 0;
	progress_step(job->inv, "objects", ++job->done);
	/* Below a folder given with --default only folders are meant. */
	if (job->type == PACL_ACCESS || S_ISDIR(st.st_mode))
		error = job->one(job, pacl_at_leaf(folder_fd, leaf), path, &st);
	if (error != 0)
		(void)report(job, path, error);
	if (S_ISDIR(st.st_mode))
		walk_below(job, folder_fd, leaf, path);
	return error;
}

/* One path of the command line: links in it are the administrator's own words. */
static void
begin(struct acl_job *job, const char *path)
{
	struct stat st;
	int fd, error;

	if ((fd = open(path, O_PATH | O_CLOEXEC)) < 0 || fstat(fd, &st) < 0)
		(void)report(job, path, -errno);
	else if (job->inv->count[OPT_RECURSIVE] > 0 && S_ISDIR(st.st_mode))
		(void)walk(job, fd, ".", path);
	else if (S_ISDIR(st.st_mode)) {
		job->done++;
		if ((error = job->one(job, pacl_at_leaf(fd, "."), path, &st)) != 0)
			(void)report(job, path, error);
	} else {
		job->done++;
		if ((error = job->one(job, pacl_at_path(path), path, &st)) != 0)
			(void)report(job, path, error);
	}
	if (fd >= 0)
		close(fd);
}

int
acl_run(struct acl_job *job, struct invocation *inv, char **paths, int n)
{
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), printed;

	job->inv = inv;
	job->type = inv->count[OPT_DEFAULT] > 0 ? PACL_DEFAULT : PACL_ACCESS;
	json_init(&job->json);
	json_open(&job->json, NULL, '[');
	for (int i = 0; i < n; i++) {
		begin(job, paths[i]);
		/* A leaf is reached from inside its folder (posixacl.h); the next path starts from ours again. */
		if (here >= 0 && fchdir(here) < 0)
			(void)report(job, paths[i], -errno);
	}
	progress_end(inv);
	if (here >= 0)
		close(here);
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
