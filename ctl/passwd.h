/*
 * Passwords of the command line: from a terminal without echo (twice), or a
 * line of standard input; never an argument, which other users could see.
 */
#ifndef CTL_PASSWD_H
#define CTL_PASSWD_H

#include "common/secret.h"
#include "ctl/ctl.h"

/* CTL_OK, or an exit code after a message. The caller clears the secret. */
int ctl_read_password(const struct invocation *, struct secret *);
/* The same for one that is there already, which a terminal is asked for once. */
int ctl_read_password_once(const struct invocation *, struct secret *);

#endif
