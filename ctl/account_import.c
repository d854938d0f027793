/* sallyctl account import: files become accounts in one transaction. */
#include "config.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "account/password.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/account.h"
#include "ctl/progress.h"

#define COLUMNS_MAX 200

struct job {
	const struct invocation *inv;
	struct manage *m;
	const char *file; /* its name, for messages */
	FILE *in;
	unsigned long size; /* bytes; 0: not known */
	bool has_shadow;
	unsigned long lines, done, replaced, there, wrong;
	int error;                       /* of the source: nothing more can be done */
	struct json mistakes, remarks;   /* lists for --json */
	const char *column[COLUMNS_MAX]; /* keys, of a table */
	size_t columns, name_column;
};

/* ------------------------------------------------------------------------ remarks */

static void
note(struct json *list, unsigned long line, const char *name, const char *text)
{
	json_open(list, NULL, '{');
	json_unsigned(list, "line", line);
	json_str(list, "account", name);
	json_str(list, "what", text);
	json_close(list);
}

static void
complain(struct job *j, unsigned long line, const char *name, const char *why)
{
	j->wrong++;
	note(&j->mistakes, line, name, why);
	progress_end(j->inv);
	(void)ctl_fail(j->inv, CTL_NO, "%s:%lu: %s%s%s", j->file, line, name, name[0] != '\0' ? ": " : "", why);
}

static void
remark(struct job *j, unsigned long line, const struct imported *a)
{
	if (a->remark[0] == '\0')
		return;
	note(&j->remarks, line, a->a.name, a->remark);
	if (j->inv->quiet)
		return;
	progress_end(j->inv);
	(void)ctl_fail(j->inv, CTL_OK, "%s:%lu: %s: %s", j->file, line, a->a.name, a->remark);
}

/* -------------------------------------------------------------------- one account */

/* Is everything of it right? Else why says what is not. */
static bool
is_right(const struct job *j, struct imported *a)
{
	char why[256];

	if (a->why[0] != '\0')
		return false;
	for (size_t i = 0; i < a->a.pair_count; i++) {
		const struct conf_pair *p = &a->a.pairs[i];

		if (manage_value_ok(j->m, p->key, p->value, why, sizeof(why)))
			continue;
		(void)imported_wrong(a, "%s: %s", p->key, why);
		return false;
	}
	return true;
}

static int
store(struct job *j, const struct imported *a)
{
	const struct account_source *s = j->m->source;
	int r = s->create(j->m->state, a->a.name, a->verifier);
	bool again = r == -EEXIST && j->inv->count[OPT_REPLACE] != 0;

	if (again) {
		r = s->remove(j->m->state, a->a.name);
		if (r == 0)
			r = s->create(j->m->state, a->a.name, a->verifier);
	}
	for (size_t i = 0; r == 0 && i < a->a.pair_count; i++)
		r = s->append(j->m->state, a->a.name, a->a.pairs[i].key, a->a.pairs[i].value);
	j->replaced += r == 0 && again;
	return r;
}

static void
take(struct job *j, struct imported *a, unsigned long line)
{
	int r;

	if (!is_right(j, a)) {
		complain(j, line, a->a.name, a->why);
		return;
	}
	remark(j, line, a);
	r = store(j, a);
	if (r == -EEXIST)
		j->there++;
	else if (r != 0)
		j->error = r;
	else
		j->done++;
}

static void
show_progress(const struct job *j)
{
	long at = j->size == 0 ? -1 : ftell(j->in);

	progress_part(j->inv, "accounts", j->done + j->there + j->wrong, at < 0 ? 0 : (unsigned long)at, j->size);
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
	ENTRY *found = !j->has_shadow ? NULL : hsearch((ENTRY){ a->a.name, NULL }, FIND);

	if (found != NULL && password_kind(found->data) != NULL)
		a->verifier = found->data;
}

static void
import_line(struct job *j, account_format *format, char *line, size_t len)
{
	struct imported a;
	int r;

	j->lines++;
	if (strlen(line) != len) {
		complain(j, j->lines, "", "the line holds a zero byte");
		return;
	}
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		line[--len] = '\0';
	if (len == 0 || line[0] == '#')
		return;
	imported_begin(&a);
	r = format(&a, line);
	if (r < 0)
		complain(j, j->lines, a.a.name, a.why);
	if (r > 0) {
		look_into_shadow(j, &a);
		if (a.elsewhere && a.verifier == NULL)
			imported_remark(&a, "it has no password hash, so nobody can log in: --shadow FILE brings those "
					    "of a shadow file, sallyctl account passwd sets a new one");
		take(j, &a, j->lines);
	}
	imported_end(&a);
}

static int
import_lines(struct job *j, account_format *format)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while (j->error == 0 && (n = getline(&line, &room, j->in)) > 0) {
		import_line(j, format, line, (size_t)n);
		show_progress(j);
	}
	if (line != NULL)
		explicit_bzero(line, room);
	free(line);
	return j->error;
}

/* -------------------------------------------------------------------------- a table */

/* Columns that are no keys of the configuration. */
static const char *const own_columns[] = { "name", "password", "clear_password" };

/* The column's key under the name that lives as long as the program; NULL after a complaint. */
static const char *
find_column(struct job *j, unsigned long line, const char *heading)
{
	const struct conf_key *k = conf_key(heading);
	char why[300], text[400];

	for (size_t i = 0; i < sizeof(own_columns) / sizeof(*own_columns); i++)
		if (strcmp(own_columns[i], heading) == 0)
			return own_columns[i];
	if (k != NULL && (k->scopes & SC_ACCOUNT) != 0)
		return k->name;
	(void)conf_check(SC_ACCOUNT, heading, "", why, sizeof(why));
	(void)str_format(text, sizeof(text),
	    "column %s: %s; name, password, clear_password and keys of an account are understood", heading, why);
	complain(j, line, "", text);
	return NULL;
}

static bool
take_heading(struct job *j, unsigned long line, size_t n, char **field)
{
	bool named = false;

	for (size_t i = 0; i < n && i < COLUMNS_MAX; i++) {
		j->column[i] = find_column(j, line, field[i]);
		if (j->column[i] == own_columns[0]) {
			j->name_column = i;
			named = true;
		}
	}
	j->columns = n;
	if (!named)
		complain(j, line, "", "the first line must be a heading, and one of its columns must be called name");
	return j->wrong == 0;
}

static void
take_value(struct imported *a, const char *column, const char *value)
{
	if (column == own_columns[0] || value[0] == '\0')
		return;
	if (column == own_columns[1])
		(void)imported_hash(a, value);
	else if (column == own_columns[2])
		(void)imported_password(a, value);
	else
		imported_set(a, column, "%s", value);
}

static bool
take_row(void *context, unsigned long line, size_t n, char **field)
{
	struct job *j = context;
	struct imported a;

	if (j->columns == 0)
		return take_heading(j, line, n, field);
	imported_begin(&a);
	if (n != j->columns)
		(void)imported_wrong(&a, "%zu value%s expected, as in the heading, and not %zu", j->columns,
		    j->columns == 1 ? " was" : "s were", n);
	else if (imported_name(&a, field[j->name_column]) == 0)
		for (size_t i = 0; i < n && a.why[0] == '\0'; i++)
			take_value(&a, j->column[i], field[i]);
	take(j, &a, line);
	imported_end(&a);
	show_progress(j);
	return j->error == 0;
}

static int
import_table(struct job *j, account_format *format)
{
	unsigned long line = 0;
	int r = csv_read(j->in, take_row, j, &line);

	(void)format;
	if (r == SP_EFORMAT) {
		complain(j, line, "",
		    "a value is not whole: quotation marks must enclose all of it, and be written twice inside");
		r = 0;
	}
	return r != 0 ? r : j->error;
}

/* --------------------------------------------------------------- a configuration */

static void
import_section(struct job *j, const struct conf_section *s)
{
	struct imported a;
	enum conf_key_id key;
	const char *text;

	imported_begin(&a);
	if (imported_name(&a, conf_section_name(s)) == 0)
		for (size_t i = 0; conf_section_value(s, i, &key, &text); i++) {
			if (key != K_password)
				imported_set(&a, conf_keys[key].name, "%s", text);
			else if (strcmp(text, "*") != 0)
				a.verifier = text;
		}
	take(j, &a, conf_section_line(s));
	imported_end(&a);
}

static void
import_sections(struct job *j, const struct conf *conf)
{
	unsigned long total = 0, n = 0;

	for (const struct conf_section *s = NULL; (s = conf_section_next(conf, SC_ACCOUNT, s)) != NULL;)
		total++;
	for (const struct conf_section *s = NULL;
	     j->error == 0 && (s = conf_section_next(conf, SC_ACCOUNT, s)) != NULL;) {
		import_section(j, s);
		progress_of(j->inv, "accounts", ++n, total);
	}
}

/* Accounts of the file may name classes and groups of the server, unless the file has sections of its own for them. */
static int
know_sections(struct conf *conf, const struct conf *server, const char *text)
{
	static const struct {
		enum conf_scope kind;
		const char *word;
	} kinds[] = { { SC_CLASS, "class" }, { SC_GROUP, "group" } };
	char head[128];
	int r = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		for (const struct conf_section *s = NULL;
		     r == 0 && (s = conf_section_next(server, kinds[i].kind, s)) != NULL;) {
			(void)str_format(head, sizeof(head), "[%s %s]", kinds[i].word, conf_section_name(s));
			if (strstr(text, head) == NULL)
				r = conf_set(
				    conf, kinds[i].kind, conf_section_name(s), "comment", "of the server", NULL, 0);
		}
	return r;
}

static int
import_config(struct job *j, account_format *format)
{
	const struct conf_problem *p;
	struct conf *conf = conf_new();
	char *text = NULL, what[600];
	size_t room = 0;
	ssize_t n = conf == NULL ? 0 : getdelim(&text, &room, '\0', j->in);
	int errors = 0, r = conf == NULL ? -ENOMEM : ferror(j->in) ? -EIO : !feof(j->in) ? SP_EFORMAT : 0;

	(void)format;
	if (r == 0 && n > 0)
		r = know_sections(conf, j->m->conf, text);
	if (r == 0 && n > 0)
		errors = conf_load_text(conf, j->file, text, (size_t)n);
	for (size_t i = 0; errors > 0 && (p = conf_problem_at(conf, i)) != NULL; i++)
		if (p->severity == CONF_ERROR) {
			(void)str_format(what, sizeof(what), "%s%s%s%s%s", p->text, p->text[0] != '\0' ? ": " : "",
			    p->what, p->hint[0] != '\0' ? ": " : "", p->hint);
			complain(j, p->line, "", what);
		}
	if (r == 0 && errors == 0)
		import_sections(j, conf);
	conf_free(conf);
	if (text != NULL)
		explicit_bzero(text, room);
	free(text);
	return r != 0 ? r : j->error;
}

/* ------------------------------------------------------------------------ command */

static int
report_json(struct job *j, bool kept)
{
	struct json out;

	json_init(&out);
	json_open(&out, NULL, '{');
	json_str(&out, "source", j->m->source->name);
	json_bool(&out, "kept", kept);
	json_unsigned(&out, "imported", j->done);
	json_unsigned(&out, "replaced", j->replaced);
	json_unsigned(&out, "already_there", j->there);
	json_unsigned(&out, "wrong", j->wrong);
	json_put(&out, "mistakes", &j->mistakes);
	json_put(&out, "remarks", &j->remarks);
	json_close(&out);
	return ctl_print_json(j->inv, &out);
}

static void
print_report(const struct job *j, bool kept)
{
	const char *would = kept ? "" : "would be ";

	printf("%lu %simported", j->done, would);
	if (j->replaced > 0)
		printf(", %lu of them made anew", j->replaced);
	if (j->there > 0)
		printf("; %lu %s there already%s", j->there, j->there == 1 ? "is" : "are",
		    j->inv->count[OPT_REPLACE] == 0 ? " (--replace makes them anew)" : "");
	if (j->wrong > 0)
		printf("; %lu wrong", j->wrong);
	if (!kept)
		printf(": nothing was changed%s",
		    j->inv->count[OPT_DRY_RUN] == 0 ? " (--partial imports what is right)" : "");
	putchar('\n');
}

static int
report(struct job *j, bool kept)
{
	int r = CTL_OK;

	json_close(&j->mistakes);
	json_close(&j->remarks);
	if (j->inv->json)
		r = report_json(j, kept);
	else if (!j->inv->quiet)
		print_report(j, kept);
	return r != CTL_OK ? r : j->wrong == 0 ? CTL_OK : CTL_NO;
}

static const struct {
	const char *name;
	int (*import)(struct job *, account_format *);
} readers[] = { { "config", import_config }, { "csv", import_table } };

/* Opens the file and reads it in the format; 0 or a negative code. */
static int
read_file(struct job *j, const char *format)
{
	bool from_stdin = strcmp(j->inv->argv[0], "-") == 0;
	struct stat st;
	int r = 0;

	j->in = from_stdin ? stdin : fopen(j->inv->argv[0], "re");
	if (j->in == NULL)
		return -errno;
	if (fstat(fileno(j->in), &st) == 0 && S_ISREG(st.st_mode))
		j->size = (unsigned long)st.st_size;
	else if (S_ISDIR(st.st_mode))
		r = -EISDIR;
	if (r == 0 && import_format(format) != NULL)
		r = import_lines(j, import_format(format));
	for (size_t i = 0; r == 0 && i < sizeof(readers) / sizeof(*readers); i++)
		if (strcmp(readers[i].name, format) == 0)
			r = readers[i].import(j, NULL);
	if (r == 0 && ferror(j->in))
		r = -EIO;
	if (!from_stdin)
		fclose(j->in);
	return r;
}

static int
run(struct job *j, const char *format)
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
	r = read_file(j, format);
	password_release();
	keep = r == 0 && j->inv->count[OPT_DRY_RUN] == 0 && (j->wrong == 0 || j->inv->count[OPT_PARTIAL] != 0);
	end = s->end(j->m->state, keep);
	progress_end(j->inv);
	if (j->error != 0)
		return manage_fail(j->inv, s->name, j->error);
	if (r != 0)
		return ctl_fail_code(j->inv, CTL_FAILED, j->file, r);
	if (end != 0)
		return manage_fail(j->inv, s->name, end);
	return report(j, keep);
}

static bool
is_format(const char *name)
{
	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++)
		if (strcmp(readers[i].name, name) == 0)
			return true;
	return import_format(name) != NULL;
}

int
account_import_command(struct invocation *inv)
{
	static struct job j;
	const char *format = inv->value[OPT_FORMAT] != NULL ? inv->value[OPT_FORMAT] : "config";
	struct manage m;
	int r;

	if (!is_format(format))
		return ctl_fail(inv, CTL_USAGE,
		    "--format %s: config, csv, passwd, proftpd, pure-ftpd, ftpcluster or ncftpd was expected", format);
	r = manage_begin(&m, inv);
	if (r != CTL_OK)
		return r;
	j = (struct job){
		.inv = inv, .m = &m, .file = strcmp(inv->argv[0], "-") == 0 ? "standard input" : inv->argv[0]
	};
	json_init(&j.mistakes);
	json_open(&j.mistakes, NULL, '[');
	json_init(&j.remarks);
	json_open(&j.remarks, NULL, '[');
	r = m.source->begin == NULL || m.source->append == NULL ? manage_cannot(inv, &m) : run(&j, format);
	json_free(&j.mistakes);
	json_free(&j.remarks);
	manage_end(&m);
	return r;
}
