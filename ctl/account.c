/* sallyctl account: make, change, remove. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "account/db.h"
#include "account/password.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/account.h"
#include "ctl/conf.h"
#include "ctl/passwd.h"

/* ------------------------------------------------------------------- the source */

int
manage_fail(const struct invocation *inv, const char *name, int code)
{
	const char *said = db_said();

	if (code == -ENOENT && said[0] == '\0')
		return ctl_fail(inv, CTL_NO, "%s: there is no such account", name);
	if (code == -EEXIST)
		return ctl_fail(inv, CTL_NO, "%s: there is an account of that name already", name);
	if (code == SP_EVERSION)
		return ctl_fail(inv, CTL_FAILED, "the tables were made by a newer sallyport");
	if (code == -EBUSY)
		return ctl_fail(inv, CTL_FAILED, "%s: somebody else has been writing for too long", name);
	return ctl_fail(inv,
	    code == -ENOENT                                                  ? CTL_NO
		: code == -EACCES || code == -EPERM || code == -EROFS ? CTL_DENIED
								      : CTL_FAILED,
	    "%s: %s", name, said[0] != '\0' ? said : sp_strerror(code));
}

int
manage_cannot(const struct invocation *inv, const struct manage *m)
{
	static const struct {
		const char *source, *where;
	} places[] = { { "config", "its accounts are sections of the configuration: edit them there" },
		{ "shadow", "its accounts are users of the system: see useradd(8), usermod(8), passwd(1)" },
		{ "pam", "its accounts are users of the system or of a directory service: change them there" },
		{ "external", "its accounts are known to the program behind external_socket only" },
		{ "anonymous", "it has one account, [account anonymous] of the configuration" },
		{ "passwd_file", "its format has a name, a password, a number and a folder, and nothing else" } };

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (strcmp(places[i].source, m->source->name) == 0)
			return ctl_fail(inv, CTL_USAGE, "not in the source %s: %s", m->source->name, places[i].where);
	return ctl_fail(inv, CTL_USAGE, "the source %s cannot do that", m->source->name);
}

int
manage_begin(struct manage *m, const struct invocation *inv)
{
	const char *name = inv->value[OPT_SOURCE] != NULL ? inv->value[OPT_SOURCE] : "database";
	int r = ctl_conf_load(inv, &m->conf);

	if (r != CTL_OK)
		return r;
	password_set_cost((unsigned)conf_server(m->conf)->password_cost);
	m->state = NULL;
	m->source = account_source_named(name);
	if (m->source == NULL)
		r = ctl_fail(
		    inv, CTL_USAGE, "there is no source %s; database, postgresql and passwd_file can be managed", name);
	else if (m->source->open != NULL && (r = m->source->open(m->conf, &m->state)) != 0)
		r = ctl_fail_code(inv, CTL_FAILED, name, r);
	if (r != CTL_OK)
		conf_free(m->conf);
	else if (m->source != NULL && m->source->begin != NULL)
		ctl_hush_log(true); /* what breaks in a database is told by manage_fail() */
	return r;
}

void
manage_end(struct manage *m)
{
	ctl_hush_log(false);
	if (m->source->close != NULL)
		m->source->close(m->state);
	conf_free(m->conf);
}

/* -------------------------------------------------------------------- settings */

bool
manage_name_ok(const char *name)
{
	size_t n = strlen(name);

	return account_name_ok(name) && name[0] != ' ' && name[n - 1] != ' ';
}

/* Only what a line of a file can hold: no control bytes, and no blanks where a reader would cut them off. */
static const char *
find_fault(const char *value)
{
	bool begins = true;

	for (const char *p = value; *p != '\0'; p++) {
		if (((unsigned char)*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f)
			return "it holds control bytes";
		if ((*p == ' ' || *p == '\t') && (begins || p[1] == '\0' || p[1] == '\n'))
			return "a line of it begins or ends with a blank";
		begins = *p == '\n';
	}
	return value[0] != '\0' && begins ? "it ends with an empty line" : NULL;
}

/* Are the sections there that an account names? */
static bool
find_section(const struct manage *m, enum conf_scope kind, const char *word, const char *name, char *why, size_t size)
{
	if (conf_section_find(m->conf, kind, name) != NULL)
		return true;
	(void)str_format(why, size, "the configuration has no section [%s %s]", word, name);
	return false;
}

static bool
find_groups(const struct manage *m, const char *value, char *why, size_t size)
{
	char names[4096], *rest = names, *name;

	if (str_copy(names, sizeof(names), value) != 0)
		return true; /* conf_check() has looked at the length */
	while ((name = strsep(&rest, ",")) != NULL) {
		name += strspn(name, " \t");
		name[strcspn(name, " \t")] = '\0';
		if (name[0] != '\0' && !find_section(m, SC_GROUP, "group", name, why, size))
			return false;
	}
	return true;
}

bool
manage_value_ok(const struct manage *m, const char *key, const char *value, char *why, size_t size)
{
	const char *fault = find_fault(value);

	if (strcmp(key, "password") == 0)
		fault = "passwords are set by sallyctl account passwd";
	if (fault != NULL) {
		(void)str_copy(why, size, fault);
		return false;
	}
	if (conf_check(SC_ACCOUNT, key, value, why, size) != 0)
		return false;
	if (strcmp(key, "layer") == 0)
		return manage_layer_ok(value, why, size);
	if (strcmp(key, "class") == 0)
		return find_section(m, SC_CLASS, "class", value, why, size);
	return strcmp(key, "groups") != 0 || find_groups(m, value, why, size);
}

/* KEY=VALUE, KEY+=VALUE, KEY= */
struct setting {
	char key[64];
	const char *value; /* NULL: take it away */
	bool more;
};

static bool
split_setting(const char *text, struct setting *s)
{
	const char *equal = strchr(text, '=');
	size_t n = equal == NULL ? 0 : (size_t)(equal - text);

	s->more = n > 1 && text[n - 1] == '+';
	n -= s->more;
	if (n == 0 || n >= sizeof(s->key))
		return false;
	memcpy(s->key, text, n);
	s->key[n] = '\0';
	s->value = equal[1] == '\0' && !s->more ? NULL : equal + 1;
	return true;
}

/* Only layers may stand several times; a second KEY= would quietly undo the first. */
static bool
is_repeated(const struct invocation *inv, int last, const struct setting *s)
{
	const struct conf_key *k = conf_key(s->key);
	struct setting other;

	for (int i = 1; i < last; i++)
		if (split_setting(inv->argv[i], &other) && strcmp(other.key, s->key) == 0 &&
		    (k == NULL || k->type != CONF_LAYERS || !s->more))
			return true;
	return false;
}

static bool
is_right(const struct invocation *inv, const struct manage *m, int i, char *why, size_t size)
{
	struct setting s;
	const struct conf_key *k;

	if (!split_setting(inv->argv[i], &s)) {
		(void)str_copy(why, size, "KEY=VALUE was expected");
		return false;
	}
	k = conf_key(s.key);
	if (is_repeated(inv, i, &s))
		(void)str_format(why, size, "%s stands twice%s", s.key,
		    k != NULL && k->type == CONF_LAYERS ? "; write layer+= for one more" : "");
	else if (s.more && k != NULL && k->type != CONF_LAYERS)
		(void)str_format(why, size, "%s has one value only; write %s=", s.key, s.key);
	else if (s.value == NULL && k != NULL && strcmp(s.key, "password") != 0)
		return true;
	else
		return manage_value_ok(m, s.key, s.value == NULL ? "" : s.value, why, size);
	return false;
}

/* All of them, before anything is changed; every mistake is told. */
static int
check_settings(const struct invocation *inv, const struct manage *m)
{
	char why[300];
	int r = CTL_OK;

	for (int i = 1; i < inv->argc; i++)
		if (!is_right(inv, m, i, why, sizeof(why)))
			r = ctl_fail(inv, CTL_USAGE, "%s: %s", inv->argv[i], why);
	return r;
}

static int
apply_settings(const struct invocation *inv, const struct manage *m)
{
	struct setting s;
	int r = 0;

	for (int i = 1; r == 0 && i < inv->argc; i++) {
		if (!split_setting(inv->argv[i], &s))
			return SP_EFORMAT;
		r = s.more ? m->source->append(m->state, inv->argv[0], s.key, s.value)
			   : m->source->set(m->state, inv->argv[0], s.key, s.value);
	}
	return r;
}

/*
 * An account may be right in each of its settings and still let nobody in, because of users or groups of the
 * system: that is told, not refused, for it may be put right over there.
 */
static void
examine(const struct invocation *inv, const struct manage *m)
{
	const char *source = m->source->name;
	struct settings base = *conf_server(m->conf);
	struct account_sources sources = { .conf = m->conf, .count = 1, .entry = { { m->source, m->state } } };
	struct account_query q = { .user = inv->argv[0], .listener = "", .base = &base, .host = "" };
	enum account_reason why = REASON_NONE;
	struct account a;
	char text[600];

	if (inv->quiet || geteuid() != 0)
		return;
	base.accounts = (struct conf_list){ 1, &source };
	account_init(&a, inv->argv[0]);
	if (account_find(&sources, &q, &a, &why) == ACCOUNT_REFUSED)
		(void)ctl_fail(inv, CTL_OK, "remark: nobody can log in as %s yet: %s", inv->argv[0],
		    account_fault_text(&a, text, sizeof(text)));
	else if (a.resolved != NULL && a.uid != ACCOUNT_ID_NONE && a.uid < (uint64_t)base.uid_min)
		(void)ctl_fail(inv, CTL_OK, "remark: nobody can log in as %s yet: its user id %u is below uid_min",
		    inv->argv[0], (unsigned)a.uid);
	account_free(&a);
}

/* ------------------------------------------------------------------- passwords */

/* The hash for the account. CTL_OK, or an exit code after a message. has: there is one. */
static int
read_hash(const struct invocation *inv, char *hash, size_t size, bool *has)
{
	struct secret secret;
	int r;

	*has = inv->count[OPT_NO_PASSWORD] == 0;
	if (!*has)
		return CTL_OK;
	r = ctl_read_password(inv, &secret);
	if (r != CTL_OK)
		return r;
	if (inv->count[OPT_HASH] == 0)
		r = password_make(&secret, hash, size);
	else
		r = password_is_hash(secret.data) && secret_hash_whole(secret.data) ? str_copy(hash, size, secret.data) : SP_EFORMAT;
	secret_clear(&secret);
	password_release();
	if (r == 0)
		return CTL_OK;
	return r == SP_EFORMAT ? ctl_fail(inv, CTL_USAGE, "that is no complete hash of a kind that this system knows")
			       : ctl_fail_code(inv, CTL_FAILED, "no hash could be made", r);
}

/* -------------------------------------------------------------------- commands */

/* Runs a change as one transaction, where the source knows any. */
static int
transact(const struct invocation *inv, struct manage *m,
    int (*change)(const struct invocation *, const struct manage *, void *), void *context)
{
	int r = m->source->begin == NULL ? 0 : m->source->begin(m->state), end;

	if (r != 0)
		return r;
	r = change(inv, m, context);
	end = m->source->end == NULL ? 0 : m->source->end(m->state, r == 0);
	return r != 0 ? r : end;
}

int
manage_report(const struct invocation *inv, const struct manage *m, int argc, char **names)
{
	struct json j;

	if (!inv->json)
		return CTL_OK;
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "source", m->source->name);
	json_open(&j, "accounts", '[');
	for (int i = 0; i < argc; i++)
		json_str(&j, NULL, names[i]);
	json_close(&j);
	json_close(&j);
	return ctl_print_json(inv, &j);
}

/* The end of a change: what was done, for the first n arguments, when all is well. */
static int
finish(const struct invocation *inv, struct manage *m, int r, int n, bool look)
{
	if (r == CTL_OK && look)
		examine(inv, m);
	if (r == CTL_OK)
		r = manage_report(inv, m, n, inv->argv);
	manage_end(m);
	return r;
}

/* Nobody types a password twice to hear that the name is taken. */
static int
no_such_yet(const struct invocation *inv, const struct manage *m)
{
	struct account_query q = { .user = inv->argv[0], .listener = "", .base = conf_server(m->conf), .host = "" };
	enum account_reason why = REASON_NONE;
	struct account a;
	enum account_result r;

	account_init(&a, inv->argv[0]);
	r = m->source->find(m->state, &q, &a, &why);
	account_free(&a);
	return r == ACCOUNT_FOUND ? manage_fail(inv, inv->argv[0], -EEXIST)
	    : r == ACCOUNT_UNAVAILABLE && db_said()[0] != '\0' ? manage_fail(inv, inv->argv[0], -EIO) : CTL_OK;
}

static int
do_add(const struct invocation *inv, const struct manage *m, void *hash)
{
	int r = m->source->create(m->state, inv->argv[0], hash);

	return r != 0 ? r : apply_settings(inv, m);
}

int
account_add_command(struct invocation *inv)
{
	char hash[PASSWORD_HASH_MAX];
	struct manage m;
	bool has = false;
	int r;

	if (!manage_name_ok(inv->argv[0]))
		return ctl_fail(inv, CTL_USAGE, "%s: an account cannot be called that", inv->argv[0]);
	if ((r = manage_begin(&m, inv)) != CTL_OK)
		return r;
	if (m.source->create == NULL || (inv->argc > 1 && m.source->set == NULL))
		r = manage_cannot(inv, &m);
	else if ((r = check_settings(inv, &m)) == CTL_OK && (r = no_such_yet(inv, &m)) == CTL_OK &&
		 (r = read_hash(inv, hash, sizeof(hash), &has)) == CTL_OK &&
		 (r = transact(inv, &m, do_add, has ? hash : NULL)) != 0)
		r = manage_fail(inv, inv->argv[0], r);
	return finish(inv, &m, r, 1, true);
}

static int
do_set(const struct invocation *inv, const struct manage *m, void *context)
{
	(void)context;
	return apply_settings(inv, m);
}

int
account_set_command(struct invocation *inv)
{
	struct manage m;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	if (m.source->set == NULL)
		r = manage_cannot(inv, &m);
	else if ((r = check_settings(inv, &m)) == CTL_OK && (r = transact(inv, &m, do_set, NULL)) != 0)
		r = manage_fail(inv, inv->argv[0], r);
	return finish(inv, &m, r, 1, true);
}

int
account_passwd_command(struct invocation *inv)
{
	char hash[PASSWORD_HASH_MAX];
	struct manage m;
	bool has = false;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	if (m.source->set_verifier == NULL)
		r = manage_cannot(inv, &m);
	else if ((r = read_hash(inv, hash, sizeof(hash), &has)) == CTL_OK &&
		 (r = m.source->set_verifier(m.state, inv->argv[0], has ? hash : NULL)) != 0)
		r = manage_fail(inv, inv->argv[0], r);
	return finish(inv, &m, r, 1, false);
}

/* The name that is being worked on, for the message. */
static int
do_remove(const struct invocation *inv, const struct manage *m, void *context)
{
	int r = 0;

	for (int i = 0; r == 0 && i < inv->argc; i++) {
		*(const char **)context = inv->argv[i];
		r = m->source->remove(m->state, inv->argv[i]);
	}
	return r;
}

static int
do_able(const struct invocation *inv, const struct manage *m, void *context)
{
	bool off = inv->command->run == account_disable_command;
	int r = 0;

	for (int i = 0; r == 0 && i < inv->argc; i++) {
		*(const char **)context = inv->argv[i];
		r = m->source->set(m->state, inv->argv[i], "enabled", off ? "no" : NULL);
	}
	return r;
}

/* All of the named accounts, or none. */
static int
for_names(struct invocation *inv, bool remove)
{
	const char *name = inv->argv[0];
	struct manage m;
	int r = manage_begin(&m, inv);

	if (r != CTL_OK)
		return r;
	if (remove ? m.source->remove == NULL : m.source->set == NULL)
		r = manage_cannot(inv, &m);
	else if ((r = transact(inv, &m, remove ? do_remove : do_able, &name)) != 0)
		r = manage_fail(inv, name, r);
	return finish(inv, &m, r, inv->argc, false);
}

int
account_remove_command(struct invocation *inv)
{
	return for_names(inv, true);
}

int
account_enable_command(struct invocation *inv)
{
	return for_names(inv, false);
}

int
account_disable_command(struct invocation *inv)
{
	return for_names(inv, false);
}
