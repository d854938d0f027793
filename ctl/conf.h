/*
 * How commands of sallyctl come to a configuration.
 */
#ifndef CTL_CONF_H
#define CTL_CONF_H

#include "common/conf.h"
#include "ctl/ctl.h"

/*
 * Loads --config.  CTL_OK and *conf (conf_free() it), or an exit code after
 * the mistakes were told on stderr.
 */
int ctl_conf_load(const struct invocation *, struct conf **conf);

/*
 * The control socket: --socket, else control_socket of the configuration, if
 * that can be read, else the built-in place. Returns dst.
 */
const char *ctl_conf_socket(const struct invocation *, char *dst, size_t size);

/* Has this been noted already? A line in the server section counts for several listeners, and accounts share layers. */
bool ctl_problem_known(const struct conf *, const char *file, unsigned line, const char *what);

#endif
