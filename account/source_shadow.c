/*
 * System users: identity from the name service, password from shadow(5), and
 * the rules that say which of them may log in (shared with PAM).
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <shadow.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/hashes.h"
#include "account/source.h"
#include "account/unix.h"
#include "common/log.h"
#include "common/str.h"

#define DAY 86400
#define ENTRIES_MAX 100000	/* of a name service that lists them; a file has fewer */

static struct name_file shells = { .path = "/etc/shells" };
static struct name_file ftpusers;

/* The name service may know several spellings of a user; one of them is the name that rules are written for. */
static const char *
system_name(const struct account *a)
{
	return a->unix_name != NULL ? a->unix_name : a->name;
}

/* Is the user named in the list by that name, or one of their groups as @GROUP? */
static bool
is_listed(const struct conf_list *list, const struct account *a, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct group *gr;

		if (list->v[i][0] != '@') {
			if (strcmp(list->v[i], name) == 0)
				return true;
			continue;
		}
		gr = getgrnam(list->v[i] + 1);
		if (gr == NULL)
			continue;
		if (gr->gr_gid == a->gid)
			return true;
		for (char **m = gr->gr_mem; *m != NULL; m++)
			if (strcmp(*m, system_name(a)) == 0)
				return true;
	}
	return false;
}

/* shells(5): without the file every shell is valid. */
static bool
shell_ok(const char *shell)
{
	if (shell[0] == '\0')
		shell = "/bin/sh";
	return name_file_has(&shells, shell) || shells.missing;
}

enum account_reason
source_system_rules(const struct account_query *q, const struct account *a)
{
	const struct settings *s = q->base;
	const char *name = system_name(a);

	ftpusers.path = s->ftpusers_file;
	if (name_file_has(&ftpusers, name) || name_file_has(&ftpusers, a->name) || name_file_has(&ftpusers, q->user))
		return REASON_FTPUSERS;
	if (s->rejected_users.n > 0 && (is_listed(&s->rejected_users, a, name) ||
	    is_listed(&s->rejected_users, a, a->name) || is_listed(&s->rejected_users, a, q->user)))
		return REASON_REJECTED;
	if (s->allowed_users.n > 0 && !is_listed(&s->allowed_users, a, name))
		return REASON_NOT_ALLOWED;
	if (s->require_valid_shell && a->shell != NULL && !shell_ok(a->shell))
		return REASON_SHELL;
	return REASON_NONE;
}

enum account_result
source_find_system_user(const struct account_query *q, struct account *a, enum account_reason *why)
{
	enum account_result r = unix_find(a, q->user);

	if (r == ACCOUNT_UNAVAILABLE)
		*why = REASON_UNAVAILABLE;
	if (r != ACCOUNT_FOUND)
		return r;
	a->flags |= ACCOUNT_SYSTEM;
	if (!account_name_ok(a->unix_name)) {
		*why = REASON_BAD_NAME;
		return ACCOUNT_REFUSED;
	}
	(void)str_copy(a->name, sizeof a->name, a->unix_name);
	return ACCOUNT_FOUND;
}

/*
 * shadow(5): days since 1970; -1 is an empty field and means never.  0 as the day of expiry is what chage -E 0
 * writes to close an account, and PAM takes it for that.
 */
static enum account_reason
check_ageing(const struct spwd *sp, time_t now)
{
	long today = (long)(now / DAY);

	if (sp->sp_expire >= 0 && today >= sp->sp_expire)
		return REASON_EXPIRED;
	if (sp->sp_lstchg == 0)
		return REASON_PASSWORD_EXPIRED;	/* must be changed at the next login, which FTP cannot */
	if (sp->sp_lstchg > 0 && sp->sp_max >= 0 && sp->sp_max < 99999 &&
	    today > sp->sp_lstchg + sp->sp_max + (sp->sp_inact > 0 ? sp->sp_inact : 0))
		return REASON_PASSWORD_EXPIRED;
	return REASON_NONE;
}

/* What shadow(5) has on a user that was found. */
static enum account_result
read_entry(struct account *a, enum account_reason *why)
{
	struct spwd *sp;

	errno = 0;
	sp = getspnam(a->unix_name);
	if (sp == NULL && (errno == EACCES || errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EIO)) {
		log_problem(EVENT_SHADOW_UNREADABLE, a->unix_name, -errno);
		*why = REASON_UNAVAILABLE;
		return ACCOUNT_UNAVAILABLE;
	}
	/* A user without an entry has no password here: "!" is a hash that nothing fits. */
	a->verifier = account_keep(a, sp == NULL ? "!" : sp->sp_pwdp);
	if (sp != NULL) {
		a->barred = check_ageing(sp, time(NULL));
		explicit_bzero(sp->sp_pwdp, strlen(sp->sp_pwdp));
	}
	return a->verifier == NULL ? ACCOUNT_UNAVAILABLE : ACCOUNT_FOUND;
}

static enum account_result
find_shadow(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	enum account_result found = source_find_system_user(q, a, why);

	(void)state;
	if (found != ACCOUNT_FOUND)
		return found;
	a->origin = "shadow";
	a->verifier_kind = VERIFY_HASH;
	/* Without a password nobody logs in: the entry is no business of ours. */
	return q->password == NULL ? ACCOUNT_FOUND : read_entry(a, why);
}

static enum account_result
look_shadow(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	(void)state;
	(void)q;
	return read_entry(a, why);
}

int
source_shadow_hashes(void *state, const struct account_query *q, void (*each)(const char *))
{
	const struct spwd *sp;

	(void)state;
	(void)q;
	if (geteuid() != 0)
		return -EPERM;
	setspent();
	for (unsigned n = 0; n < ENTRIES_MAX && (sp = getspent()) != NULL; n++)
		each(sp->sp_pwdp);
	endspent();
	return 0;
}

uint64_t
source_shadow_stamp(void *state, const struct account_query *q)
{
	(void)state;
	(void)q;
	return hashes_stamp(0, "/etc/shadow");
}

/* Reads the lists now, so that sessions only look whether they changed. */
static int
open_shadow(const struct conf *conf, void **state)
{
	*state = NULL;
	ftpusers.path = conf_server(conf)->ftpusers_file;
	(void)name_file_has(&ftpusers, "root");
	(void)name_file_has(&shells, "/bin/sh");
	return 0;
}

const struct account_source source_shadow = {
	.name = "shadow",
	.doc = "System users with the passwords of shadow(5).",
	.open = open_shadow,
	.find = find_shadow,
	.look = look_shadow,
	.hashes = source_shadow_hashes, .stamp = source_shadow_stamp
};
