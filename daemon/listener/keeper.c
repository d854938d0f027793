#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/keeper_keys.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "daemon/listener/templates.h"
#include "privsep/spawn.h"
#include "privsep/verify.h"

#define LOOK_S		5	/* between two looks at the files */
#define RETRY_S		2	/* before a keeper that died young is executed again */
#define STEADY_MS	10000	/* one that has lived so long is executed again at once */

static void
end_process(struct keeper *k)
{
	if (!k->running)
		return;
	k->running = false;
	event_del(&k->readable);
	event_del(&k->gone);
	event_del(&k->look);
	chan_close(&k->channel);
	close(k->process.pid_fd);
}

/* Its channels are dead: spares must not be given to clients, who wait until there are others. */
static void
bury(struct keeper *k)
{
	struct timeval in = { clock_ms() - k->born < STEADY_MS ? RETRY_S : 0, 0 };
	siginfo_t end = { 0 };
	struct log_line l;

	if (waitid(P_PIDFD, (id_t)k->process.pid_fd, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0)
		return;
	log_begin(&l, EVENT_KEEPER_ENDED);
	log_num(&l, end.si_code == CLD_EXITED ? FIELD_EXIT : FIELD_SIGNAL, end.si_status);
	log_end(&l);
	end_process(k);
	if (k->server->stopping)
		return;
	evtimer_add(&k->retry, &in);
	pool_retire_spares(k->server);
}

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	bury(arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct msg m;
	int r = chan_receive(&k->channel, &m, ST_LIVE);

	(void)fd, (void)what;
	if (r == 0 && m.type == MSG_KEEPER_LOG)
		keeper_pass_log_on(&m.keeper_log);
	if (r == 0)
		msg_close(&m);
	else if (r == SP_ECLOSED)
		event_del(&k->readable);	/* on_gone() follows */
	else if (r != -EAGAIN && r != -EINTR)
		log_violation(LOG_LEVEL_ERROR, "keeper", msg_name(k->channel.bad_type), r);
}

/* Links are followed and folders exchanged by those who renew certificates: so the files are looked at, not watched. */
static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	const bool changed = certs_changed(&k->certs);

	(void)fd, (void)what;
	certs_warn(&k->certs, (int64_t)time(NULL), k->server->settings->certificate_warning);
	if (changed && k->unsettled) {
		int r = keeper_load(k);

		log_problem_at(r == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR, EVENT_CERTIFICATES_RELOADED, "files changed", r);
		if (r == 0 || r == SP_EDENIED)
			templates_renew(k->server, "reload");
	}
	k->unsettled = changed && !k->unsettled;
}

/* Waits until it is in its sandbox, and looks at it from outside. */
static int
await_ready(struct keeper *k)
{
	const struct server *s = k->server;
	struct msg m;
	char why[256] = "";
	int r = keeper_hear(k, &m, ST_START);

	if (r != 0)
		return r;
	r = m.type != MSG_KEEPER_READY ? SP_EREPLY : strcmp(m.keeper_ready.version, PACKAGE_VERSION) != 0 ? SP_EVERSION : 0;
	msg_close(&m);
	if (r == 0)
		r = verify_role(k->process.pid, ROLE_KEEPER, PHASE_LIVE, &s->keeper_id, s->lax, why, sizeof why);
	if (*why != '\0')
		log_problem(EVENT_KEEPER_UNSOUND, why, r);
	return r;
}

static int
execute(struct keeper *k)
{
	const struct role_row *row = role_row(ROLE_KEEPER);
	char path[512];
	int ends[2], fds[2], conf_fd, r;

	if (str_format(path, sizeof path, "%s/%s", k->server->options->libexec, row->program) != 0)
		return -ENAMETOOLONG;
	conf_fd = conf_seal(k->server->conf, TO_KEEPER);
	if (conf_fd < 0)
		return conf_fd;
	r = chan_pair(ends);
	if (r == 0) {
		fds[0] = ends[1];
		fds[1] = conf_fd;
		r = fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : spawn_program(path, row->program, fds, 2, &k->process);
		close(ends[1]);
		if (r != 0)
			close(ends[0]);
	}
	close(conf_fd);
	if (r != 0)
		log_problem(EVENT_CANNOT_EXECUTE, path, r);
	else
		chan_init(&k->channel, ends[0], CH_KEEPER, ROLE_LISTENER);
	return r;
}

static void
add_events(struct keeper *k)
{
	struct event_base *base = k->server->base;
	struct timeval every = { LOOK_S, 0 };

	event_assign(&k->readable, base, k->channel.fd, EV_READ | EV_PERSIST, on_readable, k);
	event_assign(&k->gone, base, k->process.pid_fd, EV_READ | EV_PERSIST, on_gone, k);
	event_assign(&k->look, base, -1, EV_PERSIST, on_look, k);
	event_add(&k->readable, NULL);
	event_add(&k->gone, NULL);
	event_add(&k->look, &every);
}

/* It failed before it was of use: closing its channel ends it. */
static void
give_up(struct keeper *k)
{
	siginfo_t end = { 0 };

	chan_close(&k->channel);
	(void)waitid(P_PIDFD, (id_t)k->process.pid_fd, &end, WEXITED);
	close(k->process.pid_fd);
}

/*
 * Executes it and hands the keys over. As keeper_load(); running afterwards unless it failed.
 * A retry that was pending is no longer needed: a second keeper would take over the events of the first.
 */
static int
bring_up(struct keeper *k)
{
	int r = execute(k);

	evtimer_del(&k->retry);
	if (r != 0)
		return r;
	r = await_ready(k);
	if (r == 0)
		r = keeper_hand_over(k);
	if (r != 0 && r != SP_EDENIED) {
		log_problem(EVENT_KEEPER_FAILED, "start", r);
		give_up(k);
		return r;
	}
	k->running = true;
	k->born = clock_ms();
	add_events(k);
	return r;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct keeper *k = arg;
	struct timeval in = { RETRY_S, 0 };
	int r = bring_up(k);

	(void)fd, (void)what;
	if (!k->running) {
		evtimer_add(&k->retry, &in);
		return;
	}
	log_problem(EVENT_KEEPER_RESTARTED, NULL, r);
	if (k->stale)
		templates_renew(k->server, "reload");
	pool_fill(k->server);
}

static bool
wanted(const struct server *s)
{
	struct certs *c = calloc(1, sizeof *c);
	bool any = c != NULL && certs_collect(c, s->conf) == 0 && c->pairs > 0;

	free(c);
	return any;
}

int
keeper_start(struct server *s)
{
	struct keeper *k = calloc(1, sizeof *k);
	int r;

	if (k == NULL)
		return -ENOMEM;
	s->keeper = k;
	k->server = s;
	k->files_fd = -1;
	evtimer_assign(&k->retry, s->base, on_retry, k);
	if (!wanted(s))
		return 0;
	/* At the start a certificate that cannot be used is an error: somebody is looking. */
	r = bring_up(k);
	if (r != 0)
		keeper_stop(s);
	return r;
}

int
keeper_reload(struct server *s)
{
	struct keeper *k = s->keeper;
	struct timeval in = { RETRY_S, 0 };
	int r;

	if (!wanted(s)) {
		keeper_stop(s);
		return 0;
	}
	r = k->running ? keeper_load(k) : bring_up(k);
	/* It had died, and still does: it goes on being awaited. */
	if (!k->running && k->certs.pairs > 0)
		evtimer_add(&k->retry, &in);
	/* A restart would fail, or serve what no client believes: now somebody looks. */
	return r == 0 && k->why[0] != '\0' ? SP_EDENIED : r;
}

const char *
keeper_fault(const struct server *s)
{
	return s->keeper == NULL ? "" : s->keeper->why;
}

void
keeper_stop(struct server *s)
{
	struct keeper *k = s->keeper;
	siginfo_t end = { 0 };

	if (k == NULL)
		return;
	evtimer_del(&k->retry);
	if (k->running) {
		int pid_fd = fcntl(k->process.pid_fd, F_DUPFD_CLOEXEC, 0);

		end_process(k);
		if (pid_fd >= 0) {
			(void)waitid(P_PIDFD, (id_t)pid_fd, &end, WEXITED);
			close(pid_fd);
		}
	}
	if (k->files_fd >= 0)
		close(k->files_fd);
	k->files_fd = -1;
	certs_free(&k->certs);
}

bool
keeper_running(const struct server *s)
{
	return s->keeper != NULL && s->keeper->running;
}

bool
keeper_awaited(struct server *s)
{
	struct keeper *k = s->keeper;
	struct pollfd p;

	if (k == NULL)
		return false;
	p = (struct pollfd){ .fd = k->running ? k->process.pid_fd : -1, .events = POLLIN };
	/* It may have died since the loop last looked. */
	if (k->running && poll(&p, 1, 0) > 0)
		bury(k);
	if (k->stale && templates_generation(s) != k->stale_generation)
		k->stale = false;
	return k->stale || evtimer_pending(&k->retry, NULL);
}

int
keeper_files_fd(struct server *s)
{
	return s->keeper == NULL ? -1 : s->keeper->files_fd;
}

int
keeper_attach(struct server *s, int fd)
{
	struct msg_attach body = { { 0 } };
	struct keeper *k = s->keeper;

	return k->running ? chan_send(&k->channel, MSG_ATTACH, ++k->channel.last_id, &body, &fd, 1) : SP_ECLOSED;
}

pid_t
keeper_pid(const struct server *s)
{
	return keeper_running(s) ? s->keeper->process.pid : 0;
}

void
keeper_each(const struct server *s, void (*f)(void *, const struct keeper_certificate *), void *context)
{
	if (s->keeper == NULL)
		return;
	for (size_t i = 0; i < s->keeper->certs.pairs; i++) {
		const struct cert_pair *p = &s->keeper->certs.pair[i];
		const struct keeper_certificate c = {
			p->cert, p->algorithm, p->names, (int64_t)p->not_before, (int64_t)p->not_after
		};

		if (p->loaded)
			f(context, &c);
	}
}
