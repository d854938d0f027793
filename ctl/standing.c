/* why and expect: what keeps an account out before any rule is asked, and what lets it in again. */
#include "config.h"

#include <time.h>
#include <unistd.h>

#include "account/source.h"
#include "common/str.h"
#include "ctl/policy.h"

/* What helps, for a user of the system and for any other account. */
static const struct {
	enum account_reason reason;
	const char *system, *virtual;
} remedies[] = {
	{ REASON_DISABLED, "set enabled = yes for the account", "set enabled = yes (sallyctl account enable)" },
	{ REASON_LOCKED, "unlock the user with passwd -u, or set a password with passwd",
	    "set a password (sallyctl account passwd, or the key password)" },
	{ REASON_HASH_UNSUPPORTED, "set the password anew with passwd", "set the password anew (sallyctl passwd-hash)" },
	{ REASON_EXPIRED, "set another day with chage -E (-1: never), or the key expires", "set another day with the key expires" },
	{ REASON_PASSWORD_EXPIRED, "set a new password with passwd; chage -l shows the days", "set a new password" },
	{ REASON_FTPUSERS, "take the user out of the file that ftpusers_file names", NULL },
	{ REASON_NOT_ALLOWED, "add the user to allowed_users", NULL },
	{ REASON_REJECTED, "take the user out of rejected_users", NULL },
	{ REASON_SHELL, "add the user's shell to /etc/shells, give the user another (chsh), or set require_valid_shell = no",
	    NULL },
	{ REASON_UID, "set run_as for the account, or lower uid_min", "name another user in run_as, or lower uid_min" },
	{ REASON_GROUP, "give the user another primary group", "name another group in run_as" },
	{ REASON_TIME, "change login_hours", "change login_hours" },
	{ REASON_ACCOUNT, "see the account lines of the PAM service that pam_service names", NULL }
};

/* Does that keep everybody out, however and from wherever they come? */
static bool
is_lasting(const struct account *a, enum account_reason r)
{
	return r != REASON_NONE && (r == a->barred || r == REASON_DISABLED || r == REASON_EXPIRED || r == REASON_TIME ||
	    r == REASON_UID || r == REASON_GROUP);
}

/* In the order of a login, but for the password, which nobody has given. */
static enum account_reason
find_reason(struct account *a, const struct account_query *q)
{
	enum account_reason reason = account_check_rules(q, a, time(NULL));

	if (is_lasting(a, reason))
		return reason;
	reason = (a->flags & ACCOUNT_SYSTEM) != 0 ? source_system_rules(q, a) : REASON_NONE;
	return reason != REASON_NONE ? reason : account_standing(q, a);
}

static const char *
remedy_of(const struct account *a, enum account_reason reason)
{
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (remedies[i].reason == reason)
			return (a->flags & ACCOUNT_SYSTEM) != 0 ? remedies[i].system : remedies[i].virtual;
	return NULL;
}

void
view_judge_account(struct view *v, const struct account_query *q)
{
	struct account *a = &v->account;
	enum account_reason reason = find_reason(a, q);

	v->unsure = reason == REASON_UNAVAILABLE;
	v->refused = reason != REASON_NONE && !v->unsure;
	if (!v->refused)
		return;
	v->remedy = remedy_of(a, reason);
	(void)str_format(v->why, sizeof(v->why), "the account cannot log in now: %s%s%.300s%s", account_reason_word(reason),
	    a->said != NULL ? " (" : "", a->said != NULL ? a->said : "", a->said != NULL ? ")" : "");
}
