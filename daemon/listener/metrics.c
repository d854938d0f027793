#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/elsewhere.h"
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
	enum metrics_form form;
	int64_t started;	/* seconds since 1970 */
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

/* In milliseconds until the end: two truncated clocks would make it another second at every other answer. */
static int64_t
started(const struct server *s)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - (clock_ms() - s->started)) / 1000;
}

static void
count(struct metrics *m)
{
	const struct server *s = m->server;
	struct srclimit_rules rules = server_ban_rules(s);

	m->started = started(s);
	pool_each(s, count_session, m);
	srclimit_each_ban(s->sources, &rules, clock_ms(), count_ban, m);
}

/* ------------------------------------------------------------------------ writing */

/*
 * OpenMetrics names a family of counters without the ending that its samples have (1.0, "Counter");
 * for Prometheus's own format, which has no such rule, the family would be one without samples.
 */
static int
family_length(const struct metrics *m, const char *name)
{
	const char *end = m->form == METRICS_OPENMETRICS ? strstr(name, "_total") : NULL;

	return (int)(end == NULL ? strlen(name) : (size_t)(end - name));
}

static void
head(const struct metrics *m, const char *name, const char *type, const char *doc)
{
	int n = family_length(m, name);

	if (m->out != NULL)
		fprintf(m->out, "# HELP sallyport_%.*s %s\n# TYPE sallyport_%.*s %s\n", n, name, doc, n, name, type);
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

/*
 * A label's value: what would end it is escaped; what is no text, for which the whole answer would be refused, is
 * not shown.
 */
static void
print_label(FILE *out, const char *text)
{
	size_t used;
	uint32_t code;

	for (size_t left = strlen(text); left > 0; text += used, left -= used) {
		used = str_utf8(text, left, &code);
		if (used == 0 || str_hidden(code)) {
			used += used == 0;
			fputc('?', out);
			continue;
		}
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fwrite(text, 1, used, out);
	}
}

/* A sample of a series. */
static void
sample(const struct metrics *m, const char *label, const char *text, int64_t value)
{
	if (m->out == NULL) {
		json_open(m->doc, NULL, '{');
		json_str(m->doc, label, text);
		json_num(m->doc, "value", value);
		json_close(m->doc);
		return;
	}
	fprintf(m->out, "sallyport_%s{%s=\"", m->name, label);
	print_label(m->out, text);
	fprintf(m->out, "\"} %" PRId64 "\n", value);
}

static void
one_certificate(void *context, const struct keeper_certificate *c)
{
	sample(context, "file", c->file, c->not_after);
}

static void
one_reason(void *context, const char *reason, uint64_t n)
{
	sample(context, "reason", reason, (int64_t)n);
}

static void
each_refusal(struct metrics *m)
{
	admission_each_reason(m->server, one_reason, m);
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
metrics_text(const struct server *s, enum metrics_form form, FILE *out)
{
	struct metrics m = { .server = s, .out = out, .form = form };

	write_all(&m);
	if (form == METRICS_OPENMETRICS)
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
