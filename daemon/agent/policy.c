/*
 * The session's policy: collected from the monitor's LAYER messages, compiled
 * once the process is the user, and given its view of the tree.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/settings.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/agent.h"

#define LAYERS_MAX	64
#define LAYER_TEXT_MAX	(8u << 20)	/* all layers of one account together */
#define OWNER_XATTR	"user.sallyport.owner"
#define NAME_XATTR	"user.sallyport.name"
#define OWNER_SIZE	16
#define GROUP_NAMES_MAX	256

/* What LAYER messages said, until it is compiled. */
static struct {
	size_t n, bytes;
	bool more;		/* the last text goes on */
	struct authz_source *source;
} layers;

static char *
copy(const char *s)
{
	char *t = strdup(s);

	if (t != NULL)
		layers.bytes += strlen(s) + 1;
	return t;
}

/* Appends text to the layer's. 0 or a negative code. */
static int
add_text(struct authz_source *s, const uint8_t *text, size_t len)
{
	size_t have = s->text == NULL ? 0 : strlen(s->text);
	char *t;

	if (memchr(text, '\0', len) != NULL)
		return SP_EFORMAT;
	if ((layers.bytes += len + 1) > LAYER_TEXT_MAX)
		return SP_ERANGE;
	t = realloc((char *)(uintptr_t)s->text, have + len + 1);
	if (t == NULL)
		return -ENOMEM;
	memcpy(t + have, text, len);
	t[have + len] = '\0';
	s->text = t;
	return 0;
}

int
policy_add(struct agent *a, const struct msg_layer *m)
{
	struct authz_source *s;
	int r;

	(void)a;
	if (!layers.more) {
		if (layers.n == LAYERS_MAX)
			return SP_ERANGE;
		if (layers.source == NULL && (layers.source = calloc(LAYERS_MAX, sizeof *layers.source)) == NULL)
			return -ENOMEM;
		s = &layers.source[layers.n++];
		s->dialect = copy(m->dialect);
		s->prefix = copy(m->prefix);
		s->file = copy(m->origin);
		s->section = copy(m->section);
		s->scope = (enum authz_scope)m->scope;
		s->line = m->line;
		if (s->dialect == NULL || s->prefix == NULL || s->file == NULL || s->section == NULL)
			return -ENOMEM;
	}
	r = add_text(&layers.source[layers.n - 1], m->text, m->text_len);
	layers.more = m->more != 0;
	return r;
}

static void
forget_layers(void)
{
	for (size_t i = 0; i < layers.n; i++) {
		free((char *)(uintptr_t)layers.source[i].dialect);
		free((char *)(uintptr_t)layers.source[i].prefix);
		free((char *)(uintptr_t)layers.source[i].file);
		free((char *)(uintptr_t)layers.source[i].section);
		free((char *)(uintptr_t)layers.source[i].text);
	}
	free(layers.source);
	memset(&layers, 0, sizeof layers);
}

/* --------------------------------------------------- what the tree says of itself */

static void
identify(const struct stat *st, struct authz_identity *id)
{
	memset(id, 0, sizeof *id);
	id->device = st->st_dev;
	id->inode = st->st_ino;
	id->size = (uint64_t)st->st_size;
	id->ctime_s = st->st_ctim.tv_sec;
	id->ctime_ns = st->st_ctim.tv_nsec;
}

static int
read_all(int fd, char *text, size_t *len)
{
	ssize_t n;

	*len = 0;
	while (*len < AUTHZ_CONTROL_MAX && (n = read(fd, text + *len, AUTHZ_CONTROL_MAX - *len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		*len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int
read_control(int fd, const struct authz_identity *known, struct authz_identity *found, char *text, size_t *len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > AUTHZ_CONTROL_MAX)
		return -EFBIG;
	identify(&st, found);
	if (known != NULL && memcmp(known, found, sizeof *found) == 0)
		return 1;
	return read_all(fd, text, len);
}

static int
tree_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	static char path[ROOT_PATH_MAX + 1];
	struct agent *a = context;
	int fd, r;

	r = str_format(path, sizeof path, "%s/%s", folder[1] == '\0' ? "" : folder, name);
	if (r != 0)
		return -ENAMETOOLONG;
	fd = root_open_control(&a->root, path);
	if (fd < 0)
		return fd;
	r = read_control(fd, known, found, text, len);
	close(fd);
	return r;
}

/* What an attribute of n bytes (or -1) and the Unix owner say. */
static uint32_t
owner_from(const struct agent *a, char value[static OWNER_SIZE + 1], ssize_t n, uid_t uid)
{
	unsigned long owner;
	char *end;

	if (n > 0 && n <= OWNER_SIZE) {
		value[n] = '\0';
		errno = 0;
		owner = strtoul(value, &end, 10);
		return *end == '\0' && errno == 0 && owner < AUTHZ_NOBODY ? (uint32_t)owner : AUTHZ_NOBODY;
	}
	/* A Unix user of its own whose number is the account's: virtual ones share theirs and prove nothing by it. */
	return uid == a->uid && a->dialect_uid == a->uid ? a->dialect_uid : AUTHZ_NOBODY;
}

static uint32_t
owner_of(const struct agent *a, int fd, const struct stat *st)
{
	char value[OWNER_SIZE + 1];

	return owner_from(a, value, fgetxattr(fd, OWNER_XATTR, value, OWNER_SIZE), st->st_uid);
}

/*
 * A listing asks for the owner of each entry, whose folder it holds open and
 * whose facts it has: one system call instead of four.
 */
static struct {
	const char *folder;	/* NULL: no listing goes on */
	size_t len;
	uint32_t owner;		/* of the folder */
	const char *name;	/* the entry being listed */
	uid_t uid;
} listed;

void
policy_list(struct agent *a, const char *folder, int folder_fd)
{
	struct stat st;

	listed.folder = listed.name = NULL;
	if (folder == NULL || !authz_needs_tree(a->policy) || fchdir(folder_fd) < 0 || fstat(folder_fd, &st) < 0)
		return;
	listed.owner = owner_of(a, folder_fd, &st);
	listed.folder = folder;
	listed.len = folder[1] == '\0' ? 0 : strlen(folder);
}

void
policy_list_entry(const char *name, uid_t uid)
{
	listed.name = name;
	listed.uid = uid;
}

static bool
is_listed_folder(const char *path)
{
	return listed.folder != NULL && strcmp(path, listed.folder) == 0;
}

static bool
is_listed(const char *path)
{
	return listed.folder != NULL && listed.name != NULL && strncmp(path, listed.folder, listed.len) == 0 &&
	    path[listed.len] == '/' && strcmp(path + listed.len + 1, listed.name) == 0;
}

static int
tree_owner(void *context, const char *path, uint32_t *owner)
{
	struct agent *a = context;
	char value[OWNER_SIZE + 1];
	struct stat st;
	int fd;

	if (is_listed(path)) {
		*owner = owner_from(a, value, lgetxattr(listed.name, OWNER_XATTR, value, OWNER_SIZE), listed.uid);
		return 0;
	}
	*owner = listed.owner;
	if (is_listed_folder(path))
		return 0;
	*owner = AUTHZ_NOBODY;
	fd = path[1] == '\0' ? fcntl(a->root.fd, F_DUPFD_CLOEXEC, 0) : root_open_control(&a->root, path);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	if (fd < 0)
		return 0;	/* it cannot be read: nobody owns it */
	if (fstat(fd, &st) == 0)
		*owner = owner_of(a, fd, &st);
	close(fd);
	return 0;
}

void
policy_give(struct agent *a, int fd, uint32_t dialect_uid, const char *name)
{
	char value[16];

	if (!authz_needs_tree(a->policy) || dialect_uid == AUTHZ_NOBODY)
		return;
	(void)str_format(value, sizeof value, "%u", dialect_uid);
	if (fsetxattr(fd, OWNER_XATTR, value, strlen(value), 0) < 0)
		log_problem(LOG_LEVEL_WARNING, "owner-not-recorded", a->user, -errno);
	else	/* for listings; decisions never look at it */
		(void)fsetxattr(fd, NAME_XATTR, name, strlen(name), 0);
}

const char *
policy_owner_name(char *name, size_t size)
{
	ssize_t n = listed.folder == NULL || listed.name == NULL ? -1 : lgetxattr(listed.name, NAME_XATTR, name, size - 1);

	if (n <= 0)
		return NULL;
	name[n] = '\0';
	/* Whoever has a shell and owns the file may have written anything there. */
	for (char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			*p = '_';
	return name;
}

void
policy_own(struct agent *a, int fd)
{
	policy_give(a, fd, a->dialect_uid, a->user);
}

/* ---------------------------------------------------------------- compilation */

/* Splits "a,b,c" in place. */
static size_t
split(char *text, const char **names)
{
	size_t n = 0;
	char *name;

	while (n < GROUP_NAMES_MAX && (name = strsep(&text, ",")) != NULL)
		if (*name != '\0')
			names[n++] = name;
	return n;
}

static void
report(const struct authz_problems *problems)
{
	size_t kept = problems->count < AUTHZ_PROBLEMS_MAX ? problems->count : AUTHZ_PROBLEMS_MAX;

	for (size_t i = 0; i < kept; i++) {
		const struct authz_problem *p = &problems->list[i];
		struct log_line l;

		log_begin(&l, p->warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "policy");
		log_str(&l, "file", p->file);
		log_num(&l, "line", p->line);
		log_num(&l, "column", p->column);
		log_str(&l, "problem", p->text);
		log_str(&l, "expected", p->expected);
		log_end(&l);
	}
}

int
policy_begin(struct agent *a, const struct msg_profile *p)
{
	static const char *names[GROUP_NAMES_MAX];
	struct authz_problems problems = { 0 };
	struct authz_subject subject = {
		.user = a->user, .dialect_uid = a->dialect_uid, .uid = a->uid, .gid = a->gid,
		.groups = a->groups, .group_count = a->group_count, .group_names = names,
		.may_change_password = (a->flags & PROFILE_OWN_PASSWORD) != 0,
		.home = (a->flags & PROFILE_JAIL) != 0 ? p->home : "/",
		.choices = authz_choices_of(a->set),
	};

	subject.group_name_count = split((char *)(uintptr_t)p->group_names, names);
	a->tree = (struct authz_tree){ a, tree_control, tree_owner };
	a->policy = authz_compile(layers.source, layers.n, &subject, &a->tree, &problems);
	report(&problems);
	authz_problems_clear(&problems);
	forget_layers();
	return a->policy == NULL ? -ENOMEM : 0;
}
