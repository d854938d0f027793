/* The table of settings: every row, every type. */
#include "config.h"

#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "tests/unit/common.h"

/* A scope that the key may stand in. */
static enum conf_scope
a_scope(const struct conf_key *k)
{
	for (unsigned s = SC_SERVER; s <= SC_ACCOUNT; s <<= 1)
		if ((k->scopes & s) != 0)
			return s;
	ck_abort_msg("%s may stand nowhere", k->name);
}

START_TEST(rows_are_complete)
{
	for (size_t i = 0; i < K_COUNT; i++) {
		const struct conf_key *k = &conf_keys[i];

		ck_assert_msg(
		    k->doc != NULL && strlen(k->doc) > 10 && k->doc[strlen(k->doc) - 1] == '.', "%s: doc", k->name);
		ck_assert_msg(k->example != NULL && k->example[0] != '\0', "%s: example", k->name);
		ck_assert_msg(
		    strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(k->name), "%s: name", k->name);
		ck_assert_msg(k->scopes != 0, "%s: scopes", k->name);
		ck_assert_msg(k->type == CONF_ENUM ? k->words != NULL : k->words == NULL, "%s: words", k->name);
		ck_assert_ptr_eq(conf_key(k->name), k);
	}
	ck_assert_ptr_null(conf_key("no_such_key"));
	ck_assert_ptr_null(conf_key(""));
	/* As many people write it. */
	ck_assert_ptr_eq(conf_key("idle-timeout"), CONF_ROW(K_idle_timeout));
}
END_TEST

START_TEST(examples_and_defaults_parse)
{
	char why[400];

	for (size_t i = 0; i < K_COUNT; i++) {
		const struct conf_key *k = &conf_keys[i];

		ck_assert_msg(conf_check(a_scope(k), k->name, k->example, why, sizeof why) == 0, "%s = %s: %s", k->name,
		    k->example, why);
		if (k->value != NULL)
			ck_assert_msg(conf_check(a_scope(k), k->name, k->value, why, sizeof why) == 0, "%s = %s: %s",
			    k->name, k->value, why);
	}
}
END_TEST

/* What is printed reads back as the same value. */
START_TEST(values_survive_printing)
{
	char first[5000], again[5000], why[400];

	for (size_t i = 0; i < K_COUNT; i++) {
		const struct conf_key *k = &conf_keys[i];
		struct conf *a = conf_new(), *b = conf_new();

		if (k->type != CONF_LAYERS && (k->scopes & (SC_SERVER | SC_TLS)) != 0) {
			enum conf_scope scope = (k->scopes & SC_SERVER) != 0 ? SC_SERVER : SC_TLS;

			ck_assert_int_eq(conf_set(a, scope, NULL, k->name, k->example, why, sizeof why), 0);
			conf_value_text(conf_server(a), (int)i, first, sizeof first);
			ck_assert_msg(conf_set(b, scope, NULL, k->name, first, why, sizeof why) == 0, "%s = %s: %s",
			    k->name, first, why);
			ck_assert_str_eq(conf_value_text(conf_server(b), (int)i, again, sizeof again), first);
		}
		conf_free(a);
		conf_free(b);
	}
}
END_TEST

/* key, text, expected printed value; NULL: refused, and why must hold `what`. */
static const struct { const char *key, *text, *value, *what;
} values[] = {
	{ "idle_timeout", "90", "90s", NULL },
	{ "idle_timeout", "1h30m", "90m", NULL },
	{ "idle_timeout", "2d", "2d", NULL },
	{ "idle_timeout", "0", NULL, "between 1 and 604800" },
	{ "idle_timeout", "604801", NULL, "between" },
	{ "idle_timeout", "1y", NULL, "a time" },
	{ "idle_timeout", "-5", NULL, "a time" },
	{ "idle_timeout", "99999999999999999999", NULL, "a time" },
	{ "idle_timeout", "9223372036854775807d", NULL, "a time" },
	{ "idle_timeout", "", NULL, "a time" },
	{ "idle_timeout", "5 m", NULL, "a time" },
	{ "max_sessions", "007", "7", NULL },
	{ "max_sessions", "1e3", NULL, "whole number" },
	{ "max_sessions", "-1", NULL, "between" },
	{ "max_sessions", "9223372036854775808", NULL, "whole number" },
	{ "rate_up", "10M", "10M", NULL },
	{ "rate_up", "10 MiB", "10M", NULL },
	{ "rate_up", "1024k", "1M", NULL },
	{ "rate_up", "8388608T", NULL, "bytes" },
	{ "rate_up", "1.5M", NULL, "bytes" },
	{ "rate_up", "M", NULL, "bytes" },
	{ "umask", "77", "077", NULL },
	{ "umask", "0778", NULL, "octal" },
	{ "umask", "01000", NULL, "between 0 and 777" },
	{ "atomic_uploads", "TRUE", "yes", NULL },
	{ "atomic_uploads", "off", "no", NULL },
	{ "atomic_uploads", "maybe", NULL, "yes or no" },
	{ "tls", "full", "full", NULL },
	{ "tls", "ful", NULL, "did you mean \"full\"?" },
	{ "tls", "FULL", NULL, "one of off, offer, control, full" },
	{ "passive_ports", "5000-6000", "5000-6000", NULL },
	{ "passive_ports", "5000 - 6000", "5000-6000", NULL },
	{ "passive_ports", "5000", "5000", NULL },
	{ "passive_ports", "0", "0", NULL },
	{ "passive_ports", "6000-5000", NULL, "above the last" },
	{ "passive_ports", "1-65536", NULL, "65535" },
	{ "passive_ports", "0-5", NULL, "65535" },
	{ "passive_address", "192.0.2.1", "* = 192.0.2.1", NULL },
	{ "passive_address", "10.0.0.0/8=10.0.0.1,*=ftp.example.org", "10.0.0.0/8 = 10.0.0.1, * = ftp.example.org",
	    NULL },
	{ "passive_address", "10.0.0.1/8 = 10.0.0.1", NULL, "network" },
	{ "passive_address", "10.0.0.0/8 = ", NULL, "address or a host name" },
	{ "passive_address", "999.1.1.1", NULL, "address or a host name" },
	{ "passive_address", "a b", NULL, "address or a host name" },
	{ "never_ban", " 10.0.0.0/8 ,, ::1 ", "10.0.0.0/8, ::1", NULL },
	{ "never_ban", "10.0.0.0/8 ::1", NULL, "network" },
	{ "allowed_users", "a , b,c", "a, b, c", NULL },
	{ "allowed_users", "", "", NULL },
	{ "home", "/srv/${USER}", "/srv/${USER}", NULL },
	{ "home", "srv", NULL, "absolute path" },
	{ "listen", "*:21, [::1]:2121", "*:21, [::1]:2121", NULL },
	{ "listen", "*", NULL, "name the port" },
	{ "listen", "host:21", NULL, "ADDRESS:PORT" },
	{ "accounts", "config, shadow", "config, shadow", NULL },
	{ "accounts", "confg", NULL, "did you mean \"config\"?" },
	{ "worker_user", "64001:64001", "64001:64001", NULL },
	{ "worker_user", "0:5", NULL, "must not be root" },
	{ "worker_user", "root", NULL, "must not be root" },
	{ "worker_user", "a b", NULL, "USER:GROUP" },
	{ "log", "syslog", "syslog", NULL },
	{ "log", "relative.log", NULL, "absolute path" },
	{ "directory_message_file", "../secret", NULL, "without a slash" },
	{ "start", "incoming", NULL, "absolute path" },
};

START_TEST(types)
{
	char text[5000], why[400];

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		const struct conf_key *k = conf_key(values[i].key);
		struct conf *c = conf_new();
		int e = conf_set(c, SC_SERVER, NULL, values[i].key, values[i].text, why, sizeof why);

		if (values[i].value != NULL) {
			ck_assert_msg(e == 0, "%s = %s: %s", values[i].key, values[i].text, why);
			conf_value_text(conf_server(c), (int)(k - conf_keys), text, sizeof text);
			ck_assert_str_eq(text, values[i].value);
		} else {
			ck_assert_msg(e == SP_EFORMAT, "%s = %s was taken", values[i].key, values[i].text);
			ck_assert_msg(strstr(why, values[i].what) != NULL, "%s = %s: \"%s\" lacks \"%s\"",
			    values[i].key, values[i].text, why, values[i].what);
		}
		conf_free(c);
	}
}
END_TEST

/* The same for keys of accounts and classes. */
static const struct { const char *key, *text, *what; } account_values[] = {
	{ "expires", "2027-01-31", NULL },
	{ "expires", "2027-01-31 18:00", NULL },
	{ "expires", "", NULL },
	{ "expires", "2027-02-30", "no such day" },
	{ "expires", "31.1.2027", "YYYY-MM-DD" },
	{ "expires", "2027-01-31 25:00", "YYYY-MM-DD" },
	{ "login_hours", "Mon-Fri 07:00-19:30", NULL },
	{ "login_hours", "Mon 25:00-26:00", "days and times" },
	{ "password", "$6$salt$hash", NULL },
	{ "password", "*", NULL },
	{ "password", "abJnggxhB/yWI", NULL },
	{ "password", "secret", "hash of a password" },
	{ "certificate_id", "dns:pc7.example.org", NULL },
	{ "certificate_id", "sha256:abc", "64 hexadecimal digits" },
	{ "certificate_id", "cn:pc7", "sha256:HEX" },
	{ "run_as", "partner:partners", NULL },
	{ "run_as", "000", "must not be root" },
	{ "run_as", ":x", "USER:GROUP" },
	{ "layer", "pyftpdlib elr", NULL },
	{ "layer", "/inbox ups -W +c", NULL },
	{ "layer", "\"/in box\" ups -W +c", NULL },
	{ "layer", "sftpplus\nallow-list\n/x, allow-read", NULL },
	{ "layer", "", "LANGUAGE" },
	{ "layer", "/inbox", "language of the layer" },
	{ "layer", "/inbox/ ups -W", "plain path" },
	{ "layer", "/a/../b ups -W", "plain path" },
	{ "layer", "/.. ups -W", "plain path" },
	{ "layer", "//a ups -W", "plain path" },
	{ "layer", "pyftplib elr", "did you mean \"pyftpdlib\"?" },
	{ "listen", "*:21", "cannot be set for a account" },
	{ "idel_timeout", "5", "did you mean \"idle_timeout\"?" },
	{ "zzzzzzzzzz", "5", "unknown key" },
};

START_TEST(account_types)
{
	char why[400];

	for (size_t i = 0; i < sizeof account_values / sizeof *account_values; i++) {
		int e = conf_check(SC_ACCOUNT, account_values[i].key, account_values[i].text, why, sizeof why);

		ck_assert_msg((e == 0) == (account_values[i].what == NULL), "%s = %s: %d %s", account_values[i].key,
		    account_values[i].text, e, why);
		ck_assert_msg(e == 0 || strstr(why, account_values[i].what) != NULL, "%s = %s: \"%s\"",
		    account_values[i].key, account_values[i].text, why);
	}
}
END_TEST

START_TEST(too_long_values)
{
	static char text[CONF_TEXT_MAX + 2];
	char why[400];

	memset(text, 'x', CONF_STRING_MAX + 1);
	ck_assert_int_eq(conf_check(SC_SERVER, "banner", text, why, sizeof why), SP_EFORMAT);
	ck_assert_ptr_nonnull(strstr(why, "4096"));
	text[CONF_STRING_MAX] = '\0';
	ck_assert_int_eq(conf_check(SC_SERVER, "banner", text, why, sizeof why), 0);
	memset(text, 'x', sizeof text - 1);
	ck_assert_int_eq(conf_check(SC_SERVER, "allowed_users", text, why, sizeof why), SP_EFORMAT);
}
END_TEST

START_TEST(distances)
{
	ck_assert_uint_eq(conf_distance("", "abc"), 3);
	ck_assert_uint_eq(conf_distance("abc", "abc"), 0);
	ck_assert_uint_eq(conf_distance("abc", "acb"), 1);
	ck_assert_uint_eq(conf_distance("kitten", "sitting"), 3);
	ck_assert_ptr_eq(conf_nearest_key("pasive_ports", 0), CONF_ROW(K_passive_ports));
	ck_assert_ptr_null(conf_nearest_key("completely_different_word", 0));
	/* Only what may stand there is proposed. */
	ck_assert_ptr_eq(conf_nearest_key("liste", SC_SERVER), CONF_ROW(K_listen));
	ck_assert_ptr_ne(conf_nearest_key("liste", SC_ACCOUNT), CONF_ROW(K_listen));
}
END_TEST

START_TEST(foreign_names)
{
	static const char *const ours[] = {
#define FOREIGN(server, name, here) name,
#include "common/foreign.def"
	};

	/* A name of ours needs no translation. */
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		ck_assert_msg(conf_key(ours[i]) == NULL, "%s is a key of ours", ours[i]);
	ck_assert_str_eq(conf_foreign_name("pasv_min_port"), "passive_ports = LOW-HIGH");
	ck_assert_str_eq(conf_foreign_name("defaultroot"), "jail and home");
	ck_assert_ptr_null(conf_foreign_name("x"));
}
END_TEST

COMMON_SUITE(conf_table, rows_are_complete, examples_and_defaults_parse, values_survive_printing, types, account_types,
    too_long_values, distances, foreign_names)
