/*
 * Log lines about a client that has not logged in.  A connection costs a stranger nothing, so that what is rationed by
 * session alone (ration.c) is not rationed at all.  The listener therefore says how many lines a session may have, out
 * of ten for each source and minute (daemon/listener/admission.c).  What is more is kept: if the client logs in it is
 * logged then, otherwise the listener is told how often each event was, and says that once a minute.
 *
 * This is the sink of all lines of this process, those of the worker included.
 */
#include "config.h"

#include <string.h>

#include "daemon/monitor/monitor.h"

#define KEPT_MAX 4096	/* bytes of lines, and the heads in front of them */

/*
 * Events that are not counted among the ten lines, each with what bounds it instead, where it is this process that says
 * it: a worker that was taken over can say so for nothing.
 */
static const enum log_event exempt[] = {
	/* Ten sessions of a source and minute have them, the rest is counted in no-login. */
	EVENT_CONNECT, EVENT_SESSION_END,
	/* Who has logged in is no stranger. */
	EVENT_LOGIN,
	/*
	 * For fail2ban, and no guess may hide behind other lines: login_delay and penalties bound what an address can
	 * try.  An account without room costs nothing, and everybody knows the password of anonymous: that counts (login.c).
	 */
	EVENT_AUTH_FAILURE,
	/* A process that is not its own master.  Each costs the address penalty_crash, and the session. */
	EVENT_PROTOCOL_VIOLATION, EVENT_SYSCALL_REFUSED,
	/* About the log itself, whoever comes first; logsink.c bounds them. */
	EVENT_LOG_GAP, EVENT_XFERLOG_GAP, EVENT_LOG_UNWRITABLE, EVENT_LOG_UNUSABLE
};

struct head {
	enum log_level level;
	size_t len;
};

static struct {
	bool active;
	bool every;			/* none is exempt */
	struct monitor *session;
	log_sink *sink;			/* the one behind */
	void *context;
	unsigned allowed;		/* lines, still */
	uint32_t count[LOG_EVENT_COUNT];	/* of what was not said */
	size_t used;			/* of kept */
	unsigned lines;			/* in kept */
	char kept[KEPT_MAX];
} stranger;

/* The event of one of our own lines; LOG_EVENT_COUNT: none. */
static enum log_event
event_of(const char *text, size_t len)
{
	static const char key[] = "event=";
	int event = -1;

	if (len >= sizeof key && memcmp(text, key, sizeof key - 1) == 0)
		event = log_event_find(text + sizeof key - 1, strcspn(text + sizeof key - 1, " "));
	return event < 0 ? LOG_EVENT_COUNT : (enum log_event)event;
}

static bool
is_exempt(enum log_event event)
{
	for (size_t i = 0; i < sizeof exempt / sizeof *exempt && !stranger.every; i++)
		if (exempt[i] == event)
			return true;
	return event == LOG_EVENT_COUNT;
}

static void
keep(enum log_level level, const char *text, size_t len)
{
	struct head h = { .level = level, .len = len + 1 };

	if (len >= sizeof stranger.kept || sizeof h + h.len > sizeof stranger.kept - stranger.used)
		return;
	memcpy(stranger.kept + stranger.used, &h, sizeof h);
	memcpy(stranger.kept + stranger.used + sizeof h, text, len);
	stranger.kept[stranger.used + sizeof h + len] = '\0';
	stranger.used += sizeof h + h.len;
	stranger.lines++;
}

static void
say_or_keep(void *context, enum log_level level, const char *text, size_t len)
{
	enum log_event event = event_of(text, len);
	bool counts = stranger.active && !is_exempt(event);

	(void)context;
	if (counts && stranger.allowed == 0) {
		stranger.count[event]++;
		keep(level, text, len);
		return;
	}
	if (counts)
		stranger.allowed--;
	stranger.sink(stranger.context, level, text, len);
}

void
monitor_stranger_counts(bool every)
{
	stranger.every = every;
}

void
monitor_stranger_comes(struct monitor *s, unsigned lines)
{
	stranger.session = s;
	stranger.allowed = lines;
	stranger.sink = log_get_sink(&stranger.context);
	stranger.active = true;
	log_set_sink(say_or_keep, NULL);
}

void
monitor_stranger_is_known(struct monitor *s)
{
	struct head h;

	if (!stranger.active)
		return;
	stranger.active = false;
	log_set_sink(stranger.sink, stranger.context);
	for (size_t i = 0; i < LOG_EVENT_COUNT; i++)
		s->worker_lines_dropped += stranger.count[i];
	s->worker_lines_dropped -= stranger.lines;
	for (size_t at = 0; at < stranger.used; at += sizeof h + h.len) {
		memcpy(&h, stranger.kept + at, sizeof h);
		stranger.sink(stranger.context, h.level, stranger.kept + at + sizeof h, h.len - 1);
	}
}

void
monitor_stranger_goes(void)
{
	struct chan *c;

	if (!stranger.active)
		return;
	stranger.active = false;
	c = stranger.session->listener.fd >= 0 ? &stranger.session->listener : &stranger.session->last_word;
	for (uint32_t i = 0; i < LOG_EVENT_COUNT; i++)
		if (stranger.count[i] > 0)
			(void)chan_tell(c, MSG_UNSAID, &(struct msg_unsaid){ .event = i, .count = stranger.count[i] });
	if (stranger.allowed > 0)
		(void)chan_tell(c, MSG_LINES_LEFT, &(struct msg_lines_left){ .lines = stranger.allowed });
}
