#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/doctor.h"
#include "ctl/policy.h"
#include "privsep/role.h"

static const char *const words[] = {
#define LEVEL(NAME, word) word,
	DOCTOR_LEVELS(LEVEL)
#undef LEVEL
};

static const struct {
	const char *name, *title;
	doctor_check *run;
} checks[] = {
#define CHECK(name, function, title) { #name, title, function },
#include "ctl/doctor.def"
#undef CHECK
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

/* What one check found, once, however many listeners it is true of. */
struct finding {
	enum doctor_level level;
	char *text, *remedy;
	char listeners[256];		/* their names; "..." for those that find no room */
	const char *last;
	unsigned count;
};

static void
print_finding(struct doctor *d, const struct finding *f)
{
	/* What is true of all is the server's affair. */
	bool named = f->count > 0 && f->count < d->listeners;

	d->found[f->level]++;
	if (d->inv->json) {
		json_open(&d->json, NULL, '{');
		json_str(&d->json, "check", d->check);
		json_str(&d->json, "result", words[f->level]);
		json_str(&d->json, "text", f->text);
		json_str(&d->json, "listeners", named ? f->listeners : NULL);
		json_str(&d->json, "remedy", f->remedy);
		json_close(&d->json);
		return;
	}
	if (f->level == DOCTOR_FINE && d->inv->quiet)
		return;
	printf("%-8s %-14s ", words[f->level], d->check);
	ctl_print_safe(f->text);
	if (named) {
		printf(f->count == 1 ? " (listener " : " (listeners ");
		ctl_print_safe(f->listeners);
		putchar(')');
	}
	putchar('\n');
	if (f->remedy != NULL)
		printf("%-23s remedy: %s\n", "", f->remedy);
}

/* A listener may have the same thing found twice. */
static void
add_listener(struct finding *f, const char *name)
{
	size_t used = strlen(f->listeners);

	if (name == NULL || f->last == name)
		return;
	f->last = name;
	f->count++;
	if (str_format(f->listeners + used, sizeof f->listeners - used, "%s%s", used > 0 ? ", " : "", name) != 0)
		(void)str_copy(f->listeners + (used < sizeof f->listeners - 4 ? used : sizeof f->listeners - 4), 4, "...");
}

static struct finding *
find_same(struct doctor *d, enum doctor_level level, const char *text)
{
	for (unsigned i = 0; i < d->finding_count; i++)
		if (d->findings[i].level == level && strcmp(d->findings[i].text, text) == 0)
			return &d->findings[i];
	return NULL;
}

/* NULL: without memory it is printed at once. */
static struct finding *
add_finding(struct doctor *d, const struct finding *new)
{
	struct finding *more = reallocarray(d->findings, d->finding_count + 1, sizeof *more);
	char *text = strdup(new->text), *remedy = new->remedy != NULL ? strdup(new->remedy) : NULL;

	if (more != NULL)
		d->findings = more;
	if (more == NULL || text == NULL || (new->remedy != NULL && remedy == NULL)) {
		free(text);
		free(remedy);
		print_finding(d, new);
		return NULL;
	}
	more[d->finding_count] = *new;
	more[d->finding_count].text = text;
	more[d->finding_count].remedy = remedy;
	return &more[d->finding_count++];
}

void
doctor_find(struct doctor *d, enum doctor_level level, const char *remedy, const char *fmt, ...)
{
	char text[1024];
	struct finding *f;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->here++;
	f = find_same(d, level, text);
	if (f == NULL)
		f = add_finding(d, &(struct finding){ .level = level, .remedy = (char *)(uintptr_t)remedy, .text = text });
	if (f != NULL)
		add_listener(f, d->listener);
}

static void
print_findings(struct doctor *d)
{
	for (unsigned i = 0; i < d->finding_count; i++) {
		print_finding(d, &d->findings[i]);
		free(d->findings[i].text);
		free(d->findings[i].remedy);
	}
	d->finding_count = 0;
}

void
doctor_configuration(struct doctor *d)
{
	const struct conf_section *account = NULL;
	const struct conf_problem *p;
	char line[2048];
	unsigned accounts = 0;

	if (d->load_error != 0)
		doctor_find(d, DOCTOR_ERROR, "write it, or name another one with --config",
		    "%s: %s; the defaults are examined", d->inv->config, sp_strerror(d->load_error));
	policies_check(d->conf, true);
	identities_check(d->conf);
	changes_check(d->conf);
	for (size_t i = 0; (p = conf_problem_at(d->conf, i)) != NULL && i < conf_problem_count(d->conf); i++) {
		struct conf_problem bare = *p;

		bare.hint = "";		/* the remedy has a line of its own */
		if (conf_problem_text(&bare, line, sizeof(line)) == 0)
			doctor_find(d, p->severity == CONF_ERROR ? DOCTOR_ERROR : DOCTOR_WARNING,
			    p->hint[0] != '\0' ? p->hint : "correct it, then sallyctl check", "%s", line);
	}
	while ((account = conf_section_next(d->conf, SC_ACCOUNT, account)) != NULL)
		accounts++;
	if (d->here == 0)
		doctor_find(d, DOCTOR_FINE, NULL, "%s: no mistakes, %u account section%s", d->inv->config, accounts,
		    str_plural(accounts));
}

void
doctor_server(struct doctor *d)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char path[sizeof(sun.sun_path)];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)str_copy(sun.sun_path, sizeof(sun.sun_path), ctl_conf_socket(d->inv, path, sizeof(path)));
	d->running = fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0;
	if (d->running)
		doctor_find(d, DOCTOR_FINE, NULL, "it runs: %s answers", sun.sun_path);
	else
		doctor_find(d, DOCTOR_NOTE, errno == EACCES ? "ask as root" : "start it: systemctl start sallyport",
		    "%s: %s", sun.sun_path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* A program that others may write runs their code as root. */
static void
check_program(struct doctor *d, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		doctor_find(d, DOCTOR_ERROR, "install sallyport again", "%s: %s", path, strerror(errno));
	else if ((st.st_mode & 0111) == 0)
		doctor_find(d, DOCTOR_ERROR, "install sallyport again", "%s: cannot be executed", path);
	else if (st.st_uid != 0 || (st.st_mode & 022) != 0)
		doctor_find(d, DOCTOR_ERROR, "chown root and chmod go-w", "%s: others than root may change it", path);
}

void
doctor_programs(struct doctor *d)
{
	static const enum msg_role roles[] = { ROLE_MONITOR, ROLE_WORKER, ROLE_AGENT, ROLE_KEEPER };
	const char *directory = d->inv->value[OPT_LIBEXEC] != NULL ? d->inv->value[OPT_LIBEXEC] : SP_LIBEXECDIR;
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		(void)str_format(path, sizeof(path), "%s/%s", directory, role_row(roles[i])->program);
		check_program(d, path);
	}
	if (d->here == 0)
		doctor_find(d, DOCTOR_FINE, NULL, "%s: all there", directory);
}

static void
run_checks(struct doctor *d)
{
	for (size_t i = 0; i < CHECKS; i++) {
		d->check = checks[i].name;
		d->here = d->listeners = 0;
		checks[i].run(d);
		if (d->here == 0)
			doctor_find(d, DOCTOR_FINE, NULL, "%s yes", checks[i].title);
		print_findings(d);
	}
}

int
doctor_command(struct invocation *inv)
{
	struct doctor d = { .inv = inv, .conf = conf_new() };
	int error, result;

	if (d.conf == NULL)
		return ctl_fail_code(inv, CTL_FAILED, inv->config, -ENOMEM);
	json_init(&d.json);
	json_open(&d.json, NULL, '[');
	if ((error = conf_load(d.conf, inv->config)) < 0)
		d.load_error = error;
	d.s = conf_server(d.conf);
	run_checks(&d);
	json_close(&d.json);
	result = d.found[DOCTOR_ERROR] > 0 ? CTL_NO : CTL_OK;
	if (inv->json)
		result = ctl_print_json(inv, &d.json) == CTL_OK ? result : CTL_FAILED;
	else
		printf("\n%u error%s, %u warning%s, %u note%s\n", d.found[DOCTOR_ERROR], str_plural(d.found[DOCTOR_ERROR]),
		    d.found[DOCTOR_WARNING], str_plural(d.found[DOCTOR_WARNING]), d.found[DOCTOR_NOTE],
		    str_plural(d.found[DOCTOR_NOTE]));
	free(d.findings);
	json_free(&d.json);
	conf_free(d.conf);
	return result;
}
