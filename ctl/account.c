/* sallyctl account: make, change, remove. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
	if (code == -ENOENT)
		return ctl_fail(inv, CTL_NO, "%s: there is no such account", name);
	if (code == -EEXIST)
		return ctl_fail(inv, CTL_NO, "%s: there is an account of that name already", name);
	if (code == SP_EVERSION)
		return ctl_fail(inv, CTL_FAILED, "the tables were made by a newer sallyport");
	if (code == -EBUSY)
		return ctl_fail(inv, CTL_FAILED, "%s: somebody else has been writing for too long", name);
	return ctl_fail_code(inv, code == -EACCES || code == -EPERM || code == -EROFS ? CTL_DENIED : CTL_FAILED, name,
	    code);
}

int
manage_cannot(const struct invocation *inv, const struct manage *m)
{
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
		r = ctl_fail(inv, CTL_USAGE, "there is no source %s", name);
	else if (m->source->open != NULL && (r = m->source->open(m->conf, &m->state)) != 0)
		r = ctl_fail_code(inv, CTL_FAILED, name, r);
	if (r != CTL_OK)
		conf_free(m->conf);
	return r;
}

void
manage_end(struct manage *m)
{
	if (m->source->close != NULL)
		m->source->close(m->state);
	conf_free(m->conf);
}

/* -------------------------------------------------------------------- settings */

int
manage_check(const struct invocation *inv, const char *key, const char *value)
{
	char why[256] = "";

	if (conf_key(key) == NULL)
		return ctl_fail(inv, CTL_USAGE, "%s: there is no such key", key);
	if (strcmp(key, "password") == 0)
		return ctl_fail(inv, CTL_USAGE, "passwords are set by sallyctl account passwd");
	if (conf_check(SC_ACCOUNT, key, value, why, sizeof(why)) != 0)
		return ctl_fail(inv, CTL_USAGE, "%s=%s: %s", key, value, why);
	return CTL_OK;
}

/* KEY=VALUE, KEY+=VALUE, KEY= */
struct setting {
	char key[64];
	const char *value;	/* NULL: take it away */
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

static int
check_setting(const struct invocation *inv, const char *text)
{
	struct setting s;

	if (!split_setting(text, &s))
		return ctl_fail(inv, CTL_USAGE, "%s: KEY=VALUE was expected", text);
	if (s.value == NULL && conf_key(s.key) != NULL && strcmp(s.key, "password") != 0)
		return CTL_OK;
	return manage_check(inv, s.key, s.value == NULL ? "" : s.value);
}

/* All of them, before anything is changed. */
static int
check_settings(const struct invocation *inv)
{
	int r = CTL_OK;

	for (int i = 1; r == CTL_OK && i < inv->argc; i++)
		r = check_setting(inv, inv->argv[i]);
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
		r = password_is_hash(secret.data) ? str_copy(hash, size, secret.data) : SP_EFORMAT;
	secret_clear(&secret);
	password_release();
	if (r == 0)
		return CTL_OK;
	return r == SP_EFORMAT ? ctl_fail(inv, CTL_USAGE, "that is no hash of a kind that this system knows")
	    : ctl_fail_code(inv, CTL_FAILED, "no hash could be made", r);
}

/* -------------------------------------------------------------------- commands */

/* Runs a change as one transaction, where the source knows any. */
static int
transact(const struct invocation *inv, struct manage *m, int (*change)(const struct invocation *,
    const struct manage *, void *),
    void *context)
{
	int r = m->source->begin == NULL ? 0 : m->source->begin(m->state), end;

	if (r != 0)
		return r;
	r = change(inv, m, context);
	end = m->source->end == NULL ? 0 : m->source->end(m->state, r == 0);
	return r != 0 ? r : end;
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

	if (!account_name_ok(inv->argv[0]))
		return ctl_fail(inv, CTL_USAGE, "%s: an account cannot be called that", inv->argv[0]);
	if ((r = check_settings(inv)) != CTL_OK || (r = manage_begin(&m, inv)) != CTL_OK)
		return r;
	if (m.source->create == NULL || (inv->argc > 1 && m.source->set == NULL))
		r = manage_cannot(inv, &m);
	else if ((r = read_hash(inv, hash, sizeof(hash), &has)) == CTL_OK &&
	    (r = transact(inv, &m, do_add, has ? hash : NULL)) != 0)
		r = manage_fail(inv, inv->argv[0], r);
	manage_end(&m);
	return r;
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
	int r = check_settings(inv);

	if (r != CTL_OK || (r = manage_begin(&m, inv)) != CTL_OK)
		return r;
	if (m.source->set == NULL)
		r = manage_cannot(inv, &m);
	else if ((r = transact(inv, &m, do_set, NULL)) != 0)
		r = manage_fail(inv, inv->argv[0], r);
	manage_end(&m);
	return r;
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
	manage_end(&m);
	return r;
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
	manage_end(&m);
	return r;
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
