/*
 * Rules of single keys that go beyond their type.  They hold for files,
 * account databases and sallyctl alike.
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/hours.h"
#include "common/str.h"

static int
rule_listen(const void *value, struct conf_why *why)
{
	const struct conf_list *list = value;
	struct addr a;

	for (size_t i = 0; i < list->n; i++)
		if (addr_parse(&a, list->v[i], 0) != 0 || addr_port(&a) == 0)
			return conf_refuse(why, list->v[i], "expected ADDRESS:PORT, [IPv6 ADDRESS]:PORT or *:PORT",
			    addr_parse(&a, list->v[i], 0) == 0 ? "name the port, such as :21" : "");
	return 0;
}

static int
rule_accounts(const void *value, struct conf_why *why)
{
	const struct conf_list *list = value;
	char hint[64] = "";

	for (size_t i = 0; i < list->n; i++) {
		const char *near = conf_nearest_word(conf_words_source, list->v[i]);

		if (conf_word_find(conf_words_source, list->v[i]) >= 0)
			continue;
		if (near != NULL)
			(void)str_format(hint, sizeof hint, "did you mean \"%s\"?", near);
		return conf_refuse(why, list->v[i],
		    "expected sources of accounts: config, database, shadow, pam, passwd_file, external, "
		    "postgresql, anonymous",
		    hint);
	}
	return 0;
}

/* Is it a name that a system user or group can have, or a number? */
static bool
is_identity(const char *s, size_t n)
{
	if (n == 0 || n > 256 || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == ':' || s[i] == '/' || s[i] == ',')
			return false;
	return true;
}

static int
rule_identity(const void *value, struct conf_why *why)
{
	const char *s = *(const char *const *)value;
	const char *colon = s == NULL ? NULL : strchr(s, ':');
	size_t n = colon == NULL ? (s == NULL ? 0 : strlen(s)) : (size_t)(colon - s);

	if (s == NULL)
		return 0;
	if (!is_identity(s, n) || (colon != NULL && !is_identity(colon + 1, strlen(colon + 1))))
		return conf_refuse(why, s, "expected USER, USER:GROUP, UID or UID:GID", "");
	if (n == strspn(s, "0") || (n == 4 && strncmp(s, "root", 4) == 0))
		return conf_refuse(why, s, "must not be root", "name a user without privileges");
	return 0;
}

static int
rule_hours(const void *value, struct conf_why *why)
{
	const char *s = *(const char *const *)value, *bad;
	struct hours h;

	if (s == NULL || hours_parse(&h, s, &bad) == 0)
		return 0;
	return conf_refuse(why, bad, "expected days and times such as Mon-Fri 07:00-19:30, Sat 09:00-12:00", "");
}

static bool
is_fingerprint(const char *s)
{
	size_t digits = 0;

	for (; *s != '\0'; s++) {
		if (isxdigit((unsigned char)*s))
			digits++;
		else if (*s != ':')
			return false;
	}
	return digits == 64;
}

static int
rule_certificate_id(const void *value, struct conf_why *why)
{
	const struct conf_list *list = value;

	for (size_t i = 0; i < list->n; i++) {
		const char *s = list->v[i];

		if (strncmp(s, "sha256:", 7) == 0 && !is_fingerprint(s + 7))
			return conf_refuse(why, s, "a SHA-256 has 64 hexadecimal digits", "");
		if (strncmp(s, "sha256:", 7) != 0 && (strncmp(s, "dns:", 4) != 0 || s[4] == '\0') &&
		    (strncmp(s, "email:", 6) != 0 || s[6] == '\0'))
			return conf_refuse(why, s, "expected sha256:HEX, dns:NAME or email:NAME", "");
	}
	return 0;
}

static int
rule_log(const void *value, struct conf_why *why)
{
	static const struct conf_word targets[] = {
		{ "stderr", "" }, { "stdout", "" }, { "syslog", "" }, { "journal", "" }, { NULL, NULL }
	};
	const char *s = *(const char *const *)value;

	if (s == NULL || s[0] == '/' || conf_word_find(targets, s) >= 0)
		return 0;
	return conf_refuse(why, s, "expected stderr, stdout, syslog, journal or the absolute path of a file", "");
}

/*
 * crypt(5): $kind$..., _ and 19 characters, 13 characters of DES; * and !
 * match nothing; {CLEAR} introduces clear text, so that nobody writes it by
 * mistake.  Never shown.
 */
static int
rule_password(const void *value, struct conf_why *why)
{
	static const char base64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *s = *(const char *const *)value;
	size_t n = s == NULL ? 0 : strlen(s);

	if (s == NULL || s[0] == '$' || s[0] == '*' || strncmp(s, "{CLEAR}", 7) == 0 || s[0] == '!' ||
	    (n == 20 && s[0] == '_') || (n == 13 && strspn(s, base64) == 13))
		return 0;
	return conf_refuse(why, "", "expected the hash of a password",
	    "sallyctl passwd-hash prints it; {CLEAR} before it takes clear text");
}

static int
rule_start(const void *value, struct conf_why *why)
{
	const char *s = *(const char *const *)value;

	if (s == NULL || s[0] == '/' || strncmp(s, "${", 2) == 0)
		return 0;
	return conf_refuse(why, s, "expected an absolute path, as the client sees it", "begin it with a slash");
}

static int
rule_file_name(const void *value, struct conf_why *why)
{
	const char *s = *(const char *const *)value;

	if (s == NULL || (strchr(s, '/') == NULL && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && strlen(s) < 256))
		return 0;
	return conf_refuse(why, s, "expected the name of a file, without a slash", "");
}

static int
rule_restrict_mode(const void *value, struct conf_why *why)
{
	const char *s = *(const char *const *)value;
	char item[CONF_STRING_MAX + 1];
	unsigned places = 0;
	size_t n;

	for (; s != NULL && *s != '\0'; s += n + (s[n] == ',')) {
		s += strspn(s, " \t");
		n = strcspn(s, ",");
		(void)str_format(item, sizeof item, "%.*s", (int)n, s);
		if (strcmp(item, "homedir") == 0 || strcmp(item, "unrestricted") == 0 ||
		    (strncmp(item, "subdir-of-homedir=", 18) == 0 && item[18] != '\0') ||
		    (strncmp(item, "root=", 5) == 0 && item[5] == '/'))
			places++;
		else if (item[0] != '+' && item[0] != '-')
			return conf_refuse(why, item,
			    "expected homedir, unrestricted, subdir-of-homedir=PATH, root=/PATH or permission strings",
			    "");
	}
	return places > 1 ? conf_refuse(why, "", "only one place can be named", "") : 0;
}

static const struct {
	enum conf_key_id key;
	int (*rule)(const void *, struct conf_why *);
} rules[] = {
	{ K_listen, rule_listen },
	{ K_accounts, rule_accounts },
	{ K_run_as, rule_identity },
	{ K_worker_user, rule_identity },
	{ K_monitor_user, rule_identity },
	{ K_keeper_user, rule_identity },
	{ K_anonymous_user, rule_identity },
	{ K_login_hours, rule_hours },
	{ K_certificate_id, rule_certificate_id },
	{ K_log, rule_log },
	{ K_password, rule_password },
	{ K_start, rule_start },
	{ K_directory_message_file, rule_file_name },
	{ K_restrict_mode, rule_restrict_mode },
};

int
conf_value_rules(const struct conf_key *k, const void *value, struct conf_why *why)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (CONF_ROW(rules[i].key) == k)
			return rules[i].rule(value, why);
	return 0;
}

bool
conf_is_secret(const struct conf_key *k)
{
	return k == CONF_ROW(K_password) || k == CONF_ROW(K_postgresql);
}
