#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"
#include "privsep/role.h"

/* 0: not prepared. */
static int grace_signal;
static struct monitor *session;
static timer_t timer;
static bool armed;

static volatile sig_atomic_t asked;	/* to give way */

static _Noreturn void
leave(const struct msg_end_session *why, enum log_event event, int exit_code)
{
	struct log_line l;

	(void)chan_tell(&session->login, MSG_END_SESSION, why);
	log_begin(&l, event);
	log_num(&l, FIELD_FAILED, session->attempts);
	log_end(&l);
	monitor_stranger_goes();
	_exit(exit_code);
}

static _Noreturn void
give_way(void)
{
	static const struct msg_end_session end = { .text = "Others wait, and you have not logged in; try again later." };

	leave(&end, EVENT_GAVE_WAY, SP_EXIT_OK);
}

/*
 * The timer's signal, and the listener's, which may come when nobody can be told: before the client, or while STOP
 * is read anyway.
 *
 * May run in the middle of anything, malloc included: nothing here
 * allocates or locks.  The channel's packet may be half written by what
 * was interrupted; it is written anew, and nothing returns to what was before.
 */
static void
expire(int signal_number, siginfo_t *why, void *context)
{
	static const struct msg_end_session end = { .text = "Login took too long." };

	(void)signal_number, (void)context;
	if (why->si_code == SI_TIMER)
		leave(&end, EVENT_LOGIN_GRACE_EXCEEDED, SP_EXIT_GRACE);
	asked = 1;
	if (session != NULL && session->checking)
		give_way();
}

void
grace_checking(struct monitor *s, bool checking)
{
	s->checking = checking;
	if (checking && asked)
		give_way();
}

int
grace_prepare(void)
{
	struct sigaction action = { .sa_sigaction = expire, .sa_flags = SA_SIGINFO };
	sigset_t set;

	grace_signal = ROLE_SIGNAL_GIVE_WAY;
	sigemptyset(&set);
	sigaddset(&set, grace_signal);
	return sigaction(grace_signal, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ? -errno : 0;
}

int
grace_start(struct monitor *s, unsigned seconds)
{
	/* Again and again, should a module have blocked the signal for a while. */
	const struct itimerspec when = { .it_value = { .tv_sec = seconds }, .it_interval = { .tv_sec = 1 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL };
	int r = grace_signal == 0 ? grace_prepare() : 0;

	if (r != 0)
		return r;
	session = s;
	event.sigev_signo = grace_signal;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
		return -errno;
	armed = true;
	return timer_settime(timer, 0, &when, NULL) < 0 ? -errno : 0;
}

void
grace_stop(void)
{
	if (armed)
		timer_delete(timer);
	armed = false;
}
