/*
 * sallyport-worker: speaks FTP with one client, and can do nothing else.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/digest.h"
#include "daemon/worker/session.h"
#include "daemon/worker/tls_memory.h"
#include "daemon/worker/tls_profile.h"
#include "daemon/worker/worker.h"
#include "privsep/template.h"

static const struct conf *conf;

/* Mostly untouched pages: what is not used takes no memory. */
static struct session session __attribute__((aligned(4096)));

/* The monitor is the only writer of logs. A lost line must not stop a session. */
static void
log_to_monitor(void *context, enum log_level level, const char *text, size_t len)
{
	struct session *s = context;
	struct msg_log body;

	(void)len;
	body.level = (uint8_t)level;
	(void)str_copy(body.text, sizeof body.text, text);
	(void)chan_tell(&s->log, MSG_LOG, &body);
}

/* The listener gives certificates only when there are any. */
static int
warm_up_tls(const struct conf *c)
{
	int fd = chan_fd_is(TEMPLATE_TLS_FD, 'm') ? TEMPLATE_TLS_FD : -1, e = tls_warm_up(c, fd);

	if (fd >= 0)
		close(fd);
	return e;
}

int
worker_warm_up(const struct conf *c)
{
	int e;

	conf = c;
	verbs_init();
	log_set_level((enum log_level)conf_server(c)->log_level);
	if (chan_fd_is(TEMPLATE_TLS_FD, 'm'))
		tls_memory_begin();
	e = digest_warm_up();
	if (e == 0)
		e = warm_up_tls(c);
	tls_memory_settle();
	return e;
}

/* Takes the client over from the monitor. */
static int
take_client(struct session *s)
{
	struct msg *m = &s->answer;
	int e;

	do
		e = chan_receive(&s->login, m, ST_SPARE);
	while (e == -EINTR);
	if (e != 0)
		return e;
	if (m->type != MSG_SERVE) {
		msg_close(m);
		return SP_ECLOSED;	/* END_SESSION before there was a client */
	}
	stream_open(&s->control, msg_take_fd(m, 0));
	s->id = m->serve.session;
	(void)str_copy(s->listener, sizeof s->listener, m->serve.listener);
	memcpy(s->challenge, m->serve.challenge, s->challenge_len = m->serve.challenge_len);
	e = addr_from(&s->peer, m->serve.peer, m->serve.peer_len);
	return e != 0 ? e : addr_from(&s->local, m->serve.local, m->serve.local_len);
}

int
worker_session(const int *fds, unsigned n)
{
	struct session *s = &session;
	struct msg_worker_ready ready = { .end_ = "" };
	int e;

	session_init(s, conf_server(conf), fds, n);
	log_set_sink(log_to_monitor, s);
	e = chan_tell(&s->login, MSG_WORKER_READY, &ready);
	if (e == 0)
		e = take_client(s);
	if (e == SP_ECLOSED)
		return SP_EXIT_OK;	/* a spare that nobody needed */
	if (e != 0) {
		log_problem(EVENT_SESSION_NOT_STARTED, "worker", e);
		return SP_EXIT_PROTOCOL;
	}
	s->set = conf_listener(conf, s->listener);
	session_settle(s);
	session_serve(s);
	return s->exit_code;
}
