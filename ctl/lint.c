/* sallyctl lint: rules that are accepted but hardly meant, with what files and other accounts add to it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "authz/ftpcluster.h"
#include "authz/lint.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/policy.h"
#include "ctl/tree.h"

#define OBJECTS_MAX 200000	/* looked at for .permissions files in the tree of one account, who could make them without end */

static const char *const severity_words[] = {
	[LINT_ERROR] = "error", [LINT_WARNING] = "warning", [LINT_NOTE] = "note"
};

/* One run over accounts. */
static struct linting {
	const struct invocation *inv;
	struct view view;
	struct json json;
	unsigned count[3];
	uint64_t *seen;			/* hashes of findings told: accounts share rules */
	size_t seen_count;
	unsigned objects;		/* of this account's tree */
	int tree_code;			/* what becomes of it when not all of the tree was looked at */
} run;

static uint64_t
hash_finding(const struct lint_finding *f)
{
	uint64_t h = 14695981039346656037u + (uint64_t)f->id * 31 + f->line;

	for (const char *p = f->file != NULL ? f->file : ""; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u;
	for (const char *p = f->text; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u;
	return h;
}

static bool
told_before(const struct lint_finding *f)
{
	uint64_t h = hash_finding(f), *more;

	for (size_t i = 0; i < run.seen_count; i++)
		if (run.seen[i] == h)
			return true;
	more = realloc(run.seen, (run.seen_count + 1) * sizeof(*more));
	if (more != NULL) {
		run.seen = more;
		run.seen[run.seen_count++] = h;
	}
	return false;
}

static void
tell_text(const struct lint_row *row, const struct lint_finding *f)
{
	if (f->file != NULL) {
		ctl_print_safe(f->file);
		if (f->line > 0)
			printf(":%u", f->line);
		fputs(": ", stdout);
	}
	printf("%s: %s: %s: ", severity_words[row->severity], row->id, row->text);
	ctl_print_safe(f->text);
	printf("\n    %s\n", row->remedy);
}

static void
tell(void *context, const struct lint_finding *f)
{
	const struct lint_row *row = &lint_rows[f->id];
	struct json *j = &run.json;

	(void)context;
	if (told_before(f))
		return;
	run.count[row->severity]++;
	if (!run.inv->json) {
		tell_text(row, f);
		return;
	}
	json_open(j, NULL, '{');
	json_str(j, "id", row->id);
	json_str(j, "severity", severity_words[row->severity]);
	json_str(j, "file", f->file);
	json_unsigned(j, "line", f->line);
	json_str(j, "account", run.view.subject.user);
	json_str(j, "what", row->text);
	json_str(j, "text", f->text);
	json_str(j, "remedy", row->remedy);
	json_close(j);
}

#define TELL(id, file, line, ...) lint_report(tell, NULL, LINT_ID_##id, file, line, __VA_ARGS__)

/* --------------------------------------------------------------- load problems */

static void
look_at_problems(const struct authz_problems *problems)
{
	size_t kept = problems->count < AUTHZ_PROBLEMS_MAX ? problems->count : AUTHZ_PROBLEMS_MAX;

	for (size_t i = 0; i < kept; i++) {
		const struct authz_problem *p = &problems->list[i];
		char place[32] = "";

		if (p->column > 0)
			(void)str_format(place, sizeof(place), "column %u: ", p->column);
		lint_report(tell, NULL, p->warning ? LINT_ID_LOAD_WARNING : LINT_ID_LOAD_ERROR, p->file, p->line,
		    "%s%s%s%s", place, p->text, p->expected[0] != '\0' ? "; expected: " : "", p->expected);
	}
}

/* -------------------------------------------------------------- whose file is it */

static bool
may_write(const struct authz_subject *who, const struct stat *st)
{
	bool member = st->st_gid == who->gid;

	if (who->uid == 0)
		return false;	/* root needs no hole */
	if (st->st_uid == who->uid)
		return true;
	for (size_t i = 0; i < who->group_count; i++)
		member |= who->groups[i] == st->st_gid;
	return (st->st_mode & (member ? S_IWGRP : S_IWOTH)) != 0;
}

static void
look_at_owner(const char *file)
{
	char folder[VIEW_PATH_MAX];
	struct stat st;
	char *slash;

	if (file == NULL || str_copy(folder, sizeof(folder), file) != 0)
		return;
	if (stat(file, &st) == 0 && may_write(&run.view.subject, &st))
		TELL(WRITABLE, file, 0, "%s may write the file", run.view.subject.user);
	slash = strrchr(folder, '/');
	if (slash == NULL)
		(void)str_copy(folder, sizeof(folder), ".");
	else
		slash[slash == folder] = '\0';
	if (stat(folder, &st) == 0 && may_write(&run.view.subject, &st) && (st.st_mode & S_ISVTX) == 0)
		TELL(WRITABLE, file, 0, "%s may write the folder it lies in", run.view.subject.user);
}

static void
look_at_owners(void)
{
	const struct settings *s = &run.view.account.resolved->s;

	for (size_t i = 0; i < s->layer.n; i++)
		if (s->layer.v[i].file != NULL && access(s->layer.v[i].file, F_OK) == 0)
			look_at_owner(s->layer.v[i].file);
	look_at_owner(s->passwd_file);
}

/* ------------------------------------------------------------- folders of rules */

static int
open_below_root(const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC | O_DIRECTORY, .resolve = resolve | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, run.view.root_fd, path[1] != '\0' ? path + 1 : ".", &how, sizeof(how));
}

/*
 * How many names in the folder's parent are the folder's but for letter case; *exact: its own is there.  Links on
 * the way lead where they would lead the account: not out of its root.
 */
static unsigned
spellings(const char *path, bool *exact)
{
	char parent[VIEW_PATH_MAX];
	const char *name = strrchr(path, '/') + 1;
	struct dirent *e;
	unsigned n = 0;
	int fd;
	DIR *d;

	*exact = false;
	if (str_format(parent, sizeof(parent), "%.*s", (int)(name - path), path) != 0 ||
	    (fd = open_below_root(parent, O_RDONLY, RESOLVE_IN_ROOT)) < 0)
		return 0;
	if ((d = fdopendir(fd)) == NULL) {
		close(fd);
		return 0;
	}
	while ((e = readdir(d)) != NULL) {
		n += str_same(e->d_name, name);
		*exact |= strcmp(e->d_name, name) == 0;
	}
	closedir(d);
	return n;
}

static void
look_at_folder(void *context, const struct lint_folder *f)
{
	int fd = open_below_root(f->path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), error = errno;
	bool exact;
	unsigned n;

	(void)context;
	if (fd >= 0)
		close(fd);
	else if (error == ELOOP)
		TELL(THROUGH_LINK, f->file, f->line, "%s, for %s", f->path, run.view.subject.user);
	n = spellings(f->path, &exact);
	if (n > 1 || (n == 1 && !exact))
		TELL(OTHER_CASE, f->file, f->line, "%s, for %s: %u folders of that name, %s", f->path,
		    run.view.subject.user, n,
		    f->any_case ? "all covered by the rule"
		    : exact     ? "one covered by the rule"
				: "none covered by the rule");
	else if (f->must_exist && fd < 0 && (error == ENOENT || error == ENOTDIR))
		TELL(NO_FOLDER, f->file, f->line, "%s, for %s: %s", f->path, run.view.subject.user,
		    error == ENOENT ? "it does not exist" : "it is a file, or lies below one");
}

/* ----------------------------------------------------------------- control files */

static const char *control_path;

static void
control_mistake(void *context, unsigned line, bool whole_file, const char *what, struct span text)
{
	char shown[64];

	(void)context;
	str_escape(shown, sizeof(shown), text.at, text.len);
	TELL(CONTROL_FILE, control_path, line, "\"%s\": %s; %s", shown, what,
	    whole_file ? "nobody gets anything from this file" : "the subject gets nothing from this file");
}

/* The content of a control file; it is opened through the descriptor of its place, whatever has its name by now. */
static ssize_t
read_control(const struct tree_entry *e, char *text, size_t size)
{
	char name[64];
	ssize_t n;
	int fd;

	(void)str_format(name, sizeof(name), "/proc/self/fd/%d", e->fd);
	if ((fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
		return -1;
	n = read(fd, text, size);
	close(fd);
	return n;
}

static int
look_at_object(void *context, const struct tree_entry *e)
{
	static char text[AUTHZ_CONTROL_MAX + 1];
	struct cluster_file f;
	ssize_t n;

	(void)context;
	if (++run.objects > OBJECTS_MAX) {
		run.tree_code = ctl_fail(run.inv, CTL_FAILED, "%s: %d objects were looked at; this one and what comes after it were not",
		    e->path, OBJECTS_MAX);
		return 1;
	}
	if (strcmp(strrchr(e->path, '/') + 1, CLUSTER_PERMISSIONS) != 0)
		return 0;
	n = S_ISREG(e->st.st_mode) ? read_control(e, text, sizeof(text)) : -1;
	if (n < 0 || n > AUTHZ_CONTROL_MAX) {
		TELL(CONTROL_FILE, e->path, 0, "it is no regular file, cannot be read or is too long; nobody gets anything from it");
		return 0;
	}
	control_path = e->path;
	cluster_parse(text, (size_t)n, AUTHZ_NOBODY, &f, control_mistake, NULL);
	return 0;
}

static int
look_on(void *context, const char *path, int error)
{
	(void)context;
	if (error == -ENOMEM || error == -ENOENT)	/* what vanishes meanwhile is not there */
		return error == -ENOMEM ? error : 0;
	run.tree_code = ctl_fail_code(run.inv, CTL_FAILED, path, error);
	return 0;
}

/* The control files of the tree, which belongs to a tenant: by descriptor, no link followed. */
static int
look_at_tree(void)
{
	const struct tree_walk walk = {
		.path = run.view.root, .one_device = true, .visit = look_at_object, .trouble = look_on
	};
	int r;

	run.objects = 0;
	run.tree_code = CTL_OK;
	r = tree_walk(&walk, run.view.root_fd);
	if (r == -EAGAIN)
		return ctl_fail(run.inv, CTL_FAILED, "%s: folders were moved meanwhile, not all was reached", run.view.root);
	return r < 0 ? ctl_fail_code(run.inv, CTL_FAILED, run.view.root, r) : run.tree_code;
}

/* ---------------------------------------------------------------- other accounts */

static void
look_at_names(void)
{
	const struct conf_section *s = NULL;
	const char *user = run.view.subject.user, *file;
	unsigned line;

	if (!lint_user_in_glob(run.view.policy, &file, &line))
		return;
	while ((s = conf_section_next(run.view.conf, SC_ACCOUNT, s)) != NULL) {
		const char *name = conf_section_name(s);

		if (str_same(name, user) && strcmp(name, user) < 0)
			TELL(USER_CASE, file, line, "%s and %s", name, user);
	}
}

/* -------------------------------------------------------------------- accounts */

static void
tell_empty(void *context, const char *file, unsigned line, const char *name, enum password_fault fault)
{
	(void)context;
	if (fault == FAULT_EMPTY)	/* check has the others */
		TELL(EMPTY_PASSWORD, file, line, "%s", name);
}

/* Neither an account, nor a section whose rules wait for one of another source. */
static bool
is_nobody(const char *user)
{
	return run.view.unknown && conf_section_find(run.view.conf, SC_ACCOUNT, user) == NULL;
}

static int
lint_user(const char *user)
{
	char why[sizeof(run.view.why)];

	if (view_take(&run.view, user) != CTL_OK) {
		if (is_nobody(user))
			return ctl_fail(run.inv, CTL_FAILED, "%s: %s", user, run.view.why);
		(void)str_copy(why, sizeof(why), run.view.unknown ? "" : run.view.why);
		if (view_take_rules(&run.view, user, NULL) != CTL_OK)
			return ctl_fail(run.inv, CTL_FAILED, "%s: %s", user, run.view.why);
		if (why[0] != '\0')
			TELL(UNUSABLE, NULL, 0, "%s", why);
	}
	look_at_problems(&run.view.problems);
	lint(run.view.policy, tell, NULL);
	look_at_names();
	if (!run.view.found)
		return CTL_OK;
	if (empty_password(&run.view.account))
		tell_empty(NULL, run.view.account.origin, 0, user, FAULT_EMPTY);
	look_at_owners();
	if (run.view.root_fd < 0)
		return CTL_OK;
	lint_folders(run.view.policy, look_at_folder, NULL);
	return authz_needs_tree(run.view.policy) ? look_at_tree() : CTL_OK;
}

static int
lint_users(struct invocation *inv, const struct conf *conf)
{
	const struct conf_section *s = NULL;
	int code = CTL_OK, r;

	for (int i = 0; i < inv->argc; i++)
		if ((r = lint_user(inv->argv[i])) != CTL_OK)
			code = r;
	while (inv->argc == 0 && (s = conf_section_next(conf, SC_ACCOUNT, s)) != NULL)
		if ((r = lint_user(conf_section_name(s))) != CTL_OK)
			code = r;
	/* The layers that hold for accounts of other sources. */
	if (inv->argc == 0 && view_take_rules(&run.view, "some-other-account", NULL) == CTL_OK) {
		look_at_problems(&run.view.problems);
		lint(run.view.policy, tell, NULL);
	}
	if (inv->argc == 0)
		empty_passwords(conf, tell_empty, NULL);
	return code;
}

static int
finish(int code)
{
	if (code == CTL_OK && run.count[LINT_ERROR] + run.count[LINT_WARNING] > 0)
		code = CTL_NO;
	if (!run.inv->json) {
		if (!run.inv->quiet)
			printf("%u error%s, %u warning%s, %u note%s\n", run.count[LINT_ERROR], str_plural(run.count[LINT_ERROR]),
			    run.count[LINT_WARNING], str_plural(run.count[LINT_WARNING]), run.count[LINT_NOTE],
			    str_plural(run.count[LINT_NOTE]));
		return code;
	}
	json_close(&run.json);
	json_unsigned(&run.json, "errors", run.count[LINT_ERROR]);
	json_unsigned(&run.json, "warnings", run.count[LINT_WARNING]);
	json_unsigned(&run.json, "notes", run.count[LINT_NOTE]);
	json_close(&run.json);
	return ctl_print_json(run.inv, &run.json) == CTL_OK ? code : CTL_FAILED;
}

int
lint_command(struct invocation *inv)
{
	struct conf *conf;
	int code = ctl_conf_load(inv, &conf);

	if (code != CTL_OK)
		return code;
	run.inv = inv;
	view_begin(&run.view, inv, conf);
	if (inv->json) {
		json_init(&run.json);
		json_open(&run.json, NULL, '{');
		json_open(&run.json, "findings", '[');
	}
	code = finish(lint_users(inv, conf));
	view_end(&run.view);
	conf_free(conf);
	free(run.seen);
	return code;
}
