#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/control.h"
#include "daemon/listener/report.h"
#include "daemon/listener/server.h"
#include "daemon/listener/session.h"
#include "privsep/chan.h"

#define CLIENTS_MAX	32
#define PIECE		16384	/* bytes of an answer in one message */
#define PAUSE		1	/* seconds until it is tried again to accept, when descriptors or memory had run out */

struct client {
	TAILQ_ENTRY(client) link;	/* who was heard last is the last */
	struct server *server;
	struct chan channel;
	struct event readable, writable;
	struct ucred who;	/* when it connected */
	bool json;		/* the form of the answer that is awaited */
	enum answer_when awaits;	/* ANSWER_NOW: nothing */
	struct answer answer;
	size_t sent;
	uint32_t id;
};

struct control {
	int fd;
	struct event ready, resume;
	char path[sizeof((struct sockaddr_un *)0)->sun_path];	/* "": none that is ours */
	char place[sizeof((struct sockaddr_un *)0)->sun_path];	/* where it is to be, while an older generation is there; "" */
	ino_t inode;
	TAILQ_HEAD(, client) clients;
	unsigned count;
};

static void
drop(struct client *c)
{
	TAILQ_REMOVE(&c->server->control->clients, c, link);
	c->server->control->count--;
	event_del(&c->readable);
	event_del(&c->writable);
	chan_close(&c->channel);
	free(c->answer.text);
	free(c);
}

/*
 * How much of the rest is sent next: whole lines where that can be, because sallyctl looks at the bytes of each
 * piece.
 */
static size_t
piece(const char *text, size_t len)
{
	const char *end = len > PIECE ? memrchr(text, '\n', PIECE) : NULL;

	return len <= PIECE ? len : end == NULL ? PIECE : (size_t)(end - text) + 1;
}

/* Sends as much of the answer as fits. 0 when all is sent, -EAGAIN, or why the client is dropped. */
static int
send_pieces(struct client *c)
{
	static struct msg_report m;
	int r = 0;

	while (r == 0 && c->answer.text != NULL) {
		size_t n = piece(c->answer.text + c->sent, c->answer.len - c->sent);

		memcpy(m.text, c->answer.text + c->sent, n);
		m.text[n] = '\0';
		m.end = c->sent + n == c->answer.len;
		m.status = (uint8_t)c->answer.status;
		r = chan_send(&c->channel, MSG_REPORT, c->id, &m, NULL, 0);
		if (r != 0)
			break;
		c->sent += n;
		if (m.end) {
			free(c->answer.text);
			c->answer = (struct answer){ 0 };
		}
	}
	return r;
}

static void
go_on(struct client *c)
{
	int r = send_pieces(c);

	if (r == -EAGAIN)
		event_add(&c->writable, NULL);
	else if (r != 0)
		drop(c);
	else
		event_add(&c->readable, NULL);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	go_on(arg);
}

static void
reply(struct client *c, const struct answer *a)
{
	c->answer = *a;
	c->sent = 0;
	/* Without memory for the text the client at least learns that it failed. */
	if (c->answer.text == NULL) {
		c->answer.text = strdup("");
		c->answer.len = 0;
	}
	go_on(c);
}

static void
on_command(evutil_socket_t fd, short what, void *arg)
{
	static struct msg m;
	struct client *c = arg;
	struct answer a = { 0 };
	int r;

	(void)fd, (void)what;
	r = chan_receive(&c->channel, &m, ST_LIVE);
	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r != 0) {
		if (r != SP_ECLOSED)
			log_violation(LOG_LEVEL_WARNING, "sallyctl", msg_name(c->channel.bad_type), r);
		drop(c);
		return;
	}
	/* One command at a time: the next, or the client's end, is read when this one is answered. */
	event_del(&c->readable);
	TAILQ_REMOVE(&c->server->control->clients, c, link);
	TAILQ_INSERT_TAIL(&c->server->control->clients, c, link);
	c->id = m.id;
	c->json = m.command.json != 0;
	report_answer(c->server, &(struct order){ m.command.verb, m.command.argument, c->json, c->who.uid, c->who.pid }, &a);
	msg_close(&m);
	c->awaits = a.when;
	if (a.when == ANSWER_NOW)
		reply(c, &a);
}

static void
answer_waiting(struct server *s, enum answer_when what, int status, const char *text)
{
	struct client *c, *next;

	if (s->control == NULL)
		return;
	for (c = TAILQ_FIRST(&s->control->clients); c != NULL; c = next) {
		struct answer a;

		next = TAILQ_NEXT(c, link);
		if (c->awaits != what)
			continue;
		c->awaits = ANSWER_NOW;
		report_result(c->json, status, text, &a);
		reply(c, &a);
	}
}

void
control_reloaded(struct server *s, int status, const char *text)
{
	answer_waiting(s, ANSWER_RELOADED, status, text);
}

static void
control_restarted(struct server *s, int status, const char *text)
{
	answer_waiting(s, ANSWER_RESTARTED, status, text);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct control *k = arg;

	(void)fd, (void)what;
	event_add(&k->ready, NULL);
}

/*
 * Whoever has been silent longest makes room, be it that it does not read its answer: an administrator is never
 * kept out.
 */
static void
make_room(struct control *k)
{
	if (k->count >= CLIENTS_MAX)
		drop(TAILQ_FIRST(&k->clients));
}

static void
on_client(evutil_socket_t listen_fd, short what, void *arg)
{
	struct server *s = arg;
	struct control *k = s->control;
	struct client *c;
	socklen_t size = sizeof c->who;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd < 0) {
		static const struct timeval pause = { PAUSE, 0 };

		/* It goes on waiting, and would wake the loop again at once. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			event_del(&k->ready);
			evtimer_add(&k->resume, &pause);
		}
		return;
	}
	make_room(k);
	if ((c = calloc(1, sizeof *c)) == NULL) {
		close(fd);
		return;
	}
	c->server = s;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->who, &size) < 0)
		c->who = (struct ucred){ .uid = (uid_t)-1 };
	chan_init(&c->channel, fd, CH_CONTROL, ROLE_LISTENER);
	event_assign(&c->readable, s->base, fd, EV_READ | EV_PERSIST, on_command, c);
	event_assign(&c->writable, s->base, fd, EV_WRITE, on_writable, c);
	event_add(&c->readable, NULL);
	TAILQ_INSERT_TAIL(&k->clients, c, link);
	k->count++;
}

/* A socket file that a dead server left behind is removed; a living one answers. */
static int
clear_way(const struct sockaddr_un *a)
{
	struct stat st;
	int fd, r;

	if (lstat(a->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN ? -EADDRINUSE : 0;
	close(fd);
	return r != 0 ? r : unlink(a->sun_path) < 0 ? -errno : 0;
}

static int
give_to_group(const char *path, const char *group)
{
	const struct group *g;

	if (group == NULL)
		return 0;
	g = getgrnam(group);
	if (g == NULL)
		return SP_ENOGROUP;
	return chown(path, (uid_t)-1, g->gr_gid) < 0 || chmod(path, 0660) < 0 ? -errno : 0;
}

static ino_t
inode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static int
open_at(struct server *s, const char *path)
{
	struct control *k = s->control;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	if (str_copy(a.sun_path, sizeof a.sun_path, path) != 0)
		return -ENAMETOOLONG;
	r = clear_way(&a);
	if (r != 0)
		return r;
	k->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->fd < 0)
		return -errno;
	mask = umask(0177);
	r = bind(k->fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r == 0)
		(void)str_copy(k->path, sizeof k->path, path);
	k->inode = inode_of(path);
	if (r == 0)
		r = give_to_group(path, s->settings->control_group);
	if (r == 0)
		r = listen(k->fd, CLIENTS_MAX) < 0 ? -errno : 0;
	return r;
}

int
control_open(struct server *s)
{
	const char *path = s->settings->control_socket;
	char beside[sizeof((struct sockaddr_un *)0)->sun_path];
	int r;

	if (path == NULL || s->options->inetd || s->options->serve)
		return 0;
	s->restarted = control_restarted;
	s->control = calloc(1, sizeof *s->control);
	if (s->control == NULL)
		return -ENOMEM;
	s->control->fd = -1;
	TAILQ_INIT(&s->control->clients);
	if (s->older == NULL)
		r = open_at(s, path);
	else if ((r = str_format(beside, sizeof beside, "%s.new", path)) == 0) {
		(void)str_copy(s->control->place, sizeof s->control->place, path);
		r = open_at(s, beside);
	}
	/* The folder of the default path is made by the service manager; by hand it may be missing. */
	if (r == -ENOENT && strcmp(path, SP_RUNDIR "/control") == 0 && mkdir(SP_RUNDIR, 0755) == 0)
		r = open_at(s, path);
	if (r != 0) {
		log_problem(EVENT_CONTROL_SOCKET, path, r);
		control_close(s);
		return r;
	}
	evtimer_assign(&s->control->resume, s->base, on_resume, s->control);
	event_assign(&s->control->ready, s->base, s->control->fd, EV_READ | EV_PERSIST, on_client, s);
	event_add(&s->control->ready, NULL);
	return 0;
}

int
control_take_place(struct server *s)
{
	struct control *k = s->control;

	if (k == NULL || k->place[0] == '\0')
		return 0;
	if (rename(k->path, k->place) < 0)
		return -errno;
	(void)str_copy(k->path, sizeof k->path, k->place);
	k->place[0] = '\0';
	return 0;
}

/* Closes the socket; its file is removed only where it is still this one. */
static void
stop_listening(struct control *k)
{
	if (k->fd >= 0) {
		if (event_initialized(&k->ready)) {
			event_del(&k->ready);
			evtimer_del(&k->resume);
		}
		close(k->fd);
	}
	k->fd = -1;
	if (k->path[0] != '\0' && inode_of(k->path) == k->inode)
		(void)unlink(k->path);
	k->path[0] = '\0';
}

void
control_leave(struct server *s)
{
	if (s->control != NULL)
		stop_listening(s->control);
}

void
control_close(struct server *s)
{
	struct control *k = s->control;
	struct client *c, *next;

	if (k == NULL)
		return;
	TAILQ_FOREACH_SAFE(c, &k->clients, link, next)
		drop(c);
	stop_listening(k);
	free(k);
	s->control = NULL;
}
