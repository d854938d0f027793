#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account/password.h"
#include "account/turn.h"
#include "tests/unit/account.h"

/* Made with openssl passwd, python's crypt and libsodium. */
#define MD5_SECRET	"9xy1btjgzLYfb7hivXtC//"
#define SHA256_SECRET	"0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"
#define SHA512_SECRET	"TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
#define BCRYPT_SECRET	"$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define BCRYPT_DEAR_SECRET "$2b$10$abcdefghijklmnopqrstuuqflPDzB6gcMhKa1rZqKiun2YGL5sa2u"
#define SCRYPT_SECRET	"$7$8./..../....saltsalt$UTqG2LKiHX9QyGPMv1JfuDLMvCnpShNXwF.3Uig3wG4"
#define YESCRYPT_CHEAP_SECRET "$y$j75$saltsaltsaltsalt$DsMjm5uqUiFBUYLB9CLnX8E/M0k0mOVJBUWdpCrUik9"
#define YESCRYPT_SECRET	"$y$j9T$saltsaltsaltsalt$.Zt5W26jjocuW0wIHGgB6AJelofw6GEpOypHGyow2y5"
/* In the ways of passlib, of Go programs, and of the latter with a salt in base64. */
#define PBKDF2_SECRET	"$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE"
#define PBKDF2_SHA1_SECRET "$pbkdf2$1000$c2FsdHNhbHRzYWx0c2FsdA$Gl3hdYiKRqzegI7vLGvFG.A89N0"
#define PBKDF2_GO_SECRET \
	"$pbkdf2-sha512$1000$saltsalt$sm09rUzS3++3+cqsWziIoWFO8bEknKwJwGEvyD1ra4PcWJt5OiWFlM/BVv8ybJe4XW8qMpq33ecFrOaibNGiHA=="
#define PBKDF2_B64_SECRET \
	"$pbkdf2-b64salt-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA==$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa+mfE="
#define ARGON2ID_DEAR_SECRET \
	"$argon2id$v=19$m=65536,t=2,p=1$/luBvS0/34ZD8R17gXMU5g$hDfyolBiCLAV6KIX0KEh990+lPAC+8rs61JgjRTQg6M"
#define ARGON2ID_SECRET	"$argon2id$v=19$m=8,t=1,p=1$6x8EyMSD+YFy6dbBIur8NA$3QL/qDBqrdMigsV4rCk8j50/UhOTQGlUvyjw5VXeF94"

static void
set(struct secret *s, const char *text)
{
	ck_assert_int_eq(secret_set(s, text, strlen(text)), 0);
}

/* "secret" under every kind of hash, made by other programs. */
static const struct { const char *kind, *hash; bool outdated; } hashes[] = {
	{ "md5crypt", "$1$saltsalt$" MD5_SECRET, true },
	{ "sha256crypt", "$5$saltsalt$" SHA256_SECRET, true },
	{ "sha512crypt", "$6$saltsalt$" SHA512_SECRET, true },
	{ "bcrypt", BCRYPT_SECRET, true },
	{ "bcrypt", BCRYPT_DEAR_SECRET, false },
	{ "pbkdf2-sha256", PBKDF2_SECRET, true },
	{ "pbkdf2-sha512", PBKDF2_GO_SECRET, true },
	{ "pbkdf2-sha256", PBKDF2_B64_SECRET, true },
	{ "pbkdf2-sha1", PBKDF2_SHA1_SECRET, true },
	{ "scrypt", SCRYPT_SECRET, true },
	{ "yescrypt", YESCRYPT_CHEAP_SECRET, true },
	{ "yescrypt", YESCRYPT_SECRET, false },
	{ "descrypt", "saHW9GdxihkGQ", true },
#ifdef HAVE_SODIUM
	{ "argon2id", ARGON2ID_SECRET, true },
	{ "argon2id", ARGON2ID_DEAR_SECRET, false },
#endif
};

START_TEST(kinds)
{
	struct secret right, wrong, longer;

	set(&right, "secret");
	set(&wrong, "Secret");
	set(&longer, "secretx");
	ck_assert_str_eq(password_kind(hashes[_i].hash), hashes[_i].kind);
	ck_assert_int_eq(password_outdated(hashes[_i].hash), hashes[_i].outdated);
	ck_assert_int_eq(password_check(&right, hashes[_i].hash), PASSWORD_RIGHT);
	ck_assert_int_eq(password_check(&wrong, hashes[_i].hash), PASSWORD_WRONG);
	ck_assert_int_eq(password_check(&longer, hashes[_i].hash), PASSWORD_WRONG);
	password_release();
}
END_TEST

START_TEST(no_password_fits)
{
	static const char *const locked[] = { "", "!", "*", "!!", "!$1$saltsalt$" MD5_SECRET, "*LK*", "*NP*" };
	struct secret p;

	for (size_t i = 0; i < sizeof locked / sizeof *locked; i++) {
		set(&p, "secret");
		ck_assert_int_eq(password_check(&p, locked[i]), PASSWORD_LOCKED);
		set(&p, "");
		ck_assert_int_eq(password_check(&p, locked[i]), PASSWORD_LOCKED);
	}
}
END_TEST

START_TEST(unsupported_is_not_wrong)
{
	static const char *const odd[] = { "$pbkdf2-sha256$0$c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE",
		"$pbkdf2-sha256$99999999$c2FsdA$dClvKSmj66n6MdMWNv3Go4mvH1Ym2WIGiJvquqa.mfE", "$pbkdf2-sha256$10$c2FsdA$dClv",
		"$pbkdf2-md5$10$c2FsdA$dClvKSmj66n6MdMWNv3Gow", "$pbkdf2-sha256$", "$pbkdf2", "$pbkdf2-sha256$1$a$b$c",
		"$99$abc$def", "{SSHA}abcdef", "secret", "$6", "x" };
	struct secret p;

	set(&p, "secret");
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
		ck_assert_msg(password_check(&p, odd[i]) == PASSWORD_UNSUPPORTED, "%s", odd[i]);
	ck_assert_ptr_null(password_kind("{SSHA}abcdef"));
}
END_TEST

START_TEST(made_ones_are_strong_and_salted)
{
	struct secret p;
	char one[PASSWORD_HASH_MAX], two[PASSWORD_HASH_MAX];

	set(&p, "s\xc3\xa9" "cret: with %s");
	ck_assert_int_eq(password_make(&p, one, sizeof one), 0);
	ck_assert_int_eq(password_make(&p, two, sizeof two), 0);
	ck_assert_str_ne(one, two);
	ck_assert(!password_outdated(one));
	ck_assert(password_is_hash(one));
	ck_assert_int_eq(password_check(&p, one), PASSWORD_RIGHT);
	ck_assert_int_eq(password_check(&p, two), PASSWORD_RIGHT);
	password_release();
}
END_TEST

START_TEST(a_higher_cost_makes_old_hashes_outdated)
{
	char hash[PASSWORD_HASH_MAX];
	struct secret p;

	password_set_cost(1);
	set(&p, "secret");
	ck_assert_int_eq(password_make(&p, hash, sizeof hash), 0);
	ck_assert_int_eq(password_check(&p, hash), PASSWORD_RIGHT);
	ck_assert(!password_outdated(hash));
	ck_assert(!password_outdated(YESCRYPT_SECRET));		/* dearer than asked for: stays */
	password_set_cost(6);
	ck_assert(password_outdated(YESCRYPT_SECRET));
	password_set_cost(0);
	ck_assert(password_outdated(hash));
	ck_assert(!password_outdated(YESCRYPT_SECRET));
}
END_TEST

/*
 * Is so much of the budget free, seen from another process? One that waits in vain is ended; one that need not wait
 * is waited for.
 */
static bool
budget_is_free(uint64_t memory, bool expected)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGALRM, SIG_DFL);
		if (!expected)
			alarm(1);
		_exit(turn_take(memory) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

START_TEST(turns_bound_the_memory_of_all)
{
	const uint64_t mib = 1 << 20;
	struct secret p;

	set(&p, "secret");
	ck_assert_int_eq(turn_open(32 * mib), 0);
	ck_assert(budget_is_free(32 * mib, true));
	ck_assert_int_eq(turn_take(16 * mib), 0);
	ck_assert(budget_is_free(16 * mib, true));
	ck_assert(!budget_is_free(32 * mib, false));
	turn_end();
	ck_assert(budget_is_free(32 * mib, true));	/* also after a process that ended with a turn */
	ck_assert_int_eq(turn_take(33 * mib), -E2BIG);
	/* Each check gives its turn back, and one that wants too much is not tried. */
	ck_assert_int_eq(password_check(&p, YESCRYPT_SECRET), PASSWORD_RIGHT);
	ck_assert(budget_is_free(32 * mib, true));
#ifdef HAVE_SODIUM
	ck_assert_int_eq(password_check(&p, ARGON2ID_DEAR_SECRET), PASSWORD_UNSUPPORTED);
	ck_assert_int_eq(turn_open(64 * mib), 0);
	ck_assert_int_eq(password_check(&p, ARGON2ID_DEAR_SECRET), PASSWORD_RIGHT);
#endif
}
END_TEST

/* Who yields leaves half of the budget to others, and waits for others of its kind meanwhile. */
START_TEST(who_yields_keeps_nobody_waiting)
{
	const uint64_t mib = 1 << 20;

	ck_assert_int_eq(turn_open(32 * mib), 0);
	turn_yield(true);
	ck_assert_int_eq(turn_take(16 * mib), 0);
	ck_assert(!budget_is_free(16 * mib, false));
	turn_yield(false);
	ck_assert(budget_is_free(16 * mib, true));
	turn_end();
	turn_yield(true);
	ck_assert(budget_is_free(32 * mib, true));
	turn_yield(false);
}
END_TEST

START_TEST(long_passwords_are_wrong_not_cut)
{
	struct secret p;
	char text[SECRET_MAX + 1];

	memset(text, 'a', sizeof text);
	ck_assert_int_eq(secret_set(&p, text, SECRET_MAX), 0);
	ck_assert_int_eq(password_check(&p, "$1$saltsalt$" MD5_SECRET), PASSWORD_WRONG);
	ck_assert_int_lt(password_make(&p, text, sizeof text), 0);
	/* None at all makes no hash either. */
	ck_assert_int_eq(secret_set(&p, "", 0), 0);
	ck_assert(!password_storable(&p));
	ck_assert_int_lt(password_make(&p, text, sizeof text), 0);
}
END_TEST

START_TEST(comparison)
{
	ck_assert(password_same("abc", 3, "abc", 3));
	ck_assert(!password_same("abc", 3, "abd", 3));
	ck_assert(!password_same("abc", 3, "abcabc", 6));
	ck_assert(!password_same("abcabc", 6, "abc", 3));
	ck_assert(!password_same("a", 1, "", 0));
	ck_assert(!password_same("", 0, "a", 1));
	ck_assert(password_same("", 0, "", 0));
}
END_TEST

START_TEST(masked_hash_costs_the_same_and_tells_nothing)
{
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		char hash[PASSWORD_HASH_MAX];
		struct secret p;

		if (strcmp(hashes[i].kind, "descrypt") == 0)
			continue;
		strncpy(hash, hashes[i].hash, sizeof hash - 1);
		hash[sizeof hash - 1] = '\0';
		password_mask(hash);
		set(&p, "secret");
		ck_assert_str_eq(password_kind(hash), hashes[i].kind);
		ck_assert_str_ne(hash, hashes[i].hash);
		/* It still is a hash that a library takes: wrong, not unsupported, and not refused before the work. */
		ck_assert_msg(password_check(&p, hash) == PASSWORD_WRONG, "%s", hash);
	}
}
END_TEST

/* The memory is lent: whoever gets it next finds nothing of the hash in it. */
START_TEST(nothing_stays_in_the_memory_that_was_lent)
{
	static char memory[PASSWORD_MEMORY];
	struct secret p;

	set(&p, "secret");
	password_lend(memory);
	ck_assert_int_eq((int)password_check(&p, "$6$saltsalt$" SHA512_SECRET), (int)PASSWORD_RIGHT);
	ck_assert_ptr_nonnull(memmem(memory, sizeof memory, SHA512_SECRET, strlen(SHA512_SECRET)));
	password_release();
	for (size_t i = 0; i + 6 < sizeof memory; i++)
		ck_assert(memcmp(memory + i, SHA512_SECRET, 6) != 0 && memcmp(memory + i, "secret", 6) != 0);
}
END_TEST

Suite *
account_password_suite(void)
{
	Suite *s = suite_create("account/password");
	TCase *t = tcase_create("password");

	tcase_add_loop_test(t, kinds, 0, (int)(sizeof hashes / sizeof *hashes));
	tcase_add_test(t, no_password_fits);
	tcase_add_test(t, unsupported_is_not_wrong);
	tcase_add_test(t, made_ones_are_strong_and_salted);
	tcase_add_test(t, a_higher_cost_makes_old_hashes_outdated);
	tcase_add_test(t, turns_bound_the_memory_of_all);
	tcase_add_test(t, who_yields_keeps_nobody_waiting);
	tcase_add_test(t, long_passwords_are_wrong_not_cut);
	tcase_add_test(t, comparison);
	tcase_add_test(t, nothing_stays_in_the_memory_that_was_lent);
	tcase_add_test(t, masked_hash_costs_the_same_and_tells_nothing);
	suite_add_tcase(s, t);
	return s;
}
