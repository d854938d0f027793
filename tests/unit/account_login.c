#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "account/hashes.h"
#include "account/password.h"
#include "common/str.h"
#include "tests/unit/account.h"
#include "tests/unit/copies.h"
#include "tests/unit/root.h"

#define HASH "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"	/* secret */

static struct conf *conf;
static struct account_sources sources;

/* A name service that knows ALICE as alice, as those of other systems do. */
int
getpwnam_r(const char *name, struct passwd *pw, char *text, size_t size, struct passwd **found)
{
	static __typeof__(getpwnam_r) *real;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "getpwnam_r");
	return real(strcmp(name, "ALICE") == 0 ? "alice" : name, pw, text, size, found);
}

const struct account_sources *
test_sources(const char *config)
{
	if (conf != NULL) {
		account_sources_close(&sources);
		conf_free(conf);
	}
	conf = conf_new();
	if (conf_load_text(conf, "test.conf", config, strlen(config)) != 0) {
		char text[512];

		(void)conf_problem_text(conf_problem_at(conf, 0), text, sizeof text);
		ck_abort_msg("%s", text);
	}
	ck_assert_int_eq(account_sources_open(&sources, conf), 0);
	ck_assert_int_eq(account_sources_warm_up(&sources), 0);
	return &sources;
}

enum account_result
test_login(const struct account_sources *s, const char *user, const char *password, struct account *a,
    enum account_reason *why)
{
	struct secret secret;
	struct addr peer;
	struct account_query q = {
		.user = user, .password = &secret, .listener = "", .base = conf_server(s->conf), .host = "", .peer = &peer
	};

	ck_assert_int_eq(secret_set(&secret, password, strlen(password)), 0);
	ck_assert_int_eq(addr_parse(&peer, "192.0.2.7:4000", 0), 0);
	*why = REASON_NONE;
	account_init(a, user);
	return account_login(s, &q, a, why);
}

enum account_result
test_certificate_login(const struct account_sources *s, const char *user, const char *certificate, bool *admits,
    enum account_reason *why)
{
	struct secret none = { .len = 0 };
	struct addr peer;
	struct account_query q = {
		.user = user, .listener = "", .base = conf_server(s->conf), .host = "", .peer = &peer, .tls = true,
		.certificate = (const uint8_t *)certificate, .certificate_len = strlen(certificate)
	};
	enum account_result r;
	struct account a;

	ck_assert_int_eq(addr_parse(&peer, "192.0.2.7:4000", 0), 0);
	*admits = account_certificate_admits(s, &q);
	q.password = &none;
	*why = REASON_NONE;
	account_init(&a, user);
	r = account_login(s, &q, &a, why);
	account_free(&a);
	return r;
}

static const char virtual_accounts[] =
	"[server]\naccounts = config, shadow, anonymous\nanonymous_user = ftp\nuid_min = 1000\n"
	"ftpusers_file = /proc/nonexistent\n"
	"[group slow]\nrate_down = 1K\nenabled = yes\n"
	"[group closed]\nenabled = no\n"
	"[account pat]\npassword = " HASH "\nrun_as = 4000:4001\nhome = /srv/pat\n"
	"[account nina]\npassword = " HASH "\nrun_as = www\nhome = /srv/nina\ngroups = slow\numask = 077\n"
	"[account old]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\nexpires = 2001-01-31\n"
	"[account off]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\nenabled = no\n"
	"[account shut]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\ngroups = closed\n"
	"[account far]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\nallowed_networks = 10.0.0.0/8\n"
	"[account near]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\nallowed_networks = 192.0.2.0/24\n"
	"[account barred]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\nrejected_networks = 192.0.2.7\n"
	"[account rooted]\npassword = " HASH "\nrun_as = toor\nhome = /srv\n"
	"[account zero]\npassword = " HASH "\nrun_as = toor:4000\nhome = /srv\n"
	"[account daemonic]\npassword = " HASH "\nrun_as = 33\nhome = /srv\n"
	"[account wheel]\npassword = " HASH "\nrun_as = 4000:0\nhome = /srv\n"
	"[account lost]\npassword = " HASH "\nhome = /srv\n"
	"[account starred]\npassword = *\nrun_as = 4000\nhome = /srv\n"
	"[account odd]\npassword = $99$what$ever\nrun_as = 4000\nhome = /srv\n"
	"[account crypted]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\ntls = control\n"
	"[account alice]\numask = 027\nhome = /data/${USER}\n";

/* user, password, result, reason */
static const struct { const char *user, *password; enum account_result r; enum account_reason why; } logins[] = {
	{ "pat", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "pat", "Secret", ACCOUNT_REFUSED, REASON_WRONG_PASSWORD },
	{ "pat", "", ACCOUNT_REFUSED, REASON_EMPTY_PASSWORD },
	{ "PAT", "secret", ACCOUNT_UNKNOWN, REASON_UNKNOWN_USER },
	{ "nobody-here", "secret", ACCOUNT_UNKNOWN, REASON_UNKNOWN_USER },
	{ "../pat", "secret", ACCOUNT_UNKNOWN, REASON_BAD_NAME },
	{ "nina", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "old", "secret", ACCOUNT_REFUSED, REASON_EXPIRED },
	{ "off", "secret", ACCOUNT_REFUSED, REASON_DISABLED },
	{ "shut", "secret", ACCOUNT_REFUSED, REASON_DISABLED },
	{ "far", "secret", ACCOUNT_REFUSED, REASON_ADDRESS },
	{ "near", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "barred", "secret", ACCOUNT_REFUSED, REASON_ADDRESS },
	{ "rooted", "secret", ACCOUNT_REFUSED, REASON_UID },
	{ "zero", "secret", ACCOUNT_REFUSED, REASON_UID },
	{ "daemonic", "secret", ACCOUNT_REFUSED, REASON_UID },
	{ "wheel", "secret", ACCOUNT_REFUSED, REASON_GROUP },
	{ "lost", "secret", ACCOUNT_REFUSED, REASON_SETTINGS },
	{ "starred", "secret", ACCOUNT_REFUSED, REASON_LOCKED },
	{ "starred", "*", ACCOUNT_REFUSED, REASON_LOCKED },
	{ "odd", "secret", ACCOUNT_REFUSED, REASON_HASH_UNSUPPORTED },
	{ "crypted", "secret", ACCOUNT_REFUSED, REASON_TLS },
	{ "alice", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "alice", "wrong", ACCOUNT_REFUSED, REASON_WRONG_PASSWORD },
	{ "root", "secret", ACCOUNT_REFUSED, REASON_UID },
	{ "bob", "secret", ACCOUNT_REFUSED, REASON_SHELL },
	{ "carol", "secret", ACCOUNT_REFUSED, REASON_GROUP },
	{ "dave", "secret", ACCOUNT_REFUSED, REASON_UID },
	{ "erin", "secret", ACCOUNT_REFUSED, REASON_LOCKED },
	{ "frank", "secret", ACCOUNT_REFUSED, REASON_EXPIRED },
	{ "judy", "secret", ACCOUNT_REFUSED, REASON_EXPIRED },	/* chage -E 0 */
	{ "DOMAIN\\grace", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "heidi@example.org", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "www", "secret", ACCOUNT_REFUSED, REASON_SHELL },
	{ "anonymous", "", ACCOUNT_FOUND, REASON_NONE },
	{ "FTP", "guest@example.org", ACCOUNT_FOUND, REASON_NONE }
};

START_TEST(who_gets_in)
{
	const struct account_sources *s = test_sources(virtual_accounts);
	enum account_reason why;
	enum account_result r;
	struct account a;

	if (needs_root(__func__))
		return;		/* without root everybody is the same user */
	r = test_login(s, logins[_i].user, logins[_i].password, &a, &why);
	ck_assert_msg(r == logins[_i].r && why == logins[_i].why, "%s/%s: %s, %s", logins[_i].user, logins[_i].password,
	    account_result_word(r), account_reason_word(why));
	account_free(&a);
}
END_TEST

START_TEST(what_they_become)
{
	const struct account_sources *s = test_sources(virtual_accounts);
	enum account_reason why;
	struct account a;
	char home[64];

	if (needs_root(__func__))
		return;
	ck_assert_int_eq(test_login(s, "pat", "secret", &a, &why), ACCOUNT_FOUND);
	ck_assert_uint_eq(a.uid, 4000);
	ck_assert_uint_eq(a.gid, 4001);
	ck_assert_uint_eq(a.group_count, 0);
	ck_assert_str_eq(a.source->name, "config");
	account_free(&a);

	ck_assert_int_eq(test_login(s, "nina", "secret", &a, &why), ACCOUNT_FOUND);
	ck_assert_uint_eq(a.uid, 2009);
	ck_assert_uint_eq(a.resolved->s.umask, 077);
	ck_assert_uint_eq(a.resolved->s.rate_down, 1024);
	ck_assert_ptr_null(a.home);	/* not the home of the user that many accounts run as */
	account_free(&a);

	ck_assert_int_eq(test_login(s, "alice", "secret", &a, &why), ACCOUNT_FOUND);
	ck_assert_uint_eq(a.uid, 2001);
	ck_assert_uint_eq(a.resolved->s.umask, 027);
	ck_assert_str_eq(a.source->name, "shadow");
	ck_assert_int_eq(account_expand(&a, a.resolved->s.home, home, sizeof home), 0);
	ck_assert_str_eq(home, "/data/alice");
	account_free(&a);

	ck_assert_int_eq(test_login(s, "FTP", "x", &a, &why), ACCOUNT_FOUND);
	ck_assert_str_eq(a.name, "anonymous");
	ck_assert_uint_eq(a.uid, 150);
	ck_assert(a.flags & ACCOUNT_ANONYMOUS);
	account_free(&a);
}
END_TEST

/* The wrapper's shadow entries can be read once a process, for they are cleared after use: one login a test. */
static const struct { const char *config, *ftpusers, *user; enum account_reason why; } system_rules[] = {
	{ "ftpusers_file = %s/ftpusers", "# not these\nalice\n", "alice", REASON_FTPUSERS },
	{ "ftpusers_file = %s/ftpusers", "# alice\nmallory\n", "alice", REASON_NONE },
	{ "ftpusers_file = /none\nallowed_users = @staff\nrequire_valid_shell = no", "", "bob", REASON_NONE },
	{ "ftpusers_file = /none\nallowed_users = @staff\nrequire_valid_shell = no", "", "DOMAIN\\grace", REASON_NOT_ALLOWED },
	{ "ftpusers_file = /none\nallowed_users = alice", "", "alice", REASON_NONE },
	{ "ftpusers_file = /none\nrejected_users = @projects, mallory", "", "alice", REASON_REJECTED },
	{ "ftpusers_file = /none\nrejected_users = alice", "", "alice", REASON_REJECTED },
	{ "ftpusers_file = /none\nrejected_users = bob", "", "alice", REASON_NONE },
	{ "ftpusers_file = /none\nuid_min = 2002", "", "alice", REASON_UID },
	{ "ftpusers_file = /none\nuid_min = 2001", "", "alice", REASON_NONE },
	/* The name service takes any spelling of a name, and rules are about the name that it has. */
	{ "ftpusers_file = %s/ftpusers", "alice\n", "ALICE", REASON_FTPUSERS },
	{ "ftpusers_file = %s/ftpusers", "ALICE\n", "ALICE", REASON_FTPUSERS },
	{ "ftpusers_file = /none\nrejected_users = alice", "", "ALICE", REASON_REJECTED },
	{ "ftpusers_file = /none\nrejected_users = ALICE", "", "ALICE", REASON_REJECTED },
	{ "ftpusers_file = /none\nrejected_users = @staff", "", "ALICE", REASON_REJECTED },
	{ "ftpusers_file = /none\nallowed_users = alice", "", "ALICE", REASON_NONE },
	{ "ftpusers_file = /none\nallowed_users = ALICE", "", "ALICE", REASON_NOT_ALLOWED },
	{ "ftpusers_file = /none\n[account alice]\nenabled = no", "", "ALICE", REASON_DISABLED },
	{ "ftpusers_file = /none\n[account alice]\nallowed_networks = 10.0.0.0/8", "", "ALICE", REASON_ADDRESS },
	{ "ftpusers_file = /none\n[account ALICE]\nenabled = no", "", "ALICE", REASON_NONE }
};

/* %s becomes the folder of the test. */
static void
expand(char *out, size_t size, const char *text)
{
	const char *mark = strstr(text, "%s");

	if (mark == NULL)
		snprintf(out, size, "%s", text);
	else
		snprintf(out, size, "%.*s%s%s", (int)(mark - text), text, test_dir, mark + 2);
}

START_TEST(rules_for_system_users)
{
	char text[1024], keys[512];
	enum account_reason why;
	struct account a;

	if (needs_root(__func__))
		return;
	test_write("ftpusers", system_rules[_i].ftpusers);
	expand(keys, sizeof keys, system_rules[_i].config);
	snprintf(text, sizeof text, "[server]\naccounts = shadow\n%s\n", keys);
	test_login(test_sources(text), system_rules[_i].user, "secret", &a, &why);
	ck_assert_msg(why == system_rules[_i].why, "%s: %s", keys, account_reason_word(why));
	/* Limits and quotas are counted by that name too. */
	ck_assert_str_eq(a.name, str_same(system_rules[_i].user, "alice") ? "alice" : system_rules[_i].user);
	account_free(&a);
}
END_TEST

START_TEST(hours_are_the_servers)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	time_t now = time(NULL);
	enum account_reason why;
	struct account a;
	char text[512];

	if (needs_root(__func__))
		return;
	for (int shift = 0; shift <= 3; shift += 3) {
		snprintf(text, sizeof text, "[server]\naccounts = config\n[account pat]\npassword = " HASH
		    "\nrun_as = 4000\nhome = /srv\nlogin_hours = %s, %s\n", days[(localtime(&now)->tm_wday + shift) % 7],
		    days[(localtime(&now)->tm_wday + shift + 1) % 7]);	/* midnight may come */
		test_login(test_sources(text), "pat", "secret", &a, &why);
		ck_assert_int_eq(why, shift == 0 ? REASON_NONE : REASON_TIME);
		account_free(&a);
	}
}
END_TEST

START_TEST(mail_of_anonymous)
{
	static const struct { const char *password; enum account_reason why; } mails[] = {
		{ "a@b", REASON_NONE }, { "guest@", REASON_EMAIL }, { "@example.org", REASON_EMAIL }, { "guest", REASON_EMAIL },
		{ "", REASON_EMAIL }
	};
	const struct account_sources *s = test_sources("[server]\naccounts = anonymous\nanonymous_user = ftp\nanonymous_email = yes\n");
	enum account_reason why;
	struct account a;

	if (needs_root(__func__))
		return;
	for (size_t i = 0; i < sizeof mails / sizeof *mails; i++) {
		test_login(s, "anonymous", mails[i].password, &a, &why);
		ck_assert_msg(why == mails[i].why, "%s: %s", mails[i].password, account_reason_word(why));
		account_free(&a);
	}
}
END_TEST

START_TEST(order_of_sources)
{
	const struct account_sources *s = test_sources(
	    "[server]\naccounts = shadow, config\nftpusers_file = /none\n"
	    "[account alice]\npassword = *\nrun_as = 4000\nhome = /srv\n");
	enum account_reason why;
	struct account a;

	if (needs_root(__func__))
		return;
	ck_assert_int_eq(test_login(s, "alice", "secret", &a, &why), ACCOUNT_FOUND);
	ck_assert_str_eq(a.source->name, "shadow");
	account_free(&a);
	/* A source that knows the name and refuses is the last one asked. */
	s = test_sources("[server]\naccounts = config, shadow\nftpusers_file = /none\n"
	    "[account alice]\npassword = *\nrun_as = 4000\nhome = /srv\n");
	ck_assert_int_eq(test_login(s, "alice", "secret", &a, &why), ACCOUNT_REFUSED);
	account_free(&a);
}
END_TEST

#define BY_CERTIFICATE "run_as = 4000\nhome = /srv\ncertificate_login = instead_of_password\ncertificate_id = dns:pc7\n"

/* user, certificate, is a password superfluous, why not in without one */
static const struct { const char *user, *certificate; bool admits; enum account_reason why; } certificates[] = {
	{ "carl", "sha256:00\ndns:pc7\n", true, REASON_NONE },
	{ "carl", "dns:PC7\n", true, REASON_NONE },
	{ "carl", "dns:pc8\n", false, REASON_EMPTY_PASSWORD },
	{ "carl", "dns:pc77\n", false, REASON_EMPTY_PASSWORD },
	{ "carl", "", false, REASON_EMPTY_PASSWORD },
	{ "bare", "dns:pc7\n", true, REASON_NONE },		/* has no password at all */
	{ "shut", "dns:pc7\n", false, REASON_DISABLED },
	{ "past", "dns:pc7\n", false, REASON_EXPIRED },
	{ "away", "dns:pc7\n", false, REASON_ADDRESS },
	{ "both", "dns:pc7\n", false, REASON_EMPTY_PASSWORD },
	{ "nobody-here", "dns:pc7\n", false, REASON_UNKNOWN_USER },
	{ "../carl", "dns:pc7\n", false, REASON_BAD_NAME },
	{ "alice", "dns:pc7\n", true, REASON_NONE },		/* of the system */
	{ "erin", "dns:pc7\n", true, REASON_LOCKED },		/* the shadow file is read at the login only */
	{ "bob", "dns:pc7\n", false, REASON_SHELL }
};

/* What a certificate says counts only on a connection that is under TLS now: after CCC it is a memory. */
START_TEST(certificates_need_tls)
{
	static const char *const ids[] = { "", "dns:pc7" };
	const struct settings s = { .certificate_id = { 2, ids } };
	const uint8_t text[] = "sha256:00\ndns:pc7\n";
	struct account_query q = { .tls = true, .certificate = text, .certificate_len = sizeof text - 1 };

	ck_assert(account_certificate_fits(&q, &s));
	q.tls = false;
	ck_assert(!account_certificate_fits(&q, &s));
	q.tls = true;
	q.certificate_len = 0;
	ck_assert(!account_certificate_fits(&q, &s));
	q.certificate = NULL;
	ck_assert(!account_certificate_fits(&q, &s));
	/* An empty line is nobody's name. */
	q = (struct account_query){ .tls = true, .certificate = (const uint8_t *)"\n\n", .certificate_len = 2 };
	ck_assert(!account_certificate_fits(&q, &s));
}
END_TEST

START_TEST(certificates_instead_of_passwords)
{
	const struct account_sources *s = test_sources(
	    "[server]\naccounts = shadow, config\nftpusers_file = /none\n"
	    "[tls]\ncertificate = /x\nprivate_key = /y\nclient_certificate = request\nclient_ca = /z\n"
	    "[account carl]\npassword = " HASH "\n" BY_CERTIFICATE "[account bare]\n" BY_CERTIFICATE
	    "[account shut]\nenabled = no\n" BY_CERTIFICATE "[account past]\nexpires = 2001-01-31\n" BY_CERTIFICATE
	    "[account away]\nallowed_networks = 10.0.0.0/8\n" BY_CERTIFICATE
	    "[account both]\npassword = " HASH "\nrun_as = 4000\nhome = /srv\ncertificate_login = and_password\n"
	    "certificate_id = dns:pc7\n"
	    "[account alice]\ncertificate_login = instead_of_password\ncertificate_id = dns:pc7\n"
	    "[account erin]\ncertificate_login = instead_of_password\ncertificate_id = dns:pc7\n"
	    "[account bob]\ncertificate_login = instead_of_password\ncertificate_id = dns:pc7\n");
	enum account_reason why;
	bool admits;

	if (needs_root(__func__))
		return;
	test_certificate_login(s, certificates[_i].user, certificates[_i].certificate, &admits, &why);
	ck_assert_msg(admits == certificates[_i].admits && why == certificates[_i].why, "%s: %d, %s", certificates[_i].user,
	    admits, account_reason_word(why));
}
END_TEST

static int64_t
cpu_of_login(const struct account_sources *s, const char *user)
{
	struct timespec from, to;
	enum account_reason why;
	struct account a;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (int i = 0; i < 5; i++) {
		test_login(s, user, "not the password", &a, &why);
		account_free(&a);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000;
}

/* A known name, an unknown one and a refused one cost the same hash; without it, one would be ten times as quick. */
START_TEST(unknown_names_cost_the_same)
{
	const struct account_sources *s = test_sources(
	    "[server]\naccounts = config\n"
	    "[account pat]\npassword = $6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1\n"
	    "run_as = 4000\nhome = /srv\n");
	int64_t known = INT64_MAX, unknown = INT64_MAX;
	bool same = false;

	ck_assert_int_eq(strncmp(hashes_at(password_place("$6$"))->hash, "$6$saltsalt$AAAA", 16), 0);
	/* The shortest of several rounds; a busy machine gets more of them. */
	for (int round = 0; round < 100 && !same; round++) {
		int64_t k = cpu_of_login(s, "pat"), u = cpu_of_login(s, "patricia");

		known = k < known ? k : known;
		unknown = u < unknown ? u : unknown;
		same = round >= 2 && unknown > known / 2 && unknown < known * 2;
	}
	ck_assert_msg(same, "known %lld us, unknown %lld us", (long long)known, (long long)unknown);
}
END_TEST

/* What a certificate says counts only where TLS has verified it. */
START_TEST(no_certificate_without_tls)
{
	static const char *ids[] = { "dns:pc7" }, lines[] = "dns:pc7\n";
	const struct settings set = { .certificate_id = { .v = ids, .n = 1 } };
	struct account_query q = { .certificate = (const uint8_t *)lines, .certificate_len = sizeof lines - 1 };

	ck_assert(!account_certificate_fits(&q, &set));
	q.tls = true;
	ck_assert(account_certificate_fits(&q, &set));
	q.certificate_len = 0;
	ck_assert(!account_certificate_fits(&q, &set));
}
END_TEST

static const char *const as_root[] = {
	"accounts = config\nuid_min = 0\n[account pat]\npassword = " HASH "\nrun_as = toor:4000\nhome = /srv\n",
	"accounts = anonymous\nuid_min = 0\nanonymous_user = toor\n"
};

/* However low uid_min is. */
START_TEST(nobody_is_served_as_root)
{
	enum account_reason why;
	struct account a;
	char text[512];

	if (needs_root(__func__))
		return;
	(void)str_format(text, sizeof text, "[server]\n%s", as_root[_i]);
	ck_assert_int_eq(test_login(test_sources(text), _i < 1 ? "pat" : "anonymous", "secret", &a, &why), ACCOUNT_REFUSED);
	ck_assert_int_eq(why, REASON_UID);
	account_free(&a);
}
END_TEST

/* A source of the test's own in the place of shadow: it is asked, renames, and is given passwords. */
static struct { unsigned verified, changed; bool system, clear; const char *becomes; } odd;

static enum account_result
find_odd(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	(void)state, (void)q, (void)why;
	a->uid = a->gid = 4000;
	a->unix_name = odd.system ? a->name : NULL;
	a->flags = odd.system ? ACCOUNT_SYSTEM : 0;
	a->verifier_kind = odd.clear ? VERIFY_CLEAR : VERIFY_SOURCE;
	a->verifier = odd.clear ? account_keep(a, "secret") : NULL;
	return ACCOUNT_FOUND;
}

static enum account_result
verify_odd(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	(void)state, (void)q;
	odd.verified++;
	*why = REASON_NONE;
	if (odd.becomes != NULL)
		(void)str_copy(a->name, sizeof a->name, odd.becomes);
	return ACCOUNT_FOUND;
}

static int
change_odd(void *state, const char *name, const struct secret *password)
{
	(void)state, (void)name, (void)password;
	odd.changed++;
	return 0;
}

static const struct account_source odd_source = {
	.name = "shadow", .find = find_odd, .verify = verify_odd, .set_password = change_odd
};

/*
 * settings, is it a system user, clear text, the name it turns out to be; why not, how often was it asked, was the
 * password changed
 */
static const struct {
	const char *settings;
	bool system, clear;
	const char *becomes;
	enum account_reason why;
	unsigned verified, changed;
} odds[] = {
	{ "", true, false, NULL, REASON_NONE, 1, 0 },
	/* Who is refused by a rule is not asked about: PAM may count it. */
	{ "rejected_users = alice", true, false, NULL, REASON_REJECTED, 0, 0 },
	{ "allowed_users = bob", true, false, NULL, REASON_NOT_ALLOWED, 0, 0 },
	/* The settings are those of whom the source makes the client. */
	{ "[account other]\nenabled = no", false, false, "other", REASON_DISABLED, 1, 0 },
	{ "[account alice]\nenabled = no", false, false, "other", REASON_NONE, 1, 0 },
	/* A password is made anew for those who get in. */
	{ "upgrade_passwords = yes", false, true, NULL, REASON_NONE, 0, 1 },
	{ "upgrade_passwords = yes\n[account alice]\nenabled = no", false, true, NULL, REASON_DISABLED, 0, 0 },
	{ "upgrade_passwords = yes\n[account alice]\nallowed_networks = 10.0.0.0/8", false, true, NULL, REASON_ADDRESS, 0, 0 },
	{ "upgrade_passwords = yes\n[account alice]\nexpires = 2001-01-31", false, true, NULL, REASON_EXPIRED, 0, 0 },
	{ "upgrade_passwords = yes\nrejected_users = alice", true, true, NULL, REASON_REJECTED, 0, 0 },
	{ "upgrade_passwords = hashes", false, true, NULL, REASON_NONE, 0, 0 }
};

START_TEST(what_sources_are_asked)
{
	enum account_reason why;
	struct account a;
	char text[512];

	if (needs_root(__func__))
		return;
	(void)str_format(text, sizeof text, "[server]\naccounts = shadow\nftpusers_file = /none\n%s\n", odds[_i].settings);
	(void)test_sources(text);
	sources.entry[0] = (struct account_opened){ &odd_source, NULL };
	odd.verified = odd.changed = 0;
	odd.system = odds[_i].system;
	odd.clear = odds[_i].clear;
	odd.becomes = odds[_i].becomes;
	(void)test_login(&sources, "alice", "secret", &a, &why);
	ck_assert_msg(why == odds[_i].why && odd.verified == odds[_i].verified && odd.changed == odds[_i].changed,
	    "%s: %s, asked %u times, changed %u times", odds[_i].settings, account_reason_word(why), odd.verified, odd.changed);
	account_free(&a);
}
END_TEST

/* .passwd may lie where those whose accounts stand in it can write: it is that file and no link to another. */
START_TEST(password_files_are_no_links)
{
	enum account_reason why;
	struct account a;
	char text[1024], path[300], aim[300];

	if (needs_root(__func__))
		return;
	test_write("real.passwd", "ann:secret:1000:/\n");
	(void)str_format(aim, sizeof aim, "%s/real.passwd", test_dir);
	(void)str_format(path, sizeof path, "%s/link.passwd", test_dir);
	(void)unlink(path);
	ck_assert_int_eq(symlink(aim, path), 0);
	for (int link = 0; link <= 1; link++) {
		(void)str_format(text, sizeof text, "[server]\naccounts = passwd_file\npasswd_file = %s\nvirtual_user = 4000:4000\n",
		    link ? path : aim);
		ck_assert_int_eq(test_login(test_sources(text), "ann", "secret", &a, &why),
		    link ? ACCOUNT_UNAVAILABLE : ACCOUNT_FOUND);
		account_free(&a);
	}
}
END_TEST

/*
 * Of the file with everybody's passwords nothing stays, not even when one of them is made anew, and no hash where
 * one was computed.
 */
START_TEST(a_login_leaves_nothing)
{
	static const char hash[] = "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA";	/* secret */
	static char file[20000], marker[] = "MkOfAnotherAccount";
	static char memory[PASSWORD_MEMORY] __attribute__((aligned(16)));
	enum account_reason why;
	struct account a;
	char text[1024], path[300];
	int fd;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	for (int i = 0; i < 200; i++)
		(void)str_format(file + strlen(file), sizeof file - strlen(file), "other%d:%sX%d:%d:/\n", i, marker, i, 2000 + i);
	(void)str_format(file + strlen(file), sizeof file - strlen(file), "ann:%s:1000:/\n", hash);
	(void)str_format(path, sizeof path, "%s/full.passwd", test_dir);
	ck_assert_int_ge(fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), 0);
	ck_assert_int_eq(write(fd, file, strlen(file)), (ssize_t)strlen(file));
	close(fd);
	explicit_bzero(file, sizeof file);
	(void)str_format(text, sizeof text, "[server]\naccounts = passwd_file\npasswd_file = %s\nvirtual_user = 4000:4000\n"
	    "upgrade_passwords = %s\n", path, _i == 0 ? "no" : "yes");
	password_lend(memory);
	ck_assert_int_eq(test_login(test_sources(text), "ann", "secret", &a, &why), ACCOUNT_FOUND);
	account_free(&a);
	ck_assert_uint_eq(copies(marker, marker, sizeof marker), 0);
	ck_assert_ptr_null(memmem(memory, sizeof memory, hash + 12, 8));
}
END_TEST

Suite *
account_login_suite(void)
{
	Suite *s = suite_create("account/login");
	TCase *t = tcase_create("login");

	tcase_add_loop_test(t, who_gets_in, 0, (int)(sizeof logins / sizeof *logins));
	tcase_add_test(t, what_they_become);
	tcase_add_loop_test(t, rules_for_system_users, 0, (int)(sizeof system_rules / sizeof *system_rules));
	tcase_add_test(t, hours_are_the_servers);
	tcase_add_test(t, mail_of_anonymous);
	tcase_add_test(t, order_of_sources);
	tcase_add_test(t, certificates_need_tls);
	tcase_add_loop_test(t, certificates_instead_of_passwords, 0, (int)(sizeof certificates / sizeof *certificates));
	tcase_add_test(t, unknown_names_cost_the_same);
	tcase_add_test(t, no_certificate_without_tls);
	tcase_add_loop_test(t, nobody_is_served_as_root, 0, (int)(sizeof as_root / sizeof *as_root));
	tcase_add_loop_test(t, what_sources_are_asked, 0, (int)(sizeof odds / sizeof *odds));
	tcase_add_test(t, password_files_are_no_links);
	tcase_add_loop_test(t, a_login_leaves_nothing, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
