/* sallyctl account: list, show, export. */
#include "config.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "account/db.h"
#include "account/password.h"
#include "common/str.h"
#include "ctl/account.h"
#include "ctl/conf.h"
#include "ctl/progress.h"

/* The last value of a key among the account's own settings; NULL: not set. */
static const char *
own_value(const struct account *a, const char *key)
{
	const char *value = NULL;

	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, key) == 0)
			value = a->pairs[i].value;
	return value;
}

static const char *
verifier_of(const struct account *a)
{
	return a->verifier != NULL ? a->verifier : own_value(a, "password");
}

/* What is said of a password: never the hash. */
static const char *
kind_of(const struct account *a)
{
	const char *v = verifier_of(a), *kind;

	if (a->verifier_kind != VERIFY_HASH && a->verifier_kind != VERIFY_CLEAR)
		return "elsewhere";
	if (v == NULL)
		return "none";
	if (a->verifier_kind == VERIFY_CLEAR || strncmp(v, "{CLEAR}", 7) == 0)
		return "clear";
	kind = password_kind(v);
	return kind != NULL ? kind : "unusable";
}

static bool
is_enabled(const struct account *a)
{
	const char *value = own_value(a, "enabled");

	return value == NULL || !str_same(value, "no");
}

/* hash: with it. */
static void
put_account(struct json *j, const struct account *a, bool hash)
{
	json_open(j, NULL, '{');
	json_str(j, "name", a->name);
	json_str(j, "password", kind_of(a));
	if (hash)
		json_str(j, "hash", a->verifier_kind == VERIFY_HASH ? verifier_of(a) : NULL);
	json_bool(j, "enabled", is_enabled(a));
	json_open(j, "settings", '[');
	for (size_t i = 0; i < a->pair_count; i++) {
		if (strcmp(a->pairs[i].key, "password") == 0)
			continue;
		json_open(j, NULL, '{');
		json_str(j, "key", a->pairs[i].key);
		json_str(j, "value", a->pairs[i].value);
		json_close(j);
	}
	json_close(j);
	json_close(j);
}

/* ------------------------------------------------------------------------ list */

struct listing {
	const struct invocation *inv;
	struct json j;
	unsigned long n;
	bool progress; /* on a terminal it would tear the list */
};

static void
begin_listing(struct listing *l, const struct invocation *inv)
{
	*l = (struct listing){ .inv = inv, .progress = !isatty(STDOUT_FILENO) };
	json_init(&l->j);
	json_open(&l->j, NULL, '[');
}

/* The end of the list, or of the attempt. Returns the exit code. */
static int
end_listing(struct listing *l, const struct manage *m, int r)
{
	int code;

	json_close(&l->j);
	progress_end(l->inv);
	if (r == 0 && l->inv->json)
		return ctl_print_json(l->inv, &l->j);
	code = r == 0 ? CTL_OK : manage_fail(l->inv, m->source->name, r);
	json_free(&l->j);
	return code;
}

static bool
is_wanted(const struct listing *l, const struct account *a)
{
	if (l->inv->argc > 0 && fnmatch(l->inv->argv[0], a->name, FNM_NOESCAPE) != 0)
		return false;
	return l->inv->count[OPT_DISABLED] == 0 || !is_enabled(a);
}

static int
list_one(void *context, const struct account *a)
{
	struct listing *l = context;
	const char *home = own_value(a, "home");

	l->n++;
	if (l->progress)
		progress_step(l->inv, "accounts", l->n);
	if (!is_wanted(l, a))
		return 0;
	if (l->inv->json) {
		put_account(&l->j, a, false);
		return l->j.error;
	}
	ctl_print_name(a->name);
	printf("%*s %-12s %-8s ", strlen(a->name) < 24 ? (int)(24 - strlen(a->name)) : 0, "", kind_of(a),
	    is_enabled(a) ? "enabled" : "disabled");
	ctl_print_name(home != NULL ? home : a->home != NULL ? a->home : "-");
	putchar('\n');
	return ferror(stdout) ? -EIO : 0;
}

/* Lists with a function; each account goes through it. */
static int
list_all(struct invocation *inv, int (*each)(void *, const struct account *))
{
	struct listing l;
	struct manage m;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	if (m.source->list == NULL) {
		r = manage_cannot(inv, &m);
	} else {
		begin_listing(&l, inv);
		r = m.source->list(m.state, each, &l);
		r = end_listing(&l, &m, r == 0 && fflush(stdout) != 0 ? -EIO : r);
	}
	manage_end(&m);
	return r;
}

int
account_list_command(struct invocation *inv)
{
	return list_all(inv, list_one);
}

/* ---------------------------------------------------------------------- export */

/* A value of several lines goes on on indented ones. */
static void
print_value(const char *key, const char *value)
{
	printf("%s = ", key);
	for (; *value != '\0'; value++) {
		putchar(*value);
		if (*value == '\n')
			fputs("    ", stdout);
	}
	putchar('\n');
}

static int
export_one(void *context, const struct account *a)
{
	struct listing *l = context;
	const char *verifier = verifier_of(a);

	l->n++;
	if (l->progress)
		progress_step(l->inv, "accounts", l->n);
	if (l->inv->json) {
		put_account(&l->j, a, true);
		return l->j.error;
	}
	printf("[account %s]\n", a->name);
	if (verifier != NULL && a->verifier_kind != VERIFY_NEVER)
		printf("password = %s%s\n", a->verifier_kind == VERIFY_CLEAR && a->verifier != NULL ? "{CLEAR}" : "",
		    verifier);
	else
		printf("password = *\n");
	if (a->dialect_uid >= 0)
		printf("cluster_uid = %lld\n", (long long)a->dialect_uid);
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, "password") != 0)
			print_value(a->pairs[i].key, a->pairs[i].value);
	putchar('\n');
	return ferror(stdout) ? -EIO : 0;
}

int
account_export_command(struct invocation *inv)
{
	return list_all(inv, export_one);
}

/* ------------------------------------------------------------------------ show */

static void
origin_text(const struct conf_origin *o, char *out, size_t size)
{
	bool section = o->section != NULL && o->section[0] != '\0';

	if (o->line != 0)
		(void)str_format(out, size, "%s:%u%s%s%s", o->file, o->line, section ? " [" : "",
		    section ? o->section : "", section ? "]" : "");
	else
		(void)str_format(out, size, "%s", o->file == NULL ? "default" : o->file);
}

/* A value with the place it came from, as a line or as JSON. */
static void
print_row(struct json *j, bool json, const char *key, const char *value, const char *origin)
{
	if (json) {
		json_open(j, NULL, '{');
		json_str(j, "key", key);
		json_str(j, "value", value);
		json_str(j, "origin", origin);
		json_close(j);
		return;
	}
	printf("%-28s ", key);
	ctl_print_name(value);
	printf("%*s %s\n", strlen(value) < 32 ? (int)(32 - strlen(value)) : 0, "", origin);
}

static void
print_layers(struct json *j, bool json, const struct conf_layers *layers)
{
	char value[4096], origin[512];

	for (size_t i = 0; i < layers->n; i++) {
		const struct conf_layer *l = &layers->v[i];
		struct conf_origin place = { l->file, l->line, l->section };

		(void)str_format(
		    value, sizeof(value), "%s%s%s %s", l->prefix, l->prefix[0] != '\0' ? " " : "", l->dialect, l->text);
		origin_text(&place, origin, sizeof(origin));
		print_row(j, json, "layer", value, origin);
	}
}

/* Whom an account without run_as runs as: a user of the system as itself, others as virtual_user. */
static void
say_runner(const struct account *a, char *value, size_t size, char *origin, size_t origin_size)
{
	(void)str_format(value, size, "%u:%u", (unsigned)a->uid, (unsigned)a->gid);
	if ((a->flags & ACCOUNT_SYSTEM) != 0)
		(void)str_copy(origin, origin_size, a->origin != NULL ? a->origin : a->source->name);
	else
		origin_text(&a->resolved->origin[K_virtual_user], origin, origin_size);
}

static void
print_settings(struct json *j, bool json, const struct account *a)
{
	static char value[128 * 1024];
	char origin[512];

	for (int k = 0; k < K_COUNT; k++) {
		if ((conf_keys[k].scopes & SC_USER) == 0)
			continue;
		if (k == K_layer && a->resolved->s.layer.n > 0) {
			print_layers(j, json, &a->resolved->s.layer);
			continue;
		}
		(void)conf_value_text(&a->resolved->s, (enum conf_key_id)k, value, sizeof(value));
		origin_text(&a->resolved->origin[k], origin, sizeof(origin));
		if (k == K_run_as && a->resolved->s.run_as == NULL)
			say_runner(a, value, sizeof(value), origin, sizeof(origin));
		print_row(j, json, conf_keys[k].name, k == K_password ? kind_of(a) : value, origin);
	}
}

static void
print_groups(struct json *j, bool json, const struct account *a)
{
	if (!json)
		printf("groups:");
	for (unsigned i = 0; i < a->group_count; i++)
		if (json)
			json_num(j, NULL, a->groups[i]);
		else
			printf(" %u", (unsigned)a->groups[i]);
	if (!json)
		putchar('\n');
}

/* Who the account is for the system, then everything that is set for it. */
static void
print_effective(const struct invocation *inv, const struct account *a)
{
	const char *text = a->resolved->s.home != NULL ? a->resolved->s.home : a->home;
	const char *class = a->resolved->class == NULL ? NULL : conf_section_name(a->resolved->class);
	char home[4096];
	struct json j;

	if (text == NULL || account_expand(a, text, home, sizeof(home)) != 0)
		home[0] = '\0';
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "name", a->name);
	json_str(&j, "source", a->source->name);
	json_str(&j, "origin", a->origin);
	json_num(&j, "uid", a->uid);
	json_num(&j, "gid", a->gid);
	json_open(&j, "groups", '[');
	if (!inv->json) {
		printf("name: ");
		ctl_print_name(a->name);
		printf("\nsource: %s (%s)\nuid: %u\ngid: %u\n", a->source->name, a->origin != NULL ? a->origin : "-",
		    (unsigned)a->uid, (unsigned)a->gid);
	}
	print_groups(&j, inv->json, a);
	json_close(&j);
	json_str(&j, "class", class);
	json_str(&j, "home", home[0] != '\0' ? home : NULL);
	if (!inv->json) {
		printf("class: %s\nhome: ", class != NULL ? class : "-");
		ctl_print_name(home[0] != '\0' ? home : "-");
		printf("\n\n");
	}
	json_open(&j, "settings", '[');
	print_settings(&j, inv->json, a);
	json_close(&j);
	json_close(&j);
	if (inv->json)
		(void)ctl_print_json(inv, &j);
	else
		json_free(&j);
}

static void
print_own(const struct invocation *inv, const struct account *a, const char *source)
{
	struct json j;

	if (inv->json) {
		json_init(&j);
		put_account(&j, a, false);
		(void)ctl_print_json(inv, &j);
		return;
	}
	printf("name: ");
	ctl_print_name(a->name);
	printf("\nsource: %s\npassword: %s\n", source, kind_of(a));
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, "password") != 0) {
			printf("%s: ", a->pairs[i].key);
			ctl_print_safe(a->pairs[i].value);
			putchar('\n');
		}
}

/* As a login would find it, through all sources in their order. */
static int
show_effective(const struct invocation *inv, const struct conf *conf, struct account *a)
{
	struct account_query q = { .user = inv->argv[0], .listener = "", .base = conf_server(conf), .host = "" };
	struct account_sources sources;
	enum account_reason why = REASON_NONE;
	enum account_result found;
	char text[600];
	int r = account_sources_open(&sources, conf);

	if (r != 0)
		return ctl_fail_code(inv, CTL_FAILED, "accounts", r);
	found = account_find(&sources, &q, a, &why);
	if (found == ACCOUNT_FOUND)
		print_effective(inv, a);
	else if (found == ACCOUNT_UNKNOWN)
		r = manage_fail(inv, inv->argv[0], -ENOENT);
	else
		r = ctl_fail(inv, CTL_FAILED, "%s: %s", inv->argv[0],
		    why == REASON_SETTINGS ? account_fault_text(a, text, sizeof(text)) : account_reason_word(why));
	account_free(a);
	account_sources_close(&sources);
	return r;
}

static int
show_own(const struct invocation *inv, struct manage *m, struct account *a)
{
	struct account_query q = { .user = inv->argv[0], .listener = "", .base = conf_server(m->conf), .host = "" };
	enum account_reason why = REASON_NONE;
	enum account_result found = m->source->find(m->state, &q, a, &why);
	int r = CTL_OK;

	if (found == ACCOUNT_FOUND)
		print_own(inv, a, m->source->name);
	else
		r = found == ACCOUNT_UNKNOWN
			? manage_fail(inv, inv->argv[0], -ENOENT)
			: why == REASON_UNAVAILABLE && db_said()[0] != '\0' ? manage_fail(inv, inv->argv[0], -EIO)
			: ctl_fail(inv, CTL_FAILED, "%s: %s", inv->argv[0], account_reason_word(why));
	account_free(a);
	return r;
}

int
account_show_command(struct invocation *inv)
{
	struct account a;
	struct manage m;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	account_init(&a, inv->argv[0]);
	r = inv->count[OPT_EFFECT] != 0 ? show_effective(inv, m.conf, &a) : show_own(inv, &m, &a);
	manage_end(&m);
	return r;
}
