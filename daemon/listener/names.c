#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/names.h"
#include "daemon/listener/server.h"
#include "privsep/spawn.h"

#define NAMES_MAX	32	/* of two configurations, while one is taking the place of the other */
#define AGAIN		300	/* seconds until all are asked for again */
#define AGAIN_SOON	15	/* when one was not answered; twice as long each time it is not */
#define WHY_MAX		128
#define LIMIT		60	/* seconds that the answers may take */
#define LIMIT_INETD	10	/* while the only client waits for them */
#define TEXT_MAX	16384

struct name {
	char text[256];
	struct addr v4, v6;	/* AF_UNSPEC: not known */
	bool asked, answered;	/* this time */
	bool named;		/* by the configuration */
	char why[WHY_MAX];	/* not, "": it was; what is on the log already is not said again */
};

struct names {
	struct name name[NAMES_MAX];
	size_t count;
	time_t pause;			/* until all are asked for again */
	struct event due, readable, gone;
	struct spawned child;
	int output_fd;			/* -1: nobody is being asked */
	size_t len;
	char text[TEXT_MAX + 1];
};

static struct name *
find(struct names *x, const char *text)
{
	for (size_t i = 0; i < x->count; i++)
		if (strcmp(x->name[i].text, text) == 0)
			return &x->name[i];
	return NULL;
}

/* Of the configuration. What is known of one stays. */
static void
name_all(struct server *s)
{
	struct names *x = s->names;

	for (const struct section *n = s->sections; n != NULL; n = n->next)
		for (size_t i = 0; !n->gone && i < n->resolved.s.passive_address.n; i++) {
			const char *target = n->resolved.s.passive_address.v[i].target;
			struct name *known = find(x, target);
			struct addr a;

			if (known != NULL)
				known->named = true;
			if (addr_parse(&a, target, 0) == 0 || known != NULL || strlen(target) >= sizeof x->name[0].text)
				continue;
			if (x->count == NAMES_MAX) {
				log_problem_at(LOG_LEVEL_ERROR, EVENT_PASSIVE_ADDRESS_UNRESOLVED, "too many host names", 0);
				return;
			}
			memset(&x->name[x->count], 0, sizeof x->name[0]);
			x->name[x->count].named = true;
			(void)str_copy(x->name[x->count++].text, sizeof x->name[0].text, target);
		}
}

void
names_settle(struct server *s)
{
	struct names *x = s->names;
	size_t kept = 0;

	if (x == NULL)
		return;
	for (size_t i = 0; i < x->count; i++)
		x->name[i].named = false;
	name_all(s);
	for (size_t i = 0; i < x->count; i++)
		if (x->name[i].named)
			x->name[kept++] = x->name[i];
	x->count = kept;
	if (kept == 0)
		evtimer_del(&x->due);
}

static void
ask_again_in(struct names *x, time_t seconds)
{
	struct timeval in = { seconds, 0 };

	evtimer_add(&x->due, &in);
}

/* Once for each reason, and not again because it lasts. */
static void
not_answered(struct name *n, const char *why)
{
	struct log_line l;

	if (n->why[0] != '\0' && strcmp(n->why, why) == 0)
		return;
	(void)str_copy(n->why, sizeof n->why, why);
	log_begin(&l, EVENT_PASSIVE_ADDRESS_UNRESOLVED);
	log_str(&l, FIELD_NAME, n->text);
	log_str(&l, FIELD_REASON, why);
	log_str(&l, FIELD_HINT, "correct passive_address, or the name service; until then clients are told the address that they are connected to");
	log_end(&l);
}

static bool
is_other(const struct addr *now, const struct addr *before)
{
	bool known = now->sa.sa_family != AF_UNSPEC, was_known = before->sa.sa_family != AF_UNSPEC;

	return known != was_known || (known && !addr_same_host(now, before));
}

/* "NAME IPV4 IPV6", a dash for none; "NAME ! REASON". Anything else is for people. */
static void
take_line(struct names *x, char *line)
{
	char *name = strsep(&line, " "), *v4 = strsep(&line, " "), *v6 = line;
	struct name *n = find(x, name);
	struct addr a, b;

	if (n == NULL || v6 == NULL)
		return;
	n->answered = true;
	if (strcmp(v4, "!") == 0) {
		v6[strnlen(v6, WHY_MAX - 1)] = '\0';
		not_answered(n, v6);
		return;
	}
	n->why[0] = '\0';
	if (addr_parse(&a, v4, 0) != 0)
		a = (struct addr){ .sa.sa_family = AF_UNSPEC };
	if (addr_parse(&b, v6, 0) != 0)
		b = (struct addr){ .sa.sa_family = AF_UNSPEC };
	if (is_other(&a, &n->v4) || is_other(&b, &n->v6)) {
		struct log_line l;

		log_begin(&l, EVENT_PASSIVE_ADDRESS);
		log_str(&l, FIELD_NAME, n->text);
		log_str(&l, FIELD_IPV4, v4);
		log_str(&l, FIELD_IPV6, v6);
		log_end(&l);
	}
	n->v4 = a;
	n->v6 = b;
}

static void
forget_child(struct names *x)
{
	event_del(&x->readable);
	event_del(&x->gone);
	close(x->output_fd);
	close(x->child.pid_fd);
	x->output_fd = -1;
}

static void
take_answers(struct server *s)
{
	struct names *x = s->names;
	char *rest = x->text, *line;
	bool all = true, late = false;	/* a reload has named some meanwhile */

	x->text[x->len] = '\0';
	for (size_t i = 0; i < x->count; i++)
		x->name[i].answered = false;
	while ((line = strsep(&rest, "\n")) != NULL)
		take_line(x, line);
	for (size_t i = 0; i < x->count; i++) {
		if (!x->name[i].asked)
			late = true;
		else if (!x->name[i].answered)
			not_answered(&x->name[i], "no answer in time");
		all = all && x->name[i].why[0] == '\0';
	}
	/* A name service that starts after us is waited for; one that says no is not asked for ever. */
	x->pause = all || x->pause * 2 > AGAIN ? AGAIN : x->pause == 0 ? AGAIN_SOON : x->pause * 2;
	if (x->count > 0)
		ask_again_in(x, late ? 0 : x->pause);
	server_names_known(s);
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct names *x = ((struct server *)arg)->names;
	ssize_t n;

	(void)what;
	while (x->len < TEXT_MAX && (n = read(fd, x->text + x->len, TEXT_MAX - x->len)) > 0)
		x->len += (size_t)n;
	/* Its end is seen by its process descriptor; one that says too much would wait for a reader. */
	if (x->len == TEXT_MAX)
		(void)spawn_signal(&x->child, SIGKILL);
	else if (errno == EAGAIN)
		event_add(&x->readable, NULL);
}

static void
on_gone(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct names *x = s->names;
	siginfo_t end = { 0 };

	if ((what & EV_TIMEOUT) != 0) {
		static const struct timeval soon = { 1, 0 };

		(void)spawn_signal(&x->child, SIGKILL);
		event_add(&x->gone, &soon);
		return;
	}
	if (waitid(P_PIDFD, (id_t)fd, &end, WEXITED | WNOHANG) < 0 || end.si_pid == 0) {
		event_add(&x->gone, NULL);
		return;
	}
	on_output(x->output_fd, 0, s);
	forget_child(x);
	take_answers(s);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct timeval limit = { s->options->inetd ? LIMIT_INETD : LIMIT, 0 };
	struct names *x = s->names;
	const char *argv[NAMES_MAX + 4] = { "sallyctl", "resolve" };
	char path[512];
	size_t n = 2;
	int r;

	(void)fd, (void)what;
	if (x->output_fd >= 0)
		return;
	for (size_t i = 0; i < x->count; i++) {
		argv[n++] = x->name[i].text;
		x->name[i].asked = true;
	}
	x->len = 0;
	r = spawn_command(server_sallyctl(s, path, sizeof path), argv, &x->output_fd, &x->child);
	if (r != 0) {
		x->output_fd = -1;
		log_problem(EVENT_PASSIVE_ADDRESS_UNRESOLVED, path, r);
		ask_again_in(x, AGAIN_SOON);
		return;
	}
	event_assign(&x->readable, s->base, x->output_fd, EV_READ, on_output, s);
	event_assign(&x->gone, s->base, x->child.pid_fd, EV_READ, on_gone, s);
	event_add(&x->readable, NULL);
	event_add(&x->gone, &limit);
}

void
names_start(struct server *s)
{
	if (s->names == NULL) {
		s->names = calloc(1, sizeof *s->names);
		if (s->names == NULL)
			return;
		s->names->output_fd = -1;
		evtimer_assign(&s->names->due, s->base, on_due, s);
	}
	for (size_t i = 0; i < s->names->count; i++)
		s->names->name[i].why[0] = '\0';
	name_all(s);
	s->names->pause = 0;
	if (s->names->count > 0)
		on_due(-1, 0, s);
}

bool
names_awaited(const struct server *s)
{
	return s->names != NULL && s->names->output_fd >= 0;
}

void
names_stop(struct server *s)
{
	struct names *x = s->names;

	if (x == NULL)
		return;
	evtimer_del(&x->due);
	if (x->output_fd >= 0) {
		(void)spawn_signal(&x->child, SIGKILL);
		forget_child(x);
	}
	free(x);
	s->names = NULL;
}

void
names_known(const struct server *s, const struct addr_map *map, sa_family_t family, char *out, size_t size)
{
	size_t used = 0;

	*out = '\0';
	for (size_t i = 0; s->names != NULL && i < map->n; i++) {
		const struct name *n = find(s->names, map->v[i].target);
		const struct addr *a = n == NULL ? NULL : family == AF_INET ? &n->v4 : &n->v6;
		char host[ADDR_TEXT_MAX];

		if (a == NULL || a->sa.sa_family == AF_UNSPEC ||
		    str_format(out + used, size - used, "%s%s=%s", used == 0 ? "" : " ", n->text, addr_host(host, a)) != 0)
			continue;
		used += strlen(out + used);
	}
}

void
names_of_section(const struct server *s, const char *section, sa_family_t family, char *out, size_t size)
{
	const struct section *n = section_find(s, section);

	*out = '\0';
	if (n != NULL)
		names_known(s, &n->resolved.s.passive_address, family, out, size);
}
