/*
 * The system users that worker, monitor and keeper run as: found by their
 * names in the configuration, or chosen where nobody has set the system up.
 */
#ifndef SP_DAEMON_LISTENER_USERS_H
#define SP_DAEMON_LISTENER_USERS_H

#include "common/conf.h"

struct server;

/*
 * Gives numbers that no user and no group has to those of worker_user,
 * monitor_user and keeper_user that still name their default user where there
 * is none, and says so on standard error.  For serve, inetd and a start without
 * a configuration file, which have to work on a machine that was not prepared.
 */
void users_choose(struct conf *);
/*
 * Looks the three users up, for a server started by root; without root every
 * process is the server's own user.  0, or the code of the first that cannot be
 * used; then one message names all of them, with the remedy.
 */
int users_find(struct server *);

#endif
