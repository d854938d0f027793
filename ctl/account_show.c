/* sallyctl account: list, show, export. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

static void
put_account(struct json *j, const struct account *a)
{
	json_open(j, NULL, '{');
	json_str(j, "name", a->name);
	json_str(j, "password", kind_of(a));
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
};

static int
list_one(void *context, const struct account *a)
{
	struct listing *l = context;
	const char *home = own_value(a, "home");
	char line[1024];

	progress_step(l->inv, "accounts", ++l->n);
	if (l->inv->json) {
		put_account(&l->j, a);
		return l->j.error;
	}
	(void)str_format(line, sizeof(line), "%-24s %-12s %-8s %s\n", a->name, kind_of(a), is_enabled(a) ? "enabled"
	    : "disabled",
	    home != NULL ? home : a->home != NULL ? a->home : "-");
	ctl_print_safe(line);
	return ferror(stdout) ? -EIO : 0;
}

int
account_list_command(struct invocation *inv)
{
	struct listing l = { .inv = inv };
	struct manage m;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	if (m.source->list == NULL) {
		r = manage_cannot(inv, &m);
		manage_end(&m);
		return r;
	}
	json_init(&l.j);
	json_open(&l.j, NULL, '[');
	r = m.source->list(m.state, list_one, &l);
	json_close(&l.j);
	progress_end(inv);
	if (r != 0)
		r = manage_fail(inv, m.source->name, r);
	else if (inv->json)
		r = ctl_print_json(inv, &l.j);
	else
		json_free(&l.j);
	manage_end(&m);
	return r;
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

	progress_step(l->inv, "accounts", ++l->n);
	printf("[account %s]\n", a->name);
	if (verifier != NULL)
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
	struct listing l = { .inv = inv };
	struct manage m;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	if (m.source->list == NULL)
		r = manage_cannot(inv, &m);
	else if ((r = m.source->list(m.state, export_one, &l)) != 0 || fflush(stdout) != 0)
		r = manage_fail(inv, m.source->name, r != 0 ? r : -EIO);
	progress_end(inv);
	manage_end(&m);
	return r;
}

/* ------------------------------------------------------------------------ show */

static void
origin_text(const struct conf_origin *o, char *out, size_t size)
{
	bool section = o->section != NULL && o->section[0] != '\0';

	if (o->line != 0)
		(void)str_format(out, size, "%s:%u%s%s%s", o->file, o->line, section ? " [" : "", section
		    ? o->section : "",
		    section ? "]" : "");
	else
		(void)str_format(out, size, "%s", o->file == NULL ? "default" : o->file);
}

static void
print_effective(const struct invocation *inv, const struct account *a)
{
	char value[4096], origin[512], line[5120];
	struct json j;

	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "name", a->name);
	json_str(&j, "source", a->source->name);
	json_num(&j, "uid", a->uid);
	json_num(&j, "gid", a->gid);
	json_open(&j, "settings", '[');
	for (int k = 0; k < K_COUNT; k++) {
		bool secret = k == K_password;

		if ((conf_keys[k].scopes & SC_USER) == 0)
			continue;
		(void)conf_value_text(&a->resolved->s, (enum conf_key_id)k, value, sizeof(value));
		origin_text(&a->resolved->origin[k], origin, sizeof(origin));
		json_open(&j, NULL, '{');
		json_str(&j, "key", conf_keys[k].name);
		json_str(&j, "value", secret ? kind_of(a) : value);
		json_str(&j, "origin", origin);
		json_close(&j);
		(void)str_format(line, sizeof(line), "%-28s %-32s %s\n", conf_keys[k].name, secret ? kind_of(a)
		    : value, origin);
		if (!inv->json)
			ctl_print_safe(line);
	}
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
	char line[4096];

	if (inv->json) {
		json_init(&j);
		put_account(&j, a);
		(void)ctl_print_json(inv, &j);
		return;
	}
	(void)str_format(line, sizeof(line), "name: %s\nsource: %s\npassword: %s\n", a->name, source, kind_of(a));
	ctl_print_safe(line);
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, "password") != 0 &&
		    str_format(line, sizeof(line), "%s: %s\n", a->pairs[i].key, a->pairs[i].value) == 0)
			ctl_print_safe(line);
}

/* As a login would find it, through all sources in their order. */
static int
show_effective(const struct invocation *inv, const struct conf *conf, struct account *a)
{
	struct account_query q = { .user = inv->argv[0], .listener = "", .base = conf_server(conf), .host = "" };
	struct account_sources sources;
	enum account_reason why = REASON_NONE;
	enum account_result found;
	int r = account_sources_open(&sources, conf);

	if (r != 0)
		return ctl_fail_code(inv, CTL_FAILED, "accounts", r);
	found = account_find(&sources, &q, a, &why);
	if (found == ACCOUNT_FOUND)
		print_effective(inv, a);
	else if (found == ACCOUNT_UNKNOWN)
		r = manage_fail(inv, inv->argv[0], -ENOENT);
	else
		r = ctl_fail(inv, CTL_FAILED, "%s: %s", inv->argv[0], account_reason_word(why));
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
		r = found == ACCOUNT_UNKNOWN ? manage_fail(inv, inv->argv[0], -ENOENT)
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
