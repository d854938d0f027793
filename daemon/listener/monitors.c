/*
 * What monitors say: a handler for each message that a session may send.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"
#include "daemon/listener/tell.h"

static int
got_ready(struct session *n, struct msg *m)
{
	(void)m;
	if (n->reported_ready)
		return SP_ESTATE;
	n->reported_ready = true;
	templates_collect(n->server);
	pool_session_changed(n);
	return 0;
}

/* Its claim (id) is decided: answers it, and counts it here if that is the verdict. */
static int
answer_claim(struct session *n, const struct msg_claim *c, uint32_t id, int verdict, int fd)
{
	struct msg_claimed answer = { .verdict = (uint8_t)verdict };
	struct service *v = n->service;

	if (verdict == CLAIM_COUNTED) {
		v->claimed = true;
		admission_lines_back(n->server, &v->peer, v->lines);
		v->lines = 0;
		crowd_leave(&v->member);
		(void)str_copy(v->user, sizeof v->user, c->user);
		(void)str_copy(v->class, sizeof v->class, c->class);
	}
	return chan_send(&n->channel, MSG_CLAIMED, id, &answer, &fd, fd >= 0);
}

static int
decide_claim(struct session *n, const struct msg_claim *c, uint32_t id)
{
	struct server *s = n->server;
	int fd = -1, r = s->stopping ? (int)CLAIM_STOPPING :
	    claim_take(s->claims, c->user, c->class, c->max_per_user, c->max_per_class);

	if (r < 0)
		return r;
	s->total.logins += r == CLAIM_COUNTED;
	if (r == CLAIM_COUNTED && (c->rate_up != 0 || c->rate_down != 0))
		fd = claim_memory(s->claims, c->user, c->rate_up, c->rate_down);
	return answer_claim(n, c, id, r, fd);
}

static int
got_claim(struct session *n, struct msg *m)
{
	struct service *v = n->service;

	if (v->claimed || v->asked != NULL)
		return SP_ESTATE;
	/* It gave way to another, or its listener is gone: its place is taken. */
	if (v->released)
		return SP_ECLOSED;
	if (n->server->stopping || !tell_claim(n, &m->claim))
		return decide_claim(n, &m->claim, m->id);
	v->asked = malloc(sizeof *v->asked);
	if (v->asked == NULL)
		return -ENOMEM;
	*v->asked = m->claim;
	v->asked_id = m->id;
	return 0;
}

void
session_claimed(struct session *n, int verdict, int fd)
{
	struct service *v = n->service;
	struct msg_claim *c = v->asked;
	int r = verdict;

	if (c == NULL)
		return;
	v->asked = NULL;
	/* Counted there with all; here only so that the counts are right should the newer one die. */
	if (r == CLAIM_COUNTED && !v->released)
		r = claim_take(n->server->claims, c->user, c->class, 0, 0);
	if (v->released || r < 0 || answer_claim(n, c, v->asked_id, r, fd) != 0)
		session_end(n);
	free(c);
}

void
session_claimed_here(struct session *n)
{
	struct msg_claim *c = n->service->asked;

	if (c == NULL)
		return;
	n->service->asked = NULL;
	if (n->service->released || decide_claim(n, c, n->service->asked_id) != 0)
		session_end(n);
	free(c);
}

static int
got_login_failed(struct session *n, struct msg *m)
{
	struct server *s = n->server;
	struct srclimit_rules rules = server_rules(s, n->service->listener);

	(void)m;
	s->total.login_failures++;
	tell_failed_login(n);
	srclimit_suspect(s->sources, &rules, &n->service->peer, clock_ms());
	if (srclimit_is_suspect(s->sources, &n->service->peer, clock_ms()))
		crowd_suspect(&n->service->member);
	srclimit_penalise(s->sources, &rules, &n->service->peer, (int64_t)s->settings->penalty_failure * 1000, clock_ms());
	return 0;
}

/* Of a session whose login was granted when it ended, nothing is counted. */
static int
got_unsaid(struct session *n, struct msg *m)
{
	const struct service *v = n->service;

	if (m->unsaid.event >= LOG_EVENT_COUNT)
		return SP_ERANGE;
	if (!v->claimed)
		admission_unsaid(n->server, v->listener, &v->peer, (enum log_event)m->unsaid.event, m->unsaid.count);
	return 0;
}

/* The lines of its source's share that it did not need. */
static void
give_lines_back(struct service *v, struct server *s, unsigned lines)
{
	if (lines > v->lines)
		lines = v->lines;
	v->lines -= lines;
	admission_lines_back(s, &v->peer, lines);
}

static int
got_lines_left(struct session *n, struct msg *m)
{
	give_lines_back(n->service, n->server, m->lines_left.lines);
	return 0;
}

static int
got_checking(struct session *n, struct msg *m)
{
	n->service->checking = m->checking.now != 0;
	crowd_checked(&n->service->member, n->service->checking);
	session_hurry(n);
	return 0;
}

/* A session's count has reached now; whatever monitors say, a total never shrinks. */
static void
count_up(uint64_t *count, uint64_t now, uint64_t *total)
{
	if (now > *count) {
		*total += now - *count;
		*count = now;
	}
}

static void
count_bytes(struct session *n, uint64_t in, uint64_t out)
{
	count_up(&n->service->bytes_in, in, &n->server->total.bytes_in);
	count_up(&n->service->bytes_out, out, &n->server->total.bytes_out);
}

static int
got_activity(struct session *n, struct msg *m)
{
	struct service *v = n->service;

	(void)str_copy(v->what, sizeof v->what, m->activity.what);
	v->last_report = clock_ms();
	count_bytes(n, m->activity.bytes_in, m->activity.bytes_out);
	tell_activity(n);
	return 0;
}

static int
got_totals(struct session *n, struct msg *m)
{
	n->server->total.transfers += m->totals.transfers;
	n->service->transfers += m->totals.transfers;
	count_bytes(n, m->totals.bytes_in, m->totals.bytes_out);
	tell_activity(n);
	return 0;
}

/*
 * REIN.  The client's connection and no other: one that a taken-over worker got elsewhere, from its agent for instance,
 * would be served as if it had been accepted.  It waits here until the session is gone with all its copies.
 */
static int
got_client_back(struct session *n, struct msg *m)
{
	struct service *v = n->service;

	if (!v->claimed || v->back_fd >= 0)
		return SP_ESTATE;
	if (v->socket == 0 || session_socket_number(m->fd[0]) != v->socket)
		return SP_EDENIED;
	v->back_fd = msg_take_fd(m, 0);
	session_end(n);
	return 0;
}

static int
got_blocked(struct session *n, struct msg *m)
{
	n->service->blocked = m->blocked.blocked != 0;
	tell_activity(n);
	return 0;
}

/* It has heard STOP, and may finish its transfer. */
static int
got_stopping(struct session *n, struct msg *m)
{
	(void)m;
	if (n->state == SESSION_BUSY && n->stopped != STOP_NOW)
		n->deadline = 0;
	return 0;
}

static int
got_agent_replaced(struct session *n, struct msg *m)
{
	(void)m;
	n->agent_replaced = true;
	return 0;
}

static int
handle(struct session *n, struct msg *m)
{
	static const struct {
		int (*f)(struct session *, struct msg *);
		enum msg_type type;
		bool late;	/* of interest when the session is ending, too */
	} handlers[] = {
		{ got_ready, MSG_SESSION_READY, false },
		{ got_claim, MSG_CLAIM, false },
		{ got_login_failed, MSG_LOGIN_FAILED, true },
		{ got_unsaid, MSG_UNSAID, true },
		{ got_lines_left, MSG_LINES_LEFT, true },
		{ got_checking, MSG_CHECKING, false },
		{ got_activity, MSG_ACTIVITY, true },
		{ got_totals, MSG_TOTALS, true },
		{ got_agent_replaced, MSG_AGENT_REPLACED, false },
		{ got_client_back, MSG_CLIENT_BACK, true },	/* the worker's end may be seen first */
		{ got_blocked, MSG_BLOCKED, false },
		{ got_stopping, MSG_STOPPING, false },
	};

	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		if (handlers[i].type == m->type)
			return n->state == SESSION_ENDING && !handlers[i].late ? 0 : handlers[i].f(n, m);
	return SP_ETYPE;
}

int
session_hear(struct session *n)
{
	static struct msg m;
	unsigned states = n->service != NULL ? ST_LOGIN | ST_LIVE : ST_START;
	char id[STR_NUMBER_MAX], peer[ADDR_TEXT_MAX];
	struct log_line l;
	int r = chan_receive(&n->channel, &m, states);

	if (r == 0) {
		r = handle(n, &m);
		msg_close(&m);
	}
	if (r == 0 || r == -EAGAIN || r == -EINTR || r == SP_ECLOSED)
		return r == -EINTR ? -EAGAIN : r;
	log_begin_at(&l, LOG_LEVEL_WARNING, EVENT_PROTOCOL_VIOLATION);
	log_str(&l, FIELD_PEER, "monitor");
	if (n->service != NULL) {
		log_str(&l, FIELD_SESSION, session_id(id, n->service->number));
		log_str(&l, FIELD_RHOST, addr_host(peer, &n->service->peer));
		if (n->service->user[0] != '\0')
			log_str(&l, FIELD_USER, n->service->user);
	}
	log_str(&l, FIELD_MESSAGE, msg_name(n->channel.bad_type));
	log_code(&l, r);
	log_end(&l);
	n->protocol_broken = true;
	return r;
}
