/*
 * SFTPPlus's globs with dates: "t/GLOB/OFFSET".  Parts such as {year.decimal}
 * or {day.padded} stand for the local date and time of the decision, moved by
 * the offset ("-1d": yesterday); what comes out is a glob as any other.
 */
#ifndef AUTHZ_DATEGLOB_H
#define AUTHZ_DATEGLOB_H

#include <time.h>

#include "authz/glob.h"

struct dateglob;

/*
 * Compiles a pattern and its offset (may be empty); pattern and user are kept by
 * reference.  Returns NULL, or what is wrong with *at the place in pattern or
 * offset ("" and a NULL *at: out of memory).  *out goes to dateglob_free().
 */
const char *dateglob_compile(struct arena *, struct span pattern, struct span offset, const char *user,
    struct dateglob **out, const char **at);
/*
 * Matches a path that text_fold() prepared, at that time.  Allocates only when
 * the date's text differs from that of the last call.  -ENOMEM: it cannot be told.
 */
int dateglob_match(struct dateglob *, time_t now, const char *folded, size_t len);
/* The glob that the pattern is at that time; until the next call. NULL: out of memory. */
const struct glob *dateglob_at(struct dateglob *, time_t now);
/* A glob that matches all that the pattern matches at any time. */
const struct glob *dateglob_ever(const struct dateglob *);
void dateglob_free(struct dateglob *);

#endif
