#include "config.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/conf_show.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"

/* ------------------------------------------------------------- check-config */

static void
print_document(FILE *f, struct json *j)
{
	if (json_text(j) != NULL)
		fprintf(f, "%s\n", json_text(j));
	json_free(j);
}

static void
report_json(FILE *f, const struct conf *c)
{
	const struct conf_problem *p;
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '{');
	json_bool(&j, "ok", c->error_count == 0);
	json_open(&j, "problems", '[');
	for (size_t i = 0; (p = conf_problem_at(c, i)) != NULL; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "severity", p->severity == CONF_ERROR ? "error" : "warning");
		json_str(&j, "file", p->file);
		json_num(&j, "line", p->line);
		json_str(&j, "text", p->text);
		json_str(&j, "problem", p->what);
		json_str(&j, "hint", p->hint);
		json_close(&j);
	}
	json_close(&j);
	json_close(&j);
	print_document(f, &j);
}

static void
report_text(FILE *f, const struct conf *c)
{
	const struct conf_problem *p;
	char line[1500], head[LOG_HEAD_MAX];

	/* A unit's ExecStartPre= runs it: an error is one in the journal, too. */
	log_find_journal();
	for (size_t i = 0; (p = conf_problem_at(c, i)) != NULL; i++) {
		(void)conf_problem_text(p, line, sizeof line);
		fprintf(f, "%.*s%s\n", (int)log_priority(head, fileno(f), p->severity == CONF_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING),
		    head, line);
	}
	if (c->error_count == 0)
		fprintf(f, "ok\n");
}

int
conf_report(FILE *f, const struct conf *c, bool json)
{
	if (json)
		report_json(f, c);
	else
		report_text(f, c);
	return c->error_count == 0 ? SP_EXIT_OK : SP_EXIT_CONFIG;
}

/* -------------------------------------------------------------- show-config */

static const char *
place_of(const char *file, unsigned line, char *dst, size_t size)
{
	(void)str_format(dst, size, line > 0 ? "%s:%u" : "%s", file, line);
	return dst;
}

/* Foreign text for a terminal: escaped, and lines below the first are indented as the file has them. */
static void
print_value(FILE *f, const char *value)
{
	char line[2048];
	size_t n;

	for (;; value += n + 1) {
		n = strcspn(value, "\n");
		str_escape(line, sizeof line, value, n);
		fputs(line, f);
		if (value[n] == '\0')
			return;
		fputs("\n    ", f);
	}
}

static void
print_layers(FILE *f, const char *name, const struct conf_layers *layers)
{
	char place[512];

	for (size_t i = 0; i < layers->n; i++) {
		const struct conf_layer *l = &layers->v[i];

		fprintf(f, "# [%s] %s\n%s = ", l->section, place_of(l->file, l->line, place, sizeof place), name);
		if (l->prefix[0] != '\0')
			fprintf(f, "%s%s%s ", strchr(l->prefix, ' ') != NULL ? "\"" : "", l->prefix,
			    strchr(l->prefix, ' ') != NULL ? "\"" : "");
		fprintf(f, "%s ", l->dialect);
		print_value(f, l->text);
		fputc('\n', f);
	}
}

/* What is printed for a key: secrets are only said to be there. */
static const char *
shown_value(const struct conf_resolved *r, enum conf_key_id id, char *dst, size_t size)
{
	conf_value_text(&r->s, id, dst, size);
	if (conf_is_secret(CONF_ROW(id)) && dst[0] != '\0')
		(void)str_copy(dst, size, "(set, not shown)");
	return dst;
}

static const struct conf_layers *
layers_of(const struct conf_resolved *r, enum conf_key_id id)
{
	return (const struct conf_layers *)((const char *)&r->s + CONF_ROW(id)->offset);
}

static void
show_text(FILE *f, const struct conf_resolved *r)
{
	char value[CONF_STRING_MAX + 1], place[512];

	for (int i = 0; i < K_COUNT; i++) {
		const struct conf_origin *o = &r->origin[i];

		if (CONF_ROW(i)->type == CONF_LAYERS) {
			print_layers(f, CONF_ROW(i)->name, layers_of(r, i));
			continue;
		}
		fprintf(f, "%s = ", CONF_ROW(i)->name);
		print_value(f, shown_value(r, i, value, sizeof value));
		fprintf(f, "\t# %s%s%s%s\n", o->section[0] != '\0' ? "[" : "", o->section,
		    o->section[0] != '\0' ? "] " : "", place_of(o->file, o->line, place, sizeof place));
	}
}

static void
show_origin(struct json *j, const char *file, unsigned line, const char *section)
{
	json_str(j, "file", file);
	json_num(j, "line", line);
	json_str(j, "section", section);
}

static void
show_json_layers(struct json *j, const char *name, const struct conf_layers *layers)
{
	json_open(j, name, '[');
	for (size_t i = 0; i < layers->n; i++) {
		const struct conf_layer *l = &layers->v[i];

		json_open(j, NULL, '{');
		json_str(j, "language", l->dialect);
		json_str(j, "prefix", l->prefix);
		json_str(j, "rules", l->text);
		show_origin(j, l->file, l->line, l->section);
		json_close(j);
	}
	json_close(j);
}

static void
show_json(FILE *f, const struct conf_resolved *r)
{
	char value[CONF_STRING_MAX + 1];
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "class", r->class == NULL ? NULL : r->class->name);
	json_open(&j, "settings", '{');
	for (int i = 0; i < K_COUNT; i++) {
		const struct conf_origin *o = &r->origin[i];

		if (CONF_ROW(i)->type == CONF_LAYERS) {
			show_json_layers(&j, CONF_ROW(i)->name, layers_of(r, i));
			continue;
		}
		json_open(&j, CONF_ROW(i)->name, '{');
		json_str(&j, "value", shown_value(r, i, value, sizeof value));
		show_origin(&j, o->file, o->line, o->section);
		json_close(&j);
	}
	json_close(&j);
	json_close(&j);
	print_document(f, &j);
}

void
conf_show_resolved(FILE *f, const struct conf_resolved *r, bool json)
{
	if (json)
		show_json(f, r);
	else
		show_text(f, r);
}

int
conf_show(FILE *f, const struct conf *c, const struct conf_subject *who, bool json)
{
	struct conf_resolved r;

	if (conf_resolve(c, who, &r) != 0)
		return SP_EXIT_OS;
	conf_show_resolved(f, &r, json);
	conf_resolved_free(&r);
	return SP_EXIT_OK;
}

/* ----------------------------------------------------------------- commands */

/* A loaded configuration; NULL with *exit_code set after saying why. */
static struct conf *
load(FILE *f, const char *path, int *exit_code)
{
	struct conf *c = conf_new();
	int n = c == NULL ? -ENOMEM : conf_load(c, path);

	if (n >= 0)
		return c;
	fprintf(f, "%s: %s\n", path == NULL ? "defaults" : path, sp_strerror(n));
	conf_free(c);
	*exit_code = SP_EXIT_OS;
	return NULL;
}

int
conf_check_command(FILE *f, const char *path, bool json)
{
	int exit_code;
	struct conf *c = load(f, path, &exit_code);

	if (c == NULL)
		return exit_code;
	exit_code = conf_report(f, c, json);
	conf_free(c);
	return exit_code;
}

#define GROUPS_MAX 256

/* The names of the Unix groups of a system user, for classes that are found by them; *n is 0 when there is no such
 * user. */
static const char *const *
unix_groups(struct arena *a, const char *user, size_t *n)
{
	const struct passwd *pw = user == NULL ? NULL : getpwnam(user);
	const char **names = arena_alloc(a, GROUPS_MAX * sizeof *names);
	gid_t gids[GROUPS_MAX];
	int count = GROUPS_MAX;

	*n = 0;
	if (pw == NULL || names == NULL || getgrouplist(user, pw->pw_gid, gids, &count) < 0)
		return NULL;
	for (int i = 0; i < count; i++) {
		const struct group *g = getgrgid(gids[i]);

		if (g != NULL && (names[*n] = arena_strdup(a, g->gr_name)) != NULL)
			(*n)++;
	}
	return names;
}

/* The address is what stands behind the last comma, if anything does. */
int
conf_subject_parse(const char *text, char *user, size_t size, struct addr *peer, struct conf_subject *who)
{
	const char *comma = text == NULL ? NULL : strrchr(text, ',');

	if (text == NULL)
		return 0;
	if (str_format(user, size, "%.*s", (int)(comma == NULL ? strlen(text) : (size_t)(comma - text)), text) != 0)
		return SP_ERANGE;
	if (user[0] != '\0')
		who->user = user;
	if (comma == NULL)
		return 0;
	who->peer = peer;
	return addr_parse(peer, comma + 1, 0);
}

int
conf_show_command(FILE *f, const char *path, const char *subject, const char *listener, bool json)
{
	char user[CONF_NAME_MAX + 1];
	struct conf_subject who = { .listener = listener };
	struct addr peer;
	struct arena *a;
	struct conf *c;
	int exit_code;

	if (conf_subject_parse(subject, user, sizeof user, &peer, &who) != 0) {
		fprintf(f, "%s: expected USER, USER,ADDRESS or ,ADDRESS\n", subject);
		return SP_EXIT_USAGE;
	}
	c = load(f, path, &exit_code);
	if (c == NULL)
		return exit_code;
	a = arena_new();
	if (a != NULL)
		who.unix_groups = unix_groups(a, who.user, &who.unix_group_count);
	exit_code = c->error_count > 0 ? conf_report(f, c, json) : conf_show(f, c, &who, json);
	arena_free(a);
	conf_free(c);
	return exit_code;
}
