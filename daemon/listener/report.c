#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/elsewhere.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/link.h"
#include "daemon/listener/metrics.h"
#include "daemon/listener/nft.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/reload.h"
#include "daemon/listener/report.h"
#include "daemon/listener/server.h"
#include "privsep/sandbox.h"
#include "privsep/verify.h"

enum { STATUS_DONE = 0, STATUS_NONE = 1, STATUS_FAILED = 2, STATUS_ARGUMENT = 64 };

#define ARGUMENTS_MAX 3

/* One command being answered: either text or a JSON document grows. */
struct request {
	struct server *server;
	const char *argument[ARGUMENTS_MAX];
	unsigned arguments;
	bool json;
	enum answer_when when;
	FILE *out;
	struct json doc;
};

/* "10m", "2h", "7d", seconds; milliseconds into *ms. */
static int
parse_time(const char *text, int64_t *ms)
{
	static const struct { char letter; int64_t ms; } units[] = {
		{ '\0', 1000 }, { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 }, { 'd', 86400000 },
	};
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || n < 0 || n > 1000000 || (*end != '\0' && end[1] != '\0'))
		return SP_EFORMAT;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (units[i].letter == *end) {
			*ms = n * units[i].ms;
			return 0;
		}
	return SP_EFORMAT;
}

static int
say(struct request *q, int status, const char *text)
{
	if (q->json) {
		json_open(&q->doc, NULL, '{');
		json_str(&q->doc, status == STATUS_DONE ? "result" : "error", text);
		json_close(&q->doc);
	} else {
		/* What sallyctl expect has printed ends its last line itself. */
		size_t n = strlen(text);

		fprintf(q->out, "%s%s", text, n > 0 && text[n - 1] == '\n' ? "" : "\n");
	}
	return status;
}

/* ------------------------------------------------------------------------ status */

static void
status_door(void *context, const char *text)
{
	struct request *q = context;

	if (q->json)
		json_str(&q->doc, NULL, text);
	else
		fprintf(q->out, "listening    %s\n", text);
}

static void
status_certificate(void *context, const struct keeper_certificate *c)
{
	struct request *q = context;
	int64_t days = (c->not_after - (int64_t)time(NULL)) / 86400;

	if (!q->json) {
		fprintf(q->out, "certificate  %s (%s; %s) %s %" PRId64 " day%s\n", c->file, c->algorithm, c->names,
		    days < 0 ? "EXPIRED since" : "expires in", days < 0 ? -days : days,
		    str_plural((uint64_t)(days < 0 ? -days : days)));
		return;
	}
	json_open(&q->doc, NULL, '{');
	json_str(&q->doc, "file", c->file);
	json_str(&q->doc, "algorithm", c->algorithm);
	json_str(&q->doc, "names", c->names);
	json_num(&q->doc, "not_before", c->not_before);
	json_num(&q->doc, "not_after", c->not_after);
	json_num(&q->doc, "days_left", days);
	json_close(&q->doc);
}

static void
status_older(struct request *q)
{
	if (q->server->older == NULL)
		return;
	json_open(&q->doc, "older", '{');
	json_str(&q->doc, "version", elsewhere_version(q->server));
	json_num(&q->doc, "pid", elsewhere_pid(q->server));
	json_num(&q->doc, "sessions", elsewhere_clients(q->server));
	json_close(&q->doc);
}

static int
do_status(struct request *q)
{
	const struct server *s = q->server;
	const struct { const char *name; int64_t value; } numbers[] = {
		{ "pid", getpid() }, { "uptime", (clock_ms() - s->started) / 1000 }, { "sessions", pool_busy(s) + elsewhere_clients(s) },
		{ "ending", pool_ending(s) },
		{ "spares", pool_spares(s) }, { "waiting", pool_waiting(s) }, { "served", (int64_t)s->sessions_served },
		{ "refused", (int64_t)s->sessions_refused }, { "crashes", (int64_t)s->crashes },
		{ "generation", templates_generation(s) },
	};
	const char *state = s->stopping ? "stopping" : server_drain_text(s) != NULL ? "draining" : "running";

	if (!q->json) {
		fprintf(q->out, "version      %s\nstate        %s\n", PACKAGE_VERSION, state);
		for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
			fprintf(q->out, "%-12s %" PRId64 "\n", numbers[i].name, numbers[i].value);
		doors_each(s, status_door, q);
		keeper_each(s, status_certificate, q);
		if (s->older != NULL)
			fprintf(q->out, "older        %s (pid %ld): %u session%s\n", elsewhere_version(s), (long)elsewhere_pid(s),
			    elsewhere_clients(s), str_plural(elsewhere_clients(s)));
		return STATUS_DONE;
	}
	json_open(&q->doc, NULL, '{');
	json_str(&q->doc, "version", PACKAGE_VERSION);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		json_num(&q->doc, numbers[i].name, numbers[i].value);
	json_bool(&q->doc, "draining", server_drain_text(s) != NULL);
	json_bool(&q->doc, "stopping", s->stopping);
	status_older(q);
	json_open(&q->doc, "listeners", '[');
	doors_each(s, status_door, q);
	json_close(&q->doc);
	json_open(&q->doc, "certificates", '[');
	keeper_each(s, status_certificate, q);
	json_close(&q->doc);
	json_close(&q->doc);
	return STATUS_DONE;
}

static int
do_metrics(struct request *q)
{
	static const char *const words[] = { [METRICS_PROMETHEUS] = "prometheus", [METRICS_OPENMETRICS] = "openmetrics" };
	size_t form = METRICS_PROMETHEUS;

	if (q->arguments > 0)
		for (form = 0; form < sizeof words / sizeof *words && strcmp(words[form], q->argument[0]) != 0; form++)
			;
	if (form == sizeof words / sizeof *words)
		return say(q, STATUS_ARGUMENT, "prometheus or openmetrics is expected.");
	if (q->json)
		metrics_json(q->server, &q->doc);
	else
		metrics_text(q->server, (enum metrics_form)form, q->out);
	return STATUS_DONE;
}

/* --------------------------------------------------------------------------- who */

static const char *
state_of(const struct session_facts *f)
{
	return f->ending ? "ending" : f->blocked ? "blocked" : !f->logged_in ? "login" : *f->what == '\0' ? "idle" : "transfer";
}

static void
who_json(struct request *q, const struct session_facts *f)
{
	char peer[ADDR_TEXT_MAX], id[STR_NUMBER_MAX];

	json_open(&q->doc, NULL, '{');
	json_str(&q->doc, "session", session_id(id, f->number));
	json_str(&q->doc, "user", f->user);
	json_str(&q->doc, "peer", addr_text(peer, f->peer));
	json_str(&q->doc, "listener", f->listener);
	json_str(&q->doc, "class", f->class);
	json_str(&q->doc, "state", state_of(f));
	json_num(&q->doc, "since", f->since);
	json_num(&q->doc, "idle", f->idle_ms / 1000);
	json_str(&q->doc, "activity", f->what);
	json_unsigned(&q->doc, "bytes_in", f->bytes_in);
	json_unsigned(&q->doc, "bytes_out", f->bytes_out);
	json_open(&q->doc, "pids", '{');
	for (int m = 0; m < MEMBER_COUNT; m++)
		json_num(&q->doc, role_row(templates_role((enum member)m))->name, f->pid[m]);
	json_close(&q->doc);
	json_close(&q->doc);
}

static void
who_line(void *context, const struct session_facts *f)
{
	struct request *q = context;
	char peer[ADDR_TEXT_MAX], user[400], what[400], id[STR_NUMBER_MAX];

	if (q->json) {
		who_json(q, f);
		return;
	}
	str_escape(user, sizeof user, *f->user == '\0' ? "-" : f->user, strlen(*f->user == '\0' ? "-" : f->user));
	str_escape(what, sizeof what, f->what, strlen(f->what));
	fprintf(q->out, "%-12s %-16s %-24s %-8s %6" PRId64 "s %12" PRIu64 " %12" PRIu64 " %s\n", session_id(id, f->number), user,
	    addr_text(peer, f->peer), state_of(f), f->idle_ms / 1000, f->bytes_in, f->bytes_out, what);
}

static int
do_who(struct request *q)
{
	if (q->json)
		json_open(&q->doc, NULL, '[');
	else
		fprintf(q->out, "%-12s %-16s %-24s %-8s %7s %12s %12s %s\n", "SESSION", "USER", "PEER", "STATE", "IDLE",
		    "IN", "OUT", "ACTIVITY");
	pool_each(q->server, who_line, q);
	if (q->json)
		json_close(&q->doc);
	return STATUS_DONE;
}

/* ------------------------------------------------------------------ kick and ban */

static int
do_kick(struct request *q)
{
	unsigned n;

	if (q->arguments == 0)
		return say(q, STATUS_ARGUMENT, "A session, a user or an address is expected.");
	n = pool_kick(q->server, q->argument[0], "Your session was ended by the administrator.");
	if (q->json) {
		json_open(&q->doc, NULL, '{');
		json_num(&q->doc, "kicked", n);
		json_close(&q->doc);
	} else if (n > 0) {
		fprintf(q->out, "%u session%s told to end\n", n, str_plural(n));
	} else {
		fprintf(q->out, "No session is called that, and none is of such a user or address.\n");
	}
	return n > 0 ? STATUS_DONE : STATUS_NONE;
}

static int
do_ban(struct request *q)
{
	struct server *s = q->server;
	struct addr_net net;
	int64_t ms = 0;
	int r;

	if (q->arguments == 0 || addr_net_parse(&net, q->argument[0]) != 0)
		return say(q, STATUS_ARGUMENT, "An address or network is expected, such as 192.0.2.7 or 2001:db8::/32.");
	if (q->arguments > 1 && *q->argument[1] != '\0' && parse_time(q->argument[1], &ms) != 0)
		return say(q, STATUS_ARGUMENT, "A time is expected, such as 10m, 2h or 7d.");
	r = srclimit_ban(s->sources, &net, ms == 0 ? 0 : clock_ms() + ms, "administrator");
	return r == 0 ? say(q, STATUS_DONE, "banned") : say(q, STATUS_FAILED, sp_strerror(r));
}

static int
do_unban(struct request *q)
{
	struct addr_net net;

	if (q->arguments == 0 || addr_net_parse(&net, q->argument[0]) != 0)
		return say(q, STATUS_ARGUMENT, "An address or network is expected, such as 192.0.2.7 or 2001:db8::/32.");
	if (srclimit_unban(q->server->sources, &net) != 0)
		return say(q, STATUS_NONE, "There is no such ban.");
	return say(q, STATUS_DONE, "lifted");
}

static void
ban_line(void *context, const struct srclimit_ban *b)
{
	struct request *q = context;
	char net[ADDR_TEXT_MAX], left[24] = "permanent";
	int64_t seconds = (b->until - clock_ms()) / 1000, until = time(NULL) + seconds;

	if (!q->json) {
		if (b->until != 0)
			(void)str_format(left, sizeof left, "%" PRId64 "s", seconds);
		fprintf(q->out, "%-44s %11s %s\n", addr_net_text(net, &b->net), left, b->reason);
		return;
	}
	json_open(&q->doc, NULL, '{');
	json_str(&q->doc, "net", addr_net_text(net, &b->net));
	if (b->until == 0)
		json_str(&q->doc, "until", NULL);
	else
		json_num(&q->doc, "until", until);
	json_str(&q->doc, "reason", b->reason);
	json_close(&q->doc);
}

static int
do_bans(struct request *q)
{
	struct srclimit_rules rules = server_ban_rules(q->server);

	if (!q->json && q->arguments > 0 && strcmp(q->argument[0], "nft") == 0)
		return nft_write(q->out, q->server->sources, &rules, clock_ms()) == 0 ? STATUS_DONE : STATUS_FAILED;
	if (q->json)
		json_open(&q->doc, NULL, '[');
	else
		fprintf(q->out, "%-44s %11s %s\n", "NETWORK", "LEFT", "REASON");
	srclimit_each_ban(q->server->sources, &rules, clock_ms(), ban_line, q);
	if (q->json)
		json_close(&q->doc);
	return STATUS_DONE;
}

/* ---------------------------------------------------------------- the server itself */

static int
do_reload(struct request *q)
{
	char why[4096];
	int r = server_reload(q->server, why, sizeof why);

	if (r != 0)
		return say(q, STATUS_FAILED, why);
	q->when = ANSWER_RELOADED;
	return STATUS_DONE;
}

static int
do_restart(struct request *q)
{
	struct server *s = q->server;
	char why[512];

	if (s->restart == NULL)
		return say(q, STATUS_FAILED, "This server cannot be replaced while it runs.");
	if (s->restart(s, why, sizeof why) != 0)
		return say(q, STATUS_FAILED, why);
	q->when = ANSWER_RESTARTED;
	return STATUS_DONE;
}

/* Sessions of the older generation; text NULL: not any longer. */
static void
drain_older(struct server *s, const char *text, int64_t ms)
{
	struct msg_link_drain m = { .off = text == NULL, .ms = (uint64_t)ms };

	(void)str_copy(m.text, sizeof m.text, text == NULL ? "" : text);
	link_tell(s->older, MSG_LINK_DRAIN, &m, -1);
}

/* "drain old [TIME] [MESSAGE]": what follows TIME is one argument. */
static int
do_drain_old(struct request *q, const char *text)
{
	char rest[257], *time_text = rest, *end;
	int64_t ms = 0;

	if (q->server->older == NULL)
		return say(q, STATUS_NONE, "There is no older generation.");
	(void)str_copy(rest, sizeof rest, q->arguments > 1 ? q->argument[1] : "");
	end = rest + strcspn(rest, " ");
	if (strcmp(rest, "off") == 0) {
		drain_older(q->server, NULL, 0);
		return say(q, STATUS_DONE, "the older generation goes on");
	}
	if (*end != '\0')
		*end++ = '\0';
	if (*time_text != '\0' && parse_time(time_text, &ms) != 0)
		return say(q, STATUS_ARGUMENT, "A time is expected, such as 10m, or off.");
	drain_older(q->server, *end != '\0' ? end : text, ms);
	return say(q, STATUS_DONE, ms == 0 ? "sessions of the older generation end after their running transfer" :
	    "sessions of the older generation end after this time");
}

static int
do_drain(struct request *q)
{
	static const char usual[] = "The server is being serviced; try again later.";
	const char *time_text = q->arguments > 0 ? q->argument[0] : "";
	const char *text = q->arguments > 1 && *q->argument[1] != '\0' ? q->argument[1] : usual;
	int64_t ms = 0;

	if (strcmp(time_text, "old") == 0)
		return do_drain_old(q, usual);
	if (strcmp(time_text, "off") == 0) {
		server_drain(q->server, NULL, 0);
		drain_older(q->server, NULL, 0);
		return say(q, STATUS_DONE, "clients are welcome again");
	}
	if (*time_text != '\0' && parse_time(time_text, &ms) != 0)
		return say(q, STATUS_ARGUMENT, "A time is expected, such as 10m, or off.");
	server_drain(q->server, text, ms);
	drain_older(q->server, text, ms);
	return say(q, STATUS_DONE, ms == 0 ? "no new clients are taken; sessions end after their running transfer" :
	    "no new clients are taken; sessions end after this time");
}

static int
do_stop(struct request *q)
{
	server_stop(q->server, "sallyctl");
	return say(q, STATUS_DONE, "stopping");
}

/* ------------------------------------------------------------------------- sandbox */

static void
sandbox_line(struct request *q, enum msg_role role, enum role_phase phase, pid_t pid, const struct role_id *id)
{
	char why[160] = "as it must be";
	int r = verify_role(pid, role, phase, id, q->server->lax, why, sizeof why);

	if (!q->json) {
		fprintf(q->out, "%-10s %-9s %8ld  uid %-8ld %s\n", role_row(role)->name, role_phase_name(phase), (long)pid,
		    (long)id->uid, r == 0 ? "as it must be" : why);
		return;
	}
	json_open(&q->doc, NULL, '{');
	json_str(&q->doc, "role", role_row(role)->name);
	json_str(&q->doc, "phase", role_phase_name(phase));
	json_num(&q->doc, "pid", pid);
	json_num(&q->doc, "uid", id->uid);
	json_bool(&q->doc, "sound", r == 0);
	json_str(&q->doc, "finding", r == 0 ? "" : why);
	json_close(&q->doc);
}

static const struct role_id *
id_of(const struct server *s, enum member m)
{
	return m == MEMBER_WORKER && s->root ? &s->worker : &s->self;
}

static int
do_sandbox(struct request *q)
{
	const struct server *s = q->server;
	pid_t spare[MEMBER_COUNT];

	if (q->json)
		json_open(&q->doc, NULL, '[');
	sandbox_line(q, ROLE_LISTENER, PHASE_LIVE, getpid(), &s->self);
	if (s->starter_pid != 0)
		sandbox_line(q, ROLE_STARTER, PHASE_LIVE, s->starter_pid, &s->self);
	for (int m = 0; m < MEMBER_COUNT; m++)
		if (templates_pid(s, (enum member)m) != 0)
			sandbox_line(q, templates_role((enum member)m), PHASE_TEMPLATE, templates_pid(s, (enum member)m),
			    id_of(s, (enum member)m));
	if (pool_spare_pids(s, spare))
		for (int m = 0; m < MEMBER_COUNT; m++)
			sandbox_line(q, templates_role((enum member)m), PHASE_SPARE, spare[m], id_of(s, (enum member)m));
	if (q->json)
		json_close(&q->doc);
	return STATUS_DONE;
}

/* --------------------------------------------------------------------------- table */

static const struct verb {
	const char *name;
	int (*f)(struct request *);
	bool changes;		/* worth a log line */
} verbs[] = {
	{ "status", do_status, false },
	{ "metrics", do_metrics, false },
	{ "who", do_who, false },
	{ "kick", do_kick, true },
	{ "ban", do_ban, true },
	{ "unban", do_unban, true },
	{ "bans", do_bans, false },
	{ "reload", do_reload, true },
	{ "restart", do_restart, true },
	{ "drain", do_drain, true },
	{ "stop", do_stop, true },
	{ "sandbox", do_sandbox, false },
};

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static void
log_command(const struct order *o)
{
	struct log_line l;

	log_begin(&l, EVENT_CONTROL);
	log_str(&l, FIELD_COMMAND, o->verb);
	log_lines(&l, FIELD_ARGUMENTS, o->arguments, " ");
	log_num(&l, FIELD_UID, o->uid);
	log_num(&l, FIELD_PID, o->pid);
	log_end(&l);
}

static void
split(struct request *q, char *lines)
{
	for (char *line; lines != NULL && q->arguments < ARGUMENTS_MAX && (line = strsep(&lines, "\n")) != NULL;)
		if (*line != '\0' || lines != NULL)
			q->argument[q->arguments++] = line;
}

/* An answer begins to grow. false: no memory. */
static bool
begin(struct request *q, struct answer *a)
{
	*a = (struct answer){ .status = STATUS_FAILED };
	json_init(&q->doc);
	q->out = open_memstream(&a->text, &a->len);
	return q->out != NULL;
}

/* Its text is the answer's from then on. */
static void
finish(struct request *q)
{
	if (q->out != NULL && q->json && json_text(&q->doc) != NULL)
		fputs(json_text(&q->doc), q->out);
	json_free(&q->doc);
	if (q->out != NULL)
		fclose(q->out);
}

void
report_answer(struct server *s, const struct order *o, struct answer *a)
{
	const struct verb *v = find_verb(o->verb);
	struct request q = { .server = s, .json = o->json };
	char *lines = strdup(o->arguments);

	if (begin(&q, a) && lines != NULL) {
		split(&q, lines);
		if (v != NULL && v->changes)
			log_command(o);
		a->status = v == NULL ? say(&q, STATUS_ARGUMENT, "The server does not know this command.") : v->f(&q);
		a->when = q.when;
	}
	finish(&q);
	free(lines);
	if (a->when != ANSWER_NOW) {
		free(a->text);
		a->text = NULL;
	}
}

void
report_result(bool json, int status, const char *text, struct answer *a)
{
	struct request q = { .json = json };

	if (begin(&q, a))
		a->status = say(&q, status, text);
	finish(&q);
}
