/*
 * Accounts of the configuration file.  A section that gives neither password
 * nor identity is no account of its own: its settings go on top of an account
 * that another source knows.
 */
#include "config.h"

#include "account/source.h"
#include "common/log.h"
#include "common/str.h"

static bool
is_account(const struct conf_section *section)
{
	return section != NULL && (conf_section_sets(section, K_password) || conf_section_sets(section, K_run_as) ||
	    conf_section_sets(section, K_certificate_id));
}

/* conf is the state. */
static int
open_config(const struct conf *conf, void **state)
{
	*state = (void *)(uintptr_t)conf;
	return 0;
}

static void
describe_origin(struct account *a, const struct conf_section *section)
{
	char text[512];

	if (str_format(text, sizeof text, "%s:%u", conf_section_file(section), conf_section_line(section)) == 0)
		a->origin = account_keep(a, text);
	if (a->origin == NULL)
		a->origin = "config";
}

static enum account_result
find_config(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	const struct conf_section *section = conf_section_find(state, SC_ACCOUNT, q->user);

	(void)why;
	if (!is_account(section))
		return ACCOUNT_UNKNOWN;
	describe_origin(a, section);
	a->verifier_kind = VERIFY_HASH;		/* the one that account_resolve() finds */
	return ACCOUNT_FOUND;
}

static int
config_hashes(void *state, const struct account_query *q, void (*each)(const char *))
{
	(void)q;
	for (const struct conf_section *s = NULL; (s = conf_section_next(state, SC_ACCOUNT, s)) != NULL;) {
		struct conf_subject subject = { .user = conf_section_name(s) };
		struct conf_resolved r;

		if (!is_account(s) || conf_resolve(state, &subject, &r) != 0)
			continue;
		if (r.s.password != NULL)
			each(r.s.password);
		conf_resolved_free(&r);
	}
	return 0;
}

/* A template has one configuration. */
static uint64_t
config_stamp(void *state, const struct account_query *q)
{
	(void)q;
	return (uintptr_t)state;
}

static int
list_config(void *state, int (*each)(void *, const struct account *), void *context)
{
	int r = 0;

	for (const struct conf_section *s = NULL; r == 0 && (s = conf_section_next(state, SC_ACCOUNT, s)) != NULL;) {
		struct account a;

		if (!is_account(s))
			continue;
		account_init(&a, conf_section_name(s));
		a.source = &source_config;
		describe_origin(&a, s);
		a.verifier_kind = VERIFY_HASH;
		r = each(context, &a);
		account_free(&a);
	}
	return r;
}

const struct account_source source_config = {
	.name = "config",
	.doc = "Account sections of the configuration file.",
	.open = open_config,
	.find = find_config,
	.hashes = config_hashes, .stamp = config_stamp,
	.list = list_config
};
