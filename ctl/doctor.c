#include "config.h"

#include <errno.h>
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

/* Has this check said so already? Without memory it is said again. */
static bool
is_repeated(struct doctor *d, const char *text)
{
	char **more;

	for (unsigned i = 0; i < d->said_count; i++)
		if (strcmp(d->said[i], text) == 0)
			return true;
	more = reallocarray(d->said, d->said_count + 1, sizeof *more);
	if (more == NULL)
		return false;
	d->said = more;
	if ((d->said[d->said_count] = strdup(text)) != NULL)
		d->said_count++;
	return false;
}

static void
forget_said(struct doctor *d)
{
	while (d->said_count > 0)
		free(d->said[--d->said_count]);
}

void
doctor_find(struct doctor *d, enum doctor_level level, const char *remedy, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (is_repeated(d, text))
		return;
	d->found[level]++;
	d->here++;
	if (d->inv->json) {
		json_open(&d->json, NULL, '{');
		json_str(&d->json, "check", d->check);
		json_str(&d->json, "result", words[level]);
		json_str(&d->json, "text", text);
		json_str(&d->json, "remedy", remedy);
		json_close(&d->json);
		return;
	}
	if (level == DOCTOR_FINE && d->inv->quiet)
		return;
	printf("%-8s %-14s ", words[level], d->check);
	ctl_print_safe(text);
	putchar('\n');
	if (remedy != NULL)
		printf("%-23s remedy: %s\n", "", remedy);
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
	for (size_t i = 0; (p = conf_problem_at(d->conf, i)) != NULL && i < conf_problem_count(d->conf); i++)
		if (conf_problem_text(p, line, sizeof(line)) == 0)
			doctor_find(d, p->severity == CONF_ERROR ? DOCTOR_ERROR : DOCTOR_WARNING,
			    p->hint[0] != '\0' ? p->hint : "correct it, then sallyctl check", "%s", line);
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
	char path[512];

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		(void)str_format(path, sizeof(path), "%s/%s", SP_LIBEXECDIR, role_row(roles[i])->program);
		check_program(d, path);
	}
	if (d->here == 0)
		doctor_find(d, DOCTOR_FINE, NULL, "%s: all there", SP_LIBEXECDIR);
}

static void
run_checks(struct doctor *d)
{
	for (size_t i = 0; i < CHECKS; i++) {
		d->check = checks[i].name;
		d->here = 0;
		forget_said(d);
		checks[i].run(d);
		if (d->here == 0)
			doctor_find(d, DOCTOR_FINE, NULL, "%s yes", checks[i].title);
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
	forget_said(&d);
	free(d.said);
	json_free(&d.json);
	conf_free(d.conf);
	return result;
}
