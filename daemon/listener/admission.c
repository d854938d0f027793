#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/str.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/refusals.h"
#include "daemon/listener/selftest.h"
#include "daemon/listener/server.h"

#define LINES_OF_STRANGER 3	/* of the log, of the ten of its source: more than one session may have some */
#define SHARE_LEAST	20	/* of those who have not logged in, where the setting is 0 */
#define YOUNG_MS	3000	/* who came so lately is no silent client: a burst is let in while there is room at all */

/* -------------------------------------------------------------------- sections */

struct section *
section_find(const struct server *s, const char *name)
{
	for (struct section *n = s->sections; n != NULL; n = n->next)
		if (strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

/* Half of all sessions, but more of few: two people behind one address are no crowd. */
static unsigned
share_of(unsigned setting, unsigned max_sessions)
{
	unsigned share = setting != 0 ? setting : max_sessions / 2 > SHARE_LEAST ? max_sessions / 2 : SHARE_LEAST;

	return share < max_sessions ? share : max_sessions;
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
	n->before_login = share_of((unsigned)v->max_sessions_before_login, n->max_sessions);
	n->rules = (struct srclimit_rules){
		.sessions = (unsigned)v->max_sessions_per_address,
		.connects_per_minute = (unsigned)v->connects_per_minute,
		.penalty_threshold = (int64_t)v->penalty_threshold * 1000,
		.penalty_max = (int64_t)v->penalty_max * 1000,
		.exempt = &n->resolved.s.never_ban,
	};
	return 0;
}

int
section_add(struct server *s, const char *name, struct section **made)
{
	struct section *n = section_find(s, name);
	int r;

	*made = n;
	if (n != NULL)
		return 0;
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return -ENOMEM;
	(void)str_copy(n->name, sizeof n->name, name);
	n->crowd = crowd_new();
	r = n->crowd == NULL ? -ENOMEM : read_section(s, n);
	if (r != 0) {
		crowd_free(n->crowd);
		free(n);
		return r;
	}
	n->next = s->sections;
	s->sections = n;
	*made = n;
	return 0;
}

/* Is it in the configuration? The unnamed one is where no other is. */
static bool
is_configured(const struct server *s, const struct section *n)
{
	if (n->name[0] == '\0')
		return s->options->inetd || n->doors > 0 || conf_section_next(s->conf, SC_LISTENER, NULL) == NULL;
	return conf_section_find(s->conf, SC_LISTENER, n->name) != NULL;
}

static int
read_again(struct server *s, struct section *n)
{
	struct conf_resolved old = n->resolved;
	int r = read_section(s, n);

	if (r != 0)
		n->resolved = old;
	else
		conf_resolved_free(&old);
	return r;
}

int
sections_reload(struct server *s)
{
	const struct conf_section *section = NULL;
	struct section *n;
	int r = 0;

	for (n = s->sections; n != NULL && r == 0; n = n->next)
		if (n->name[0] == '\0' || is_configured(s, n))
			r = read_again(s, n);
	while (r == 0 && (section = conf_section_next(s->conf, SC_LISTENER, section)) != NULL)
		r = section_add(s, conf_section_name(section), &n);
	return r;
}

void
sections_retire(struct server *s)
{
	for (struct section *n = s->sections; n != NULL; n = n->next) {
		n->gone = !is_configured(s, n);
		/* Whom it still counts it counts by the server's limits; the old ones go with the old configuration. */
		if (n->gone && read_again(s, n) != 0)
			memset(&n->resolved, 0, sizeof n->resolved);
	}
	pool_end_gone(s);
}

bool
section_is_gone(const struct server *s, const char *name)
{
	const struct section *n = section_find(s, name);

	return n == NULL || n->gone;
}

struct srclimit_rules
server_rules(const struct server *s, const char *listener)
{
	static const struct srclimit_rules none;
	const struct section *n = section_find(s, listener);

	return n == NULL ? none : n->rules;
}

struct srclimit_rules
server_ban_rules(const struct server *s)
{
	struct srclimit_rules rules = server_rules(s, "");

	if (rules.penalty_threshold == 0)
		rules.penalty_threshold = (int64_t)s->settings->penalty_threshold * 1000;
	return rules;
}

/* -------------------------------------------------------------------- refusing */

/* Of two times, where -1 is never. */
static int64_t
sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void
on_refusals(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	int64_t now = clock_ms(), ms;
	struct timeval in;

	(void)fd, (void)what;
	ms = sooner(refusals_flush(s->refusals, now), refusals_flush(s->strangers, now));
	ms = sooner(ms, sooner(refusals_flush(s->lines, now), refusals_flush(s->unsaid, now)));
	in = (struct timeval){ ms / 1000 + 1, 0 };
	if (ms >= 0)
		evtimer_add(&s->refusals_due, &in);
}

/* What was noted in any table will be said. */
static void
see_to_lines(struct server *s)
{
	if (!event_initialized(&s->refusals_due))
		evtimer_assign(&s->refusals_due, s->base, on_refusals, s);
	if (!evtimer_pending(&s->refusals_due, NULL))
		on_refusals(-1, 0, s);
}

static void
note(struct server *s, const struct addr *peer, const struct refusal *why)
{
	refusals_note(s->refusals, peer, why, clock_ms());
	see_to_lines(s);
}

/* What event=refused may have as its reason, and why clients are turned away after they were to wait; "other" is the last. */
static const char *const reasons[] = {
	"ban", "penalty_threshold", "connects_per_minute", "max_sessions_per_address", "max_sessions", "max_sessions_before_login",
	"processes", "gave_way", "no_session_in_time", "drain", "stopping", "listener_removed", "kick", "no_memory", "other",
};

static void
count(struct server *s, const char *reason)
{
	size_t i = 0;

	_Static_assert(sizeof reasons / sizeof *reasons <= ADMISSION_REASONS, "a counter for each reason");
	while (i < sizeof reasons / sizeof *reasons - 1 && strcmp(reasons[i], reason) != 0)
		i++;
	s->refused_by[i]++;
	s->sessions_refused++;
}

void
admission_each_reason(const struct server *s, void (*each)(void *, const char *reason, uint64_t), void *context)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		each(context, reasons[i], s->refused_by[i]);
}

/* Says so to the client, as far as it fits; nothing where TLS comes first. */
static void
close_with(int fd, const struct section *n, const char *text)
{
	char line[320];

	if ((n == NULL || !n->implicit_tls) && str_format(line, sizeof line, "421 %s\r\n", text) == 0)
		(void)send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	close(fd);
}

void
admission_refuse(struct server *s, int fd, const char *listener, const struct addr *peer, const char *reason,
    const char *text)
{
	note(s, peer, &(struct refusal){ .reason = reason, .listener = listener });
	count(s, reason);
	close_with(fd, section_find(s, listener), text);
}

void
admission_dropped(struct server *s, const char *listener, const struct addr *peer, const char *reason)
{
	note(s, peer, &(struct refusal){ .reason = reason, .listener = listener });
}

bool
admission_was_silent(const struct crowd_member *m)
{
	return clock_ms() - m->since >= YOUNG_MS;
}

bool
admission_quiet(struct server *s, const char *listener, const struct addr *peer)
{
	bool own = refusals_own_line(s->strangers, peer, &(struct refusal){ .reason = "", .listener = listener }, clock_ms());

	see_to_lines(s);
	return !own;
}

void
admission_stranger(struct server *s, const char *listener, const struct addr *peer)
{
	refusals_note(s->strangers, peer, &(struct refusal){ .reason = "", .listener = listener }, clock_ms());
	see_to_lines(s);
}

unsigned
admission_lines(struct server *s, const struct addr *peer)
{
	unsigned lines = refusals_take(s->lines, peer, LINES_OF_STRANGER, clock_ms());

	see_to_lines(s);
	return lines;
}

void
admission_lines_back(struct server *s, const struct addr *peer, unsigned lines)
{
	refusals_give_back(s->lines, peer, lines);
}

void
admission_unsaid(struct server *s, const char *listener, const struct addr *peer, enum log_event event, unsigned count)
{
	const struct refusal what = { .reason = log_event_row(event)->name, .listener = listener };

	refusals_count(s->unsaid, peer, &what, count, clock_ms());
	see_to_lines(s);
}

static void
turn_away(struct server *s, const struct section *n, int fd, const struct addr *peer, const char *reason, unsigned limit,
    const char *text)
{
	note(s, peer, &(struct refusal){ .reason = reason, .listener = n->name, .limit = limit });
	count(s, reason);
	close_with(fd, n, text);
}

static void
turn_away_source(struct server *s, const struct section *n, int fd, const struct addr *peer, enum srclimit_answer answer)
{
	const struct { const char *reason; unsigned limit; } why[] = {
		[SRC_WELCOME] = { "", 0 },
		[SRC_TOO_MANY] = { "max_sessions_per_address", n->rules.sessions },
		[SRC_TOO_FAST] = { "connects_per_minute", n->rules.connects_per_minute },
		[SRC_PENALTY] = { "penalty_threshold", (unsigned)(n->rules.penalty_threshold / 1000) },
		[SRC_BANNED] = { "ban", 0 },
	};

	turn_away(s, n, fd, peer, why[answer].reason, why[answer].limit, srclimit_text(answer));
}

/* ------------------------------------------------------------------- making room */

static bool
is_full(const struct server *s, const struct section *n)
{
	return pool_clients(s) >= (unsigned)s->settings->max_sessions || n->now >= n->max_sessions;
}

/* Where somebody has to give way: in this section, or where most have not logged in when the server is full. */
static struct crowd *
crowded(struct server *s, struct section *n)
{
	struct crowd *most = n->crowd;

	if (n->now >= n->max_sessions || crowd_count(most) > 0)
		return most;
	for (struct section *other = s->sections; other != NULL; other = other->next)
		if (crowd_count(other->crowd) > crowd_count(most))
			most = other->crowd;
	return most;
}

/*
 * Room for one more client, if it is a newcomer's turn: those who have not logged in give way to it, and nobody to
 * who has as many of them already, or has failed to log in as they did. NULL: there is room; else the limit.
 */
static const char *
make_room(struct server *s, struct section *n, const struct addr *peer)
{
	bool full, silent, suspect = srclimit_is_suspect(s->sources, peer, clock_ms());

	/* Dropping takes its time: processes are forked no faster than they end. */
	if (pool_left(s) > 2 * (unsigned)s->settings->max_sessions + (unsigned)s->settings->spare_sessions_max)
		return "processes";
	while ((full = is_full(s, n)) || crowd_count(n->crowd) >= n->before_login) {
		struct crowd *crowd = crowded(s, n);
		struct crowd_member *m = crowd_eldest(crowd);

		if (!full && !admission_was_silent(m))
			return NULL;
		/* Nobody who has failed to log in is kept out by clients that say nothing. */
		silent = m != NULL && !m->checked && admission_was_silent(m);
		m = crowd_gives_way(crowd, crowd_of(n->crowd, peer), suspect && !silent);
		if (m == NULL)
			return full ? "max_sessions" : "max_sessions_before_login";
		pool_drop(s, m);
	}
	return NULL;
}

/* ---------------------------------------------------------------------- admission */

void
admission_unknown(struct server *s, struct crowd_member *m, const char *listener, const struct addr *peer)
{
	struct section *n = section_find(s, listener);

	/* Without memory the client is only counted with all. */
	if (n != NULL)
		(void)crowd_enter(n->crowd, m, peer, clock_ms());
	if (srclimit_is_suspect(s->sources, peer, clock_ms()))
		crowd_suspect(m);
}

void
admission_client(struct server *s, struct section *n, int fd, const struct addr *peer, const struct addr *local)
{
	enum srclimit_answer answer;
	const char *full;

	if (n->gone) {
		turn_away(s, n, fd, peer, "listener_removed", 0, SECTION_GONE);
		return;
	}
	if (server_drain_text(s) != NULL) {
		turn_away(s, n, fd, peer, "drain", 0, server_drain_text(s));
		return;
	}
	answer = srclimit_enter(s->sources, &n->rules, peer, clock_ms());
	if (answer != SRC_WELCOME) {
		turn_away_source(s, n, fd, peer, answer);
		return;
	}
	full = make_room(s, n, peer);
	if (full != NULL) {
		srclimit_leave(s->sources, peer);
		turn_away(s, n, fd, peer, full, strcmp(full, "max_sessions") == 0 ? n->max_sessions : n->before_login,
		    "Too many sessions; try again later.");
		return;
	}
	n->now++;
	pool_client(s, fd, n->name, peer, local);
}

void
admission_left(struct server *s, const char *listener, const struct addr *peer)
{
	struct section *n = section_find(s, listener);

	/*
	 * The self-test never came in; but clients of its address may be counted, where an older generation has
	 * them.
	 */
	if (strcmp(listener, SELFTEST_LISTENER) != 0)
		srclimit_leave(s->sources, peer);
	if (n != NULL && n->now > 0)
		n->now--;
}
