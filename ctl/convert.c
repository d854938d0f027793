#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/str.h"
#include "ctl/convert.h"

int
convert_begin(struct convert *c, const struct invocation *inv)
{
	*c = (struct convert){ .inv = inv, .path = inv->argv[0] };
	c->out = open_memstream(&c->text, &c->size);
	c->notes_out = open_memstream(&c->notes, &c->notes_size);
	json_init(&c->lost);
	json_open(&c->lost, NULL, '[');
	return c->out == NULL || c->notes_out == NULL ? -ENOMEM : 0;
}

static void
put(FILE *out, const char *text, const char *between)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			fputs(between, out);
		else if (((unsigned char)*text >= ' ' && *text != 0x7f) || *text == '\t')
			fputc(*text, out);
}

void
convert_say(struct convert *c, const char *key, const char *value)
{
	if (value == NULL || *value == '\0')
		return;
	fprintf(c->out, "%s = ", key);
	put(c->out, value, "\n    ");
	fputc('\n', c->out);
}

void
convert_sayf(struct convert *c, const char *key, const char *fmt, ...)
{
	char value[4096];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	convert_say(c, key, value);
}

void
convert_section(struct convert *c, const char *kind, const char *name)
{
	fprintf(c->out, "\n[%s%s", kind, name != NULL ? " " : "");
	put(c->out, name != NULL ? name : "", "");
	fputs("]\n", c->out);
}

void
convert_lost(struct convert *c, unsigned line, const char *name, const char *value, const char *why)
{
	c->lost_count++;
	json_open(&c->lost, NULL, '{');
	json_unsigned(&c->lost, "line", line);
	json_str(&c->lost, "name", name);
	json_str(&c->lost, "value", value);
	json_str(&c->lost, "why", why);
	json_close(&c->lost);
	fputs("#   ", c->notes_out);
	if (line > 0)
		fprintf(c->notes_out, "line %u: ", line);
	put(c->notes_out, name, " ");
	fputc(' ', c->notes_out);
	put(c->notes_out, value, " ");
	fprintf(c->notes_out, ": %s\n", why);
	if (!c->inv->json && !c->inv->quiet)
		ctl_finding(c->inv, c->path, line, name, value, why);
}

void
convert_closed(struct convert *c, unsigned line, const char *name, const char *value, const char *why)
{
	fputs("not_imported = ", c->out);
	put(c->out, name, " ");
	fputc(' ', c->out);
	put(c->out, value, " ");
	fprintf(c->out, ": %s\n", why);
	convert_lost(c, line, name, value, why);
}

/* ------------------------------------------------------------------------ reading */

/* The value that is being gathered. */
struct value {
	char section[256], key[128];
	char *text;
	size_t len;
	unsigned line;
};

static char *
trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

static void
flush(struct convert *c, struct value *v, convert_take *take, void *context)
{
	if (v->key[0] != '\0')
		take(c, context, v->section, v->line, v->key, v->text != NULL ? v->text : "");
	v->key[0] = '\0';
	free(v->text);
	v->text = NULL;
}

static void
append(struct value *v, const char *text)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", v->text != NULL ? v->text : "",
		v->text != NULL && v->text[0] != '\0' ? "\n" : "", text) < 0)
		return;
	free(v->text);
	v->text = longer;
}

static void
take_line(struct convert *c, struct value *v, char *line, unsigned number, convert_take *take, void *context)
{
	bool goes_on = line[0] == ' ' || line[0] == '\t';
	char *text = trim(line), *equal;

	if (text[0] == '\0' || text[0] == '#' || text[0] == ';')
		return;
	if (goes_on && v->key[0] != '\0') {
		append(v, text);
		return;
	}
	flush(c, v, take, context);
	equal = strchr(text, '=');
	if (text[0] == '[' && text[strlen(text) - 1] == ']') {
		text[strlen(text) - 1] = '\0';
		(void)str_copy(v->section, sizeof(v->section), trim(text + 1));
		return;
	}
	if (equal != NULL)
		*equal = '\0';
	v->line = number;
	if (str_copy(v->key, sizeof(v->key), trim(text)) != 0)
		v->key[0] = '\0';
	append(v, equal != NULL ? trim(equal + 1) : "");
}

int
convert_read(struct convert *c, const char *path, convert_take *take, void *context)
{
	struct value v = { .line = 0 };
	FILE *in = fopen(path, "re");
	unsigned number = 0;
	char *line = NULL;
	size_t room = 0;

	if (in == NULL)
		return -errno;
	while (getline(&line, &room, in) > 0)
		take_line(c, &v, line, ++number, take, context);
	flush(c, &v, take, context);
	free(line);
	fclose(in);
	return 0;
}

/* ------------------------------------------------------------------------- result */

/* What we made must be a configuration: values that were wrong over there are wrong here. */
static void
check(struct convert *c)
{
	struct conf *conf = conf_new();
	const struct conf_problem *p;

	if (conf == NULL)
		return;
	(void)conf_load_text(conf, "the result", c->text, c->size);
	for (size_t i = 0; (p = conf_problem_at(conf, i)) != NULL; i++)
		if (p->severity == CONF_ERROR && strcmp(p->text, "not_imported") != 0)
			convert_lost(c, 0, "in the result,", p->text, p->what);
	conf_free(conf);
}

static int
print(struct convert *c)
{
	struct json j;
	char *all = NULL;
	int r;

	if (asprintf(&all, "# Made by sallyctl import from %s.\n%s%s%s", c->path,
		c->lost_count > 0 ? "#\n# Not expressed here:\n" : "", c->notes, c->text) < 0)
		return ctl_fail_code(c->inv, CTL_FAILED, c->path, -ENOMEM);
	if (!c->inv->json) {
		fputs(all, stdout);
		free(all);
		return c->lost_count > 0 ? CTL_NO : CTL_OK;
	}
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "configuration", all);
	json_put(&j, "lost", &c->lost);
	json_open(&j, "unneeded", '[');
	json_close(&j);
	json_close(&j);
	free(all);
	r = ctl_print_json(c->inv, &j);
	return r == CTL_OK && c->lost_count > 0 ? CTL_NO : r;
}

int
convert_end(struct convert *c, int error)
{
	int r;

	if (c->out != NULL)
		fclose(c->out);
	if (error == 0)
		check(c);
	if (c->notes_out != NULL)
		fclose(c->notes_out);
	json_close(&c->lost);
	r = error != 0 ? ctl_fail_code(c->inv, CTL_FAILED, c->path, error) : print(c);
	json_free(&c->lost);
	free(c->text);
	free(c->notes);
	return r;
}
