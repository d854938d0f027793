/*
 * Progress of long work, on a terminal's stderr only: a counter, at most five
 * times a second, gone when the work is done.  --quiet and --json silence it.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include "ctl/ctl.h"

/* n pieces of work are done; what names them ("objects"). Cheap: it looks at the clock every 64th time. */
void progress_step(const struct invocation *, const char *what, unsigned long n);
/* The same where the total is known: with a percentage. */
void progress_of(const struct invocation *, const char *what, unsigned long n, unsigned long total);
/* Takes the line away. */
void progress_end(const struct invocation *);

#endif
