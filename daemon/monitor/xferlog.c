/*
 * The end of a transfer: the event transfer of the log, and the transfer log in the format that wu-ftpd made and
 * everybody's statistics read:
 *
 *	time seconds host bytes path type action direction mode user service method id status
 *
 * One line a transfer, fields separated by one blank, so blanks and
 * whatever else could break the line, or what a terminal makes of it, become "_".
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"
#include "privsep/inflight.h"

#define LINE_MAX_ 6144
#define PATH_SHOWN 1000		/* bytes of a path in a log line */

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* Copies text as one field; returns the new length, or 0 when it does not fit. */
static size_t
add_field(char *out, size_t size, size_t used, const char *text)
{
	size_t left = strlen(text), n;

	for (; left > 0; text += n, left -= n) {
		uint32_t code;
		bool shown = (n = str_utf8(text, left, &code)) > 0 && code != ' ' && !str_hidden(code);

		n = n == 0 ? 1 : n;
		if (used + n >= size)
			return 0;
		if (shown) {
			memcpy(out + used, text, n);
			used += n;
		} else
			out[used++] = '_';
	}
	return used;
}

size_t
xferlog_line(char *out, size_t size, time_t when, const struct monitor *s, const struct msg_transfer_record *t)
{
	static const char directions[] = "oid";		/* out, in, deleted */
	bool guest = s->account.flags & ACCOUNT_ANONYMOUS;
	uint64_t seconds = (t->milliseconds + 500) / 1000;
	const char *user = guest && s->guest[0] != '\0' ? s->guest : s->account.name;
	struct tm tm;
	size_t n;
	int k;

	localtime_r(&when, &tm);
	k = snprintf(out, size, "%s %s %2d %02d:%02d:%02d %d %" PRIu64 " %s %" PRIu64 " ", days[tm.tm_wday], months[tm.tm_mon],
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_year + 1900, seconds == 0 ? 1 : seconds, s->peer_text, t->bytes);
	if (k < 0 || (size_t)k >= size)
		return 0;
	n = (size_t)k;
	if (s->root_path[1] != '\0')		/* the path as the administrator sees it, not as the client does */
		n = add_field(out, size, n, s->root_path);
	n = n == 0 ? 0 : add_field(out, size, n, t->path);
	if (n == 0 || n + 8 >= size)
		return 0;
	k = snprintf(out + n, size - n, " %c _ %c %c ", t->ascii ? 'a' : 'b', directions[t->direction % 3], guest ? 'a' : 'r');
	n += (size_t)k;
	n = add_field(out, size, n, user[0] == '\0' ? "-" : user);
	if (n == 0 || n + 16 >= size)
		return 0;
	k = snprintf(out + n, size - n, " ftp 0 * %c\n", t->complete ? 'c' : 'i');
	return n + (size_t)k;
}

/*
 * A transfer as an event of its own: what happened to the bytes, after the event access
 * has said that it might begin.  A download that was completed is left out where reading is not to be audited.
 */
static void
log_transfer(const struct monitor *s, const struct msg_transfer_record *t)
{
	static const char *const directions[] = { "download", "upload", "delete" };
	static const char *const words[] = {
#define FINISH_HOW(name, word, meaning) word,
		FINISH_HOWS(FINISH_HOW)
#undef FINISH_HOW
	};
	struct log_line l;

	if (t->complete && t->direction == TRANSFER_OUT && s->account.resolved->s.audit == CONF_AUDIT_NO)
		return;
	log_begin_at(&l, t->complete ? LOG_LEVEL_INFO : LOG_LEVEL_NOTICE, EVENT_TRANSFER);
	log_str(&l, FIELD_DIRECTION, directions[t->direction % 3]);
	log_cut(&l, FIELD_PATH, t->path, PATH_SHOWN);
	log_num(&l, FIELD_BYTES, t->bytes > INT64_MAX ? INT64_MAX : (int64_t)t->bytes);
	log_num(&l, FIELD_MILLISECONDS, t->milliseconds > INT64_MAX ? INT64_MAX : (int64_t)t->milliseconds);
	log_str(&l, FIELD_TYPE, t->ascii ? "ascii" : "binary");
	log_str(&l, FIELD_COMPLETE, t->complete ? "yes" : "no");
	if (!t->complete)
		log_str(&l, FIELD_HOW, t->how < FINISH_HOW_COUNT ? words[t->how] : "unknown");
	if (t->limit[0] != '\0')
		log_str(&l, FIELD_LIMIT, t->limit);
	if (t->error != 0) {
		log_num(&l, FIELD_ERRNO, t->error);
		log_code(&l, -(int)(t->error & 0xfff));
	}
	log_end(&l);
}

static void
keep(struct monitor *s, const struct msg_transfer_record *t)
{
	char line[LINE_MAX_];
	size_t n;
	int r;

	s->transfers++;
	s->incomplete += t->complete ? 0 : 1;
	s->broken_off |= !t->complete && (t->how == FINISH_STOPPED || t->how == FINISH_KILLED);
	if (t->direction == TRANSFER_IN)
		s->bytes_in += t->bytes;
	else if (t->direction == TRANSFER_OUT)
		s->bytes_out += t->bytes;
	log_transfer(s, t);
	monitor_check_log(s);
	if (xferlog_fd() < 0)
		return;
	n = xferlog_line(line, sizeof line, time(NULL), s, t);
	r = n == 0 ? 0 : xferlog_write(line, n);
	if (r != 0)
		log_problem(EVENT_XFERLOG_NOT_WRITTEN, NULL, r);
}

int
monitor_transfer_record(struct monitor *s, struct msg *m)
{
	ration_agent(s, RATION_RECORD);
	if (m->transfer_record.direction != TRANSFER_DELETED) {
		s->recorded++;
		s->moved = 0;
	}
	keep(s, &m->transfer_record);
	monitor_activity_by(s, clock_ms() + ACTIVITY_MS);
	return 0;
}

void
monitor_record_lost(struct monitor *s)
{
	static struct msg_transfer_record t;
	static struct inflight i;
	int64_t now = clock_ms();

	if (!inflight_read(s->inflight_fd, &i) || i.begun <= s->recorded)
		return;
	t.direction = i.direction == TRANSFER_IN ? TRANSFER_IN : TRANSFER_OUT;
	t.how = FINISH_KILLED;
	t.bytes = s->last_moved > s->moved ? s->last_moved : s->moved;
	t.milliseconds = i.since > 0 && i.since < now ? (uint64_t)(now - i.since) : 0;
	(void)str_copy(t.path, sizeof t.path, i.path);
	keep(s, &t);
}
