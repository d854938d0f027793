/*
 * PREPARE and LOGIN: how often, how fast, and what the client is told.
 */
#include "config.h"

#include <string.h>

#include "account/password.h"
#include "account/turn.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"

#define TEXT_TLS	"Log in over TLS: send AUTH TLS first."

/*
 * What a client is told that may be told the reason: see authenticate().  To all others, and for all other reasons,
 * it is the same text; the log has the reason.
 */
static const struct answer {
	enum account_reason why;
	uint16_t code;
	bool final;		/* the session ends with it */
	const char *text;
} answers[] = {
	{ REASON_TLS,		530, false, TEXT_TLS },
	{ REASON_UNAVAILABLE,	421, true,  "Logging in is not possible at the moment. Try again later." },
	{ REASON_INTERNAL,	421, true,  "Logging in is not possible at the moment. Try again later." },
	{ REASON_PROFILE,	421, true,  "This account cannot be served at the moment." },
	{ REASON_LIMIT,		421, true,  "There are too many sessions of this account." },
	{ REASON_CLASS_LIMIT,	421, true,  "There are too many sessions of this account's class." },
	{ REASON_SETTINGS,	530, false, "This account is not set up completely. The administrator has to mend it." },
	{ REASON_HOME,		530, false, "The home directory of this account cannot be used." }
};

static void
log_failure(const struct monitor *s, const struct msg_login *login, enum account_reason why)
{
	bool known = s->have_account;
	struct log_line l;

	log_begin(&l, EVENT_AUTH_FAILURE);
	log_str(&l, FIELD_REASON, account_reason_word(why));
	if (s->limit_name != NULL) {
		log_str(&l, FIELD_LIMIT, s->limit_name);
		if (s->limit > 0)
			log_num(&l, FIELD_VALUE, (int64_t)s->limit);
	}
	if (known && s->account.proven)
		log_str(&l, FIELD_PASSWORD, "right");
	if (known && s->account.source != NULL)
		log_str(&l, FIELD_SOURCE, s->account.source->name);
	if (known && s->account.said != NULL)
		log_str(&l, FIELD_TEXT, s->account.said);
	log_num(&l, FIELD_ATTEMPT, s->attempts);
	log_num(&l, FIELD_TLS, login->tls != 0);
	if (s->listener_name[0] != '\0')
		log_str(&l, FIELD_LISTENER, s->listener_name);
	log_end(&l);
}

/* The answer that is in the table; NULL: the client is told what it is told for a wrong password. */
static const struct answer *
answer_for(enum account_reason told)
{
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i].why == told)
			return &answers[i];
	return NULL;
}

/* Refusals that say something about our own state, and not about who tries to get in. */
static bool
is_our_affair(enum account_reason why)
{
	return why == REASON_UNAVAILABLE || why == REASON_INTERNAL || why == REASON_PROFILE || why == REASON_LIMIT ||
	    why == REASON_CLASS_LIMIT || why == REASON_HOME;
}

/*
 * Who has a right password is not guessing one, whatever else keeps them out, and those who are told so need no
 * penalty.  But where the answer is that to a wrong password the penalty is, too: its absence would say what
 * the answer does not.  PAM's account phase is the exception: it turns everybody away for a night (pam_nologin), and
 * none of those whom a timer makes try again is shut out for longer than that.
 */
static bool
is_penalised(bool proven, bool told, enum account_reason why)
{
	return proven ? !told && why != REASON_ACCOUNT : !is_our_affair(why);
}

static void
refuse(struct monitor *s, const struct msg *m, enum account_reason why, enum account_reason told, bool final,
    int64_t began)
{
	static struct msg_login_refused answer;
	static struct msg_login_failed failed;
	const struct answer *open = answer_for(told);
	bool proven = s->have_account && s->account.proven, penalised = is_penalised(proven, open != NULL, why);
	/* What says nothing comes at the same time, known or unknown, quick or slow, a right password or a wrong one. */
	bool delayed = !proven || open == NULL;

	answer.code = 530;
	(void)str_copy(answer.text, sizeof answer.text, "Login incorrect.");
	if (open != NULL) {
		answer.code = open->code;
		final |= open->final;
		(void)str_copy(answer.text, sizeof answer.text, open->text);
	}
	s->attempts++;
	monitor_stranger_counts(why == REASON_LIMIT || why == REASON_CLASS_LIMIT);
	log_failure(s, &m->login, why);
	monitor_stranger_counts(false);
	monitor_forget_account(s);
	monitor_name_user(s, NULL);
	(void)chan_tell(&s->listener, MSG_CHECKING, &(struct msg_checking){ .now = 0 });
	if (penalised) {
		(void)str_copy(failed.user, sizeof failed.user, m->login.user);
		(void)chan_tell(&s->listener, MSG_LOGIN_FAILED, &failed);
	}
	if (delayed)
		monitor_wait(s, (int64_t)s->base->login_delay * 1000 - (clock_ms() - began));
	final |= s->attempts >= (uint64_t)s->base->login_attempts;
	answer.last = final;
	if (s->ended)
		return;
	(void)chan_answer(&s->login, m, MSG_LOGIN_REFUSED, &answer, NULL, 0);
	if (final)
		monitor_end(s, penalised ? SP_EXIT_AUTHFAIL : SP_EXIT_NOAUTH);
}

_Static_assert(sizeof monitor_scratch.body >= PASSWORD_MEMORY, "the scratch memory is lent to libcrypt");

static bool
needs_tls(const struct monitor *s, bool tls)
{
	return !tls && s->base->tls >= CONF_TLS_CONTROL;
}

static bool
certificate_admits(const struct monitor *s, const struct msg_prepare *prepare)
{
	const struct account_query q = {
		.user = prepare->user, .listener = s->listener_name, .base = s->base, .host = prepare->host,
		.tls = prepare->tls != 0, .peer = &s->peer, .local = &s->local,
		.certificate = s->certificate, .certificate_len = s->certificate_len
	};

	return account_certificate_admits(&monitor_prepared.sources, &q);
}

/*
 * That there is TLS at all is the worker's word: nothing here has seen the handshake.  But an honest one does not
 * speak of TLS where its listener has none, nor takes back that there was some.
 */
static bool
handshake_is_possible(const struct monitor *s, bool tls)
{
	return tls ? s->base->tls != CONF_TLS_OFF : !s->claimed;
}

int
monitor_prepare(struct monitor *s, struct msg *m)
{
	static struct msg_prepared answer;

	if (s->deciding || !handshake_is_possible(s, m->prepare.tls))
		return SP_ESTATE;
	answer.verdict = 0;
	answer.text[0] = '\0';
	if (needs_tls(s, m->prepare.tls)) {
		answer.verdict = 1;
		(void)str_copy(answer.text, sizeof answer.text, TEXT_TLS);
	} else if (certificate_admits(s, &m->prepare)) {
		answer.verdict = 2;
	}
	return chan_answer(&s->login, m, MSG_PREPARED, &answer, NULL, 0);
}

/* What an anonymous client calls itself goes into the transfer log. */
static void
remember_guest(struct monitor *s, const struct secret *password)
{
	str_escape(s->guest, sizeof s->guest, password->data, password->len);
}

/* *told: the reason as far as the client may know it. */
static enum account_reason
authenticate(struct monitor *s, const struct msg_login *login, enum account_reason *told)
{
	struct account_query q = {
		.user = login->user, .password = &login->password, .listener = s->listener_name, .base = s->base,
		.host = login->host, .tls = login->tls != 0, .peer = &s->peer, .local = &s->local,
		.certificate = s->certificate, .certificate_len = s->certificate_len
	};
	enum account_reason why = REASON_NONE;
	enum account_result r;

	/* Before anything is known of the account: the answer says nothing about it. */
	if (!monitor_may_go_on())
		return *told = REASON_UNAVAILABLE;
	if (needs_tls(s, q.tls))
		return *told = REASON_TLS;	/* whoever it is */
	/* The worker's handshake would have failed, were the worker still its own master. */
	if (q.tls && s->base->client_certificate == CONF_CERT_REQUIRE && s->certificate_len == 0)
		return *told = REASON_CERTIFICATE;
	password_lend(&monitor_scratch.body);	/* what is sent later lies there */
	account_init(&s->account, login->user);
	s->have_account = true;
	/* Others, who have not failed yet, do not wait for who guesses. */
	turn_yield(s->suspect || s->attempts > 0);
	(void)chan_tell(&s->listener, MSG_CHECKING, &(struct msg_checking){ .now = 1 });
	grace_checking(s, true);
	r = account_login(&monitor_prepared.sources, &q, &s->account, &why);
	grace_checking(s, false);
	if (r == ACCOUNT_FOUND) {
		if (s->account.flags & ACCOUNT_ANONYMOUS)
			remember_guest(s, &login->password);
		return REASON_NONE;
	}
	*told = s->account.told;
	if (r == ACCOUNT_UNAVAILABLE)
		return REASON_UNAVAILABLE;
	return why == REASON_NONE ? REASON_SOURCE : why;
}

static int
decide(struct monitor *s, struct msg *m)
{
	struct msg *request = &monitor_scratch.request;		/* m is needed for what arrives meanwhile */
	int64_t began = clock_ms();
	bool final = false;
	enum account_reason why, told = REASON_NONE;

	request->type = m->type;
	request->id = m->id;
	request->login = m->login;
	secret_clear(&m->login.password);
	monitor_name_user(s, request->login.user);
	why = authenticate(s, &request->login, &told);
	secret_clear(&request->login.password);
	if (why == REASON_NONE) {
		if (monitor_admit(s, request, &why, &final))
			return 0;
		told = why;
	}
	if (!s->ended)
		refuse(s, request, why, told, final, began);
	return 0;
}

/*
 * One at a time: while the answer is delayed, messages are taken, and a worker
 * that asked again and again meanwhile would have attempts without number.
 */
int
monitor_login(struct monitor *s, struct msg *m)
{
	int r;

	if (s->deciding || !handshake_is_possible(s, m->login.tls)) {
		secret_clear(&m->login.password);
		return SP_ESTATE;
	}
	s->deciding = true;
	r = decide(s, m);
	s->deciding = false;
	return r;
}
