/* An account's policy without the server; see policy.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "account/source.h"
#include "authz/kernel.h"
#include "authz/settings.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/policy.h"

#define OWNER_XATTR "user.sallyport.owner"

/* ----------------------------------------------------------------- the account */

void
view_begin(struct view *v, const struct invocation *inv, struct conf *conf)
{
	const struct conf_list *names = &conf_server(conf)->accounts;

	memset(v, 0, sizeof(*v));
	v->root_fd = -1;
	v->conf = conf;
	v->sources.conf = conf;
	for (size_t i = 0; i < names->n && v->sources.count < ACCOUNT_SOURCES_MAX; i++) {
		const struct account_source *s = account_source_named(names->v[i]);
		void *state = NULL;
		int r = s == NULL ? -ENOSYS : s->open == NULL ? 0 : s->open(conf, &state);

		if (r == 0)
			v->sources.entry[v->sources.count++] = (struct account_opened){ s, state };
		else if (!inv->quiet)
			(void)ctl_fail_code(inv, CTL_FAILED, names->v[i], r);
	}
}

static void
forget(struct view *v)
{
	authz_free(v->policy);
	v->policy = NULL;
	authz_problems_clear(&v->problems);
	if (v->found)
		account_free(&v->account);
	if (v->rules_only)
		conf_resolved_free(&v->rules);
	if (v->root_fd >= 0)
		close(v->root_fd);
	v->root_fd = -1;
	for (size_t i = 0; i < v->subject.group_name_count; i++)
		free((char *)(uintptr_t)v->group_names[i]);
	memset(&v->subject, 0, sizeof(v->subject));
	v->found = v->refused = v->rules_only = false;
	v->why[0] = '\0';
}

void
view_end(struct view *v)
{
	forget(v);
	account_sources_close(&v->sources);
}

static void
add_group_name(struct view *v, const char *name)
{
	char *copy = name != NULL && v->subject.group_name_count < VIEW_GROUPS_MAX ? strdup(name) : NULL;

	if (copy != NULL)
		v->group_names[v->subject.group_name_count++] = copy;
}

/* The account's group sections, and the names of its Unix groups, for user classes. */
static void
collect_groups(struct view *v)
{
	const struct account *a = &v->account;
	const struct settings *s = &a->resolved->s;
	struct group *g = getgrgid(a->gid);

	for (size_t i = 0; i < s->groups.n; i++)
		add_group_name(v, s->groups.v[i]);
	add_group_name(v, g != NULL ? g->gr_name : NULL);
	for (unsigned i = 0; i < a->group_count; i++) {
		g = getgrgid(a->groups[i]);
		add_group_name(v, g != NULL ? g->gr_name : NULL);
	}
	v->subject.group_names = v->group_names;
}

/* Where the account's "/" lies and where it starts, as the monitor has it. */
static void
place(struct view *v)
{
	const struct account *a = &v->account;
	const struct settings *s = &a->resolved->s;
	const char *text = s->home != NULL ? s->home : a->home;
	char home[VIEW_PATH_MAX] = "/";

	if (text == NULL || account_expand(a, text, home, sizeof(home)) != 0)
		(void)str_copy(home, sizeof(home), "/");
	(void)str_copy(v->root, sizeof(v->root), s->jail ? home : "/");
	(void)str_copy(
	    v->start, sizeof(v->start), s->jail || (s->start != NULL && strcmp(s->start, "/") != 0) ? s->start : home);
	v->root_fd = open(v->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int
tree_open(const struct view *v, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
	    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = v->root_fd < 0
		     ? -1
		     : (int)syscall(SYS_openat2, v->root_fd, path[1] != '\0' ? path + 1 : ".", &how, sizeof(how));

	return fd >= 0 ? fd : v->root_fd < 0 ? -ENOENT : -errno;
}

static int
tree_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	const struct view *v = context;
	char path[VIEW_PATH_MAX];
	struct stat st;
	ssize_t n;
	int fd;

	if (str_format(path, sizeof(path), "%s/%s", folder[1] != '\0' ? folder : "", name) != 0)
		return -ENAMETOOLONG;
	if ((fd = tree_open(v, path, O_RDONLY)) < 0)
		return fd;
	n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= AUTHZ_CONTROL_MAX
		? read(fd, text, AUTHZ_CONTROL_MAX)
		: -1;
	close(fd);
	if (n < 0)
		return -EIO;
	*len = (size_t)n;
	found->device = st.st_dev;
	found->inode = st.st_ino;
	found->size = (uint64_t)st.st_size;
	found->ctime_s = st.st_ctim.tv_sec;
	found->ctime_ns = st.st_ctim.tv_nsec;
	return known != NULL && memcmp(known, found, sizeof(*found)) == 0 ? 1 : 0;
}

static int
tree_owner(void *context, const char *path, uint32_t *owner)
{
	const struct view *v = context;
	char value[16], *end, proc[64];
	int fd = tree_open(v, path, O_PATH);
	struct stat st;
	ssize_t n;

	*owner = AUTHZ_NOBODY;
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? -ENOENT : 0;
	(void)str_format(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = getxattr(proc, OWNER_XATTR, value, sizeof(value) - 1);
	if (n > 0) {
		value[n] = '\0';
		*owner = (uint32_t)strtoul(value, &end, 10);
		if (*end != '\0')
			*owner = AUTHZ_NOBODY;
	} else if (fstat(fd, &st) == 0 && st.st_uid == v->subject.uid && v->subject.dialect_uid == v->subject.uid)
		*owner = v->subject.dialect_uid;
	close(fd);
	return 0;
}

struct piece {
	const char *at;
	size_t len;
};

/* The text of a line as a layer has it: without its indentation, and without the key in front. */
static struct piece
layer_line(const struct conf_layers *layers, const char *file, unsigned line)
{
	for (size_t i = 0; i < layers->n; i++) {
		const struct conf_layer *l = &layers->v[i];
		const char *p = l->text;
		unsigned n = l->line;

		if (l->file == NULL || file == NULL || strcmp(l->file, file) != 0)
			continue;
		for (; p != NULL && n < line; n++)
			p = strchr(p, '\n') != NULL ? strchr(p, '\n') + 1 : NULL;
		if (p != NULL && n == line)
			return (struct piece){ p, strcspn(p, "\n") };
	}
	return (struct piece){ NULL, 0 };
}

/* Where a layer's line begins in its file; 0 when it is not to be found there. */
static size_t
indentation(const char *file, unsigned line, const char *text, size_t len)
{
	FILE *in = fopen(file, "re");
	char *buf = NULL;
	size_t size = 0, at = 0;
	const char *p;

	while (in != NULL && line > 0 && getline(&buf, &size, in) >= 0)
		if (--line == 0 && (p = memmem(buf, strlen(buf), text, len)) != NULL)
			at = (size_t)(p - buf);
	if (in != NULL)
		fclose(in);
	free(buf);
	return at;
}

/* The engine counts columns in the text it was given; people count them in their file. */
static void
fix_columns(struct view *v, const struct conf_layers *layers)
{
	size_t kept = v->problems.count < AUTHZ_PROBLEMS_MAX ? v->problems.count : AUTHZ_PROBLEMS_MAX;

	for (size_t i = 0; i < kept; i++) {
		struct authz_problem *p = &v->problems.list[i];
		struct piece text = p->column > 0 ? layer_line(layers, p->file, p->line) : (struct piece){ NULL, 0 };

		if (text.len > 0)
			p->column += (unsigned)indentation(p->file, p->line, text.at, text.len);
	}
}

static int
compile(struct view *v, const struct settings *s)
{
	const struct conf_layers *layers = &s->layer;
	struct authz_source *sources = calloc(layers->n + 1, sizeof(*sources));

	if (sources == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < layers->n; i++) {
		const struct conf_layer *l = &layers->v[i];

		sources[i] = (struct authz_source){ l->dialect, l->text, l->prefix, l->file, l->line,
		    authz_scope_of(l, s), l->section };
	}
	v->tree = (struct authz_tree){ v, tree_control, tree_owner };
	v->policy = authz_compile(sources, layers->n, &v->subject, &v->tree, &v->problems);
	free(sources);
	fix_columns(v, layers);
	return v->policy != NULL ? 0 : -ENOMEM;
}

/* What keeps the account out before any policy is asked, as far as it can be told without a client. */
static void
check_state(struct view *v, const struct account_query *q)
{
	enum account_reason reason = account_check_rules(q, &v->account, time(NULL));

	v->refused = reason == REASON_DISABLED || reason == REASON_EXPIRED || reason == REASON_TIME;
	if (v->refused)
		(void)str_format(
		    v->why, sizeof(v->why), "the account cannot log in now: %s", account_reason_word(reason));
}

int
view_take(struct view *v, const char *user)
{
	struct account_query q = { .user = user, .base = conf_server(v->conf), .tls = true };
	enum account_reason why = REASON_NONE;
	enum account_result r;

	forget(v);
	if (!account_name_ok(user)) {
		(void)str_copy(v->why, sizeof(v->why), "no account can have that name");
		return CTL_FAILED;
	}
	account_init(&v->account, user);
	r = account_find(&v->sources, &q, &v->account, &why);
	v->found = true;	/* to be freed */
	if (r != ACCOUNT_FOUND) {
		(void)str_format(v->why, sizeof(v->why), "no source knows the account: %s",
		    r == ACCOUNT_UNKNOWN ? account_result_word(r) : account_reason_word(why));
		return CTL_FAILED;
	}
	v->subject = (struct authz_subject){ .user = v->account.name,
		.uid = v->account.uid,
		.gid = v->account.gid,
		.groups = v->account.groups,
		.group_count = v->account.group_count,
		.dialect_uid = v->account.dialect_uid >= 0 ? (uint32_t)v->account.dialect_uid : v->account.uid,
		.may_change_password = v->account.resolved->s.change_password,
		.choices = authz_choices_of(&v->account.resolved->s) };
	collect_groups(v);
	place(v);
	v->subject.home = v->root;
	check_state(v, &q);
	if (compile(v, &v->account.resolved->s) == 0)
		return CTL_OK;
	(void)str_copy(v->why, sizeof(v->why), "out of memory");
	return CTL_FAILED;
}

int
view_take_rules(struct view *v, const char *user, const char *group)
{
	struct conf_subject who = {
		.user = user, .groups = group != NULL ? &group : NULL, .group_count = group != NULL
	};
	int r;

	forget(v);
	v->subject =
	    (struct authz_subject){ .user = user, .dialect_uid = AUTHZ_NOBODY, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	r = conf_resolve(v->conf, &who, &v->rules);
	if (r != 0) {
		(void)str_copy(v->why, sizeof(v->why), sp_strerror(r));
		return CTL_FAILED;
	}
	v->rules_only = true;
	v->subject.choices = authz_choices_of(&v->rules.s);
	return compile(v, &v->rules.s) == 0 ? CTL_OK : CTL_FAILED;
}

/* ---------------------------------------------------------------- the question */

/* Appends the parts of text to the canonical path dst. */
static int
join(char *dst, const char *text)
{
	size_t len = strlen(dst), n;

	for (;; text += n) {
		while (*text == '/')
			text++;
		n = strcspn(text, "/");
		if (n == 0)
			return 0;
		if (n == 1 && text[0] == '.')
			continue;
		if (n == 2 && text[0] == '.' && text[1] == '.') {
			while (len > 1 && dst[--len] != '/')
				;
			dst[len > 1 ? len : 1] = '\0';
			len = strlen(dst);
			continue;
		}
		if (len + n + 2 > VIEW_PATH_MAX)
			return -ENAMETOOLONG;
		if (len > 1)
			dst[len++] = '/';
		memcpy(dst + len, text, n);
		dst[len += n] = '\0';
	}
}

static int
canonical(const struct view *v, const char *typed, char *dst)
{
	int r = 0;

	(void)str_copy(dst, VIEW_PATH_MAX, "/");
	if (typed[0] != '/')
		r = join(dst, v->start);
	return r != 0 ? r : join(dst, typed);
}

static bool
about_folders(enum authz_op op)
{
	return op == AUTHZ_OP_LIST || op == AUTHZ_OP_NLST || op == AUTHZ_OP_CWD || op == AUTHZ_OP_RMD;
}

/* What the path is, as far as the tree says. */
static void
look_at(struct view *v, enum authz_op op, const char *typed, struct asked *a, size_t i)
{
	struct authz_object *o = &a->steps[i].object;
	struct kernel_facts *facts = NULL;
	size_t n = strlen(typed);

	o->kind = about_folders(op) || (n > 1 && typed[n - 1] == '/') ? AUTHZ_FOLDER : AUTHZ_MISSING;
	if (v->root_fd < 0 || kernel_look(v->root, o->path, kernel_op_on_link(op), &facts) != 0)
		return;
	if (kernel_facts_kind(facts) != AUTHZ_MISSING)
		o->kind = kernel_facts_kind(facts);
	if (str_copy(a->resolved[i], VIEW_PATH_MAX, kernel_facts_resolved(facts)) == 0 &&
	    strcmp(a->resolved[i], o->path) != 0)
		o->resolved = a->resolved[i];
	kernel_facts_free(facts);
}

static void
ask_kernel(struct view *v, struct asked *a, size_t i, const char *other)
{
	struct authz_step *s = &a->steps[i];
	int r;

	if (v->root_fd < 0) {
		s->kernel.text = NULL;
		return;
	}
	r = kernel_predict(
	    &v->subject, v->root, s->op, s->object.path, other, kernel_nss_name, a->kernel[i], sizeof(a->kernel[i]));
	s->kernel = (struct authz_kernel){ r >= 0, r == 1, r == -ENOENT ? NULL : a->kernel[i] };
}

/* Commands that stand for two operations. */
static const struct pair {
	const char *command;
	enum authz_op first, second;
} pairs[] = {
	{ "RNFR+RNTO", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO },
	{ "RENAME", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO },
	{ "RNFR", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO },
	{ "SITE COPY", AUTHZ_OP_RETR, AUTHZ_OP_STOR },
};

static const struct pair *
find_pair(const struct question *q)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (str_same(q->command, pairs[i].command) && (q->path2 != NULL || i != 2))
			return &pairs[i];
	return NULL;
}

static const char *
add_step(struct view *v, struct asked *a, enum authz_op op, const char *role, const char *typed)
{
	size_t i = a->n++;
	struct authz_step *s = &a->steps[i];

	s->op = op;
	s->role = role;
	if (authz_op_session(op))
		return NULL;
	if (typed == NULL)
		return "the command needs a path";
	if (canonical(v, typed, a->path[i]) != 0)
		return "the path is too long";
	s->object.path = a->path[i];
	look_at(v, op, typed, a, i);
	return NULL;
}

const char *
view_ask(struct view *v, const struct question *q, bool kernel, struct asked *a)
{
	const struct pair *pair = find_pair(q);
	const char *wrong;
	bool rename = pair != NULL && pair->first == AUTHZ_OP_RNFR;
	int op = pair != NULL ? (int)pair->first : authz_command(q->command);

	memset(a->steps, 0, sizeof(a->steps));
	a->n = 0;
	a->never_gated = op == AUTHZ_NEVER_GATED;
	if (op == AUTHZ_UNKNOWN_COMMAND)
		return "that is no command";
	if (a->never_gated)
		return NULL;
	if (pair == NULL && q->path2 != NULL)
		return "the command takes one path";
	wrong = add_step(v, a, (enum authz_op)op, pair != NULL ? "source" : NULL, q->path);
	if (wrong == NULL && pair != NULL)
		wrong =
		    q->path2 == NULL ? "the command needs two paths" : add_step(v, a, pair->second, "target", q->path2);
	if (wrong != NULL || !kernel)
		return wrong;
	ask_kernel(v, a, 0, a->n == 2 && rename ? a->path[1] : NULL);
	if (a->n == 2)
		ask_kernel(v, a, 1, rename ? a->path[0] : NULL);
	return NULL;
}

/* ------------------------------------------------------------------- all of them */

/* Whether the configuration has this problem already: accounts share layers. */
static bool
known_problem(const struct conf *conf, const struct authz_problem *p, const char *what)
{
	const struct conf_problem *q;

	for (size_t i = 0; (q = conf_problem_at(conf, i)) != NULL; i++)
		if (q->line == p->line && strcmp(q->what, what) == 0 &&
		    strcmp(q->file, p->file != NULL ? p->file : "") == 0)
			return true;
	return false;
}

static void
add_problems(struct view *v)
{
	size_t kept = v->problems.count < AUTHZ_PROBLEMS_MAX ? v->problems.count : AUTHZ_PROBLEMS_MAX;

	for (size_t i = 0; i < kept; i++) {
		const struct authz_problem *p = &v->problems.list[i];
		char what[512], place[32] = "";

		if (p->column > 0)
			(void)str_format(place, sizeof(place), "column %u: ", p->column);
		(void)str_format(what, sizeof(what), "%s%s%s%s", place, p->text,
		    p->expected[0] != '\0' ? "; expected: " : "", p->expected);
		if (!known_problem(v->conf, p, what))
			conf_problem_add(v->conf, p->warning ? CONF_WARNING : CONF_ERROR,
			    p->file != NULL ? p->file : "", p->line, "layer", what, "");
	}
}

void
policies_check(struct conf *conf)
{
	static const char somebody[] = "some-other-account";
	static struct view v;

	memset(&v, 0, sizeof(v));
	v.conf = conf;
	v.root_fd = -1;
	for (const struct conf_section *s = NULL; (s = conf_section_next(conf, SC_ACCOUNT, s)) != NULL;)
		if (view_take_rules(&v, conf_section_name(s), NULL) == CTL_OK)
			add_problems(&v);
	for (const struct conf_section *s = NULL; (s = conf_section_next(conf, SC_GROUP, s)) != NULL;)
		if (view_take_rules(&v, somebody, conf_section_name(s)) == CTL_OK)
			add_problems(&v);
	if (view_take_rules(&v, somebody, NULL) == CTL_OK)
		add_problems(&v);
	view_end(&v);
}
