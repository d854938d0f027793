#include "config.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/str.h"
#include "privsep/role.h"
#include "tests/unit/monitor.h"
#include "tests/unit/root.h"

static struct rig r;

static void
expect_refusal(unsigned code, bool last)
{
	rig_expect(&r, &r.login, MSG_LOGIN_REFUSED);
	ck_assert_uint_eq(r.m.login_refused.code, code);
	ck_assert_uint_eq(r.m.login_refused.last, last);
	ck_assert_uint_eq(r.m.id, 77);
}

static void
expect_penalty(const char *user)
{
	rig_expect(&r, &r.listener, MSG_LOGIN_FAILED);
	ck_assert_str_eq(r.m.login_failed.user, user);
}

START_TEST(the_agent_gets_the_whole_profile)
{
	static struct msg_profile p;
	struct stat st;
	int fd;

	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "alice", "secret");
	rig_admit(&r, &p, &fd);
	ck_assert_str_eq(p.user, "alice");
	ck_assert_str_eq(p.start, "/in");
	ck_assert_uint_eq(p.session, 0x4f2a);
	ck_assert_uint_eq(p.umask, 027);
	ck_assert(p.flags & PROFILE_JAIL);
	ck_assert(!(p.flags & PROFILE_CHOWN));
	if (geteuid() == 0) {
		ck_assert_uint_eq(p.uid, 4000);
		ck_assert_uint_eq(p.gid, 4001);
		ck_assert_uint_eq(p.groups_len, 0);
	}
	ck_assert_ptr_nonnull(strstr(p.settings, "umask=027\n"));
	ck_assert_ptr_null(strstr(p.settings, "password"));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	close(fd);
	ck_assert_str_eq(r.m.login_ok.start, "/in");
	ck_assert_uint_eq(r.m.login_ok.rights, 0x123);
	ck_assert_uint_eq(r.m.id, 77);
	/* The login channel is closed: the worker talks to nobody who decides logins any more. */
	ck_assert_int_eq(chan_receive(&r.login, &r.m, ~0u), SP_ECLOSED);
	ck_assert(rig_logged(&r, "event=login session=4f2a rhost=192.0.2.7 user=alice"));
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* Why the listener counts no session, what the client is told, and what stands in the log. */
static const struct {
	struct msg_claimed verdict;
	const char *text, *logged;
} not_counted[] = {
	{ { .verdict = 1 }, "There are too many sessions of this account.", "reason=too-many-sessions limit=max_sessions_per_user value=7 " },
	{ { .verdict = 2 }, "There are too many sessions of this account's class.",
	    "reason=too-many-sessions-of-class limit=max_sessions_per_class password=right " },
	{ { .verdict = 3 }, "Logging in is not possible at the moment. Try again later.", "reason=source-unavailable password=right " },
	{ { .verdict = 4 }, "There are too many sessions of this account.", "reason=too-many-sessions limit=processes password" },
	{ { .verdict = 77 }, "Logging in is not possible at the moment. Try again later.", "reason=source-unavailable password=right " }
};

START_TEST(limits_are_claimed)
{
	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "alice", "secret");
	rig_expect(&r, &r.listener, MSG_CLAIM);
	ck_assert_str_eq(r.m.claim.user, "alice");
	ck_assert_uint_eq(r.m.claim.max_per_user, 7);
	ck_assert_int_eq(chan_answer(&r.listener, &r.m, MSG_CLAIMED, &not_counted[_i].verdict, NULL, 0), 0);
	expect_refusal(421, true);
	ck_assert_str_eq(r.m.login_refused.text, not_counted[_i].text);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_NOAUTH);
	ck_assert(rig_logged(&r, not_counted[_i].logged));
	rig_remove(&r);
}
END_TEST

START_TEST(without_jail_the_root_is_the_systems)
{
	static struct msg_profile p;
	struct stat st, root;
	int fd;

	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "free", "secret");
	rig_admit(&r, &p, &fd);
	ck_assert(!(p.flags & PROFILE_JAIL));
	ck_assert(p.flags & PROFILE_CHOWN);
	ck_assert_str_eq(p.home, "/");
	ck_assert_ptr_nonnull(strstr(p.start, "/alice"));
	ck_assert_ptr_nonnull(strstr(p.settings, "active_mode=no\n"));
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(stat("/", &root), 0);
	ck_assert_uint_eq(st.st_ino, root.st_ino);
	close(fd);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

START_TEST(attempts_are_bounded)
{
	rig_start(&r, "login_attempts = 3");
	rig_ready(&r);
	rig_client(&r);
	for (int i = 1; i <= 3; i++) {
		static const char *const users[] = { "alice", "mallory", "../alice" };

		rig_login(&r, users[i - 1], "wrong");
		expect_penalty(users[i - 1]);
		expect_refusal(530, i == 3);
		ck_assert_str_eq(r.m.login_refused.text, "Login incorrect.");
	}
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_AUTHFAIL);
	ck_assert(rig_logged(&r, "event=auth-failure session=4f2a rhost=192.0.2.7 user=alice reason=wrong-password"));
	ck_assert(rig_logged(&r, "event=auth-failure session=4f2a rhost=192.0.2.7 user=mallory reason=unknown-user"));
	ck_assert(rig_logged(&r, "event=auth-failure session=4f2a rhost=192.0.2.7 user=../alice reason=bad-name"));
	ck_assert(!rig_logged(&r, "=wrong "));	/* no password */
	rig_remove(&r);
}
END_TEST

START_TEST(a_failure_does_not_spoil_the_next_attempt)
{
	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "alice", "wrong");
	expect_penalty("alice");
	expect_refusal(530, false);
	rig_login(&r, "alice", "secret");
	rig_admit(&r, NULL, NULL);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

static int64_t
time_of_refusal(const char *user)
{
	int64_t began = clock_ms();

	rig_login(&r, user, "wrong");
	expect_penalty(user);
	expect_refusal(530, false);
	return clock_ms() - began;
}

/* With the right password: an answer that would be the same with a wrong one comes as late. */
START_TEST(a_right_password_does_not_show_in_the_time)
{
	static const char *const users[] = { "closed", "past" };

	rig_login_delay = "1s";
	rig_start(&r, "");
	rig_login_delay = "0";
	rig_ready(&r);
	rig_client(&r);
	for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
		int64_t began = clock_ms();

		rig_login(&r, users[i], "secret");
		expect_refusal(530, false);
		ck_assert_str_eq(r.m.login_refused.text, "Login incorrect.");
		ck_assert_msg(clock_ms() - began >= 1000, "%s: %d ms", users[i], (int)(clock_ms() - began));
	}
	ck_assert(rig_logged(&r, "reason=disabled password=right"));
	ck_assert(rig_logged(&r, "reason=expired password=right"));
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* Whatever is logged while somebody tries to log in says who and from where, and no longer afterwards. */
START_TEST(lines_of_an_attempt_name_the_client)
{
	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "homeless", "secret");
	expect_refusal(530, false);
	ck_assert_str_eq(r.m.login_refused.text, "The home directory of this account cannot be used.");
	ck_assert(rig_logged(&r, "event=home-unusable session=4f2a rhost=192.0.2.7 user=homeless path="));
	rig_login(&r, "alice", "wrong");
	expect_penalty("alice");
	expect_refusal(530, false);
	ck_assert(rig_logged(&r, "event=auth-failure session=4f2a rhost=192.0.2.7 user=alice reason="));
	rig_end(&r);
	ck_assert(rig_logged(&r, "event=session-end session=4f2a rhost=192.0.2.7 how="));
	rig_remove(&r);
}
END_TEST

/*
 * Never sooner than the delay, whoever it is.  What comes on top is the
 * machine's: of several rounds the shortest is compared, and there are more
 * rounds for as long as the machine is too busy to tell.
 */
START_TEST(failures_take_the_same_time)
{
	int64_t known = INT64_MAX, unknown = INT64_MAX, difference = INT64_MAX;

	rig_login_delay = "1s";
	rig_start(&r, "login_attempts = 100\nlogin_grace_time = 1h");
	rig_login_delay = "0";
	rig_ready(&r);
	rig_client(&r);
	for (int i = 0; i < 40 && difference >= 200; i++) {
		int64_t t[] = { time_of_refusal("alice"), time_of_refusal("mallory") };

		ck_assert_msg(t[0] >= 1000 && t[1] >= 1000, "%d ms, %d ms", (int)t[0], (int)t[1]);
		known = t[0] < known ? t[0] : known;
		unknown = t[1] < unknown ? t[1] : unknown;
		difference = known > unknown ? known - unknown : unknown - known;
	}
	ck_assert_msg(difference < 200, "%d ms, %d ms", (int)known, (int)unknown);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* A taken-over worker does not wait for the answer: it gets no attempts beyond the ones counted. */
START_TEST(a_second_login_before_the_answer_ends_the_session)
{
	rig_login_delay = "60s";
	rig_start(&r, "login_attempts = 3");
	rig_login_delay = "0";
	rig_ready(&r);
	rig_client(&r);
	/* The second ends the session: a third could find the channel closed. */
	for (int i = 0; i < 2; i++)
		rig_login(&r, "alice", "wrong");
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
	ck_assert(rig_logged(&r, " attempt=1 "));
	ck_assert(!rig_logged(&r, " attempt=2 "));
	ck_assert(rig_logged(&r, "event=protocol-violation session=4f2a rhost=192.0.2.7 peer=worker message=LOGIN"));
	rig_remove(&r);
}
END_TEST

START_TEST(tls_is_asked_for_before_the_password)
{
	static const struct msg_prepare prepare = { .user = "alice" };

	rig_start(&r, "tls = control\n[tls]\ncertificate = /x\nprivate_key = /y");
	rig_ready(&r);
	rig_client(&r);
	ck_assert_int_eq(chan_tell(&r.login, MSG_PREPARE, &prepare), 0);
	rig_expect(&r, &r.login, MSG_PREPARED);
	ck_assert_uint_eq(r.m.prepared.verdict, 1);
	rig_login(&r, "alice", "secret");	/* the right password, and still not in clear */
	expect_penalty("alice");
	expect_refusal(530, false);
	ck_assert(rig_logged(&r, "reason=tls-required"));
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

#define WITH_TLS	"tls = offer\n[tls]\ncertificate = /x\nprivate_key = /y\n"
#define ASKS		WITH_TLS "client_ca = /z\nclient_certificate = "

/* What a worker says of its handshake, and whether one can have been so. */
static const struct {
	const char *config, *certificate;	/* "": no PROVE */
	bool tls, possible;
} claims[] = {
	{ "",				"",		false,	true },
	{ "",				"",		true,	false },
	{ "",				"dns:pc7",	false,	false },
	{ "",				"dns:pc7",	true,	false },
	{ "tls = off\n[tls]\ncertificate = /x\nprivate_key = /y", "", true, false },
	{ WITH_TLS,			"",		true,	true },
	{ WITH_TLS,			"dns:pc7",	true,	false },
	{ WITH_TLS "client_certificate = no", "dns:pc7", true,	false },
	{ ASKS "request",		"dns:pc7",	false,	false },
	{ ASKS "request",		"dns:pc7",	true,	true },
	{ ASKS "request",		"",		true,	true },
	{ ASKS "require",		"dns:pc7",	false,	false },
	{ ASKS "require",		"dns:pc7",	true,	true },
};

/* right: for this session. */
static void
tell_proof(const char *names, bool right)
{
	static struct msg_prove b;
	const size_t n = strlen(names);

	memcpy(b.handshake, r.challenge, r.challenge_len);
	if (!right)
		b.handshake[r.challenge_len - 1] ^= 1;
	memcpy(b.handshake + r.challenge_len, names, n);
	b.handshake_len = r.challenge_len + n;
	ck_assert_int_eq(chan_tell(&r.login, MSG_PROVE, &b), 0);
}

static void
tell_claim(int i, bool prepare)
{
	static struct msg_prepare p;
	static struct msg_login l;

	(void)str_copy(p.user, sizeof p.user, "alice");
	(void)str_copy(l.user, sizeof l.user, "alice");
	ck_assert_int_eq(secret_set(&l.password, "wrong", 5), 0);
	p.tls = l.tls = claims[i].tls;
	if (claims[i].certificate[0] != '\0')
		tell_proof(claims[i].certificate, true);
	if (claims[i].certificate[0] != '\0' && r.challenge_len == 0)
		return;		/* the monitor has ended */
	if (prepare)
		ck_assert_int_eq(chan_send(&r.login, MSG_PREPARE, 77, &p, NULL, 0), 0);
	else
		ck_assert_int_eq(chan_send(&r.login, MSG_LOGIN, 77, &l, NULL, 0), 0);
}

START_TEST(no_handshake_is_claimed_that_cannot_have_been)
{
	for (int prepare = 0; prepare <= 1; prepare++) {
		rig_start(&r, claims[_i].config);
		rig_ready(&r);
		rig_client(&r);
		tell_claim(_i, prepare);
		if (!claims[_i].possible) {
			ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
			ck_assert(rig_logged(&r, claims[_i].certificate[0] != '\0' && r.challenge_len == 0 ?
			    "peer=worker message=PROVE" : prepare ? "peer=worker message=PREPARE" : "peer=worker message=LOGIN"));
		} else if (prepare) {
			rig_expect(&r, &r.login, MSG_PREPARED);
			rig_end(&r);
		} else {
			expect_penalty("alice");
			expect_refusal(530, false);
			rig_end(&r);
		}
		rig_remove(&r);
	}
}
END_TEST

#define CARL		"\n[account carl]\nhome = /\nrun_as = 4000\nlayer = pyftpdlib e\ncertificate_id = dns:pc7\n" \
			"certificate_login = instead_of_password\n"

/* What was proved of the client counts, in this session and once; a handshake that proves nothing is no end. */
static const struct {
	const char *names;
	bool right, enters;
} proofs[] = {
	{ "dns:pc7\n", true, true }, { "dns:pc8\n", true, false }, { "dns:pc7\n", false, false },
};

START_TEST(certificates_are_proved)
{
	static const struct msg_prepare prepare = { .user = "carl", .tls = 1 };

	rig_start(&r, ASKS "request" CARL);
	rig_ready(&r);
	rig_client(&r);
	ck_assert_uint_eq(r.challenge_len, 63);
	tell_proof(proofs[_i].names, proofs[_i].right);
	ck_assert_int_eq(chan_tell(&r.login, MSG_PREPARE, &prepare), 0);
	rig_expect(&r, &r.login, MSG_PREPARED);
	ck_assert_uint_eq(r.m.prepared.verdict, proofs[_i].enters ? 2 : 0);
	ck_assert_int_eq(rig_logged(&r, "certificate-not-proved"), !proofs[_i].right);
	/* One handshake, one proof. */
	tell_proof("dns:pc7\n", true);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_PROTOCOL);
	ck_assert(rig_logged(&r, "peer=worker message=PROVE"));
	rig_remove(&r);
}
END_TEST

/* The right password and no certificate: a worker that is its own master would have let no handshake end so. */
START_TEST(required_certificates_are_asked_for)
{
	static struct msg_login l = { .user = "alice", .tls = 1 };

	rig_start(&r, ASKS "require");
	rig_ready(&r);
	rig_client(&r);
	ck_assert_int_eq(secret_set(&l.password, "secret", 6), 0);
	ck_assert_int_eq(chan_send(&r.login, MSG_LOGIN, 77, &l, NULL, 0), 0);
	expect_penalty("alice");
	expect_refusal(530, false);
	ck_assert(rig_logged(&r, "reason=certificate-required"));
	/* Whom the listener serves in clear it has not asked. */
	rig_login(&r, "alice", "secret");
	rig_admit(&r, NULL, NULL);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

START_TEST(no_two_sessions_have_one_challenge)
{
	static uint8_t before[64];

	for (int i = 0; i < 2; i++) {
		rig_start(&r, ASKS "request");
		rig_ready(&r);
		rig_client(&r);
		ck_assert_int_ne(memcmp(before, r.challenge, r.challenge_len), 0);
		memcpy(before, r.challenge, r.challenge_len);
		rig_end(&r);
		rig_remove(&r);
	}
}
END_TEST

static const struct { const char *user; bool ok; } folders[] = {
	{ "homeless", false }, { "hidden", false }, { "maker", true }
};

START_TEST(homes)
{
	bool ok = folders[_i].ok || (geteuid() != 0 && _i == 1);

	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, folders[_i].user, "secret");
	if (ok) {
		static struct msg_profile p;
		struct stat st;
		int fd;

		rig_admit(&r, &p, &fd);
		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_uint_eq(st.st_uid, p.uid);
		ck_assert_uint_eq(st.st_mode & 07777, folders[_i].ok ? 0755 : 0700);
		close(fd);
		rig_end(&r);
	} else {
		expect_refusal(530, false);
		ck_assert(rig_logged(&r, "event=home-unusable"));
		ck_assert(rig_logged(&r, "reason=home-unusable"));
		rig_end(&r);
	}
	rig_remove(&r);
}
END_TEST

START_TEST(refused_profile_is_a_421)
{
	static const struct msg_claimed claimed;

	rig_start(&r, "");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "alice", "secret");
	rig_expect(&r, &r.listener, MSG_CLAIM);
	ck_assert_int_eq(chan_answer(&r.listener, &r.m, MSG_CLAIMED, &claimed, NULL, 0), 0);
	do
		ck_assert_int_eq(chan_receive(&r.agent, &r.m, ~0u), 0);
	while (r.m.type == MSG_LAYER);
	ck_assert_int_eq(chan_refuse(&r.agent, &r.m, FAIL_SYSTEM, 13, "the policy cannot be read"), 0);
	msg_close(&r.m);
	expect_refusal(421, true);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_NOAUTH);
	ck_assert(rig_logged(&r, "the policy cannot be read"));
	rig_remove(&r);
}
END_TEST

START_TEST(layers_travel_in_order_with_their_place)
{
	static const struct msg_claimed claimed;

	rig_start(&r, "layer = ups -W +c");
	rig_ready(&r);
	rig_client(&r);
	rig_login(&r, "alice", "secret");
	rig_expect(&r, &r.listener, MSG_CLAIM);
	ck_assert_int_eq(chan_answer(&r.listener, &r.m, MSG_CLAIMED, &claimed, NULL, 0), 0);
	rig_expect(&r, &r.agent, MSG_LAYER);
	ck_assert_str_eq(r.m.layer.dialect, "ups");
	ck_assert_str_eq(r.m.layer.origin, "test.conf");
	rig_expect(&r, &r.agent, MSG_LAYER);
	ck_assert_str_eq(r.m.layer.dialect, "pyftpdlib");
	ck_assert_str_eq(r.m.layer.section, "account alice");
	ck_assert_uint_eq(r.m.layer.text_len, strlen("elradfmw"));
	ck_assert(memcmp(r.m.layer.text, "elradfmw", 8) == 0);
	ck_assert_uint_gt(r.m.layer.line, 0);
	rig_expect(&r, &r.agent, MSG_PROFILE);
	msg_close(&r.m);
	rig_end(&r);
	rig_remove(&r);
}
END_TEST

/* Does a session with so much time for its login come as far as the claim? On a busy machine it may not. */
static bool
claims_within(const char *config)
{
	static struct msg_login login = { .user = "alice" };

	rig_start(&r, config);
	rig_ready(&r);
	rig_client(&r);
	ck_assert_int_eq(secret_set(&login.password, "secret", 6), 0);
	(void)chan_send(&r.login, MSG_LOGIN, 77, &login, NULL, 0);
	while (chan_receive(&r.listener, &r.m, ~0u) == 0)
		if (r.m.type != MSG_CHECKING)
			return r.m.type == MSG_CLAIM;
	return false;
}

/* The timer works although nobody is in the loop: the listener does not answer the claim. */
START_TEST(grace_ends_a_login_that_hangs)
{
	if (!claims_within("login_grace_time = 1s")) {
		(void)rig_end(&r);
		rig_remove(&r);
		ck_assert(claims_within("login_grace_time = 30s"));
	}
	rig_expect(&r, &r.login, MSG_END_SESSION);
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_GRACE);
	ck_assert(rig_logged(&r, "event=login-grace-exceeded"));
	rig_remove(&r);
}
END_TEST

/* The listener's signal: before a password is looked at it waits for one, and then nothing else is heard. */
START_TEST(a_monitor_that_is_busy_gives_way)
{
	static struct msg_login login = { .user = "alice" };

	rig_start(&r, "login_grace_time = 1h");
	rig_ready(&r);
	rig_client(&r);
	ck_assert_int_eq(kill(r.pid, ROLE_SIGNAL_GIVE_WAY), 0);
	ck_assert_int_eq(secret_set(&login.password, "secret", 6), 0);
	ck_assert_int_eq(chan_send(&r.login, MSG_LOGIN, 77, &login, NULL, 0), 0);
	rig_expect(&r, &r.listener, MSG_CHECKING);
	ck_assert_uint_eq(r.m.checking.now, 1);
	rig_expect(&r, &r.login, MSG_END_SESSION);
	ck_assert_str_eq(r.m.end_session.text, "Others wait, and you have not logged in; try again later.");
	ck_assert_int_eq(rig_wait(&r), SP_EXIT_OK);
	rig_remove(&r);
}
END_TEST

/* Its timer is gone with the login: /proc says so, nothing has to be waited for. */
START_TEST(grace_does_not_end_a_live_session)
{
	char name[64], line[256] = "";
	FILE *f;

	rig_start(&r, "login_grace_time = 1h");
	rig_ready(&r);
	rig_client(&r);
	(void)str_format(name, sizeof name, "/proc/%d/timers", (int)r.pid);
	for (int live = 0; live <= 1; live++) {
		f = fopen(name, "r");
		if (f == NULL) {
			skip(__func__, "this kernel does not tell a process's timers");
			break;
		}
		ck_assert_int_eq(fgets(line, sizeof line, f) != NULL, !live);
		fclose(f);
		if (live)
			break;
		rig_login(&r, "alice", "secret");
		rig_admit(&r, NULL, NULL);
		msg_close(&r.m);
		chan_close(&r.login);
	}
	ck_assert_int_eq(rig_end(&r), SP_EXIT_OK);
	ck_assert(!rig_logged(&r, "grace"));
	rig_remove(&r);
}
END_TEST

Suite *
monitor_login_suite(void)
{
	Suite *s = suite_create("monitor/login");
	TCase *t = tcase_create("login");

	tcase_add_test(t, the_agent_gets_the_whole_profile);
	tcase_add_loop_test(t, limits_are_claimed, 0, sizeof not_counted / sizeof *not_counted);
	tcase_add_test(t, a_right_password_does_not_show_in_the_time);
	tcase_add_test(t, lines_of_an_attempt_name_the_client);
	tcase_add_test(t, without_jail_the_root_is_the_systems);
	tcase_add_test(t, attempts_are_bounded);
	tcase_add_test(t, a_failure_does_not_spoil_the_next_attempt);
	tcase_add_test(t, failures_take_the_same_time);
	tcase_add_test(t, a_second_login_before_the_answer_ends_the_session);
	tcase_add_test(t, tls_is_asked_for_before_the_password);
	tcase_add_loop_test(t, no_handshake_is_claimed_that_cannot_have_been, 0, (int)(sizeof claims / sizeof *claims));
	tcase_add_loop_test(t, certificates_are_proved, 0, (int)(sizeof proofs / sizeof *proofs));
	tcase_add_test(t, required_certificates_are_asked_for);
	tcase_add_test(t, no_two_sessions_have_one_challenge);
	tcase_add_loop_test(t, homes, 0, (int)(sizeof folders / sizeof *folders));
	tcase_add_test(t, refused_profile_is_a_421);
	tcase_add_test(t, layers_travel_in_order_with_their_place);
	tcase_add_test(t, grace_ends_a_login_that_hangs);
	tcase_add_test(t, a_monitor_that_is_busy_gives_way);
	tcase_add_test(t, grace_does_not_end_a_live_session);
	suite_add_tcase(s, t);
	return s;
}
