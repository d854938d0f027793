/*
 * What contradicts what: rules over several keys, sections and files.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/secret.h"
#include "common/str.h"

/* One section and the server's, over the defaults. */
struct view {
	struct conf *conf;
	const struct conf_section *section;
	bool files;
};

/* The section's value; NULL: not set in it. */
static const void *
own(const struct view *v, enum conf_key_id key)
{
	const struct conf_value *value = conf_section_get(v->section, key);

	return value == NULL ? NULL : value->data;
}

/* The section's value, or the server's, or the default. Not for layers. */
static const void *
value_of(const struct view *v, enum conf_key_id key)
{
	const struct conf_section *server = conf_section_find(v->conf, SC_SERVER, NULL);
	const void *data = own(v, key);

	if (data == NULL && conf_section_get(server, key) != NULL)
		data = conf_section_get(server, key)->data;
	return data != NULL ? data : (const char *)&v->conf->base + CONF_ROW(key)->offset;
}

static bool
sets(const struct view *v, enum conf_key_id key)
{
	return conf_section_sets(v->section, key);
}

static void
complain(const struct view *v, enum conf_key_id key, const char *what, const char *hint)
{
	const struct conf_value *value = conf_section_get(v->section, key);

	if (value != NULL)
		conf_complain(v->conf, value, what, hint);
	else
		conf_problem_add(
		    v->conf, CONF_ERROR, v->section->file, v->section->line, v->section->label, what, hint);
}

static void
warn(const struct view *v, enum conf_key_id key, const char *what, const char *hint)
{
	const struct conf_value *value = conf_section_get(v->section, key);

	conf_problem_add(v->conf, CONF_WARNING, value == NULL ? v->section->file : value->file,
	    value == NULL ? v->section->line : value->line, value == NULL ? v->section->label : value->text, what,
	    hint);
}

/* ---------------------------------------------------------------- any section */

static void
check_users(const struct view *v)
{
	if (sets(v, K_allowed_users) && sets(v, K_rejected_users))
		complain(v, K_rejected_users, "rejected_users cannot be combined with allowed_users",
		    "remove one of them");
}

/* What is behind the length that is sent would be lost without a word. No other text can be longer than its message. */
static void
check_messages(const struct view *v)
{
	const char *const *text = own(v, K_goodbye_message);
	const struct conf_value *value = conf_section_get(v->section, K_goodbye_message);
	char what[200];

	if (text != NULL && *text != NULL && strlen(*text) > CONF_GOODBYE_MAX) {
		(void)str_format(what, sizeof what, "goodbye_message has %zu bytes, and clients are sent the first %d",
		    strlen(*text), CONF_GOODBYE_MAX);
		conf_problem_add(
		    v->conf, CONF_WARNING, value->file, value->line, v->section->label, what, "make it shorter");
	}
}

static void
check_umask(const struct view *v)
{
	const uint32_t *mask = own(v, K_umask);

	if (mask != NULL && (*mask & 0300) != 0)
		warn(v, K_umask, "new folders could not be entered or written by their own owner", "");
}

/* A file of this account's or everybody's that is named must be there and be a file. */
static void
check_file(const struct view *v, enum conf_key_id key, const char *path)
{
	struct stat st;
	char what[400];

	if (path[0] != '/') {
		complain(v, key, "expected absolute paths", "begin each with a slash");
	} else if (v->files && stat(path, &st) != 0) {
		(void)str_format(what, sizeof what, "%s: %.250s: %s", CONF_ROW(key)->name, path, sp_strerror(-errno));
		complain(v, key, what, "");
	} else if (v->files && !S_ISREG(st.st_mode)) {
		(void)str_format(what, sizeof what, "%s: %.250s is not a file", CONF_ROW(key)->name, path);
		complain(v, key, what, "");
	} else if (v->files && key == K_private_key && (st.st_mode & 0007) != 0) {
		(void)str_format(what, sizeof what, "everybody can open the private key %.250s", path);
		warn(v, key, what, "chmod 0600");
	}
}

static void
check_files(const struct view *v)
{
	static const enum conf_key_id lists[] = { K_certificate, K_private_key };
	static const enum conf_key_id paths[] = { K_client_ca, K_client_crl, K_expectations };

	for (size_t i = 0; i < 2; i++) {
		const struct conf_list *list = own(v, lists[i]);

		for (size_t j = 0; list != NULL && j < list->n; j++)
			check_file(v, lists[i], list->v[j]);
	}
	for (size_t i = 0; i < 3; i++) {
		const char *const *path = own(v, paths[i]);

		if (path != NULL && *path != NULL)
			check_file(v, paths[i], *path);
	}
}

static void
check_tls(const struct view *v)
{
	const struct conf_list *certificates = value_of(v, K_certificate), *keys = value_of(v, K_private_key);
	const int *tls = own(v, K_tls);
	const bool *implicit = own(v, K_implicit_tls);

	if ((sets(v, K_certificate) || sets(v, K_private_key)) && certificates->n != keys->n)
		complain(v, sets(v, K_private_key) ? K_private_key : K_certificate,
		    "there must be as many private keys as certificates", "list them in the same order");
	if (tls != NULL && *tls > CONF_TLS_OFFER && certificates->n == 0 && v->section->kind <= SC_LISTENER)
		complain(v, K_tls, "TLS is required, but there is no certificate",
		    "set certificate and private_key in [tls]");
	if (implicit != NULL && *implicit && certificates->n == 0)
		complain(v, K_implicit_tls, "implicit TLS needs a certificate",
		    "set certificate and private_key in [tls]");
	if (implicit != NULL && *implicit && *(const int *)value_of(v, K_tls) == CONF_TLS_OFF)
		complain(v, K_implicit_tls, "implicit TLS contradicts tls = off", "");
}

static void
check_client_certificates(const struct view *v)
{
	const int *asked = own(v, K_client_certificate), *login = own(v, K_certificate_login);
	const char *const *issuers = value_of(v, K_client_ca);

	if (asked != NULL && *asked != CONF_CERT_NO && *issuers == NULL)
		complain(v, K_client_certificate, "clients' certificates cannot be checked without client_ca",
		    "set client_ca in [tls]");
	if (login != NULL && *login != CONF_CERTLOGIN_NO && v->section->kind <= SC_LISTENER &&
	    *(const int *)value_of(v, K_client_certificate) == CONF_CERT_NO)
		complain(v, K_certificate_login, "no client is asked for a certificate",
		    "set client_certificate in [tls]");
}

static void
check_sources(const struct view *v)
{
	static const struct {
		const char *word, *what, *hint;
		enum conf_key_id key;
	} needs[] = {
		{ "passwd_file", "the source passwd_file needs the key passwd_file", "set passwd_file", K_passwd_file },
		{ "external", "the source external needs the key external_socket", "set external_socket",
		    K_external_socket },
		{ "postgresql", "the source postgresql needs the key postgresql", "set postgresql", K_postgresql },
	};
	const struct conf_list *list = own(v, K_accounts);

	for (size_t i = 0; list != NULL && i < list->n; i++)
		for (size_t j = 0; j < sizeof needs / sizeof *needs; j++)
			if (strcmp(list->v[i], needs[j].word) == 0 &&
			    *(const char *const *)value_of(v, needs[j].key) == NULL)
				complain(v, K_accounts, needs[j].what, needs[j].hint);
}

/* ------------------------------------------------------------- single kinds */

/* Does a listener section have this address? */
static bool
is_listened_at(const struct conf *c, const char *address)
{
	const struct conf_section *s = NULL;
	struct addr a, b;

	if (addr_parse(&a, address, 21) != 0)
		return true;	/* said already */
	while ((s = conf_section_next(c, SC_LISTENER, s)) != NULL) {
		const struct conf_value *value = conf_section_get(s, K_listen);
		const struct conf_list *list = value == NULL ? NULL : value->data;

		for (size_t i = 0; list != NULL && i < list->n; i++)
			if (addr_parse(&b, list->v[i], 21) == 0 && addr_same_host(&a, &b) && addr_port(&a) == addr_port(&b))
				return true;
	}
	return false;
}

/* Is every listener for clients that begin with TLS? */
static bool
all_implicit(const struct conf *c)
{
	const struct conf_section *s = NULL;

	while ((s = conf_section_next(c, SC_LISTENER, s)) != NULL) {
		const struct conf_value *value = conf_section_get(s, K_implicit_tls);

		if (value == NULL || !*(const bool *)value->data)
			return false;
	}
	return true;
}

/* Listener sections take the place of the server's addresses: one that is lost by that was not meant to be. */
static void
check_lost_addresses(const struct view *v)
{
	const struct conf_list *list = value_of(v, K_listen);
	const struct conf_section *first = conf_section_next(v->conf, SC_LISTENER, NULL);
	char what[200], hint[200];

	for (size_t i = 0; first != NULL && i < list->n; i++) {
		if (is_listened_at(v->conf, list->v[i]))
			continue;
		(void)str_format(what, sizeof what,
		    "nobody would listen at %.80s: where there are listener sections, they alone say where",
		    list->v[i]);
		(void)str_format(hint, sizeof hint,
		    "write a section [listener main] with listen = %.80s, and none in [server]", list->v[i]);
		if (sets(v, K_listen))
			complain(v, K_listen, what, hint);
		else if (all_implicit(v->conf))
			conf_problem_add(v->conf, CONF_WARNING, first->file, first->line, first->label, what, hint);
	}
}

static void
check_server(const struct view *v)
{
	if (*(const int64_t *)value_of(v, K_spare_sessions_min) > *(const int64_t *)value_of(v, K_spare_sessions_max))
		complain(v, sets(v, K_spare_sessions_min) ? K_spare_sessions_min : K_spare_sessions_max,
		    "spare_sessions_min is above spare_sessions_max", "");
	if (*(const uint32_t *)value_of(v, K_penalty_threshold) > *(const uint32_t *)value_of(v, K_penalty_max))
		complain(v, sets(v, K_penalty_threshold) ? K_penalty_threshold : K_penalty_max,
		    "penalty_threshold is above penalty_max: nobody would ever be refused", "");
}

/* No two listeners can have the same address and port. */
static void
check_address(const struct view *v, const char *address)
{
	const struct conf_section *other = NULL;
	struct addr a, b;
	char what[400];

	while ((other = conf_section_next(v->conf, SC_LISTENER, other)) != NULL && other != v->section) {
		const struct conf_value *value = conf_section_get(other, K_listen);
		const struct conf_list *list = value == NULL ? NULL : value->data;

		for (size_t i = 0; list != NULL && i < list->n; i++)
			if (addr_parse(&a, address, 0) == 0 && addr_parse(&b, list->v[i], 0) == 0 &&
			    addr_same_host(&a, &b) && addr_port(&a) == addr_port(&b)) {
				(void)str_format(what, sizeof what, "%.60s is already used by [%s] in %.200s:%u",
				    address, other->label, value->file, value->line);
				complain(v, K_listen, what, "");
			}
	}
}

static void
check_listener(const struct view *v)
{
	const struct conf_list *list = own(v, K_listen);

	if (list == NULL || list->n == 0)
		complain(v, K_listen, "the listener has no address", "set listen, such as listen = *:21");
	for (size_t i = 0; list != NULL && i < list->n; i++)
		check_address(v, list->v[i]);
}

static void
check_class(const struct view *v)
{
	if (sets(v, K_restrict_mode) && (sets(v, K_home) || sets(v, K_jail)))
		complain(v, K_restrict_mode, "restrict_mode says what home and jail say", "remove one of them");
}

/* Names the section of that kind whose name is most like it. */
static void
complain_reference(const struct view *v, enum conf_key_id key, enum conf_scope kind, const char *name)
{
	const struct conf_section *s = NULL, *best = NULL;
	unsigned least = 4, distance;
	char what[200], hint[120] = "";

	while ((s = conf_section_next(v->conf, kind, s)) != NULL)
		if ((distance = conf_distance(name, s->name)) < least) {
			least = distance;
			best = s;
		}
	(void)str_format(what, sizeof what, "there is no section [%s %.64s]", conf_kind_word(kind), name);
	if (best != NULL)
		(void)str_format(hint, sizeof hint, "did you mean \"%s\"?", best->name);
	complain(v, key, what, hint);
}

static void
check_references(const struct view *v)
{
	const struct conf_list *groups = own(v, K_groups);
	const char *const *class = own(v, K_class);

	for (size_t i = 0; groups != NULL && i < groups->n; i++)
		if (conf_section_find(v->conf, SC_GROUP, groups->v[i]) == NULL)
			complain_reference(v, K_groups, SC_GROUP, groups->v[i]);
	if (class != NULL && *class != NULL && conf_section_find(v->conf, SC_CLASS, *class) == NULL)
		complain_reference(v, K_class, SC_CLASS, *class);
}

static void
check_certificate_login(const struct view *v)
{
	const int *login = own(v, K_certificate_login);

	if (login != NULL && *login != CONF_CERTLOGIN_NO && !sets(v, K_certificate_id))
		complain(v, K_certificate_login, "the account has no certificate_id that a certificate could match",
		    "set certificate_id");
}

static void
check_password(const struct view *v)
{
	const char *const *password = own(v, K_password);

	if (password != NULL && *password != NULL && strcmp(*password, "{CLEAR}") == 0)
		conf_problem_add(v->conf, CONF_WARNING, v->section->file,
		    conf_section_get(v->section, K_password)->line, v->section->label,
		    "the password is empty: it is refused, or lets everybody in where allow_empty_passwords says so",
		    "give the account a password, or lock it with a star");
	else if (password != NULL && *password != NULL && !secret_hash_whole(*password))
		conf_problem_add(v->conf, CONF_WARNING, v->section->file,
		    conf_section_get(v->section, K_password)->line, v->section->label,
		    "the hash is not complete, so no password fits it", "sallyctl passwd-hash prints one; a star locks the account");
	else if (password != NULL && *password != NULL && strncmp(*password, "{CLEAR}", 7) == 0)
		conf_problem_add(v->conf, CONF_WARNING, v->section->file,
		    conf_section_get(v->section, K_password)->line, v->section->label,
		    "the password stands in clear text", "sallyctl passwd-hash prints its hash");
}

static const struct {
	unsigned scopes;
	void (*check)(const struct view *);
} checks[] = {
	{ SC_ANY, check_users },
	{ SC_ANY, check_umask },
	{ SC_ANY, check_messages },
	{ SC_SERVER | SC_LISTENER, check_files },
	{ SC_ANY, check_tls },
	{ SC_SERVER | SC_LISTENER, check_client_certificates },
	{ SC_SERVER | SC_LISTENER, check_sources },
	{ SC_SERVER, check_server },
	{ SC_SERVER, check_lost_addresses },
	{ SC_LISTENER, check_listener },
	{ SC_CLASS, check_class },
	{ SC_GROUP | SC_ACCOUNT, check_references },
	{ SC_ACCOUNT, check_certificate_login },
	{ SC_ACCOUNT, check_password },
};

static int
by_place(const void *a, const void *b)
{
	const struct conf_problem *p = a, *q = b;
	int files = strcmp(p->file, q->file);

	return files != 0 ? files : (p->line > q->line) - (p->line < q->line);
}

void
conf_crosscheck(struct conf *c, bool files)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct view v = { c, c->sections[i], files };

		for (size_t j = 0; j < sizeof checks / sizeof *checks; j++)
			if ((checks[j].scopes & v.section->kind) != 0)
				checks[j].check(&v);
	}
	if (c->problem_count > 1)
		qsort(c->problems, c->problem_count, sizeof *c->problems, by_place);
}
