#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/refusals.h"

#define CHAINS		256
#define LINES_MAX	1024	/* remembered at the same time: lines a minute that an attacker with many sources can order */
#define MINUTE		60000
#define OWN_LINES	10	/* of a source in a minute, before it is counted */
#define OWN_SOURCES	100	/* with more of them than this, each has one */

struct line {
	TAILQ_ENTRY(line) link;		/* the first is due first: all wait equally long */
	struct line *next;		/* in its chain */
	struct addr_net net;		/* family AF_UNSPEC: of many sources */
	struct addr first;		/* the client that is named: the first of its source */
	const char *reason;
	char listener[65];
	unsigned limit;
	uint64_t count;			/* since the last line */
	unsigned own;			/* the same for those with lines of their own */
	int64_t due;
};

struct refusals {
	enum log_event event;
	uint64_t seed;
	unsigned lines;
	struct line *chain[CHAINS];
	TAILQ_HEAD(, line) list;
};

struct refusals *
refusals_new(enum log_event event)
{
	struct refusals *x = calloc(1, sizeof *x);

	if (x == NULL)
		return NULL;
	x->event = event;
	TAILQ_INIT(&x->list);
	if (getrandom(&x->seed, sizeof x->seed, 0) != sizeof x->seed)
		x->seed = (uint64_t)(uintptr_t)x;
	return x;
}

static struct line **
place_of(struct refusals *x, const struct addr_net *net, const struct refusal *why)
{
	struct line **at = &x->chain[addr_net_hash(net, x->seed) % CHAINS];

	while (*at != NULL && !(addr_net_same(&(*at)->net, net) && strcmp((*at)->reason, why->reason) == 0 &&
	    strcmp((*at)->listener, why->listener) == 0))
		at = &(*at)->next;
	return at;
}

static void
forget(struct refusals *x, struct line *n)
{
	struct line **at = place_of(x, &n->net, &(struct refusal){ .reason = n->reason, .listener = n->listener });

	*at = n->next;
	TAILQ_REMOVE(&x->list, n, link);
	x->lines--;
	free(n);
}

void
refusals_free(struct refusals *x)
{
	struct line *n;

	while (x != NULL && (n = TAILQ_FIRST(&x->list)) != NULL)
		forget(x, n);
	free(x);
}

static void
say(struct refusals *x, struct line *n, int64_t now)
{
	char host[ADDR_TEXT_MAX];
	struct log_line l;

	log_begin(&l, x->event);
	log_str(&l, FIELD_RHOST, n->net.family == AF_UNSPEC ? "many" : addr_host(host, &n->first));
	if (n->reason[0] != '\0')
		log_str(&l, FIELD_REASON, n->reason);
	if (n->limit > 0)
		log_num(&l, FIELD_VALUE, n->limit);
	if (n->listener[0] != '\0')
		log_str(&l, FIELD_LISTENER, n->listener);
	log_num(&l, FIELD_COUNT, (int64_t)n->count);
	log_end(&l);
	n->count = n->own = 0;
	n->due = now + MINUTE;
	TAILQ_REMOVE(&x->list, n, link);
	TAILQ_INSERT_TAIL(&x->list, n, link);
}

static struct line *
add(struct refusals *x, const struct addr_net *net, const struct addr *a, const struct refusal *why, int64_t due)
{
	struct line **at = place_of(x, net, why), *n = *at;

	if (n != NULL)
		return n;
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return NULL;
	n->net = *net;
	n->first = *a;
	n->reason = why->reason;
	(void)str_copy(n->listener, sizeof n->listener, why->listener);
	n->due = due;
	*at = n;
	TAILQ_INSERT_TAIL(&x->list, n, link);
	x->lines++;
	return n;
}

/* Its line, made if need be: then it is said at that time for the first time. NULL: no memory. */
static struct line *
line_of(struct refusals *x, const struct addr *a, const struct refusal *why, int64_t due)
{
	static const struct addr_net many = { .family = AF_UNSPEC };
	struct addr_net net = addr_bucket(a);
	struct line *n = *place_of(x, &net, why);

	return n != NULL ? n : add(x, x->lines < LINES_MAX ? &net : &many, a, why, due);
}

bool
refusals_own_line(struct refusals *x, const struct addr *a, const struct refusal *why, int64_t now)
{
	struct line *n = line_of(x, a, why, now + MINUTE);

	if (n == NULL || n->own >= (x->lines <= OWN_SOURCES ? OWN_LINES : 1))
		return false;
	n->own++;
	return true;
}

static const struct refusal any = { .reason = "", .listener = "" };

unsigned
refusals_take(struct refusals *x, const struct addr *a, unsigned most, int64_t now)
{
	struct line *n = line_of(x, a, &any, now + MINUTE);
	unsigned all = x->lines <= OWN_SOURCES ? OWN_LINES : 1, left;

	if (n == NULL || n->own >= all)
		return 0;
	left = all - n->own;
	if (left > most)
		left = most;
	n->own += left;
	return left;
}

void
refusals_give_back(struct refusals *x, const struct addr *a, unsigned lines)
{
	struct addr_net net = addr_bucket(a);
	struct line *n = *place_of(x, &net, &any);

	if (n != NULL)
		n->own -= lines < n->own ? lines : n->own;
}

void
refusals_count(struct refusals *x, const struct addr *a, const struct refusal *why, unsigned count, int64_t now)
{
	struct line *n = line_of(x, a, why, now + MINUTE);

	if (n != NULL)
		n->count += count;
}

void
refusals_note(struct refusals *x, const struct addr *a, const struct refusal *why, int64_t now)
{
	struct line *n = line_of(x, a, why, INT64_MIN);

	if (n == NULL)
		return;
	n->limit = why->limit;
	n->count++;
	if (n->due <= now)
		say(x, n, now);
}

int64_t
refusals_flush(struct refusals *x, int64_t now)
{
	struct line *n;

	while ((n = TAILQ_FIRST(&x->list)) != NULL && n->due <= now)
		if (n->count > 0)
			say(x, n, now);
		else
			forget(x, n);
	return n == NULL ? -1 : n->due - now;
}

void
refusals_end(struct refusals *x)
{
	struct line *n = TAILQ_FIRST(&x->list), *next;

	/* What has been said comes to the end of the list. */
	for (unsigned left = x->lines; left > 0; left--, n = next) {
		next = TAILQ_NEXT(n, link);
		if (n->count > 0)
			say(x, n, 0);
		else
			forget(x, n);
	}
}
