/*
 * The parts of the sandbox, from the table privsep/parts.def, and whether this
 * system gives them.  The listener asks at its start, sallyctl doctor whenever
 * an administrator does.  Trusts the system only.
 */
#ifndef PRIVSEP_PART_H
#define PRIVSEP_PART_H

#include <stdbool.h>

#include "common/conf.h"
#include "privsep/role.h"

enum part {
#define PART(id, name, need, try, without, remedy) PART_##id,
#include "privsep/parts.def"
#undef PART
	PART_COUNT
};

/* What the lack of a part means. */
enum part_need { NEED_ALWAYS, NEED_SANDBOX, NEED_LANDLOCK, NEED_WARN, NEED_OTHERWISE };

/* What follows from the lack of a part under a configuration. */
enum part_verdict {
	PART_FATAL,		/* the server does not start */
	PART_TOLD,		/* it goes on, and the log says what is lost */
	PART_SILENT		/* nothing that an administrator need know: another way is taken, or the part is not wanted */
};

struct part_row {
	const char *name;
	enum part_need need;
	const char *without, *remedy;
};

const struct part_row *part_row(enum part);
/*
 * What the lack of it means with these settings.  error: what trying it gave.  Where the system kills whoever tries it
 * (SP_EKILLED), nothing can go on without it but what can leave it alone: Landlock.
 */
enum part_verdict part_verdict(enum part, int error, const struct settings *);

/* Of a part that was not tried, because it is only root's to use. */
#define PART_NOT_TRIED	1

/*
 * Tries every part in a child, as the processes will use it; nothing is left behind.  errors[] gets 0, -errno,
 * SP_EKILLED when the system ends the process that tries it, or PART_NOT_TRIED.  id: whom a process becomes, where the
 * caller is root.  0, or -errno when there was nothing to try with.
 */
int parts_try(const struct role_id *id, int errors[PART_COUNT]);

#endif
