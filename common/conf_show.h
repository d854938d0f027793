/*
 * check-config and show-config: what sallyportd and sallyctl print about a
 * configuration.  Text for people, one JSON document for programs.
 */
#ifndef COMMON_CONF_SHOW_H
#define COMMON_CONF_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "common/conf.h"

/*
 * Prints every mistake and remark, a line each, or "ok".  Returns an exit
 * code: SP_EXIT_OK, SP_EXIT_CONFIG when there are errors.
 */
int conf_report(FILE *, const struct conf *, bool json);

/* Prints every key with its effective value and the place it came from. Secrets are only said to be set. 0 or
 * SP_EXIT_*. */
int conf_show(FILE *, const struct conf *, const struct conf_subject *, bool json);
/* The same of what is resolved already, with what an account's source knows. */
void conf_show_resolved(FILE *, const struct conf_resolved *, bool json);

/*
 * Takes "USER", "USER,ADDRESS" or ",ADDRESS" apart: user holds size bytes, and who points to it and to peer. NULL is
 * nobody. 0, or a negative code for a wrong address or a name that is too long.
 */
int conf_subject_parse(const char *text, char *user, size_t size, struct addr *peer, struct conf_subject *who);

/*
 * The whole of check-config: reads the file and reports.  path NULL: the
 * defaults.  Returns an exit code: SP_EXIT_OK, SP_EXIT_CONFIG for mistakes,
 * SP_EXIT_OS when the file cannot be read.
 */
int conf_check_command(FILE *, const char *path, bool json);
/*
 * The whole of show-config.  subject is "USER", "USER,ADDRESS" or ",ADDRESS",
 * NULL for the server as a whole; listener may be NULL.  Of an account it knows
 * what the configuration says, and nothing of other sources: for those see
 * sallyctl's config show.  A configuration with mistakes is reported instead.  Exit codes as above, SP_EXIT_USAGE for a
 * wrong subject.
 */
int conf_show_command(FILE *, const char *path, const char *subject, const char *listener, bool json);

#endif
