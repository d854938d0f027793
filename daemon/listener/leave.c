#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/control.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/leave.h"
#include "daemon/listener/link.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"
#include "daemon/listener/starter.h"
#include "daemon/listener/systemd.h"
#include "daemon/listener/tell.h"
#include "daemon/listener/templates.h"
#include "privsep/chan.h"

#define READY_LIMIT	120	/* seconds that a new generation may take until it serves */

/* The one that is being started. */
static struct {
	struct event late;
	int pid_fd;		/* -1: the starter has not said yet */
	pid_t pid;
	char version[65];
	char why[8200];		/* what it said against starting */
	bool serving;
} next = { .pid_fd = -1 };

/* ---------------------------------------------------------------- it does not come to be */

/* Everything is as it was. */
static void
give_up(struct server *s, const char *why)
{
	char text[8400];

	evtimer_del(&next.late);
	if (next.pid_fd >= 0) {
		(void)syscall(SYS_pidfd_send_signal, next.pid_fd, SIGKILL, NULL, 0);
		close(next.pid_fd);
	}
	next.pid_fd = -1;
	link_free(s->newer);
	s->newer = NULL;
	if (s->left) {
		s->left = false;
		doors_begin(s);
		pool_fill(s);
	}
	(void)str_format(text, sizeof text, "%s; the server goes on as it was.%s%s", why, *next.why == '\0' ? "" : "\n", next.why);
	log_problem(EVENT_RESTART_FAILED, why, 0);
	s->restarted(s, 2, text);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	give_up(arg, "The new generation did not serve in time");
}

/* ------------------------------------------------------------------------- it serves */

/* From now on there are sessions here, and nothing else. */
static void
leave(struct server *s)
{
	char text[512];
	unsigned left = pool_busy(s);

	evtimer_del(&next.late);
	next.serving = true;
	link_live(s->newer);
	/* Only the main process may say so, which is this one until it has. */
	(void)str_format(text, sizeof text, "MAINPID=%ld\nREADY=1\nSTATUS=Serving.", (long)next.pid);
	systemd_notify(text);
	(void)unsetenv("NOTIFY_SOCKET");
	doors_close(s);
	control_leave(s);
	pool_hand_over(s);
	pool_retire_spares(s);
	templates_stop(s);
	starter_end(s);
	close(next.pid_fd);
	next.pid_fd = -1;
	(void)str_format(text, sizeof text, "Version %s (pid %ld) serves; %s (pid %ld) keeps %u session%s until %s.",
	    next.version, (long)next.pid, PACKAGE_VERSION, (long)getpid(), left, left == 1 ? "" : "s", left == 1 ? "it ends" : "they end");
	log_problem(EVENT_RESTARTED, text, 0);
	s->restarted(s, 0, text);
	server_check_stopped(s);
}

/* The newer one has died. What is left here goes on; nobody is accepted. */
static void
alone(struct server *s)
{
	static const enum session_state states[] = { SESSION_BUSY, SESSION_ENDING };
	struct session *n, *after;

	log_problem(EVENT_GENERATION_LOST, "the newer generation has ended; sessions of this one go on", 0);
	link_free(s->newer);
	s->newer = NULL;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		TAILQ_FOREACH_SAFE(n, pool_list(s, states[i]), link, after)
			if (n->service != NULL)
				session_claimed_here(n);
	server_check_stopped(s);
}

static void
newer_gone(struct server *s)
{
	if (next.serving)
		alone(s);
	else
		give_up(s, *next.why != '\0' ? "The new generation refuses to start" :
		    "The new generation ended before it served; the log may say why");
}

/* --------------------------------------------------------------------- what it says */

static int
got_started(struct server *s, struct msg *m)
{
	(void)s;
	if (next.pid_fd >= 0)
		return SP_ESTATE;
	next.pid = (pid_t)m->link_started.pid;
	next.pid_fd = msg_take_fd(m, 0);
	return 0;
}

static int
got_refused(struct server *s, struct msg *m)
{
	(void)s;
	(void)str_format(next.why, sizeof next.why, "%s", *m->link_refused.text != '\0' ? m->link_refused.text :
	    sp_exit_word((int)m->link_refused.exit));
	return 0;
}

/* Nobody is accepted until it serves, or does not after all: clients wait in the sockets, which both have. */
static int
got_ready(struct server *s, struct msg *m)
{
	if (s->left || next.pid_fd < 0)
		return SP_ESTATE;
	(void)str_copy(next.version, sizeof next.version, m->link_ready.version);
	doors_pause(s);
	tell_all(s);
	s->left = true;
	return 0;
}

static int
got_serving(struct server *s, struct msg *m)
{
	(void)m;
	if (!s->left || next.serving)
		return SP_ESTATE;
	leave(s);
	return 0;
}

static struct session *
find_session(const struct server *s, uint64_t number)
{
	static const enum session_state states[] = { SESSION_BUSY, SESSION_ENDING };
	struct session *n;

	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		TAILQ_FOREACH(n, pool_list(s, states[i]), link)
			if (n->service != NULL && n->service->number == number)
				return n;
	return NULL;
}

static int
got_claimed(struct server *s, struct msg *m)
{
	struct session *n = find_session(s, m->link_claimed.session);

	if (n != NULL)
		session_claimed(n, m->link_claimed.verdict, m->fd_count > 0 ? m->fd[0] : -1);
	return 0;
}

static int
got_kick(struct server *s, struct msg *m)
{
	struct session *n = find_session(s, m->link_kick.session);

	if (n != NULL && n->state == SESSION_BUSY)
		session_stop(n, m->link_kick.text, n->stopped == STOP_NOT ? STOP_SOON : STOP_NOW, SP_END_KICKED);
	return 0;
}

static int
got_drain(struct server *s, struct msg *m)
{
	server_drain(s, m->link_drain.off ? NULL : m->link_drain.text, m->link_drain.ms > INT32_MAX ? INT32_MAX : (int64_t)m->link_drain.ms);
	return 0;
}

static int
got_stop(struct server *s, struct msg *m)
{
	server_stop(s, m->link_stop.why);
	return 0;
}

static int
hear_new(struct server *s, struct msg *m)
{
	static const struct {
		enum msg_type type;
		int (*f)(struct server *, struct msg *);
	} handlers[] = {
		{ MSG_LINK_STARTED, got_started }, { MSG_LINK_REFUSED, got_refused }, { MSG_LINK_READY, got_ready },
		{ MSG_LINK_SERVING, got_serving }, { MSG_LINK_CLAIMED, got_claimed }, { MSG_LINK_KICK, got_kick },
		{ MSG_LINK_DRAIN, got_drain }, { MSG_LINK_STOP, got_stop },
	};

	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (handlers[i].type == m->type)
			return handlers[i].f(s, m);
	return SP_ESTATE;
}

/* ------------------------------------------------------------------------ the start */

static void
give_door(void *context, int fd, const struct addr *wanted, const char *name, bool inherited)
{
	struct msg_link_door m = { .inherited = inherited, .wanted_len = addr_len(wanted) };

	memcpy(m.wanted, &wanted->sa, m.wanted_len);
	(void)str_copy(m.name, sizeof m.name, name);
	link_tell(context, MSG_LINK_DOOR, &m, fd);
}

static void
introduce(struct server *s)
{
	const struct msg_link_hello hello = { .protocol = LINK_PROTOCOL, .pid = (uint32_t)getpid(), .version = PACKAGE_VERSION };
	static const struct msg_link_hold hold;
	static const struct msg_link_told told;

	link_tell(s->newer, MSG_LINK_HELLO, &hello, -1);
	doors_give(s, give_door, s->newer);
	if (templates_hold_fd(s) >= 0)
		link_tell(s->newer, MSG_LINK_HOLD, &hold, templates_hold_fd(s));
	link_tell(s->newer, MSG_LINK_TOLD, &told, -1);
}

static int
begin(struct server *s)
{
	static const struct timeval limit = { READY_LIMIT, 0 };
	int ends[2], r = chan_pair(ends);

	if (r != 0)
		return r;
	r = starter_ask(s, ends[1]);
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return r;
	}
	s->newer = link_new(s, ends[0], ROLE_OLD, hear_new, newer_gone);
	if (s->newer == NULL)
		return -ENOMEM;
	next.why[0] = '\0';
	evtimer_add(&next.late, &limit);
	introduce(s);
	return 0;
}

static const char *
cannot_restart(const struct server *s)
{
	if (s->stopping)
		return "The server is stopping.";
	if (s->left)
		return "A newer generation serves already.";
	if (s->newer != NULL)
		return "A restart is already going on.";
	if (!s->ready || s->reload != NULL)
		return s->ready ? "A reload is going on." : "The server is still starting.";
	if (s->older != NULL)
		return "The last restart has left an older generation, which still has sessions: wait for their end, or end them with "
		    "sallyctl drain old.";
	if (getpid() == 1)
		return "The server is process 1 of a container, which ends with it: replace the container.";
	return s->starter_fd < 0 ? "This server has no starter." : NULL;
}

static int
restart(struct server *s, char *why, size_t size)
{
	const char *no = cannot_restart(s);
	int r = no == NULL ? begin(s) : -EBUSY;

	if (r == 0)
		return 0;
	if (no != NULL)
		(void)str_copy(why, size, no);
	else
		(void)str_format(why, size, "The starter does not answer: %s; the server goes on as it was.", sp_strerror(r));
	log_problem(EVENT_RESTART_FAILED, why, 0);
	return r;
}

void
leave_allow(struct server *s)
{
	evtimer_assign(&next.late, s->base, on_late, s);
	if (s->starter_fd >= 0 && s->restarted != NULL)
		s->restart = restart;
}
