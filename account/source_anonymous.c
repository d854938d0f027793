/*
 * Anonymous clients: the names anonymous and ftp, any password, the identity
 * of a system user of their own.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "account/source.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/str.h"

#define ANONYMOUS "anonymous"

static enum account_result
find_anonymous(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	const char *user = q->base->anonymous_user;
	int r = 0;

	(void)state;
	if (!str_same(q->user, ANONYMOUS) && !str_same(q->user, "ftp"))
		return ACCOUNT_UNKNOWN;
	(void)str_copy(a->name, sizeof a->name, ANONYMOUS);
	/* An account section for anonymous may name another identity; without root there is only our own. */
	if (user != NULL && geteuid() == 0)
		r = unix_run_as(a, user);
	if (r != 0 && r != SP_ENOUSER && r != SP_ENOGROUP) {
		*why = REASON_UNAVAILABLE;
		return ACCOUNT_UNAVAILABLE;
	}
	a->flags |= ACCOUNT_ANONYMOUS;
	a->verifier_kind = VERIFY_ANY;
	a->origin = ANONYMOUS;
	return ACCOUNT_FOUND;
}

const struct account_source source_anonymous = {
	.name = "anonymous",
	.doc = "Clients that call themselves anonymous or ftp, with any password.",
	.find = find_anonymous
};
