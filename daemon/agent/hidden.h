/*
 * A drop box: what lies there the account may neither list nor read, and no
 * answer tells it whether a name is taken.  All requests about paths go
 * through here on their way back (serve.c), so no handler has to think of it;
 * those that show more than an answer, SITE WHY and the name that STOU
 * chooses, ask hidden_conceal().
 *
 * What a right itself tells stays told: whoever may create but not overwrite
 * finds out what is there by creating it.
 */
#ifndef AGENT_HIDDEN_H
#define AGENT_HIDDEN_H

#include "daemon/agent/agent.h"

/*
 * Where the account may not know whether there is something at the place, or on the way to it: true, and from then
 * on the place is as though the first name that it may not know of were missing, for decisions and reasons.
 */
bool hidden_conceal(struct agent *, struct place *);

/*
 * What a request about agent->place (and agent->source) is answered with that came to r: r itself, or for a failure
 * that would tell what the account may not know the one that a missing object would get.  Called after the record
 * is written.
 */
int hidden_answer(struct agent *, const struct msg *, int r);

#endif
