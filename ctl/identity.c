/* Accounts that nobody can log in to because their Unix user or group is not there: for check, doctor and lint. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "account/source.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/policy.h"

#define REMEDY "make it, or name another one"

/* A user or group that is not there; what cannot be found out at the moment is no mistake. */
static void
complain(struct conf *conf, const struct conf_origin *o, const char *key, const char *name, int code)
{
	char what[480];

	if (account_unresolved_reason(code) != REASON_SETTINGS)
		return;
	(void)str_format(what, sizeof(what), "%s = %.256s: %s", key, name, sp_strerror(code));
	if (!ctl_problem_known(conf, o->file, o->line, what))
		conf_problem_add(conf, CONF_ERROR, o->file, o->line, key, what, REMEDY);
}

static void
look_at_user(struct conf *conf, const struct conf_resolved *r, enum conf_key_id key, const char *name)
{
	struct account a;
	int code;

	if (name == NULL)
		return;
	account_init(&a, "");
	code = unix_run_as(&a, name);
	account_free(&a);
	if (code != 0)
		complain(conf, &r->origin[key], conf_keys[key].name, name, code);
}

/* The names in what holds for a listener, group or account; accounts of databases have them from there, too. */
static void
look_at_settings(struct conf *conf, const struct conf_subject *who)
{
	struct conf_resolved r;
	int code;
	gid_t gid;

	if (conf_resolve(conf, who, &r) != 0)
		return;
	look_at_user(conf, &r, K_run_as, r.s.run_as);
	look_at_user(conf, &r, K_virtual_user, r.s.virtual_user);
	for (size_t i = 0; i < r.s.extra_groups.n; i++)
		if ((code = unix_group_id(r.s.extra_groups.v[i], &gid)) != 0)
			complain(conf, &r.origin[K_extra_groups], conf_keys[K_extra_groups].name, r.s.extra_groups.v[i],
			    code == -ENOENT ? SP_ENOGROUP : code);
	conf_resolved_free(&r);
}

/* Does anybody log in to accounts of sections? */
static bool
sections_count(const struct conf *conf)
{
	const struct conf_section *l = NULL;

	do {
		const struct settings *s = l == NULL ? conf_server(conf) : conf_listener(conf, conf_section_name(l));

		for (size_t i = 0; i < s->accounts.n; i++)
			if (str_same(s->accounts.v[i], source_config.name))
				return true;
	} while ((l = conf_section_next(conf, SC_LISTENER, l)) != NULL);
	return false;
}

/* The section's account as a login would put it together. Does that fail for good? a is to be freed in any case. */
static bool
is_unusable(struct conf *conf, const struct conf_section *section, struct account *a)
{
	const char *source = source_config.name;
	struct settings base = *conf_server(conf);
	const struct account_sources sources = { .conf = conf, .count = 1, .entry = { { &source_config, conf } } };
	const struct account_query q = { .user = conf_section_name(section), .listener = "", .base = &base, .host = "" };
	enum account_reason why = REASON_NONE;

	account_init(a, account_name_ok(q.user) ? q.user : "");
	base.accounts = (struct conf_list){ 1, &source };
	return account_name_ok(q.user) && account_find(&sources, &q, a, &why) == ACCOUNT_REFUSED && why == REASON_SETTINGS;
}

bool
identity_is_missing(struct conf *conf, const struct conf_section *section)
{
	struct account a;
	bool missing = is_unusable(conf, section, &a);

	account_free(&a);
	return missing;
}

/* Of what is wrong, only that there is no identity at all was not found by its key. */
static void
look_at_account(struct conf *conf, const struct conf_section *section)
{
	const uint64_t least = (uint64_t)conf_server(conf)->uid_min;
	struct account a;
	char text[240];

	if (is_unusable(conf, section, &a) && a.fault.found && a.fault.code == 0)
		conf_problem_add(conf, CONF_ERROR, conf_section_file(section), conf_section_line(section), a.name,
		    account_fault_text(&a, text, sizeof(text)), "set run_as: the Unix user that its sessions run as");
	else if (a.resolved != NULL && (a.flags & ACCOUNT_ANONYMOUS) == 0 && a.uid < least) {
		(void)str_format(text, sizeof(text), "nobody can log in: its user id %lu is below uid_min = %lu",
		    (unsigned long)a.uid, (unsigned long)least);
		conf_problem_add(conf, CONF_WARNING, conf_section_file(section), conf_section_line(section), a.name,
		    text, "name another user in run_as, or lower uid_min");
	}
	account_free(&a);
}

struct search {
	struct conf *conf;
	bool accounts;		/* sections are a source */
};

static void
look_at_subject(void *context, const struct conf_subject *who, const struct conf_section *section)
{
	const struct search *s = context;

	look_at_settings(s->conf, who);
	if (who->user != NULL && s->accounts)
		look_at_account(s->conf, section);
}

void
identities_check(struct conf *conf)
{
	struct search s = { conf, sections_count(conf) };

	/* A server without privileges runs all sessions as itself. */
	if (geteuid() == 0)
		conf_each_subject(conf, look_at_subject, &s);
}
