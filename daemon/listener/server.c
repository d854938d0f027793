#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/listener/commands.h"
#include "daemon/listener/control.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/link.h"
#include "daemon/listener/names.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/reload.h"
#include "daemon/listener/selftest.h"
#include "daemon/listener/server.h"
#include "daemon/listener/starter.h"
#include "daemon/listener/systemd.h"
#include "daemon/listener/templates.h"

#define STOP_TEXT	"The server is stopping."
#define LAST_WORDS	5	/* seconds for sessions whose transfers are broken off to say so */

int
server_open_log(const struct server *s)
{
	const char *where = s->settings->log == NULL ? "stderr" : s->settings->log;
	int r = (s->settings->log_format == CONF_LOG_JSON ? log_open_json : log_open)(where);

	log_set_level((enum log_level)s->settings->log_level);
	if (r != 0)
		log_problem(EVENT_LOG_UNUSABLE, where, r);
	return r;
}

/* ------------------------------------------------------------------------- start */

static const char *
how_started(const struct server *s)
{
	if (s->options->serve)
		return "serve";
	if (s->options->inetd)
		return "inetd";
	return access(s->options->conf_path, F_OK) == 0 ? "configuration" : "defaults";
}

void
server_serve(struct server *s)
{
	struct log_line l;
	int r = control_take_place(s);

	if (r != 0)
		log_problem(EVENT_CONTROL_SOCKET, s->settings->control_socket, r);
	s->ready = true;
	log_echo(false);
	log_begin(&l, EVENT_READY);
	log_str(&l, FIELD_VERSION, PACKAGE_VERSION);
	log_str(&l, FIELD_STARTED, how_started(s));
	log_num(&l, FIELD_SPARES, pool_spares(s));
	if (!s->root)
		log_str(&l, FIELD_EFFECT, "without root all processes have one uid: only filters, and Landlock where it works, separate them");
	log_end(&l);
	if (s->options->serve)
		serve_say(s->conf);
	if (s->options->inetd) {
		doors_admit(s, 0, "");
		/* He may be gone again, or have been turned away. */
		server_check_stopped(s);
	} else
		doors_begin(s);
	systemd_notify("READY=1\nSTATUS=Serving.");
}

/* At once; or when the older generation has heard of it and lets its clients go. */
static void
serve_now(struct server *s)
{
	struct msg_link_ready m = { .pid = (uint32_t)getpid(), .version = PACKAGE_VERSION };

	if (s->older == NULL) {
		server_serve(s);
		return;
	}
	s->offered = true;
	link_tell(s->older, MSG_LINK_READY, &m, -1);
}

void
server_selftest_done(struct server *s, const char *failure)
{
	if (failure == NULL) {
		serve_now(s);
		return;
	}
	log_problem(EVENT_SELF_TEST_FAILED, failure, 0);
	log_problem(EVENT_REFUSING_TO_START,
	    "a session does not work inside its sandbox on this system; lines before this one may name the system call; "
	    "sandbox = best_effort only helps where the kernel lacks a part of it", 0);
	s->exit_code = SP_EXIT_SANDBOX;
	server_stop(s, "self-test");
}

void
server_spare_ready(struct server *s)
{
	int r;

	if (s->ready || s->offered || s->stopping || s->selftest != NULL)
		return;
	if (s->options->inetd) {
		/* The client has no later session that could know them. */
		if (!names_awaited(s))
			serve_now(s);
		return;
	}
	r = selftest_start(s);
	if (r != 0)
		server_selftest_done(s, sp_strerror(r));
}

void
server_names_known(struct server *s)
{
	if (s->options->inetd && pool_spares(s) > 0)
		server_spare_ready(s);
}

void
server_session_unsound(struct server *s)
{
	if (s->ready)
		return;
	log_problem(EVENT_REFUSING_TO_START, "a process is not what its role must be", 0);
	s->exit_code = SP_EXIT_SANDBOX;
	server_stop(s, "verification");
}

/* ----------------------------------------------------------------------- templates */

void
server_templates_ready(struct server *s)
{
	reload_succeeded(s);
	pool_retire_old_spares(s);
	pool_fill(s);
}

void
server_templates_failed(struct server *s, int exit_code)
{
	if (s->ready) {
		reload_failed(s);
		return;
	}
	log_problem(EVENT_REFUSING_TO_START, "a program of the session could not be prepared", 0);
	s->exit_code = exit_code < 0 ? SP_EXIT_CRASH : exit_code;
	server_stop(s, "start");
}

/* -------------------------------------------------------------------- drain, stop */

static void
on_drain_end(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd, (void)what;
	pool_end_all(s, s->drain_text, false, SP_END_DRAINED);
}

void
server_drain(struct server *s, const char *text, int64_t end_after)
{
	struct timeval in = { end_after / 1000, 0 };

	evtimer_del(&s->drain_end);
	pool_end_none(s);
	if (text == NULL) {
		s->drain_text[0] = '\0';
		return;
	}
	/* Control bytes would end the reply line. */
	(void)str_escape(s->drain_text, sizeof s->drain_text, text, strlen(text));
	evtimer_add(&s->drain_end, &in);
}

const char *
server_drain_text(const struct server *s)
{
	if (s->stopping)
		return "The server is stopping; try again later.";
	return s->drain_text[0] == '\0' ? NULL : s->drain_text;
}

static void
on_stop_end(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval last_words = { LAST_WORDS, 0 };
	struct server *s = arg;

	(void)fd;
	if (!s->hurried && pool_busy(s) > 0) {
		log_problem(EVENT_STOP_OVERDUE, "transfers are broken off", 0);
		pool_end_all(s, STOP_TEXT, true, SP_END_STOPPED);
		evtimer_add(&s->stop_end, &last_words);
	} else if ((what & EV_TIMEOUT) != 0 && pool_tells(s)) {
		/*
		 * Thousands, on a machine that is busy: nobody is cut off who has not been told. Being asked again
		 * ends that, too.
		 */
		evtimer_add(&s->stop_end, &last_words);
	} else {
		if (pool_lasting(s) > 0)
			log_problem(EVENT_STOP_OVERDUE, "sessions are cut off", 0);
		pool_kill_all(s);
	}
	s->hurried = true;
	server_check_stopped(s);
}

/*
 * Nothing is left. The loop calls this, because whoever found that out may be answering a client, who goes with the
 * rest.
 */
static void
on_over(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd, (void)what;
	if (pool_left(s) > 0)
		log_problem(EVENT_PROCESSES_LEFT_BEHIND, "killed processes that a file system holds", 0);
	names_stop(s);
	starter_end(s);
	templates_stop(s);
	keeper_stop(s);
	control_close(s);
	event_base_loopbreak(s->base);
}

int
server_init(struct server *s)
{
	return evtimer_assign(&s->drain_end, s->base, on_drain_end, s) == 0 &&
	    evtimer_assign(&s->over, s->base, on_over, s) == 0 &&
	    evtimer_assign(&s->stop_end, s->base, on_stop_end, s) == 0 ? 0 : -ENOMEM;
}

void
server_stop(struct server *s, const char *why)
{
	struct timeval in = { (time_t)s->settings->stop_timeout, 0 };

	/* Asked a second time, the administrator means it. */
	if (s->ready) {
		struct msg_link_stop m;

		(void)str_copy(m.why, sizeof m.why, why);
		link_tell(s->older, MSG_LINK_STOP, &m, -1);
	}
	if (s->stopping) {
		on_stop_end(-1, 0, s);
		return;
	}
	s->stopping = true;
	log_problem(EVENT_STOPPING, why, 0);
	systemd_notify("STOPPING=1\nSTATUS=Letting sessions finish.");
	selftest_end(s);
	doors_close(s);
	pool_end_spares(s);
	pool_end_all(s, STOP_TEXT, false, SP_END_STOPPED);
	evtimer_add(&s->stop_end, &in);
	server_check_stopped(s);
}

void
server_check_stopped(struct server *s)
{
	if (s->options->inetd && s->ready && !s->stopping && pool_busy(s) + pool_waiting(s) == 0)
		server_stop(s, "served");
	/* Processes that were killed and are held by a file system end when that answers. */
	if ((s->stopping || s->left) && pool_lasting(s) == 0 && (s->older == NULL || !s->ready))
		event_active(&s->over, EV_TIMEOUT, 0);
}

const char *
server_sallyctl(const struct server *s, char *path, size_t size)
{
	if (str_format(path, size, "%s/sallyctl", s->options->libexec) == 0 && access(path, X_OK) == 0)
		return path;
	return SP_BINDIR "/sallyctl";
}
