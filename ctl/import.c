#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/import.h"

#define TEXT_FILE_MAX	4096

enum kind { COPY, WORDS, FIRST, MINUTES, RATE, TEXT, LATER, USELESS, LOST, CLOSED };

struct rule {
	const char *server, *name;
	enum kind kind;
	enum import_place place;
	const char *key, *argument;
};

static const struct rule rules[] = {
#define RULE(server, name, kind, place, key, argument) { #server, name, kind, IMPORT_##place, #key, argument },
#include "ctl/import.def"
#undef RULE
};

static const char *const sections[] = {
#define PLACE(NAME, section) section,
	IMPORT_PLACES(PLACE)
#undef PLACE
};

/* A setting of ours, a directive kept for later, a remark: three lists of the same rows. */
struct item {
	struct item *next;
	enum import_place place;
	char *name, *value, *why;
	unsigned line;
	bool is_switch;			/* a kept directive that was asked for as yes or no */
};

struct import {
	struct invocation *inv;
	const struct import_server *server;
	struct item *settings, *kept, *lost, *useless, *closed;
	bool dropped[IMPORT_PLACE_COUNT];
	bool failed;			/* out of memory */
};

static void
free_items(struct item *it)
{
	struct item *next;

	for (; it != NULL; it = next) {
		next = it->next;
		free(it->name);
		free(it->value);
		free(it->why);
		free(it);
	}
}

static void
add_item(struct import *im, struct item **list, enum import_place place, const char *name, const char *value,
    const char *why, unsigned line)
{
	struct item *it = calloc(1, sizeof(*it));

	if (it == NULL || (it->name = strdup(name)) == NULL || (it->value = strdup(value)) == NULL ||
	    (it->why = strdup(why)) == NULL) {
		im->failed = true;
		free_items(it);
		return;
	}
	it->place = place;
	it->line = line;
	while (*list != NULL)
		list = &(*list)->next;
	*list = it;
}

void
import_lost(struct import *im, unsigned line, const char *name, const char *value, const char *why)
{
	add_item(im, &im->lost, IMPORT_SERVER, name, value, why, line);
}

void
import_closed(
    struct import *im, enum import_place place, unsigned line, const char *name, const char *value, const char *why)
{
	add_item(im, &im->lost, place, name, value, why, line);
	add_item(im, &im->closed, place, name, value, why, line);
}

void
import_drop(struct import *im, enum import_place place)
{
	im->dropped[place] = true;
}

void
import_useless(struct import *im, unsigned line, const char *name, const char *value, const char *why)
{
	add_item(im, &im->useless, IMPORT_SERVER, name, value, why, line);
}

void
import_set(struct import *im, enum import_place place, const char *key, const char *fmt, ...)
{
	struct item *it;
	char *value;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0) {
		im->failed = true;
		return;
	}
	for (it = im->settings; it != NULL; it = it->next)
		if (it->place == place && strcmp(it->name, key) == 0)
			break;
	if (it == NULL)
		add_item(im, &im->settings, place, key, value, "", 0);
	else if (strcmp(key, "certificate") == 0 || strcmp(key, "private_key") == 0) {
		/* One a key type: lists of ours. */
		char *both;

		if (asprintf(&both, "%s, %s", it->value, value) > 0) {
			free(it->value);
			it->value = both;
		}
	} else {
		free(it->value);
		if ((it->value = strdup(value)) == NULL)
			im->failed = true;
	}
	free(value);
}

void
import_add(struct import *im, enum import_place place, const char *key, const char *value)
{
	add_item(im, &im->settings, place, key, value, "", 0);
}

const char *
import_value(const struct import *im, const char *name)
{
	const char *value = NULL;

	for (const struct item *it = im->kept; it != NULL; it = it->next)
		if (strcasecmp(it->name, name) == 0)
			value = it->value;
	return value;
}

unsigned
import_line(const struct import *im, const char *name)
{
	unsigned line = 0;

	for (const struct item *it = im->kept; it != NULL; it = it->next)
		if (strcasecmp(it->name, name) == 0)
			line = it->line;
	return line;
}

bool
import_is_yes(const char *word)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	size_t n = strcspn(word, " \t");

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (strncasecmp(word, yes[i], n) == 0 && strlen(yes[i]) == n)
			return true;
	return false;
}

static bool
is_no(const char *word)
{
	static const char *const no[] = { "no", "false", "off", "0", "optional" };
	size_t n = strcspn(word, " \t");

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (strncasecmp(word, no[i], n) == 0 && strlen(no[i]) == n)
			return true;
	return false;
}

bool
import_yes(const struct import *im, const char *name, bool otherwise)
{
	const char *value = import_value(im, name);

	for (struct item *it = im->kept; it != NULL; it = it->next)
		it->is_switch |= strcasecmp(it->name, name) == 0;
	return value == NULL ? otherwise : import_is_yes(value);
}

/* What is neither yes nor no was taken for a no, which may open. */
static void
close_malformed(struct import *im)
{
	for (const struct item *it = im->kept; it != NULL; it = it->next)
		if (it->is_switch && !import_is_yes(it->value) && !is_no(it->value))
			import_closed(im, IMPORT_SERVER, it->line, it->name, it->value, "neither yes nor no");
}

bool
import_mode(struct import *im, const char *name, const char *text, unsigned long *mode)
{
	if (text[0] != '\0' && strspn(text, "01234567") == strlen(text) && strlen(text) <= 5) {
		*mode = strtoul(text, NULL, 8);
		return true;
	}
	import_closed(im, IMPORT_SERVER, import_line(im, name), name, import_value(im, name), "no octal number");
	return false;
}

void
import_text(
    struct import *im, enum import_place place, const char *key, const char *path, unsigned line, const char *name)
{
	char text[TEXT_FILE_MAX], out[TEXT_FILE_MAX * 2];
	FILE *in = fopen(path, "re");
	size_t n = in != NULL ? fread(text, 1, sizeof(text) - 1, in) : 0, len = 0;

	if (in != NULL)
		fclose(in);
	while (n > 0 && isspace((unsigned char)text[n - 1]))
		n--;
	if (n == 0) {
		import_lost(im, line, name, path, "the file cannot be read: write its text into the key");
		return;
	}
	for (size_t i = 0; i < n && len + 3 < sizeof(out); i++) {
		if (text[i] == '\n')
			len += (size_t)snprintf(out + len, sizeof(out) - len, "\n\t");
		else if ((unsigned char)text[i] >= ' ' || text[i] == '\t')
			out[len++] = text[i];
	}
	out[len] = '\0';
	import_set(im, place, key, "%s", out);
}

char *
import_names(struct import *im, const char *path, const char *name)
{
	char *list = NULL, *longer, *line = NULL, *word;
	FILE *in = fopen(path, "re");
	size_t size = 0;

	if (in == NULL) {
		import_lost(im, 0, name, path, "the file cannot be read: write its names into the key");
		return NULL;
	}
	while (getline(&line, &size, in) > 0) {
		line[strcspn(line, "#\r\n")] = '\0';
		word = line + strspn(line, " \t");
		word[strcspn(word, " \t")] = '\0';
		if (*word == '\0' ||
		    asprintf(&longer, "%s%s%s", list != NULL ? list : "", list != NULL ? ", " : "", word) < 0)
			continue;
		free(list);
		list = longer;
	}
	free(line);
	fclose(in);
	return list;
}

void
import_listen(struct import *im, const char *address, const char *port)
{
	bool v6 = address != NULL && strchr(address, ':') != NULL;

	import_set(im, IMPORT_LISTENER, "listen", "%s%s%s:%s", v6 ? "[" : "", address != NULL ? address : "*",
	    v6 ? "]" : "", port != NULL ? port : "21");
}

void
import_anonymous(struct import *im, const char *added, const char *denied)
{
	import_set(im, IMPORT_ANONYMOUS, "layer", "ups -* +rLC%s%s%s", added, denied[0] != '\0' ? " -" : "", denied);
}

/* ------------------------------------------------------------------------- rules */

static void
set_words(struct import *im, const struct rule *r, const char *value, unsigned line)
{
	size_t yes = strcspn(r->argument, "|");

	if (*r->key == '\0') {
		if (import_is_yes(value) != (strcmp(r->name, "UseFtpUsers") == 0))
			import_lost(im, line, r->name, value, "there is no such switch");
		return;
	}
	if (!import_is_yes(value) && !is_no(value)) {
		import_closed(im, r->place, line, r->name, value, "neither yes nor no");
		return;
	}
	if (import_is_yes(value) && yes > 0)
		import_set(im, r->place, r->key, "%.*s", (int)yes, r->argument);
	else if (!import_is_yes(value) && r->argument[yes + 1] != '\0')
		import_set(im, r->place, r->key, "%s", r->argument + yes + 1);
}

static void
apply(struct import *im, const struct rule *r, const char *name, const char *value, unsigned line)
{
	switch (r->kind) {
	case COPY:
		import_set(im, r->place, r->key, "%s", value);
		break;
	case WORDS:
		set_words(im, r, value, line);
		break;
	case FIRST:
		import_set(im, r->place, r->key, "%.*s", (int)strcspn(value, " \t"), value);
		break;
	case MINUTES:
		import_set(im, r->place, r->key, "%sm", value);
		break;
	case RATE:
		import_set(im, r->place, "rate_up", "%s", value);
		import_set(im, r->place, "rate_down", "%s", value);
		break;
	case TEXT:
		import_text(im, r->place, r->key, value, line, r->name);
		break;
	case LATER:
		add_item(im, &im->kept, r->place, r->name, value, "", line);
		break;
	case USELESS:
		import_useless(im, line, name, value, r->argument);
		break;
	case LOST:
		/* A switch that is off asks for nothing. */
		if (strcasecmp(value, "no") != 0 && strcasecmp(value, "off") != 0)
			import_lost(im, line, name, value, r->argument);
		break;
	case CLOSED:
		if (strcasecmp(value, "no") != 0 && strcasecmp(value, "off") != 0)
			import_closed(im, r->place, line, name, value, r->argument);
		break;
	}
}

/* A star at the end of a row's name stands for the rest of a name. */
static bool
is_named(const struct rule *r, const char *name)
{
	size_t n = strcspn(r->name, "*");

	return r->name[n] == '*' ? strncasecmp(r->name, name, n) == 0 : strcasecmp(r->name, name) == 0;
}

void
import_directive(struct import *im, const char *name, const char *value, unsigned line)
{
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' && *p != '\t') {
			import_closed(im, IMPORT_SERVER, line, name, value, "there are control bytes in the value");
			return;
		}
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(rules[i].server, im->server->name) == 0 && is_named(&rules[i], name)) {
			apply(im, &rules[i], name, value, line);
			return;
		}
	import_closed(im, IMPORT_SERVER, line, name, value, "the importer does not know this setting");
}

int
import_lines(struct import *im, const char *path, void (*take)(struct import *, char *, unsigned))
{
	FILE *in = fopen(path, "re");
	unsigned number = 0;
	char *line = NULL, *text, *end;
	size_t size = 0;

	if (in == NULL)
		return -errno;
	while (getline(&line, &size, in) > 0) {
		number++;
		text = line + strspn(line, " \t");
		for (end = text + strlen(text); end > text && isspace((unsigned char)end[-1]); end--)
			end[-1] = '\0';
		if (*text != '\0' && *text != '#')
			take(im, text, number);
	}
	free(line);
	fclose(in);
	return 0;
}

/* ------------------------------------------------------------------------ output */

static void
print_remarks(FILE *out, const char *title, const struct item *it)
{
	char safe[1024];

	if (it != NULL)
		fprintf(out, "#\n# %s\n", title);
	for (; it != NULL; it = it->next) {
		(void)str_escape(safe, sizeof(safe), it->value, strlen(it->value));
		if (it->line > 0)
			fprintf(out, "#   line %u: ", it->line);
		else
			fprintf(out, "#   ");
		fprintf(out, "%s %s: %s\n", it->name, safe, it->why);
	}
}

/* Why nobody gets in here. */
static void
print_closed(FILE *out, const struct import *im, enum import_place place)
{
	bool account = place == IMPORT_ANONYMOUS, any = false;
	char safe[1024];

	for (const struct item *it = im->closed; it != NULL; it = it->next) {
		if (it->place != place)
			continue;
		any = true;
		(void)str_escape(safe, sizeof(safe), it->value, strlen(it->value));
		fprintf(out, "%s%s %s: %s\n",
		    account ? "# Restricted access, and is not expressed here: " : "not_imported = ", it->name, safe,
		    it->why);
	}
	if (any && account)
		fputs("enabled = no\n", out);
}

static bool
is_closed(const struct import *im, enum import_place place)
{
	for (const struct item *it = im->closed; it != NULL; it = it->next)
		if (it->place == place)
			return true;
	return false;
}

/* The whole configuration as text, for the check without what it is to refuse. malloc'ed; NULL: no memory. */
static char *
compose(const struct import *im, const char *path, bool closed)
{
	const struct item *it;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool begun;

	if (out == NULL)
		return NULL;
	fprintf(out, "# Made by sallyctl import from %s.\n", path);
	print_remarks(out, "Not expressed here:", im->lost);
	print_remarks(out, "Not needed here:", im->useless);
	for (int place = 0; place < IMPORT_PLACE_COUNT; place++) {
		begun = false;
		if (im->dropped[place])
			continue;
		if (closed && is_closed(im, (enum import_place)place)) {
			fprintf(out, "\n[%s]\n", sections[place]);
			print_closed(out, im, (enum import_place)place);
			begun = true;
		}
		for (it = im->settings; it != NULL; it = it->next) {
			if ((int)it->place != place)
				continue;
			if (!begun)
				fprintf(out, "\n[%s]\n", sections[place]);
			begun = true;
			fprintf(out, "%s = %s\n", it->name, it->value);
		}
	}
	fclose(out);
	return text;
}

static void
remarks_json(struct json *j, const char *key, const struct item *it)
{
	json_open(j, key, '[');
	for (; it != NULL; it = it->next) {
		json_open(j, NULL, '{');
		json_unsigned(j, "line", it->line);
		json_str(j, "name", it->name);
		json_str(j, "value", it->value);
		json_str(j, "why", it->why);
		json_close(j);
	}
	json_close(j);
}

/* What we made must be a configuration: values that were wrong over there are wrong here. */
static void
check_result(struct import *im, const char *text)
{
	struct conf *conf = conf_new();
	const struct conf_problem *p;

	if (conf == NULL)
		return;
	(void)conf_load_text(conf, "the result", text, strlen(text));
	for (size_t i = 0; i < conf_problem_count(conf); i++)
		if ((p = conf_problem_at(conf, i))->severity == CONF_ERROR)
			import_lost(im, 0, "in the result,", p->text, p->what);
	conf_free(conf);
}

static int
print_result(struct import *im, const char *path)
{
	char *text = compose(im, path, false);
	struct json j;
	int result = CTL_OK;

	/* Once more, with what the check has found. */
	if (text != NULL) {
		check_result(im, text);
		free(text);
		text = compose(im, path, true);
	}
	if (text == NULL || im->failed)
		result = ctl_fail_code(im->inv, CTL_FAILED, path, -ENOMEM);
	for (const struct item *it = im->lost; it != NULL && !im->inv->json && !im->inv->quiet; it = it->next)
		ctl_finding(im->inv, path, it->line, it->name, it->value, it->why);
	if (result == CTL_OK && im->inv->json) {
		json_init(&j);
		json_open(&j, NULL, '{');
		json_str(&j, "configuration", text);
		remarks_json(&j, "lost", im->lost);
		remarks_json(&j, "unneeded", im->useless);
		json_close(&j);
		result = ctl_print_json(im->inv, &j);
	} else if (result == CTL_OK)
		fputs(text, stdout);
	free(text);
	return result == CTL_OK && im->lost != NULL ? CTL_NO : result;
}

static int
import_from(struct invocation *inv, const struct import_server *server)
{
	struct import im = { .inv = inv, .server = server };
	int error = server->read(&im, inv->argv[0]), result;

	if (error != 0)
		result = ctl_fail_code(inv, CTL_FAILED, inv->argv[0], error);
	else {
		server->finish(&im);
		close_malformed(&im);
		result = print_result(&im, inv->argv[0]);
	}
	free_items(im.settings);
	free_items(im.kept);
	free_items(im.lost);
	free_items(im.useless);
	free_items(im.closed);
	return result;
}

int
import_vsftpd_command(struct invocation *inv)
{
	return import_from(inv, &import_vsftpd);
}

int
import_pureftpd_command(struct invocation *inv)
{
	return import_from(inv, &import_pureftpd);
}

int
import_proftpd_command(struct invocation *inv)
{
	return import_from(inv, &import_proftpd);
}
