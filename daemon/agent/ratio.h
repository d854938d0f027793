/*
 * Ratios (ratio_up, ratio_down): what a session may download depends on what
 * it has uploaded.  Used by the handlers of transfers.  Uploads are measured
 * here; how much of a download was sent is what the worker claims.
 */
#ifndef AGENT_RATIO_H
#define AGENT_RATIO_H

#include "daemon/agent/agent.h"

/* May so many bytes be downloaded now? 0, or the refusal. */
int ratio_check(struct agent *, uint64_t bytes);
/* Adds to agent->uploaded or agent->downloaded; stays at the largest number. */
void ratio_add(uint64_t *total, uint64_t bytes);

#endif
