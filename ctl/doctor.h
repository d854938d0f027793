/*
 * sallyctl doctor: what support would ask first.  Each check of doctor.def
 * reports what it found; a finding that is not fine has a remedy.  Checks look
 * and never change anything.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "ctl/conf.h"

/* LEVEL(NAME, "word") */
#define DOCTOR_LEVELS(LEVEL)	\
	LEVEL(FINE, "ok")	\
	LEVEL(NOTE, "note")	\
	LEVEL(WARNING, "warning") \
	LEVEL(ERROR, "error")

enum doctor_level {
#define LEVEL(NAME, word) DOCTOR_##NAME,
	DOCTOR_LEVELS(LEVEL)
#undef LEVEL
	DOCTOR_LEVEL_COUNT
};

struct doctor {
	struct invocation *inv;
	struct conf *conf;		/* defaults only where the file cannot be read */
	const struct settings *s;	/* of the server */
	int load_error;			/* why the file cannot be read, or 0 */
	bool running;			/* the server answers on its control socket */
	const char *check;		/* the one at work */
	unsigned found[DOCTOR_LEVEL_COUNT];
	unsigned here;			/* findings of this check, those included that were found before for another listener */
	struct finding *findings;	/* printed when it is over: by then it is known which listeners have it in common */
	unsigned finding_count;
	const char *listener;		/* that is looked at now, or NULL */
	unsigned listeners;		/* that this check has looked at */
	struct json json;
};

/*
 * Reports one finding.  remedy: copied, NULL where nothing is to be done.  Where the finding is not true
 * of all listeners their names are told with it.
 */
void doctor_find(struct doctor *, enum doctor_level, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

typedef void doctor_check(struct doctor *);

#define CHECK(name, function, title) doctor_check function;
#include "ctl/doctor.def"
#undef CHECK

/* Calls each with the settings of every listener section, or of the server when there is none. */
void doctor_each_listener(struct doctor *, void (*each)(struct doctor *, const struct settings *));

#endif
