/*
 * sallyctl acl save and restore: the ACLs of a tree as text, in the format of
 * getfacl -R, which setfacl --restore reads, too.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/acl.h"
#include "ctl/progress.h"

/* Names with anything unusual in them have those bytes in octal. */
static void
print_name(const char *name)
{
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name <= ' ' || *name == '\\' || *name == '=' || *name == '#' ||
		    (unsigned char)*name >= 0x7f)
			printf("\\%03o", (unsigned char)*name);
		else
			putchar(*name);
	}
}

static int
print_entries(const struct invocation *inv, const char *prefix, const struct pacl *acl)
{
	char *text;
	int error = pacl_text_as(acl, prefix, '\n', acl_text_options(inv), &text);

	if (error == 0 && *text != '\0')
		puts(text);
	free(text);
	return error;
}

static int
save_one(struct acl_job *job, struct pacl_place at, const char *path, const struct stat *st)
{
	struct pacl *acl, *def = NULL;
	int error = pacl_get(at, PACL_ACCESS, &acl);

	if (error == 0 && S_ISDIR(st->st_mode) && (error = pacl_get(at, PACL_DEFAULT, &def)) == -EOPNOTSUPP)
		error = 0;
	if (error == 0) {
		printf("# file: ");
		print_name(path);
		printf("\n# owner: %u\n# group: %u\n", st->st_uid, st->st_gid);
		error = print_entries(job->inv, NULL, acl);
	}
	if (error == 0 && def != NULL && pacl_count(def) > 0)
		error = print_entries(job->inv, "default:", def);
	if (error == 0)
		putchar('\n');
	pacl_free(acl);
	pacl_free(def);
	return error;
}

int
acl_save_command(struct invocation *inv)
{
	struct acl_job job = { .one = save_one };

	if (inv->json)
		return ctl_fail(inv, CTL_USAGE, "a saved tree is text; acl get --json gives JSON");
	inv->count[OPT_NUMERIC] = 1;
	return acl_run(&job, inv, inv->argv, inv->argc);
}

/* A block of the file: one object. */
struct block {
	char path[4096];
	unsigned line;			/* of its name */
	char *text[2];			/* by enum pacl_type; each entry with a newline */
};

static void
read_name(const char *name, char *dst, size_t size)
{
	size_t n = 0;

	while (*name != '\0' && n + 1 < size) {
		if (name[0] == '\\' && strspn(name + 1, "01234567") >= 3) {
			dst[n++] = (char)((name[1] - '0') << 6 | (name[2] - '0') << 3 | (name[3] - '0'));
			name += 4;
		} else
			dst[n++] = *name++;
	}
	dst[n] = '\0';
}

static int
add_entry(char **text, const char *entry)
{
	char *longer;

	if (asprintf(&longer, "%s%s\n", *text != NULL ? *text : "", entry) < 0)
		return -ENOMEM;
	free(*text);
	*text = longer;
	return 0;
}

/* Opens the folder of a path; leaf points into path. */
static int
open_folder(char *path, const char **leaf)
{
	char *slash = strrchr(path, '/');
	int fd;

	if (slash == NULL || slash[1] == '\0') {
		*leaf = slash == NULL ? path : ".";
		return open(slash == NULL ? "." : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	*slash = '\0';
	fd = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*leaf = slash + 1;
	return fd;
}

static int
apply_block(const struct invocation *inv, struct block *b, int here)
{
	struct pacl_error e = { 0, "" };
	struct pacl *acl = NULL;
	const char *leaf;
	char copy[4096];
	int error = 0, fd;

	(void)str_copy(copy, sizeof(copy), b->path);
	if ((fd = open_folder(copy, &leaf)) < 0)
		return ctl_fail_code(inv, CTL_FAILED, b->path, -errno);
	for (int type = PACL_ACCESS; error == 0 && type <= PACL_DEFAULT; type++) {
		if (b->text[type] == NULL)
			continue;
		if ((error = pacl_parse(b->text[type], &pacl_nss, &acl, &e)) == SP_EFORMAT)
			(void)ctl_fail(inv, 0, "line %u and below: %s", b->line, e.text);
		if (error == 0)
			error = pacl_apply(pacl_at_leaf(fd, leaf), (enum pacl_type)type, acl);
		pacl_free(acl);
		acl = NULL;
	}
	close(fd);
	if (error == 0 && fchdir(here) < 0)
		error = -errno;
	return error == 0 ? CTL_OK : ctl_fail_code(inv, CTL_FAILED, b->path, error);
}

static int
end_block(const struct invocation *inv, struct block *b, int here)
{
	int result = b->path[0] != '\0' ? apply_block(inv, b, here) : CTL_OK;

	free(b->text[0]);
	free(b->text[1]);
	memset(b, 0, sizeof(*b));
	return result;
}

static int
take_line(const struct invocation *inv, struct block *b, char *line, unsigned number, int here)
{
	int result = CTL_OK;

	if (strncmp(line, "# file: ", 8) == 0) {
		result = end_block(inv, b, here);
		read_name(line + 8, b->path, sizeof(b->path));
		b->line = number;
	} else if (*line == '#' || *line == '\0')
		return CTL_OK;
	else if (b->path[0] == '\0')
		return ctl_fail(inv, CTL_FAILED, "line %u: an entry before the first # file: line", number);
	else if (add_entry(&b->text[strncmp(line, "default:", 8) == 0],
		     line + (strncmp(line, "default:", 8) == 0 ? 8 : 0)) != 0)
		return ctl_fail_code(inv, CTL_FAILED, b->path, -ENOMEM);
	return result;
}

int
acl_restore_command(struct invocation *inv)
{
	FILE *in = strcmp(inv->argv[0], "-") == 0 ? stdin : fopen(inv->argv[0], "re");
	int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), result = CTL_OK, one;
	struct block b = { .path = "" };
	char *line = NULL;
	unsigned number = 0;
	size_t size = 0;

	if (in == NULL)
		return ctl_fail_code(inv, CTL_FAILED, inv->argv[0], -errno);
	while (getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		progress_step(inv, "lines", ++number);
		if ((one = take_line(inv, &b, line, number, here)) != CTL_OK)
			result = one;
	}
	if ((one = end_block(inv, &b, here)) != CTL_OK)
		result = one;
	progress_end(inv);
	free(line);
	if (in != stdin)
		fclose(in);
	if (here >= 0)
		close(here);
	return result;
}
