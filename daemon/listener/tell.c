#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/str.h"
#include "daemon/listener/link.h"
#include "daemon/listener/session.h"
#include "daemon/listener/state.h"
#include "daemon/listener/tell.h"

/* Has it left, and is the newer one there to hear? */
static bool
has_left(const struct server *s)
{
	return s->left && s->newer != NULL;
}

static void
copy_address(uint8_t *to, size_t *len, const struct addr *a)
{
	*len = addr_len(a);
	memcpy(to, &a->sa, *len);
}

void
tell_activity(const struct session *n)
{
	struct msg_link_activity m = { .session = n->service->number, .blocked = n->service->blocked,
	    .bytes_in = n->service->bytes_in, .bytes_out = n->service->bytes_out, .transfers = n->service->transfers };

	if (!has_left(n->server) || n->service->released)
		return;
	(void)str_copy(m.what, sizeof m.what, n->service->what);
	link_tell(n->server->newer, MSG_LINK_ACTIVITY, &m, -1);
}

void
tell_end(const struct session *n)
{
	if (has_left(n->server))
		link_tell(n->server->newer, MSG_LINK_END, &(struct msg_link_end){ .session = n->service->number }, -1);
}

bool
tell_claim(const struct session *n, const struct msg_claim *c)
{
	struct msg_link_claim m = { .session = n->service->number, .max_per_user = c->max_per_user,
	    .max_per_class = c->max_per_class, .rate_up = c->rate_up, .rate_down = c->rate_down };

	if (!has_left(n->server))
		return false;
	(void)str_copy(m.user, sizeof m.user, c->user);
	(void)str_copy(m.class, sizeof m.class, c->class);
	link_tell(n->server->newer, MSG_LINK_CLAIM, &m, -1);
	return true;
}

void
tell_failed_login(const struct session *n)
{
	struct msg_link_failed_login m = { 0 };

	if (!has_left(n->server))
		return;
	copy_address(m.peer, &m.peer_len, &n->service->peer);
	(void)str_copy(m.listener, sizeof m.listener, n->service->listener);
	link_tell(n->server->newer, MSG_LINK_FAILED_LOGIN, &m, -1);
}

void
tell_penalty(const struct session *n, int64_t ms)
{
	struct msg_link_penalty m = { .ms = (uint64_t)ms };

	if (!has_left(n->server) || ms <= 0)
		return;
	copy_address(m.peer, &m.peer_len, &n->service->peer);
	(void)str_copy(m.listener, sizeof m.listener, n->service->listener);
	link_tell(n->server->newer, MSG_LINK_PENALTY, &m, -1);
}

bool
tell_client(struct server *s, int fd, const char *listener, const struct addr *peer, const struct addr *local)
{
	struct msg_link_client m = { 0 };

	if (!has_left(s))
		return false;
	copy_address(m.peer, &m.peer_len, peer);
	copy_address(m.local, &m.local_len, local);
	(void)str_copy(m.listener, sizeof m.listener, listener);
	link_tell(s->newer, MSG_LINK_CLIENT, &m, fd);
	close(fd);
	return true;
}

/* ---------------------------------------------------------------------- everything */

static void
tell_session(const struct session *n)
{
	const struct service *v = n->service;
	struct msg_link_begin begin = { .session = v->number, .since = (uint64_t)v->since };
	struct msg_link_login login = { .session = v->number };

	if (v->released)
		return;
	copy_address(begin.peer, &begin.peer_len, &v->peer);
	(void)str_copy(begin.listener, sizeof begin.listener, v->listener);
	link_tell(n->server->newer, MSG_LINK_BEGIN, &begin, -1);
	if (v->claimed) {
		(void)str_copy(login.user, sizeof login.user, v->user);
		(void)str_copy(login.class, sizeof login.class, v->class);
		link_tell(n->server->newer, MSG_LINK_LOGIN, &login, claim_memory_of(n->server->claims, v->user));
	}
	tell_activity(n);
}

static void
tell_ban(void *context, const struct srclimit_ban *b)
{
	struct server *s = context;
	int64_t left = b->until == 0 ? 0 : b->until - clock_ms();
	struct msg_link_ban m = { .family = b->net.family == AF_INET6 ? 6 : b->net.family == AF_INET ? 4 : 0, .bits = b->net.bits, .network_len = sizeof b->net.bytes,
	    .ms = (uint64_t)(left < 0 ? 1 : left), .penalty = b->penalty };

	memcpy(m.network, b->net.bytes, sizeof b->net.bytes);
	(void)str_copy(m.reason, sizeof m.reason, b->reason);
	link_tell(s->newer, MSG_LINK_BAN, &m, -1);
}

void
tell_all(struct server *s)
{
	static const enum session_state states[] = { SESSION_BUSY, SESSION_ENDING };
	/* Every penalty, not only those that close the door. */
	const struct srclimit_rules rules = { 0 };
	const struct msg_link_over over = { .served = s->sessions_served, .refused = s->sessions_refused, .crashes = s->crashes,
	    .logins = s->total.logins, .login_failures = s->total.login_failures, .transfers = s->total.transfers,
	    .bytes_in = s->total.bytes_in, .bytes_out = s->total.bytes_out };
	const struct session *n;

	link_tell(s->newer, MSG_LINK_OVER, &over, -1);
	srclimit_each_ban(s->sources, &rules, clock_ms(), tell_ban, s);
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		TAILQ_FOREACH(n, pool_list(s, states[i]), link)
			if (n->service != NULL)
				tell_session(n);
}
