/*
 * USER PASS ACCT REIN QUIT HOST.  Who may come in is decided by the monitor
 * alone; after LOGIN_OK its channel is closed, and nothing with privileges
 * can be reached from here any more.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/auth.h"
#include "daemon/worker/digest.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/verb_tls.h"

static uint8_t mark_key[16];

void
auth_mark(uint8_t mark[32], const char *password, size_t len)
{
	digest_mark(mark, mark_key, password, len);
}

/* The rate buckets that all sessions of the account share. */
static void
share_rates(struct session *s, int fd)
{
	struct bucket_pair *pair;
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof *pair) {
		pair = mmap(NULL, sizeof *pair, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (pair != MAP_FAILED) {
			s->up.shared = &pair->up;
			s->down.shared = &pair->down;
		}
	}
	close(fd);
}

/* code: 230, or 232 where a certificate was enough: the reply that RFC 2228 and RFC 4217 have for it. */
static void
logged_in(struct session *s, unsigned code)
{
	struct msg_login_ok *ok = &s->answer.login_ok;

	share_rates(s, msg_take_fd(&s->answer, 0));
	s->live = true;
	s->exit_code = SP_EXIT_OK;
	s->user_given = false;
	(void)str_copy(s->user, sizeof s->user, ok->user);
	(void)str_copy(s->goodbye, sizeof s->goodbye, ok->goodbye);
	(void)str_copy(s->cwd, sizeof s->cwd, ok->start[0] == '\0' ? "/" : ok->start);
	s->rights = ok->rights;
	s->flags = ok->flags;
	if (ok->idle_timeout > 0)
		s->idle_ms = s->idle_max_ms = (int64_t)ok->idle_timeout * 1000;
	if (ok->stall_timeout > 0)
		s->stall_ms = ok->stall_timeout * 1000;
	bucket_init(&s->up.own, ok->rate_up);
	bucket_init(&s->down.own, ok->rate_down);
	s->convert = ok->ascii == CONF_ASCII_ON;
	s->data_must_be_secure = s->data_must_be_secure || ok->tls_data != 0;
	chan_close(&s->login);
	reply_text(s, code, ok->message[0] == '\0' ? "Logged in." : ok->message);
}

static void
refused(struct session *s)
{
	const struct msg_login_refused *no = &s->answer.login_refused;
	unsigned code = no->code == 421 || no->code == 534 ? no->code : 530;

	s->user_given = false;
	reply_text(s, code, no->text[0] == '\0' ? "Login incorrect." : no->text);
	s->interrupted = no->last || code == 421;
	if (s->interrupted)
		session_end(s, SP_EXIT_AUTHFAIL);
}

/* Asks the monitor. The password is wiped here as soon as it has been sent. code: of the answer when all is well. */
static void
log_in(struct session *s, char *password, size_t len, unsigned code)
{
	struct msg_login *const body = session_request(s);
	int e;

	if (secret_set(&body->password, password, len) != 0) {
		reply(s, 501, "No password is that long.");
		return;
	}
	/* The line, as it came and as it was read, before anything is answered. */
	explicit_bzero(password, len);
	line_wipe(&s->in);
	(void)str_copy(body->user, sizeof body->user, s->user);
	(void)str_copy(body->host, sizeof body->host, s->host);
	body->tls = s->secure;
	e = ask_monitor(s, MSG_LOGIN, body, MSG_LOGIN_OK, MSG_LOGIN_REFUSED);
	if (e == 0 && s->answer.type == MSG_LOGIN_OK && verb_possible(&site_table[SITE_PSWD], s->answer.login_ok.rights) &&
	    getrandom(mark_key, sizeof mark_key, 0) == sizeof mark_key)
		auth_mark(s->password_mark, body->password.data, body->password.len);
	secret_clear(&body->password);
	if (e < 0)
		return;
	if (e > 0)
		session_stop(s, "Logging in is not possible at the moment.", SP_EXIT_NOAUTH);
	else if (s->answer.type == MSG_LOGIN_OK)
		logged_in(s, code);
	else
		refused(s);
}

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

/*
 * Only TLS that is demanded, or a certificate, can make the monitor's answer
 * to USER anything else than "ask for the password".
 */
static bool
answer_is_known(const struct session *s)
{
	return !s->certified && (s->secure || s->set->tls < CONF_TLS_CONTROL);
}

static void
prepare(struct session *s)
{
	struct msg_prepare *const body = session_request(s);
	const struct msg_prepared *p = &s->answer.prepared;
	char none[] = "";
	int e;

	(void)str_copy(body->user, sizeof body->user, s->user);
	(void)str_copy(body->host, sizeof body->host, s->host);
	body->tls = s->secure;
	e = ask_monitor(s, MSG_PREPARE, body, MSG_PREPARED, MSG_NONE);
	if (e < 0)
		return;
	if (e > 0) {
		session_stop(s, "Logging in is not possible at the moment.", SP_EXIT_NOAUTH);
		return;
	}
	if (p->verdict == 2) {
		log_in(s, none, 0, 232);
		return;
	}
	s->user_given = p->verdict == 0;
	if (p->verdict == 0)
		reply_text(s, 331, p->text[0] == '\0' ? "Password, please." : p->text);
	else
		reply_text(s, 530, p->text[0] == '\0' ? "Send AUTH TLS first: passwords are taken under TLS only." : p->text);
}

void
verb_user(struct session *s, char *argument)
{
	if (s->live) {
		s->user_refused = strcmp(argument, s->user) != 0;
		if (!s->user_refused)
			reply(s, 331, "Logged in already; any password will do.");
		else
			reply(s, 530, s->tls == NULL ? "Another account needs another session: send REIN first." :
			    "Another account needs another session.");
		return;
	}
	s->user_given = false;
	if (!printable(argument) || str_copy(s->user, sizeof s->user, argument) != 0) {
		s->user[0] = '\0';
		reply(s, 501, "No user name looks like that.");
	} else if (answer_is_known(s)) {
		s->user_given = true;
		reply(s, 331, "Password, please.");
	} else
		prepare(s);
}

void
verb_pass(struct session *s, char *argument)
{
	/* A client that sends both at once must not take 230 for the login of the account that was refused. */
	if (s->live && !s->user_refused)
		reply(s, 230, "Logged in already.");
	else if (!s->user_given)
		reply(s, 503, "Send USER first.");
	else
		log_in(s, argument, strlen(argument), 230);
}

/* RFC 959 wants a reply of its own for servers without accounts: superfluous, not unknown. */
void
verb_acct(struct session *s, char *argument)
{
	(void)argument;
	reply(s, 202, "Accounts of that kind are not needed here.");
}

/*
 * The connection goes back to the listener, which gives it to another session as soon as this one is gone: its
 * processes have become the user for ever.  That session says 220.  Bytes behind REIN are still in the socket
 * (session_read()); those that an odd spelling brought here all the same end the session, as nobody could give them
 * back.
 */
static void
return_client(struct session *s)
{
	static const struct msg_give_back body;
	int fd = s->control.fd;

	if (line_more(&s->in) || !queue_empty(&s->later)) {
		session_hang_up(s, "Nothing may follow REIN before its reply.");
		return;
	}
	ask_flush(s);
	data_close(&s->data);
	if (chan_send(&s->log, MSG_GIVE_BACK, ++s->log.last_id, &body, &fd, 1) != 0) {
		session_stop(s, "Begin a new session instead.", SP_EXIT_OK);
		return;
	}
	(void)stream_close(&s->control);
	session_end(s, SP_EXIT_OK);
}

void
verb_rein(struct session *s, char *argument)
{
	(void)argument;
	if (s->tls != NULL)
		reply(s, 502, "REIN would end TLS (RFC 4217, 11); end this session and begin another.");
	else if (session_can_return(s))
		return_client(s);
	else {
		session_forget(s);
		reply(s, 220, "Ready for another user.");
	}
}

void
verb_quit(struct session *s, char *argument)
{
	(void)argument;
	reply_text(s, 221, s->goodbye[0] == '\0' ? "Goodbye." : s->goodbye);
	session_end(s, s->live ? SP_EXIT_OK : SP_EXIT_NOAUTH);
}

/* Labels of letters, digits and inner hyphens (RFC 1123, 2.1), and the underscores that people use all the same. */
static bool
name_like(const char *text)
{
	for (;; text++) {
		size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

		if (n == 0 || n > 63 || text[0] == '-' || text[n - 1] == '-')
			return false;
		text += n;
		if (*text == '\0')
			return true;
		if (*text != '.')
			return false;
	}
}

enum host_kind { HOST_NONE, HOST_NAME, HOST_ADDRESS };

/* A host name, an IPv4 address, or an IPv6 address in brackets; never with a port (RFC 7151, 3.1). */
static enum host_kind
host_kind(const char *text)
{
	struct addr a;

	if (strlen(text) > 255)
		return HOST_NONE;
	if (*text == '[')
		return text[strlen(text) - 1] == ']' && addr_parse(&a, text, 0) == 0 ? HOST_ADDRESS : HOST_NONE;
	if (text[strspn(text, "0123456789.")] == '\0')
		return addr_parse(&a, text, 0) == 0 ? HOST_ADDRESS : HOST_NONE;
	return name_like(text) ? HOST_NAME : HOST_NONE;
}

void
verb_host(struct session *s, char *argument)
{
	enum host_kind kind = host_kind(argument);

	if (s->user[0] != '\0')
		reply(s, 503, "HOST must come before USER.");
	else if (kind == HOST_NONE)
		reply(s, 501, "That is no host name.");
	else if (s->secure && s->host[0] != '\0' && !str_same(argument, s->host))
		reply(s, 504, "The TLS session is for another host.");
	else if (kind == HOST_NAME && !tls_host_fits(s, argument))
		reply(s, 504, s->secure ? "The certificate of this TLS session is not for that host." :
		    "That host is not known here.");
	else {
		(void)str_copy(s->host, sizeof s->host, argument);
		reply(s, 220, "Host accepted.");
	}
}
