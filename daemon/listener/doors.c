#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/tcp.h>
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
#include "daemon/listener/systemd.h"

#define ACCEPTS_A_TURN	32
#define PAUSE_MS	200	/* without accepting, after descriptors ran out */
#define BACKLOG		1024
#define FTP_PORT	21

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
	struct event resume;
	bool open;
};

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

/* Whatever is set here is inherited by accepted sockets, so that no session need do it. */
static int
set_options(int fd)
{
	static const struct { int level, name; } on[] = {
		{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_OOBINLINE },
		{ IPPROTO_TCP, TCP_NODELAY },
	};
	int one = 1;

	for (size_t i = 0; i < sizeof on / sizeof on[0]; i++)
		if (setsockopt(fd, on[i].level, on[i].name, &one, sizeof one) < 0)
			return -errno;
	return 0;
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
		r = evutil_make_socket_nonblocking(fd) < 0 ? -errno : set_options(fd);
	if (r == 0)
		r = section_add(s, listener, &n);
	if (r != 0) {
		log_problem(LOG_LEVEL_ERROR, "not-a-client", "descriptor 0", r);
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
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || set_options(fd) != 0 || section_add(s, listener, &n) != 0)
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
			log_problem(LOG_LEVEL_ERROR, "accept", "clients wait", -errno);
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
	if (d->section != NULL)
		d->section->doors--;
	d->section = n;
	if (n != NULL)
		n->doors++;
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

static int
open_socket(const struct addr *a)
{
	int off = 0, r, fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	r = set_options(fd);
	/* The IPv6 wildcard takes IPv4 clients as well, whatever the system's default is. */
	if (r == 0 && a->sa.sa_family == AF_INET6)
		r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 ? -errno : 0;
	if (r == 0)
		r = bind(fd, &a->sa, addr_len(a)) < 0 ? -errno : 0;
	if (r == 0)
		r = listen(fd, BACKLOG) < 0 ? -errno : 0;
	if (r != 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* A machine without IPv6 still has the wildcard. */
static int
open_wildcard_too(struct addr *a)
{
	int fd = open_socket(a);

	if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && a->sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr)) {
		in_port_t port = addr_port(a);

		*a = (struct addr){ .in = { .sin_family = AF_INET } };
		addr_set_port(a, port);
		fd = open_socket(a);
	}
	return fd;
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

	log_begin(&l, LOG_LEVEL_ERROR, "cannot-listen");
	log_str(&l, "about", text);
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (hints[i].code == code)
			log_str(&l, "hint", s->options->serve && hints[i].serve != NULL ? hints[i].serve : hints[i].hint);
	log_code(&l, code);
	log_end(&l);
}

/* Says why on the log. */
static int
open_one(struct server *s, struct section *n, const char *text)
{
	struct addr wanted, a;
	struct door *d = NULL;
	int fd, r = addr_parse(&wanted, text, FTP_PORT);

	if (r == 0) {
		a = wanted;
		fd = open_wildcard_too(&a);
		r = fd < 0 ? fd : 0;
	}
	if (r == 0 && (d = add_door(s, n, fd, &a)) == NULL) {
		close(fd);
		r = -ENOMEM;
	}
	if (r != 0)
		log_cannot_listen(s, text, r);
	else
		d->wanted = wanted;
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
		r = evutil_make_socket_nonblocking(fd) < 0 ? -errno : set_options(fd);
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
		log_problem(LOG_LEVEL_ERROR, "cannot-listen", "sockets from systemd", r);
	return r;
}

int
doors_open(struct server *s)
{
	struct section *own;
	int inherited = systemd_listen_fds();

	s->doors = calloc(1, sizeof *s->doors);
	if (s->doors == NULL)
		return -ENOMEM;
	evtimer_assign(&s->doors->resume, s->base, on_resume, s);
	/* Its client is admitted later, but what is set is of interest before. */
	if (s->options->inetd)
		return section_add(s, "", &own);
	return inherited > 0 ? take_inherited(s, inherited) : each_listed(s, open_listed, NULL);
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

struct lines {
	char *text;
	size_t size;
};

static int
open_missing(struct server *s, struct section *n, const char *text, void *context)
{
	struct lines *to = context;
	size_t used = strlen(to->text);
	struct addr a;
	int r;

	if (addr_parse(&a, text, FTP_PORT) == 0 && find_door(s, &a) != NULL)
		return 0;
	r = open_one(s, n, text);
	/* What does not fit is on the log. */
	if (r != 0)
		(void)str_format(to->text + used, to->size - used, "\nNeeds a restart: listen = %s (%s)", text, sp_strerror(r));
	return 0;
}

/* Those of systemd cannot be closed for good: it would let clients connect that nobody answers. */
static void
name_inherited(struct server *s)
{
	struct section *n;

	for (struct door *d = s->doors->door; d != NULL; d = d->next)
		if (d->inherited && conf_section_find(s->conf, SC_LISTENER, d->name) != NULL && section_add(s, d->name, &n) == 0)
			belong_to(d, n);
}

void
doors_reload(struct server *s, char *text, size_t size)
{
	struct lines to = { text, size };
	struct door *d, *next;

	text[0] = '\0';
	if (s->options->inetd || s->stopping)
		return;
	if (s->doors->door != NULL && s->doors->door->inherited) {
		name_inherited(s);
		return;
	}
	for (d = s->doors->door; d != NULL; d = d->next)
		d->kept = false;
	(void)each_listed(s, keep_listed, NULL);
	/* First, because an address and the star beside it cannot be listened on at one port. */
	for (d = s->doors->door; d != NULL; d = next) {
		next = d->next;
		if (!d->kept)
			remove_door(s, d);
	}
	(void)each_listed(s, open_missing, &to);
}

void
doors_begin(struct server *s)
{
	s->doors->open = true;
	on_resume(-1, 0, s);
}

void
doors_close(struct server *s)
{
	s->doors->open = false;
	evtimer_del(&s->doors->resume);
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
