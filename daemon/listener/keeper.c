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
#include "daemon/listener/certs.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "daemon/listener/templates.h"
#include "privsep/chan.h"
#include "privsep/spawn.h"
#include "privsep/verify.h"

#define ANSWER_MS	10000	/* in which the keeper must answer: it reads two small files */
#define LOOK_S		5	/* between two looks at the files */
#define RETRY_S		2	/* before a keeper that died young is executed again */
#define STEADY_MS	10000	/* one that has lived so long is executed again at once */

struct keeper {
	struct server *server;
	struct spawned process;
	struct chan channel;
	struct event readable, gone, look, retry;
	bool running;
	bool unsettled;			/* files differed at the last look: they may still be being written */
	int64_t born;
	uint32_t last_number, oldest;	/* of keys; the oldest one of the generation before */
	struct certs certs;
	struct certs before;		/* while a fresh one is told its keys: what the one that died had */
	bool stale;			/* templates of that generation know keys that are gone */
	unsigned stale_generation;
	int files_fd;
};

/* -------------------------------------------------------------------- talking to it */

static void
pass_log_on(const struct msg_keeper_log *m)
{
	struct log_line l;

	log_begin(&l, m->level < LOG_LEVEL_COUNT ? (enum log_level)m->level : LOG_LEVEL_WARNING, "keeper");
	log_str(&l, "says", m->text);
	log_end(&l);
}

/* The next message that is not a log line. The keeper is trusted, but it may be dead. */
static int
hear(struct keeper *k, struct msg *m, unsigned states)
{
	const int64_t until = clock_ms() + ANSWER_MS;
	struct pollfd p = { .fd = k->channel.fd, .events = POLLIN };
	int r;

	for (;;) {
		int64_t left = until - clock_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		r = chan_receive(&k->channel, m, states | ST_LIVE);
		if (r == 0 && m->type == MSG_KEEPER_LOG)
			pass_log_on(&m->keeper_log);
		else if (r != -EAGAIN && r != -EINTR)
			return r;
	}
}

static void
close_both(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void
log_pair(const struct cert_pair *p, const char *why)
{
	struct log_line l;

	log_begin(&l, LOG_LEVEL_ERROR, "certificate-unusable");
	log_str(&l, "certificate", p->cert);
	log_str(&l, "key", p->key);
	log_str(&l, "reason", why);
	if (p->loaded)
		log_str(&l, "kept", "the pair that was loaded before");
	log_end(&l);
}

static int
note_loaded(struct cert_pair *p, struct msg *m, uint32_t number)
{
	const struct msg_key_loaded *a = &m->key_loaded;
	int r = certs_take(p, m->fd[0]);

	if (r != 0)
		return r;
	p->loaded = true;
	p->number = number;
	p->told = 0;
	p->not_before = a->not_before;
	p->not_after = a->not_after;
	(void)str_copy(p->algorithm, sizeof p->algorithm, a->algorithm);
	(void)str_copy(p->names, sizeof p->names, a->names);
	return 0;
}

/*
 * A keeper that takes the place of one that died gets the same keys under the same numbers, so that templates and
 * what they fork need not be made anew.
 */
static uint32_t
choose_number(struct keeper *k, const struct cert_pair *p)
{
	const struct cert_pair *had = k->running ? NULL : certs_find(&k->before, p);

	return had != NULL && had->loaded ? had->number : ++k->last_number;
}

/* 0; SP_EDENIED: the pair cannot be used, the log says why; another code: the keeper is in trouble. */
static int
load_pair(struct keeper *k, struct cert_pair *p)
{
	struct msg_load_key q = { .key = choose_number(k, p) };
	struct msg m;
	int fds[2], r = certs_open(p, fds);

	if (r != 0) {
		log_pair(p, sp_strerror(r));
		return SP_EDENIED;
	}
	(void)str_copy(q.name, sizeof q.name, p->key);
	r = chan_send(&k->channel, MSG_LOAD_KEY, q.key, &q, fds, 2);
	close_both(fds);
	if (r == 0)
		r = hear(k, &m, ST_AWAIT);
	if (r != 0)
		return r;
	if (m.type == MSG_KEY_LOADED)
		r = note_loaded(p, &m, q.key);
	else if (m.type == MSG_FAILED) {
		log_pair(p, m.failed.text);
		r = SP_EDENIED;
	} else
		r = SP_EREPLY;
	msg_close(&m);
	return r;
}

/* What was good before and is broken now stays in use. */
static void
inherit(struct cert_pair *p, struct certs *old)
{
	struct cert_pair *o = certs_find(old, p);

	if (o == NULL || !o->loaded)
		return;
	*p = *o;
	o->pem = NULL;
	o->loaded = false;
}

/* Authorities and revocation lists that cannot be read are those that could be read before. */
static bool
read_extra(struct keeper *k, struct cert_extra *e)
{
	struct cert_extra *had = certs_find_extra(k->running ? &k->certs : &k->before, e);
	int r = certs_read(e);

	if (r == 0)
		return true;
	log_problem(LOG_LEVEL_ERROR, "certificate-unusable", e->path, r);
	if (had == NULL || had->pem == NULL)
		return false;
	e->pem = malloc(had->pem_len + 1);
	if (e->pem != NULL) {
		memcpy(e->pem, had->pem, had->pem_len);
		e->pem_len = had->pem_len;
	}
	return false;
}

static int
load_all(struct keeper *k, struct certs *fresh, bool *complete)
{
	int r = 0;

	*complete = true;
	for (size_t i = 0; i < fresh->pairs && r == 0; i++) {
		struct cert_pair *p = &fresh->pair[i];

		inherit(p, &k->certs);
		r = load_pair(k, p);
		if (r == SP_EDENIED) {
			*complete = false;
			r = 0;
		}
	}
	for (size_t i = 0; i < fresh->extras && r == 0; i++)
		if (!read_extra(k, &fresh->extra[i]))
			*complete = false;
	return r;
}

static uint32_t
lowest_number(const struct certs *c, uint32_t low)
{
	for (size_t i = 0; i < c->pairs; i++)
		if (c->pair[i].loaded && c->pair[i].number < low)
			low = c->pair[i].number;
	return low;
}

/* Keys of the generation before the last: their sessions have channels of that time. */
static void
forget_old(struct keeper *k)
{
	struct msg_forget_keys forget = { .below = k->oldest };
	uint32_t low = lowest_number(&k->certs, k->last_number + 1);

	if (forget.below > 0)
		(void)chan_tell(&k->channel, MSG_FORGET_KEYS, &forget);
	k->oldest = low;
}

static void
log_loaded(const struct certs *c)
{
	for (size_t i = 0; i < c->pairs; i++) {
		const struct cert_pair *p = &c->pair[i];
		struct log_line l;

		if (!p->loaded)
			continue;
		log_begin(&l, LOG_LEVEL_INFO, "certificate-loaded");
		log_str(&l, "certificate", p->cert);
		log_str(&l, "kind", p->algorithm);
		log_str(&l, "names", p->names);
		log_num(&l, "days", ((int64_t)p->not_after - (int64_t)time(NULL)) / 86400);
		log_end(&l);
	}
}

/*
 * Loads what the configuration names now.  0; SP_EDENIED when some pair
 * could not be used (the others and the old ones are); another code: nothing has changed.
 */
static int
load_certs(struct keeper *k)
{
	struct certs *fresh = calloc(1, sizeof *fresh);
	bool complete = true;
	int r = fresh == NULL ? -ENOMEM : certs_collect(fresh, k->server->conf), fd;

	if (r == 0)
		r = load_all(k, fresh, &complete);
	fd = r == 0 ? certs_seal(fresh) : r;
	if (fd < 0) {
		if (fresh != NULL)
			certs_free(fresh);
		free(fresh);
		return fd;
	}
	if (k->files_fd >= 0)
		close(k->files_fd);
	k->files_fd = fd;
	certs_free(&k->certs);
	k->certs = *fresh;
	free(fresh);
	forget_old(k);
	log_loaded(&k->certs);
	certs_warn(&k->certs, (int64_t)time(NULL), k->server->settings->certificate_warning);
	return complete ? 0 : SP_EDENIED;
}

/* ------------------------------------------------------------------- its life */

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
	log_begin(&l, LOG_LEVEL_ERROR, "keeper-ended");
	log_num(&l, end.si_code == CLD_EXITED ? "exit" : "signal", end.si_status);
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
		pass_log_on(&m.keeper_log);
	if (r == 0)
		msg_close(&m);
	else if (r == SP_ECLOSED)
		event_del(&k->readable);	/* on_gone() follows */
	else if (r != -EAGAIN && r != -EINTR)
		log_problem(LOG_LEVEL_ERROR, "keeper-channel", msg_name(k->channel.bad_type), r);
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
		int r = load_certs(k);

		log_problem(r == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR, "certificates-reloaded", "files changed", r);
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
	int r = hear(k, &m, ST_START);

	if (r != 0)
		return r;
	r = m.type != MSG_KEEPER_READY ? SP_EREPLY : strcmp(m.keeper_ready.version, PACKAGE_VERSION) != 0 ? SP_EVERSION : 0;
	msg_close(&m);
	if (r == 0)
		r = verify_role(k->process.pid, ROLE_KEEPER, PHASE_LIVE, &s->keeper_id, s->lax, why, sizeof why);
	if (*why != '\0')
		log_problem(LOG_LEVEL_ERROR, "keeper-unsound", why, r);
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
		log_problem(LOG_LEVEL_ERROR, "cannot-execute", path, r);
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
 * A fresh keeper knows no numbers: all are loaded again.  Where that leads to anything else than what the templates
 * know, no session may start until they are fresh too.  As load_certs().
 */
static int
hand_over(struct keeper *k)
{
	const bool again = k->certs.pairs > 0;
	int r;

	k->before = k->certs;
	k->certs.pairs = k->certs.extras = 0;
	k->oldest = 0;
	r = load_certs(k);
	if (r != 0 && r != SP_EDENIED) {
		k->certs = k->before;
		return r;
	}
	if (again && !certs_same(&k->before, &k->certs)) {
		k->stale = true;
		k->stale_generation = templates_generation(k->server);
	}
	certs_free(&k->before);
	return r;
}

/*
 * Executes it and hands the keys over. As load_certs(); running afterwards unless it failed.
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
		r = hand_over(k);
	if (r != 0 && r != SP_EDENIED) {
		log_problem(LOG_LEVEL_ERROR, "keeper-failed", "start", r);
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
	log_problem(LOG_LEVEL_NOTICE, "keeper-restarted", "", r);
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
	r = k->running ? load_certs(k) : bring_up(k);
	/* It had died, and still does: it goes on being awaited. */
	if (!k->running && k->certs.pairs > 0)
		evtimer_add(&k->retry, &in);
	return r == SP_EDENIED && k->files_fd >= 0 ? 0 : r;
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
