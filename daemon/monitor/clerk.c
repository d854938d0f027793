/*
 * The clerk: a child of the monitor that keeps what it takes to change
 * accounts, for sessions that may (SITE USERADD, SITE PASSWD, SITE CHOWN).
 * The monitor itself, which listens to worker and agent, gives all that up at
 * the login.  The clerk listens to its monitor only, knows three requests of fixed size, and ends with it.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "account/profile.h"
#include "common/err.h"
#include "common/exitcode.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/drop.h"
#include "privsep/sandbox.h"

#define ANSWER_MS	30000

struct clerk_request {
	enum clerk_operation operation;
	char account[ACCOUNT_NAME_MAX + 1];
	char home[1025];
	struct secret password;
};

/* ----------------------------------------------------------------- what it does */

/* Finds an account as a login of this listener would, without its password. */
static int
look_up(const struct monitor *s, const char *name, struct clerk_answer *answer)
{
	struct account_query q = { .user = name, .listener = s->listener_name, .base = s->base, .host = "" };
	enum account_reason why;
	enum account_result r;
	struct account a;

	if (!account_name_ok(name))
		return -EINVAL;
	account_init(&a, name);
	r = account_find(&monitor_prepared.sources, &q, &a, &why);
	answer->uid = a.uid;
	answer->id = r == ACCOUNT_FOUND ? (int64_t)profile_dialect_uid(&a) : -1;
	account_free(&a);
	return r == ACCOUNT_FOUND ? 0 : r == ACCOUNT_UNAVAILABLE ? -EAGAIN : -ENOENT;
}

static int
carry_out(const struct monitor *s, const struct clerk_request *q, struct clerk_answer *answer)
{
	const struct account_source *source = s->account.source;
	void *state = s->account.source_state;

	switch (q->operation) {
	case CLERK_ADD:
		return source->add == NULL ? -EOPNOTSUPP : source->add(state, q->account, &q->password, q->home,
		    &answer->id);
	case CLERK_PASSWORD:
		return source->set_password == NULL ? -EOPNOTSUPP : source->set_password(state, q->account,
		    &q->password);
	case CLERK_LOOK_UP:
		return look_up(s, q->account, answer);
	}
	return -EINVAL;
}

/*
 * Has this session's account any business with that?  The monitor asks itself
 * the same before; it hears the agent, and could be lost.  What is answered here comes
 * from the login, and nobody can reach it any more.
 */
static bool
may(const struct monitor *s, const struct clerk_request *q)
{
	const struct settings *set = &s->account.resolved->s;

	if (monitor_is_administrator(s))
		return true;
	if (q->operation == CLERK_PASSWORD)
		return set->change_password && strcmp(q->account, s->account.name) == 0;
	return q->operation == CLERK_LOOK_UP && set->chown;
}

/* Nothing in it may be taken for longer than it is. */
static void
bound_texts(struct clerk_request *q)
{
	q->account[sizeof q->account - 1] = q->home[sizeof q->home - 1] = '\0';
	q->password.data[sizeof q->password.data - 1] = '\0';
	q->password.len = strlen(q->password.data);
}

/* ------------------------------------------------------------------- the child */

int
clerk_confine(void)
{
	uint64_t caps = role_row(ROLE_CLERK)->caps[PHASE_LIVE];
	int r = geteuid() == 0 ? drop_caps(caps, caps) : 0;

	return r != 0 ? r : sandbox_become(ROLE_CLERK);
}

static void __attribute__((noreturn))
be_clerk(struct monitor *s, int sock)
{
	static struct clerk_request q;
	int r;

	chan_close(&s->listener);
	chan_close(&s->login);
	chan_close(&s->log);
	chan_close(&s->agent);
	if (s->rate_fd >= 0)
		close(s->rate_fd);
	r = monitor_system->become_clerk();
	if (r != 0) {
		log_problem(EVENT_CLERK_NOT_CONFINED, NULL, r);
		_exit(SP_EXIT_SANDBOX);
	}
	while (recv(sock, &q, sizeof q, 0) == sizeof q) {
		struct clerk_answer answer = { .id = -1, .uid = ACCOUNT_ID_NONE };

		bound_texts(&q);
		answer.code = may(s, &q) ? carry_out(s, &q, &answer) : -EPERM;
		secret_clear(&q.password);
		sandbox_report();
		if (send(sock, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer)
			break;
	}
	_exit(0);
}

/* Does the session ever need it? */
static bool
is_needed(const struct monitor *s)
{
	const struct settings *set = &s->account.resolved->s;

	return set->chown || account_administers(&s->account) || account_changes_password(&s->account);
}

int
clerk_start(struct monitor *s)
{
	int pair[2];
	pid_t pid;

	if (!is_needed(s))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		be_clerk(s, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	s->clerk_fd = pair[0];
	s->has_clerk = true;
	return 0;
}

int
clerk_ask(struct monitor *s, enum clerk_operation operation, const char *account, const struct secret *password,
    const char *home, struct clerk_answer *answer)
{
	static struct clerk_request q;
	struct pollfd p = { .fd = s->clerk_fd, .events = POLLIN };

	q.operation = operation;
	if (str_copy(q.account, sizeof q.account, account) != 0 || str_copy(q.home, sizeof q.home, home) != 0)
		return -EINVAL;
	if (password != NULL)
		q.password = *password;
	*answer = (struct clerk_answer){ .id = -1, .uid = ACCOUNT_ID_NONE };
	if (!s->has_clerk)
		answer->code = carry_out(s, &q, answer);
	else if (send(s->clerk_fd, &q, sizeof q, MSG_NOSIGNAL) != sizeof q || poll(&p, 1, ANSWER_MS) != 1 ||
	    recv(s->clerk_fd, answer, sizeof *answer, 0) != sizeof *answer) {
		/* A late answer must never be taken for that to the next question. */
		close(s->clerk_fd);
		s->clerk_fd = -1;
		*answer = (struct clerk_answer){ .code = -EPIPE, .id = -1, .uid = ACCOUNT_ID_NONE };
	}
	secret_clear(&q.password);
	return answer->code;
}
