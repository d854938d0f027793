#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/keeper/keyring.h"
#include "daemon/keeper/serve.h"
#include "privsep/chan.h"

#define SERVICE_US	20	/* what a request costs beside the signature */
#define PAUSE_MS	20	/* between two looks at those that wait */

/* A worker. */
struct client {
	struct chan chan;
	uint64_t serial;
	int64_t credit;		/* microseconds of budget */
	int64_t counted;	/* when the credit was last counted, ms */
	bool waiting;		/* out of budget: not polled */
	bool told;		/* the log knows that it was slowed down */
	struct client *next, *prev;
};

struct keeper {
	struct chan listener;
	int poll_fd;
	uint64_t serial;
	unsigned waiting;	/* clients out of budget */
	bool end;
	struct client *clients;	/* newest first: serials fall */
	struct client *oldest;
	struct keyring ring;
	struct msg m;
};

/* --------------------------------------------------------------- the listener */

static void
send_log(void *context, enum log_level level, const char *text, size_t len)
{
	struct keeper *k = context;
	struct msg_keeper_log line = { .level = (uint8_t)level };

	(void)len;
	(void)str_copy(line.text, sizeof line.text, text);
	(void)chan_tell(&k->listener, MSG_KEEPER_LOG, &line);
}

static void
load_key(struct keeper *k)
{
	const struct msg_load_key *q = &k->m.load_key;
	struct msg_key_loaded a = { 0 };
	struct key_facts facts;
	char why[256];
	int chain_fd;
	int r = keyring_load(&k->ring, q->key, q->name, k->m.fd[0], k->m.fd[1], &facts, &chain_fd, why, sizeof why);

	if (r != 0) {
		(void)chan_refuse(&k->listener, &k->m, FAIL_KEEPER, r < 0 && r > SP_EBASE ? -r : 0, why);
		return;
	}
	a.not_before = (uint64_t)facts.not_before;
	a.not_after = (uint64_t)facts.not_after;
	(void)str_copy(a.algorithm, sizeof a.algorithm, facts.algorithm);
	(void)str_copy(a.names, sizeof a.names, facts.names);
	(void)str_copy(a.fault, sizeof a.fault, facts.fault);
	(void)chan_answer(&k->listener, &k->m, MSG_KEY_LOADED, &a, &chain_fd, 1);
	close(chain_fd);
}

static void
collect_keys(struct keeper *k)
{
	keyring_collect(&k->ring, k->oldest == NULL ? k->serial + 1 : k->oldest->serial);
}

static void
forget_keys(struct keeper *k)
{
	keyring_retire(&k->ring, k->m.forget_keys.below, k->serial);
	collect_keys(k);
}

static int
watch(struct keeper *k, int operation, int fd, void *who)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = who };

	return epoll_ctl(k->poll_fd, operation, fd, &e) < 0 ? -errno : 0;
}

static void
attach(struct keeper *k)
{
	struct client *c = calloc(1, sizeof *c);
	int fd = msg_take_fd(&k->m, 0);

	/* Non-blocking: a worker that does not read its answers must not hold up the others. */
	if (c == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || watch(k, EPOLL_CTL_ADD, fd, c) != 0) {
		log_problem(EVENT_KEEPER_ATTACH_FAILED, "worker", -errno);
		close(fd);
		free(c);
		return;
	}
	chan_init(&c->chan, fd, CH_SIGN, ROLE_KEEPER);
	c->serial = ++k->serial;
	c->credit = KEEPER_BURST;
	c->counted = clock_ms();
	c->next = k->clients;
	if (k->clients != NULL)
		k->clients->prev = c;
	else
		k->oldest = c;
	k->clients = c;
}

/* What the listener may ask. */
static const struct {
	enum msg_type type;
	void (*handle)(struct keeper *);
} orders[] = {
	{ MSG_LOAD_KEY, load_key },
	{ MSG_FORGET_KEYS, forget_keys },
	{ MSG_ATTACH, attach },
};

static void
serve_listener(struct keeper *k)
{
	int r = chan_receive(&k->listener, &k->m, ST_LIVE);

	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r == SP_ECLOSED) {
		k->end = true;
		return;
	}
	if (r != 0) {
		log_violation(LOG_LEVEL_ERROR, "listener", msg_name(k->listener.bad_type), r);
		return;
	}
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (orders[i].type == k->m.type)
			orders[i].handle(k);
	msg_close(&k->m);
}

/* ----------------------------------------------------------------- the workers */

static void
detach(struct keeper *k, struct client *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		k->clients = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	else
		k->oldest = c->prev;
	k->waiting -= c->waiting;
	if (!c->waiting)
		(void)watch(k, EPOLL_CTL_DEL, c->chan.fd, NULL);
	chan_close(&c->chan);
	free(c);
	collect_keys(k);
}

static void
log_refusal(const struct client *c, const char *what, unsigned scheme, int code)
{
	struct log_line l;

	log_begin(&l, EVENT_KEEPER_REFUSED);
	log_str(&l, FIELD_REQUEST, what);
	log_num(&l, FIELD_SCHEME, scheme);
	log_num(&l, FIELD_CHANNEL, (int64_t)c->serial);
	log_code(&l, code);
	log_end(&l);
}

/* 0 to go on with this worker, or why not. */
static int
sign(struct keeper *k, struct client *c)
{
	const struct msg_sign *q = &k->m.sign;
	struct msg_signature a;
	int r;

	a.signature_len = sizeof a.signature;
	r = keyring_sign(&k->ring, q->key, q->algorithm, q->message, q->message_len, a.signature, &a.signature_len);
	if (r == 0)
		return chan_answer(&c->chan, &k->m, MSG_SIGNATURE, &a, NULL, 0);
	log_refusal(c, "SIGN", q->algorithm, r);
	(void)chan_refuse(&c->chan, &k->m, FAIL_KEEPER, 0, NULL);
	/* A worker that has not been taken over never asks for anything else. */
	return r == SP_EDENIED ? r : 0;
}

static int64_t
cpu_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The credit that has grown by now. */
static int64_t
grown(const struct client *c, int64_t now)
{
	int64_t credit = c->credit + (now - c->counted) * 1000 / KEEPER_SHARE;

	return credit > KEEPER_BURST ? KEEPER_BURST : credit;
}

/* Counts what a request cost; out of budget, the channel rests until it may ask again. */
static void
charge(struct keeper *k, struct client *c, int64_t cost)
{
	const int64_t now = clock_ms();

	c->credit = grown(c, now) - cost - SERVICE_US;
	c->counted = now;
	if (c->credit > 0)
		return;
	if (!c->told)
		log_problem(EVENT_KEEPER_BUDGET, "a session asks for more signatures than its budget: slowed down", 0);
	c->told = true;
	if (watch(k, EPOLL_CTL_DEL, c->chan.fd, NULL) == 0)
		c->waiting = true, k->waiting++;
}

static void
serve_worker(struct keeper *k, struct client *c)
{
	int r = chan_receive(&c->chan, &k->m, ST_LIVE);

	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r == 0) {
		const int64_t before = cpu_us();

		r = sign(k, c);
		msg_close(&k->m);
		if (r == 0) {
			charge(k, c, cpu_us() - before);
			return;
		}
	} else if (r != SP_ECLOSED)
		log_refusal(c, msg_name(c->chan.bad_type), 0, r);
	detach(k, c);
}

/* Lets those go on whose budget has grown again. Returns milliseconds until the next look, -1: none waits. */
static int
wake_waiting(struct keeper *k)
{
	const int64_t now = clock_ms();

	for (struct client *c = k->clients, *next; c != NULL && k->waiting > 0; c = next) {
		next = c->next;
		if (!c->waiting || grown(c, now) <= 0)
			continue;
		c->waiting = false;
		k->waiting--;
		if (watch(k, EPOLL_CTL_ADD, c->chan.fd, c) != 0)
			detach(k, c);
	}
	return k->waiting > 0 ? PAUSE_MS : -1;
}

static void
poll_once(struct keeper *k)
{
	struct epoll_event e[64];
	/* A client is freed only while its own event is handled: the others' pointers stay good. */
	int n = epoll_wait(k->poll_fd, e, sizeof e / sizeof e[0], wake_waiting(k));

	for (int i = 0; i < n && !k->end; i++) {
		if (e[i].data.ptr == k)
			serve_listener(k);
		else
			serve_worker(k, e[i].data.ptr);
	}
}

int
keeper_serve(int listener_fd)
{
	struct keeper *k = calloc(1, sizeof *k);
	int r = SP_EXIT_OS;

	if (k == NULL)
		return r;
	chan_init(&k->listener, listener_fd, CH_KEEPER, ROLE_KEEPER);
	log_set_sink(send_log, k);
	k->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (k->poll_fd >= 0 && watch(k, EPOLL_CTL_ADD, listener_fd, k) == 0) {
		while (!k->end)
			poll_once(k);
		r = SP_EXIT_OK;
	}
	while (k->clients != NULL)
		detach(k, k->clients);
	keyring_clear(&k->ring);
	log_set_sink(NULL, NULL);
	if (k->poll_fd >= 0)
		close(k->poll_fd);
	chan_close(&k->listener);
	free(k);
	return r;
}
