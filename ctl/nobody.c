/* Privileges are given up for good. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ctl/nobody.h"

#define NOBODY 65534

bool
nobody_become(bool even_so)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	if (geteuid() != 0)
		return true;
	/* EINVAL: a user namespace that has no such user. */
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0)
		return even_so && (errno == EPERM || errno == EINVAL);
	return setresuid(NOBODY, NOBODY, NOBODY) == 0 || (even_so && errno == EPERM);
}
