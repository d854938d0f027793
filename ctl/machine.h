/*
 * What "sallyctl check" asks of the machine, beyond what stands in the files:
 * would a start or reload with this configuration work here?  Looks and changes
 * nothing: no account is asked for by name, nothing is left listening.
 */
#ifndef CTL_MACHINE_H
#define CTL_MACHINE_H

#include "ctl/conf.h"

/*
 * Users of the roles, addresses of the listeners, and the sources of accounts; what is wrong is added to the
 * problems of the configuration, where the setting stands.  What only root could tell is left out for others.
 */
void machine_check(struct conf *);

/* Of that only what a reload asks as well: logs, quotas, the database of accounts, the group of the control socket. */
void machine_check_places(struct conf *);

/* The same for certificates and keys. */
void certificates_check(struct conf *);

#endif
