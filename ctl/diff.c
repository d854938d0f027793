/* sallyctl diff: what another configuration would give and take, account by account and folder by folder. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/lint.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/policy.h"

#define MEMBER		"sallyport-member"	/* stands for whatever no rule names */
#define PATHS_MAX	1024

/* Folders that rules of either side name. */
struct paths {
	char *v[PATHS_MAX];
	size_t n;
};

static struct comparison {
	const struct invocation *inv;
	struct view old, new;
	struct paths paths;
	struct json json;
	unsigned differences;
} run;

static void
add_path(const char *path)
{
	char *copy;

	for (size_t i = 0; i < run.paths.n; i++)
		if (strcmp(run.paths.v[i], path) == 0)
			return;
	if (run.paths.n < PATHS_MAX && (copy = strdup(path)) != NULL)
		run.paths.v[run.paths.n++] = copy;
}

static void
note_folder(void *context, const struct lint_folder *f)
{
	(void)context;
	add_path(f->path);
}

static void
forget_paths(void)
{
	while (run.paths.n > 0)
		free(run.paths.v[--run.paths.n]);
}

static void
tell(const char *path, const char *kind, uint32_t before, uint32_t after)
{
	char gained[512], lost[512];

	run.differences++;
	authz_rights_text(after & ~before, gained, sizeof(gained));
	authz_rights_text(before & ~after, lost, sizeof(lost));
	if (!run.inv->json) {
		ctl_print_safe(run.new.subject.user);
		putchar(' ');
		ctl_print_safe(path);
		printf(" (%s):%s%s%s%s%s\n", kind, *gained != '\0' ? " gains " : "", gained,
		    *gained != '\0' && *lost != '\0' ? ";" : "", *lost != '\0' ? " loses " : "", lost);
		return;
	}
	json_open(&run.json, NULL, '{');
	json_str(&run.json, "account", run.new.subject.user);
	json_str(&run.json, "path", path);
	json_str(&run.json, "kind", kind);
	json_str(&run.json, "gains", gained);
	json_str(&run.json, "loses", lost);
	json_close(&run.json);
}

static void
compare_object(const char *path, const char *shown, enum authz_kind kind, const char *word)
{
	struct authz_object o = { .path = path, .kind = kind };
	uint32_t before = authz_rights(run.old.policy, &o), after = authz_rights(run.new.policy, &o);

	if (before != after)
		tell(shown, word, before, after);
}

/* The folder, what is in it, and what can be put into it. */
static void
compare_folder(const char *path)
{
	char member[VIEW_PATH_MAX], shown[VIEW_PATH_MAX];
	const char *base = path[1] == '\0' ? "" : path;

	compare_object(path, path, AUTHZ_FOLDER, "folder");
	if (str_format(member, sizeof(member), "%s/" MEMBER, base) != 0 ||
	    str_format(shown, sizeof(shown), "%s/*", base) != 0)
		return;
	compare_object(member, shown, AUTHZ_FILE, "files in it");
	compare_object(member, shown, AUTHZ_FOLDER, "folders in it");
	compare_object(member, shown, AUTHZ_MISSING, "new names in it");
}

static void
compare_account(const char *user)
{
	uint32_t before, after;

	if (view_take_rules(&run.old, user, NULL) != CTL_OK || view_take_rules(&run.new, user, NULL) != CTL_OK)
		return;
	add_path("/");
	lint_folders(run.old.policy, note_folder, NULL);
	lint_folders(run.new.policy, note_folder, NULL);
	for (size_t i = 0; i < run.paths.n; i++)
		compare_folder(run.paths.v[i]);
	before = authz_session_rights(run.old.policy);
	after = authz_session_rights(run.new.policy);
	if (before != after)
		tell("-", "session", before, after);
	forget_paths();
}

static void
compare_all(void)
{
	for (const struct conf_section *s = NULL; (s = conf_section_next(run.new.conf, SC_ACCOUNT, s)) != NULL;)
		compare_account(conf_section_name(s));
	/* Accounts that go fall back to what accounts of other sources have. */
	for (const struct conf_section *s = NULL; (s = conf_section_next(run.old.conf, SC_ACCOUNT, s)) != NULL;)
		if (conf_section_find(run.new.conf, SC_ACCOUNT, conf_section_name(s)) == NULL)
			compare_account(conf_section_name(s));
	compare_account("some-other-account");
}

static int
report(void)
{
	int code;

	if (run.inv->json) {
		json_init(&run.json);
		json_open(&run.json, NULL, '[');
	}
	compare_all();
	code = run.differences > 0 ? CTL_NO : CTL_OK;
	if (run.inv->json) {
		json_close(&run.json);
		return ctl_print_json(run.inv, &run.json) == CTL_OK ? code : CTL_FAILED;
	}
	if (!run.inv->quiet && run.differences == 0)
		puts("no difference");
	return code;
}

int
diff_command(struct invocation *inv)
{
	struct invocation other = *inv;
	struct conf *old, *new;
	int code = ctl_conf_load(inv, &old);

	if (code != CTL_OK)
		return code;
	other.config = inv->argv[0];
	code = ctl_conf_load(&other, &new);
	if (code == CTL_OK) {
		run.inv = inv;
		run.old = (struct view){ .conf = old, .root_fd = -1 };
		run.new = (struct view){ .conf = new, .root_fd = -1 };
		code = report();
		view_end(&run.old);
		view_end(&run.new);
		conf_free(new);
	}
	conf_free(old);
	return code;
}
