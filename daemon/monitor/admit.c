/*
 * From a right password to a live session: the limits, the PAM
 * session, the agent under the account's identity, and root given up.
 */
#include "config.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "account/hashes.h"
#include "account/turn.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/idle.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/drop.h"

#define LOW_PORTS	1024
#define END_WAIT	2000	/* ms that one process of a session may outlive another */

struct monitor_scratch monitor_scratch;
static struct monitor_scratch *const scratch = &monitor_scratch;

static int
leave_root(uint64_t caps)
{
	return drop_monitor(&monitor_prepared.id, caps);
}

static const struct monitor_system real_system = {
	monitor_verify_agent, leave_root, pamsession_start_agent, clerk_confine, proof_start_verifier, END_WAIT
};
const struct monitor_system *monitor_system = &real_system;

/* ------------------------------------------------------------------- the limits */

static bool
send_claim(struct monitor *s)
{
	const struct settings *set = &s->account.resolved->s;
	const struct conf_section *class = s->account.resolved->class;

	(void)str_copy(scratch->body.claim.user, sizeof scratch->body.claim.user, s->account.name);
	(void)str_copy(scratch->body.claim.class, sizeof scratch->body.claim.class, class == NULL ? "" : conf_section_name(class));
	scratch->body.claim.max_per_user = (uint32_t)set->max_sessions_per_user;
	scratch->body.claim.max_per_class = (uint32_t)set->max_sessions_per_class;
	scratch->body.claim.rate_up = set->account_rate_up;
	scratch->body.claim.rate_down = set->account_rate_down;
	return monitor_ask(s, &s->listener, MSG_CLAIM, &scratch->body.claim, NULL, 0) == 0;
}

/* Why the listener does not count the session; the log also says which setting it was, and what it is set to. */
static enum account_reason
reason_of(struct monitor *s, unsigned verdict)
{
	const struct settings *set = &s->account.resolved->s;
	const struct { enum account_reason why; const char *name; uint64_t value; } verdicts[] = {
		[1] = { REASON_LIMIT, "max_sessions_per_user", (uint64_t)set->max_sessions_per_user },
		[2] = { REASON_CLASS_LIMIT, "max_sessions_per_class", (uint64_t)set->max_sessions_per_class },
		[3] = { REASON_UNAVAILABLE, NULL, 0 },
		[4] = { REASON_LIMIT, "processes", 0 },	/* those that a file system holds */
	};

	if (verdict == 0 || verdict >= sizeof verdicts / sizeof *verdicts)
		return REASON_UNAVAILABLE;
	s->limit_name = verdicts[verdict].name;
	s->limit = verdicts[verdict].value;
	return verdicts[verdict].why;
}

static bool
await_claim(struct monitor *s, enum account_reason *why)
{
	struct msg *m = &scratch->answer;

	if (monitor_await(s, &s->listener, m, MSG_CLAIMED) != 0)
		return false;
	if (m->type == MSG_CLAIMED && m->claimed.verdict == 0) {
		s->rate_fd = msg_take_fd(m, 0);
		msg_close(m);
		monitor_put_on_record(s);
		return true;
	}
	*why = m->type == MSG_CLAIMED ? reason_of(s, m->claimed.verdict) : REASON_UNAVAILABLE;
	msg_close(m);
	return false;
}

/* ------------------------------------------------------------------ living on */

static uint64_t
needed_caps(const struct account *a)
{
	const struct settings *set = &a->resolved->s;
	uint64_t caps = 0;

	/* Accounts that share a Unix user are told apart by a mark, which is the clerk's affair. */
	if (set->chown && a->dialect_uid < 0)
		caps |= UINT64_C(1) << CAP_CHOWN;
	if (set->active_port > 0 && set->active_port < LOW_PORTS)
		caps |= UINT64_C(1) << CAP_NET_BIND_SERVICE;
	return caps;
}

_Static_assert(sizeof ((struct msg_login_ok *)0)->goodbye == CONF_GOODBYE_MAX + 1, "check reports what is longer");

/* A text of the account's source, or one that grew by expanding ${USER}, may be longer than check has seen. */
static void
expand_text(const struct account *a, const char *key, const char *text, char *out, size_t size)
{
	struct log_line l;

	if (text == NULL)
		text = "";
	if (account_expand(a, text, out, size) == 0 || str_copy(out, size, text) == 0)
		return;
	log_begin(&l, EVENT_MESSAGE_CUT);
	log_str(&l, FIELD_SETTING, key);
	log_end(&l);
}

static unsigned
login_flags(const struct monitor *s)
{
	static const unsigned denial[] = {
		[CONF_DENIAL_AUTO] = 0, [CONF_DENIAL_550] = LOGIN_DENY_550, [CONF_DENIAL_553] = LOGIN_DENY_553
	};

	const struct settings *set = &s->account.resolved->s;

	return (s->account.flags & ACCOUNT_ANONYMOUS ? LOGIN_ANONYMOUS : 0) | denial[set->denial_code] |
	    (set->active_mode ? 0 : LOGIN_NO_ACTIVE) | (set->passive_mode ? 0 : LOGIN_NO_PASSIVE) |
	    (set->explain_denials ? 0 : LOGIN_NO_WHY);
}

static int
tell_worker(struct monitor *s, const struct msg *login)
{
	const struct settings *set = &s->account.resolved->s;
	struct msg_login_ok *ok = &scratch->body.login_ok;
	int r;

	(void)str_copy(ok->user, sizeof ok->user, s->account.name);
	(void)str_copy(ok->start, sizeof ok->start, scratch->answer.profile_ok.start);
	ok->rights = scratch->answer.profile_ok.rights;
	expand_text(&s->account, "login_message", set->login_message, ok->message, sizeof ok->message);
	expand_text(&s->account, "goodbye_message", set->goodbye_message, ok->goodbye, sizeof ok->goodbye);
	ok->idle_timeout = set->idle_timeout;
	ok->stall_timeout = set->stall_timeout;
	ok->rate_up = set->rate_up;
	ok->rate_down = set->rate_down;
	ok->tls_data = set->tls >= CONF_TLS_FULL;
	ok->ascii = (uint8_t)set->ascii;
	ok->flags = login_flags(s);
	r = chan_answer(&s->login, login, MSG_LOGIN_OK, ok, &s->rate_fd, s->rate_fd >= 0 ? 1 : 0);
	if (s->rate_fd >= 0)
		close(s->rate_fd);
	s->rate_fd = -1;
	return r;
}

static void
log_login(const struct monitor *s, bool tls)
{
	const struct account *a = &s->account;
	struct log_line l;

	log_begin(&l, EVENT_LOGIN);
	log_num(&l, FIELD_UID, a->uid);
	log_str(&l, FIELD_SOURCE, a->source == NULL ? "-" : a->source->name);
	log_num(&l, FIELD_TLS, tls);
	log_str(&l, FIELD_ROOT, s->root_path);
	log_end(&l);
}

/* True: the worker knows. False: the session has ended, or why and final say why there is none. */
static bool
go_live(struct monitor *s, const struct msg *login, enum account_reason *why, bool *final)
{
	const struct settings *set = &s->account.resolved->s;
	int r;

	hashes_close();
	r = clerk_start(s);
	turn_close();
	if (r == 0)
		r = monitor_limit_worker(s);
	if (r == 0 && !s->pam_session)
		r = monitor_system->leave_root(needed_caps(&s->account));
	if (r != 0) {
		log_problem(EVENT_PRIVILEGES_NOT_DROPPED, NULL, r);
		monitor_end(s, SP_EXIT_SANDBOX);
		return false;
	}
	monitor_name_user(s, s->account.name);
	log_login(s, login->login.tls != 0);
	if (!monitor_may_go_on()) {
		*why = REASON_UNAVAILABLE;
		*final = true;
		return false;
	}
	r = tell_worker(s, login);
	if (r != 0) {
		monitor_end(s, r == SP_ECLOSED ? SP_EXIT_NOAUTH : SP_EXIT_OS);
		return false;
	}
	chan_close(&s->login);
	s->stage = STAGE_LIVE;
	s->answers_at_once = (monitor_profile_flags(s) & (PROFILE_QUOTA | PROFILE_BIND_LOW)) != 0;
	if (set->session_timeout != 0)
		s->deadline = clock_ms() + (int64_t)set->session_timeout * 1000;
	s->slim_at = SLIM_AT_ONCE;
	return true;
}

/* The listener counts while the agent becomes the account: neither needs the other's answer. */
static bool
begin_session(struct monitor *s, enum account_reason *why)
{
	int root_fd = monitor_open_root(s);
	bool ok;

	if (root_fd < 0) {
		*why = REASON_HOME;
		return false;
	}
	*why = REASON_PROFILE;
	ok = send_claim(s) && monitor_send_profile(s, root_fd) && await_claim(s, why) && monitor_await_agent(s);
	close(root_fd);
	return ok;
}

/*
 * With a PAM session: it is opened for those who are counted; then the home may exist that was not there before
 * (pam_mkhomedir).
 */
static bool
begin_pam_session(struct monitor *s, enum account_reason *why)
{
	int root_fd;
	bool ok;

	*why = REASON_PAM;
	if (!send_claim(s) || !await_claim(s, why) || !pamsession_open(s))
		return false;
	root_fd = monitor_open_root(s);
	if (root_fd < 0) {
		*why = REASON_HOME;
		return false;
	}
	*why = REASON_PROFILE;
	ok = monitor_send_profile(s, root_fd) && monitor_await_agent(s);
	close(root_fd);
	return ok;
}

bool
monitor_admit(struct monitor *s, const struct msg *login, enum account_reason *why, bool *final)
{
	bool pam = s->account.flags & ACCOUNT_PAM_SESSION;

	/* Without its ledger a quota would be none. */
	if (monitor_open_ledger(s) != 0) {
		*why = REASON_UNAVAILABLE;
		*final = true;
		return false;
	}
	if (!(pam ? begin_pam_session : begin_session)(s, why)) {
		/* A home that is not there is found before anything was asked for; all else happens once a session. */
		*final = pam || *why != REASON_HOME;
		return false;
	}
	grace_stop();
	msg_close(&scratch->answer);	/* PROFILE_OK has no descriptors; its fields stay */
	return go_live(s, login, why, final);
}

void
monitor_forget_account(struct monitor *s)
{
	struct account *a = &s->account;

	if (!s->have_account)
		return;
	pamsession_reap(s);
	if (a->login_state != NULL && a->source->session_close != NULL)
		a->source->session_close(a->source_state, a);
	account_free(a);
	s->have_account = false;
	s->pam_session = false;
}
