#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/pulse.h"
#include "daemon/worker/session.h"

/* What makes a name: RFC 959, 5.4 gives these 553 where the others have 550. */
#define STORING	"STOR STOU APPE RNTO"
#define DATAWAY	"PASV EPSV PORT EPRT"

/*
 * What a refusal means to the client: the first row that fits.  error 0: any;
 * verbs NULL: any.  A text ending in a colon is followed by the agent's; other texts are
 * replaced by it where the agent sent one.
 */
static const struct denial {
	enum fail_reason reason;
	int error;
	const char *verbs;
	unsigned code;
	const char *text;
} denials[] = {
	{ FAIL_POLICY,	0,	NULL, 550, "Permission denied by policy." },
	{ FAIL_SYSTEM,	ENOENT,	NULL, 550, "No such file or directory." },
	{ FAIL_SYSTEM,	EACCES,	NULL, 550, "Permission denied." },
	{ FAIL_SYSTEM,	EPERM,	NULL, 550, "Operation not permitted." },
	{ FAIL_SYSTEM,	EROFS,	NULL, 550, "The file system is read-only." },
	{ FAIL_SYSTEM,	EEXIST,	NULL, 550, "It exists already." },
	{ FAIL_SYSTEM,	ENOTEMPTY, NULL, 550, "The directory is not empty." },
	{ FAIL_SYSTEM,	ENOTDIR, NULL, 550, "Not a directory." },
	{ FAIL_SYSTEM,	EISDIR,	NULL, 550, "That is a directory." },
	{ FAIL_SYSTEM,	ELOOP,	NULL, 550, "Too many symbolic links." },
	{ FAIL_SYSTEM,	ENAMETOOLONG, NULL, 550, "The name is too long." },
	{ FAIL_SYSTEM,	ENXIO,	NULL, 550, "Not a plain file." },
	{ FAIL_SYSTEM,	ENODEV,	NULL, 550, "Not a plain file." },
	{ FAIL_SYSTEM,	EXDEV,	NULL, 550, "Source and target lie in different file systems." },
	{ FAIL_SYSTEM,	ENOSPC,	NULL, 452, "No space left on the disk." },
	{ FAIL_SYSTEM,	EDQUOT,	NULL, 552, "The disk quota is used up." },
	{ FAIL_SYSTEM,	EFBIG,	NULL, 552, "The file is too large." },
	{ FAIL_SYSTEM,	ETXTBSY, NULL, 450, "The file is a program that is running." },
	{ FAIL_SYSTEM,	EBUSY,	"RMD DELE RNFR RNTO", 550, "It is a mount point, or the system uses it." },
	{ FAIL_SYSTEM,	EBUSY,	NULL, 450, "It is in use." },
	{ FAIL_SYSTEM,	EAGAIN,	NULL, 450, "It changes too fast; try again." },
	{ FAIL_SYSTEM,	EOPNOTSUPP, NULL, 504, "The file system cannot do that." },
	{ FAIL_SYSTEM,	EINVAL,	NULL, 550, "The system does not accept that." },
	{ FAIL_SYSTEM,	EADDRINUSE, NULL, 425, "The address of the data connection is in use; try again." },
	{ FAIL_SYSTEM,	0,	DATAWAY, 425, "No data connection can be made." },
	{ FAIL_SYSTEM,	0,	NULL, 451, "The system could not do that." },
	{ FAIL_PATH,	0,	NULL, 550, "That name cannot be used here." },
	{ FAIL_KIND,	0,	"MLSD", 501, "MLSD lists directories; use MLST for a file." },
	{ FAIL_KIND,	0,	"RETR STOR STOU APPE SIZE HASH XCRC XMD5 XSHA1 XSHA256 XSHA512 DELE", 550, "Not a plain file." },
	{ FAIL_KIND,	0,	"CWD CDUP RMD AVBL", 550, "Not a directory." },
	{ FAIL_KIND,	0,	NULL, 550, "Not of the kind that is needed." },
	{ FAIL_QUOTA,	0,	"RETR", 550, "A limit of this account is reached." },
	{ FAIL_QUOTA,	0,	NULL, 552, "A limit of this account is reached." },
	{ FAIL_BUSY,	0,	DATAWAY, 425,
	    "No port for data connections is free; the server's administrator can widen passive_ports." },
	{ FAIL_BUSY,	0,	NULL, 450, "Too much of that is going on; try again later." },
	{ FAIL_PEER,	0,	"PORT EPRT", 501, "Data connections go to the client's own address only." },
	{ FAIL_PEER,	0,	NULL, 425, "Data connections go to the client's own address only." },
	{ FAIL_ARGUMENT, 0,	"RETR STOR APPE", 554, "The offset lies beyond the end of the file." },
	{ FAIL_ARGUMENT, 0,	"PASV", 425, "PASV is for IPv4 only, and this connection is IPv6; use EPSV." },
	{ FAIL_ARGUMENT, 0,	NULL, 504, "That is not possible here." },
};

static bool
names_verb(const char *list, const char *verb)
{
	size_t n = strlen(verb);

	for (const char *at = list; (at = strstr(at, verb)) != NULL; at += n)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

unsigned
ask_reply_code(const char *verb, const struct msg_failed *f, unsigned flags, const char **text)
{
	*text = "The request failed.";
	if (f->reason == FAIL_POLICY && (flags & (LOGIN_DENY_550 | LOGIN_DENY_553)) != 0) {
		*text = "Permission denied by policy.";
		return flags & LOGIN_DENY_550 ? 550 : 553;
	}
	for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++) {
		const struct denial *d = &denials[i];

		if (d->reason != f->reason || (d->error != 0 && d->error != (int)f->error))
			continue;
		if (d->verbs != NULL && !names_verb(d->verbs, verb))
			continue;
		*text = d->text;
		return d->code == 550 && names_verb(STORING, verb) ? 553 : d->code;
	}
	return 451;
}

/* The agent's texts are parts of sentences: here they stand alone. */
static char
capital(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Texts of other processes may lack their full stop. */
static const char *
stop_after(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && strchr(".!?", text[n - 1]) != NULL ? "" : ".";
}

void
ask_reason(struct session *s, const struct msg_failed *f, char *dst, size_t size)
{
	const char *text;

	(void)ask_reply_code(s->verb == NULL ? "" : s->verb->name, f, s->flags, &text);
	if (f->text[0] == '\0')
		(void)str_copy(dst, size, text);
	else
		(void)str_format(dst, size, "%c%s%s", capital(f->text[0]), f->text + 1, stop_after(f->text));
}

void
ask_path(char *dst, size_t size, const char *path)
{
	if (str_copy(dst, size, path) != 0)
		memset(dst, 'x', size - 1);
}

void
ask_refused(struct session *s, const struct msg_failed *f)
{
	const char *text;
	unsigned code = ask_reply_code(s->verb == NULL ? "" : s->verb->name, f, s->flags, &text);

	if (f->text[0] == '\0')
		reply(s, code, "%s", text);
	else if (f->reason == FAIL_POLICY)
		reply(s, code, "%.*s: %s%s", (int)strlen(text) - 1, text, f->text, stop_after(f->text));
	else if (strchr(f->text, '\n') == NULL)
		reply(s, code, "%c%s%s", capital(f->text[0]), f->text + 1, stop_after(f->text));
	else
		reply_text(s, code, f->text);
}

/* A peer that broke the protocol or went away ends this session, and only this one. */
static int
broken(struct session *s, const struct chan *c, int e)
{
	if (s->agent_lost)
		return e;
	if (e == SP_ECLOSED) {
		session_stop(s, "The session's other half has ended.", SP_EXIT_ORPHAN);
		return e;
	}
	log_violation(LOG_LEVEL_ERROR, c == &s->files ? "agent" : "monitor", msg_name(c->bad_type), e);
	session_stop(s, "Internal error.", SP_EXIT_PROTOCOL);
	return e;
}

/* Takes END_AFTER and END_SESSION, which may come at any time. */
static bool
unasked(struct session *s, const struct msg *m)
{
	const char *text;

	if (m->type == MSG_END_AFTER)
		text = m->end_after.text;
	else if (m->type == MSG_END_SESSION)
		text = m->end_session.text;
	else
		return false;
	s->stop = true;
	(void)str_copy(s->stop_text, sizeof s->stop_text, text);
	return true;
}

static int
wait_answer(struct session *s, struct chan *c, enum msg_type asked, enum msg_type want, enum msg_type or_want)
{
	uint32_t id = c->last_id;
	struct msg *m = &s->answer;
	unsigned states = ST_AWAIT | ST_LIVE | ST_LOGIN;
	int e;

	do {
		e = c == &s->files ? pulse_await(s, asked == MSG_FINISH) : 0;
		if (e == 0)
			e = chan_receive(c, m, states);
		if (e == -EINTR)
			continue;
		if (e != 0)
			return e;
	} while (e == -EINTR || unasked(s, m));
	if (m->id == id && (m->type == MSG_FAILED || m->type == want || (or_want != MSG_NONE && m->type == or_want)))
		return m->type == MSG_FAILED;
	c->bad_type = m->type;
	msg_close(m);
	return SP_EREPLY;
}

static int
call(struct session *s, struct chan *c, enum msg_type type, const void *body, enum msg_type want, enum msg_type or_want)
{
	int e = c == &s->files && s->agent_lost ? SP_ECLOSED : chan_tell(c, type, body);

	/* A text that the message cannot carry: nothing was sent, and the client is to blame. */
	if (e == SP_EFORMAT || e == SP_ERANGE) {
		s->answer.type = MSG_FAILED;
		s->answer.fd_count = 0;
		s->answer.failed = (struct msg_failed){ .reason = FAIL_PATH };
		return 1;
	}
	if (e == 0)
		e = wait_answer(s, c, type, want, or_want);
	return e < 0 ? broken(s, c, e) : e;
}

void
ask_finish_later(struct session *s, const struct msg_finish *body)
{
	s->finish = *body;
	s->finish_due = true;
}

void
ask_flush(struct session *s)
{
	if (!s->finish_due)
		return;
	s->finish_due = false;
	if (!ask_tell(s, MSG_FINISH, &s->finish))
		pulse_broken_off(s, s->finish.bytes);
}

int
ask_agent(struct session *s, enum msg_type type, const void *body, enum msg_type want)
{
	ask_flush(s);
	/* The agent forgets what RENAME_FROM named as soon as it is asked for something else. */
	if (type != MSG_RENAME_TO)
		s->rename_from = false;
	return call(s, &s->files, type, body, want, MSG_NONE);
}

int
ask_monitor(struct session *s, enum msg_type type, const void *body, enum msg_type want, enum msg_type or_want)
{
	return call(s, &s->login, type, body, want, or_want);
}

bool
ask(struct session *s, enum msg_type type, const void *body, enum msg_type want)
{
	int e = ask_agent(s, type, body, want);

	if (e > 0)
		ask_refused(s, &s->answer.failed);
	return e == 0;
}

void
ask_done(struct session *s, enum msg_type type, const void *body, unsigned code, const char *text)
{
	if (ask(s, type, body, MSG_DONE))
		reply(s, code, "%s", text);
}

bool
ask_tell(struct session *s, enum msg_type type, const void *body)
{
	int e;

	ask_flush(s);
	e = s->agent_lost ? SP_ECLOSED : chan_tell(&s->files, type, body);
	return e == 0 || broken(s, &s->files, e) == 0;
}

bool
session_news(struct session *s)
{
	static struct msg news;		/* not s->answer: a listing is sent from there */
	struct chan *c = s->live ? &s->files : &s->login;
	int e = chan_receive(c, &news, ST_LIVE | ST_TRANSFER | ST_LOGIN | ST_SPARE);

	if (e == -EINTR || e == -EAGAIN)
		return true;
	if (e == 0) {
		if (unasked(s, &news))
			return true;
		c->bad_type = news.type;
		msg_close(&news);
		e = SP_ESTATE;
	}
	broken(s, c, e);
	return false;
}
