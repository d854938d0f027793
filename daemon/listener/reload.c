#include "config.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/listener/control.h"
#include "daemon/listener/admission.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/names.h"
#include "daemon/listener/reload.h"
#include "daemon/listener/server.h"
#include "daemon/listener/systemd.h"
#include "daemon/listener/templates.h"
#include "privsep/spawn.h"

#define EXPECT_TIME	60		/* seconds that testing the expectations may take */
#define EXPECT_RULES	78	/* the exit status of sallyctl for a configuration or rules that are wrong */
#define EXPECT_TEXT	4000		/* bytes of its output that are kept */

struct reload {
	struct conf *next;		/* read, its expectations being tested; then NULL */
	struct conf *previous;		/* the old one, while new templates warm up */
	struct spawned child;
	int output_fd;
	struct event readable, gone;
	char fault[1200];		/* what is wrong with its certificates */
	size_t len;
	char text[EXPECT_TEXT + 1];
};

static void
forget(struct server *s)
{
	struct reload *x = s->reload;

	if (x->output_fd >= 0) {
		event_del(&x->readable);
		event_del(&x->gone);
		close(x->output_fd);
		close(x->child.pid_fd);
	}
	conf_free(x->next);
	free(x);
	s->reload = NULL;
}

/* Says how it ended, to everybody who wants to know. */
static void
tell(struct server *s, int status, const char *text)
{
	struct log_line l;

	log_begin(&l, status == 0 ? EVENT_RELOADED : EVENT_RELOAD_FAILED);
	log_lines(&l, FIELD_ABOUT, text, "; ");
	log_end(&l);
	systemd_notify(status == 0 ? "READY=1\nSTATUS=Serving." : "READY=1\nSTATUS=Serving; the last reload failed.");
	control_reloaded(s, status, text);
}

/*
 * It is refused before any template was made for it.  Whoever rotates logs asks for a reload, and must get them
 * opened again whatever becomes of it: what the listener writes itself, and what sessions write with their
 * template's descriptors.
 */
static void
refuse(struct server *s, const char *text)
{
	(void)server_open_log(s);
	templates_renew(s, "logs");
	tell(s, 2, text);
}

/* The old configuration is the running one again. */
static void
take_back(struct server *s)
{
	struct conf *bad = s->conf;
	int r;

	s->conf = s->reload->previous;
	s->reload->previous = NULL;
	s->settings = conf_server(s->conf);
	if (sections_reload(s) != 0)
		log_problem(EVENT_RELOAD_FAILED, "limits of listeners", -ENOMEM);
	names_settle(s);
	/* Whatever the keeper was told last, these keys are the ones in use. */
	r = keeper_reload(s);
	if (r != 0 && r != SP_EDENIED)
		log_problem(EVENT_RELOAD_FAILED, "the old keys", r);
	conf_free(bad);
}

/* Why the new configuration was not adopted. */
static void
explain(const struct server *s, int r, char *text, size_t size)
{
	(void)str_format(text, size, "The old configuration stays: %s", r == SP_EDENIED && s->reload->fault[0] != '\0' ? s->reload->fault :
	    sp_strerror(r));
}

struct late {
	char *text;
	size_t size;
};

/* A certificate whose time is over, or not there yet, keeps nobody from reloading: it is served already. */
static void
warn_of_time(void *context, const struct keeper_certificate *c)
{
	struct late *l = context;
	size_t used = strlen(l->text);
	int64_t now = (int64_t)time(NULL);

	if (c->not_after <= now || c->not_before > now)
		(void)str_format(l->text + used, l->size - used, "\nWarning: %s %s; clients refuse it", c->file,
		    c->not_after <= now ? "has expired" : "is not valid yet");
}

/* What is in the files and not in use, a line each. */
static void
list_restarts(const struct server *s, char *text, size_t size)
{
	const struct conf_key *k = NULL;

	while ((k = conf_needs_restart(s->reload->previous, s->conf, k)) != NULL) {
		size_t used = strlen(text);

		log_problem(EVENT_NEEDS_RESTART, k->name, 0);
		(void)str_format(text + used, size - used, "\nNeeds a restart: %s", k->name);
	}
}

void
reload_succeeded(struct server *s)
{
	char text[4096] = "The new configuration is in use.";
	size_t used = strlen(text);

	if (s->reload == NULL || s->reload->previous == NULL)
		return;
	doors_reload(s, text + used, sizeof text - used);
	sections_retire(s);
	names_settle(s);
	list_restarts(s, text, sizeof text);
	keeper_each(s, warn_of_time, &(struct late){ text, sizeof text });
	conf_free(s->reload->previous);
	forget(s);
	tell(s, 0, text);
}

void
reload_failed(struct server *s)
{
	if (s->reload == NULL || s->reload->previous == NULL)
		return;
	take_back(s);
	forget(s);
	tell(s, 2, "The programs do not start with the new configuration; the old one stays. See the log.");
}

/* Everything is tested that can be tested without the new templates. */
static int
adopt(struct server *s)
{
	struct reload *x = s->reload;
	int r;

	x->previous = s->conf;
	s->conf = x->next;
	x->next = NULL;
	s->settings = conf_server(s->conf);
	r = sections_reload(s);
	if (r == 0)
		r = keeper_reload(s);
	if (r != 0) {
		(void)str_copy(x->fault, sizeof x->fault, keeper_fault(s));
		take_back(s);
		return r;
	}
	(void)server_open_log(s);
	names_start(s);
	templates_renew(s, "reload");
	return 0;
}

/* ------------------------------------------------------------------ expectations */

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct reload *x = ((struct server *)arg)->reload;
	char rest[1024];
	bool full = x->len == EXPECT_TEXT;
	ssize_t n = full ? read(fd, rest, sizeof rest) : read(fd, x->text + x->len, EXPECT_TEXT - x->len);

	(void)what;
	if (n <= 0 && errno != EAGAIN)
		event_del(&x->readable);
	if (n > 0 && !full)
		x->len += (size_t)n;
}

static void
on_tested(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct reload *x = s->reload;
	siginfo_t end = { 0 };
	int r;

	if ((what & EV_TIMEOUT) != 0)
		(void)spawn_signal(&x->child, SIGKILL);
	if (waitid(P_PIDFD, (id_t)fd, &end, WEXITED | ((what & EV_TIMEOUT) != 0 ? 0 : WNOHANG)) < 0 || end.si_pid == 0)
		return;
	on_output(x->output_fd, 0, s);
	x->text[x->len] = '\0';
	if (end.si_code != CLD_EXITED || end.si_status != 0) {
		char text[EXPECT_TEXT + 128];

		(void)str_format(text, sizeof text, "%s; the old configuration stays.\n%s", end.si_code == CLD_EXITED &&
		    end.si_status == EXPECT_RULES ? "The configuration is wrong" : "The expectations are not met", x->text);
		forget(s);
		refuse(s, text);
		return;
	}
	r = adopt(s);
	if (r != 0) {
		char text[sizeof x->fault + 64];

		explain(s, r, text, sizeof text);
		forget(s);
		refuse(s, text);
	}
}

/* Rules can only be compiled where the engine is: not in this program. file: expectations, or NULL: the rules alone. */
static int
test_policies(struct server *s, const char *file)
{
	static const struct timeval limit = { EXPECT_TIME, 0 };
	struct reload *x = s->reload;
	char path[512];
	const char *argv[] = { "sallyctl", "--quiet", "--config", s->options->conf_path, "expect", "--here",
		file != NULL ? file : "/dev/null", NULL };
	const char *program = server_sallyctl(s, path, sizeof path);
	int r;

	/* Without the control program, the agents deny what they cannot read. */
	if (file == NULL && access(program, X_OK) != 0)
		return adopt(s);
	r = spawn_command(program, argv, &x->output_fd, &x->child);

	if (r != 0)
		return r;
	event_assign(&x->readable, s->base, x->output_fd, EV_READ | EV_PERSIST, on_output, s);
	event_assign(&x->gone, s->base, x->child.pid_fd, EV_READ | EV_PERSIST, on_tested, s);
	event_add(&x->readable, NULL);
	event_add(&x->gone, &limit);
	return 0;
}

/* ------------------------------------------------------------------------- reading */

static void
collect_errors(const struct conf *c, char *why, size_t size)
{
	size_t used = 0;

	why[0] = '\0';
	for (size_t i = 0; i < conf_problem_count(c) && used + 2 < size; i++) {
		const struct conf_problem *p = conf_problem_at(c, i);

		if (p->severity != CONF_ERROR)
			continue;
		/* What does not fit is cut; check-config prints all. */
		(void)conf_problem_text(p, why + used, size - used - 1);
		log_problem(EVENT_CONFIGURATION_WRONG, why + used, 0);
		used += strlen(why + used);
		why[used++] = '\n';
		why[used] = '\0';
	}
}

static int
read_again(struct server *s, struct conf **next, char *why, size_t size)
{
	struct conf *c = conf_new();
	int r = c == NULL ? -ENOMEM : conf_load(c, s->options->conf_path);

	if (r != 0) {
		(void)str_copy(why, size, r < 0 ? sp_strerror(r) : "");
		if (r > 0)
			collect_errors(c, why, size);
		conf_free(c);
		return r < 0 ? r : SP_EFORMAT;
	}
	server_override(s, c);
	*next = c;
	return 0;
}

static const char *
cannot_reload(const struct server *s)
{
	if (s->stopping)
		return "The server is stopping.";
	if (s->left)
		return "A newer generation serves; this one only ends its sessions.";
	if (s->newer != NULL)
		return "The server is being restarted.";
	if (s->reload != NULL)
		return "A reload is already going on.";
	if (!s->ready)
		return "The server is still starting.";
	return s->options->conf_path == NULL ? "The server was started without a configuration file." : NULL;
}

/* Type=notify-reload of systemd wants the time, in microseconds of the monotonic clock. */
static void
tell_manager(void)
{
	char text[96];
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	if (str_format(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading.",
	    (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000) == 0)
		systemd_notify(text);
}

int
server_reload(struct server *s, char *why, size_t size)
{
	const char *expectations;
	struct conf *next = NULL;
	int r;

	if (cannot_reload(s) != NULL) {
		(void)str_copy(why, size, cannot_reload(s));
		return -EBUSY;
	}
	tell_manager();
	r = read_again(s, &next, why, size);
	if (r == 0 && (s->reload = calloc(1, sizeof *s->reload)) == NULL) {
		conf_free(next);
		r = -ENOMEM;
	}
	if (r == 0) {
		s->reload->next = next;
		s->reload->output_fd = -1;
		expectations = conf_server(next)->expectations;
		r = test_policies(s, expectations);
		if (r != 0) {
			explain(s, r, why, size);
			forget(s);
		}
	}
	if (r != 0)
		refuse(s, why);
	return r;
}
