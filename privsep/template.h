/*
 * A template: a program executed once that warms up, enters its sandbox and
 * forks a session process each time the listener asks.  The three session
 * roles have nothing in main() but a call of template_main().
 *
 * Executed with descriptor 3 (a channel of kind CH_TEMPLATE), descriptor 4
 * (the sealed configuration of that role, and of no other) and those below.
 * Trusts the listener; never sees a byte from the network.
 */
#ifndef PRIVSEP_TEMPLATE_H
#define PRIVSEP_TEMPLATE_H

#include "privsep/msg.h"

#define TEMPLATE_CHANNEL_FD	3
#define TEMPLATE_CONFIG_FD	4
#define TEMPLATE_TLS_FD		5	/* the worker's only, when TLS is on: privsep/tlsfiles.h, sealed */
#define TEMPLATE_AGENT_FD	5	/* the monitor's: the filters of an agent that it may have to start, sealed */
#define TEMPLATE_FILTERS_FD	6	/* sandbox_seal() of its role */
#define TEMPLATE_LOG_FD		7	/* the monitor's: log_share() of the listener */
#define TEMPLATE_HOLD_FD	7	/* the agent's: an empty memory file of the listener's, which all agents lock places of */
#define TEMPLATE_AGENT_HOLD_FD	8	/* the monitor's: the same, for an agent that it may have to start */
#define TEMPLATE_VERIFIER_TLS_FD 9	/* the monitor's: what the worker's has in TEMPLATE_TLS_FD, for verifiers */

struct conf;

struct template {
	enum msg_role role;	/* ROLE_WORKER, ROLE_MONITOR or ROLE_AGENT */
	/*
	 * Everything that would otherwise be done once a session: libraries'
	 * first use, contexts, tables.  Runs with the rights the program was
	 * started with, before the sandbox.  conf lives as long as the
	 * process.  0 or a negative code, which ends the template.
	 */
	int (*warm_up)(const struct conf *);
	/*
	 * The life of one session, in a child of its own: fds are the n
	 * channels of SPAWN_*, in the order of its row's sentence.  Signals:
	 * INT, HUP and PIPE are ignored, TERM ends the process.  stderr leads
	 * to the server's log for the monitor, to nowhere for the others.
	 * Returns an enum sp_exit.
	 */
	int (*session)(const int *fds, unsigned n);
};

/* Runs the template until its channel closes; the exit code of the process. */
int template_main(int argc, char **argv, const struct template *);

#endif
