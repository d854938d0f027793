#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/gate.h"

#define UNDECIDED (-1)

/* The gate of every row. A row without one leaves a comma without a value here and does not compile. */
static const int operations[MSG_COUNT] = {
	[MSG_NONE] = UNDECIDED,
#include "privsep/messages_rows.h"
#undef GATE
#undef UNGATED
#define GATE(op)	AUTHZ_OP_##op
#define UNGATED(why)	UNDECIDED
#define MSG(NAME, name, channel, from, states, fds, gate, fields, doc) [MSG_##NAME] = gate,
#include "privsep/messages.def"
#include "privsep/messages_undef.h"
};

#define BIT(name) (1ull << AUTHZ_OP_##name)
#define LOOKS (BIT(STAT) | BIT(MLST) | BIT(LIST) | BIT(NLST) | BIT(CWD) | BIT(READLINK) | BIT(GETACL))

/* What is not logged when it was allowed, by the setting audit. */
static const uint64_t silent[] = {
	[CONF_AUDIT_NO] = LOOKS | BIT(RETR), [CONF_AUDIT_FILES] = LOOKS, [CONF_AUDIT_YES] = 0
};

int
gate_operation(enum msg_type type)
{
	return operations[type];
}

enum authz_kind
gate_kind(const struct place *p)
{
	return tree_object(p, false).kind;
}

struct authz_object
gate_object(const struct agent *a, const struct place *p)
{
	return tree_object(p, a->set->link_policy == CONF_LINK_BOTH);
}

uint32_t
gate_rights(struct agent *a, const struct place *p)
{
	struct authz_object o = { .path = p->path, .kind = gate_kind(p) };

	tree_at(&a->tree, p, NULL);
	return authz_rights(a->policy, &o);
}

static bool
is_audited(const struct agent *a, enum authz_op op)
{
	return !a->verdict.allow || !(silent[a->set->audit] >> op & 1);
}

/* "access op=DELE path=/x kind=file verdict=deny rule=..."; sallyctl replay reads it. */
static void
audit(struct agent *a, enum authz_op op, const struct place *p, const char *reason)
{
	static const char *const kinds[AUTHZ_KINDS] = { "missing", "file", "folder" };
	bool allow = a->verdict.allow;
	struct log_line l;

	log_begin(&l, allow ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE, "access");
	log_str(&l, "op", authz_op_name(op));
	if (p != NULL) {
		log_str(&l, "path", p->typed);
		if (root_by_link(p))
			log_str(&l, "resolved", p->path);
		log_str(&l, "kind", kinds[gate_kind(p)]);
	}
	log_str(&l, "verdict", allow ? "allow" : "deny");
	log_str(&l, "rule", reason);
	log_end(&l);
}

static int __attribute__((nonnull(1)))
decide(struct agent *a, enum authz_op op, const struct place *p)
{
	char reason[sizeof a->refusal_text] = "";
	struct authz_object o;
	bool allow;

	if (p != NULL)
		o = gate_object(a, p);
	tree_at(&a->tree, p, NULL);
	allow = authz_decide(a->policy, op, p == NULL ? NULL : &o, &a->verdict);
	if (a->tree.changed)
		return AGAIN;
	if (is_audited(a, op)) {
		authz_reason(a->policy, p == NULL ? NULL : &o, &a->verdict, reason, sizeof reason);
		audit(a, op, p, reason);
	}
	return allow ? 0 : agent_refuse(a, FAIL_POLICY, a->set->explain_denials ? reason : NULL);
}

/* What was asked about an object holds for that object only. */
static int
still_there(const struct agent *a)
{
	return root_is_same(&a->place) && root_is_same(&a->source) ? 0 : AGAIN;
}

int
gate_pass(struct agent *a, const struct msg *m)
{
	int op = operations[m->type], r;

	if (op == UNDECIDED)
		return 0;
	if (authz_op_session((enum authz_op)op))
		return decide(a, (enum authz_op)op, NULL);
	if (m->type == MSG_RENAME_TO && (r = decide(a, AUTHZ_OP_RNFR, &a->source)) != 0)
		return r;
	r = decide(a, (enum authz_op)op, &a->place);
	return r == 0 ? still_there(a) : r;
}
