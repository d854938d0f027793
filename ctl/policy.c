/* An account's policy without the server; see policy.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/profile.h"
#include "account/source.h"
#include "account/unix.h"
#include "authz/kernel.h"
#include "authz/settings.h"
#include "common/err.h"
#include "common/str.h"
#include "common/trusted.h"
#include "ctl/policy.h"

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
	memset(&v->subject, 0, sizeof(v->subject));
	v->found = v->refused = v->rules_only = v->homeless = v->unknown = v->unsure = false;
	v->remedy = NULL;
	v->why[0] = v->home_why[0] = '\0';
}

void
view_end(struct view *v)
{
	forget(v);
	account_sources_close(&v->sources);
}

/* Group names as the agent has them. */
static void
collect_groups(struct view *v)
{
	char *rest = v->groups, *name;

	profile_group_names(&v->account, v->groups, sizeof(v->groups));
	v->subject.group_names = v->group_names;
	while (v->subject.group_name_count < VIEW_GROUPS_MAX && (name = strsep(&rest, ",")) != NULL)
		if (*name != '\0')
			v->group_names[v->subject.group_name_count++] = name;
}

/* As the monitor goes there: of the links on the way only root's count. A descriptor or -errno. */
static int
open_root(const char *path)
{
	int place = trusted_walk(path), fd;

	if (place < 0)
		return place;
	fd = openat(place, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(place);
	return fd;
}

/*
 * Whether a session finds its home, which it looks for with the account's eyes.  What it would make, or PAM, cannot be
 * told before; nor can those tell who may not look there.
 */
static void
check_home(struct view *v, const char *home, int code)
{
	const struct settings *s = &v->account.resolved->s;
	bool made = code == -ENOENT && (s->create_home || (v->account.flags & ACCOUNT_PAM_SESSION) != 0);

	if (code == 0) {
		unix_see_as(&v->account, false);
		code = open_root(home);
		unix_see_as(&v->account, true);
		if (code >= 0)
			close(code);
	}
	if (code >= 0)
		return;
	v->homeless = !made && (code != -EACCES || geteuid() == 0);
	if (!made && !v->homeless)
		(void)str_format(v->home_why, sizeof(v->home_why), "ask as root: the home %.120s: %s", home, sp_strerror(code));
	else if (made)
		(void)str_format(v->home_why, sizeof(v->home_why), "the home %.120s is made by the first login", home);
	else
		(void)str_format(v->home_why, sizeof(v->home_why), "the account cannot log in: its home %.120s: %s", home,
		    sp_strerror(code));
}

/* Where the account's "/" lies and where it starts. */
static void
place_root(struct view *v)
{
	char home[VIEW_PATH_MAX] = "";
	int code = profile_places(&v->account, home, v->root, v->start, sizeof(home)), fd;

	if (code != 0) {
		(void)str_copy(v->root, sizeof(v->root), "/");
		(void)str_copy(v->start, sizeof(v->start), "/");
	} else if ((fd = open_root(home)) < 0)
		code = fd;
	else
		close(fd);
	check_home(v, home[0] != '\0' ? home : "(none is set)", code);
	v->root_fd = open_root(v->root);
	root_init(&v->walk, v->root_fd);
}

/* The folder to begin in as the agent finds it. */
static void
find_start(struct view *v)
{
	static struct place p;

	unix_see_as(&v->account, false);
	if (v->root_fd < 0 || root_find(&v->walk, "/", v->start, ROOT_FOLLOW, &p) != 0 || p.error != 0 || !root_is_folder(&p))
		(void)str_copy(v->start, sizeof(v->start), "/");
	else
		(void)str_copy(v->start, sizeof(v->start), p.path);
	root_leave(&p);
	unix_see_as(&v->account, true);
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
	const struct conf_layer *guest = v->found ? profile_guest_layer(v->conf, &v->account) : NULL;
	struct authz_source *sources = calloc(layers->n + 1, sizeof(*sources));
	size_t n = 0;

	if (sources == NULL)
		return -ENOMEM;
	for (size_t i = guest != NULL ? 0 : 1; i <= layers->n; i++) {
		const struct conf_layer *l = i == 0 ? guest : &layers->v[i - 1];

		sources[n++] = (struct authz_source){ l->dialect, l->text, l->prefix, l->file, l->line,
		    authz_scope_of(l, s), l->section };
	}
	tree_init(&v->tree, v->subject.uid, v->subject.dialect_uid);
	v->policy = authz_compile(sources, n, &v->subject, v->root_fd >= 0 ? &v->tree.hooks : NULL, &v->problems);
	free(sources);
	v->walk.chain = v->policy != NULL && authz_needs_tree(v->policy);
	fix_columns(v, layers);
	return v->policy != NULL ? 0 : -ENOMEM;
}

/* Why there is no such account to be asked about. */
static void
explain_absence(struct view *v, enum account_result r, enum account_reason why)
{
	char text[240];

	v->unknown = r == ACCOUNT_UNKNOWN;
	if (v->unknown)
		(void)str_format(v->why, sizeof(v->why), "no source knows the account");
	else
		(void)str_format(v->why, sizeof(v->why), "the account cannot be used: %s",
		    why == REASON_SETTINGS ? account_fault_text(&v->account, text, sizeof(text)) : account_reason_word(why));
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
		explain_absence(v, r, why);
		return CTL_FAILED;
	}
	v->subject = (struct authz_subject){ .user = v->account.name,
		.uid = v->account.uid,
		.gid = v->account.gid,
		.groups = v->account.groups,
		.group_count = v->account.group_count,
		.dialect_uid = profile_dialect_uid(&v->account),
		.may_change_password = account_changes_password(&v->account),
		.choices = authz_choices_of(&v->account.resolved->s) };
	collect_groups(v);
	place_root(v);
	v->subject.home = v->root;
	view_judge_account(v, &q);
	if (compile(v, &v->account.resolved->s) == 0) {
		find_start(v);
		return CTL_OK;
	}
	(void)str_copy(v->why, sizeof(v->why), "out of memory");
	return CTL_FAILED;
}

/* What "=" folders of pyftpdlib are below; where only the source knows the home, anything can be. */
static const char *
rules_home(struct view *v, const char *user)
{
	struct account a;

	account_init(&a, user);
	if (!v->rules.s.jail || v->rules.s.home == NULL ||
	    account_expand(&a, v->rules.s.home, v->root, sizeof(v->root)) != 0)
		(void)str_copy(v->root, sizeof(v->root), "/");
	account_free(&a);
	return v->root;
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
	if (v->rules.s.cluster_uid >= 0)
		v->subject.dialect_uid = (uint32_t)v->rules.s.cluster_uid;
	v->subject.home = rules_home(v, user);
	return compile(v, &v->rules.s) == 0 ? CTL_OK : CTL_FAILED;
}

/* ---------------------------------------------------------------- the question */

/* The object as the agent finds it; without a root, the path alone. */
static const char *
look_at(struct view *v, enum authz_op op, const char *typed, struct asked *a, size_t i)
{
	struct place *p = &a->place[i];
	const struct settings *set = v->found ? &v->account.resolved->s : &v->rules.s;
	int r;

	if (v->root_fd >= 0)
		r = tree_find(&v->walk, v->start, v->start, (int)op, typed, kernel_op_on_link(op) ? ROOT_NAME : ROOT_FOLLOW, p);
	else if ((r = root_normal(v->start, typed, p->typed)) > 0)
		r = str_copy(p->path, sizeof(p->path), p->typed);
	if (r != 0)
		return r == -ENAMETOOLONG ? "the path is too long" : "no object can have that name";
	a->steps[i].place = p;
	a->steps[i].object = tree_object(p, set->link_policy == CONF_LINK_BOTH);
	return NULL;
}

static void
ask_kernel(struct view *v, struct asked *a, size_t i, const char *other)
{
	struct authz_step *s = &a->steps[i];
	const struct place *place = &a->place[i];
	const char *withheld;
	int r;

	if (v->home_why[0] != '\0') {
		s->kernel.text = v->home_why;
		return;
	}
	if (v->root_fd < 0)
		return;
	/* Downloads and hashes; SITE COPY, which leaves the file on the server, has a second step. */
	withheld = v->found && a->n == 1 && s->op == AUTHZ_OP_RETR && root_is_file(place)
	    ? authz_withheld(&v->account.resolved->s, place->st.stx_mode, place->st.stx_uid, v->account.uid) : NULL;
	if (withheld != NULL) {
		/* The agent treats it as though its mode said so. */
		s->kernel = (struct authz_kernel){ true, false, withheld };
		return;
	}
	r = kernel_predict(
	    &v->subject, v->root, s->op, s->object.path, other, kernel_nss_name, a->kernel[i], sizeof(a->kernel[i]));
	s->kernel = (struct authz_kernel){ r >= 0, r == 1, a->kernel[i] };
}

/* Commands that stand for two operations; half: with one path, for one of them. */
static const struct pair {
	const char *command;
	enum authz_op first, second;
	bool half;
} pairs[] = {
	{ "RNFR+RNTO", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO, false },
	{ "RENAME", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO, false },
	{ "RNFR", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO, true },
	{ "RNTO", AUTHZ_OP_RNFR, AUTHZ_OP_RNTO, true },
	{ "SITE COPY", AUTHZ_OP_RETR, AUTHZ_OP_STOR, false },
};

static const struct pair *
find_pair(const struct question *q)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (str_same(q->command, pairs[i].command) && (q->path2 != NULL || !pairs[i].half))
			return &pairs[i];
	return NULL;
}

/* A pattern means its folder, as in the listing that is asked about. */
static const char *
look_at_pattern(struct view *v, enum authz_op op, const char *typed, struct asked *a, size_t i)
{
	static char folder[ROOT_PATH_MAX + 1];

	if (a->place[i].error != 0 || a->place[i].found || root_pattern_folder(typed, folder) <= 0)
		return NULL;
	a->steps[i].role = AUTHZ_ROLE_PATTERN;
	root_leave(&a->place[i]);
	return look_at(v, op, folder, a, i);
}

static const char *
add_step(struct view *v, struct asked *a, enum authz_op op, const char *role, const struct question *q, const char *typed)
{
	size_t i = a->n++;
	struct authz_step *s = &a->steps[i];
	const char *wrong;

	s->op = op;
	s->role = role;
	if (authz_op_session(op))
		return NULL;
	if (typed == NULL)
		return "the command needs a path";
	wrong = look_at(v, op, typed, a, i);
	return wrong == NULL && authz_command_expands(q->command) ? look_at_pattern(v, op, typed, a, i) : wrong;
}

static const char *
find_steps(struct view *v, const struct question *q, struct asked *a)
{
	const struct pair *pair = find_pair(q);
	const char *wrong;
	int op = pair != NULL ? (int)pair->first : authz_command(q->command);

	memset(a->steps, 0, sizeof(a->steps));
	a->n = 0;
	a->never_gated = op == AUTHZ_NEVER_GATED;
	if (op == AUTHZ_UNKNOWN_COMMAND)
		return "that is no command";
	if (a->never_gated)
		return NULL;
	if (pair == NULL && q->path2 != NULL)
		return "the command takes one path; RENAME and SITE COPY take two";
	wrong = add_step(v, a, (enum authz_op)op, pair != NULL ? "source" : NULL, q, q->path);
	if (wrong == NULL && pair != NULL)
		wrong =
		    q->path2 == NULL ? "the command needs two paths" : add_step(v, a, pair->second, "target", q, q->path2);
	return wrong;
}

const char *
view_ask(struct view *v, const struct question *q, bool kernel, struct asked *a)
{
	const char *wrong;

	view_leave(a);
	unix_see_as(&v->account, false);
	wrong = find_steps(v, q, a);
	unix_see_as(&v->account, true);
	if (wrong != NULL || !kernel || a->n == 0)
		return wrong;
	bool rename = a->n == 2 && a->steps[0].op == AUTHZ_OP_RNFR;
	ask_kernel(v, a, 0, rename ? a->steps[1].object.path : NULL);
	if (a->n == 2)
		ask_kernel(v, a, 1, rename ? a->steps[0].object.path : NULL);
	return NULL;
}

void
view_leave(struct asked *a)
{
	for (size_t i = 0; i < VIEW_STEPS_MAX; i++)
		if (a->place[i].path[0] != '\0') {
			root_leave(&a->place[i]);
			a->place[i].path[0] = '\0';
		}
}

static bool
decide_step(struct view *v, const struct authz_step *s, const struct place *p, char *why, size_t size)
{
	const struct authz_object *o = s->object.path != NULL ? &s->object : NULL;
	struct authz_verdict verdict;

	tree_at(&v->tree, p);
	if (!authz_decide(v->policy, s->op, o, &verdict)) {
		authz_reason(v->policy, o, &verdict, why, size);
		return false;
	}
	if (s->kernel.known && !s->kernel.allow) {
		(void)str_format(why, size, "kernel: %s", s->kernel.text != NULL ? s->kernel.text : "denied");
		return false;
	}
	return true;
}

static bool
decide_steps(struct view *v, const struct asked *a, char *why, size_t size)
{
	const struct authz_step *s = a->steps;
	struct authz_verdict verdict;

	(void)str_copy(why, size, "all layers allow");
	for (size_t i = 0; i < a->n; i++)
		if (!decide_step(v, &s[i], &a->place[i], why, size))
			return false;
	if (a->n != 2 || s[0].op != AUTHZ_OP_RNFR || authz_decide_move(v->policy, &s[0].object, &s[1].object, &verdict))
		return true;
	authz_reason(v->policy, &s[0].object, &verdict, why, size);
	return false;
}

bool
view_decide(struct view *v, const struct asked *a, char *why, size_t size)
{
	bool allow;

	unix_see_as(&v->account, false);
	allow = decide_steps(v, a, why, size);
	unix_see_as(&v->account, true);
	return allow;
}

int
view_explain(struct view *v, const struct asked *a, bool json, char **text)
{
	int r;

	unix_see_as(&v->account, false);
	r = authz_explain(v->policy, a->steps, a->n, json, text);
	unix_see_as(&v->account, true);
	return r;
}
