/*
 * The one place where a request is decided.  serve() calls gate_pass() before
 * every handler; which right is asked for stands in the message's own row
 * (GATE of privsep/messages.def), so a handler cannot forget it and a row
 * without one does not compile.  Used by serve.c; listing.c and the commit of
 * uploads ask gate_rights() for what follows from a request that passed.
 */
#ifndef AGENT_GATE_H
#define AGENT_GATE_H

#include "daemon/agent/agent.h"

/* The operation that a message of the worker needs; -1: none. */
int gate_operation(enum msg_type);

/*
 * Decides the request on agent->place (and on agent->source for RENAME_TO),
 * records the decision in the audit log.  0: it may; SP_EDENIED: refused, the
 * refusal is ready to be sent.
 */
int gate_pass(struct agent *, const struct msg *);

/* What the policy grants on the object at another place, which a listing comes by. */
uint32_t gate_rights(struct agent *, const struct place *);

/* The object at a place, with the path behind a link where that is to be judged too (link_policy). */
struct authz_object gate_object(const struct agent *, const struct place *);

/* The kind of what stands at a place. */
enum authz_kind gate_kind(const struct place *);

#endif
