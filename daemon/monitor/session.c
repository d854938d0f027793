#include "config.h"

#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/idle.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/sandbox.h"
#include "privsep/template.h"

#define LAST_REQUEST	1000	/* ms that the request may take in which its time ends */
#define STOP_WAIT	10000	/* ms that a session whose time is over may still need */
#define BURST_GAP	2	/* ms: messages that follow so closely are taken in batches */
#define BURST_WAIT	2	/* ms that a batch is gathered for */
#define BURST_MAX	1000	/* messages of a batch: more than a channel holds */

struct monitor_prepared monitor_prepared;

/* ------------------------------------------------------------------- handlers */

static int
count_ready(struct monitor *s, bool *ready)
{
	static const struct msg_session_ready body;

	*ready = true;
	if (!s->worker_ready || !s->agent_ready)
		return 0;
	s->stage = STAGE_SPARE;
	return chan_tell(&s->listener, MSG_SESSION_READY, &body) == 0 ? 0 : SP_ECLOSED;
}

static int
worker_ready(struct monitor *s, struct msg *m)
{
	(void)m;
	return count_ready(s, &s->worker_ready);
}

static int
agent_ready(struct monitor *s, struct msg *m)
{
	(void)m;
	return count_ready(s, &s->agent_ready);
}

/* late: the client connected at another time than that of the line. */
static void
log_connect(const struct monitor *s, bool late)
{
	struct log_line l;

	if (s->selftest || s->quiet)
		return;
	log_begin(&l, EVENT_CONNECT);
	log_num(&l, FIELD_RPORT, addr_port(&s->peer));
	if (s->listener_name[0] != '\0')
		log_str(&l, FIELD_LISTENER, s->listener_name);
	if (late)
		log_time(&l, FIELD_CONNECTED, &s->connected);
	log_end(&l);
}

void
monitor_put_on_record(struct monitor *s)
{
	if (s->quiet) {
		s->quiet = false;
		log_connect(s, true);
	}
	monitor_stranger_is_known(s);
}

void
monitor_name_user(struct monitor *s, const char *user)
{
	s->context[s->context_len] = '\0';
	if (user != NULL)
		log_context_add(s->context, sizeof s->context, FIELD_USER, user);
}

static int
client(struct monitor *s, struct msg *m)
{
	static struct msg_serve serve;
	const struct msg_client *c = &m->client;
	int r;

	if (addr_from(&s->peer, c->peer, c->peer_len) != 0 || addr_from(&s->local, c->local, c->local_len) != 0)
		return SP_EFORMAT;
	s->session = serve.session = c->session;
	s->selftest = c->selftest != 0;
	s->agent_pid = (pid_t)c->agent_pid;
	s->worker_pid = (pid_t)c->worker_pid;
	s->suspect = c->suspect != 0;
	s->quiet = c->quiet != 0;
	if (!s->selftest)
		monitor_stranger_comes(s, c->lines);
	(void)clock_gettime(CLOCK_REALTIME, &s->connected);
	if (c->names[0] != '\0')
		(void)str_copy(s->names, sizeof s->names, c->names);
	/* The server's settings may ask for less than those of a listener that is not known here. */
	if (c->listener[0] != '\0' && conf_section_find(monitor_prepared.conf, SC_LISTENER, c->listener) == NULL)
		return SP_ESTATE;
	(void)str_copy(s->listener_name, sizeof s->listener_name, c->listener);
	(void)str_copy(serve.listener, sizeof serve.listener, c->listener);
	addr_host(s->peer_text, &s->peer);
	(void)str_copy(s->context, sizeof s->context, "session=");
	str_number(s->context + strlen(s->context), s->session, 16);
	log_context_add(s->context, sizeof s->context, FIELD_RHOST, s->peer_text);
	s->context_len = strlen(s->context);
	log_set_context(s->context);
	s->base = conf_listener(monitor_prepared.conf, s->listener_name);
	memcpy(serve.peer, c->peer, serve.peer_len = c->peer_len);
	memcpy(serve.local, c->local, serve.local_len = c->local_len);
	if ((r = proof_begin(s)) != 0)
		return r;
	memcpy(serve.challenge, s->challenge, serve.challenge_len = s->challenge_len);
	s->stage = STAGE_LOGIN;
	r = grace_start(s, s->base->login_grace_time);
	if (r == 0)
		r = chan_send(&s->login, MSG_SERVE, ++s->login.last_id, &serve, m->fd, 1);
	log_connect(s, false);
	return r;
}

/* By way of the agent, which knows what is running, and past it, should it be blocked. */
static void
tell_end(struct monitor *s, const char *text, bool now, uint32_t patience)
{
	static struct msg_agent_end to_agent;
	static struct msg_hurry to_worker;

	s->stopping = true;
	to_worker.now = now;
	to_worker.patience = patience;
	(void)str_copy(to_worker.text, sizeof to_worker.text, text);
	(void)chan_tell(&s->log, MSG_HURRY, &to_worker);
	(void)str_copy(to_agent.text, sizeof to_agent.text, text);
	(void)chan_tell(&s->agent, MSG_AGENT_END, &to_agent);
}

static int
stop(struct monitor *s, struct msg *m)
{
	static struct msg_end_session to_worker;

	if (m->stop.why >= SP_END_COUNT)
		return SP_ERANGE;
	s->why = (enum sp_end)m->stop.why;
	if (s->stage == STAGE_LIVE) {
		tell_end(s, m->stop.text, m->stop.now != 0, m->stop.patience);
		return 0;
	}
	(void)str_copy(to_worker.text, sizeof to_worker.text, m->stop.text);
	(void)chan_tell(&s->login, MSG_END_SESSION, &to_worker);
	monitor_end(s, SP_EXIT_OK);
	return 0;
}

/* REIN. Whether it is the client's connection is the listener's affair, which has seen it before. */
static int
give_back(struct monitor *s, struct msg *m)
{
	static const struct msg_client_back body;
	/* The worker's end, of which the listener knows already, does not outrun what it said before. */
	struct chan *c = s->listener.fd >= 0 ? &s->listener : &s->last_word;

	if (s->gave_back)
		return SP_ESTATE;
	s->gave_back = true;
	(void)chan_send(c, MSG_CLIENT_BACK, ++c->last_id, &body, m->fd, 1);
	return 0;
}

/* What worker and agent say of each other is told to people, at most so often. */
static void
tell_blocked(struct monitor *s, bool blocked)
{
	const struct msg_blocked body = { .blocked = blocked };

	if (ration_spend(s, RATION_NOTE))
		(void)chan_tell(&s->listener, MSG_BLOCKED, &body);
}

/* What the worker says of its client's end counts where nobody else has a reason. */
static int
worker_ends(struct monitor *s, enum sp_end why)
{
	if (s->why == SP_END_CLIENT)
		s->why = why;
	return 0;
}

static int
worker_pulse(struct monitor *s, struct msg *m)
{
	static const struct msg_stopping stopping;

	if (m->pulse.state >= PULSE_STATES)
		return SP_ERANGE;
	if (m->pulse.state == PULSE_IDLE || m->pulse.state == PULSE_HUNG_UP)
		return worker_ends(s, m->pulse.state == PULSE_IDLE ? SP_END_IDLE : SP_END_HUNG_UP);
	if (m->pulse.state == PULSE_BROKEN_OFF)
		s->last_moved = m->pulse.moved;
	else if (m->pulse.state != PULSE_HURRIED)
		tell_blocked(s, m->pulse.state == PULSE_WAITING);
	else if (s->stopping && ration_spend(s, RATION_NOTE))
		(void)chan_tell(&s->listener, MSG_STOPPING, &stopping);
	return 0;
}

/* A transfer stands still because the file system holds the worker, which therefore cannot break it off itself. */
static int
worker_silent(struct monitor *s, struct msg *m)
{
	bool silent = m->worker_silent.silent != 0;

	tell_blocked(s, silent);
	s->silent_until = silent ? clock_ms() + (int64_t)s->account.resolved->s.stall_timeout * 1000 : 0;
	return 0;
}

static const struct {
	enum msg_type type;
	monitor_handler *handle;
} handlers[] = {
	{ MSG_WORKER_READY,	worker_ready },
	{ MSG_AGENT_READY,	agent_ready },
	{ MSG_CLIENT,		client },
	{ MSG_STOP,		stop },
	{ MSG_PREPARE,		monitor_prepare },
	{ MSG_LOGIN,		monitor_login },
	{ MSG_PROVE,		monitor_prove },
	{ MSG_LOG,		monitor_worker_log },
	{ MSG_GIVE_BACK,	give_back },
	{ MSG_PULSE,		worker_pulse },
	{ MSG_WORKER_SILENT,	worker_silent },
	{ MSG_AGENT_LOG,	monitor_agent_log },
	{ MSG_TRANSFER_RECORD,	monitor_transfer_record },
	{ MSG_CHOWN_FILE,	monitor_chown },
	{ MSG_BIND_LOW,		monitor_bind_low },
	{ MSG_QUOTA,		monitor_quota },
	{ MSG_QUOTA_LOCK,	monitor_quota_lock },
	{ MSG_QUOTA_OPEN,	monitor_quota_open },
	{ MSG_QUOTA_DEED,	monitor_quota_deed },
	{ MSG_QUOTA_INTEND,	monitor_quota_intend },
	{ MSG_QUOTA_SETTLE,	monitor_quota_settle },
	{ MSG_QUOTA_FIND,	monitor_quota_find },
	{ MSG_QUOTA_GONE,	monitor_quota_gone },
	{ MSG_ADMIN,		monitor_admin },
	{ MSG_AGENT_NOTE,	monitor_note }
};

/* ------------------------------------------------------------------- channels */

/* In the order in which they are read: what a peer said last counts before its end, and the listener comes last. */
static const struct {
	size_t offset;
	const char *peer;
} channels[] = {
	{ offsetof(struct monitor, agent),	"agent" },
	{ offsetof(struct monitor, log),	"worker" },
	{ offsetof(struct monitor, login),	"worker" },
	{ offsetof(struct monitor, listener),	"listener" }
};

#define CHANNELS (sizeof channels / sizeof *channels)

static struct chan *
channel(struct monitor *s, size_t i)
{
	return (struct chan *)(void *)((char *)s + channels[i].offset);
}

static const char *
peer_of(const struct monitor *s, const struct chan *c)
{
	for (size_t i = 0; i < CHANNELS; i++)
		if ((const char *)c == (const char *)s + channels[i].offset)
			return channels[i].peer;
	return "?";
}

/* Which states count for a channel now: a peer reports ready once. */
static unsigned
states_of(const struct monitor *s, const struct chan *c)
{
	static const unsigned of_stage[] = {
		[STAGE_START] = ST_START, [STAGE_SPARE] = ST_SPARE, [STAGE_LOGIN] = ST_LOGIN, [STAGE_LIVE] = ST_LIVE
	};

	if (s->stage == STAGE_START && ((c == &s->login && s->worker_ready) || (c == &s->agent && s->agent_ready)))
		return ST_SPARE;
	return of_stage[s->stage];
}

void
monitor_end(struct monitor *s, int exit_code)
{
	if (!s->ended)
		s->exit_code = exit_code;
	s->ended = true;
}

/* Before the login a session ends with the first of its processes. */
static void
closed_early(struct monitor *s, struct chan *c)
{
	bool served = s->stage == STAGE_LOGIN;

	if (c == &s->agent && served)
		log_problem(EVENT_AGENT_VANISHED, NULL, 0);
	monitor_end(s, c == &s->agent || (c == &s->listener && served) ? SP_EXIT_ORPHAN
	    : served ? SP_EXIT_NOAUTH : SP_EXIT_OK);
}

/* Another process of the session is gone. Afterwards what they still have to say is waited for, but not for long. */
static void
channel_closed(struct monitor *s, struct chan *c)
{
	if (c == &s->listener) {
		s->last_word = *c;
		c->fd = -1;
	} else
		chan_close(c);
	/* Killed, maybe, in the middle of an upload: what there is of it is charged at once. */
	if (c == &s->agent)
		charge_abandon(&s->charge);
	if (s->stage != STAGE_LIVE) {
		closed_early(s, c);
	} else if (s->agent.fd < 0 && s->log.fd < 0) {
		monitor_end(s, SP_EXIT_OK);
	} else {
		/* The others follow at once, or they hang. */
		s->deadline = clock_ms() + monitor_system->end_wait;
		s->stopping = true;
	}
}

static int
dispatch(struct monitor *s, struct msg *m)
{
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (handlers[i].type == m->type)
			return handlers[i].handle(s, m);
	return SP_ETYPE;
}

/* A received message, or the failure to receive one. */
static void
take(struct monitor *s, struct chan *c, struct msg *m, int r)
{
	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r == 0) {
		c->bad_type = m->type;
		r = dispatch(s, m);
		msg_close(m);
		if (r == 0)
			return;
	}
	if (r == SP_ECLOSED) {
		channel_closed(s, c);
		return;
	}
	log_violation(LOG_LEVEL_ERROR, peer_of(s, c), msg_name(c->bad_type), r);
	monitor_end(s, SP_EXIT_PROTOCOL);
}

int
monitor_ask(struct monitor *s, struct chan *c, enum msg_type type, const void *body, const int *fds, unsigned fd_count)
{
	int r = chan_send(c, type, ++c->last_id, body, fds, fd_count);

	if (r != 0)
		take(s, c, &monitor_scratch.answer, r);
	return r;
}

int
monitor_await(struct monitor *s, struct chan *c, struct msg *answer, enum msg_type want)
{
	while (!s->ended) {
		int r = chan_receive(c, answer, states_of(s, c) | ST_AWAIT);

		if (r == 0 && (answer->type == want || answer->type == MSG_FAILED)) {
			if (answer->id == c->last_id)
				return 0;
			msg_close(answer);
			r = SP_EREPLY;
		}
		take(s, c, answer, r);
	}
	return SP_ECLOSED;
}

int
monitor_call(struct monitor *s, struct chan *c, enum msg_type type, const void *body, const int *fds, unsigned fd_count,
    struct msg *answer, enum msg_type want)
{
	int r = monitor_ask(s, c, type, body, fds, fd_count);

	return r != 0 ? r : monitor_await(s, c, answer, want);
}

/* ----------------------------------------------------------------------- loop */

/* Waits for at most so long (-1: for ever) and handles one message of each channel that has one; false: none had. */
static bool
turn(struct monitor *s, int64_t milliseconds)
{
	struct msg *m = &monitor_scratch.received;
	struct pollfd p[CHANNELS];
	int64_t rest = ration_rest(s);
	int n;

	for (size_t i = 0; i < CHANNELS; i++)
		p[i] = (struct pollfd){ .fd = rest > 0 && channel(s, i) == &s->agent ? -1 : channel(s, i)->fd, .events = POLLIN };
	if (rest > 0 && (milliseconds < 0 || rest < milliseconds))
		milliseconds = rest;
	n = poll(p, CHANNELS, milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds);
	for (size_t i = 0; n > 0 && i < CHANNELS && !s->ended; i++) {
		struct chan *c = channel(s, i);

		/* A handler may have closed it. */
		if (p[i].revents != 0 && c->fd == p[i].fd && c->fd >= 0)
			take(s, c, m, chan_receive(c, m, states_of(s, c)));
	}
	sandbox_report();
	return n > 0;
}

void
monitor_wait(struct monitor *s, int64_t milliseconds)
{
	int64_t end = clock_ms() + milliseconds, now;

	while (!s->ended && (now = clock_ms()) < end)
		(void)turn(s, end - now);
}

/*
 * What a login needed is given back: the large part as soon as it is over, the rest, which costs more
 * calls, when the session idles; a short one is rid of it by its end.
 */
static void
slim(struct monitor *s, int64_t now)
{
	bool first = s->slim_at == SLIM_AT_ONCE;

	s->slim_at = first ? now + IDLE_AFTER_MS : 0;
	idle_give_back(&monitor_scratch, sizeof monitor_scratch);
	if (first)
		return;
	chan_idle();
	(void)malloc_trim(0);
	idle_give_back_stack();
}

/* Milliseconds until something is due; -1: never. */
static int64_t
time_left(const struct monitor *s, int64_t now)
{
	const int64_t all[] = { s->deadline, s->slim_at, s->silent_until, s->activity_at };
	int64_t next = 0;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] != 0 && (next == 0 || all[i] < next))
			next = all[i];
	return next == 0 ? -1 : next > now ? next - now : 0;
}

/* First the client is told, then the channels close. */
static void
end_soon(struct monitor *s, const char *text, enum sp_end why)
{
	s->why = why;
	tell_end(s, text, false, LAST_REQUEST);
	s->deadline = clock_ms() + STOP_WAIT;
}

void
monitor_check_log(struct monitor *s)
{
	if (s->stage == STAGE_LIVE && !s->stopping && !monitor_may_go_on())
		end_soon(s, "The server cannot record what is done here; this session ends.", SP_END_LOG);
}

static void
deadline_passed(struct monitor *s)
{
	if (s->stopping) {
		monitor_end(s, s->agent.fd >= 0 && s->log.fd >= 0 ? SP_EXIT_OK : SP_EXIT_ORPHAN);
		return;
	}
	log_problem(EVENT_SESSION_TIMEOUT, NULL, 0);
	end_soon(s, "This session has reached its time limit.", SP_END_TIME);
}

/* Neither the worker, which is held, nor the client, which gets nothing, can be told. The listener ends the rest. */
static void
blocked_too_long(struct monitor *s)
{
	log_problem(EVENT_TRANSFER_BLOCKED, "the file system does not answer", 0);
	s->why = SP_END_BLOCKED;
	monitor_end(s, SP_EXIT_OK);
}

/*
 * Log lines and records of many small transfers come one by one; a process
 * that is woken for each costs more than the transfer.  While they come
 * quickly they are left to gather, and then all are taken at once, before
 * the peer finds its channel full.
 */
static void
gather(struct monitor *s, int64_t *last)
{
	int64_t now = clock_ms();
	bool burst = s->stage == STAGE_LIVE && !s->answers_at_once && now - *last <= BURST_GAP;

	*last = now;
	if (!burst)
		return;
	(void)poll(NULL, 0, BURST_WAIT);
	for (int i = 0; i < BURST_MAX && !s->ended && turn(s, 0); i++)
		;
	*last = clock_ms();
}

static void
run(struct monitor *s)
{
	int64_t last = 0;

	while (!s->ended) {
		int64_t now = clock_ms();

		if (pamsession_terminated())
			monitor_end(s, SP_EXIT_OK);
		else if (s->deadline != 0 && now >= s->deadline)
			deadline_passed(s);
		else if (s->silent_until != 0 && now >= s->silent_until)
			blocked_too_long(s);
		else if (s->slim_at != 0 && now >= s->slim_at)
			slim(s, now);
		else if (s->activity_at != 0 && now >= s->activity_at)
			monitor_tell_activity(s, now);
		else if (turn(s, time_left(s, now)))
			gather(s, &last);
	}
}

/* An end in order is somebody's: the server's, or the client's, which may have been in the middle of a transfer. */
static const char *
how_ended(const struct monitor *s)
{
	if (s->exit_code != SP_EXIT_OK)
		return sp_exit_word(s->exit_code);
	return sp_end_word(s->why == SP_END_CLIENT && s->broken_off ? SP_END_BROKEN : s->why);
}

static void
log_end_of_session(const struct monitor *s)
{
	bool ordinary = s->exit_code == SP_EXIT_NOAUTH || s->exit_code == SP_EXIT_OK;
	struct log_line l;

	if (s->selftest || (s->stage != STAGE_LOGIN && s->stage != STAGE_LIVE) || (s->quiet && ordinary))
		return;
	log_begin(&l, EVENT_SESSION_END);
	if (s->stage == STAGE_LIVE) {
		log_num(&l, FIELD_TRANSFERS, (int64_t)s->transfers);
		if (s->incomplete > 0)
			log_num(&l, FIELD_INCOMPLETE, (int64_t)s->incomplete);
		log_num(&l, FIELD_BYTES_IN, (int64_t)s->bytes_in);
		log_num(&l, FIELD_BYTES_OUT, (int64_t)s->bytes_out);
	}
	log_str(&l, FIELD_HOW, how_ended(s));
	log_end(&l);
}

/* The listener counts over all sessions; it waits for this while it has no word but the end to say itself. */
static void
tell_totals(struct monitor *s)
{
	struct msg_totals t = { .transfers = s->transfers, .bytes_in = s->bytes_in, .bytes_out = s->bytes_out };

	if (s->transfers > 0)
		(void)chan_tell(s->listener.fd >= 0 ? &s->listener : &s->last_word, MSG_TOTALS, &t);
}

int
monitor_session(const int *fds, unsigned n)
{
	static struct monitor s;

	if (n != CHANNELS)
		return SP_EXIT_PROTOCOL;
	s.rate_fd = s.inflight_fd = -1;
	s.last_word.fd = -1;
	charge_init(&s.charge, -1);
	chan_init(&s.listener, fds[0], CH_SESSION, ROLE_MONITOR);
	chan_init(&s.login, fds[1], CH_LOGIN, ROLE_MONITOR);
	chan_init(&s.log, fds[2], CH_LOG, ROLE_MONITOR);
	chan_init(&s.agent, fds[3], CH_AGENT, ROLE_MONITOR);
	run(&s);
	charge_abandon(&s.charge);
	monitor_report_dropped(&s);
	monitor_record_lost(&s);
	log_end_of_session(&s);
	monitor_stranger_goes();
	tell_totals(&s);
	/* The others see the end before a PAM module takes its time. */
	for (size_t i = 0; i < CHANNELS; i++)
		if (channel(&s, i) != &s.listener)
			chan_close(channel(&s, i));
	monitor_forget_account(&s);
	return s.exit_code;
}

/* -------------------------------------------------------------------- warm-up */

static int
open_logs(const struct settings *server)
{
	int r = (server->log_format == CONF_LOG_JSON ? log_open_json : log_open)(server->log);

	if (r != 0)
		log_problem(EVENT_LOG_UNUSABLE, server->log, r);
	else if ((r = xferlog_open(server->xferlog)) != 0)
		log_problem(EVENT_LOG_UNUSABLE, server->xferlog, r);
	return r;
}

int
monitor_warm_up(const struct conf *conf)
{
	const struct settings *server = conf_server(conf);
	int r = open_logs(server);

	monitor_prepared.conf = conf;
	monitor_prepared.lax = server->sandbox == CONF_SANDBOX_BEST_EFFORT;
	if (r == 0 && geteuid() == 0)
		r = setgroups(0, NULL) < 0 ? -errno : role_find_user(server->monitor_user, &monitor_prepared.id);
	if (r == 0 && geteuid() == 0)
		r = role_find_user(server->worker_user, &monitor_prepared.worker_id);
	if (r == 0)
		r = grace_prepare();
	if (r == 0)
		r = account_sources_open(&monitor_prepared.sources, conf);
	if (r == 0)
		r = account_sources_warm_up(&monitor_prepared.sources);
	if (r == 0)
		r = pamsession_prepare(conf, chan_fd_is(TEMPLATE_AGENT_FD, 'm') ? TEMPLATE_AGENT_FD : -1,
		    chan_fd_is(TEMPLATE_AGENT_HOLD_FD, 'm') ? TEMPLATE_AGENT_HOLD_FD : -1);
	if (r == 0)
		r = proof_prepare(conf, chan_fd_is(TEMPLATE_VERIFIER_TLS_FD, 'm') ? TEMPLATE_VERIFIER_TLS_FD : -1);
	return r;
}
