#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/exitcode.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"

/* A signal and a timer of our own: PAM modules use alarm(2) for themselves. 0: not prepared. */
static int grace_signal;
static struct monitor *session;
static timer_t timer;
static bool armed;

/*
 * May run in the middle of anything, malloc included: nothing here
 * allocates or locks.  The channel's packet may be half written by what
 * was interrupted; it is written anew, and nothing returns to what was before.
 */
static void
expire(int signal_number)
{
	static const struct msg_end_session end = { .text = "Login took too long." };
	struct log_line l;

	(void)signal_number;
	(void)chan_tell(&session->login, MSG_END_SESSION, &end);
	log_begin(&l, LOG_LEVEL_NOTICE, "login-grace-exceeded");
	log_num(&l, "failed", session->attempts);
	log_end(&l);
	_exit(SP_EXIT_GRACE);
}

int
grace_prepare(void)
{
	struct sigaction action = { .sa_handler = expire };
	sigset_t set;

	grace_signal = SIGRTMIN + 3;
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
