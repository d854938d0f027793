/*
 * Limits by source address: sessions at the same time, new connections a
 * minute, penalties that decay, bans by the administrator.  Asked before a
 * spare session is used.  A source is addr_bucket(): an IPv4 address or an IPv6
 * /64.  Memory is bounded.  Used by the listener only; no input but addresses.
 */
#ifndef LISTENER_SRCLIMIT_H
#define LISTENER_SRCLIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/addr.h"

struct srclimit;

/* All times in milliseconds; 0: no limit. */
struct srclimit_rules {
	unsigned sessions;		/* at the same time */
	unsigned connects_per_minute;
	int64_t penalty_threshold;	/* refused while the penalty is above this */
	int64_t penalty_max;
	const struct addr_nets *exempt;	/* no penalties, no bans; may be NULL */
};

enum srclimit_answer { SRC_WELCOME, SRC_TOO_MANY, SRC_TOO_FAST, SRC_PENALTY, SRC_BANNED };

/* A ban or a running penalty, for people. */
struct srclimit_ban {
	struct addr_net net;
	int64_t until;			/* clock_ms() time; 0: for ever */
	const char *reason;
	bool penalty;			/* that of a source; not the administrator's */
};

/* NULL: no memory. */
struct srclimit *srclimit_new(void);
void srclimit_free(struct srclimit *);

/* A client connected. Only after SRC_WELCOME it is counted, and srclimit_leave() must follow. */
enum srclimit_answer srclimit_enter(struct srclimit *, const struct srclimit_rules *, const struct addr *, int64_t now);
void srclimit_leave(struct srclimit *, const struct addr *);
/* Counts a client that another generation of the server has let in; srclimit_leave() must follow. */
void srclimit_count(struct srclimit *, const struct addr *, int64_t now);
/* A source (addr_bucket()) has a penalty until then. */
void srclimit_set_penalty(struct srclimit *, const struct addr_net *, int64_t until, int64_t now);

/* Adds to the penalty of a source. A penalty runs out as time passes, a second each second. */
void srclimit_penalise(struct srclimit *, const struct srclimit_rules *, const struct addr *, int64_t amount,
    int64_t now);

/*
 * A login failed: for ten minutes the source is suspect, unless it is exempt. Only who goes first is decided by
 * that.
 */
void srclimit_suspect(struct srclimit *, const struct srclimit_rules *, const struct addr *, int64_t now);
bool srclimit_is_suspect(struct srclimit *, const struct addr *, int64_t now);

/* Bans a network until a time (0: for ever). 0, -ENOSPC, -ENOMEM. */
int srclimit_ban(struct srclimit *, const struct addr_net *, int64_t until, const char *reason);
/* Lifts bans and penalties of exactly this network. 0 or -ENOENT. */
int srclimit_unban(struct srclimit *, const struct addr_net *);
/* Calls f for every ban and every penalty above the threshold. */
void srclimit_each_ban(struct srclimit *, const struct srclimit_rules *, int64_t now,
    void (*f)(void *context, const struct srclimit_ban *), void *context);

/* What a refused client is told; never NULL. */
const char *srclimit_text(enum srclimit_answer);

#endif
