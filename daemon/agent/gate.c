#include "config.h"

#include <string.h>

#include "common/err.h"
#include "common/log.h"
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

/*
 * How much of a name stands in a record, escaped: whatever a client calls a file, verdict, rule and result have
 * their room.
 */
#define PATH_SHOWN 500
#define TEXT_SHOWN 512

/* For the log, where a refusal has no text of its own. */
static const char *const fail_words[] = {
	[FAIL_POLICY] = "denied by policy", [FAIL_SYSTEM] = "refused by the system", [FAIL_PATH] = "not a usable path",
	[FAIL_KIND] = "not of the kind that is needed", [FAIL_QUOTA] = "beyond a limit", [FAIL_BUSY] = "no resource left",
	[FAIL_PEER] = "not the address of the client", [FAIL_ARGUMENT] = "not possible here", [FAIL_KEEPER] = "not signed"
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

	tree_at(&a->tree, p);
	return authz_rights(a->policy, &o);
}

static bool
is_audited(const struct agent *a, enum authz_op op)
{
	return !a->verdict.allow || !(silent[a->set->audit] >> op & 1);
}

/* ------------------------------------------------------------------ the audit log */

/* Clients look for names that are not there all day long: for those who only look that is an answer, not a failure. */
static bool
is_answer(enum authz_op op, int outcome)
{
	return (LOOKS >> op & 1) && (outcome == -ENOENT || outcome == -ENOTDIR);
}

/* What came of a request that the policy allowed: result=ok, or result=failed and why. */
static void
add_result(const struct agent *a, struct log_line *l, int outcome)
{
	int error = outcome == SP_EDENIED ? a->refusal_error : outcome < 0 && outcome > SP_EBASE ? -outcome : 0;

	log_str(l, FIELD_RESULT, outcome >= 0 ? "ok" : outcome == SP_EDENIED ? "refused" : "failed");
	if (error != 0)
		log_num(l, FIELD_ERRNO, error);
	if (outcome == SP_EDENIED && a->refusal_text[0] != '\0')
		log_cut(l, FIELD_ERROR, a->refusal_text, TEXT_SHOWN / 2);
	else if (outcome < 0)
		log_str(l, FIELD_ERROR, error != 0 ? strerror(error) : outcome == SP_EDENIED ? fail_words[a->refusal] : sp_strerror(outcome));
}

static void
add_place(struct log_line *l, const struct place *p)
{
	static const char *const kinds[AUTHZ_KINDS] = { "missing", "file", "folder" };

	log_cut(l, FIELD_PATH, p->typed, PATH_SHOWN);
	if (root_by_link(p))
		log_cut(l, FIELD_RESOLVED, p->path, PATH_SHOWN);
	log_str(l, FIELD_KIND, kinds[gate_kind(p)]);
}

/* "access op=DELE path=/x kind=file verdict=allow rule=... result=ok"; sallyctl replay reads it. */
static void
record(const struct agent *a, const struct decision *d, int outcome)
{
	bool failed = !d->allow || outcome < 0;
	struct log_line l;

	if (d->reason[0] == '\0' && (!failed || is_answer(d->op, outcome)))
		return;
	log_begin_at(&l, failed ? LOG_LEVEL_NOTICE : LOG_LEVEL_INFO, EVENT_ACCESS);
	log_str(&l, FIELD_OP, authz_op_name(d->op));
	if (d->by_object)
		add_place(&l, d->source ? &a->source : &a->place);
	if (authz_heeds_last_upload(d->op))
		log_str(&l, FIELD_LAST_UPLOAD, d->last_upload ? "yes" : "no");
	log_str(&l, FIELD_VERDICT, d->allow ? "allow" : "deny");
	if (d->reason[0] != '\0')
		log_cut(&l, FIELD_RULE, d->reason, TEXT_SHOWN);
	if (d->allow)
		add_result(a, &l, outcome);
	log_end(&l);
}

void
gate_settle(struct agent *a, int outcome)
{
	/* Of a rename whose target is denied the source was not used. */
	for (unsigned i = 0; i < a->decided; i++)
		record(a, &a->decisions[i], outcome);
	a->decided = 0;
}

void
gate_undecided(struct agent *a, const struct msg *m, const char *path, int outcome)
{
	int op = operations[m->type];
	struct log_line l;

	if (op == UNDECIDED || is_answer((enum authz_op)op, outcome))
		return;
	log_begin_at(&l, LOG_LEVEL_NOTICE, EVENT_ACCESS);
	log_str(&l, FIELD_OP, authz_op_name((enum authz_op)op));
	if (path != NULL)
		log_cut(&l, FIELD_TYPED, path, PATH_SHOWN);
	add_result(a, &l, outcome);
	log_end(&l);
}

/* ------------------------------------------------------------------------ deciding */

static int __attribute__((nonnull(1)))
decide(struct agent *a, enum authz_op op, const struct place *p)
{
	struct decision *d = &a->decisions[a->decided++];
	struct authz_object o;

	if (p != NULL)
		o = gate_object(a, p);
	tree_at(&a->tree, p);
	d->op = op;
	d->by_object = p != NULL;
	d->source = p == &a->source;
	d->last_upload = p != NULL && authz_is_last_upload(a->policy, op, &o);
	d->allow = authz_decide(a->policy, op, p == NULL ? NULL : &o, &a->verdict);
	if (a->tree.changed) {
		a->decided--;
		return AGAIN;
	}
	d->reason[0] = '\0';
	if (is_audited(a, op))
		authz_reason(a->policy, p == NULL ? NULL : &o, &a->verdict, d->reason, sizeof d->reason);
	return d->allow ? 0 : agent_refuse(a, FAIL_POLICY, a->set->explain_denials ? d->reason : NULL);
}

/*
 * What neither side of a rename tells alone. a->verdict stays the target's unless this is refused: then the
 * source's is on record.
 */
static int
decide_move(struct agent *a)
{
	struct authz_object from = gate_object(a, &a->source), to = gate_object(a, &a->place);
	struct decision *d = &a->decisions[0];
	struct authz_verdict v;
	bool may = authz_decide_move(a->policy, &from, &to, &v);

	if (a->tree.changed)
		return AGAIN;
	if (may)
		return 0;
	a->verdict = v;
	a->decided = 1;
	d->allow = false;
	authz_reason(a->policy, &from, &v, d->reason, sizeof d->reason);
	return agent_refuse(a, FAIL_POLICY, a->set->explain_denials ? d->reason : NULL);
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

	a->decided = 0;
	if (op == UNDECIDED)
		return 0;
	if (authz_op_session((enum authz_op)op))
		return decide(a, (enum authz_op)op, NULL);
	if (m->type == MSG_RENAME_TO && (r = decide(a, AUTHZ_OP_RNFR, &a->source)) != 0)
		return r;
	r = decide(a, (enum authz_op)op, &a->place);
	if (r == 0 && m->type == MSG_RENAME_TO)
		r = decide_move(a);
	return r == 0 ? still_there(a) : r;
}
