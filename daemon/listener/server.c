#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/listener/control.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/selftest.h"
#include "daemon/listener/server.h"
#include "daemon/listener/systemd.h"
#include "daemon/listener/templates.h"

#define STOP_TEXT "The server is stopping."

int
server_find_users(struct server *s)
{
	const struct { const char *key, *text; struct role_id *id; } users[] = {
		{ "worker_user", s->settings->worker_user, &s->worker },
		{ "monitor_user", s->settings->monitor_user, &s->monitor },
		{ "keeper_user", s->settings->keeper_user, &s->keeper_id },
	};

	for (size_t i = 0; s->root && i < sizeof users / sizeof users[0]; i++) {
		int r = role_find_user(users[i].text, users[i].id);
		struct log_line l;

		if (r == 0 && users[i].id->uid == 0)
			r = SP_EDENIED;
		if (r == 0)
			continue;
		log_begin(&l, LOG_LEVEL_ERROR, "no-such-user");
		log_str(&l, "key", users[i].key);
		log_str(&l, "user", users[i].text);
		log_str(&l, "hint", r == SP_EDENIED ? "root cannot be separated from root" :
		    "make it with: useradd --system --no-create-home --shell /usr/sbin/nologin NAME");
		log_code(&l, r);
		log_end(&l);
		return r;
	}
	return 0;
}

int
server_open_log(const struct server *s)
{
	const char *where = s->settings->log == NULL ? "stderr" : s->settings->log;
	int r = log_open(where);

	log_set_level((enum log_level)s->settings->log_level);
	if (r != 0)
		log_problem(LOG_LEVEL_ERROR, "cannot-open-log", where, r);
	return r;
}

/* ------------------------------------------------------------------------- start */

static void
serve_now(struct server *s)
{
	struct log_line l;

	s->ready = true;
	log_begin(&l, LOG_LEVEL_NOTICE, "ready");
	log_str(&l, "version", PACKAGE_VERSION);
	log_num(&l, "spares", pool_spares(s));
	log_end(&l);
	if (s->options->inetd)
		doors_admit(s, 0, "");
	else
		doors_begin(s);
	systemd_notify("READY=1\nSTATUS=Serving.");
}

void
server_selftest_done(struct server *s, const char *failure)
{
	if (failure == NULL) {
		serve_now(s);
		return;
	}
	log_problem(LOG_LEVEL_ERROR, "self-test-failed", failure, 0);
	log_problem(LOG_LEVEL_ERROR, "refusing-to-start",
	    "a session does not work inside its sandbox on this system; lines before this one may name the system call; "
	    "sandbox = best_effort only helps where the kernel lacks a part of it", 0);
	s->exit_code = SP_EXIT_SANDBOX;
	server_stop(s, "self-test");
}

void
server_spare_ready(struct server *s)
{
	int r;

	if (s->ready || s->stopping || s->selftest != NULL)
		return;
	if (s->options->inetd) {
		serve_now(s);
		return;
	}
	r = selftest_start(s);
	if (r != 0)
		server_selftest_done(s, sp_strerror(r));
}

void
server_session_unsound(struct server *s)
{
	if (s->ready)
		return;
	log_problem(LOG_LEVEL_ERROR, "refusing-to-start", "a process is not what its role must be", 0);
	s->exit_code = SP_EXIT_SANDBOX;
	server_stop(s, "verification");
}

/* --------------------------------------------------------------- templates, reload */

void
server_templates_ready(struct server *s)
{
	bool reloaded = s->previous != NULL;

	conf_free(s->previous);
	s->previous = NULL;
	pool_retire_old_spares(s);
	pool_fill(s);
	if (!reloaded)
		return;
	log_problem(LOG_LEVEL_NOTICE, "reloaded", s->options->conf_path, 0);
	systemd_notify("READY=1\nSTATUS=Serving.");
	control_reloaded(s, 0, "reloaded\n");
}

/* The old configuration is the running one again. */
static void
take_back(struct server *s)
{
	struct conf *bad = s->conf;

	s->conf = s->previous;
	s->previous = NULL;
	s->settings = conf_server(s->conf);
	if (doors_reload(s) != 0)
		log_problem(LOG_LEVEL_ERROR, "reload", "limits of listeners", -ENOMEM);
	conf_free(bad);
}

void
server_templates_failed(struct server *s, int exit_code)
{
	if (!s->ready) {
		log_problem(LOG_LEVEL_ERROR, "refusing-to-start", "a program of the session could not be prepared", 0);
		s->exit_code = exit_code < 0 ? SP_EXIT_CRASH : exit_code;
		server_stop(s, "start");
		return;
	}
	if (s->previous == NULL)
		return;
	take_back(s);
	log_problem(LOG_LEVEL_ERROR, "reload-failed", "programs do not start with it; the old configuration stays", 0);
	systemd_notify("READY=1\nSTATUS=Serving; the last reload failed.");
	control_reloaded(s, 2, "The programs do not start with the new configuration; the old one stays. See the log.\n");
}

static void
collect_errors(const struct conf *c, char *why, size_t size)
{
	size_t used = 0;

	why[0] = '\0';
	for (size_t i = 0; i < conf_problem_count(c) && used + 2 < size; i++) {
		const struct conf_problem *p = conf_problem_at(c, i);

		if (p->severity != CONF_ERROR)
			continue;
		/* What does not fit is cut; check-config prints all. */
		(void)conf_problem_text(p, why + used, size - used - 1);
		log_problem(LOG_LEVEL_ERROR, "configuration", why + used, 0);
		used += strlen(why + used);
		why[used++] = '\n';
		why[used] = '\0';
	}
}

static int
read_again(struct server *s, struct conf **next, char *why, size_t size)
{
	struct conf *c = conf_new();
	const struct conf_key *restart;
	int r;

	if (c == NULL) {
		(void)str_copy(why, size, "out of memory");
		return -ENOMEM;
	}
	r = conf_load(c, s->options->conf_path);
	if (r != 0) {
		(void)str_copy(why, size, r < 0 ? sp_strerror(r) : "");
		if (r > 0)
			collect_errors(c, why, size);
		conf_free(c);
		return SP_EFORMAT;
	}
	server_override(s, c);
	restart = conf_needs_restart(s->conf, c);
	if (restart != NULL)
		log_problem(LOG_LEVEL_WARNING, "needs-restart", restart->name, 0);
	*next = c;
	return 0;
}

int
server_reload(struct server *s, char *why, size_t size)
{
	struct conf *next;
	int r = 0;

	if (s->stopping || s->previous != NULL || s->options->conf_path == NULL) {
		(void)str_copy(why, size, s->stopping ? "The server is stopping." : s->previous != NULL ?
		    "A reload is already going on." : "The server was started without a configuration file.");
		return -EBUSY;
	}
	r = read_again(s, &next, why, size);
	if (r != 0) {
		log_problem(LOG_LEVEL_ERROR, "reload-failed", "the old configuration stays", r);
		return r;
	}
	s->previous = s->conf;
	s->conf = next;
	s->settings = conf_server(next);
	r = doors_reload(s);
	if (r == 0)
		r = keeper_reload(s);
	if (r != 0) {
		take_back(s);
		(void)str_format(why, size, "The old configuration stays: %s", sp_strerror(r));
		return r;
	}
	(void)server_open_log(s);
	systemd_notify("STATUS=Reloading.");
	templates_renew(s, "reload");
	return 0;
}

/* -------------------------------------------------------------------- drain, stop */

static void
on_drain_end(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd, (void)what;
	pool_kick(s, NULL, s->drain_text);
}

void
server_drain(struct server *s, const char *text, int64_t end_after)
{
	struct timeval in = { end_after / 1000, 0 };

	evtimer_del(&s->drain_end);
	if (text == NULL) {
		s->drain_text[0] = '\0';
		return;
	}
	/* Control bytes would end the reply line. */
	(void)str_escape(s->drain_text, sizeof s->drain_text, text, strlen(text));
	if (end_after >= 0)
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
	struct server *s = arg;

	(void)fd, (void)what;
	log_problem(LOG_LEVEL_WARNING, "stop", "sessions are cut off", 0);
	pool_kill_all(s);
	server_check_stopped(s);
}

int
server_init(struct server *s)
{
	return evtimer_assign(&s->drain_end, s->base, on_drain_end, s) == 0 &&
	    evtimer_assign(&s->stop_end, s->base, on_stop_end, s) == 0 ? 0 : -ENOMEM;
}

void
server_stop(struct server *s, const char *why)
{
	struct timeval in = { (time_t)s->settings->stop_timeout, 0 };

	/* Asked a second time, the administrator means it. */
	if (s->stopping) {
		on_stop_end(-1, 0, s);
		return;
	}
	s->stopping = true;
	log_problem(LOG_LEVEL_NOTICE, "stopping", why, 0);
	systemd_notify("STOPPING=1\nSTATUS=Letting sessions finish.");
	selftest_end(s);
	doors_close(s);
	pool_end_spares(s);
	pool_kick(s, NULL, STOP_TEXT);
	evtimer_add(&s->stop_end, &in);
	server_check_stopped(s);
}

void
server_check_stopped(struct server *s)
{
	if (s->options->inetd && s->ready && !s->stopping && pool_busy(s) + pool_waiting(s) == 0)
		server_stop(s, "served");
	if (!s->stopping || pool_left(s) > 0)
		return;
	templates_stop(s);
	keeper_stop(s);
	control_close(s);
	event_base_loopbreak(s->base);
}
