#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "privsep/chan.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"
#include "privsep/template.h"

/* What differs between the three roles that have templates. */
static const struct kind {
	enum msg_role role;
	enum msg_type request;
	enum conf_audience audience;
	int death_signal;	/* when the listener dies; monitor and agent may tidy up */
} kinds[] = {
	{ ROLE_WORKER, MSG_SPAWN_WORKER, TO_WORKER, SIGKILL },
	{ ROLE_MONITOR, MSG_SPAWN_MONITOR, TO_MONITOR, SIGTERM },
	{ ROLE_AGENT, MSG_SPAWN_AGENT, TO_AGENT, SIGTERM },
};

static struct {
	const struct template *t;
	const struct kind *kind;
	const struct role_row *row;
	pid_t listener;
	struct drop_how how;
	struct chan channel;
	/*
	 * The last request; large, so not on the stack.  It stands here because each
	 * page that is written between two forks is one page more for a child, and
	 * the channel above is written too.
	 */
	struct msg m;
} me;

/* The filter allows exactly these flags: the child is the listener's, and the listener gets a descriptor of it. */
static pid_t
fork_for_listener(int *pid_fd)
{
	return (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_PARENT | CLONE_PIDFD | SIGCHLD), NULL, pid_fd, NULL, NULL);
}

static int
settle_child(void)
{
	close(me.channel.fd);
	if ((me.row->flags & ROLE_STDERR) == 0 && dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		return -errno;
	/* Directly: the page of the C library that has syscall() is at hand, those of its functions are not. */
	if (syscall(SYS_prctl, PR_SET_PDEATHSIG, me.kind->death_signal, 0, 0, 0) < 0)
		return -errno;
	if (syscall(SYS_getppid) != me.listener)
		return -ESRCH;
	return sandbox_enter(PHASE_SPARE);
}

/* The whole life of a session process, from fork to its exit code. */
static void
run_child(struct msg *m)
{
	int r = settle_child();

	if (r != 0) {
		log_problem(EVENT_SESSION_NOT_STARTED, me.row->name, r);
		_exit(SP_EXIT_SANDBOX);
	}
	r = me.t->session(m->fd, m->fd_count);
	sandbox_report();
	/* Not exit(): nothing that the template registered is the session's to do. */
	_exit(r);
}

static int
spawn(struct msg *m)
{
	/* The three requests have the same fields. */
	struct msg_spawned done = { .serial = m->spawn_worker.serial };
	struct msg_spawn_failed failed = { .serial = m->spawn_worker.serial };
	int pid_fd = -1, r;
	pid_t pid = fork_for_listener(&pid_fd);

	if (pid == 0)
		run_child(m);
	if (pid < 0) {
		failed.error = (uint32_t)errno;
		return chan_answer(&me.channel, m, MSG_SPAWN_FAILED, &failed, NULL, 0);
	}
	done.pid = (uint32_t)pid;
	r = chan_answer(&me.channel, m, MSG_SPAWNED, &done, &pid_fd, 1);
	close(pid_fd);
	return r;
}

static int
serve(void)
{
	struct msg *m = &me.m;

	for (;;) {
		int r = chan_receive(&me.channel, m, ST_SPARE);

		if (r == -EINTR)
			continue;
		if (r == SP_ECLOSED)
			return SP_EXIT_OK;
		if (r == 0 && m->type != me.kind->request)
			r = SP_ETYPE;
		if (r == 0)
			r = spawn(m);
		msg_close(m);
		sandbox_report();
		if (r != 0) {
			log_violation(LOG_LEVEL_ERROR, "listener", msg_name(me.channel.bad_type), r);
			return SP_EXIT_PROTOCOL;
		}
	}
}

/* Which user the template becomes; the worker's is in its configuration, the others stay. */
static int
own_user(const struct conf *conf, struct role_id *id)
{
	if (me.row->user[PHASE_TEMPLATE] != USER_WORKER)
		return 0;
	return role_find_user(conf_server(conf)->worker_user, id);
}

static int
enter_sandbox(const struct role_id *id)
{
	const char *what = "filters";
	int r = sandbox_unseal(TEMPLATE_FILTERS_FD, me.t->role, me.how.lax);

	close(TEMPLATE_FILTERS_FD);
	if (r == 0)
		r = drop_to_role(me.row, id, &me.how, &what);
	if (r == 0) {
		what = "filters";
		r = sandbox_enter(PHASE_TEMPLATE);
	}
	if (r != 0)
		fprintf(stderr, "%s: the sandbox cannot be entered (%s): %s\n", me.row->program, what, sp_strerror(r));
	return r == 0 ? 0 : SP_EXIT_SANDBOX;
}

/*
 * Takes every hole that warming up has left in the heap, and keeps it: what a
 * child allocates then lies together in fresh pages, instead of here and there in
 * pages of the template, each of which would have to be copied.
 */
static void
seal_heap(void)
{
	char *top;

	(void)malloc_trim(0);
	top = sbrk(0);
	for (size_t size = 65536; size >= 16; size /= 2)
		for (int i = 0; i < 100000; i++) {
			char *hole = malloc(size - 8);

			/* Beyond the old end, or in a mapping of its own: there are no holes of this size any more. */
			if (hole == NULL || hole + size > top) {
				free(hole);
				break;
			}
			__asm__ volatile("" : : "r"(hole) : "memory");
		}
}

static int
start(void)
{
	struct conf *conf = NULL;
	struct role_id id = { 0, 0 };
	int r = conf_unseal(TEMPLATE_CONFIG_FD, me.kind->audience, &conf);

	close(TEMPLATE_CONFIG_FD);
	if (r == 0) {
		log_set_level((enum log_level)conf_server(conf)->log_level);
		me.how = drop_how(conf_server(conf));
		r = geteuid() == 0 ? own_user(conf, &id) : 0;
	}
	if (r == 0)
		r = conf_prepare_listeners(conf);
	if (r == 0)
		r = me.t->warm_up(conf);
	if (r != 0) {
		fprintf(stderr, "%s: cannot start: %s\n", me.row->program, sp_strerror(r));
		return SP_EXIT_CONFIG;
	}
	r = enter_sandbox(&id);
	if (r == 0)
		seal_heap();
	return r;
}

static void
ignore_signals(void)
{
	static const int ignored[] = { SIGINT, SIGHUP, SIGPIPE, SIGQUIT, SIGXFSZ };

	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		(void)signal(ignored[i], SIG_IGN);
}

static int
usage(int argc, char **argv)
{
	FILE *out = stderr;

	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		printf("%s (sallyport) %s\n", me.row->program, PACKAGE_VERSION);
		return SP_EXIT_OK;
	}
	fprintf(out, "%s is started by sallyportd(8), not by hand.\n", me.row->program);
	return SP_EXIT_USAGE;
}

int
template_main(int argc, char **argv, const struct template *t)
{
	struct msg_hello hello = { .version = PACKAGE_VERSION };
	int r;

	log_find_journal();
	me.t = t;
	me.row = role_row(t->role);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].role == t->role)
			me.kind = &kinds[i];
	if (argc > 1 || !chan_fd_is(TEMPLATE_CHANNEL_FD, 'c'))
		return usage(argc, argv);
	me.listener = getppid();
	chan_init(&me.channel, TEMPLATE_CHANNEL_FD, CH_TEMPLATE, ROLE_TEMPLATE);
	ignore_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return SP_EXIT_OS;
	r = start();
	if (r != 0)
		return r;
	r = chan_tell(&me.channel, MSG_HELLO, &hello);
	return r != 0 ? SP_EXIT_ORPHAN : serve();
}
