#include "config.h"

#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "daemon/listener/link.h"
#include "daemon/listener/state.h"
#include "privsep/chan.h"

#define HELD_MAX	100000	/* messages that wait to be sent: then the other one does not read at all */

_Static_assert(MSG_LINK_STARTED == 1 && MSG_LINK_STOP == 22, "other versions know these messages by their numbers");

/* A message that did not fit. */
struct held {
	STAILQ_ENTRY(held) link;
	enum msg_type type;
	int fd;
	char body[] __attribute__((aligned(16)));
};

struct link {
	struct server *server;
	struct chan channel;
	struct event readable, writable;
	link_hear *hear;
	link_ended *ended;
	unsigned states;
	bool reset;		/* the end was seen once */
	STAILQ_HEAD(, held) held;
	unsigned count;
};

static void
end(struct link *l)
{
	event_del(&l->readable);
	event_del(&l->writable);
	chan_close(&l->channel);
	l->ended(l->server);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	static struct msg m;
	struct link *l = arg;
	int r = chan_receive(&l->channel, &m, l->states);

	(void)fd, (void)what;
	if (r == -EAGAIN || r == -EINTR)
		return;
	/* A later version may say what this one does not know. */
	if (r == SP_ETYPE || r == SP_ECHANNEL)
		return;
	if (r == 0) {
		r = l->hear(l->server, &m);
		msg_close(&m);
	}
	if (r == 0)
		return;
	/* Who ends without having read everything causes an error that comes before its own last words. */
	if (r == SP_ECLOSED && !l->reset) {
		l->reset = true;
		return;
	}
	if (r != SP_ECLOSED)
		log_violation(LOG_LEVEL_WARNING, "generation", msg_name(l->channel.bad_type), r);
	end(l);
}

static int
send_one(struct link *l, enum msg_type type, const void *body, int fd)
{
	return chan_send(&l->channel, type, ++l->channel.last_id, body, &fd, fd >= 0);
}

static void
drop(struct link *l, struct held *h)
{
	STAILQ_REMOVE_HEAD(&l->held, link);
	l->count--;
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	struct held *h;

	(void)fd, (void)what;
	while ((h = STAILQ_FIRST(&l->held)) != NULL) {
		if (send_one(l, h->type, h->body, h->fd) == -EAGAIN) {
			event_add(&l->writable, NULL);
			return;
		}
		drop(l, h);
	}
}

static void
hold(struct link *l, enum msg_type type, const void *body, int fd)
{
	size_t size = msg_row(type)->size;
	struct held *h = l->count < HELD_MAX ? malloc(sizeof *h + size) : NULL;

	if (h == NULL) {
		/* Counts that are wrong are worse than none: the other one hears that this is the end. */
		(void)shutdown(l->channel.fd, SHUT_RDWR);
		return;
	}
	h->type = type;
	h->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	memcpy(h->body, body, size);
	STAILQ_INSERT_TAIL(&l->held, h, link);
	l->count++;
	event_add(&l->writable, NULL);
}

void
link_tell(struct link *l, enum msg_type type, const void *body, int fd)
{
	int r;

	if (l == NULL || l->channel.fd < 0)
		return;
	r = l->count > 0 ? -EAGAIN : send_one(l, type, body, fd);
	if (r == -EAGAIN)
		hold(l, type, body, fd);
	else if (r != 0 && r != SP_ECLOSED)
		log_violation(LOG_LEVEL_ERROR, "generation", msg_name(type), r);
}

void
link_live(struct link *l)
{
	l->states = ST_LIVE;
}

struct link *
link_new(struct server *s, int fd, enum msg_role own, link_hear *hear, link_ended *ended)
{
	struct link *l = calloc(1, sizeof *l);

	if (l == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		free(l);
		close(fd);
		return NULL;
	}
	l->server = s;
	l->hear = hear;
	l->ended = ended;
	l->states = ST_START;
	STAILQ_INIT(&l->held);
	chan_init(&l->channel, fd, CH_LINK, own);
	event_assign(&l->readable, s->base, fd, EV_READ | EV_PERSIST, on_readable, l);
	event_assign(&l->writable, s->base, fd, EV_WRITE, on_writable, l);
	event_add(&l->readable, NULL);
	return l;
}

void
link_free(struct link *l)
{
	if (l == NULL)
		return;
	while (!STAILQ_EMPTY(&l->held))
		drop(l, STAILQ_FIRST(&l->held));
	if (l->channel.fd >= 0) {
		event_del(&l->readable);
		event_del(&l->writable);
	}
	chan_close(&l->channel);
	free(l);
}
