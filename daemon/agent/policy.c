/*
 * The session's policy: collected from the monitor's LAYER messages, compiled
 * once the process is the user, and given its view of the tree.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "authz/settings.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/agent.h"

#define LAYERS_MAX	64
#define LAYER_TEXT_MAX	(8u << 20)	/* all layers of one account together */
#define NAME_XATTR	"user.sallyport.name"
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

/* ----------------------------------------------------------------------- owners */

/* The folder being listed, while an answer is filled. */
static struct place listed;

void
policy_list_on(struct agent *a)
{
	tree_at(&a->tree, listed.chain_count > 0 ? &listed : NULL);
}

/* Is the folder at the listing's path still the one that is open? */
static bool
is_open_folder(int fd)
{
	struct stat st;

	return listed.error == 0 && listed.found && fstat(fd, &st) == 0 && st.st_ino == listed.st.stx_ino &&
	    st.st_dev == makedev(listed.st.stx_dev_major, listed.st.stx_dev_minor);
}

void
policy_list(struct agent *a, const char *typed, const char *path, int fd)
{
	tree_list(&a->tree, -1);
	root_leave(&listed);
	policy_list_on(a);
	if (!a->root.chain || fd < 0 || root_find(&a->root, "/", path, ROOT_NAME, &listed) != 0)
		return;
	if (!is_open_folder(fd) || str_copy(listed.typed, sizeof listed.typed, typed) != 0) {
		root_leave(&listed);
		return;
	}
	policy_list_on(a);
	tree_list(&a->tree, fd);
}

void
policy_give(struct agent *a, int fd, uint32_t dialect_uid, const char *name)
{
	char value[16];

	if (!authz_needs_tree(a->policy) || dialect_uid == AUTHZ_NOBODY)
		return;
	(void)str_format(value, sizeof value, "%u", dialect_uid);
	if (fsetxattr(fd, TREE_OWNER, value, strlen(value), 0) < 0)
		log_problem(EVENT_OWNER_NOT_RECORDED, a->user, -errno);
	else	/* for listings; decisions never look at it */
		(void)fsetxattr(fd, NAME_XATTR, name, strlen(name), 0);
}

const char *
policy_owner_name(const struct agent *a, char *name, size_t size)
{
	const struct tree *t = &a->tree;
	ssize_t n = t->list_fd < 0 || t->entry == NULL ? -1 : lgetxattr(t->entry, NAME_XATTR, name, size - 1);

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

		log_begin_at(&l, p->warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, EVENT_POLICY);
		log_str(&l, FIELD_FILE, p->file);
		log_num(&l, FIELD_LINE, p->line);
		log_num(&l, FIELD_COLUMN, p->column);
		log_str(&l, FIELD_REASON, p->text);
		log_str(&l, FIELD_EXPECTED, p->expected);
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
	tree_init(&a->tree, a->uid, a->dialect_uid);
	a->policy = authz_compile(layers.source, layers.n, &subject, &a->tree.hooks, &problems);
	report(&problems);
	authz_problems_clear(&problems);
	forget_layers();
	if (a->policy == NULL)
		return -ENOMEM;
	a->root.chain = authz_needs_tree(a->policy);
	return 0;
}
