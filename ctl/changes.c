/* change_password where it does nothing: for check and doctor. */
#include "config.h"

#include <string.h>

#include "account/source.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/policy.h"

/* Can one of these sources change passwords? For the account of a section those count that are asked before config. */
static bool
can_change(const struct conf_list *sources, bool section)
{
	for (size_t i = 0; i < sources->n; i++) {
		const struct account_source *source = account_source_named(sources->v[i]);

		if (section && source == &source_config)
			return false;
		if (source != NULL && source->set_password != NULL)
			return true;
	}
	return false;
}

/* The same for the sources of all listeners: the account may log in to any. */
static bool
anywhere(const struct conf *conf, bool section)
{
	const struct conf_section *l = conf_section_next(conf, SC_LISTENER, NULL);

	do {
		const struct conf_subject who = { .listener = l == NULL ? NULL : conf_section_name(l) };
		struct conf_resolved r;
		bool can;

		if (conf_resolve(conf, &who, &r) != 0)
			return true;
		can = can_change(&r.s.accounts, section);
		conf_resolved_free(&r);
		if (can)
			return true;
	} while (l != NULL && (l = conf_section_next(conf, SC_LISTENER, l)) != NULL);
	return false;
}

/*
 * Is it true of whatever the setting is said for?  What a class or a listener says for many is not one account's
 * mistake.
 */
static bool
works(const struct conf *conf, const struct conf_subject *who, const struct conf_resolved *r)
{
	const char *section = r->origin[K_change_password].section;

	if (who->user != NULL && strncmp(section, "account ", strlen("account ")) == 0) {
		const struct account_query q = { .user = who->user, .listener = "", .base = conf_server(conf), .host = "" };
		enum account_reason why = REASON_NONE;
		struct account a;
		bool own;

		account_init(&a, who->user);
		own = source_config.find((void *)(uintptr_t)conf, &q, &a, &why) == ACCOUNT_FOUND;
		account_free(&a);
		return anywhere(conf, own);
	}
	return who->listener != NULL ? can_change(&r->s.accounts, false) : anywhere(conf, false);
}

static void
look_at(void *context, const struct conf_subject *who, const struct conf_section *section)
{
	struct conf *conf = context;
	static const char what[] = "it does nothing: no source that is asked can change these accounts";
	const struct conf_origin *o;
	struct conf_resolved r;

	(void)section;
	if (conf_resolve(conf, who, &r) != 0)
		return;
	o = &r.origin[K_change_password];
	if (r.s.change_password && !works(conf, who, &r) && !ctl_problem_known(conf, o->file, o->line, what))
		conf_problem_add(conf, CONF_WARNING, o->file, o->line, "change_password", what,
		    "move the account to a database or a passwd_file, or take the line out");
	conf_resolved_free(&r);
}

void
changes_check(struct conf *conf)
{
	conf_each_subject(conf, look_at, conf);
}
