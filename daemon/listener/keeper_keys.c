#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/logrelay.h"
#include "common/str.h"
#include "daemon/listener/keeper_keys.h"
#include "daemon/listener/server.h"
#include "daemon/listener/templates.h"

#define ANSWER_MS	10000	/* in which the keeper must answer: it reads two small files */

void
keeper_pass_log_on(const struct msg_keeper_log *m)
{
	log_relay("keeper", BY_KEEPER, m->level, m->text);
}

int
keeper_hear(struct keeper *k, struct msg *m, unsigned states)
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
			keeper_pass_log_on(&m->keeper_log);
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

	log_begin(&l, EVENT_CERTIFICATE_UNUSABLE);
	log_str(&l, FIELD_CERTIFICATE, p->cert);
	log_str(&l, FIELD_KEY, p->key);
	log_str(&l, FIELD_REASON, why);
	if (p->loaded)
		log_str(&l, FIELD_EFFECT, "the pair that was loaded before");
	log_end(&l);
}

/* The first fault is kept for whoever has asked for a reload. */
static void
note_fault(struct keeper *k, const char *file, const char *why)
{
	if (k->why[0] == '\0')
		(void)str_format(k->why, sizeof k->why, "%s: %s", file, why);
}

/* One that signs, and that clients would not believe: it is taken for want of a better one only. */
static int
refuse_fault(struct keeper *k, const struct cert_pair *p, const char *fault)
{
	note_fault(k, p->cert, fault);
	log_pair(p, fault);
	return p->loaded ? SP_EDENIED : 0;
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
		note_fault(k, p->cert, sp_strerror(r));
		return SP_EDENIED;
	}
	(void)str_copy(q.name, sizeof q.name, p->key);
	r = chan_send(&k->channel, MSG_LOAD_KEY, q.key, &q, fds, 2);
	close_both(fds);
	if (r == 0)
		r = keeper_hear(k, &m, ST_AWAIT);
	if (r != 0)
		return r;
	if (m.type == MSG_KEY_LOADED)
		r = m.key_loaded.fault[0] != '\0' ? refuse_fault(k, p, m.key_loaded.fault) : 0;
	else if (m.type == MSG_FAILED) {
		note_fault(k, p->cert, m.failed.text);
		log_pair(p, m.failed.text);
		r = SP_EDENIED;
	} else
		r = SP_EREPLY;
	if (r == 0)
		r = note_loaded(p, &m, q.key);
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
	log_problem(EVENT_CERTIFICATE_UNUSABLE, e->path, r);
	note_fault(k, e->path, sp_strerror(r));
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
	k->why[0] = '\0';
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
		log_begin(&l, EVENT_CERTIFICATE_LOADED);
		log_str(&l, FIELD_CERTIFICATE, p->cert);
		log_str(&l, FIELD_KIND, p->algorithm);
		log_str(&l, FIELD_NAMES, p->names);
		log_num(&l, FIELD_DAYS, ((int64_t)p->not_after - (int64_t)time(NULL)) / 86400);
		log_end(&l);
	}
}

int
keeper_load(struct keeper *k)
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

int
keeper_hand_over(struct keeper *k)
{
	const bool again = k->certs.pairs > 0;
	int r;

	k->before = k->certs;
	k->certs.pairs = k->certs.extras = 0;
	k->oldest = 0;
	r = keeper_load(k);
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
