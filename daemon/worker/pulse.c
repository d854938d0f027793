#include "config.h"

#include <errno.h>
#include <poll.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/pulse.h"
#include "daemon/worker/session.h"

#define TELL_AFTER	2000	/* ms without an answer until the monitor is told */
#define BLOCKED_MS	1000	/* an agent that was given up after less than that is not called blocked */
#define GONE_MS		2000	/* ms that an answer is waited for when the client has said all: it may still be reading */

static void
tell(struct session *s, enum pulse_state state)
{
	struct msg_pulse body = { .state = (uint8_t)state };

	(void)chan_tell(&s->log, MSG_PULSE, &body);
}

void
pulse_broken_off(struct session *s, uint64_t bytes)
{
	struct msg_pulse body = { .state = PULSE_BROKEN_OFF, .moved = bytes };

	(void)chan_tell(&s->log, MSG_PULSE, &body);
}

void
pulse_end(struct session *s, enum pulse_state why)
{
	if (s->live && !s->ending)
		tell(s, why);
}

/* The server wants the session to end: a request that is running has this long, from now or from its own beginning. */
static void
hurry(struct session *s, const struct msg_hurry *m)
{
	s->stop = true;
	s->stop_now = s->stop_now || m->now != 0;
	s->stop_at = clock_ms();
	s->stop_patience = m->patience;
	(void)str_copy(s->stop_text, sizeof s->stop_text, m->text);
	if (s->transfer != NULL && !s->stop_now)
		tell(s, PULSE_HURRIED);
}

bool
pulse_hear(struct session *s)
{
	static struct msg m;	/* not s->answer: a listing is sent from there */
	int e = chan_receive(&s->log, &m, ST_LIVE);

	if (e == 0) {
		hurry(s, &m.hurry);
		msg_close(&m);
	}
	if (e == 0 || e == -EINTR || e == -EAGAIN)
		return true;
	if (e != SP_ECLOSED)
		log_violation(LOG_LEVEL_ERROR, "monitor", msg_name(s->log.bad_type), e);
	session_stop(s, "The session's other half has ended.", e == SP_ECLOSED ? SP_EXIT_ORPHAN : SP_EXIT_PROTOCOL);
	return false;
}

bool
pulse_look(struct session *s)
{
	struct pollfd p = { .fd = s->log.fd, .events = POLLIN };

	return !s->live || poll(&p, 1, 0) <= 0 || pulse_hear(s);
}

/* When waiting is over, as things are now. gone_at: when the client said its last, 0: it has not. */
static int64_t
end_of(const struct session *s, bool finish, int64_t began, int64_t gone_at)
{
	int64_t end = began + s->stall_ms, other;

	if (s->stop && (s->stop_now || !finish)) {
		/*
		 * At once: what has just been asked for, such as the end of a broken-off upload, gets its time;
		 * what hangs, none.
		 */
		other = (s->stop_at > began && !s->stop_now ? s->stop_at : began) + s->stop_patience;
		end = other < end ? other : end;
	}
	if (gone_at != 0 && !finish && gone_at + GONE_MS < end)
		end = gone_at + GONE_MS;
	return end;
}

static int
give_up(struct session *s, bool gone, int64_t waited)
{
	/* The one that a session in a hurry does not wait for may be well. */
	if (waited >= BLOCKED_MS)
		log_problem(EVENT_AGENT_BLOCKED, s->verb == NULL ? NULL : s->verb->name, 0);
	s->agent_lost = true;
	if (gone) {
		stream_close(&s->control);
		session_end(s, SP_EXIT_OK);
	} else if (!s->stop) {
		s->stop = true;
		(void)str_copy(s->stop_text, sizeof s->stop_text, "The file system does not answer.");
	}
	return SP_ECLOSED;
}

int
pulse_await(struct session *s, bool finish)
{
	int64_t began = clock_ms(), now = began, gone_at = 0, end, next;
	bool told = false;

	for (;;) {
		struct pollfd p[3] = {
			{ .fd = s->files.fd, .events = POLLIN },
			{ .fd = s->log.fd, .events = POLLIN },
			{ .fd = gone_at != 0 ? -1 : s->control.fd, .events = POLLRDHUP },
		};

		end = end_of(s, finish, began, gone_at);
		next = told || end < began + TELL_AFTER ? end : began + TELL_AFTER;
		if (poll(p, 3, next > now ? (int)(next - now) : 0) < 0 && errno != EINTR)
			return -errno;
		now = clock_ms();
		if (p[0].revents != 0)
			break;
		if (p[1].revents != 0 && !pulse_hear(s))
			return SP_ECLOSED;
		if (p[2].revents != 0)
			gone_at = (p[2].revents & (POLLERR | POLLHUP)) != 0 ? now - GONE_MS : now;
		if (now >= end_of(s, finish, began, gone_at))
			return give_up(s, gone_at != 0, now - began);
		if (!told && now >= began + TELL_AFTER) {
			told = true;
			tell(s, PULSE_WAITING);
		}
	}
	if (told)
		tell(s, PULSE_ANSWERED);
	return 0;
}
