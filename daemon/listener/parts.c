#include "config.h"

#include "common/err.h"
#include "common/log.h"
#include "daemon/listener/parts.h"
#include "daemon/listener/server.h"
#include "privsep/part.h"

/* One that is missing. Does the server start without it? */
static bool
report(const struct server *s, enum part p, int error)
{
	const struct part_row *row = part_row(p);
	enum part_verdict verdict = part_verdict(p, error, s->settings);
	struct log_line l;

	if (verdict == PART_SILENT)
		return true;
	log_begin(&l, verdict == PART_FATAL ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
	    verdict == PART_FATAL ? "refusing-to-start" : "sandbox-incomplete");
	log_str(&l, "missing", row->name);
	log_str(&l, "error", sp_strerror(error));
	log_str(&l, verdict == PART_FATAL ? "why" : "lost", row->without);
	log_str(&l, "remedy", row->remedy);
	if (verdict == PART_FATAL && row->need == NEED_SANDBOX)
		log_str(&l, "or", "sandbox = best_effort goes on without it");
	log_end(&l);
	return verdict != PART_FATAL;
}

void
parts_override(const struct server *s, struct conf *c)
{
	char why[128];

	if (s->no_landlock && conf_server(c)->landlock == CONF_LANDLOCK_AUTO)
		(void)conf_set(c, SC_SERVER, NULL, "landlock", "off", why, sizeof why);
}

int
parts_examine(struct server *s)
{
	int errors[PART_COUNT], r = s->options->inetd ? 0 : parts_try(&s->worker, errors);
	bool starts = true;

	if (s->options->inetd)
		return 0;
	if (r != 0) {
		log_problem(LOG_LEVEL_ERROR, "refusing-to-start", "the sandbox cannot be tried", r);
		return r;
	}
	s->no_landlock = errors[PART_LANDLOCK] != 0;
	for (unsigned p = 0; p < PART_COUNT; p++)
		if (errors[p] < 0 && !report(s, (enum part)p, errors[p]))
			starts = false;
	parts_override(s, s->conf);
	s->settings = conf_server(s->conf);
	return starts ? 0 : SP_ENOTDROPPED;
}
