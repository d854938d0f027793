/* Snapshots of the sessions for sallyctl top: what became of each since the one before, their order, the filter. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/top_model.h"

/* -------------------------------------------------------------------------- taking */

/* The answer while it is read. */
struct taking {
	struct top_session *session;
	size_t n, room;
	bool no_memory;
};

static const struct {
	const char *key;
	size_t offset, size;		/* size 0: a number */
} members[] = {
#define TEXT(key, field) { key, offsetof(struct top_session, field), sizeof(((struct top_session *)0)->field) }
#define NUMBER(key, field) { key, offsetof(struct top_session, field), 0 }
	TEXT("session", id), TEXT("user", user), TEXT("peer", peer), TEXT("state", state), TEXT("activity", activity),
	NUMBER("idle", idle), NUMBER("bytes_in", bytes_in), NUMBER("bytes_out", bytes_out),
#undef TEXT
#undef NUMBER
};

static bool
begin_session(void *context)
{
	struct taking *t = context;
	struct top_session *more;

	if (t->n == t->room) {
		t->room = t->room == 0 ? 64 : t->room * 2;
		if ((more = reallocarray(t->session, t->room, sizeof *more)) == NULL) {
			t->no_memory = true;
			return false;
		}
		t->session = more;
	}
	memset(&t->session[t->n++], 0, sizeof *t->session);
	return true;
}

static void
take_member(void *context, const char *key, const char *text, int64_t number)
{
	struct taking *t = context;
	char *at = (char *)&t->session[t->n - 1];

	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		if (strcmp(members[i].key, key) != 0 || (members[i].size > 0) != (text != NULL))
			continue;
		if (text == NULL)
			memcpy(at + members[i].offset, &number, sizeof number);
		else
			(void)str_format(at + members[i].offset, members[i].size, "%s", text);
	}
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct top_session *)a)->id, ((const struct top_session *)b)->id);
}

/* A counter that has become less is another one: a server that was started anew. */
static double
rate(int64_t before, int64_t after, int64_t ms)
{
	return ms <= 0 || after < before ? 0 : (double)(after - before) * 1000.0 / (double)ms;
}

static void
measure(const struct top *t, struct taking *taken, int64_t ms)
{
	const struct top_session *old;

	for (struct top_session *s = taken->session; s != NULL && s < taken->session + taken->n; s++) {
		if (t->n == 0 || (old = bsearch(s, t->session, t->n, sizeof *s, by_id)) == NULL)
			continue;
		s->rate_in = rate(old->bytes_in, s->bytes_in, ms);
		s->rate_out = rate(old->bytes_out, s->bytes_out, ms);
	}
}

int
top_take_who(struct top *t, const char *json, int64_t now_ms)
{
	struct taking taken = { .session = NULL };
	const struct top_session **shown;
	bool whole = top_read_list(json, begin_session, take_member, &taken);

	shown = calloc(taken.n + 1, sizeof(const struct top_session *));
	if (!whole || shown == NULL) {
		free(shown);
		free(taken.session);
		return taken.no_memory || whole ? -ENOMEM : SP_EFORMAT;
	}
	if (taken.n > 0)
		qsort(taken.session, taken.n, sizeof *taken.session, by_id);
	measure(t, &taken, now_ms - t->sessions_at);
	free(t->session);
	free(t->shown);
	t->session = taken.session;
	t->n = taken.n;
	t->shown = shown;
	t->sessions_at = now_ms;
	top_arrange(t);
	return 0;
}

struct counters {
	int64_t logins, failures, refusals;
};

static void
take_counter(void *context, const char *key, const char *text, int64_t number)
{
	struct counters *c = context;

	if (text != NULL)
		return;
	if (strcmp(key, "logins_total") == 0)
		c->logins = number;
	else if (strcmp(key, "login_failures_total") == 0)
		c->failures = number;
	else if (strcmp(key, "refused_clients_total") == 0)
		c->refusals = number;
}

static void
count(struct top_counter *c, int64_t value, int64_t ms, bool first)
{
	c->rate = first ? 0 : rate(c->value, value, ms);
	c->value = value;
}

int
top_take_metrics(struct top *t, const char *json, int64_t now_ms)
{
	struct counters c = { 0, 0, 0 };
	bool first = t->counters_at == 0;
	int64_t ms = now_ms - t->counters_at;

	if (!top_read_object(json, take_counter, &c))
		return SP_EFORMAT;
	count(&t->logins, c.logins, ms, first);
	count(&t->failures, c.failures, ms, first);
	count(&t->refusals, c.refusals, ms, first);
	t->counters_at = now_ms;
	return 0;
}

/* ----------------------------------------------------------------------- arranging */

static int
more(double a, double b)
{
	return a > b ? -1 : a < b ? 1 : 0;
}

static int
order_rate(const struct top_session *a, const struct top_session *b)
{
	return more(a->rate_in + a->rate_out, b->rate_in + b->rate_out);
}

static int
order_bytes(const struct top_session *a, const struct top_session *b)
{
	return more((double)a->bytes_in + (double)a->bytes_out, (double)b->bytes_in + (double)b->bytes_out);
}

static int
order_idle(const struct top_session *a, const struct top_session *b)
{
	return more((double)a->idle, (double)b->idle);
}

static int
order_user(const struct top_session *a, const struct top_session *b)
{
	return strcmp(a->user, b->user);
}

static int
order_peer(const struct top_session *a, const struct top_session *b)
{
	return strcmp(a->peer, b->peer);
}

static int
order_state(const struct top_session *a, const struct top_session *b)
{
	return strcmp(a->state, b->state);
}

static const struct {
	const char *name;
	int (*compare)(const struct top_session *, const struct top_session *);
} orders[] = {
	[TOP_BY_RATE] = { "rate", order_rate }, [TOP_BY_BYTES] = { "bytes", order_bytes },
	[TOP_BY_IDLE] = { "idle", order_idle }, [TOP_BY_USER] = { "user", order_user },
	[TOP_BY_PEER] = { "peer", order_peer }, [TOP_BY_STATE] = { "state", order_state },
};

const char *
top_order_name(enum top_order order)
{
	return orders[order].name;
}

/* Equal ones by their names, so that rows do not change places from one look to the next. */
static int
compare(const void *a, const void *b, void *context)
{
	const struct top *t = context;
	const struct top_session *x = *(const struct top_session *const *)a, *y = *(const struct top_session *const *)b;
	int r = orders[t->order].compare(x, y);

	return r == 0 ? by_id(x, y) : t->reverse ? -r : r;
}

static bool
passes(const struct top *t, const struct top_session *s)
{
	return *t->filter == '\0' || strcasestr(s->user, t->filter) != NULL || strcasestr(s->peer, t->filter) != NULL ||
	    strcasestr(s->state, t->filter) != NULL || strcasestr(s->activity, t->filter) != NULL;
}

void
top_arrange(struct top *t)
{
	t->shown_n = 0;
	for (size_t i = 0; i < t->n; i++)
		if (passes(t, &t->session[i]))
			t->shown[t->shown_n++] = &t->session[i];
	if (t->shown_n > 1)
		qsort_r(t->shown, t->shown_n, sizeof(const struct top_session *), compare, t);
}

size_t
top_find(const struct top *t, const char *id)
{
	size_t i = 0;

	while (i < t->shown_n && strcmp(t->shown[i]->id, id) != 0)
		i++;
	return i;
}

void
top_free(struct top *t)
{
	free(t->session);
	free(t->shown);
	memset(t, 0, sizeof *t);
}

const char *
top_host(char *dst, size_t size, const struct top_session *s)
{
	const char *from = *s->peer == '[' ? s->peer + 1 : s->peer;
	const char *end = *s->peer == '[' ? strchr(from, ']') : strrchr(from, ':');

	(void)str_format(dst, size, "%.*s", (int)(end == NULL ? strlen(from) : (size_t)(end - from)), from);
	return dst;
}
