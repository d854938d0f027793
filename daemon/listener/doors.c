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
#include "daemon/listener/doors.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/server.h"
#include "daemon/listener/systemd.h"

#define ACCEPTS_A_TURN	32
#define PAUSE_MS	200	/* without accepting, after descriptors ran out */
#define BACKLOG		1024
#define FTP_PORT	21

/* A listener section, or the server's own key "listen". */
struct section {
	struct section *next;
	char name[65];
	bool implicit_tls;
	unsigned max_sessions, now;
	struct srclimit_rules rules;
	struct conf_resolved resolved;
};

struct door {
	struct door *next;
	struct server *server;
	struct section *section;
	int fd;
	struct addr address;
	struct event ready;
};

struct doors {
	struct door *door;
	struct section *section;
	struct event resume;
	bool open;
};

/* -------------------------------------------------------------------- sections */

static struct section *
find_section(const struct doors *d, const char *name)
{
	for (struct section *n = d->section; n != NULL; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

static int
read_section(struct server *s, struct section *n)
{
	struct conf_subject subject = { .listener = *n->name == '\0' ? NULL : n->name };
	int r = conf_resolve(s->conf, &subject, &n->resolved);
	const struct settings *v = &n->resolved.s;

	if (r != 0)
		return r;
	n->implicit_tls = v->implicit_tls;
	n->max_sessions = (unsigned)v->max_sessions;
	n->rules = (struct srclimit_rules){
		.sessions = (unsigned)v->max_sessions_per_address,
		.connects_per_minute = (unsigned)v->connects_per_minute,
		.penalty_threshold = (int64_t)v->penalty_threshold * 1000,
		.penalty_max = (int64_t)v->penalty_max * 1000,
		.exempt = &n->resolved.s.never_ban,
	};
	return 0;
}

static int
add_section(struct server *s, const char *name, struct section **made)
{
	struct section *n = find_section(s->doors, name);
	int r;

	*made = n;
	if (n != NULL)
		return 0;
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return -ENOMEM;
	(void)str_copy(n->name, sizeof n->name, name);
	r = read_section(s, n);
	if (r != 0) {
		free(n);
		return r;
	}
	n->next = s->doors->section;
	s->doors->section = n;
	*made = n;
	return 0;
}

int
doors_reload(struct server *s)
{
	for (struct section *n = s->doors->section; n != NULL; n = n->next) {
		struct conf_resolved old = n->resolved;
		int r = read_section(s, n);

		if (r != 0)
			return r;
		conf_resolved_free(&old);
	}
	return 0;
}

struct srclimit_rules
server_rules(const struct server *s, const char *listener)
{
	static const struct srclimit_rules none;
	const struct section *n = find_section(s->doors, listener);

	return n == NULL ? none : n->rules;
}

/* -------------------------------------------------------------------- admission */

void
doors_refuse(struct server *s, int fd, const char *listener, const char *text)
{
	const struct section *n = find_section(s->doors, listener);
	char line[320];

	if ((n == NULL || !n->implicit_tls) && str_format(line, sizeof line, "421 %s\r\n", text) == 0)
		(void)send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	close(fd);
}

static void
turn_away(struct server *s, struct section *n, int fd, const struct addr *peer, const char *why, const char *text)
{
	char host[ADDR_TEXT_MAX];
	struct log_line l;

	log_begin(&l, LOG_LEVEL_NOTICE, "refused");
	log_str(&l, "peer", addr_host(host, peer));
	log_str(&l, "reason", why);
	log_end(&l);
	s->sessions_refused++;
	doors_refuse(s, fd, n->name, text);
}

static void
admit(struct server *s, struct section *n, int fd, const struct addr *peer, const struct addr *local)
{
	enum srclimit_answer answer;

	if (server_drain_text(s) != NULL) {
		turn_away(s, n, fd, peer, "drain", server_drain_text(s));
		return;
	}
	if (pool_busy(s) + pool_waiting(s) >= (unsigned)s->settings->max_sessions || n->now >= n->max_sessions) {
		turn_away(s, n, fd, peer, "max_sessions", "Too many sessions; try again later.");
		return;
	}
	answer = srclimit_enter(s->sources, &n->rules, peer, clock_ms());
	if (answer != SRC_WELCOME) {
		turn_away(s, n, fd, peer, "source", srclimit_text(answer));
		return;
	}
	n->now++;
	pool_client(s, fd, n->name, peer, local);
}

void
doors_left(struct server *s, const char *listener)
{
	struct section *n = find_section(s->doors, listener);

	if (n != NULL && n->now > 0)
		n->now--;
}

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
		r = add_section(s, listener, &n);
	if (r != 0) {
		log_problem(LOG_LEVEL_ERROR, "not-a-client", "descriptor 0", r);
		close(fd);
		return;
	}
	admit(s, n, fd, &peer, &local);
}

void
doors_return(struct server *s, int fd, const char *listener, const struct addr *peer, const struct addr *local)
{
	struct section *n;

	/* As accepted: whatever the last session did to it is undone. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || set_options(fd) != 0 || add_section(s, listener, &n) != 0)
		close(fd);
	else
		admit(s, n, fd, peer, local);
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
			admit(d->server, d->section, fd, &peer, &local);
	}
}

/* --------------------------------------------------------------------- opening */

static int
add_door(struct server *s, struct section *n, int fd, const struct addr *address)
{
	struct door *d = calloc(1, sizeof *d);

	if (d == NULL)
		return -ENOMEM;
	d->server = s;
	d->section = n;
	d->fd = fd;
	d->address = *address;
	event_assign(&d->ready, s->base, fd, EV_READ | EV_PERSIST, on_client, d);
	d->next = s->doors->door;
	s->doors->door = d;
	return 0;
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
log_cannot_listen(const char *text, int code)
{
	static const struct {
		int code;
		const char *hint;
	} hints[] = {
		{ -EADDRINUSE, "another server has this port (ss -ltnp shows which): stop it, or set another port in listen" },
		{ -EACCES, "ports below 1024 need root, or the capability cap_net_bind_service" },
		{ -EADDRNOTAVAIL, "this machine does not have the address: correct listen, or start after the network" },
	};
	struct log_line l;

	log_begin(&l, LOG_LEVEL_ERROR, "cannot-listen");
	log_str(&l, "about", text);
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (hints[i].code == code)
			log_str(&l, "hint", hints[i].hint);
	log_code(&l, code);
	log_end(&l);
}

static int
open_listed(struct server *s, const char *name)
{
	struct section *n;
	int r = add_section(s, name, &n);

	for (size_t i = 0; r == 0 && i < n->resolved.s.listen.n; i++) {
		const char *text = n->resolved.s.listen.v[i];
		struct addr a;
		int fd;

		r = addr_parse(&a, text, FTP_PORT);
		if (r != 0)
			break;
		fd = open_wildcard_too(&a);
		r = fd < 0 ? fd : add_door(s, n, fd, &a);
		if (r != 0)
			log_cannot_listen(text, r);
	}
	return r;
}

static int
take_inherited(struct server *s, int count)
{
	int r = 0;

	for (int i = 0; i < count && r == 0; i++) {
		char name[65];
		struct section *n;
		struct addr a;
		int fd = systemd_listen_fd(i, name, sizeof name);

		/* A name that is no section's (systemd's own is the unit's) means the server's settings. */
		r = add_section(s, conf_section_find(s->conf, SC_LISTENER, name) == NULL ? "" : name, &n);
		if (r == 0)
			r = local_address(fd, &a);
		if (r == 0)
			r = evutil_make_socket_nonblocking(fd) < 0 ? -errno : set_options(fd);
		if (r == 0)
			r = add_door(s, n, fd, &a);
	}
	if (r != 0)
		log_problem(LOG_LEVEL_ERROR, "cannot-listen", "sockets from systemd", r);
	return r;
}

int
doors_open(struct server *s)
{
	const struct conf_section *section = NULL;
	int inherited = systemd_listen_fds(), r = 0;

	s->doors = calloc(1, sizeof *s->doors);
	if (s->doors == NULL)
		return -ENOMEM;
	evtimer_assign(&s->doors->resume, s->base, on_resume, s);
	if (s->options->inetd)
		return 0;
	if (inherited > 0)
		return take_inherited(s, inherited);
	while (r == 0 && (section = conf_section_next(s->conf, SC_LISTENER, section)) != NULL)
		r = open_listed(s, conf_section_name(section));
	if (r == 0 && conf_section_next(s->conf, SC_LISTENER, NULL) == NULL)
		r = open_listed(s, "");
	return r;
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
	for (struct door *d = s->doors->door; d != NULL; d = s->doors->door) {
		s->doors->door = d->next;
		event_del(&d->ready);
		close(d->fd);
		free(d);
	}
}

void
doors_each(const struct server *s, void (*f)(void *, const char *), void *context)
{
	for (const struct door *d = s->doors->door; d != NULL; d = d->next) {
		char text[ADDR_TEXT_MAX];

		f(context, addr_text(text, &d->address));
	}
}
