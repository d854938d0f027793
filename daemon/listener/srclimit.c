#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/str.h"
#include "daemon/listener/srclimit.h"

#define CHAINS		4096
#define SOURCES_MAX	65536	/* an attacker with a large IPv6 network fills no more */
#define BANS_MAX	4096
#define MINUTE		60000
#define SWEEP_EVERY	1000	/* ms: looking through all sources for each new one would be work for an attacker to order */
#define SUSPECT_FOR	(10 * MINUTE)	/* ms after a failed login: longer than it waits for its next turn in a crowd */
#define REASON_MAX	128

struct source {
	struct source *next;
	struct addr_net net;
	unsigned sessions;
	int64_t penalty_end;	/* when it will have run out */
	int64_t suspect_end;	/* when its last failed login will be forgotten */
	int64_t minute;		/* when the present minute began */
	unsigned connects;	/* in it */
};

struct ban {
	struct addr_net net;
	int64_t until;
	char reason[REASON_MAX];
};

struct srclimit {
	uint64_t seed;		/* nobody outside can aim at one chain */
	unsigned count;
	int64_t swept;		/* when idle sources were last looked for everywhere */
	size_t hand;		/* the chain where forget_one() goes on */
	struct source *chain[CHAINS];
	unsigned ban_count, ban_room;
	struct ban *bans;
};

struct srclimit *
srclimit_new(void)
{
	struct srclimit *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->swept = INT64_MIN / 2;
	if (getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed)
		s->seed = (uint64_t)(uintptr_t)s;
	return s;
}

void
srclimit_free(struct srclimit *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < CHAINS; i++)
		while (s->chain[i] != NULL) {
			struct source *e = s->chain[i];

			s->chain[i] = e->next;
			free(e);
		}
	free(s->bans);
	free(s);
}

static size_t
chain_of(const struct srclimit *s, const struct addr_net *n)
{
	return addr_net_hash(n, s->seed) % CHAINS;
}

static bool
is_idle(const struct source *e, int64_t now)
{
	return e->sessions == 0 && e->penalty_end <= now && e->suspect_end <= now && now - e->minute >= MINUTE;
}

/* Finds the source; forgets idle ones of its chain on the way. */
static struct source *
find(struct srclimit *s, const struct addr_net *net, int64_t now)
{
	struct source **at = &s->chain[chain_of(s, net)], *e, *found = NULL;

	while ((e = *at) != NULL) {
		if (addr_net_same(&e->net, net)) {
			found = e;
		} else if (is_idle(e, now)) {
			*at = e->next;
			free(e);
			s->count--;
			continue;
		}
		at = &e->next;
	}
	return found;
}

static void
forget_idle(struct srclimit *s, int64_t now)
{
	s->swept = now;
	for (size_t i = 0; i < CHAINS; i++)
		for (struct source **at = &s->chain[i]; *at != NULL;) {
			struct source *e = *at;

			if (!is_idle(e, now)) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			free(e);
			s->count--;
		}
}

/*
 * Makes room where all are remembered for a reason: of those that have neither
 * sessions nor penalties, but came within this minute, one is forgotten. An attacker
 * with many networks may thereby come more often than connects_per_minute;
 * otherwise each connection of his would keep a stranger out for a minute.
 */
static void
forget_one(struct srclimit *s, int64_t now)
{
	for (size_t i = 0; i < CHAINS; i++) {
		struct source **at = &s->chain[s->hand++ % CHAINS];

		while (*at != NULL && ((*at)->sessions > 0 || (*at)->penalty_end > now))
			at = &(*at)->next;
		if (*at != NULL) {
			struct source *e = *at;

			*at = e->next;
			free(e);
			s->count--;
			return;
		}
	}
}

static struct source *
find_or_add(struct srclimit *s, const struct addr_net *net, int64_t now)
{
	struct source *e = find(s, net, now);
	size_t i = chain_of(s, net);

	if (e != NULL)
		return e;
	if (s->count >= SOURCES_MAX && now - s->swept >= SWEEP_EVERY)
		forget_idle(s, now);
	if (s->count >= SOURCES_MAX)
		forget_one(s, now);
	if (s->count >= SOURCES_MAX || (e = calloc(1, sizeof *e)) == NULL)
		return NULL;
	e->net = *net;
	e->minute = now;
	e->next = s->chain[i];
	s->chain[i] = e;
	s->count++;
	return e;
}

static bool
is_banned(struct srclimit *s, const struct addr *a, int64_t now)
{
	for (unsigned i = 0; i < s->ban_count; i++) {
		if (s->bans[i].until != 0 && s->bans[i].until <= now)
			s->bans[i--] = s->bans[--s->ban_count];
		else if (addr_net_has(&s->bans[i].net, a))
			return true;
	}
	return false;
}

static bool
too_fast(struct source *e, unsigned limit, int64_t now)
{
	if (now - e->minute >= MINUTE) {
		e->minute = now;
		e->connects = 0;
	}
	return ++e->connects > limit && limit > 0;
}

enum srclimit_answer
srclimit_enter(struct srclimit *s, const struct srclimit_rules *rules, const struct addr *a, int64_t now)
{
	struct addr_net net = addr_bucket(a);
	struct source *e;

	if (is_banned(s, a, now))
		return SRC_BANNED;
	e = find_or_add(s, &net, now);
	/* The table is full of sources that all have sessions or penalties: this is an attack. */
	if (e == NULL)
		return SRC_TOO_MANY;
	if (e->penalty_end - now > rules->penalty_threshold)
		return SRC_PENALTY;
	if (rules->sessions > 0 && e->sessions >= rules->sessions)
		return SRC_TOO_MANY;
	if (too_fast(e, rules->connects_per_minute, now))
		return SRC_TOO_FAST;
	e->sessions++;
	return SRC_WELCOME;
}

void
srclimit_leave(struct srclimit *s, const struct addr *a)
{
	struct addr_net net = addr_bucket(a);
	struct source *e = find(s, &net, INT64_MIN / 2);

	if (e != NULL && e->sessions > 0)
		e->sessions--;
}

void
srclimit_count(struct srclimit *s, const struct addr *a, int64_t now)
{
	struct addr_net net = addr_bucket(a);
	struct source *e = find_or_add(s, &net, now);

	if (e != NULL)
		e->sessions++;
}

void
srclimit_set_penalty(struct srclimit *s, const struct addr_net *net, int64_t until, int64_t now)
{
	struct source *e = find_or_add(s, net, now);

	if (e != NULL && e->penalty_end < until)
		e->penalty_end = until;
}

void
srclimit_penalise(struct srclimit *s, const struct srclimit_rules *rules, const struct addr *a, int64_t amount,
    int64_t now)
{
	struct addr_net net = addr_bucket(a);
	struct source *e;

	if (amount <= 0 || (rules->exempt != NULL && addr_nets_have(rules->exempt, a)))
		return;
	e = find_or_add(s, &net, now);
	if (e == NULL)
		return;
	if (e->penalty_end < now)
		e->penalty_end = now;
	e->penalty_end += amount;
	if (e->penalty_end > now + rules->penalty_max)
		e->penalty_end = now + rules->penalty_max;
}

void
srclimit_suspect(struct srclimit *s, const struct srclimit_rules *rules, const struct addr *a, int64_t now)
{
	struct addr_net net = addr_bucket(a);
	struct source *e;

	if (rules->exempt != NULL && addr_nets_have(rules->exempt, a))
		return;
	e = find_or_add(s, &net, now);
	if (e != NULL)
		e->suspect_end = now + SUSPECT_FOR;
}

bool
srclimit_is_suspect(struct srclimit *s, const struct addr *a, int64_t now)
{
	struct addr_net net = addr_bucket(a);
	const struct source *e = find(s, &net, now);

	return e != NULL && e->suspect_end > now;
}

static struct ban *
find_ban(struct srclimit *s, const struct addr_net *net)
{
	for (unsigned i = 0; i < s->ban_count; i++)
		if (addr_net_same(&s->bans[i].net, net))
			return &s->bans[i];
	return NULL;
}

static struct ban *
add_ban(struct srclimit *s)
{
	if (s->ban_count == s->ban_room) {
		unsigned room = s->ban_room == 0 ? 16 : s->ban_room * 2;
		struct ban *more = realloc(s->bans, room * sizeof *more);

		if (more == NULL)
			return NULL;
		s->bans = more;
		s->ban_room = room;
	}
	return &s->bans[s->ban_count++];
}

int
srclimit_ban(struct srclimit *s, const struct addr_net *net, int64_t until, const char *reason)
{
	struct ban *b = find_ban(s, net);

	if (b == NULL && s->ban_count >= BANS_MAX)
		return -ENOSPC;
	if (b == NULL && (b = add_ban(s)) == NULL)
		return -ENOMEM;
	b->net = *net;
	b->until = until;
	/* A reason cut short is still one. */
	(void)str_copy(b->reason, sizeof b->reason, reason);
	return 0;
}

int
srclimit_unban(struct srclimit *s, const struct addr_net *net)
{
	struct ban *b = find_ban(s, net);
	struct source *e = find(s, net, INT64_MIN / 2);
	int r = -ENOENT;

	if (b != NULL) {
		*b = s->bans[--s->ban_count];
		r = 0;
	}
	if (e != NULL && e->penalty_end != 0) {
		e->penalty_end = 0;
		r = 0;
	}
	return r;
}

void
srclimit_each_ban(struct srclimit *s, const struct srclimit_rules *rules, int64_t now,
    void (*f)(void *, const struct srclimit_ban *), void *context)
{
	for (unsigned i = 0; i < s->ban_count; i++)
		if (s->bans[i].until == 0 || s->bans[i].until > now)
			f(context, &(struct srclimit_ban){ s->bans[i].net, s->bans[i].until, s->bans[i].reason, false });
	for (size_t i = 0; i < CHAINS; i++)
		for (const struct source *e = s->chain[i]; e != NULL; e = e->next)
			if (e->penalty_end - now > rules->penalty_threshold)
				f(context, &(struct srclimit_ban){ e->net, e->penalty_end - rules->penalty_threshold,
				    "failed logins or crashes", true });
}

const char *
srclimit_text(enum srclimit_answer answer)
{
	static const char *const texts[] = {
		[SRC_WELCOME] = "Welcome.",
		[SRC_TOO_MANY] = "Too many connections from your address; close one or try again later.",
		[SRC_TOO_FAST] = "Too many new connections from your address; try again in a minute.",
		[SRC_PENALTY] = "Too many failures from your address; try again later.",
		[SRC_BANNED] = "Your address may not connect to this server.",
	};

	return texts[answer];
}
