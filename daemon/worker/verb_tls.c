/*
 * AUTH PBSZ PROT CCC (RFC 4217, RFC 2228), and implicit TLS.  What arrived in
 * clear is never interpreted after AUTH: bytes that came with it end the session.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/feat.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/tls_profile.h"
#include "daemon/worker/tls_stream.h"
#include "daemon/worker/verb_tls.h"
#include "daemon/worker/words.h"

#define STRIP_MS 3000	/* in which the client must answer the closing message after CCC */

/* A process serves one session. */
static struct tls_session tls;
static bool begun;	/* the control connection was put under TLS, once and for all */
static bool sized;	/* PBSZ was given */

static struct tls_profile *
profile_of(const struct session *s)
{
	if (s->set->tls == CONF_TLS_OFF || s->sign.fd < 0)
		return NULL;
	return tls_profile_find(s->listener);
}

/* Who signs has died since this session was prepared; sessions that begin from now on have another one. */
static bool
signer_gone(const struct session *s)
{
	struct pollfd p = { .fd = s->sign.fd };

	return poll(&p, 1, 0) > 0;
}

static bool
uploads(const struct verb *v)
{
	for (size_t i = 0; v != NULL && i < VERB_MESSAGES; i++)
		if (v->uses[i] == MSG_STORE || v->uses[i] == MSG_STORE_UNIQUE || v->uses[i] == MSG_APPEND)
			return true;
	return false;
}

static int
secure_data(struct session *s, struct stream *st)
{
	return tls_stream_start(&tls, st, uploads(s->verb) ? TLS_RECEIVING : TLS_SENDING);
}

/* Not what the certificate says, but what the client has signed. The next question notices a monitor that is gone. */
static void
prove(struct session *s)
{
	struct msg_prove *const body = session_request(s);

	if (tls.handshake_len == 0)
		return;
	memcpy(body->handshake, tls.handshake, body->handshake_len = tls.handshake_len);
	s->certified = chan_tell(&s->login, MSG_PROVE, body) == 0;
}

static void
control_secured(struct tls_session *t)
{
	struct session *s = t->owner;

	s->secure = true;
	(void)str_copy(s->host, sizeof s->host, t->name);
	if (t->certificate != NULL)
		prove(s);
}

static void
data_refused(struct tls_session *t)
{
	struct session *s = t->owner;

	s->data_refusal = t->refusal;
}

/* The client knows by 234 or by its port that TLS begins now. 0 or a negative code. */
static int
begin(struct session *s, struct tls_profile *p)
{
	int r = tls_session_begin(&tls, p, &s->sign);

	if (r != 0)
		return r;
	tls.owner = s;
	tls.challenge = s->challenge;
	tls.challenge_len = s->challenge_len;
	tls.secured = control_secured;
	tls.refused = data_refused;
	begun = true;
	line_discard(&s->in);
	session_forget(s);
	s->tls = &tls;
	return tls_stream_start(&tls, &s->control, TLS_CONTROL);
}

/* ---------------------------------------------------------------------- AUTH */

static const struct {
	const char *name;
	bool protects_data;	/* RFC 4217, 17: the two old names imply PROT P */
} mechanisms[] = {
	{ "TLS", false }, { "TLS-C", false }, { "TLS-P", true }, { "SSL", true },
};

static int
find_mechanism(const char *name)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
		if (str_same(name, mechanisms[i].name))
			return (int)i;
	return -1;
}

/* Commands in clear that came along with AUTH may be somebody else's (CVE-2011-0411 and its kin). */
static bool
injected(struct session *s)
{
	if (!line_more(&s->in) && queue_empty(&s->later))
		return false;
	log_problem(EVENT_PLAINTEXT_INJECTION, "bytes followed the command that changes the protection", 0);
	session_hang_up(s, "Nothing may follow this command before its reply.");
	return true;
}

void
verb_auth(struct session *s, char *argument)
{
	const int m = find_mechanism(argument);
	struct tls_profile *p = profile_of(s);

	if (m < 0)
		reply(s, 504, "Only AUTH TLS is known here.");
	else if (begun)
		reply(s, 503, "TLS has been begun before in this session.");
	else if (s->live)
		reply(s, 503, "AUTH must come before the login.");
	else if (s->set->tls == CONF_TLS_OFF)
		reply(s, 502, "TLS is switched off here.");
	else if (p == NULL)
		reply(s, 431, "TLS is not available: no certificate can be used.");
	else if (signer_gone(s))
		reply(s, 431, "TLS is not available in this session any more: connect again.");
	else if (!injected(s)) {
		reply(s, 234, "Begin with TLS now.");
		if (begin(s, p) != 0) {
			session_end(s, SP_EXIT_OS);
			return;
		}
		if (mechanisms[m].protects_data)
			s->data_secure = secure_data;
	}
}

/* ---------------------------------------------------------------- PBSZ, PROT */

void
verb_pbsz(struct session *s, char *argument)
{
	uint64_t size;

	if (!begun)
		reply(s, 503, "Send AUTH TLS first.");
	else if (!words_number(argument, 10, UINT32_MAX, &size))	/* RFC 2228, 3 */
		reply(s, 501, "A size is a number of at most 32 bits.");
	else {
		sized = true;
		reply(s, 200, "PBSZ=0");
	}
}

static void
unprotect(struct session *s)
{
	if (s->data_must_be_secure || s->set->tls == CONF_TLS_FULL)
		reply(s, 534, "Data connections must be protected here (tls = full).");
	else {
		s->data_secure = NULL;
		reply(s, 200, "Data connections will be in clear.");
	}
}

static void
protect(struct session *s)
{
	s->data_secure = secure_data;
	reply(s, 200, "Data connections will be under TLS.");
}

void
verb_prot(struct session *s, char *argument)
{
	if (!begun)
		reply(s, 503, "Send AUTH TLS first.");
	else if (!sized)
		reply(s, 503, "Send PBSZ 0 first.");
	else if (str_same(argument, "P"))
		protect(s);
	else if (str_same(argument, "C"))
		unprotect(s);
	else if (str_same(argument, "S") || str_same(argument, "E"))
		reply(s, 536, "TLS protects data by PROT P only.");
	else
		reply(s, 504, "Levels are P and C.");
}

/* ------------------------------------------------------------------------ CCC */

void
verb_ccc(struct session *s, char *argument)
{
	uint8_t *rest;
	size_t len;
	int r;

	(void)argument;
	if (!s->secure)
		reply(s, 533, "The control connection is in clear.");
	else if (!s->set->allow_ccc)
		reply(s, 534, "CCC is not allowed here (allow_ccc = no).");
	/* Its purpose is a NAT that reads PORT and PASV. Before the login it would send the password in clear. */
	else if (!s->live)
		reply(s, 530, "Log in first: what CCC gives up is there to protect the password.");
	else if (!injected(s)) {
		reply(s, 200, "In clear from now on.");
		line_discard(&s->in);
		rest = line_room(&s->in, &len);
		r = tls_stream_strip(&s->control, STRIP_MS, rest, &len);
		if (r != 0) {
			log_problem(EVENT_CCC_FAILED, "control", r);
			session_end(s, s->live ? SP_EXIT_OK : SP_EXIT_NOAUTH);
			return;
		}
		/* The client may have gone on at once: from here on everything is in clear anyway. */
		line_filled(&s->in, len);
		s->secure = false;
	}
}

/* ----------------------------------------------------------------------- FEAT */

bool
feat_tls(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return begun || (!s->live && profile_of(s) != NULL);
}

bool
feat_ccc(const struct session *s, const struct verb *v, struct piece *p)
{
	(void)v, (void)p;
	return s->secure && s->live && s->set->allow_ccc;
}

/* ------------------------------------------------------------- implicit TLS, HOST */

/* Waits for the socket, or for the server's word that time is up. */
static void
wait_for_handshake(struct session *s)
{
	struct pollfd p[2] = {
		{ .fd = s->control.fd, .events = s->control.want },
		{ .fd = s->login.fd, .events = POLLIN },
	};

	if (poll(p, 2, (int)s->idle_ms) == 0)
		session_end(s, SP_EXIT_NOAUTH);
	else if (p[1].revents != 0 && session_news(s) && s->stop)
		session_end(s, SP_EXIT_GRACE);
}

void
tls_serve_implicit(struct session *s)
{
	struct tls_profile *p = profile_of(s);
	int r = p == NULL ? SP_EDENIED : begin(s, p);

	if (p == NULL)
		log_problem(EVENT_TLS_UNUSABLE, "implicit_tls without a certificate that can be used", 0);
	s->data_secure = secure_data;
	sized = true;
	while (r == 0 && !s->ending) {
		r = stream_handshake(&s->control);
		if (r != -EAGAIN)
			break;
		wait_for_handshake(s);
		r = 0;
	}
	if (r != 0) {
		/* Not a word in clear: the client speaks TLS. */
		stream_close(&s->control);
		session_end(s, SP_EXIT_NOAUTH);
	}
}

bool
tls_host_fits(const struct session *s, const char *host)
{
	const struct tls_profile *p = s->secure ? tls.profile : profile_of(s);

	return p == NULL || tls_profile_serves(p, host);
}
