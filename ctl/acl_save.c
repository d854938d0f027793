/*
 * sallyctl acl save and restore: the ACLs of a tree as text, in the format of
 * getfacl -R, which setfacl --restore reads, too, with one comment more.
 * Both are run by root over trees of tenants, who may have moved anything
 * anywhere in between: what is not what was saved is left alone.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "common/trusted.h"
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

/* What tells an object from another one that has its name, or its number, later. */
struct identity {
	unsigned long long inode;
	long long born;			/* seconds since 1970; 0 where the file system does not know */
	unsigned nanoseconds;
};

static int
identify(int fd, struct identity *id)
{
	struct statx st;

	*id = (struct identity){ .inode = 0 };
	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	id->inode = st.stx_ino;
	if ((st.stx_mask & STATX_BTIME) != 0) {
		id->born = st.stx_btime.tv_sec;
		id->nanoseconds = st.stx_btime.tv_nsec;
	}
	return 0;
}

static bool
same_identity(const struct identity *a, const struct identity *b)
{
	return a->inode == b->inode && a->born == b->born && a->nanoseconds == b->nanoseconds;
}

/* The place is one of acl_held(): a path that leads to the object itself. */
static int
print_identity(struct pacl_place at)
{
	struct identity id = { .inode = 0 };
	int fd = open(at.name, O_PATH | O_CLOEXEC), error = fd < 0 ? -errno : identify(fd, &id);

	if (fd >= 0)
		close(fd);
	if (error == 0)
		printf("# id: %llu %lld.%u\n", id.inode, id.born, id.nanoseconds);
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
		error = print_identity(at);
	}
	if (error == 0) {
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

/* A block of the file: one object, and what it was when it was saved. */
struct block {
	char *path;			/* NULL: no block yet */
	unsigned line;			/* of its name */
	char *text[2];			/* by enum pacl_type; each entry with a newline */
	bool has_owner, has_group, has_id;
	uint32_t owner, group;
	struct identity id;
};

/* Undoes print_name(), in place. */
static void
read_name(char *name)
{
	char *out = name;

	while (*name != '\0') {
		if (name[0] == '\\' && strspn(name + 1, "01234567") >= 3) {
			*out++ = (char)((name[1] - '0') << 6 | (name[2] - '0') << 3 | (name[3] - '0'));
			name += 4;
		} else
			*out++ = *name++;
	}
	*out = '\0';
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

/* A number or, as getfacl writes it without -n, a name. */
static bool
read_id(const char *text, enum pacl_tag tag, uint32_t *id)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*id = (uint32_t)n;
	return (*end == '\0' && end != text && n < UINT32_MAX) || pacl_nss.find(pacl_nss.context, tag, text, id) == 0;
}

/*
 * A path of any length: what of it the trusted walk can take, then name by name without a
 * single link, as the tree was walked when it was saved.
 */
static int
find(struct acl_object *o, const char *path)
{
	char head[TRUSTED_PATH_MAX / 2];
	const char *rest = path;
	int error;

	if (strlen(path) < sizeof(head))
		return acl_find(o, path);
	while (strchr(rest + 1, '/') != NULL && (size_t)(strchr(rest + 1, '/') - path) < sizeof(head))
		rest = strchr(rest + 1, '/');
	(void)str_copy(head, (size_t)(rest - path) + 1, path);
	error = acl_find(o, head);
	while (error == 0 && *(rest += strspn(rest, "/")) != '\0') {
		size_t n = strcspn(rest, "/");
		char name[NAME_MAX + 1];
		int above = o->fd;

		if (n >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, rest, n);
		name[n] = '\0';
		rest += n;
		o->fd = openat(above, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		error = o->fd < 0 || fstat(o->fd, &o->st) < 0 ? -errno : S_ISLNK(o->st.st_mode) ? -ELOOP : 0;
		close(above);
	}
	return error;
}

/*
 * Is it still what was saved?  In a tenant's tree any name can mean something
 * else by now: a file of root behind a second name, or another file of the tenant.
 */
static bool
is_the_same(const struct invocation *inv, const struct block *b, const struct acl_object *o)
{
	bool copied = inv->count[OPT_COPIED] > 0;
	struct identity id;

	if ((!b->has_owner || !b->has_group) && !copied)
		(void)ctl_fail(inv, 0, "%s: left alone, line %u and below do not say whose it was", b->path, b->line);
	else if ((b->has_owner && b->owner != o->st.st_uid) || (b->has_group && b->group != o->st.st_gid))
		(void)ctl_fail(inv, 0, "%s: left alone, it belongs to others (%u:%u) than when it was saved", b->path, o->st.st_uid,
		    o->st.st_gid);
	else if (b->has_id && !copied && (identify(o->fd, &id) != 0 || !same_identity(&id, &b->id)))
		(void)ctl_fail(inv, 0, "%s: left alone, it is another object than the one that was saved (--copied allows that)",
		    b->path);
	else
		return true;
	return false;
}

static int
apply_texts(const struct invocation *inv, struct block *b, struct acl_object *o)
{
	struct pacl_error e = { 0, "" };
	struct pacl *acl = NULL;
	int error = 0;

	for (int type = PACL_ACCESS; error == 0 && type <= PACL_DEFAULT; type++) {
		if (b->text[type] == NULL)
			continue;
		if ((error = pacl_parse(b->text[type], &pacl_nss, &acl, &e)) == SP_EFORMAT)
			(void)ctl_fail(inv, 0, "line %u and below: %s", b->line, e.text);
		if (error == 0)
			error = pacl_apply(acl_held(o), (enum pacl_type)type, acl);
		pacl_free(acl);
		acl = NULL;
	}
	return error;
}

static int
apply_block(const struct invocation *inv, struct block *b)
{
	struct acl_object o;
	int error = find(&o, b->path), result = CTL_OK;

	if (error == 0 && !is_the_same(inv, b, &o))
		result = CTL_FAILED;
	else if (error != 0 || (error = apply_texts(inv, b, &o)) != 0)
		result = acl_fail(inv, b->path, error);
	if (o.fd >= 0)
		close(o.fd);
	return result;
}

static int
end_block(const struct invocation *inv, struct block *b)
{
	int result = b->path != NULL ? apply_block(inv, b) : CTL_OK;

	free(b->path);
	free(b->text[0]);
	free(b->text[1]);
	memset(b, 0, sizeof(*b));
	return result;
}

static int
begin_block(const struct invocation *inv, struct block *b, const char *name, unsigned number)
{
	int result = end_block(inv, b);

	if ((b->path = strdup(name)) == NULL)
		return ctl_fail_code(inv, CTL_FAILED, name, -ENOMEM);
	read_name(b->path);
	b->line = number;
	return result;
}

/* As print_identity() writes it. */
static bool
read_identity(const char *text, struct identity *id)
{
	char *end;

	errno = 0;
	id->inode = strtoull(text, &end, 10);
	if (*end != ' ')
		return false;
	id->born = strtoll(end + 1, &end, 10);
	if (*end != '.')
		return false;
	id->nanoseconds = (unsigned)strtoul(end + 1, &end, 10);
	return errno == 0 && *end == '\0';
}

/* "# owner: 7" and its like; other comments mean nothing. A line that cannot be read is none. */
static void
take_comment(struct block *b, const char *line)
{
	if (strncmp(line, "# owner: ", 9) == 0)
		b->has_owner = read_id(line + 9, PACL_USER, &b->owner);
	else if (strncmp(line, "# group: ", 9) == 0)
		b->has_group = read_id(line + 9, PACL_GROUP, &b->group);
	else if (strncmp(line, "# id: ", 6) == 0)
		b->has_id = read_identity(line + 6, &b->id);
}

static int
take_line(const struct invocation *inv, struct block *b, char *line, unsigned number)
{
	bool def = strncmp(line, "default:", 8) == 0;

	if (strncmp(line, "# file: ", 8) == 0)
		return begin_block(inv, b, line + 8, number);
	if (*line == '#' || *line == '\0') {
		take_comment(b, line);
		return CTL_OK;
	}
	if (b->path == NULL)
		return ctl_fail(inv, CTL_FAILED, "line %u: an entry before the first # file: line", number);
	if (add_entry(&b->text[def], line + (def ? 8 : 0)) != 0)
		return ctl_fail_code(inv, CTL_FAILED, b->path, -ENOMEM);
	return CTL_OK;
}

int
acl_restore_command(struct invocation *inv)
{
	FILE *in = strcmp(inv->argv[0], "-") == 0 ? stdin : fopen(inv->argv[0], "re");
	int result = CTL_OK, one;
	struct block b = { .path = NULL };
	char *line = NULL;
	unsigned number = 0;
	size_t size = 0;

	if (in == NULL)
		return ctl_fail_code(inv, CTL_FAILED, inv->argv[0], -errno);
	while (getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = '\0';
		progress_step(inv, "lines", ++number);
		if ((one = take_line(inv, &b, line, number)) != CTL_OK)
			result = one;
	}
	if ((one = end_block(inv, &b)) != CTL_OK)
		result = one;
	progress_end(inv);
	free(line);
	if (in != stdin)
		fclose(in);
	return result;
}
