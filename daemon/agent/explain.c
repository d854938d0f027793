/*
 * SITE WHY: the verdict on a command that is not carried out, with the rule
 * that decides, and what the kernel would say.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "authz/kernel.h"
#include "authz/posixacl.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/hidden.h"

#define KERNEL_ROWS	64	/* entries of an ACL that are looked at */
#define KERNEL_TEXT	512

/* One object as the kernel sees it. */
struct facts {
	struct kernel_node node;
	struct pacl_row rows[KERNEL_ROWS];
};

static void
look(struct facts *f, const char *path, int dir_fd, const char *leaf, const struct statx *st)
{
	struct pacl *acl;
	bool extended = false;

	memset(&f->node, 0, sizeof f->node);
	f->node.path = path;
	f->node.device = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
	f->node.inode = st->stx_ino;
	f->node.mode = st->stx_mode;
	f->node.uid = st->stx_uid;
	f->node.gid = st->stx_gid;
	if (pacl_extended(pacl_at_leaf(dir_fd, leaf), &extended, NULL) != 0 || !extended ||
	    pacl_get(pacl_at_leaf(dir_fd, leaf), PACL_ACCESS, &acl) != 0)
		return;
	f->node.acl_count = pacl_rows(acl, f->rows, KERNEL_ROWS);
	if (f->node.acl_count <= KERNEL_ROWS)
		f->node.acl = f->rows;
	pacl_free(acl);
}

/* One path of the question, and what the kernel knows of it. */
struct side {
	struct facts folder, object;
	struct kernel_path path;
	char text[KERNEL_TEXT];
};

/*
 * Gathers it: the folders before the last one were passed already, and above the root there is none. False: k has
 * the answer.
 */
static bool
look_around(struct side *x, const struct place *p, struct authz_kernel *k)
{
	struct statx st;

	*k = (struct authz_kernel){ .text = x->text };
	x->path = (struct kernel_path){ .folder = &x->folder.node, .folder_count = strcmp(p->path, "/") != 0 };
	if (p->error != 0) {
		(void)str_format(x->text, sizeof x->text, "the directory cannot be reached: %s", sp_strerror(p->error));
		k->known = true;
		return false;
	}
	if (statx(p->dir_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0) {
		(void)str_format(x->text, sizeof x->text, "%s", sp_strerror(-errno));
		return false;
	}
	look(&x->folder, "the directory", p->dir_fd, ".", &st);
	if (p->found) {
		look(&x->object, p->path, p->dir_fd, p->leaf, &p->st);
		x->path.object = &x->object.node;
	}
	return true;
}

/* other: the second path of a rename; NULL: there is none, or it cannot be reached. */
static void
ask_kernel(const struct agent *a, struct authz_step *s, struct side *x, const struct side *other)
{
	struct kernel_request q = { .op = s->op, .path = &x->path, .other = other == NULL ? NULL : &other->path,
		/* Who is to get it is not known: its owner may at least give it to the group that has it. */
		.new_uid = (uid_t)-1, .new_gid = s->op == AUTHZ_OP_CHOWN && x->path.object != NULL ? x->object.node.gid : (gid_t)-1 };
	struct kernel_cred cred = { a->uid, a->gid, a->groups, a->group_count, 0 };

	s->kernel.allow = kernel_decide(&q, &cred, x->text, sizeof x->text) == 0;
	s->kernel.known = true;
}

/* A pattern means its folder, as in the listing that is asked about. */
static int
find_pattern(struct agent *a, struct authz_step *s, const char *path, struct place *p)
{
	static char folder[ROOT_PATH_MAX + 1];
	int r = root_pattern_folder(path, folder);

	if (r <= 0)
		return r;
	s->role = AUTHZ_ROLE_PATTERN;
	root_leave(p);
	return subject_find(a, (int)s->op, folder, ROOT_FOLLOW, p);
}

/* *shown: the account may know what is there. */
static int
find_step(struct agent *a, struct authz_step *s, enum authz_op op, const char *command, const char *path, struct place *p, bool *shown)
{
	int r = subject_find(a, (int)op, path, kernel_op_on_link(op) ? ROOT_NAME : ROOT_FOLLOW, p);

	s->op = op;
	if (r == 0 && p->error == 0 && !p->found && authz_command_expands(command))
		r = find_pattern(a, s, path, p);
	if (r != 0)
		return r;
	*shown = !hidden_conceal(a, p);
	s->object = gate_object(a, p);
	s->place = p;
	return 0;
}

/* Each side of a rename knows the other; what is hidden from the account is not asked about. */
static void
ask_about(struct agent *a, struct authz_step steps[2], const bool shown[2], size_t n)
{
	static struct side sides[2];
	const struct place *const places[2] = { &a->place, &a->source };
	bool there[2] = { false, false };

	for (size_t i = 0; i < n; i++)
		there[i] = shown[i] && look_around(&sides[i], places[i], &steps[i].kernel);
	for (size_t i = 0; i < n; i++)
		if (there[i])
			ask_kernel(a, &steps[i], &sides[i], there[1 - i] ? &sides[1 - i] : NULL);
}

static int
explain(struct agent *a, int op, const struct msg_explain *q, char **text)
{
	struct authz_step steps[2] = { { 0 }, { 0 } };
	bool shown[2] = { false, false };
	size_t n = 1;
	int r = find_step(a, &steps[0], (enum authz_op)op, q->command, q->path, &a->place, &shown[0]);

	if (r == 0 && op == AUTHZ_OP_RNFR && q->path2[0] != '\0') {
		steps[0].role = "source";
		steps[1].role = "target";
		r = find_step(a, &steps[1], AUTHZ_OP_RNTO, q->command, q->path2, &a->source, &shown[1]);
		n = 2;
	}
	if (r != 0)
		return r;
	ask_about(a, steps, shown, n);
	return authz_explain(a->policy, steps, n, false, text);
}

int
handle_explain(struct agent *a, const struct msg *m)
{
	struct msg_text *t = &a->out.text;
	char *text = NULL;
	int r, op;

	if (!a->set->explain_denials)
		return agent_refuse(a, FAIL_POLICY, "this account may not see the rules");
	op = authz_command(m->explain.command);
	if (op == AUTHZ_UNKNOWN_COMMAND)
		return agent_refuse(a, FAIL_ARGUMENT, "that is no command");
	if (op == AUTHZ_NEVER_GATED) {
		(void)str_copy(t->text, sizeof t->text, "No right is ever asked for this command.");
		return agent_answer(a, MSG_TEXT, t, NULL, 0);
	}
	r = explain(a, op, &m->explain, &text);
	if (r < 0 || text == NULL)
		return r < 0 ? r : -ENOMEM;
	(void)str_copy(t->text, sizeof t->text, text);
	free(text);
	return agent_answer(a, MSG_TEXT, t, NULL, 0);
}
