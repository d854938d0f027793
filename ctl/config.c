/* sallyctl check and config show; and how other commands come to a configuration. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "account/source.h"
#include "common/conf_show.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/machine.h"
#include "ctl/policy.h"
#include "ctl/resolve.h"

int
ctl_conf_load(const struct invocation *inv, struct conf **conf)
{
	const struct conf_problem *p;
	char line[2048];
	int errors;

	if ((*conf = conf_new()) == NULL)
		return ctl_fail_code(inv, CTL_FAILED, inv->config, -ENOMEM);
	errors = conf_load(*conf, inv->config);
	for (size_t i = 0; errors > 0 && (p = conf_problem_at(*conf, i)) != NULL; i++)
		if (p->severity == CONF_ERROR && conf_problem_text(p, line, sizeof(line)) == 0)
			(void)ctl_fail(inv, CTL_CONFIG, "%s", line);
	if (errors == 0)
		return CTL_OK;
	conf_free(*conf);
	*conf = NULL;
	return errors > 0 ? CTL_CONFIG : ctl_fail_code(inv, CTL_FAILED, inv->config, errors);
}

const char *
ctl_conf_socket(const struct invocation *inv, char *dst, size_t size)
{
	struct conf *conf = inv->socket == NULL ? conf_new() : NULL;
	const char *path = inv->socket;

	/* A configuration with mistakes does not keep the server from being asked. */
	if (conf != NULL && conf_load(conf, inv->config) >= 0)
		path = conf_server(conf)->control_socket;
	(void)str_copy(dst, size, path != NULL ? path : SP_RUNDIR "/control");
	conf_free(conf);
	return dst;
}

bool
ctl_problem_known(const struct conf *conf, const char *file, unsigned line, const char *what)
{
	const struct conf_problem *p;

	for (size_t i = 0; i < conf_problem_count(conf); i++) {
		p = conf_problem_at(conf, i);
		if (p->line == line && strcmp(p->file, file) == 0 && strcmp(p->what, what) == 0)
			return true;
	}
	return false;
}

/* sallyportd's exit codes in ours. */
static int
translate(int code)
{
	return code == SP_EXIT_OK       ? CTL_OK
	       : code == SP_EXIT_CONFIG ? CTL_CONFIG
	       : code == SP_EXIT_USAGE  ? CTL_USAGE
					: CTL_FAILED;
}

static int
error_count(const struct conf *conf)
{
	int n = 0;

	for (size_t i = 0; i < conf_problem_count(conf); i++)
		n += conf_problem_at(conf, i)->severity == CONF_ERROR;
	return n;
}

/* right: the files have no mistakes, and say what will be wanted of it. */
static void
ask_machine(const struct invocation *inv, struct conf *conf, bool right)
{
	resolve_check(conf);
	certificates_check(conf);
	if (!right)
		return;
	machine_check(conf);
	expectations_check(inv, conf);
}

/* Beyond what the files say: the rules of all policies are compiled, and this machine is asked. */
int
check_command(struct invocation *inv)
{
	const char *path = inv->argc > 0 ? inv->argv[0] : inv->config;
	struct conf *conf = conf_new();
	bool here = inv->count[OPT_ELSEWHERE] == 0;
	int errors = conf != NULL ? conf_load(conf, path) : -ENOMEM, code;

	if (errors < 0) {
		conf_free(conf);
		return ctl_fail_code(inv, CTL_FAILED, path, errors);
	}
	policies_check(conf, true);
	if (here)
		identities_check(conf);
	changes_check(conf);
	empty_passwords_check(conf);
	errors = error_count(conf);
	if (here)
		ask_machine(inv, conf, errors == 0);
	code = translate(conf_report(stdout, conf, inv->json));
	conf_free(conf);
	return code;
}

/* An account as its source knows it: what a login would get. */
static int
show_account(const struct invocation *inv, struct conf *conf, const struct conf_subject *who)
{
	static struct view v;
	struct account_query q = { .user = who->user, .listener = who->listener, .peer = who->peer,
		.base = conf_listener(conf, who->listener), .tls = true };
	enum account_reason why = REASON_NONE;
	enum account_result r;
	struct account a;
	char text[600];
	int code = CTL_OK;

	if (!account_name_ok(who->user))
		return ctl_fail(inv, CTL_USAGE, "%s: no account can have that name", who->user);
	view_begin(&v, inv, conf);
	account_init(&a, who->user);
	r = account_find(&v.sources, &q, &a, &why);
	if (r != ACCOUNT_UNKNOWN && a.resolved != NULL && a.resolved->error[0] == '\0')
		conf_show_resolved(stdout, a.resolved, inv->json);
	else if (r == ACCOUNT_UNKNOWN)
		code = ctl_fail(inv, CTL_NO, "no source knows the account %s", who->user);
	else
		code = ctl_fail(inv, CTL_FAILED, "%s: %s", who->user,
		    why == REASON_SETTINGS ? account_fault_text(&a, text, sizeof(text)) : account_reason_word(why));
	account_free(&a);
	view_end(&v);
	return code;
}

static int
show_for(const struct invocation *inv, const struct conf_subject *who)
{
	struct conf *conf = conf_new();
	int errors = conf != NULL ? conf_load(conf, inv->config) : -ENOMEM, code;

	if (errors < 0)
		code = ctl_fail_code(inv, CTL_FAILED, inv->config, errors);
	else if (errors > 0)
		code = translate(conf_report(stdout, conf, inv->json));
	else
		code = show_account(inv, conf, who);
	conf_free(conf);
	return code;
}

int
config_show_command(struct invocation *inv)
{
	char user[ACCOUNT_NAME_MAX + 1];
	struct conf_subject who = { .listener = inv->value[OPT_LISTENER] };
	struct addr peer;

	if (conf_subject_parse(inv->value[OPT_FOR], user, sizeof(user), &peer, &who) == 0 && who.user != NULL)
		return show_for(inv, &who);
	return translate(
	    conf_show_command(stdout, inv->config, inv->value[OPT_FOR], inv->value[OPT_LISTENER], inv->json));
}
