/* doctor: ports, addresses, kernel features, limits. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/doctor.h"
#include "ctl/resolve.h"
#include "privsep/part.h"
#include "privsep/role.h"

#define LISTENING 0x0a		/* TCP_LISTEN, as /proc/net/tcp has it */

void
doctor_each_listener(struct doctor *d, void (*each)(struct doctor *, const struct settings *))
{
	const struct conf_section *section = conf_section_next(d->conf, SC_LISTENER, NULL);
	struct conf_resolved r;

	if (section == NULL)
		each(d, d->s);
	for (; section != NULL; section = conf_section_next(d->conf, SC_LISTENER, section)) {
		struct conf_subject subject = { .listener = conf_section_name(section) };

		if (conf_resolve(d->conf, &subject, &r) != 0)
			continue;
		d->listener = conf_section_name(section);
		d->listeners++;
		each(d, &r.s);
		conf_resolved_free(&r);
	}
	d->listener = NULL;
}

static void
check_listen(struct doctor *d, const char *text, bool implicit)
{
	struct addr a;
	int fd, error, on = 1;

	if (addr_parse(&a, text, implicit ? 990 : 21) != 0) {
		doctor_find(d, DOCTOR_ERROR, "write ADDRESS:PORT", "listen = %s is not an address", text);
		return;
	}
	if ((fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) {
		doctor_find(d, DOCTOR_ERROR, "name an IPv4 address, 0.0.0.0:21 for all, or let the kernel have IPv6",
		    "%s: %s", text, strerror(errno));
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	error = bind(fd, &a.sa, addr_len(&a)) < 0 || listen(fd, 1) < 0 ? errno : 0;
	close(fd);
	if (error == 0 && d->running)
		doctor_find(
		    d, DOCTOR_WARNING, "sallyctl reload: the server listens elsewhere, or its log says why it could not", "%s: nobody listens there", text);
	else if (error == 0 || (error == EADDRINUSE && d->running))
		doctor_find(d, DOCTOR_FINE, NULL, "%s: %s", text, error == 0 ? "free" : "in use, and the server runs");
	else if (error == EADDRINUSE)
		doctor_find(d, DOCTOR_ERROR, "stop the other server (ss -ltnp tells which), or choose another port",
		    "%s: in use by another program", text);
	else if (error == EADDRNOTAVAIL)
		doctor_find(d, DOCTOR_ERROR, "give the address to an interface, or listen on *",
		    "%s: this machine has no such address", text);
	else
		doctor_find(
		    d, error == EACCES ? DOCTOR_NOTE : DOCTOR_ERROR, "ask as root", "%s: %s", text, strerror(error));
}

static void
check_listener(struct doctor *d, const struct settings *s)
{
	for (size_t i = 0; i < s->listen.n; i++)
		check_listen(d, s->listen.v[i], s->implicit_tls);
}

void
doctor_ports(struct doctor *d)
{
	doctor_each_listener(d, check_listener);
}

/* The number at *p, which is moved behind it. */
static bool
take_number(const char **p, int base, unsigned *n)
{
	char *end;
	unsigned long value = strtoul(*p, &end, base);

	if (end == *p || value > UINT_MAX)
		return false;
	*n = (unsigned)value;
	*p = end;
	return true;
}

/* The first line of a file below /proc. */
static bool
read_line(const char *path, char *dst, size_t size)
{
	FILE *in = fopen(path, "re");
	bool ok = in != NULL && fgets(dst, (int)size, in) != NULL;

	if (in != NULL)
		fclose(in);
	return ok;
}

static bool
read_range(const char *path, unsigned *low, unsigned *high)
{
	char text[64];
	const char *p = text;

	return read_line(path, text, sizeof(text)) && take_number(&p, 10, low) && take_number(&p, 10, high);
}

/* Port and state of a line "N: ADDRESS:PORT ADDRESS:PORT STATE ..." of /proc/net/tcp. */
static bool
read_socket(char *line, unsigned *port, unsigned *state)
{
	unsigned *const wanted[] = { NULL, port, NULL, state };
	const char *word, *colon;
	int n = 0;

	*port = *state = 0;
	while (n < 4 && (word = strsep(&line, " \n")) != NULL) {
		if (*word == '\0')
			continue;
		colon = strchr(word, ':');
		if (n == 1 && colon != NULL)
			word = colon + 1;
		if (wanted[n] != NULL && !take_number(&word, 16, wanted[n]))
			return false;
		n++;
	}
	return n == 4;
}

/* Sockets that listen on ports of the range. */
static unsigned
count_used(const char *table, unsigned low, unsigned high)
{
	char line[512];
	unsigned port, state, used = 0;
	FILE *in = fopen(table, "re");

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		if (read_socket(line, &port, &state) && state == LISTENING && port >= low && port <= high)
			used++;
	if (in != NULL)
		fclose(in);
	return used;
}

/* Is the range among the ports that the kernel does not give to outgoing connections? */
static bool
reserved(unsigned low, unsigned high)
{
	char text[4096];
	unsigned from, to;
	char *rest = text, *range;

	if (!read_line("/proc/sys/net/ipv4/ip_local_reserved_ports", text, sizeof(text)))
		return false;
	while ((range = strsep(&rest, ",\n")) != NULL) {
		const char *p = range;

		if (!take_number(&p, 10, &from))
			continue;
		to = from;
		if (*p++ == '-' && !take_number(&p, 10, &to))
			continue;
		if (from <= low && to >= high)
			return true;
	}
	return false;
}

/* Does the kernel take outgoing connections' ports from these too? Then its whole range is told. */
static bool
shared(unsigned low, unsigned high, unsigned *from, unsigned *to)
{
	return read_range("/proc/sys/net/ipv4/ip_local_port_range", from, to) && low <= *to && high >= *from &&
	    !reserved(low > *from ? low : *from, high < *to ? high : *to);
}

/* How the ports are taken from the kernel; those that were reserved before stay so. */
static void
advise_reserving(char *dst, size_t size, const char *before, unsigned low, unsigned high)
{
	char already[512] = "";

	if (read_line("/proc/sys/net/ipv4/ip_local_reserved_ports", already, sizeof(already)))
		already[strcspn(already, "\n")] = '\0';
	(void)str_format(dst, size, "%ssysctl net.ipv4.ip_local_reserved_ports=%s%s%u-%u keeps them for the server",
	    before, already, already[0] != '\0' ? "," : "", low, high);
}

/* Advice that the next check would not find fault with. */
static void
advise_range(char *dst, size_t size)
{
	const unsigned low = 49152, high = 65534;	/* dynamic ports of RFC 6335 */
	const char *set = "set passive_ports = 49152-65534 or another range, and open it in the firewall";
	unsigned from, to;
	char before[128];

	if (!shared(low, high, &from, &to)) {
		(void)str_copy(dst, size, set);
		return;
	}
	(void)str_format(before, sizeof(before), "%s; ", set);
	advise_reserving(dst, size, before, low, high);
}

static void
check_passive(struct doctor *d, const struct settings *s)
{
	unsigned low = s->passive_ports.low, high = s->passive_ports.high, eph_low = 0, eph_high = 0, used;
	unsigned before = d->here;
	char remedy[800];

	if (low == 0) {
		advise_range(remedy, sizeof(remedy));
		doctor_find(d, DOCTOR_WARNING, remedy, "passive ports are the kernel's choice: no firewall can know them");
		return;
	}
	if (high - low + 1 < (uint64_t)s->max_sessions)
		doctor_find(d, DOCTOR_WARNING,
		    "widen passive_ports: a session may need one each, and closed ones rest a minute",
		    "%u passive port%s for up to %lld session%s", high - low + 1, str_plural(high - low + 1),
		    (long long)s->max_sessions, str_plural((uint64_t)s->max_sessions));
	if (shared(low, high, &eph_low, &eph_high)) {
		advise_reserving(remedy, sizeof(remedy), "", low, high);
		doctor_find(d, DOCTOR_NOTE, remedy,
		    "the kernel also uses ports %u-%u for outgoing connections; some of %u-%u may be taken at times",
		    eph_low, eph_high, low, high);
	}
	used = count_used("/proc/net/tcp", low, high) + count_used("/proc/net/tcp6", low, high);
	if (used > 0 && !d->running)
		doctor_find(d, DOCTOR_WARNING, "ss -ltn shows them; move them or the range",
		    "%u port%s of %u-%u %s in use by others", used, str_plural(used), low, high, used == 1 ? "is" : "are");
	if (d->here == before)
		doctor_find(d, DOCTOR_FINE, NULL, "%u-%u: %u port%s", low, high, high - low + 1, str_plural(high - low + 1));
}

void
doctor_passive(struct doctor *d)
{
	doctor_each_listener(d, check_passive);
}

/* Addresses that the Internet does not route (RFC 1918, 6598, 3927, 4193). */
static bool
is_private(const struct addr *a)
{
	static const char *const nets[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
		"169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1" };
	struct addr_net net;

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (addr_net_parse(&net, nets[i]) == 0 && addr_net_has(&net, a))
			return true;
	return false;
}

/* Has any interface an IPv4 address that the Internet routes? */
static bool
have_public(bool *any)
{
	struct ifaddrs *list, *i;
	bool public = false;
	struct addr a;

	*any = false;
	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET &&
		    addr_from(&a, i->ifa_addr, sizeof(struct sockaddr_in)) == 0 && !addr_is_loopback(&a)) {
			*any = true;
			public = public || !is_private(&a);
		}
	freeifaddrs(list);
	return public;
}

static void
check_target(struct doctor *d, const struct addr_map_row *row)
{
	struct addr a, v6;
	int r;

	if (addr_parse(&a, row->target, 0) != 0) {
		char text[2][ADDR_TEXT_MAX];

		r = resolve(row->target, &a, &v6);
		if (r != 0) {
			doctor_find(d, DOCTOR_WARNING,
			    "clients are told the address that they are connected to until the name can be looked up: correct it or the name service",
			    "passive_address %s cannot be looked up: %s", row->target, gai_strerror(r));
			return;
		}
		doctor_find(d, DOCTOR_FINE, NULL, "passive_address %s is %s and %s", row->target, addr_host(text[0], &a),
		    addr_host(text[1], &v6));
	}
	if (a.sa.sa_family == AF_UNSPEC)
		return;
	if (row->net.family == AF_UNSPEC && is_private(&a))
		doctor_find(d, DOCTOR_WARNING,
		    "tell the address that clients connect to from outside, and keep private ones for private "
		    "networks: 10.0.0.0/8 = 10.1.2.3, * = 203.0.113.5",
		    "passive_address %s is private and told to every client", row->target);
	else
		doctor_find(d, DOCTOR_FINE, NULL, "passive_address %s", row->target);
}

static void
check_address(struct doctor *d, const struct settings *s)
{
	bool any;

	for (size_t i = 0; i < s->passive_address.n; i++)
		check_target(d, &s->passive_address.v[i]);
	if (s->passive_address.n > 0)
		return;
	if (have_public(&any) || !any)
		doctor_find(d, DOCTOR_FINE, NULL, "passive_address is not set: clients are told the address that they are connected to");
	else
		doctor_find(d, DOCTOR_NOTE,
		    "if clients come from the Internet through a router, set passive_address to its address",
		    "this machine has private addresses only, and passive_address is not set");
}

void
doctor_address(struct doctor *d)
{
	doctor_each_listener(d, check_address);
}

/* What is said of a part that this system does not give, and how bad that is. */
static void
report_part(struct doctor *d, enum part p, int error)
{
	const struct part_row *row = part_row(p);
	enum part_verdict verdict = part_verdict(p, error, d->s);

	if (geteuid() != 0 && error == -EPERM && row->need != NEED_LANDLOCK)
		doctor_find(d, DOCTOR_NOTE, "ask as root", "%s: %s, for an ordinary user", row->name, sp_strerror(error));
	else
		doctor_find(d, verdict == PART_FATAL ? DOCTOR_ERROR : verdict == PART_TOLD ? DOCTOR_WARNING : DOCTOR_NOTE, row->remedy,
		    "%s: %s. %s%s", row->name, sp_strerror(error), verdict == PART_FATAL ? "The server does not start. " : "",
		    row->without);
}

void
doctor_kernel(struct doctor *d)
{
	struct role_id id = { 65534, 65534 };
	int errors[PART_COUNT], r;

	/* Whether that user exists is asked elsewhere. */
	(void)role_find_user(d->s->worker_user, &id);
	r = parts_try(&id, errors);
	if (r != 0)
		doctor_find(d, DOCTOR_ERROR, "free memory and processes", "nothing can be tried: %s", sp_strerror(r));
	for (unsigned p = 0; r == 0 && p < PART_COUNT; p++)
		if (p == PART_LANDLOCK && d->s->landlock == CONF_LANDLOCK_OFF)
			doctor_find(d, DOCTOR_NOTE, "landlock = auto uses it where it works", "%s is not used: landlock = off",
			    part_row((enum part)p)->name);
		else if (errors[p] == 0)
			doctor_find(d, DOCTOR_FINE, NULL, "%s", part_row((enum part)p)->name);
		else if (errors[p] < 0)
			report_part(d, (enum part)p, errors[p]);
}

#define LISTENER_FDS	128	/* without sessions: its sockets, templates, logs, sallyctl's connections */

void
doctor_limits(struct doctor *d)
{
	unsigned long long sessions = (unsigned long long)d->s->max_sessions + (unsigned long long)d->s->spare_sessions_max;
	unsigned long long need = LISTENER_FDS + ROLE_SESSION_FDS * sessions, tasks = 3 * sessions + 16;
	unsigned most = 0;
	char text[32];
	const char *p = text;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < need)
		doctor_find(d, DOCTOR_WARNING, "raise LimitNOFILE of the unit, or lower max_sessions",
		    "max_sessions = %llu needs up to %llu descriptors in the listener; the limit here is %llu",
		    (unsigned long long)d->s->max_sessions, need, (unsigned long long)files.rlim_max);
	if (read_line("/proc/sys/kernel/pid_max", text, sizeof(text)) && take_number(&p, 10, &most) && most < tasks + 1000)
		doctor_find(d, DOCTOR_WARNING, "raise kernel.pid_max, or lower max_sessions",
		    "max_sessions needs up to %llu processes, kernel.pid_max is %u", tasks, most);
}
