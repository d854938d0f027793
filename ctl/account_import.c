/* sallyctl account import: files become accounts in one transaction. */
#include "config.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/account.h"
#include "ctl/progress.h"

struct job {
	const struct invocation *inv;
	struct manage *m;
	account_format *format;
	const char *file;
	bool has_shadow;
	unsigned long lines, done, there, wrong, remarks;
	int error;			/* of the source: nothing more can be done */
};

static void
complain(struct job *j, unsigned long line, const char *name, const char *why)
{
	j->wrong++;
	(void)ctl_fail(j->inv, CTL_NO, "%s:%lu: %s%s%s", j->file, line, name, name[0] != '\0' ? ": " : "", why);
}

/* -------------------------------------------------------------------- one account */

/* Is everything of it right? */
static bool
is_right(struct job *j, struct imported *a)
{
	char why[256];

	if (!account_name_ok(a->name)) {
		(void)str_copy(a->why, sizeof(a->why), "an account cannot be called that");
		return false;
	}
	for (size_t i = 0; i < a->count; i++)
		if (conf_check(SC_ACCOUNT, a->settings[i].key, a->settings[i].value, why, sizeof(why)) != 0) {
			(void)str_format(a->why, sizeof(a->why), "%s: %s", a->settings[i].key, why);
			return false;
		}
	(void)j;
	return true;
}

static int
store(struct job *j, const struct imported *a)
{
	const struct account_source *s = j->m->source;
	int r = s->create(j->m->state, a->name, a->verifier);

	if (r == -EEXIST && j->inv->count[OPT_REPLACE] != 0) {
		r = s->remove(j->m->state, a->name);
		if (r == 0)
			r = s->create(j->m->state, a->name, a->verifier);
	}
	for (size_t i = 0; r == 0 && i < a->count; i++)
		r = s->append(j->m->state, a->name, a->settings[i].key, a->settings[i].value);
	return r;
}

static void
take(struct job *j, struct imported *a, unsigned long line)
{
	int r;

	if (!is_right(j, a)) {
		complain(j, line, a->name, a->why);
		return;
	}
	if (a->remark[0] != '\0' && !j->inv->quiet) {
		j->remarks++;
		(void)ctl_fail(j->inv, CTL_OK, "%s:%lu: %s: %s", j->file, line, a->name, a->remark);
	}
	r = store(j, a);
	if (r == -EEXIST)
		j->there++;
	else if (r != 0)
		j->error = r;
	else
		j->done++;
	progress_step(j->inv, "accounts", j->done + j->there);
}

/* -------------------------------------------------------------------------- lines */

/* shadow(5) in a hash table of the C library: name -> line. */
static int
load_shadow(struct job *j, const char *path)
{
	char *line = NULL;
	size_t room = 0;
	FILE *f = fopen(path, "re");

	if (f == NULL || hcreate(1 << 20) == 0)
		return -errno;
	while (getline(&line, &room, f) > 0) {
		char *copy = strdup(line), *hash = copy == NULL ? NULL : strchr(copy, ':');

		if (hash == NULL) {
			free(copy);
			continue;
		}
		*hash++ = '\0';
		hash[strcspn(hash, ":\n")] = '\0';
		(void)hsearch((ENTRY){ copy, hash }, ENTER);
	}
	free(line);
	fclose(f);
	j->has_shadow = true;
	return 0;
}

static void
look_into_shadow(const struct job *j, struct imported *a)
{
	ENTRY *found = !j->has_shadow ? NULL : hsearch((ENTRY){ (char *)(uintptr_t)a->name, NULL }, FIND);

	if (found != NULL && password_kind(found->data) != NULL)
		a->verifier = found->data;
}

static void
import_line(struct job *j, char *line, size_t len)
{
	static struct imported a;
	int r;

	a.name = a.verifier = NULL;
	a.count = 0;
	a.why[0] = a.remark[0] = '\0';
	j->lines++;
	if (strlen(line) != len) {
		complain(j, j->lines, "", "the line holds a zero byte");
		return;
	}
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = '\0';
	if (len == 0 || line[0] == '#')
		return;
	r = j->format(&a, line);
	if (r < 0)
		complain(j, j->lines, a.name == NULL ? "" : a.name, a.why);
	if (r <= 0)
		return;
	look_into_shadow(j, &a);
	take(j, &a, j->lines);
}

static int
import_lines(struct job *j)
{
	bool from_stdin = strcmp(j->inv->argv[0], "-") == 0;
	FILE *f = from_stdin ? stdin : fopen(j->inv->argv[0], "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (f == NULL)
		return -errno;
	while (j->error == 0 && (n = getline(&line, &room, f)) > 0)
		import_line(j, line, (size_t)n);
	if (line != NULL)
		explicit_bzero(line, room);
	free(line);
	if (!from_stdin)
		fclose(f);
	return j->error;
}

/* --------------------------------------------------------------- a configuration */

static void
take_layers(struct imported *a, const struct conf_layers *layers)
{
	for (size_t i = 0; i < layers->n; i++)
		if (layers->v[i].scope == SC_ACCOUNT)
			imported_set(a, "layer", "%s%s%s %s", layers->v[i].prefix, layers->v[i].prefix[0] != '\0'
			    ? " " : "",
			    layers->v[i].dialect, layers->v[i].text);
}

static void
import_section(struct job *j, const struct conf *conf, const struct conf_section *s)
{
	static struct imported a;
	struct conf_subject subject = { .user = conf_section_name(s) };
	struct conf_resolved r;
	char value[1100];

	a.name = conf_section_name(s);
	a.verifier = NULL;
	a.count = 0;
	a.remark[0] = a.why[0] = '\0';
	if (conf_resolve(conf, &subject, &r) != 0) {
		complain(j, conf_section_line(s), a.name, r.error);
		return;
	}
	for (int k = 0; k < K_COUNT; k++)
		if (conf_section_sets(s, (enum conf_key_id)k) && k != K_password && k != K_layer)
			imported_set(&a, conf_keys[k].name, "%s",
			    conf_value_text(&r.s, (enum conf_key_id)k, value, sizeof(value)));
	if (conf_section_sets(s, K_layer))
		take_layers(&a, &r.s.layer);
	if (r.s.password != NULL && strcmp(r.s.password, "*") != 0)
		a.verifier = r.s.password;
	take(j, &a, conf_section_line(s));
	conf_resolved_free(&r);
}

/* The whole of a file or of a pipe, which ends before the first zero byte. 0, -errno or SP_EFORMAT. */
static int
read_text(const char *path, char **text, size_t *len)
{
	bool from_stdin = strcmp(path, "-") == 0;
	FILE *f = from_stdin ? stdin : fopen(path, "re");
	size_t room = 0;
	ssize_t n;
	int r = 0;

	if (f == NULL)
		return -errno;
	n = getdelim(text, &room, '\0', f);
	if (ferror(f))
		r = -errno;
	else if (!feof(f))
		r = SP_EFORMAT;
	*len = n < 0 ? 0 : (size_t)n;
	if (!from_stdin)
		fclose(f);
	return r;
}

static int
import_config(struct job *j)
{
	const struct conf_problem *p;
	struct conf *conf = conf_new();
	char *text = NULL, line[2048];
	size_t len = 0;
	int errors, r = conf == NULL ? -ENOMEM : read_text(j->inv->argv[0], &text, &len);

	errors = r != 0 ? 0 : conf_load_text(conf, j->file, text, len);
	for (size_t i = 0; errors > 0 && (p = conf_problem_at(conf, i)) != NULL; i++)
		if (p->severity == CONF_ERROR && conf_problem_text(p, line, sizeof(line)) == 0) {
			j->wrong++;
			(void)ctl_fail(j->inv, CTL_NO, "%s", line);
		}
	for (const struct conf_section *s = NULL; r == 0 && errors == 0 && j->error == 0 &&
	    (s = conf_section_next(conf, SC_ACCOUNT, s)) != NULL;)
		import_section(j, conf, s);
	conf_free(conf);
	free(text);
	return r != 0 ? r : j->error;
}

/* ------------------------------------------------------------------------ command */

static int
report(const struct job *j, bool kept)
{
	struct json out;

	if (j->inv->json) {
		json_init(&out);
		json_open(&out, NULL, '{');
		json_bool(&out, "kept", kept);
		json_unsigned(&out, "imported", kept ? j->done : 0);
		json_unsigned(&out, "already_there", j->there);
		json_unsigned(&out, "wrong", j->wrong);
		json_close(&out);
		(void)ctl_print_json(j->inv, &out);
	} else if (!j->inv->quiet) {
		printf("%lu imported, %lu were there already, %lu wrong%s\n", kept ? j->done : 0, j->there, j->wrong,
		    kept ? "" : ": nothing was changed (--partial imports what is right)");
	}
	return j->wrong == 0 ? CTL_OK : CTL_NO;
}

static int
run(struct job *j, bool config)
{
	const struct account_source *s = j->m->source;
	const char *shadow = j->inv->value[OPT_SHADOW];
	int r = shadow == NULL ? 0 : load_shadow(j, shadow), end;
	bool keep;

	if (r != 0)
		return ctl_fail_code(j->inv, CTL_FAILED, shadow, r);
	r = s->begin(j->m->state);
	if (r != 0)
		return manage_fail(j->inv, s->name, r);
	r = config ? import_config(j) : import_lines(j);
	password_release();
	keep = r == 0 && (j->wrong == 0 || j->inv->count[OPT_PARTIAL] != 0);
	end = s->end(j->m->state, keep);
	progress_end(j->inv);
	if (r != 0 || end != 0)
		return ctl_fail_code(j->inv, CTL_FAILED, j->file, r != 0 ? r : end);
	return report(j, keep);
}

int
account_import_command(struct invocation *inv)
{
	const char *name = inv->value[OPT_FORMAT] != NULL ? inv->value[OPT_FORMAT] : "config";
	bool config = strcmp(name, "config") == 0;
	struct job j = { .inv = inv, .format = import_format(name),
		.file = strcmp(inv->argv[0], "-") == 0 ? "standard input" : inv->argv[0] };
	struct manage m;
	int r;

	if (j.format == NULL && !config)
		return ctl_fail(inv, CTL_USAGE,
		    "--format: config, passwd, proftpd, pure-ftpd, ftpcluster or ncftpd was expected");
	r = manage_begin(&m, inv);
	if (r != CTL_OK)
		return r;
	j.m = &m;
	r = m.source->begin == NULL || m.source->append == NULL ? manage_cannot(inv, &m) : run(&j, config);
	manage_end(&m);
	return r;
}
