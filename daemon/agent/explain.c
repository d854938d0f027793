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

/* The kernel's part: the folders before the last one were passed already. */
static void
ask_kernel(struct agent *a, enum authz_op op, const struct place *p, struct authz_kernel *k, char text[static KERNEL_TEXT])
{
	static struct facts folder, object;
	struct kernel_path path = { .folder = &folder.node, .folder_count = 1 };
	struct kernel_request q = { .op = op, .path = &path, .new_uid = (uid_t)-1, .new_gid = (gid_t)-1 };
	struct kernel_cred cred = { a->uid, a->gid, a->groups, a->group_count, 0 };
	struct statx st;

	k->text = text;
	if (p->error != 0) {
		(void)str_format(text, KERNEL_TEXT, "the directory cannot be reached: %s", sp_strerror(p->error));
		k->known = true;
		k->allow = false;
		return;
	}
	if (statx(p->dir_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) < 0) {
		(void)str_format(text, KERNEL_TEXT, "%s", sp_strerror(-errno));
		return;
	}
	look(&folder, "the directory", p->dir_fd, ".", &st);
	if (p->found) {
		look(&object, p->path, p->dir_fd, p->leaf, &p->st);
		path.object = &object.node;
	}
	k->allow = kernel_decide(&q, &cred, text, KERNEL_TEXT) == 0;
	k->known = true;
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

static int
add_step(struct agent *a, struct authz_step *s, enum authz_op op, const char *command, const char *path, struct place *p,
    char *text)
{
	static const uint64_t on_name = 1ull << AUTHZ_OP_DELE | 1ull << AUTHZ_OP_RMD | 1ull << AUTHZ_OP_MKD |
	    1ull << AUTHZ_OP_RNFR | 1ull << AUTHZ_OP_RNTO | 1ull << AUTHZ_OP_SYMLINK | 1ull << AUTHZ_OP_READLINK;
	int r = subject_find(a, (int)op, path, on_name >> op & 1 ? ROOT_NAME : ROOT_FOLLOW, p);

	s->op = op;
	if (r == 0 && p->error == 0 && !p->found && authz_command_expands(command))
		r = find_pattern(a, s, path, p);
	if (r != 0)
		return r;
	if (!hidden_conceal(a, p))
		ask_kernel(a, op, p, &s->kernel, text);
	s->object = gate_object(a, p);
	return 0;
}

static int
explain(struct agent *a, int op, const struct msg_explain *q, char **text)
{
	static char kernel[2][KERNEL_TEXT];
	struct authz_step steps[2] = { { 0 }, { 0 } };
	size_t n = 1;
	int r = add_step(a, &steps[0], (enum authz_op)op, q->command, q->path, &a->place, kernel[0]);

	if (r == 0 && op == AUTHZ_OP_RNFR && q->path2[0] != '\0') {
		steps[0].role = "source";
		steps[1].role = "target";
		r = add_step(a, &steps[1], AUTHZ_OP_RNTO, q->command, q->path2, &a->source, kernel[1]);
		n = 2;
	}
	tree_at(&a->tree, &a->place, n == 2 ? &a->source : NULL);
	return r != 0 ? r : authz_explain(a->policy, steps, n, false, text);
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
