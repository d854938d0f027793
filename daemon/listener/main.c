/*
 * sallyportd: the listener.  Options, subcommands, and the way from root with
 * everything to a process that only accepts and supervises.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/logsink.h"
#include "daemon/listener/commands.h"
#include "daemon/listener/control.h"
#include "daemon/listener/doors.h"
#include "daemon/listener/keeper.h"
#include "daemon/listener/leave.h"
#include "daemon/listener/names.h"
#include "daemon/listener/parts.h"
#include "daemon/listener/pool.h"
#include "daemon/listener/refusals.h"
#include "daemon/listener/reload.h"
#include "daemon/listener/server.h"
#include "daemon/listener/starter.h"
#include "daemon/listener/takeover.h"
#include "daemon/listener/templates.h"
#include "daemon/listener/users.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"

#define CAP_BIT(x) (UINT64_C(1) << CAP_##x)

static const char help[] =
    "Usage: sallyportd [OPTION]...                   serve as the configuration says\n"
    "       sallyportd serve DIR [--port N] [--address A] [--user NAME:PASSWORD] [--read-only]\n"
    "                        [--certificate FILE [--private-key FILE]]\n"
    "       sallyportd check-config [--elsewhere]    print every mistake of the configuration\n"
    "       sallyportd show-config [--for USER[,ADDRESS]]\n"
    "       sallyportd print-roles                   print what each process may be and do\n"
    "\n"
    "  -f, --config FILE    the configuration [" SP_SYSCONFDIR "/sallyport.conf]\n"
    "  -d, --debug          log everything to stderr\n"
    "  -i, --inetd          serve one client, whose connection is descriptor 0\n"
    "      --libexec DIR    where the programs of the roles are [" SP_LIBEXECDIR "]\n"
    "  -h, --help           this text\n"
    "  -V, --version        the version\n"
    "\n"
    "Signals: HUP reads the configuration again, TERM and INT end in order, a second one at once.\n"
    "See sallyportd(8), sallyport.conf(5), sallyctl(8).\n";

static struct {
	struct options options;
	const char *config;
} line = { .options.libexec = SP_LIBEXECDIR, .config = SP_SYSCONFDIR "/sallyport.conf" };

static const struct command {
	const char *word;
	int (*f)(const char *, int, char **);
} commands[] = {
	{ "check-config", command_check_config },
	{ "show-config", command_show_config },
	{ "print-roles", command_print_roles },
};

/* The options before a subcommand. -1: go on; otherwise the exit code. */
static int
parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'f' }, { "debug", no_argument, NULL, 'd' },
		{ "inetd", no_argument, NULL, 'i' }, { "libexec", required_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+f:dihV", options, NULL)) != -1)
		switch (c) {
		case 'f': line.config = optarg; break;
		case 'd': line.options.debug = true; break;
		case 'i': line.options.inetd = true; break;
		case 'L': line.options.libexec = optarg; break;
		case 'h': fputs(help, stdout); return SP_EXIT_OK;
		case 'V': printf("sallyportd (sallyport) %s\n", PACKAGE_VERSION); return SP_EXIT_OK;
		default: fputs("Try sallyportd --help.\n", stderr); return SP_EXIT_USAGE;
		}
	return -1;
}

/* After the word of a subcommand too. */
static bool
wants_help(int argc, char **argv)
{
	for (int i = optind; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Descriptors 0 to 2 exist, so that no socket is taken for one of them; inetd's client is not a log. */
static int
tidy_descriptors(struct options *o)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	o->no_stderr = o->inetd && same_file(STDERR_FILENO, STDIN_FILENO);
	for (int std = STDOUT_FILENO; o->inetd && std <= STDERR_FILENO; std++)
		if (same_file(std, STDIN_FILENO) && dup2(fd, std) < 0)
			return -errno;
	close(fd);
	return 0;
}

/* What inetd hands over is a connection, not a terminal, a pipe or a socket that listens. */
static bool
has_client(void)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer, size = sizeof(int);
	int listening = 0;

	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && !listening &&
	    (getpeername(STDIN_FILENO, (struct sockaddr *)&peer, &len) == 0 || errno == ENOTCONN))
		return true;
	fputs("sallyportd: --inetd: standard input is not a client's connection. inetd (nowait), xinetd (wait = no) and\n"
	    "systemd (Accept=yes) start sallyportd with one; to serve without them, leave --inetd out.\n", stderr);
	return false;
}

/* A line on stderr before there is a log. */
static __attribute__((format(printf, 2, 3))) void
say(enum log_level level, const char *format, ...)
{
	char head[LOG_HEAD_MAX];
	va_list args;

	fprintf(stderr, "%.*s", (int)log_priority(head, STDERR_FILENO, level), head);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

static int
read_configuration(struct conf *c, const char *path)
{
	int n = conf_load(c, path);

	if (n < 0)
		say(LOG_LEVEL_ERROR, "sallyportd: %s: %s\n", path, sp_strerror(n));
	for (size_t i = 0; i < conf_problem_count(c); i++) {
		bool error = conf_problem_at(c, i)->severity == CONF_ERROR;
		char text[2048];

		/* What is longer than this is cut. */
		(void)conf_problem_text(conf_problem_at(c, i), text, sizeof text);
		say(error ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s\n", text);
		if (error)
			takeover_note(text);
	}
	return n == 0 ? 0 : SP_EXIT_CONFIG;
}

void
server_override(const struct server *s, struct conf *c)
{
	char why[128];

	/* What inetd starts has nowhere else to speak to. */
	if (s->options->no_stderr && strncmp(conf_server(c)->log, "std", 3) == 0 && access("/dev/log", F_OK) == 0)
		(void)conf_set(c, SC_SERVER, NULL, "log", "syslog", why, sizeof why);
	if (s->options->serve || s->options->inetd || access(s->options->conf_path, F_OK) != 0)
		users_choose(c);
	parts_override(s, c);
	if (!s->options->debug)
		return;
	(void)conf_set(c, SC_SERVER, NULL, "log", "stderr", why, sizeof why);
	(void)conf_set(c, SC_SERVER, NULL, "log_level", "debug", why, sizeof why);
}

/* ------------------------------------------------------------------------- signals */

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct server *s = arg;
	char why[4096];

	(void)what;
	if (number != SIGHUP)
		server_stop(s, number == SIGTERM ? "SIGTERM" : "SIGINT");
	else
		(void)server_reload(s, why, sizeof why);
}

static void
take_signals(struct server *s)
{
	static const int numbers[] = { SIGHUP, SIGTERM, SIGINT };

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		evsignal_assign(&s->signals[i], s->base, numbers[i], on_signal, s);
		evsignal_add(&s->signals[i], NULL);
	}
}

/* --------------------------------------------------------------------------- start */

/* As many descriptors as may be had: each session costs some (ROLE_SESSION_FDS). */
static void
raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* What the templates start with stays permitted; effective is only what the listener itself does. */
static int
shed_privileges(struct server *s)
{
	uint64_t keep = role_row(ROLE_LISTENER)->caps[PHASE_LIVE];
	int r;

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (s->root && setgroups(0, NULL) < 0)
		return -errno;
	r = drop_caps(keep, CAP_BIT(NET_BIND_SERVICE) | CAP_BIT(KILL));
	if (r == 0)
		r = sandbox_prepare(ROLE_LISTENER, s->lax);
	return r != 0 ? r : sandbox_enter(PHASE_LIVE);
}

/* Whom sallyctl restart cannot reach has no use for a starter. */
static bool
has_successors(const struct server *s)
{
	return !s->options->inetd && !s->options->serve && s->settings->control_socket != NULL;
}

static int
set_up(struct server *s)
{
	int r = users_find(s), starter;

	log_echo(true);		/* until server_serve() */
	/* As early as can be: it is to have nothing that it does not need. */
	starter = r == 0 && has_successors(s) ? starter_fork(s) : 0;
	if (r == 0)
		r = server_open_log(s);
	if (r != 0)
		return SP_EXIT_CONFIG;
	if (starter != 0)
		log_problem(EVENT_NO_STARTER, "sallyctl restart cannot replace this server", starter);
	if (parts_examine(s) != 0)
		return SP_EXIT_SANDBOX;
	s->sources = srclimit_new();
	s->claims = claim_new();
	s->refusals = refusals_new(EVENT_REFUSED);
	s->strangers = refusals_new(EVENT_NO_LOGIN);
	s->lines = refusals_new(EVENT_LINES_COUNTED);
	s->unsaid = refusals_new(EVENT_LINES_COUNTED);
	if (s->sources == NULL || s->refusals == NULL || s->strangers == NULL || s->lines == NULL ||
	    s->unsaid == NULL || s->claims == NULL ||
	    server_init(s) != 0 || pool_start(s) != 0)
		return SP_EXIT_OS;
	if (takeover_meet(s) != 0 || doors_open(s) != 0 || control_open(s) != 0)
		return SP_EXIT_OS;
	leave_allow(s);
	r = shed_privileges(s);
	if (r != 0) {
		log_problem(EVENT_REFUSING_TO_START, "privileges cannot be shed", r);
		return SP_EXIT_SANDBOX;
	}
	take_signals(s);
	names_start(s);
	r = keeper_start(s);
	if (r == 0)
		r = templates_start(s);
	return r == 0 ? 0 : SP_EXIT_OS;
}

static int
run(struct conf *conf)
{
	static struct server s;
	struct event_config *how = event_config_new();
	int r;

	s.starter_fd = s.hold_fd = -1;
	s.options = &line.options;
	s.conf = conf;
	s.started = clock_ms();
	s.root = geteuid() == 0;
	s.self = (struct role_id){ geteuid(), getegid() };
	server_override(&s, conf);
	s.settings = conf_server(conf);
	s.lax = s.settings->sandbox == CONF_SANDBOX_BEST_EFFORT;
	if (how == NULL)
		return SP_EXIT_OS;
	/* One thread; time is asked of the kernel once a turn. */
	event_config_set_flag(how, EVENT_BASE_FLAG_NOLOCK);
	s.base = event_base_new_with_config(how);
	event_config_free(how);
	if (s.base == NULL)
		return SP_EXIT_OS;
	raise_limits();
	(void)umask(027);
	r = set_up(&s);
	if (r != 0) {
		control_close(&s);
		return r;
	}
	if (event_base_dispatch(s.base) < 0)
		s.exit_code = SP_EXIT_OS;
	refusals_end(s.refusals);
	refusals_end(s.strangers);
	refusals_end(s.unsaid);
	log_problem(EVENT_STOPPED, NULL, 0);
	return s.exit_code;
}

int
main(int argc, char **argv)
{
	struct conf *conf;
	int r;

	takeover_find();
	starter_remember(argv);
	r = parse(argc, argv);
	if (r >= 0)
		return r;
	if (wants_help(argc, argv)) {
		fputs(help, stdout);
		return SP_EXIT_OK;
	}
	for (size_t i = 0; optind < argc && i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[optind], commands[i].word) == 0)
			return commands[i].f(line.config, argc - optind, argv + optind);
	line.options.serve = optind < argc && strcmp(argv[optind], "serve") == 0;
	if (optind < argc && !line.options.serve) {
		fprintf(stderr, "sallyportd: %s: no such command. Try sallyportd --help.\n", argv[optind]);
		return SP_EXIT_USAGE;
	}
	if (line.options.inetd && !has_client())
		return SP_EXIT_USAGE;
	if (tidy_descriptors(&line.options) != 0 || (conf = conf_new()) == NULL)
		return SP_EXIT_OS;
	log_find_journal();
	if (line.options.serve)
		r = serve_configuration(conf, argc - optind, argv + optind);
	else
		r = read_configuration(conf, line.config);
	if (!line.options.serve)
		line.options.conf_path = line.config;
	if (r == 0)
		r = run(conf);
	/* It has served, or there is nobody to hear it, unless this was to take the place of another. */
	takeover_refuse(r);
	return r;
}
