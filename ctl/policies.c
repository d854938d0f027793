/* The rules of every account and group of a configuration, for check, expect and doctor; see policy.h. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "authz/lint.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/policy.h"

static void
add_problems(struct view *v)
{
	size_t kept = v->problems.count < AUTHZ_PROBLEMS_MAX ? v->problems.count : AUTHZ_PROBLEMS_MAX;

	for (size_t i = 0; i < kept; i++) {
		const struct authz_problem *p = &v->problems.list[i];
		char what[512], place[32] = "";

		if (p->column > 0)
			(void)str_format(place, sizeof(place), "column %u: ", p->column);
		(void)str_format(what, sizeof(what), "%s%s%s%s", place, p->text,
		    p->expected[0] != '\0' ? "; expected: " : "", p->expected);
		if (!ctl_problem_known(v->conf, p->file != NULL ? p->file : "", p->line, what))
			conf_problem_add(v->conf, p->warning ? CONF_WARNING : CONF_ERROR,
			    p->file != NULL ? p->file : "", p->line, "layer", what, "");
	}
}

/*
 * pyftpdlib does not start with an override of what is no folder, so check does not accept it.  The server does not
 * ask: otherwise whoever may remove a folder of his own could keep it from being started or reloaded.
 */
static void
check_folder(void *context, const struct lint_folder *f)
{
	struct view *v = context;
	char path[2 * VIEW_PATH_MAX], what[512];
	struct stat st;

	if (!f->must_exist || str_format(path, sizeof(path), "%s%s", strcmp(v->root, "/") != 0 ? v->root : "", f->path) != 0 ||
	    (stat(path, &st) == 0 ? S_ISDIR(st.st_mode) : errno != ENOENT && errno != ENOTDIR))
		return;
	(void)str_format(what, sizeof(what), "the override is for %.400s, which %s", path,
	    lstat(path, &st) == 0 ? "is no folder" : "does not exist");
	conf_problem_add(v->conf, CONF_ERROR, f->file != NULL ? f->file : "", f->line, "layer", what,
	    "make the folder, or take the override out");
}

/* Where the home is known, which other sources may tell of the same rules' accounts. */
static void
check_folders(struct view *v)
{
	struct stat st;

	if (v->rules.s.jail && v->rules.s.home != NULL && stat(v->root, &st) == 0)
		lint_folders(v->policy, check_folder, v);
}

void
policies_check(struct conf *conf, bool folders)
{
	static const char somebody[] = "some-other-account";
	static struct view v;

	memset(&v, 0, sizeof(v));
	v.conf = conf;
	v.root_fd = -1;
	for (const struct conf_section *s = NULL; (s = conf_section_next(conf, SC_ACCOUNT, s)) != NULL;)
		if (view_take_rules(&v, conf_section_name(s), NULL) == CTL_OK) {
			add_problems(&v);
			if (folders)
				check_folders(&v);
		}
	for (const struct conf_section *s = NULL; (s = conf_section_next(conf, SC_GROUP, s)) != NULL;)
		if (view_take_rules(&v, somebody, conf_section_name(s)) == CTL_OK)
			add_problems(&v);
	if (view_take_rules(&v, somebody, NULL) == CTL_OK)
		add_problems(&v);
	view_end(&v);
}
