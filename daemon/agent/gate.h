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
 * Decides the request on agent->place (and on agent->source for RENAME_TO).
 * 0: it may; SP_EDENIED: refused, the refusal is ready to be sent.  The
 * decision is recorded by gate_settle().
 */
int gate_pass(struct agent *, const struct msg *);

/*
 * Writes what gate_pass() decided into the audit log, with what came of it:
 * outcome as a handler returns it.  Called before the worker gets its answer,
 * so that nobody is told of a deed that is not on record, and while the places
 * are still there.  Nothing when it was called already.
 */
void gate_settle(struct agent *, int outcome);

/* Records a request whose path was refused before there was anything to decide. path: as the client typed it. */
void gate_undecided(struct agent *, const struct msg *, const char *path, int outcome);

/* What the policy grants on the object at another place, which a listing comes by. */
uint32_t gate_rights(struct agent *, const struct place *);

/* The object at a place, with the path behind a link where that is to be judged too (link_policy). */
struct authz_object gate_object(const struct agent *, const struct place *);

/* The kind of what stands at a place. */
enum authz_kind gate_kind(const struct place *);

#endif
