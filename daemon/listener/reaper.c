#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/listener/reaper.h"
#include "daemon/listener/server.h"

#define DELAY_MS	5
#define BATCH		64

struct reaper {
	int epoll_fd;		/* watches the processes; the event loop watches it */
	reaper_handler *handler;
	struct event some, later;
};

static void
on_some(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval delay = { 0, DELAY_MS * 1000 };
	struct server *s = arg;

	(void)fd, (void)what;
	event_del(&s->reaper->some);
	evtimer_add(&s->reaper->later, &delay);
}

/* Each process ends once, so that no context can stand twice in a batch, or be freed before its turn. */
static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct epoll_event ended[BATCH];
	int n;

	(void)fd, (void)what;
	do {
		n = epoll_wait(s->reaper->epoll_fd, ended, BATCH, 0);
		for (int i = 0; i < n; i++)
			s->reaper->handler(ended[i].data.ptr);
	} while (n == BATCH);
	event_add(&s->reaper->some, NULL);
}

int
reaper_start(struct server *s, reaper_handler *handler)
{
	struct reaper *r = calloc(1, sizeof *r);

	if (r == NULL)
		return -ENOMEM;
	r->handler = handler;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll_fd < 0) {
		free(r);
		return -errno;
	}
	s->reaper = r;
	evtimer_assign(&r->later, s->base, on_later, s);
	event_assign(&r->some, s->base, r->epoll_fd, EV_READ | EV_PERSIST, on_some, s);
	event_add(&r->some, NULL);
	return 0;
}

int
reaper_watch(struct server *s, int pid_fd, void *context)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = context };

	return epoll_ctl(s->reaper->epoll_fd, EPOLL_CTL_ADD, pid_fd, &e) < 0 ? -errno : 0;
}

void
reaper_forget(struct server *s, int pid_fd)
{
	(void)epoll_ctl(s->reaper->epoll_fd, EPOLL_CTL_DEL, pid_fd, NULL);
}
