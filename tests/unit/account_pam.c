#include "config.h"

#include <string.h>
#include <unistd.h>

#include "tests/unit/account.h"
#include "tests/unit/root.h"

static const char config[] =
	"[server]\naccounts = pam\nftpusers_file = /none\nrequire_valid_shell = no\npam_service = sallyport\n";

static const struct { const char *user, *password; enum account_result r; enum account_reason why; } logins[] = {
	{ "alice", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "alice", "wrong", ACCOUNT_REFUSED, REASON_WRONG_PASSWORD },
	{ "DOMAIN\\grace", "secret", ACCOUNT_FOUND, REASON_NONE },
	{ "bob", "secret", ACCOUNT_REFUSED, REASON_ACCOUNT },	/* allowed for another service only: account management */
	{ "heidi@example.org", "secret", ACCOUNT_REFUSED, REASON_WRONG_PASSWORD },	/* of the system, unknown to the module */
	{ "mallory", "secret", ACCOUNT_UNKNOWN, REASON_UNKNOWN_USER },
	{ "root", "secret", ACCOUNT_REFUSED, REASON_UID }
};

START_TEST(who_gets_in)
{
	const struct account_sources *s = test_sources(config);
	enum account_reason why;
	enum account_result r;
	struct account a;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	r = test_login(s, logins[_i].user, logins[_i].password, &a, &why);
	ck_assert_msg(r == logins[_i].r && why == logins[_i].why, "%s: %s, %s", logins[_i].user, account_result_word(r),
	    account_reason_word(why));
	ck_assert_ptr_null(a.login_state);	/* no session was asked for: no handle stays */
	account_free(&a);
}
END_TEST

/* A certificate takes the place of the password, not that of account management. */
START_TEST(certificates)
{
	const struct account_sources *s = test_sources(
	    "[server]\naccounts = pam\nftpusers_file = /none\nrequire_valid_shell = no\npam_service = sallyport\n"
	    "[tls]\ncertificate = /x\nprivate_key = /y\nclient_certificate = request\nclient_ca = /z\n"
	    "[account alice]\ncertificate_login = instead_of_password\ncertificate_id = dns:pc7\n"
	    "[account bob]\ncertificate_login = instead_of_password\ncertificate_id = dns:pc7\n");
	enum account_reason why;
	bool admits;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	ck_assert_int_eq(test_certificate_login(s, "alice", "dns:pc7\n", &admits, &why), ACCOUNT_FOUND);
	ck_assert_int_eq(test_certificate_login(s, "bob", "dns:pc7\n", &admits, &why), ACCOUNT_REFUSED);
	ck_assert_int_eq(why, REASON_ACCOUNT);
	ck_assert_int_eq(test_certificate_login(s, "alice", "dns:pc8\n", &admits, &why), ACCOUNT_REFUSED);
	ck_assert_int_eq(why, REASON_EMPTY_PASSWORD);
}
END_TEST

START_TEST(missing_service_is_unavailable)
{
	const struct account_sources *s = test_sources("[server]\naccounts = pam\nftpusers_file = /none\npam_service = no-such-service\n");
	enum account_reason why;
	struct account a;
	enum account_result r;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	r = test_login(s, "alice", "secret", &a, &why);
	ck_assert(r == ACCOUNT_UNAVAILABLE || r == ACCOUNT_REFUSED);
	account_free(&a);
}
END_TEST

START_TEST(sessions_open_and_close)
{
	static const char with_session[] = "[server]\naccounts = pam\nftpusers_file = /none\npam_session = yes\n";
	const struct account_sources *s = test_sources(with_session);
	enum account_reason why;
	struct account a;

	if (needs_root(__func__) || needs_plain_build(__func__))
		return;
	ck_assert_int_eq(test_login(s, "alice", "secret", &a, &why), ACCOUNT_FOUND);
	ck_assert(a.flags & ACCOUNT_PAM_SESSION);
	ck_assert_ptr_nonnull(a.login_state);
	ck_assert_int_eq(a.source->session_open(a.source_state, &a), 0);
	a.source->session_close(a.source_state, &a);
	ck_assert_ptr_null(a.login_state);
	account_free(&a);
}
END_TEST

Suite *
account_pam_suite(void)
{
	Suite *s = suite_create("account/pam");
	TCase *t = tcase_create("pam");

	tcase_add_loop_test(t, who_gets_in, 0, (int)(sizeof logins / sizeof *logins));
	tcase_add_test(t, certificates);
	tcase_add_test(t, missing_service_is_unavailable);
	tcase_add_test(t, sessions_open_and_close);
	suite_add_tcase(s, t);
	return s;
}
