/*
 * What the listener tells the keeper: which files hold keys, under which
 * numbers.  The keeper's process is the business of keeper.c; nobody else
 * includes this.  The keeper is trusted, but it may be dead.
 */
#ifndef LISTENER_KEEPER_KEYS_H
#define LISTENER_KEEPER_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "daemon/listener/certs.h"
#include "privsep/chan.h"
#include "privsep/spawn.h"

struct server;

struct keeper {
	struct server *server;
	struct spawned process;
	struct chan channel;
	struct event readable, gone, look, retry;
	bool running;
	bool unsettled;			/* files differed at the last look: they may still be being written */
	int64_t born;
	uint32_t last_number, oldest;	/* of keys; the oldest one of the generation before */
	struct certs certs;
	struct certs before;		/* while a fresh one is told its keys: what the one that died had */
	bool stale;			/* templates of that generation know keys that are gone */
	unsigned stale_generation;
	int files_fd;
	char why[1200];			/* the first thing that was wrong with what was loaded last; "": nothing */
};

/* A log line of the keeper becomes one of ours. */
void keeper_pass_log_on(const struct msg_keeper_log *);

/*
 * Waits for the next message that is not a log line, in these states of its rows.
 * 0, -ETIMEDOUT, or a code of chan_receive().
 */
int keeper_hear(struct keeper *, struct msg *, unsigned states);

/*
 * Loads what the configuration names now.  0; SP_EDENIED when some pair
 * could not be used (the others and the old ones are); another code: nothing has changed.
 */
int keeper_load(struct keeper *);

/*
 * A fresh keeper knows no numbers: all are loaded again.  Where that leads to anything else than what the templates
 * know, no session may start until they are fresh too (stale).  As keeper_load().
 */
int keeper_hand_over(struct keeper *);

#endif
