/* Layers of accounts: checked before they are stored, for a layer that does not compile forbids everything. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/authz.h"
#include "common/str.h"
#include "ctl/account.h"

/* The first mistake, if there is one. */
static bool
find_mistake(const struct conf_layer *l, char *why, size_t size)
{
	struct authz_source source = { .dialect = l->dialect,
		.text = l->text,
		.prefix = l->prefix,
		.file = "layer",
		.line = 1,
		.scope = AUTHZ_SCOPE_ACCOUNT,
		.section = "" };
	struct authz_subject subject = {
		.user = "account", .uid = AUTHZ_NOBODY, .gid = AUTHZ_NOBODY, .dialect_uid = AUTHZ_NOBODY
	};
	struct authz_problems problems = { .count = 0 };
	struct authz_policy *policy = authz_compile(&source, 1, &subject, NULL, &problems);
	bool found = policy == NULL;

	if (found)
		(void)str_copy(why, size, "there is not enough memory");
	for (size_t i = 0; !found && i < problems.count && i < AUTHZ_PROBLEMS_MAX; i++) {
		const struct authz_problem *p = &problems.list[i];

		found = !p->warning;
		if (found)
			(void)str_format(
			    why, size, "%s%s%s", p->text, p->expected[0] != '\0' ? ": expected " : "", p->expected);
	}
	authz_free(policy);
	authz_problems_clear(&problems);
	return found;
}

bool
manage_layer_ok(const char *value, char *why, size_t size)
{
	static char *last; /* that was right: thousands of accounts have the same */
	static const char name[] = "account";
	struct conf_subject subject = { .user = name };
	struct conf_resolved r;
	struct conf *conf;
	bool ok;

	if (last != NULL && strcmp(last, value) == 0)
		return true;
	conf = conf_new();
	ok = conf != NULL && conf_set(conf, SC_ACCOUNT, name, "layer", value, why, size) == 0;
	if (ok && conf_resolve(conf, &subject, &r) == 0) {
		for (size_t i = 0; ok && i < r.s.layer.n; i++)
			ok = r.s.layer.v[i].scope != SC_ACCOUNT || !find_mistake(&r.s.layer.v[i], why, size);
		conf_resolved_free(&r);
	}
	conf_free(conf);
	if (ok) {
		free(last);
		last = strdup(value);
	}
	return ok;
}
