#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/listener/nft.h"

#define BYTES_MAX	16
#define DEPTH_MAX	(2 * (8 * BYTES_MAX + 1))	/* networks within each other, and each as a ban and as a penalty */
#define FOR_EVER	INT64_MAX
#define SECONDS_MAX	31536000	/* a year: nft(8) of Debian 12 refuses a number of nine digits */

static const struct family {
	sa_family_t family;
	size_t bytes;
	const char *set, *type;
} families[] = {
	{ AF_INET, 4, "banned4", "ipv4_addr" },
	{ AF_INET6, 16, "banned6", "ipv6_addr" },
};

#define FAMILIES (sizeof families / sizeof *families)

/* From the first address to the last. */
struct range {
	uint8_t first[BYTES_MAX], last[BYTES_MAX];
	int64_t until;		/* clock_ms() time, FOR_EVER */
};

struct ranges {
	const struct family *family;
	struct range *v;
	size_t n, room;
	bool failed;
};

/* What is being written: the networks around the present address, outermost first. */
struct sweep {
	FILE *out;
	const struct family *family;
	int64_t now;
	uint8_t from[BYTES_MAX];	/* the first address that was not written yet */
	bool over;			/* there is none: the last one was */
	struct range around[DEPTH_MAX];
	size_t depth, written;
};

static void
add_range(struct ranges *r, const struct srclimit_ban *b)
{
	struct range *e;

	if (r->n == r->room) {
		size_t room = r->room == 0 ? 64 : r->room * 2;

		e = realloc(r->v, room * sizeof *e);
		if (e == NULL) {
			r->failed = true;
			return;
		}
		r->v = e;
		r->room = room;
	}
	e = &r->v[r->n++];
	*e = (struct range){ .until = b->until == 0 ? FOR_EVER : b->until };
	for (size_t i = 0; i < r->family->bytes; i++) {
		unsigned bits = b->net.family == AF_UNSPEC ? 0 : b->net.bits;
		unsigned fixed = bits <= 8 * i ? 0 : bits - 8 * i >= 8 ? 8 : bits - 8 * (unsigned)i;
		uint8_t host = (uint8_t)(0xff >> fixed);

		e->first[i] = (uint8_t)(b->net.bytes[i] & ~host);
		e->last[i] = e->first[i] | host;
	}
}

/* Everybody ("*") is of both families. */
static void
take_ban(void *context, const struct srclimit_ban *b)
{
	struct ranges *r = context;

	if (b->net.family == AF_UNSPEC || b->net.family == r->family->family)
		add_range(r, b);
}

/* Those around others before them. */
static int
by_place(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	int r = memcmp(x->first, y->first, sizeof x->first);

	return r != 0 ? r : memcmp(y->last, x->last, sizeof y->last);
}

/* The next address (by 1) or the one before (by -1). */
static void
step(uint8_t *bytes, size_t n, int by)
{
	uint8_t carried = by > 0 ? 0 : 0xff;

	while (n-- > 0) {
		bytes[n] = (uint8_t)(bytes[n] + by);
		if (bytes[n] != carried)
			return;
	}
}

static void
write_range(struct sweep *s, const uint8_t *last, int64_t until)
{
	char first_text[INET6_ADDRSTRLEN], last_text[INET6_ADDRSTRLEN];
	int64_t seconds = until == FOR_EVER ? 0 : (until - s->now + 999) / 1000;

	if (s->over || memcmp(s->from, last, sizeof s->from) > 0)
		return;
	(void)inet_ntop(s->family->family, s->from, first_text, sizeof first_text);
	(void)inet_ntop(s->family->family, last, last_text, sizeof last_text);
	if (s->written++ == 0)
		fprintf(s->out, "add element inet sallyport %s {", s->family->set);
	fprintf(s->out, "%s\n\t%s", s->written == 1 ? "" : ",", first_text);
	if (strcmp(first_text, last_text) != 0)
		fprintf(s->out, "-%s", last_text);
	if (until != FOR_EVER)
		fprintf(s->out, " timeout %" PRId64 "s", seconds < 1 ? 1 : seconds > SECONDS_MAX ? SECONDS_MAX : seconds);
}

/* The innermost network ends. */
static void
leave(struct sweep *s)
{
	static const uint8_t end[BYTES_MAX] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff };
	const struct range *r = &s->around[--s->depth];

	write_range(s, r->last, r->until);
	s->over = s->over || memcmp(r->last, end, s->family->bytes) == 0;
	memcpy(s->from, r->last, sizeof s->from);
	step(s->from, s->family->bytes, 1);
}

static void
enter(struct sweep *s, const struct range *r)
{
	uint8_t before[BYTES_MAX];

	while (s->depth > 0 && memcmp(s->around[s->depth - 1].last, r->first, sizeof r->first) < 0)
		leave(s);
	if (s->depth > 0 && s->around[s->depth - 1].until >= r->until)
		return;
	if (s->depth > 0 && memcmp(s->from, r->first, sizeof r->first) < 0) {
		memcpy(before, r->first, sizeof before);
		step(before, s->family->bytes, -1);
		write_range(s, before, s->around[s->depth - 1].until);
	}
	memcpy(s->from, r->first, sizeof s->from);
	s->around[s->depth++] = *r;
}

static void
write_family(FILE *out, struct ranges *r, int64_t now)
{
	struct sweep s = { .out = out, .family = r->family, .now = now };

	if (r->n > 0)
		qsort(r->v, r->n, sizeof *r->v, by_place);
	for (size_t i = 0; i < r->n; i++)
		enter(&s, &r->v[i]);
	while (s.depth > 0)
		leave(&s);
	if (s.written > 0)
		fputs("\n}\n", out);
}

/* The sets are emptied in the same transaction, so that a second call replaces what the first has said. */
static void
write_head(FILE *out)
{
	fputs("add table inet sallyport\n", out);
	for (size_t f = 0; f < FAMILIES; f++)
		fprintf(out, "add set inet sallyport %s { type %s; flags interval, timeout; }\nflush set inet sallyport %s\n",
		    families[f].set, families[f].type, families[f].set);
}

int
nft_write(FILE *out, struct srclimit *sources, const struct srclimit_rules *rules, int64_t now)
{
	struct ranges r[FAMILIES] = { 0 };
	bool failed = false;

	for (size_t f = 0; f < FAMILIES; f++) {
		r[f].family = &families[f];
		srclimit_each_ban(sources, rules, now, take_ban, &r[f]);
		failed = failed || r[f].failed;
	}
	if (!failed)
		write_head(out);
	for (size_t f = 0; f < FAMILIES; f++) {
		if (!failed)
			write_family(out, &r[f], now);
		free(r[f].v);
	}
	return failed ? -ENOMEM : 0;
}
