/*
 * What a stranger learns from a refused login: nothing.  Every source in turn is asked for names that it has, in
 * every state that an account can be in, and for one that it has not; hashes are counted where libcrypt makes them.
 */
#include "config.h"

#include <crypt.h>
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/hashes.h"
#include "account/password.h"
#include "account/store.h"
#include "common/str.h"
#include "tests/unit/account.h"
#include "tests/unit/root.h"

#define MD5 "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"		/* secret */
#define SHA "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"	/* secret */

/* What was computed: how many hashes, and how much work of each measure. */
static struct { unsigned all; uint64_t work[PASSWORD_WORKS]; } made;

static void
count(const char *setting)
{
	int place = password_place(setting);

	made.all++;
	if (place >= 0)
		made.work[place] += password_work(setting);
}

/* In the places of the libraries, by --wrap or the order of linking. */
#ifdef HAVE_SODIUM
enum password_verdict __real_password_check_argon2(const struct secret *, const char *);
enum password_verdict __wrap_password_check_argon2(const struct secret *, const char *);

enum password_verdict
__wrap_password_check_argon2(const struct secret *password, const char *hash)
{
	enum password_verdict v = __real_password_check_argon2(password, hash);

	if (v != PASSWORD_UNSUPPORTED)
		count(hash);
	return v;
}
#endif

enum password_verdict __real_password_check_pbkdf2(const struct secret *, const char *);
enum password_verdict __wrap_password_check_pbkdf2(const struct secret *, const char *);

enum password_verdict
__wrap_password_check_pbkdf2(const struct secret *password, const char *hash)
{
	enum password_verdict v = __real_password_check_pbkdf2(password, hash);

	if (v != PASSWORD_UNSUPPORTED)
		count(hash);
	return v;
}

char *
crypt_rn(const char *phrase, const char *setting, void *data, int size)
{
	static __typeof__(crypt_rn) *real;
	char *out;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "crypt_rn");
	out = real(phrase, setting, data, size);

	if (out != NULL && out[0] != '*')	/* not refused before any work */
		count(setting);
	return out;
}

/* ------------------------------------------------------------------------ sources */

#define RUN "run_as = 4000\nhome = /srv\n"

static const char in_config[] =
	"[server]\naccounts = config, anonymous\nanonymous_user = ftp\npassword_cost = 1\n[tls]\ncertificate = /x\nprivate_key = /y\n"
	"[account dear]\npassword = " SHA "\n" RUN "[account plain]\npassword = " MD5 "\n" RUN
	"[account crypted]\npassword = " SHA "\ntls = control\n" RUN "[account lost]\npassword = " SHA "\nhome = /srv\n"
	"[account old]\npassword = " SHA "\nexpires = 2001-01-31\n" RUN "[account off]\npassword = " SHA "\nenabled = no\n" RUN
	"[account starred]\npassword = *\n" RUN "[account banged]\npassword = !" SHA "\n" RUN
	"[account odd]\npassword = $99$what$ever\n" RUN "[account clear]\npassword = {CLEAR}secret\n" RUN
	"[account hollow]\npassword = {CLEAR}\n" RUN "[account far]\npassword = " SHA "\nallowed_networks = 10.0.0.0/8\n" RUN
	"[account gone]\npassword = " SHA "\nrun_as = no-such-user-here\nhome = /srv\n"
	"[account keyed]\nhome = /srv\nrun_as = 4000\ncertificate_id = dns:pc7\n";

static const char in_shadow[] = "[server]\naccounts = shadow\nftpusers_file = /none\n"
	"[tls]\ncertificate = /x\nprivate_key = /y\n[account alice]\ntls = control\n"
	"[account heidi@example.org]\nrun_as = no-such-user-here\n";

static const char in_pam[] = "[server]\naccounts = pam\nftpusers_file = /none\npam_service = sallyport\n"
	"[tls]\ncertificate = /x\nprivate_key = /y\n[account alice]\ntls = control\n"
	"[account DOMAIN\\grace]\nrun_as = no-such-user-here\n";

static const char in_passwd_file[] =
	"[server]\naccounts = passwd_file\npasswd_file = %s/.passwd\nvirtual_user = 4000:4001\nuid_min = 1000\n";

static const char passwd_file[] = "ann:secret:1000:/\nbert::1001:/\nlock:x:1002:/\nhash:" SHA ":1003:/\n_:-:1004\n";

static const char in_database[] =
	"[server]\naccounts = database\naccounts_database = %s/refusal.db\nvirtual_user = 4000:4001\nuid_min = 1000\n"
	"[tls]\ncertificate = /x\nprivate_key = /y\n";

static const char in_external[] =
	"[server]\naccounts = external\nexternal_socket = %s/authd\n";

static void
make_passwd_file(void)
{
	test_write(".passwd", passwd_file);
}

static void
make_database(void)
{
	static const struct { const char *name, *password, *key, *value; } rows[] = {
		{ "ann", SHA, "home", "/srv" }, { "md", MD5, "home", "/srv" }, { "none", NULL, "home", "/srv" },
		{ "lock", "!" SHA, "home", "/srv" }, { "bert", "{CLEAR}", "home", "/srv" }, { "clear", "{CLEAR}secret", "home", "/srv" },
		{ "tess", SHA, "tls", "control" }, { "classy", SHA, "class", "no-such-class" }, { "void", "", "home", "/srv" },
		{ "ned", SHA, "run_as", "no-such-user-here" }
	};
	char path[600];
	struct db *db;

	(void)str_format(path, sizeof path, "%s/refusal.db", test_dir);
	(void)unlink(path);
	ck_assert_int_eq(db_open_sqlite(path, true, &db), 0);
	ck_assert_int_eq(store_migrate(db), 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ck_assert_int_eq(store_add(db, rows[i].name, rows[i].password), 0);
		ck_assert_int_eq(store_set(db, rows[i].name, rows[i].key, rows[i].value), 0);
	}
	db->kind->close(db);
}

static pid_t program;

/* pure-authd: knows ann and root, whose password is secret. */
static void __attribute__((noreturn))
answer(int s)
{
	for (;;) {
		char text[4096] = "";
		size_t n = 0;
		ssize_t got;
		int c = accept(s, NULL, NULL);
		bool right, known;
		const char *say;

		while (n < sizeof text - 1 && strstr(text, "\nend\n") == NULL && (got = read(c, text + n, sizeof text - 1 - n)) > 0)
			text[n += (size_t)got] = '\0';
		known = strstr(text, "account:ann\n") != NULL || strstr(text, "account:root\n") != NULL;
		right = strstr(text, "password:secret\n") != NULL;
		say = !known ? "auth_ok:0\nend\n" : !right ? "auth_ok:-1\nend\n" : strstr(text, "account:root\n") != NULL
		    ? "auth_ok:1\nuid:2\ngid:4000\ndir:/srv\nend\n" : "auth_ok:1\nuid:4000\ngid:4000\ndir:/srv\nend\n";
		if (write(c, say, strlen(say)) < 0)
			_exit(1);
		close(c);
	}
}

static void
make_external(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)str_format(a.sun_path, sizeof a.sun_path, "%s/authd", test_dir);
	(void)unlink(a.sun_path);
	ck_assert_int_eq(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(s, 16), 0);
	program = fork();
	if (program == 0)
		answer(s);
	close(s);
}

static void
make_nothing(void)
{
}

enum { CONFIG, SHADOW, PAM, PASSWD_FILE, DATABASE, EXTERNAL };

static const struct { const char *config; void (*make)(void); } sources[] = {
	[CONFIG] = { in_config, make_nothing }, [SHADOW] = { in_shadow, make_nothing }, [PAM] = { in_pam, make_nothing },
	[PASSWD_FILE] = { in_passwd_file, make_passwd_file }, [DATABASE] = { in_database, make_database },
	[EXTERNAL] = { in_external, make_external }
};

/* source, name, password, what the log says, has it proven itself, what it is told */
static const struct try { int source; const char *user, *password; enum account_reason why; bool proven; enum account_reason told; } tries[] = {
	{ CONFIG, "dear", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ CONFIG, "plain", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ CONFIG, "nobody-here", "wrong", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ CONFIG, "../dear", "wrong", REASON_BAD_NAME, false, REASON_NONE },
	{ CONFIG, "crypted", "wrong", REASON_TLS, false, REASON_NONE },
	{ CONFIG, "crypted", "secret", REASON_TLS, true, REASON_TLS },
	{ CONFIG, "lost", "wrong", REASON_SETTINGS, false, REASON_NONE },
	{ CONFIG, "lost", "secret", REASON_SETTINGS, true, REASON_SETTINGS },
	{ CONFIG, "gone", "wrong", REASON_SETTINGS, false, REASON_NONE },
	{ CONFIG, "gone", "secret", REASON_SETTINGS, true, REASON_SETTINGS },
	{ CONFIG, "old", "wrong", REASON_EXPIRED, false, REASON_NONE },
	{ CONFIG, "old", "secret", REASON_EXPIRED, true, REASON_EXPIRED },
	{ CONFIG, "off", "wrong", REASON_DISABLED, false, REASON_NONE },
	{ CONFIG, "far", "wrong", REASON_ADDRESS, false, REASON_NONE },
	{ CONFIG, "starred", "*", REASON_LOCKED, false, REASON_NONE },
	{ CONFIG, "banged", "secret", REASON_LOCKED, false, REASON_NONE },
	{ CONFIG, "odd", "secret", REASON_HASH_UNSUPPORTED, false, REASON_NONE },
	{ CONFIG, "clear", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ CONFIG, "hollow", "", REASON_EMPTY_PASSWORD, false, REASON_NONE },
	{ CONFIG, "hollow", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ CONFIG, "dear", "", REASON_EMPTY_PASSWORD, false, REASON_NONE },
	{ CONFIG, "nobody-here", "", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ CONFIG, "keyed", "wrong", REASON_LOCKED, false, REASON_NONE },
	{ SHADOW, "heidi@example.org", "wrong", REASON_SETTINGS, false, REASON_NONE },
	{ SHADOW, "heidi@example.org", "secret", REASON_SETTINGS, true, REASON_SETTINGS },
	{ SHADOW, "alice", "wrong", REASON_TLS, false, REASON_NONE },
	{ SHADOW, "alice", "secret", REASON_TLS, true, REASON_TLS },
	{ SHADOW, "bob", "wrong", REASON_SHELL, false, REASON_NONE },
	{ SHADOW, "dave", "wrong", REASON_UID, false, REASON_NONE },
	{ SHADOW, "erin", "secret", REASON_LOCKED, false, REASON_NONE },
	{ SHADOW, "frank", "wrong", REASON_EXPIRED, false, REASON_NONE },
	{ SHADOW, "frank", "secret", REASON_EXPIRED, true, REASON_EXPIRED },
	{ SHADOW, "judy", "secret", REASON_EXPIRED, true, REASON_EXPIRED },		/* chage -E 0 */
	{ SHADOW, "ken", "", REASON_EMPTY_PASSWORD, false, REASON_NONE },		/* an empty field */
	{ SHADOW, "ken", "x", REASON_LOCKED, false, REASON_NONE },
	{ SHADOW, "www", "secret", REASON_SHELL, false, REASON_NONE },			/* has no entry there */
	{ SHADOW, "nobody-here", "wrong", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ PAM, "alice", "wrong", REASON_TLS, false, REASON_NONE },
	{ PAM, "alice", "secret", REASON_TLS, true, REASON_TLS },
	{ PAM, "DOMAIN\\grace", "wrong", REASON_SETTINGS, false, REASON_NONE },
	{ PAM, "DOMAIN\\grace", "secret", REASON_SETTINGS, true, REASON_SETTINGS },
	{ PAM, "heidi@example.org", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ PAM, "bob", "secret", REASON_SHELL, false, REASON_NONE },
	{ PAM, "alice", "", REASON_TLS, false, REASON_NONE },
	{ PAM, "nobody-here", "wrong", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ PASSWD_FILE, "ann", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ PASSWD_FILE, "hash", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ PASSWD_FILE, "bert", "", REASON_EMPTY_PASSWORD, false, REASON_NONE },
	{ PASSWD_FILE, "bert", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ PASSWD_FILE, "lock", "x", REASON_LOCKED, false, REASON_NONE },
	{ PASSWD_FILE, "nobody-here", "wrong", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ DATABASE, "ann", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ DATABASE, "md", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ DATABASE, "none", "wrong", REASON_LOCKED, false, REASON_NONE },
	{ DATABASE, "void", "", REASON_EMPTY_PASSWORD, false, REASON_NONE },
	{ DATABASE, "lock", "secret", REASON_LOCKED, false, REASON_NONE },
	{ DATABASE, "bert", "", REASON_EMPTY_PASSWORD, false, REASON_NONE },
	{ DATABASE, "clear", "wrong", REASON_WRONG_PASSWORD, false, REASON_NONE },
	{ DATABASE, "tess", "wrong", REASON_TLS, false, REASON_NONE },
	{ DATABASE, "tess", "secret", REASON_TLS, true, REASON_TLS },
	{ DATABASE, "classy", "wrong", REASON_SETTINGS, false, REASON_NONE },
	{ DATABASE, "classy", "secret", REASON_SETTINGS, true, REASON_SETTINGS },
	{ DATABASE, "ned", "wrong", REASON_SETTINGS, false, REASON_NONE },
	{ DATABASE, "ned", "secret", REASON_SETTINGS, true, REASON_SETTINGS },
	{ DATABASE, "nobody-here", "wrong", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ EXTERNAL, "ann", "wrong", REASON_SOURCE, false, REASON_NONE },
	{ EXTERNAL, "ann", "", REASON_UNKNOWN_USER, false, REASON_NONE },
	{ EXTERNAL, "root", "wrong", REASON_SOURCE, false, REASON_NONE },
	{ EXTERNAL, "root", "secret", REASON_UID, true, REASON_UID },
	{ EXTERNAL, "nobody-here", "wrong", REASON_UNKNOWN_USER, false, REASON_NONE }
};

static const struct account_sources *
open_source(int i)
{
	char text[4096];
	const char *mark = strstr(sources[i].config, "%s");

	sources[i].make();
	if (mark == NULL)
		return test_sources(sources[i].config);
	(void)str_format(text, sizeof text, "%.*s%s%s", (int)(mark - sources[i].config), sources[i].config, test_dir, mark + 2);
	return test_sources(text);
}

static void
end_program(void)
{
	if (program > 0) {
		kill(program, SIGKILL);
		waitpid(program, NULL, 0);
	}
	program = 0;
}

/* Sets how long all hashes take here, for this process. */
static void
claim_time(int64_t us)
{
	hashes_close();
	for (int i = 0; i < PASSWORD_WORKS; i++)
		if (hashes_at(i) != NULL)
			((struct hash_known *)(uintptr_t)hashes_at(i))->us = us;
}

/* Was exactly that done which every refusal costs: of each kind the dearest, so many times? */
static bool
all_was_done(unsigned times, const char *user)
{
	unsigned kinds = 0;

	for (int i = 0; i < PASSWORD_WORKS; i++) {
		uint64_t wanted = hashes_at(i) == NULL ? 0 : times * hashes_at(i)->work, slack = wanted / 32;

		kinds += wanted > 0;
		if (made.work[i] + slack < wanted || made.work[i] > wanted + slack) {
			fprintf(stderr, "%s: %llu of %llu at %d\n", user, (unsigned long long)made.work[i],
			    (unsigned long long)wanted, i);
			return false;
		}
	}
	return kinds > 0;
}

START_TEST(nobody_is_told_why)
{
	const struct try *t = &tries[_i];
	const struct account_sources *s;
	enum account_reason why;
	enum account_result r;
	struct account a;

	if (needs_root(__func__) || (t->source == PAM && needs_plain_build(__func__)))
		return;
	s = open_source(t->source);
	claim_time(INT64_MAX / 4);	/* whatever PAM has done, it was no hash */
	memset(&made, 0, sizeof made);
	r = test_login(s, t->user, t->password, &a, &why);
	end_program();
	ck_assert_msg(r != ACCOUNT_FOUND && r != ACCOUNT_UNAVAILABLE && why == t->why, "%s/%s: %s, %s", t->user, t->password,
	    account_result_word(r), account_reason_word(why));
	ck_assert_msg(a.proven == t->proven && a.told == t->told, "%s/%s: proven %d, told %s", t->user, t->password, a.proven,
	    account_reason_word(a.told));
	/* Whoever has the right password knows that the name exists. */
	ck_assert_msg(t->proven || all_was_done(t->source == PAM ? 2 : 1, t->user), "%s/%s: %u hashes", t->user, t->password,
	    made.all);
	account_free(&a);
}
END_TEST

/*
 * What PAM's modules have hashed already is not hashed again; an unknown name has only asked them for the look of
 * it.
 */
START_TEST(pam_hashes_count)
{
	static const struct { const char *user; unsigned hashes; } users[] = { { "heidi@example.org", 0 }, { "nobody-here", 2 } };
	enum account_reason why;
	struct account a;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	for (size_t i = 0; i < 2; i++) {
		const struct account_sources *s = open_source(PAM);

		claim_time(0);
		memset(&made, 0, sizeof made);
		(void)test_login(s, users[i].user, "wrong", &a, &why);
		ck_assert_uint_eq(made.all, users[i].hashes);
		account_free(&a);
	}
}
END_TEST

/* Where a source behind the one that knows the name is broken, nobody can be told apart by 421 and 530. */
START_TEST(a_broken_source_is_broken_for_all)
{
	static const char *const users[] = { "pat", "nobody-here" };
	enum account_reason why;
	struct account a;
	char text[1024];

	if (needs_root(__func__))
		return;
	test_write("broken.db", "this is no database, but long enough to be looked at by SQLite as one, which it does not like at all");
	(void)str_format(text, sizeof text, "[server]\naccounts = config, database\naccounts_database = %s/broken.db\nvirtual_user = 4000\n"
	    "[account pat]\npassword = " SHA "\n" RUN, test_dir);
	for (size_t i = 0; i < 2; i++) {
		const struct account_sources *s = test_sources(text);

		ck_assert_int_ne(test_login(s, users[i], "wrong", &a, &why), ACCOUNT_FOUND);
		ck_assert_int_eq(a.told, REASON_UNAVAILABLE);
		account_free(&a);
	}
	/* The log has the truth, and the right password its session. */
	(void)test_login(test_sources(text), "pat", "wrong", &a, &why);
	ck_assert_int_eq(why, REASON_WRONG_PASSWORD);
	account_free(&a);
	ck_assert_int_eq(test_login(test_sources(text), "pat", "secret", &a, &why), ACCOUNT_FOUND);
	account_free(&a);
}
END_TEST

/* configuration, source, name, is the empty password right */
static const struct { const char *setting, *user; bool right; } empties[] = {
	{ "", "hollow", false }, { "allow_empty_passwords = yes", "hollow", true }, { "", "kim", true }, { "", "lea", false },
	{ "allow_empty_passwords = yes", "plain", false }, { "allow_empty_passwords = yes", "lea", false },
	{ "", "anonymous", true }, { "", "blank", false }, { "allow_empty_passwords = yes", "blank", true }
};

START_TEST(empty_passwords)
{
	enum account_reason why;
	enum account_result r;
	struct account a;
	char text[2048];

	if (needs_root(__func__))
		return;
	(void)str_format(text, sizeof text, "[server]\naccounts = config, anonymous\nanonymous_user = ftp\n%s\n"
	    "[account hollow]\npassword = {CLEAR}\n" RUN "[account kim]\npassword = {CLEAR}\nallow_empty_passwords = yes\n" RUN
	    "[account lea]\npassword = {CLEAR}\nallow_empty_passwords = no\n" RUN "[account plain]\npassword = " MD5 "\n" RUN
	    "[account blank]\npassword = $1$saltsalt$5Jhcit4zN9UlGiA0txPkO0\n" RUN, empties[_i].setting);
	r = test_login(test_sources(text), empties[_i].user, "", &a, &why);
	ck_assert_msg((r == ACCOUNT_FOUND) == empties[_i].right, "%s, %s: %s, %s", empties[_i].setting, empties[_i].user,
	    account_result_word(r), account_reason_word(why));
	account_free(&a);
	/* What allows an empty one does not allow others. */
	ck_assert_int_ne(test_login(test_sources(text), "hollow", "x", &a, &why), ACCOUNT_FOUND);
	account_free(&a);
}
END_TEST

/* Of each measure a cheap and a dear one, and what has none. "secret", or nothing that a password would fit. */
static const char *const mixed[] = {
	"$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "saHW9GdxihkGQ", "_J9..rasmBYk8r9AiWNc", "{CLEAR}other", "*", "$99$x$y",
	"$5$rounds=1000$saltsalt$x", "$5$saltsalt$x", "$6$saltsalt$x", "$6$rounds=9001$saltsalt$x", "$6$rounds=999999999$salt$x",
	"$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
	"$2y$07$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "$y$j75$saltsaltsaltsalt$x", "$y$j8T$saltsaltsaltsalt$x",
	"$7$86..../....saltsalt$x", "$7$A6..../....saltsalt$x", "$y$zzzz$x$y", "$6", "$2b$", "$sha1$900$saltsalt$x",
	"$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE",
	"$pbkdf2-sha256$2900$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE",
	"$pbkdf2-b64salt-sha256$1500$c2FsdHNhbHRzYWx0c2FsdA==$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa+mfE=",
	"$pbkdf2$1000$c2FsdHNhbHRzYWx0c2FsdA$Gl3hdYiKRqzegI7vLGvFG.A89N0", "$pbkdf2-md5$9$c2FsdA$dClv",
#ifdef HAVE_SODIUM
	"$argon2id$v=19$m=8,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
	"$argon2id$v=19$m=4096,t=3,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
	"$argon2id$v=19$m=3000,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
#endif
};

#define MIXED ((int)(sizeof mixed / sizeof *mixed))

/* A refusal of that name costs what that of any other costs. */
static void
refuse_evenly(const struct account_sources *s, const char *user)
{
	enum account_reason why;
	struct account a;

	memset(&made, 0, sizeof made);
	ck_assert_int_ne(test_login(s, user, "wrong", &a, &why), ACCOUNT_FOUND);
	account_free(&a);
	ck_assert(all_was_done(1, user));
}

START_TEST(kinds_of_hashes_are_not_told_apart)
{
	char text[16384] = "[server]\naccounts = config\npassword_cost = 1\n", user[24];
	const struct account_sources *s;

	if (needs_root(__func__))
		return;
	for (int i = 0; i < MIXED; i++)
		(void)str_format(text + strlen(text), sizeof text - strlen(text), "[account u%d]\npassword = %s\n" RUN, i, mixed[i]);
	s = test_sources(text);
	refuse_evenly(s, "nobody-here");
	ck_assert_uint_ge(made.all, 8);
	for (int i = 0; i < MIXED; i++) {
		if (strstr(mixed[i], "999999999") != NULL)
			continue;	/* nothing that others should pay for, or this test */
		(void)str_format(user, sizeof user, "u%d", i);
		refuse_evenly(s, user);
	}
}
END_TEST

/*
 * A hash that can be computed, and one that asks for more work of the same measure and cannot: by a character, a
 * length or a number that is wrong.
 */
static const struct { const char *sound, *broken; } unsound[] = {
	{ "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", "$md5,rounds=9000saltsalt$x" }, { "_J9..rasmBYk8r9AiWNc", "_JC..ra:mBYk8r9AiWNc" },
	{ "$5$rounds=1000$saltsalt$x", "$5$rounds=20000x$saltsalt$x" }, { "$5$rounds=1000$saltsalt$x", "$5$rounds=020000$saltsalt$x" },
	{ "$6$rounds=1000$saltsalt$x", "$6$rounds=20000$sa:t$x" },
	{ "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "$2b$09$short" },
	{ "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "$2b$9$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW" },
	{ "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", "$2y$09$abcdefghij:lmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW" },
	{ "$y$j75$saltsaltsaltsalt$x", "$y$jA5$sa:t$x" },
	{ "$7$86..../....saltsalt$x", "$7$A6..../...:saltsalt$x" }, { "$sha1$900$saltsalt$x", "$sha1$20000x$saltsalt$x" },
	{ "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE",
	  "$pbkdf2-sha256$20000$c2FsdHNhbHRz:Wx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE" },
	{ "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE", "$pbkdf2-sha256$20000$c2FsdHNhbHRz" },
#ifdef HAVE_SODIUM
	{ "$argon2id$v=19$m=8,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
	  "$argon2id$v=19$m=4096,t=3,p=1$6x8EyMSD:YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94" },
	{ "$argon2i$v=19$m=8,t=3,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
	  "$argon2i$v=19$m=4096,t=3,p=1,keyid=aa$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94" },
	{ "$argon2id$v=19$m=8,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94",
	  "$argon2id$v=19$m=4096,t=3$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94" },
#endif
};

/* The sound one stays what refusals cost, whichever is read first. */
START_TEST(broken_hashes_cost_nothing_and_save_nothing)
{
	const char *sound = unsound[_i / 2].sound, *broken = unsound[_i / 2].broken;
	int place = password_place(sound);
	const struct account_sources *s;
	char text[2048];

	if (needs_root(__func__))
		return;
	(void)str_format(text, sizeof text, "[server]\naccounts = config\npassword_cost = 1\n[account u0]\npassword = %s\n" RUN
	    "[account u1]\npassword = %s\n" RUN, _i % 2 == 0 ? sound : broken, _i % 2 == 0 ? broken : sound);
	s = test_sources(text);
	ck_assert_ptr_nonnull(hashes_at(place));
	ck_assert_uint_eq(hashes_at(place)->work, password_work(sound));
	refuse_evenly(s, "nobody-here");
	refuse_evenly(s, "u0");
	refuse_evenly(s, "u1");
	ck_assert_uint_eq(hashes_at(place)->work, password_work(sound));
}
END_TEST

/* What was not there when the template looked is seen at the next refusal, whoever it refuses. */
START_TEST(later_accounts_are_counted_in)
{
	static const char *const names[] = { "nobody-here", "ann", "bob" };
	char path[600], user[24];
	const struct account_sources *s;
	struct db *db;

	if (needs_root(__func__))
		return;
	make_passwd_file();
	s = open_source(_i == 0 ? DATABASE : PASSWD_FILE);
	refuse_evenly(s, "nobody-here");
	ck_assert_ptr_null(hashes_at(password_place("$2b$05$")));
	if (_i == 0) {
		(void)str_format(path, sizeof path, "%s/refusal.db", test_dir);
		ck_assert_int_eq(db_open_sqlite(path, true, &db), 0);
		for (int i = 0; i < 1200; i++) {	/* more than are read at once */
			(void)str_format(user, sizeof user, "%04d", i);
			ck_assert_int_eq(store_add(db, i < 1199 ? user : "zoe", i < 1199 ? "*" : mixed[12]), 0);
		}
		db->kind->close(db);
	} else {
		(void)str_format(path, sizeof path, "%szoe:%s:1008:/\n", passwd_file, mixed[12]);
		test_write(".passwd", path);
	}
	for (int i = 0; i < 4; i++) {
		struct account a;
		enum account_reason why;

		memset(&made, 0, sizeof made);
		(void)test_login(s, i < 3 ? names[i] : "zoe", "wrong", &a, &why);
		account_free(&a);
		ck_assert_ptr_nonnull(hashes_at(password_place("$2b$05$")));
		/* The first has tried it out besides. */
		ck_assert(i == 0 || all_was_done(1, names[i % 3]));
	}
}
END_TEST

/* What one session has met, the others know. */
START_TEST(sessions_learn_from_each_other)
{
	const struct account_sources *s = test_sources("[server]\naccounts = config\npassword_cost = 1\n");
	int status;
	pid_t pid;

	if (needs_root(__func__))
		return;
	pid = fork();
	if (pid == 0) {
		hashes_meet(mixed[12]);
		hashes_meet(mixed[11]);		/* cheaper: nothing new */
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_ptr_null(hashes_at(password_place("$2b$05$")));
	refuse_evenly(s, "nobody-here");
	ck_assert_uint_eq(made.work[password_place("$2b$05$")], 1 << 7);
	ck_assert_ptr_null(strstr(hashes_at(password_place("$2b$05$"))->hash, "2r9OfJ"));	/* it is no secret */
}
END_TEST

/* hash, other of the same measure, does it cost more, does it cost the same */
static const struct { const char *hash, *other; bool dearer, same; } costs[] = {
	{ SHA, SHA, false, true }, { MD5, MD5, false, true },
	{ "$6$rounds=9000$a$b", "$6$a$b", true, false }, { "$6$rounds=5000$a$b", "$6$a$b", false, true },
	{ "$y$j9T$salt$x", "$y$j75$salt$x", true, false }, { "$y$j9T$salt$x", "$y$j9T$other$y", false, true },
	{ "$2b$10$a", "$2b$12$a", false, false }, { "$2a$12$a", "$2y$10$a", true, false },
	{ "$pbkdf2-sha256$9$a$b", "$pbkdf2-sha256$8$a$b", true, false }, { "$pbkdf2-sha256$9$a$b", "$pbkdf2-sha256$9$c$d", false, true },
	{ "$pbkdf2-sha256$9$a$b", "$pbkdf2-b64salt-sha256$8$a$b", true, false }, { "$7$96..../....a$b", "$7$86..../....a$b", true, false }, { "$7$86....0....a$b", "$7$86..../....a$b", true, false },
	{ "$6$saltrounds=9000$x", "$6$a$b", false, true }, { "$md5$rounds=9000$x", "$md5$a$x", false, true },
	{ "$md5,rounds=9$a$x", "$md5$a$x", true, false }, { "_J9..aaaa", "_I9..aaaa", true, false }, { "*", "!", false, true }
};

START_TEST(what_hashes_cost)
{
	ck_assert_int_eq(password_place(costs[_i].hash), password_place(costs[_i].other));
	ck_assert_int_eq(password_work(costs[_i].hash) > password_work(costs[_i].other), costs[_i].dearer);
	ck_assert_int_eq(password_work(costs[_i].hash) == password_work(costs[_i].other), costs[_i].same);
}
END_TEST

Suite *
account_refusal_suite(void)
{
	Suite *s = suite_create("account/refusal");
	TCase *t = tcase_create("refusal");

	tcase_add_loop_test(t, nobody_is_told_why, 0, (int)(sizeof tries / sizeof *tries));
	tcase_add_test(t, pam_hashes_count);
	tcase_add_test(t, a_broken_source_is_broken_for_all);
	tcase_add_loop_test(t, empty_passwords, 0, (int)(sizeof empties / sizeof *empties));
	tcase_add_test(t, kinds_of_hashes_are_not_told_apart);
	tcase_add_loop_test(t, broken_hashes_cost_nothing_and_save_nothing, 0, (int)(2 * sizeof unsound / sizeof *unsound));
	tcase_add_loop_test(t, later_accounts_are_counted_in, 0, 2);
	tcase_add_test(t, sessions_learn_from_each_other);
	tcase_add_loop_test(t, what_hashes_cost, 0, (int)(sizeof costs / sizeof *costs));
	suite_add_tcase(s, t);
	return s;
}
