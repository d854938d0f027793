/*
 * From the profile to the end: become the user, prove it, serve, leave nothing
 * half done behind.
 */
#include "config.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/idle.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/agent.h"
#include "daemon/agent/hold.h"
#include "daemon/agent/names.h"
#include "daemon/agent/temporary.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"
#include "privsep/template.h"

#define GRACE_MS	200
#define SILENT_AFTER	10000	/* ms: the worker lets one pass between two notes, and may wait for its turn */

static struct agent agent;	/* zero pages until they are needed */
static struct conf *configuration;

int
agent_warm_up(const struct conf *conf)
{
	/* Every session process has its own copy to apply the account's values to. */
	configuration = (struct conf *)(uintptr_t)conf;
	names_open();
	temporary_warm_up();
	return 0;
}

static void
log_to_monitor(void *context, enum log_level level, const char *text, size_t len)
{
	static struct msg_agent_log m;
	struct agent *a = context;

	(void)len;
	m.level = (uint8_t)level;
	if (str_copy(m.text, sizeof m.text, text) == 0)
		(void)chan_tell(&a->monitor, MSG_AGENT_LOG, &m);
}

/* ----------------------------------------------------------------- settings */

static int
apply_line(struct agent *a, char *line)
{
	char *value = strchr(line, '=');
	char why[256];
	int r = SP_EFORMAT;

	if (value != NULL) {
		*value++ = '\0';
		r = conf_set(a->conf, SC_SERVER, NULL, line, value, why, sizeof why);
	}
	if (r != 0)
		log_problem(EVENT_PROFILE_SETTING, line, r);
	return r;
}

/* The account's values over those of the server. */
static int
apply_settings(struct agent *a, char *text)
{
	char *line, *rest = *text == '\0' ? NULL : text;
	int r = 0;

	while (r == 0 && (line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			r = apply_line(a, line);
	if (r != 0)
		return r;
	a->set = conf_server(a->conf);
	log_set_level((enum log_level)a->set->log_level);
	return 0;
}

/* ----------------------------------------------------- becoming the session */

static int
take_identity(struct agent *a, const struct msg_profile *p)
{
	if (p->groups_len % sizeof(gid_t) != 0 || p->groups_len > sizeof a->groups)
		return SP_ERANGE;
	a->session = p->session;
	a->uid = p->uid;
	a->gid = p->gid;
	a->group_count = p->groups_len / sizeof(gid_t);
	memcpy(a->groups, p->groups, p->groups_len);
	a->dialect_uid = p->dialect_uid;
	a->flags = p->flags;
	a->mask = p->umask & 0777;
	(void)str_copy(a->user, sizeof a->user, p->user);
	if (addr_from(&a->peer, p->peer, p->peer_len) != 0 || addr_from(&a->local, p->local, p->local_len) != 0)
		return SP_EFORMAT;
	return 0;
}

static int
restrict_paths(struct agent *a)
{
	int r;

	if ((a->flags & PROFILE_JAIL) == 0 || a->set->landlock == CONF_LANDLOCK_OFF)
		return 0;
	r = landlock_restrict_to(a->root.fd, LANDLOCK_WRITE_TREE);
	return a->set->landlock == CONF_LANDLOCK_AUTO && landlock_is_missing(r) ? 0 : r;
}

/* The walls, from the outside in; the last step cannot be taken back. */
static int
become_user(struct agent *a)
{
	/* Without root nobody can be locked in by chroot(2); Landlock is then the wall. */
	bool jail = (a->flags & PROFILE_JAIL) != 0 && geteuid() == 0;
	int r;

	umask(a->mask);
	if ((r = restrict_paths(a)) != 0)
		return r;
	return drop_to_user(a->uid, a->gid, a->groups, a->group_count, jail ? a->root.fd : -1,
	    drop_how(a->set).lax);
}

/* The folder to begin in; the root when the wished one is not there. */
static void
find_start(struct agent *a, const char *start)
{
	int r = root_find(&a->root, "/", start[0] == '\0' ? "/" : start, ROOT_FOLLOW, &a->place);

	if (r == 0 && (r = a->place.error) == 0 && !root_is_folder(&a->place))
		r = a->place.found ? -ENOTDIR : -ENOENT;
	if (r == 0) {
		memcpy(a->cwd, a->place.path, a->place.path_len + 1);
		a->start = a->place.path_len == 1 ? NULL : strdup(a->cwd);
	} else {
		log_problem(EVENT_NO_START_DIRECTORY, start, r);
	}
	root_leave(&a->place);
}

static int
become(struct agent *a, struct msg_profile *p)
{
	int r;

	root_init(&a->root, msg_take_fd(&a->in, 0));
	if (a->in.fd_count > 1)
		a->inflight = inflight_map(msg_take_fd(&a->in, 1));
	(void)str_copy(a->cwd, sizeof a->cwd, "/");
	if ((r = take_identity(a, p)) != 0 || (r = apply_settings(a, p->settings)) != 0)
		return r;
	hold_begin(a);
	if ((r = become_user(a)) != 0)
		return r;
	if ((r = policy_begin(a, p)) != 0)
		return r;
	if (getrandom(a->unique_key, sizeof a->unique_key, 0) != sizeof a->unique_key)
		return -EIO;
	find_start(a, p->start);
	return 0;
}

/* A PAM session needs an agent that was started within it: that one gets our end of the worker's channel. */
static int
retire(struct agent *a)
{
	static const struct msg_agent_retired retired;
	int r = chan_answer(&a->monitor, &a->in, MSG_AGENT_RETIRED, &retired, &a->files.fd, 1);

	return r == 0 ? SP_EXIT_OK : SP_EXIT_ORPHAN;
}

/* Answers the profile. 0, or the exit code to end with. */
static int
accept_profile(struct agent *a)
{
	struct msg_profile_ok *ok = &a->out.profile_ok;
	int r = become(a, &a->in.profile);

	if (r != 0) {
		log_problem(EVENT_SESSION_NOT_STARTED, a->in.profile.user, r);
		(void)chan_refuse(&a->monitor, &a->in, FAIL_SYSTEM, r > SP_EBASE ? -r : 0, sp_strerror(r));
		return 1 + SP_EXIT_SANDBOX;
	}
	ok->rights = authz_possible_rights(a->policy);
	if ((a->flags & PROFILE_ADMIN) == 0)
		ok->rights &= ~(uint32_t)AUTHZ_USERADM;
	(void)str_copy(ok->start, sizeof ok->start, strlen(a->cwd) < sizeof ok->start ? a->cwd : "/");
	r = chan_answer(&a->monitor, &a->in, MSG_PROFILE_OK, ok, NULL, 0);
	return r == 0 ? 0 : 1 + SP_EXIT_ORPHAN;
}

/* LAYER*, PROFILE, and the answer to it. 0, or the exit code to end with plus one. */
static int
receive_profile(struct agent *a)
{
	int r;

	while ((r = chan_receive(&a->monitor, &a->in, ST_SPARE)) == 0 && a->in.type == MSG_LAYER)
		if (policy_add(a, &a->in.layer) != 0)
			return 1 + SP_EXIT_OS;
	if (r == -EINTR)
		return receive_profile(a);
	if (r == SP_ECLOSED || (r == 0 && a->in.type == MSG_AGENT_END))
		return 1 + SP_EXIT_NOAUTH;
	if (r == 0 && a->in.type == MSG_AGENT_RETIRE)
		return 1 + retire(a);
	return r == 0 ? accept_profile(a) : 1 + SP_EXIT_PROTOCOL;
}

/* ------------------------------------------------------------------ serving */

/* The monitor wants an end: the worker is told when it is not waiting for an answer. */
static void
remember_end(struct agent *a, const struct msg_agent_end *end)
{
	a->ending = true;
	(void)str_copy(a->end_text, sizeof a->end_text, end->text);
}

static void
tell_end(struct agent *a)
{
	static struct msg_end_after m;

	(void)str_copy(m.text, sizeof m.text, a->end_text);
	a->ending = false;
	(void)chan_tell(&a->files, MSG_END_AFTER, &m);
}

int
agent_ask(struct agent *a, enum msg_type type, const void *body, const int *fds, unsigned count, enum msg_type want)
{
	uint32_t id = ++a->monitor.last_id;
	int r = chan_send(&a->monitor, type, id, body, fds, count);

	while (r == 0) {
		r = chan_receive(&a->monitor, &a->reply, ST_AWAIT | ST_LIVE);
		if (r == -EINTR) {
			r = 0;
			continue;
		}
		if (r == 0 && a->reply.type == MSG_AGENT_END) {
			remember_end(a, &a->reply.agent_end);
			continue;
		}
		break;
	}
	if (r != 0)
		return r;
	if (a->reply.id == id && a->reply.type == want)
		return 0;
	msg_close(&a->reply);
	if (a->reply.id == id && a->reply.type == MSG_FAILED) {
		r = agent_refuse(a, (enum fail_reason)a->reply.failed.reason, a->reply.failed.text);
		a->refusal_error = (int)a->reply.failed.error;
		return r;
	}
	return SP_EREPLY;
}

/* The worker's end closes the monitor's and ours: which we see first is chance. */
static int
monitor_left(struct agent *a)
{
	struct pollfd p = { .fd = a->files.fd };

	return poll(&p, 1, GRACE_MS) == 1 && (p.revents & POLLHUP) != 0 ? SP_EXIT_OK : SP_EXIT_ORPHAN;
}

/* 0, or an exit code plus one, so that SP_EXIT_OK ends the loop too. */
static int
from_monitor(struct agent *a)
{
	int r = chan_receive(&a->monitor, &a->reply, ST_LIVE);

	if (r == -EINTR)
		return 0;
	if (r == SP_ECLOSED)
		return 1 + monitor_left(a);
	if (r != 0)
		return 1 + SP_EXIT_PROTOCOL;
	if (a->reply.type == MSG_AGENT_END)
		remember_end(a, &a->reply.agent_end);
	msg_close(&a->reply);
	return 0;
}

/* The forged message is named, and the rule it broke; then this session ends, and only this one. */
static int
violation(const struct chan *c, int code)
{
	log_violation(LOG_LEVEL_ERROR, "worker", msg_name(c->bad_type), code);
	return SP_EXIT_PROTOCOL;
}

static int
from_worker(struct agent *a)
{
	int r = chan_receive(&a->files, &a->in, a->states);

	if (r == -EINTR)
		return 0;
	if (r == SP_ECLOSED)
		return 1 + SP_EXIT_OK;
	if (r != 0)
		return 1 + violation(&a->files, r);
	r = serve(a);
	msg_close(&a->in);
	if (r == 0)
		return 0;
	if (r == SP_ECLOSED)
		return 1 + SP_EXIT_OK;
	if (r == SP_EUNREAD)
		return 1 + violation(&a->files, r);
	log_problem(EVENT_REQUEST_FAILED, msg_name(a->in.type), r);
	return 1 + SP_EXIT_CRASH;
}

/* A profile, and each request, is large and is read once: an idle session keeps no more than the source of a rename. */
static void
slim(struct agent *a)
{
	char *from = a->rename_from[0] == '\0' ? a->rename_from : (char *)&a->in;

	idle_give_back(from, (size_t)((char *)(a + 1) - from));
	chan_idle();
	idle_give_back_stack();
}

/* In a transfer the worker says something every few seconds: NOTE, or the end. One that does not may be held. */
static void
tell_silent(struct agent *a, bool silent)
{
	const struct msg_worker_silent m = { .silent = silent };

	if (a->worker_silent == silent)
		return;
	a->worker_silent = silent;
	(void)chan_tell(&a->monitor, MSG_WORKER_SILENT, &m);
}

/* poll() for ever, with what an idle session does not need given back when nothing has come for a while. */
static int
wait_idle(struct agent *a, struct pollfd p[2])
{
	int r = poll(p, 2, IDLE_AFTER_MS);

	if (r != 0)
		return r;
	slim(a);
	if ((a->states & ST_TRANSFER) == 0 || a->worker_silent)
		return poll(p, 2, -1);
	r = poll(p, 2, SILENT_AFTER - IDLE_AFTER_MS);
	if (r == 0)
		tell_silent(a, true);
	return r;
}

static int
serve_all(struct agent *a)
{
	struct pollfd p[2] = { { .fd = a->files.fd, .events = POLLIN }, { .fd = a->monitor.fd, .events = POLLIN } };
	int r;

	for (;;) {
		if (wait_idle(a, p) < 0) {
			if (errno != EINTR)
				return SP_EXIT_OS;
			p[0].revents = p[1].revents = 0;
		}
		if (p[1].revents != 0 && (r = from_monitor(a)) != 0)
			return r - 1;
		if (p[0].revents != 0)
			tell_silent(a, false);
		if (p[0].revents != 0 && (r = from_worker(a)) != 0)
			return r - 1;
		if (a->ending)
			tell_end(a);
		sandbox_report();
	}
}

int
agent_session(const int *fds, unsigned n)
{
	struct agent *a = &agent;
	static const struct msg_agent_ready ready;
	int r;

	if (n != 2 || configuration == NULL)
		return SP_EXIT_USAGE;
	chan_init(&a->monitor, fds[0], CH_AGENT, ROLE_AGENT);
	chan_init(&a->files, fds[1], CH_FILES, ROLE_AGENT);
	a->conf = configuration;
	a->listen_fd = a->transfer.fd = a->transfer.dir_fd = a->transfer.victim_fd = -1;
	a->states = ST_LIVE;
	log_set_sink(log_to_monitor, a);
	if (chan_tell(&a->monitor, MSG_AGENT_READY, &ready) != 0)
		return SP_EXIT_ORPHAN;
	r = receive_profile(a);
	msg_close(&a->in);
	if (r != 0)
		return r - 1;
	/* No request is as long as a profile. */
	idle_give_back(&a->in, sizeof a->in);
	r = serve_all(a);
	transfer_abandon(a);
	listing_close(a);
	return r;
}
