/* What holds for whom, and where it comes from. */
#include "config.h"

#include <string.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/str.h"
#include "tests/unit/common.h"

static const char text[] =
	"[server]\n"				/* 1 */
	"idle_timeout = 100\n"			/* 2 */
	"umask = 011\n"
	"layer = ups +W\n"			/* 4 */
	"[listener inside]\n"
	"listen = 127.0.0.1:21\n"
	"idle_timeout = 90\n"			/* 7 */
	"umask = 012\n"
	"[class office]\n"			/* 9 */
	"members = @staff, carol\n"
	"from = 10.0.0.0/8\n"
	"idle_timeout = 80\n"			/* 12 */
	"max_sessions_per_class = 7\n"
	"[class rest]\n"			/* 14 */
	"members = all\n"
	"restrict_mode = subdir-of-homedir=pub, -W +c, -r\n"
	"[group editors]\n"			/* 17 */
	"idle_timeout = 70\n"
	"rate_up = 1K\n"
	"layer = sftpplus allow-read\n"		/* 20 */
	"[group staff]\n"
	"idle_timeout = 60\n"			/* 22 */
	"rate_up = 2K\n"
	"rate_down = 3K\n"
	"[group closed]\n"
	"enabled = no\n"			/* 26 */
	"[account alice]\n"
	"groups = editors, staff\n"
	"idle_timeout = 50\n"			/* 29 */
	"layer = pyftpdlib elr\n"		/* 30 */
	"password = *\n"
	"[account bob]\n"
	"groups = editors, staff\n"
	"[account carol]\n"
	"class = rest\n"
	"[account dan]\n"
	"groups = staff, closed\n"
	"enabled = yes\n";

static struct conf *
load(void)
{
	struct conf *c = conf_new();

	ck_assert_int_eq(conf_load_text(c, "t.conf", text, sizeof text - 1), 0);
	return c;
}

static struct conf_resolved
resolve(const struct conf *c, const char *user, const char *listener, const char *address)
{
	struct conf_subject who = { .user = user, .listener = listener };
	struct conf_resolved r;
	struct addr peer;

	if (address != NULL) {
		ck_assert_int_eq(addr_parse(&peer, address, 1), 0);
		who.peer = &peer;
	}
	ck_assert_int_eq(conf_resolve(c, &who, &r), 0);
	return r;
}

static const struct {
	const char *user, *listener, *address;
	unsigned idle, line;
	const char *section, *class;
} cases[] = {
	{ NULL, NULL, NULL, 100, 2, "server", NULL },
	{ NULL, "inside", NULL, 90, 7, "listener inside", NULL },
	{ NULL, "unknown", NULL, 100, 2, "server", NULL },
	{ "nobody", "inside", NULL, 90, 7, "listener inside", "rest" },
	{ "alice", "inside", "10.1.1.1", 50, 29, "account alice", "office" },
	{ "bob", NULL, "10.1.1.1", 70, 18, "group editors", "office" },
	{ "bob", NULL, "192.0.2.1", 70, 18, "group editors", "rest" },
	{ "carol", NULL, "10.1.1.1", 100, 2, "server", "rest" },
};

START_TEST(order)
{
	struct conf *c = load();

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct conf_resolved r = resolve(c, cases[i].user, cases[i].listener, cases[i].address);
		const struct conf_origin *o = &r.origin[K_idle_timeout];

		ck_assert_uint_eq(r.s.idle_timeout, cases[i].idle);
		ck_assert_uint_eq(o->line, cases[i].line);
		ck_assert_str_eq(o->section, cases[i].section);
		ck_assert_str_eq(o->file, "t.conf");
		ck_assert(
		    cases[i].class == NULL ? r.class == NULL : strcmp(conf_section_name(r.class), cases[i].class) == 0);
		ck_assert_str_eq(r.origin[K_stall_timeout].file, "default");
		conf_resolved_free(&r);
	}
	conf_free(c);
}
END_TEST

/* The first group that sets a key wins; later ones fill up. */
START_TEST(groups_in_order)
{
	struct conf *c = load();
	struct conf_resolved r = resolve(c, "bob", NULL, NULL);

	ck_assert_uint_eq(r.s.rate_up, 1024);
	ck_assert_uint_eq(r.s.rate_down, 3072);
	conf_resolved_free(&r);
	r = resolve(c, "dan", NULL, NULL);
	/* A group that is switched off wins over everything. */
	ck_assert(!r.s.enabled);
	ck_assert_uint_eq(r.origin[K_enabled].line, 26);
	conf_resolved_free(&r);
	conf_free(c);
}
END_TEST

START_TEST(layers_gather)
{
	static const struct { const char *dialect, *section; unsigned line; enum conf_scope scope;
	} want[] = {
		{ "ups", "server", 4, SC_SERVER },
		{ "sftpplus", "group editors", 20, SC_GROUP },
		{ "pyftpdlib", "account alice", 30, SC_ACCOUNT },
	};
	struct conf *c = load();
	struct conf_resolved r = resolve(c, "alice", NULL, "10.1.1.1");

	ck_assert_uint_eq(r.s.layer.n, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_str_eq(r.s.layer.v[i].dialect, want[i].dialect);
		ck_assert_str_eq(r.s.layer.v[i].section, want[i].section);
		ck_assert_uint_eq(r.s.layer.v[i].line, want[i].line);
		ck_assert_int_eq(r.s.layer.v[i].scope, want[i].scope);
	}
	conf_resolved_free(&r);
	conf_free(c);
}
END_TEST

START_TEST(restrict_mode)
{
	struct conf *c = load();
	struct conf_resolved r = resolve(c, "bob", NULL, "192.0.2.1");

	ck_assert(r.s.jail);
	ck_assert_str_eq(r.s.home, "${OS_HOME}/pub");
	ck_assert_str_eq(r.s.layer.v[0].dialect, "ups");
	ck_assert_str_eq(r.s.layer.v[0].text, "-W +c -r");
	ck_assert_str_eq(r.s.layer.v[0].section, "class rest");
	conf_resolved_free(&r);
	ck_assert_int_eq(conf_set(c, SC_CLASS, "rest", "restrict_mode", "-W", NULL, 0), 0);
	r = resolve(c, "bob", NULL, "192.0.2.1");
	/* A permission string in the place of homedir: not jailed. */
	ck_assert(!r.s.jail);
	conf_resolved_free(&r);
	conf_free(c);
}
END_TEST

START_TEST(databases)
{
	static const struct conf_pair pairs[] = { { "groups", "staff" }, { "umask", "077" }, { "layer", "ups -D" } },
	    wrong[] = { { "umask", "9" } }, unknown[] = { { "umsk", "9" } }, listen[] = { { "listen", "*:21" } };
	struct conf_subject who = { .user = "alice", .pairs = pairs, .pair_count = 3, .pairs_origin = "accounts.db" };
	struct conf *c = load();
	struct conf_resolved r;

	ck_assert_int_eq(conf_resolve(c, &who, &r), 0);
	/* The data base speaks in place of the section of that name. */
	ck_assert_uint_eq(r.s.idle_timeout, 60);
	ck_assert_uint_eq(r.s.umask, 077);
	ck_assert_str_eq(r.origin[K_umask].file, "accounts.db");
	ck_assert_str_eq(r.s.layer.v[r.s.layer.n - 1].text, "-D");
	ck_assert_str_eq(r.s.layer.v[r.s.layer.n - 1].file, "accounts.db");
	ck_assert_str_eq(r.s.layer.v[r.s.layer.n - 1].section, "account alice");
	conf_resolved_free(&r);
	who.pairs = wrong, who.pair_count = 1;
	ck_assert_int_eq(conf_resolve(c, &who, &r), SP_EFORMAT);
	ck_assert_str_eq(r.error, "accounts.db: umask: expected octal digits, such as 022");
	who.pairs = unknown;
	ck_assert_int_eq(conf_resolve(c, &who, &r), SP_EFORMAT);
	who.pairs = listen;
	ck_assert_int_eq(conf_resolve(c, &who, &r), SP_EFORMAT);
	conf_free(c);
}
END_TEST

START_TEST(unix_groups_choose_the_class)
{
	const char *const names[] = { "users", "staff" };
	struct addr peer;
	struct conf_subject who = { .user = "zoe", .peer = &peer, .unix_groups = names, .unix_group_count = 2 };
	struct conf *c = load();
	struct conf_resolved r;

	ck_assert_int_eq(addr_parse(&peer, "10.0.0.9", 1), 0);
	ck_assert_int_eq(conf_resolve(c, &who, &r), 0);
	ck_assert_str_eq(conf_section_name(r.class), "office");
	ck_assert_int_eq(r.s.max_sessions_per_class, 7);
	conf_resolved_free(&r);
	conf_free(c);
}
END_TEST

START_TEST(listeners_are_prepared)
{
	struct conf *c = load();

	/* Before, and for what is no section, the server's. */
	ck_assert_uint_eq(conf_listener(c, "inside")->idle_timeout, 100);
	for (int again = 0; again < 2; again++) {
		ck_assert_int_eq(conf_prepare_listeners(c), 0);
		ck_assert_uint_eq(conf_listener(c, "inside")->idle_timeout, 90);
		ck_assert_uint_eq(conf_listener(c, "inside")->umask, 012);
		ck_assert_ptr_eq(conf_listener(c, "outside"), conf_server(c));
		ck_assert_ptr_eq(conf_listener(c, ""), conf_server(c));
	}
	conf_free(c);
}
END_TEST

START_TEST(tls_is_the_strictest)
{
	static const char tls[] =
	    "[tls]\ncertificate = /c\nprivate_key = /k\ntls = control\n[listener l]\nlisten = *:21\ntls = full\n"
	    "[account weak]\ntls = off\n[account strong]\ntls = full\n";
	struct conf *c = conf_new();
	struct conf_resolved r;

	ck_assert_int_eq(conf_load_text(c, "t", tls, sizeof tls - 1), 0);
	r = resolve(c, "weak", NULL, NULL);
	ck_assert_int_eq(r.s.tls, CONF_TLS_CONTROL);
	conf_resolved_free(&r);
	r = resolve(c, "strong", NULL, NULL);
	ck_assert_int_eq(r.s.tls, CONF_TLS_FULL);
	conf_resolved_free(&r);
	r = resolve(c, "weak", "l", NULL);
	ck_assert_int_eq(r.s.tls, CONF_TLS_FULL);
	conf_resolved_free(&r);
	conf_free(c);
	/* Nothing can be offered without a certificate. */
	c = conf_new();
	ck_assert_int_eq(conf_server(c)->tls, CONF_TLS_OFF);
	conf_free(c);
}
END_TEST

START_TEST(default_layer)
{
	static const char some[] = "[server]\n[class k]\nmembers = all\ndefault_layer = posix1e\ndefault_layer = ups "
				   "-W\n[account a]\nlayer = ups -D\n[account b]\n";
	struct conf *c = conf_new();
	struct conf_resolved r;

	ck_assert_int_eq(conf_load_text(c, "t", some, sizeof some - 1), 0);
	r = resolve(c, "a", NULL, NULL);
	ck_assert_uint_eq(r.s.layer.n, 1);
	ck_assert_str_eq(r.s.layer.v[0].text, "-D");
	conf_resolved_free(&r);
	r = resolve(c, "b", NULL, NULL);
	ck_assert_uint_eq(r.s.layer.n, 2);
	ck_assert_str_eq(r.s.layer.v[0].dialect, "posix1e");
	conf_resolved_free(&r);
	conf_free(c);
}
END_TEST

/* What the monitor packs, the agent unpacks: with its own configuration both see the same. */
START_TEST(packing)
{
	char packed[4096], a[4200], b[4200];
	struct conf *c = load(), *agent;
	struct conf_resolved r = resolve(c, "alice", "inside", "10.1.1.1"), there;
	int fd = conf_seal(c, TO_AGENT);

	ck_assert_int_eq(conf_unseal(fd, TO_AGENT, &agent), 0);
	ck_assert_int_eq(conf_pack(&r, TO_AGENT, packed, sizeof packed), 0);
	ck_assert_ptr_null(strstr(packed, "password"));
	ck_assert_int_eq(conf_unpack(agent, "inside", packed, &there), 0);
	for (int i = 0; i < K_COUNT; i++)
		if ((conf_keys[i].audience & TO_AGENT) != 0 && conf_keys[i].type != CONF_LAYERS)
			ck_assert_str_eq(
			    conf_value_text(&r.s, i, a, sizeof a), conf_value_text(&there.s, i, b, sizeof b));
	conf_resolved_free(&there);
	ck_assert_int_eq(conf_pack(&r, TO_MONITOR, packed, 10), SP_ETRUNC);
	ck_assert_int_eq(conf_unpack(agent, NULL, "umask", &there), SP_EFORMAT);
	ck_assert_int_eq(conf_unpack(agent, NULL, "umask=9\n", &there), SP_EFORMAT);
	ck_assert_int_eq(conf_unpack(agent, NULL, "listen=*:21\n", &there), SP_EFORMAT);
	conf_resolved_free(&r);
	conf_free(agent);
	conf_free(c);
}
END_TEST

START_TEST(setting_single_keys)
{
	struct conf *c = conf_new(), *d = conf_new();
	char why[200];

	ck_assert_int_eq(conf_set(c, SC_SERVER, NULL, "umask", "077", why, sizeof why), 0);
	ck_assert_int_eq(conf_set(c, SC_SERVER, NULL, "umask", "007", why, sizeof why), 0);
	ck_assert_uint_eq(conf_server(c)->umask, 007);
	ck_assert_int_eq(conf_set(c, SC_SERVER, NULL, "umask", "9", why, sizeof why), SP_EFORMAT);
	ck_assert_uint_eq(conf_server(c)->umask, 007);
	ck_assert_int_eq(conf_set(c, SC_ACCOUNT, "eve", "home", "/srv", why, sizeof why), 0);
	ck_assert_ptr_nonnull(conf_section_find(c, SC_ACCOUNT, "eve"));
	ck_assert_int_eq(conf_set(c, SC_ACCOUNT, "eve", "listen", "*:1", why, sizeof why), SP_EFORMAT);
	ck_assert_ptr_null(conf_needs_restart(c, d, NULL));
	ck_assert_int_eq(conf_set(c, SC_SERVER, NULL, "worker_user", "ftp", why, sizeof why), 0);
	ck_assert_int_eq(conf_set(c, SC_SERVER, NULL, "sandbox", "best_effort", why, sizeof why), 0);
	ck_assert_ptr_eq(conf_needs_restart(c, d, NULL), CONF_ROW(K_worker_user));
	ck_assert_ptr_eq(conf_needs_restart(c, d, CONF_ROW(K_worker_user)), CONF_ROW(K_sandbox));
	ck_assert_ptr_null(conf_needs_restart(c, d, CONF_ROW(K_sandbox)));
	conf_free(c);
	conf_free(d);
}
END_TEST

START_TEST(many_accounts)
{
	struct conf *c = conf_new();
	char name[32];
	const struct conf_section *s = NULL;
	unsigned n = 0;

	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "user%d", i);
		ck_assert_ptr_nonnull(conf_section_make(c, SC_ACCOUNT, name, "t", 1, NULL));
	}
	ck_assert_ptr_nonnull(conf_section_find(c, SC_ACCOUNT, "user12345"));
	ck_assert_ptr_null(conf_section_find(c, SC_GROUP, "user12345"));
	ck_assert_ptr_null(conf_section_find(c, SC_ACCOUNT, "user20000"));
	s = conf_section_next(c, SC_ACCOUNT, NULL);
	ck_assert_str_eq(conf_section_name(s), "user0");
	ck_assert_str_eq(conf_section_name(conf_section_next(c, SC_ACCOUNT, s)), "user1");
	for (size_t i = 0; i < c->n; i++)
		n += c->sections[i]->kind == SC_ACCOUNT;
	ck_assert_uint_eq(n, 20000);
	conf_free(c);
}
END_TEST

struct met {
	char text[400];
};

static void
meet(void *context, const struct conf_subject *who, const struct conf_section *section)
{
	struct met *m = context;
	size_t used = strlen(m->text);

	ck_assert_int_eq(section == NULL, who->listener == NULL && who->user == NULL && who->group_count == 0);
	ck_assert_int_eq(str_format(m->text + used, sizeof m->text - used, "%s%s%s%s ",
	    who->listener != NULL ? "l:" : who->user != NULL ? "a:" : who->group_count == 1 ? "g:" : "server",
	    who->listener != NULL ? who->listener : "", who->user != NULL ? who->user : "",
	    who->group_count == 1 ? who->groups[0] : ""), 0);
}

START_TEST(everybody_with_settings_is_met)
{
	struct met met = { "" };
	static const char sections[] = "[account z]\n[group g]\n[listener one]\n[account a]\n[class c]\n[listener two]\n";
	struct conf *own = conf_new();

	(void)conf_load_text(own, "t", sections, sizeof sections - 1);
	conf_each_subject(own, meet, &met);
	ck_assert_str_eq(met.text, "server l:one l:two g:g a:z a:a ");
	conf_free(own);
}
END_TEST

COMMON_SUITE(conf_resolve, order, groups_in_order, layers_gather, restrict_mode, databases,
    unix_groups_choose_the_class, listeners_are_prepared, tls_is_the_strictest, default_layer, packing, setting_single_keys, many_accounts,
    everybody_with_settings_is_met)
