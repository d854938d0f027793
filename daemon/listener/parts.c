#include "config.h"

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
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
	char hint[512];

	if (verdict == PART_SILENT)
		return true;
	log_begin(&l, verdict == PART_FATAL ? EVENT_REFUSING_TO_START : EVENT_SANDBOX_INCOMPLETE);
	log_str(&l, FIELD_MISSING, row->name);
	log_str(&l, FIELD_ERROR, sp_strerror(error));
	log_str(&l, verdict == PART_FATAL ? FIELD_REASON : FIELD_EFFECT, row->without);
	(void)str_format(hint, sizeof hint, "%s%s", row->remedy,
	    verdict == PART_FATAL && row->need == NEED_SANDBOX ? "; sandbox = best_effort goes on without it" : "");
	log_str(&l, FIELD_HINT, hint);
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
		log_problem(EVENT_REFUSING_TO_START, "the sandbox cannot be tried", r);
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
