#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/server.h"
#include "daemon/listener/socket.h"
#include "daemon/listener/systemd.h"

#define ACCEPTS_A_TURN	32
#define PAUSE_MS	200	/* without accepting, after descriptors ran out */
#define FTP_PORT	21
#define LATE_MS		10	/* between attempts at an address that the older generation still holds */
#define LATE_TRIES	1000

struct door {
	struct door *next;
	struct server *server;
	struct section *section;
	int fd;
	bool kept;			/* doors_reload(): the configuration names it still */
	bool inherited;			/* of systemd, under this name */
	char name[65];
	struct addr wanted, address;	/* as configured; as opened, for a machine may lack IPv6 */
	struct event ready;
};

struct doors {
	struct door *door;
	struct event resume, late;
	unsigned tries;			/* left, until what cannot be listened on is an error */
	bool open, taken;		/* taken: there was an older generation */
};

static void on_late(evutil_socket_t, short, void *);

static int
local_address(int fd, struct addr *local)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name;

	return getsockname(fd, (struct sockaddr *)&name, &len) < 0 ? -errno : addr_from(local, &name, len);
}

static int
peer_address(int fd, struct addr *peer)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof name;

	return getpeername(fd, (struct sockaddr *)&name, &len) < 0 ? -errno : addr_from(peer, &name, len);
}

void
doors_admit(struct server *s, int fd, const char *listener)
{
	struct addr peer, local;
	struct section *n;
	int r = peer_address(fd, &peer);

	if (r == 0)
		r = local_address(fd, &local);
	if (r == 0)
		r = evutil_make_socket_nonblocking(fd) < 0 ? -errno : socket_options(fd);
	if (r == 0)
		r = section_add(s, listener, &n);
	if (r != 0) {
		log_problem(EVENT_NOT_A_CLIENT, "descriptor 0", r);
		close(fd);
		return;
	}
	admission_client(s, n, fd, &peer, &local);
}

void
doors_return(struct server *s, int fd, const char *listener, const struct addr *peer, const struct addr *local)
{
	struct section *n;

	/* As accepted: whatever the last session did to it is undone. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || socket_options(fd) != 0 || section_add(s, listener, &n) != 0)
		close(fd);
	else
		admission_client(s, n, fd, peer, local);
}

/* -------------------------------------------------------------------- accepting */

static void
pause_all(struct server *s)
{
	struct timeval in = { 0, PAUSE_MS * 1000 };

	for (struct door *d = s->doors->door; d != NULL; d = d->next)
		event_del(&d->ready);
	evtimer_add(&s->doors->resume, &in);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd, (void)what;
	for (struct door *d = s->doors->door; d != NULL && s->doors->open; d = d->next)
		event_add(&d->ready, NULL);
}

/* What accept(2) says of one connection only, not of the socket. */
static bool
is_transient(int error)
{
	return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM || error == ENETDOWN ||
	    error == ENOPROTOOPT || error == EHOSTDOWN || error == EHOSTUNREACH || error == ENETUNREACH;
}

static void
on_client(evutil_socket_t listen_fd, short what, void *arg)
{
	struct door *d = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_A_TURN && d->server->doors->open; i++) {
		struct sockaddr_storage name;
		socklen_t len = sizeof name;
		struct addr peer, local;
		int fd = accept4(listen_fd, (struct sockaddr *)&name, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && is_transient(errno))
			continue;
		if (fd < 0 && errno != EAGAIN) {
			log_problem(EVENT_ACCEPT_FAILED, "clients wait", -errno);
			pause_all(d->server);
		}
		if (fd < 0)
			return;
		if (addr_from(&peer, &name, len) != 0 || local_address(fd, &local) != 0)
			close(fd);
		else
			admission_client(d->server, d->section, fd, &peer, &local);
	}
}

/* --------------------------------------------------------------------- opening */

/* The door is that section's from now on; NULL: nobody's. */
static void
belong_to(struct door *d, struct section *n)
{
	if (d->section != NULL && d->section->doors > 0)
		d->section->doors--;
	d->section = n;
	if (n != NULL)
		n->doors++;
}

static struct doors *
get_doors(struct server *s)
{
	if (s->doors == NULL && (s->doors = calloc(1, sizeof *s->doors)) != NULL) {
		evtimer_assign(&s->doors->resume, s->base, on_resume, s);
		evtimer_assign(&s->doors->late, s->base, on_late, s);
	}
	return s->doors;
}

/* Takes over fd when that succeeds. NULL: no memory. */
static struct door *
add_door(struct server *s, struct section *n, int fd, const struct addr *address)
{
	struct door *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->server = s;
	belong_to(d, n);
	d->fd = fd;
	d->wanted = d->address = *address;
	d->kept = true;
	event_assign(&d->ready, s->base, fd, EV_READ | EV_PERSIST, on_client, d);
	if (s->doors->open)
		event_add(&d->ready, NULL);
	d->next = s->doors->door;
	s->doors->door = d;
	return d;
}

static void
remove_door(struct server *s, struct door *d)
{
	struct door **p = &s->doors->door;

	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	belong_to(d, NULL);
	event_del(&d->ready);
	close(d->fd);
	free(d);
}

/* What to do about the usual reasons. */
static void
log_cannot_listen(const struct server *s, const char *text, int code)
{
	static const struct {
		int code;
		const char *hint, *serve;	/* for a start without a configuration; NULL: the same */
	} hints[] = {
		{ -EADDRINUSE, "another server has this port (ss -ltnp shows which): stop it, or set another port in listen",
		    "another server has this port (ss -ltnp shows which): stop it, or choose another with --port" },
		{ -EACCES, "ports below 1024 need root, or the capability cap_net_bind_service", NULL },
		{ -EADDRNOTAVAIL, "this machine does not have the address: correct listen, or start after the network",
		    "this machine does not have the address: correct --address" },
	};
	struct log_line l;

	log_begin(&l, EVENT_CANNOT_LISTEN);
	log_str(&l, FIELD_ABOUT, text);
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (hints[i].code == code)
			log_str(&l, FIELD_HINT, s->options->serve && hints[i].serve != NULL ? hints[i].serve : hints[i].hint);
	log_code(&l, code);
	log_end(&l);
}

static int
open_silently(struct server *s, struct section *n, const char *text)
{
	struct addr wanted, a;
	struct door *d = NULL;
	int fd, r = addr_parse(&wanted, text, FTP_PORT);

	if (r == 0) {
		a = wanted;
		fd = socket_open(&a);
		r = fd < 0 ? fd : 0;
	}
	if (r == 0 && (d = add_door(s, n, fd, &a)) == NULL) {
		close(fd);
		r = -ENOMEM;
	}
	if (r == 0)
		d->wanted = wanted;
	return r;
}

/* Says why on the log. */
static int
open_one(struct server *s, struct section *n, const char *text)
{
	int r = open_silently(s, n, text);

	if (r != 0)
		log_cannot_listen(s, text, r);
	return r;
}

/* Calls f with each address that the configuration names, until one fails. */
static int
each_listed(struct server *s, int (*f)(struct server *, struct section *, const char *, void *), void *context)
{
	const struct conf_section *section = conf_section_next(s->conf, SC_LISTENER, NULL);
	int r = 0;

	do {
		struct section *n;

		r = section_add(s, section == NULL ? "" : conf_section_name(section), &n);
		for (size_t i = 0; r == 0 && i < n->resolved.s.listen.n; i++)
			r = f(s, n, n->resolved.s.listen.v[i], context);
	} while (r == 0 && section != NULL && (section = conf_section_next(s->conf, SC_LISTENER, section)) != NULL);
	return r;
}

static int
open_listed(struct server *s, struct section *n, const char *text, void *context)
{
	(void)context;
	return open_one(s, n, text);
}

/* A name that is no section's (systemd's own is the unit's) means the server's settings. */
static int
inherit(struct server *s, int fd, const char *name)
{
	struct section *n;
	struct addr a;
	struct door *d;
	int r = section_add(s, conf_section_find(s->conf, SC_LISTENER, name) == NULL ? "" : name, &n);

	if (r == 0)
		r = local_address(fd, &a);
	if (r == 0)
		r = evutil_make_socket_nonblocking(fd) < 0 ? -errno : socket_options(fd);
	if (r != 0)
		return r;
	d = add_door(s, n, fd, &a);
	if (d == NULL)
		return -ENOMEM;
	d->inherited = true;
	(void)str_copy(d->name, sizeof d->name, name);
	return 0;
}

static int
take_inherited(struct server *s, int count)
{
	int r = 0;

	for (int i = 0; i < count && r == 0; i++) {
		char name[65];
		int fd = systemd_listen_fd(i, name, sizeof name);

		r = inherit(s, fd, name);
	}
	if (r != 0)
		log_problem(EVENT_CANNOT_LISTEN, "sockets from systemd", r);
	return r;
}

/* --------------------------------------------------------------------- reloading */

/* The socket at that address stays, whatever its section is called now. */
static struct door *
find_door(const struct server *s, const struct addr *wanted)
{
	for (struct door *d = s->doors->door; d != NULL; d = d->next)
		if (!d->inherited && addr_same_host(&d->wanted, wanted) && addr_port(&d->wanted) == addr_port(wanted))
			return d;
	return NULL;
}

static int
keep_listed(struct server *s, struct section *n, const char *text, void *context)
{
	struct addr a;
	struct door *d = addr_parse(&a, text, FTP_PORT) == 0 ? find_door(s, &a) : NULL;

	(void)context;
	if (d != NULL) {
		belong_to(d, n);
		d->kept = true;
	}
	return 0;
}

static bool
is_open(const struct server *s, const char *text)
{
	struct addr a;

	return addr_parse(&a, text, FTP_PORT) == 0 && find_door(s, &a) != NULL;
}

static int
open_quietly(struct server *s, struct section *n, const char *text, void *context)
{
	(void)context;
	return is_open(s, text) ? 0 : open_silently(s, n, text);
}

static int
open_or_say(struct server *s, struct section *n, const char *text, void *context)
{
	(void)context;
	return is_open(s, text) ? 0 : open_one(s, n, text);
}

struct lines {
	char *text;
	size_t size;
};

static int
open_missing(struct server *s, struct section *n, const char *text, void *context)
{
	struct lines *to = context;
	size_t used = strlen(to->text);
	int r;

	if (is_open(s, text))
		return 0;
	r = open_one(s, n, text);
	/* What does not fit is on the log. */
	if (r != 0)
		(void)str_format(to->text + used, to->size - used, "\nNeeds a restart: listen = %s (%s)", text, sp_strerror(r));
	return 0;
}

static void
drop_unlisted(struct server *s)
{
	struct door *d, *next;

	for (d = s->doors->door; d != NULL; d = d->next)
		d->kept = false;
	(void)each_listed(s, keep_listed, NULL);
	for (d = s->doors->door; d != NULL; d = next) {
		next = d->next;
		if (!d->kept)
			remove_door(s, d);
	}
}

/* Those of systemd cannot be closed for good: it would let clients connect that nobody answers. */
static void
name_inherited(struct server *s)
{
	struct section *n;

	for (struct door *d = s->doors->door; d != NULL; d = d->next)
		if (d->inherited && (d->section == NULL || conf_section_find(s->conf, SC_LISTENER, d->name) != NULL) &&
		    section_add(s, conf_section_find(s->conf, SC_LISTENER, d->name) == NULL ? "" : d->name, &n) == 0)
			belong_to(d, n);
}

void
doors_reload(struct server *s, char *text, size_t size)
{
	struct lines to = { text, size };

	text[0] = '\0';
	if (s->options->inetd || s->stopping)
		return;
	if (s->doors->door != NULL && s->doors->door->inherited) {
		name_inherited(s);
		return;
	}
	/* First, because an address and the star beside it cannot be listened on at one port. */
	drop_unlisted(s);
	(void)each_listed(s, open_missing, &to);
}

/* ------------------------------------------------------------- generations */

int
doors_take(struct server *s, int fd, const struct addr *wanted, const char *name, bool inherited)
{
	struct addr a;
	struct door *d = get_doors(s) == NULL || local_address(fd, &a) != 0 ? NULL : add_door(s, NULL, fd, &a);

	if (d == NULL) {
		close(fd);
		return -ENOMEM;
	}
	d->wanted = *wanted;
	d->inherited = inherited;
	(void)str_copy(d->name, sizeof d->name, name);
	s->doors->taken = true;
	return 0;
}

void
doors_give(const struct server *s, void (*f)(void *, int, const struct addr *, const char *, bool), void *context)
{
	for (const struct door *d = s->doors->door; d != NULL; d = d->next)
		f(context, d->fd, &d->wanted, d->name, d->inherited);
}

/* What the older generation listens on beside it (0.0.0.0 where it had a star) can be had when that has left. */
static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, LATE_MS * 1000 };
	struct server *s = arg;
	bool last = s->doors->tries == 0;
	int r;

	(void)fd, (void)what;
	if (s->stopping || s->left)
		return;
	r = each_listed(s, last ? open_or_say : open_quietly, NULL);
	if (r != 0 && !last) {
		s->doors->tries--;
		evtimer_add(&s->doors->late, &soon);
	}
}

/* Those of the older generation, and what its configuration did not name. */
static int
open_beside(struct server *s)
{
	int r;

	if (s->doors->door->inherited) {
		name_inherited(s);
		return 0;
	}
	drop_unlisted(s);
	r = each_listed(s, open_quietly, NULL);
	if (r == -EADDRINUSE) {
		s->doors->tries = LATE_TRIES;
		return 0;
	}
	return r == 0 ? 0 : each_listed(s, open_or_say, NULL);
}

int
doors_open(struct server *s)
{
	struct section *own;
	int inherited = systemd_listen_fds();

	if (get_doors(s) == NULL)
		return -ENOMEM;
	/* Its client is admitted later, but what is set is of interest before. */
	if (s->options->inetd)
		return section_add(s, "", &own);
	if (s->doors->taken)
		return open_beside(s);
	return inherited > 0 ? take_inherited(s, inherited) : each_listed(s, open_listed, NULL);
}

void
doors_pause(struct server *s)
{
	s->doors->open = false;
	evtimer_del(&s->doors->resume);
	for (struct door *d = s->doors->door; d != NULL; d = d->next)
		event_del(&d->ready);
}

void
doors_begin(struct server *s)
{
	s->doors->open = true;
	on_resume(-1, 0, s);
	if (s->doors->tries > 0)
		on_late(-1, 0, s);
}

void
doors_close(struct server *s)
{
	s->doors->open = false;
	evtimer_del(&s->doors->resume);
	evtimer_del(&s->doors->late);
	while (s->doors->door != NULL)
		remove_door(s, s->doors->door);
}

void
doors_each(const struct server *s, void (*f)(void *, const char *), void *context)
{
	for (const struct door *d = s->doors->door; d != NULL; d = d->next) {
		char text[ADDR_TEXT_MAX];

		f(context, addr_text(text, &d->address));
	}
}
