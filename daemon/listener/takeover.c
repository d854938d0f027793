#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/elsewhere.h"
#include "daemon/listener/link.h"
#include "daemon/listener/server.h"
#include "daemon/listener/starter.h"
#include "daemon/listener/takeover.h"
#include "privsep/chan.h"

#define HEAR_LIMIT	30	/* seconds that a new one waits for a word of the old one, which has told everything before */

/* The way to the old one, until there is a struct server. */
static struct {
	struct chan channel;
	bool there;
	char text[4096];	/* takeover_note() */
} begun;

/* ------------------------------------------------------------ before it serves */

void
takeover_find(void)
{
	const char *text = getenv(STARTER_LINK);
	char *end;
	long fd = text == NULL ? -1 : strtol(text, &end, 10);

	if (text == NULL)
		return;
	begun.there = *text != '\0' && *end == '\0' && fd > STDERR_FILENO && chan_fd_is((int)fd, 'c');
	if (begun.there) {
		struct timeval limit = { HEAR_LIMIT, 0 };

		chan_init(&begun.channel, fcntl((int)fd, F_DUPFD_CLOEXEC, 0), CH_LINK, ROLE_NEW);
		close((int)fd);
		(void)setsockopt(begun.channel.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	}
	(void)unsetenv(STARTER_LINK);
}

void
takeover_note(const char *text)
{
	size_t used = strlen(begun.text);

	(void)str_format(begun.text + used, sizeof begun.text - used, "%s\n", text);
}

void
takeover_refuse(int status)
{
	static struct msg_link_refused m;

	if (!begun.there)
		return;
	m.exit = (uint32_t)status;
	(void)str_format(m.text, sizeof m.text, "%s%s", begun.text, log_echoed());
	(void)chan_tell(&begun.channel, MSG_LINK_REFUSED, &m);
}

static int
got_door(struct server *s, struct msg *m)
{
	struct addr wanted;
	int r = addr_from(&wanted, m->link_door.wanted, m->link_door.wanted_len);

	return r != 0 ? r : doors_take(s, msg_take_fd(m, 0), &wanted, m->link_door.name, m->link_door.inherited != 0);
}

/* One message of those that come first. *told: it was the last. */
static int
hear_first(struct server *s, struct msg *m, bool *told)
{
	if (s->elsewhere == NULL && m->type != MSG_LINK_HELLO)
		return SP_ESTATE;
	switch (m->type) {
	case MSG_LINK_HELLO:
		if (m->link_hello.protocol != LINK_PROTOCOL)
			return SP_EVERSION;
		return s->elsewhere != NULL ? SP_ESTATE : elsewhere_open(s, &m->link_hello);
	case MSG_LINK_DOOR:
		return got_door(s, m);
	case MSG_LINK_HOLD:
		if (s->hold_fd >= 0)
			return SP_ESTATE;
		s->hold_fd = msg_take_fd(m, 0);
		return 0;
	case MSG_LINK_TOLD:
		*told = true;
		return 0;
	default:
		return SP_ESTATE;
	}
}

/* ------------------------------------------------------------- what the old one says */

static int
got_over(struct server *s, struct msg *m)
{
	const struct msg_link_over *o = &m->link_over;
	static const struct msg_link_serving serving;

	if (!s->offered || s->ready)
		return SP_ESTATE;
	s->sessions_served += o->served;
	s->sessions_refused += o->refused;
	s->crashes += o->crashes;
	s->total.logins += o->logins;
	s->total.login_failures += o->login_failures;
	s->total.transfers += o->transfers;
	s->total.bytes_in += o->bytes_in;
	s->total.bytes_out += o->bytes_out;
	chan_close(&begun.channel);
	begun.there = false;
	link_live(s->older);
	server_serve(s);
	link_tell(s->older, MSG_LINK_SERVING, &serving, -1);
	return 0;
}

static int
got_begin(struct server *s, struct msg *m)
{
	return elsewhere_begin(s, &m->link_begin);
}

static int
got_activity(struct server *s, struct msg *m)
{
	return elsewhere_activity(s, &m->link_activity);
}

static int
got_end(struct server *s, struct msg *m)
{
	return elsewhere_end(s, &m->link_end);
}

static int
got_claim(struct server *s, struct msg *m)
{
	struct msg_link_claimed answer = { .session = m->link_claim.session };
	int fd, r = elsewhere_claim(s, &m->link_claim, &fd);

	if (r < 0)
		return r;
	answer.verdict = (uint8_t)r;
	link_tell(s->older, MSG_LINK_CLAIMED, &answer, fd);
	return 0;
}

static int
got_failed_login(struct server *s, struct msg *m)
{
	struct srclimit_rules rules = server_rules(s, m->link_failed_login.listener);
	struct addr peer;
	int r = addr_from(&peer, m->link_failed_login.peer, m->link_failed_login.peer_len);

	if (r != 0)
		return r;
	s->total.login_failures++;
	srclimit_suspect(s->sources, &rules, &peer, clock_ms());
	srclimit_penalise(s->sources, &rules, &peer, (int64_t)s->settings->penalty_failure * 1000, clock_ms());
	return 0;
}

static int
got_penalty(struct server *s, struct msg *m)
{
	struct srclimit_rules rules = server_rules(s, m->link_penalty.listener);
	struct addr peer;
	int r = addr_from(&peer, m->link_penalty.peer, m->link_penalty.peer_len);

	if (r == 0 && m->link_penalty.ms <= INT32_MAX)
		srclimit_penalise(s->sources, &rules, &peer, (int64_t)m->link_penalty.ms, clock_ms());
	return r;
}

static int
got_ban(struct server *s, struct msg *m)
{
	static const sa_family_t families[] = { [0] = AF_UNSPEC, [4] = AF_INET, [6] = AF_INET6 };
	const struct msg_link_ban *b = &m->link_ban;
	struct addr_net net = { .bits = b->bits };
	int64_t now = clock_ms();

	if (b->family >= sizeof families / sizeof *families || b->network_len != sizeof net.bytes || b->ms > INT64_MAX / 2)
		return SP_EFORMAT;
	net.family = families[b->family];
	memcpy(net.bytes, b->network, sizeof net.bytes);
	if (b->penalty)
		srclimit_set_penalty(s->sources, &net, now + (int64_t)b->ms, now);
	else if (srclimit_ban(s->sources, &net, b->ms == 0 ? 0 : now + (int64_t)b->ms, b->reason) != 0)
		log_problem(EVENT_BAN_LOST, b->reason, 0);
	return 0;
}

static int
got_client(struct server *s, struct msg *m)
{
	struct addr peer, local;
	int r = addr_from(&peer, m->link_client.peer, m->link_client.peer_len);

	if (r == 0)
		r = addr_from(&local, m->link_client.local, m->link_client.local_len);
	if (r == 0)
		doors_return(s, msg_take_fd(m, 0), m->link_client.listener, &peer, &local);
	return r;
}

static int
hear_old(struct server *s, struct msg *m)
{
	static const struct {
		enum msg_type type;
		int (*f)(struct server *, struct msg *);
	} handlers[] = {
		{ MSG_LINK_OVER, got_over }, { MSG_LINK_BEGIN, got_begin }, { MSG_LINK_LOGIN, elsewhere_login },
		{ MSG_LINK_ACTIVITY, got_activity }, { MSG_LINK_END, got_end }, { MSG_LINK_CLAIM, got_claim },
		{ MSG_LINK_FAILED_LOGIN, got_failed_login }, { MSG_LINK_PENALTY, got_penalty }, { MSG_LINK_BAN, got_ban },
		{ MSG_LINK_CLIENT, got_client },
	};

	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (handlers[i].type == m->type)
			return handlers[i].f(s, m);
	return SP_ESTATE;
}

/* It has ended with its last session; or died, even before it could say that it is this one's turn. */
static void
old_gone(struct server *s)
{
	struct log_line l;

	log_begin(&l, EVENT_GENERATION_ENDED);
	log_num(&l, FIELD_PID, elsewhere_pid(s));
	log_str(&l, FIELD_VERSION, elsewhere_version(s));
	log_num(&l, FIELD_SESSIONS, elsewhere_clients(s));
	log_end(&l);
	link_free(s->older);
	s->older = NULL;
	chan_close(&begun.channel);
	begun.there = false;
	elsewhere_close(s);
	if (s->offered && !s->ready && !s->stopping)
		server_serve(s);
	else
		server_check_stopped(s);
}

int
takeover_meet(struct server *s)
{
	static struct msg m;
	bool told = false;
	int r = 0, fd;

	if (!begun.there)
		return 0;
	while (r == 0 && !told) {
		r = chan_receive(&begun.channel, &m, ST_START);
		if (r == -EINTR || r == SP_ETYPE || r == SP_ECHANNEL) {
			r = 0;
			continue;
		}
		if (r == 0) {
			r = hear_first(s, &m, &told);
			msg_close(&m);
		}
	}
	fd = r == 0 ? fcntl(begun.channel.fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd >= 0)
		s->older = link_new(s, fd, ROLE_NEW, hear_old, old_gone);
	if (r == 0 && s->older == NULL)
		r = -ENOMEM;
	if (r != 0)
		log_problem(EVENT_REFUSING_TO_START, "the older generation cannot be understood", r);
	return r;
}
