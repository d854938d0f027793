/*
 * SFTPPlus: its server.ini, of which sections [accounts/ID], [groups/ID] and the FTP ones of [services/ID] become
 * ours.  The rules are taken as they stand, the layer sftpplus reads them.  Events and other sections are listed.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account/password.h"
#include "common/str.h"
#include "ctl/convert.h"

#define SECTIONS_MAX 100000
#define KEYS_MAX 100

struct pair {
	char *key, *value;
	unsigned line;
};

/* An account or a group of theirs. */
struct section {
	char *id; /* accounts/ID */
	struct pair pair[KEYS_MAX];
	size_t n;
};

struct sftpplus {
	struct section *v;
	size_t n;
	char *other; /* the section listed last, so that each is listed once */
	bool no_memory;
};

static struct section *
find(struct sftpplus *f, const char *id)
{
	struct section *more;

	/* Sections stand in one piece: the last one is nearly always it. */
	for (size_t i = f->n; i-- > 0 && i + 4 > f->n;)
		if (strcmp(f->v[i].id, id) == 0)
			return &f->v[i];
	more = f->n == SECTIONS_MAX ? NULL : reallocarray(f->v, f->n + 1, sizeof(*f->v));
	if (more == NULL) {
		f->no_memory = true;
		return NULL;
	}
	f->v = more;
	f->v[f->n] = (struct section){ .id = strdup(id) };
	if (f->v[f->n].id == NULL) {
		f->no_memory = true;
		return NULL;
	}
	return &f->v[f->n++];
}

static void
add_pair(struct sftpplus *f, struct section *s, const char *key, const char *value, unsigned line)
{
	struct pair p = { strdup(key), strdup(value), line };

	if (p.key != NULL && p.value != NULL) {
		s->pair[s->n++] = p;
		return;
	}
	f->no_memory = true;
	free(p.key);
	free(p.value);
}

static void
take(struct convert *c, void *context, const char *section, unsigned line, const char *key, const char *value)
{
	struct sftpplus *f = context;
	struct section *s;

	if (strncmp(section, "accounts/", 9) != 0 && strncmp(section, "groups/", 7) != 0 &&
	    strncmp(section, "services/", 9) != 0) {
		if (f->other == NULL || strcmp(f->other, section) != 0)
			convert_lost(c, line, "section", section,
			    "events and the rest are set up by hand: see sallyport-quickstart(7)");
		free(f->other);
		f->other = strdup(section);
		return;
	}
	s = find(f, section);
	if (s != NULL && s->n < KEYS_MAX)
		add_pair(f, s, key, value, line);
	else if (s != NULL)
		f->no_memory = true;	/* what is left out might restrict */
}

/* "" when the section does not have the key. */
static const char *
value_of(const struct section *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->pair[i].key, key) == 0)
			return s->pair[i].value;
	return "";
}

/* ------------------------------------------------------------------------- values */

typedef void say_value(struct convert *, const struct sftpplus *, const struct pair *, const char *ours);

/* True, Yes and 1 as yes and no. */
static void
say_bool(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	bool yes = strcasecmp(p->value, "yes") == 0 || strcasecmp(p->value, "true") == 0 || strcmp(p->value, "1") == 0;

	(void)f;
	convert_say(c, ours, yes ? "yes" : "no");
}

static void
say_text(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	(void)f;
	convert_say(c, ours, p->value);
}

static void
say_path(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	(void)f;
	if (p->value[0] == '/')
		convert_say(c, ours, p->value);
	else if (p->value[0] != '\0')
		convert_lost(c, p->line, p->key, p->value, "it is no path of this system: set home");
}

/* "inherit" is a word of the language itself. */
static void
say_rules(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	char *text;

	(void)f;
	if (asprintf(&text, "sftpplus %s", p->value) < 0)
		return;
	convert_say(c, ours, text);
	free(text);
}

static void
say_password(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	(void)f;
	if (p->value[0] == '\0')
		return;
	if (password_kind(p->value) != NULL)
		convert_say(c, ours, p->value);
	else
		convert_lost(
		    c, p->line, p->key, "(not shown)", "it is no hash that is understood here: set a new password");
}

/* 2027-01-31 12:30:00 */
static void
say_date(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	(void)f;
	convert_sayf(c, ours, "%.16s", p->value);
}

/* IDs become names. */
static void
say_groups(struct convert *c, const struct sftpplus *f, const struct pair *p, const char *ours)
{
	char ids[2048], *rest = ids, *id, names[2048] = "";

	(void)str_copy(ids, sizeof(ids), p->value);
	while ((id = strsep(&rest, ", \n\t")) != NULL)
		for (size_t i = 0; *id != '\0' && i < f->n; i++) {
			const char *name = value_of(&f->v[i], "name");
			size_t n = strlen(names);

			if (strncmp(f->v[i].id, "groups/", 7) == 0 && strcmp(f->v[i].id + 7, id) == 0 && *name != '\0')
				(void)str_format(names + n, sizeof(names) - n, "%s%s", n > 0 ? ", " : "", name);
		}
	convert_say(c, ours, names);
}

/* Their keys; ours NULL: nothing is lost without it. */
static const struct {
	const char *theirs, *ours;
	say_value *say;
} keys[] = { { "name", NULL, NULL }, { "type", NULL, NULL }, { "description", "comment", say_text },
	{ "enabled", "enabled", say_bool }, { "password", "password", say_password }, { "group", "groups", say_groups },
	{ "groups", "groups", say_groups }, { "home_folder_path", "home", say_path },
	{ "lock_in_home_folder", "jail", say_bool }, { "create_home_folder", "create_home", say_bool },
	{ "create_home_folder_enabled", "create_home", say_bool }, { "permissions", "layer", say_rules },
	{ "allow_own_password_change", "change_password", say_bool }, { "expire_datetime", "expires", say_date },
	{ "email", NULL, NULL }, { "ssh_authorized_keys_path", NULL, NULL },
	{ "ssh_authorized_keys_content", NULL, NULL } };

/* What it says comes from elsewhere, or is nothing. */
static bool
is_empty(const struct pair *p)
{
	return p->value[0] == '\0' || strcasecmp(p->value, "inherit") == 0;
}

static bool
is_known(const struct pair *p)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(keys[i].theirs, p->key) == 0)
			return true;
	return false;
}

/* Is there a key that may restrict these accounts, and is not expressed? */
static bool
is_closed(const struct section *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!is_empty(&s->pair[i]) && !is_known(&s->pair[i]))
			return true;
	return false;
}

static void
say_pair(struct convert *c, const struct sftpplus *f, const struct pair *p)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(keys[i].theirs, p->key) == 0) {
			if (keys[i].say != NULL)
				keys[i].say(c, f, p, keys[i].ours);
			return;
		}
	if (!is_empty(p))
		convert_lost(c, p->line, p->key, p->value,
		    strcmp(p->key, "source_ip_filter") == 0 ? "write it as allowed_networks and rejected_networks"
							    : "the importer does not know this setting");
}

static void
say_section(struct convert *c, const struct sftpplus *f, const struct section *s)
{
	bool account = strncmp(s->id, "accounts/", 9) == 0;
	const char *name = value_of(s, "name"), *type = value_of(s, "type");

	if (*name == '\0')
		name = s->id + (account ? 9 : 7);
	convert_section(c, account ? "account" : "group", name);
	if (is_closed(s))
		fputs("# Something that may restrict access is not expressed here, see above: decide, then enable it.\n"
		      "enabled = no\n",
		    c->out);
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->pair[i].key, "enabled") == 0 && is_closed(s))
			continue;
		else if (strcmp(s->pair[i].value, "inherit") != 0 || strcmp(s->pair[i].key, "permissions") == 0)
			say_pair(c, f, &s->pair[i]);
	if (account && strcmp(type, "os") != 0)
		fputs("# SFTPPlus served such accounts as its own user: name the one this account shall be.\nrun_as = "
		      "ftp\n",
		    c->out);
}

/* -------------------------------------------------------------------------- services */

static bool
is_off(const char *value)
{
	return strcasecmp(value, "no") == 0 || strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

/* The keys of a service that say_service() looks at. */
static bool
is_of_service(const char *key)
{
	static const char *const known[] = { "name", "description", "enabled", "type", "protocol", "address", "port",
		"passive_port_range", "passive_address", "ssl_certificate", "ssl_key",
		"ftps_explicit_force_secure_auth",
		"ftps_explicit_force_secure_data", "ftps_force_secure_auth", "ftps_force_secure_data" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i], key) == 0)
			return true;
	return false;
}

/* Clients of ftps had to use TLS unless it was said otherwise. */
static void
say_tls(struct convert *c, const struct section *s, const char *type)
{
	bool ftps = strncmp(type, "ftps", 4) == 0, implicit = strcmp(type, "ftpsi") == 0;
	bool logins = implicit || (!is_off(value_of(s, "ftps_explicit_force_secure_auth")) &&
				      !is_off(value_of(s, "ftps_force_secure_auth"))),
	     data = !is_off(value_of(s, "ftps_explicit_force_secure_data")) &&
	    !is_off(value_of(s, "ftps_force_secure_data"));
	const char *certificate = value_of(s, "ssl_certificate"), *key = value_of(s, "ssl_key");

	if (implicit)
		convert_say(c, "implicit_tls", "yes");
	convert_say(c, "tls", !ftps ? "off" : logins && data ? "full" : logins ? "control" : "offer");
	if (ftps && certificate[0] == '/') {
		convert_say(c, "certificate", certificate);
		convert_say(c, "private_key", key[0] == '/' ? key : certificate);
	}
}

/* One of FTP or FTPS becomes a listener; what is switched off, or speaks something else, does not. */
static void
say_service(struct convert *c, const struct section *s)
{
	const char *name = value_of(s, "name"), *type = value_of(s, "type"), *address = value_of(s, "address"),
		   *port = value_of(s, "port");
	bool v6;

	type = type[0] != '\0' ? type : value_of(s, "protocol");
	if (is_off(value_of(s, "enabled")) || strncmp(type, "ftp", 3) != 0 || port[0] == '\0') {
		convert_lost(c, s->n > 0 ? s->pair[0].line : 0, "section", s->id,
		    "no listener is made of it: it is not enabled, does not say its port, or is neither FTP nor FTPS");
		return;
	}
	convert_section(c, "listener", name[0] != '\0' ? name : s->id + 9);
	v6 = strchr(address, ':') != NULL;
	convert_sayf(c, "listen", "%s%s%s:%s", v6 ? "[" : "", address[0] != '\0' ? address : "*", v6 ? "]" : "", port);
	convert_say(c, "passive_ports", value_of(s, "passive_port_range"));
	convert_say(c, "passive_address", value_of(s, "passive_address"));
	say_tls(c, s, type);
	for (size_t i = 0; i < s->n; i++)
		if (!is_of_service(s->pair[i].key) && !is_empty(&s->pair[i]))
			convert_closed(c, s->pair[i].line, s->pair[i].key, s->pair[i].value,
			    "the importer does not know this setting");
}

static void
say_all(struct convert *c, const struct sftpplus *f)
{
	bool system = false;

	for (size_t i = 0; i < f->n; i++)
		system |= strcmp(value_of(&f->v[i], "type"), "os") == 0 && strncmp(f->v[i].id, "accounts/", 9) == 0;
	convert_section(c, "server", NULL);
	convert_say(c, "accounts", system ? "config, pam" : "config");
	convert_say(c, "denial_code", "553");
	for (size_t i = 0; i < f->n; i++)
		if (strncmp(f->v[i].id, "services/", 9) == 0)
			say_service(c, &f->v[i]);
	for (size_t i = 0; i < f->n; i++)
		if (strncmp(f->v[i].id, "services/", 9) != 0)
			say_section(c, f, &f->v[i]);
}

static void
forget(struct sftpplus *f)
{
	for (size_t i = 0; i < f->n; i++) {
		for (size_t k = 0; k < f->v[i].n; k++) {
			free(f->v[i].pair[k].key);
			free(f->v[i].pair[k].value);
		}
		free(f->v[i].id);
	}
	free(f->v);
	free(f->other);
}

int
import_sftpplus_command(struct invocation *inv)
{
	struct sftpplus f = { .n = 0 };
	struct convert c;
	int r = convert_begin(&c, inv);

	if (r == 0)
		r = convert_read(&c, inv->argv[0], take, &f);
	if (r == 0 && f.no_memory)
		r = -ENOMEM;
	if (r == 0)
		say_all(&c, &f);
	forget(&f);
	return convert_end(&c, r);
}
