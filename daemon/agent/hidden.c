#include "config.h"

#include <string.h>

#include "common/err.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/hidden.h"

#define SHOWN		(AUTHZ_READ | AUTHZ_STAT)	/* of an object: its name can be asked for */
#define SHOWN_FOLDER	(SHOWN | AUTHZ_LIST | AUTHZ_TRAVERSE)
#define LEVELS_MAX	ROOT_CHAIN_MAX			/* a path that is deeper is not looked into: it is hidden */

static uint32_t
rights_on(struct agent *a, const char *path, enum authz_kind kind)
{
	struct authz_object o = { .path = path, .kind = kind };

	return authz_rights(a->policy, &o);
}

/* The object at a path, which is a member of a folder on which the account has these rights. */
static bool
is_shown(struct agent *a, const char *path, enum authz_kind kind, uint32_t above)
{
	if ((above & AUTHZ_LIST) != 0 || (kind == AUTHZ_FOLDER && (above & AUTHZ_TRAVERSE) != 0))
		return true;
	return (rights_on(a, path, kind) & (kind == AUTHZ_FOLDER ? SHOWN_FOLDER : SHOWN)) != 0;
}

/* The level of the first name of a path that the account may not know of; 0: there is none. kind: of the last name. */
static unsigned
first_hidden(struct agent *a, const char *path, enum authz_kind kind)
{
	static char part[ROOT_PATH_MAX + 1];
	uint32_t above = rights_on(a, "/", AUTHZ_FOLDER);
	size_t n = 0;

	if (path[1] == '\0')
		return 0;
	for (unsigned level = 1; level <= LEVELS_MAX; level++) {
		n += 1 + strcspn(path + n + 1, "/");
		memcpy(part, path, n);
		part[n] = '\0';
		if (!is_shown(a, part, path[n] == '\0' ? kind : AUTHZ_FOLDER, above))
			return level;
		if (path[n] == '\0')
			return 0;
		above = rights_on(a, part, AUTHZ_FOLDER);
	}
	return LEVELS_MAX;
}

/* How many levels the path as typed and the one without links have in common. */
static unsigned
common_levels(const struct place *p)
{
	unsigned levels = 0;

	for (size_t i = 1; i <= p->typed_len && i <= p->path_len; i++) {
		bool typed_end = p->typed[i] == '/' || p->typed[i] == '\0', path_end = p->path[i] == '/' || p->path[i] == '\0';

		levels += typed_end && path_end;
		if (p->typed[i] != p->path[i])
			break;
	}
	return levels;
}

bool
hidden_conceal(struct agent *a, struct place *p)
{
	enum authz_kind kind = gate_kind(p);
	unsigned level, common;

	tree_at(&a->tree, p);
	level = first_hidden(a, p->typed, kind);
	if (level > 0 && root_by_link(p)) {
		/* That there is a link is not to be known either. */
		common = common_levels(p);
		level = level <= common ? level : common + 1;
		memcpy(p->path, p->typed, (p->path_len = p->typed_len) + 1);
	} else if (level == 0 && root_by_link(p)) {
		level = first_hidden(a, p->path, kind);
	}
	if (level > 0)
		root_forget(p, level);
	return level > 0;
}

/* -------------------------------------------------------------------- answers */

/* Failures that say nothing about the object: what is lacking is lacking everywhere. */
static bool
is_about_object(const struct agent *a, int r)
{
	static const int others[] = { ENOSPC, EDQUOT, EFBIG, EROFS, EIO, ENOMEM, EMFILE, ENFILE, EAGAIN };
	int error = r != SP_EDENIED ? -r : a->refusal == FAIL_SYSTEM ? a->refusal_error : 0;

	if (r >= 0 || r == SP_ECLOSED || r == SP_EUNREAD)
		return false;
	if (r == SP_EDENIED && (a->refusal == FAIL_QUOTA || a->refusal == FAIL_BUSY))
		return false;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (error == others[i])
			return false;
	return true;
}

/* Where these are allowed, success itself shows that the name was free. */
static bool
creates(enum authz_op op)
{
	return op == AUTHZ_OP_STOR || op == AUTHZ_OP_RESUME || op == AUTHZ_OP_STOU || op == AUTHZ_OP_APPE || op == AUTHZ_OP_MKD ||
	    op == AUTHZ_OP_RNTO || op == AUTHZ_OP_SYMLINK;
}

/* Would that be allowed, with a file there or with nothing? The rule that denies is told where that is allowed. */
static bool
would_allow(struct agent *a, enum authz_op op, enum authz_kind kind, char *reason, size_t size)
{
	struct authz_object o = gate_object(a, &a->place);
	struct authz_verdict v;

	o.kind = kind;
	if (authz_decide(a->policy, op, &o, &v))
		return true;
	if (a->set->explain_denials)
		authz_reason(a->policy, &o, &v, reason, size);
	return false;
}

int
hidden_answer(struct agent *a, const struct msg *m, int r)
{
	char reason[sizeof a->refusal_text] = "", unused[sizeof reason];
	enum authz_op op = (enum authz_op)gate_operation(m->type);
	bool reached = a->place.error == 0, hidden, missing, file;

	if (!is_about_object(a, r))
		return r;
	hidden = m->type == MSG_RENAME_TO && hidden_conceal(a, &a->source);
	hidden |= hidden_conceal(a, &a->place);
	if (!hidden)
		return r;
	tree_at(&a->tree, &a->place);
	missing = would_allow(a, op, AUTHZ_MISSING, reason, sizeof reason);
	file = would_allow(a, op, AUTHZ_FILE, unused, sizeof unused);
	if (!missing || !file)
		return agent_refuse(a, FAIL_POLICY, reason);
	/* Beyond the end is an offset of whatever is missing, be it the name or the directory. */
	if (m->type == MSG_STORE && m->store.offset > 0)
		return agent_refuse(a, FAIL_ARGUMENT, "the restart offset is beyond the end of the file");
	return creates(op) && reached ? r : -ENOENT;
}
