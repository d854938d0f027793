#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/logsink.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/metrics.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"

/* One answer: what is counted for it, and where it goes. */
struct metrics {
	const struct server *server;
	FILE *out;		/* text; NULL: JSON */
	struct json *doc;
	const char *name;	/* of the series that is being written */
	int64_t now;
	unsigned logged_in, transferring, bans;
};

/* ----------------------------------------------------------------------- counting */

static void
count_session(void *context, const struct session_facts *f)
{
	struct metrics *m = context;

	m->logged_in += f->logged_in;
	m->transferring += *f->what != '\0';
}

static void
count_ban(void *context, const struct srclimit_ban *b)
{
	struct metrics *m = context;

	(void)b;
	m->bans++;
}

static void
count(struct metrics *m)
{
	const struct server *s = m->server;
	struct srclimit_rules rules = server_ban_rules(s);

	m->now = time(NULL);
	pool_each(s, count_session, m);
	srclimit_each_ban(s->sources, &rules, clock_ms(), count_ban, m);
}

/* ------------------------------------------------------------------------ writing */

/* The name of a family goes without the ending that its samples have. */
static int
family_length(const char *name)
{
	const char *end = strstr(name, "_total");

	return (int)(end == NULL ? strlen(name) : (size_t)(end - name));
}

static void
head(const struct metrics *m, const char *name, const char *type, const char *doc)
{
	int n = family_length(name);

	if (m->out != NULL)
		fprintf(m->out, "# TYPE sallyport_%.*s %s\n# HELP sallyport_%.*s %s\n", n, name, type, n, name, doc);
}

static void
single(const struct metrics *m, const char *name, const char *type, int64_t value, const char *doc)
{
	head(m, name, type, doc);
	if (m->out != NULL)
		fprintf(m->out, "sallyport_%s %" PRId64 "\n", name, value);
	else
		json_num(m->doc, name, value);
}

/* A label's value: what would end it is escaped. */
static void
print_label(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc((unsigned char)*text < 0x20 ? '?' : *text, out);
	}
}

static void
one_certificate(void *context, const struct keeper_certificate *c)
{
	const struct metrics *m = context;

	if (m->out == NULL) {
		json_open(m->doc, NULL, '{');
		json_str(m->doc, "file", c->file);
		json_num(m->doc, "value", c->not_after);
		json_close(m->doc);
		return;
	}
	fprintf(m->out, "sallyport_%s{file=\"", m->name);
	print_label(m->out, c->file);
	fprintf(m->out, "\"} %" PRId64 "\n", c->not_after);
}

static void
each_certificate(struct metrics *m)
{
	keeper_each(m->server, one_certificate, m);
}

static void
series(struct metrics *m, const char *name, const char *type, void (*each)(struct metrics *), const char *doc)
{
	m->name = name;
	head(m, name, type, doc);
	if (m->doc != NULL)
		json_open(m->doc, name, '[');
	each(m);
	if (m->doc != NULL)
		json_close(m->doc);
}

static void
write_all(struct metrics *m)
{
	const struct server *s = m->server;

	count(m);
#define METRIC(name, type, value, doc)	single(m, name, #type, (int64_t)(value), doc);
#define SERIES(name, type, each, doc)	series(m, name, #type, each, doc);
#include "daemon/listener/metrics.def"
#undef METRIC
#undef SERIES
}

void
metrics_text(const struct server *s, FILE *out)
{
	struct metrics m = { .server = s, .out = out };

	write_all(&m);
	fputs("# EOF\n", out);
}

void
metrics_json(const struct server *s, struct json *doc)
{
	struct metrics m = { .server = s, .doc = doc };

	json_open(doc, NULL, '{');
	write_all(&m);
	json_close(doc);
}
