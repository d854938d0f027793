/*
 * Progress of long work, on a terminal's stderr only: a counter, at most five
 * times a second, gone when the work is done.  --quiet and --json silence it.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include "ctl/ctl.h"

/* n pieces of work are done; what names them ("objects"). Cheap: without a terminal it does not even look at the clock.
 */
void progress_step(const struct invocation *, const char *what, unsigned long n);
/* The same where the total is known: with a percentage. */
void progress_of(const struct invocation *, const char *what, unsigned long n, unsigned long total);
/* The same where only a part of something else is known, such as bytes of a file: done of total; total 0: nothing is.
 */
void progress_part(
    const struct invocation *, const char *what, unsigned long n, unsigned long done, unsigned long total);
/* Takes the line away. */
void progress_end(const struct invocation *);

#endif
