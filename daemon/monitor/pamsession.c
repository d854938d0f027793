/*
 * Accounts with a PAM session.  What modules set up in pam_open_session(3),
 * limits, key rings, control groups, the login uid, is inherited by children
 * and by nobody else.  So the spare's agent gives its channel back and
 * ends, and a fresh one is executed here, inside the session.  The monitor
 * stays root, keeps the handle, and closes the session when its agent has gone.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/spawn.h"

#define KILL_WAIT 1000	/* and then to be gone */
#define END_WAIT 2000	/* ms for the agent to end before it is killed */

static struct {
	char program[512];
	int config_fd, filters_fd, hold_fd;	/* of agents; -1: none */
} agent = { .config_fd = -1, .filters_fd = -1, .hold_fd = -1 };

static volatile sig_atomic_t terminated;

int
monitor_find_program(enum msg_role role, char *out, size_t size)
{
	const char *name = role_row(role)->program;
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	return slash == NULL ? -ENOENT : str_copy(slash + 1, size - (size_t)(slash + 1 - out), name);
}

static bool
pam_is_used(void)
{
	for (unsigned i = 0; i < monitor_prepared.sources.count; i++)
		if (monitor_prepared.sources.entry[i].source->session_open != NULL)
			return true;
	return false;
}

int
pamsession_prepare(const struct conf *conf, int filters_fd, int hold_fd)
{
	if (!pam_is_used() || geteuid() != 0 || filters_fd < 0) {
		if (filters_fd >= 0)
			close(filters_fd);
		if (hold_fd >= 0)
			close(hold_fd);
		return 0;
	}
	agent.filters_fd = filters_fd;
	agent.hold_fd = hold_fd;
	agent.config_fd = conf_seal(conf, TO_AGENT);
	return agent.config_fd < 0 ? agent.config_fd :
	    monitor_find_program(ROLE_AGENT, agent.program, sizeof agent.program);
}

/* ------------------------------------------------------------------ a fresh agent */

static int
next(struct chan *c, struct msg *m, enum msg_type type, unsigned state)
{
	int r;

	do
		r = chan_receive(c, m, state);
	while (r == -EINTR);
	if (r == 0 && m->type != type) {
		msg_close(m);
		r = SP_EREPLY;
	}
	return r;
}

/* The executed program is a template like the listener's, asked for one child: which thereby is ours. */
static int
fork_agent(struct chan *template, const int channels[2], pid_t *pid)
{
	static const struct msg_spawn_agent request;
	struct msg *m = &monitor_scratch.answer;
	int r = next(template, m, MSG_HELLO, ST_START);

	if (r == 0)
		r = chan_send(template, MSG_SPAWN_AGENT, ++template->last_id, &request, channels, 2);
	if (r == 0)
		r = next(template, m, MSG_SPAWNED, ST_SPARE);
	if (r != 0)
		return r;
	*pid = (pid_t)m->spawned.pid;
	msg_close(m);
	return 0;
}

int
pamsession_start_agent(struct monitor *s, int files_fd)
{
	int template_ends[2] = { -1, -1 }, agent_ends[2] = { -1, -1 }, r;
	struct spawned program = { .pid_fd = -1 };
	struct chan template = { .fd = -1 };

	if (agent.config_fd < 0)
		return -ENOTSUP;
	r = chan_pair(template_ends);
	if (r == 0)
		r = chan_pair(agent_ends);
	if (r == 0) {
		const int fds[] = { template_ends[1], agent.config_fd, -1, agent.filters_fd, agent.hold_fd };

		r = spawn_program(agent.program, role_row(ROLE_AGENT)->program, fds, sizeof fds / sizeof fds[0], &program);
	}
	if (r == 0) {
		close(program.pid_fd);
		close(template_ends[1]);	/* or its end would never be seen */
		template_ends[1] = -1;
		chan_init(&template, template_ends[0], CH_TEMPLATE, ROLE_LISTENER);
		r = fork_agent(&template, (const int[]){ agent_ends[1], files_fd }, &s->own_agent);
	}
	if (r == 0) {
		chan_close(&s->agent);
		chan_init(&s->agent, agent_ends[0], CH_AGENT, ROLE_MONITOR);
		agent_ends[0] = -1;
	}
	for (int i = 0; i < 2; i++) {
		if (template_ends[i] >= 0)
			close(template_ends[i]);
		if (agent_ends[i] >= 0)
			close(agent_ends[i]);
	}
	return r;
}

/* The spare's agent hands over its channel to the worker; 0 with *files_fd, or a negative code. */
static int
retire_spare(struct monitor *s, int *files_fd)
{
	static const struct msg_agent_retire retire;
	struct msg *m = &monitor_scratch.answer;
	int r = monitor_call(s, &s->agent, MSG_AGENT_RETIRE, &retire, NULL, 0, m, MSG_AGENT_RETIRED);

	if (r != 0)
		return r;
	if (m->type != MSG_AGENT_RETIRED) {
		msg_close(m);
		return SP_EREPLY;
	}
	*files_fd = msg_take_fd(m, 0);
	return 0;
}

static int
replace_agent(struct monitor *s)
{
	static struct msg_agent_replaced replaced;
	int files_fd = -1;
	int r = chan_tell(&s->listener, MSG_AGENT_REPLACED, &replaced);

	if (r == 0)
		r = retire_spare(s, &files_fd);
	if (r == 0)
		r = monitor_system->start_agent(s, files_fd);
	if (files_fd >= 0)
		close(files_fd);
	if (r == 0)
		r = next(&s->agent, &monitor_scratch.answer, MSG_AGENT_READY, ST_START);
	return r;
}

/* ------------------------------------------------------------------- the session */

static void
on_term(int signal_number)
{
	(void)signal_number;
	terminated = 1;
}

bool
pamsession_terminated(void)
{
	return terminated != 0;
}

bool
pamsession_open(struct monitor *s)
{
	const struct sigaction action = { .sa_handler = on_term };
	struct account *a = &s->account;
	int r;

	if ((a->flags & ACCOUNT_PAM_SESSION) == 0 || a->source->session_open == NULL)
		return true;
	/* From here on there is something to close, whoever wants this process to end. */
	if (sigaction(SIGTERM, &action, NULL) < 0)
		return false;
	if (a->source->session_open(a->source_state, a) != 0)
		return false;
	s->pam_session = true;
	r = replace_agent(s);
	if (r != 0)
		log_problem(EVENT_AGENT_NOT_REPLACED, agent.program, r);
	return r == 0;
}

void
pamsession_reap(struct monitor *s)
{
	int64_t end = clock_ms() + END_WAIT;
	int status;

	if (s->own_agent == 0)
		return;
	chan_close(&s->agent);
	while (waitpid(s->own_agent, &status, WNOHANG) == 0) {
		if (clock_ms() > end + KILL_WAIT)
			break;	/* a file system holds it: the PAM session is closed all the same */
		if (clock_ms() > end)
			(void)kill(s->own_agent, SIGKILL);
		(void)poll(NULL, 0, 5);
	}
	s->own_agent = 0;
	/* The program it was forked from ended long ago. */
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
}
