/*
 * Sinks.  None of them may block or stop the server (a log daemon that is busy is
 * waited for, briefly), and none may lose a line silently: what cannot be written
 * is counted, an alert goes elsewhere at once, and the first line that can be
 * written again is preceded by the count.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"
#include "common/trusted.h"

#define LOG_NAME	"sallyport"
#define FACILITY_FTP	(11 << 3)	/* RFC 3164, 4.1.1 */
#define ALERT_EVERY_MS	60000
#define ROOM_MS		200	/* how long a log daemon may take to make room for a line */

/*
 * What one log could not take.  Many processes write to the same file: what one of
 * them has lost another one reports, because the first may be gone by then.
 */
struct gap {
	_Atomic uint64_t lost;		/* since the last line that was written */
	_Atomic uint64_t total;
	_Atomic int64_t since;		/* clock_ms() of the first of them */
	_Atomic int64_t alerted;	/* clock_ms() of the last alert, 0: none */
	atomic_bool torn;		/* the file ends in the middle of a line */
};

/* Shared by all writers of a server: see log_share(). */
struct gaps {
	struct gap log, transfers;
};

const char *log_alert_socket = "/dev/log";

static struct gaps own_gaps;
static struct gaps *gaps = &own_gaps;

static int sink_fd = -1;
static int stream_fd = STDERR_FILENO;	/* of to_text() and to_json() */
static int transfer_fd = -1;
static int alert_fd = -1;
static struct sockaddr_un sink_address;
static char sink_name[128] = "stderr";

/* Writes a line of that level, whole. 0 or -errno. */
typedef int line_writer(enum log_level, const char *text, size_t len);

static line_writer *write_line;
static bool echoing;
static char echoed[4096];	/* what was, a line each */

static const int priorities[] = {
#define LEVEL_ROW(name, word, priority) [name] = priority,
	LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
};

/* ----------------------------------------------------------------------- whole lines */

/* Writes what is left of v behind the first n bytes. */
static int
write_rest(int fd, struct iovec *v, int count, size_t n)
{
	while (count > 0) {
		ssize_t more;

		for (; count > 0 && n >= v->iov_len; v++, count--)
			n -= v->iov_len;
		if (count == 0)
			break;
		v->iov_base = (char *)v->iov_base + n;
		v->iov_len -= n;
		more = writev(fd, v, count);
		if (more <= 0)
			return more < 0 ? -errno : -ENOSPC;
		n = (size_t)more;
	}
	return 0;
}

/*
 * Writes the pieces of a line.  When only some of it fits, the rest is tried once
 * more; a line that stays torn is ended by whoever writes next.  It is not cut off
 * again: that would take a call by which a process that was taken over could
 * empty the log.
 */
static int
put_line(struct gap *gap, int fd, struct iovec *v, int count)
{
	struct iovec all[5] = { { (void *)(uintptr_t)"\n", 1 } };
	bool torn = atomic_exchange(&gap->torn, false);
	ssize_t n;
	int r;

	memcpy(all + 1, v, (size_t)count * sizeof *v);
	do
		n = writev(fd, torn ? all : all + 1, torn ? count + 1 : count);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {
		atomic_store(&gap->torn, torn);
		return n < 0 ? -errno : -ENOSPC;
	}
	r = write_rest(fd, torn ? all : all + 1, torn ? count + 1 : count, (size_t)n);
	if (r != 0)
		atomic_store(&gap->torn, true);
	return r;
}

/* ------------------------------------------------------------------------------ gaps */

/* Tells somebody else, at most once a minute: the system log, or whoever reads stderr. */
static void
alert(struct gap *gap, const char *where, int error)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int64_t now = clock_ms(), last = atomic_load(&gap->alerted);
	char text[512];
	struct iovec v = { text, 0 };
	struct msghdr h = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &v, .msg_iovlen = 1 };
	int n;

	if ((last != 0 && now - last < ALERT_EVERY_MS) || !atomic_compare_exchange_strong(&gap->alerted, &last, now))
		return;
	n = snprintf(text, sizeof text,
	    "<%d>" LOG_NAME "[%ld]: event=%s about=\"%s\" errno=%d error=\"%s\"\n",
	    FACILITY_FTP | priorities[LOG_LEVEL_ERROR], (long)getpid(), log_event_row(EVENT_LOG_UNWRITABLE)->name, where,
	    -error, strerror(-error));
	if (n < 0 || (size_t)n >= sizeof text)
		return;
	(void)str_copy(to.sun_path, sizeof to.sun_path, log_alert_socket);
	v.iov_len = (size_t)n - 1;
	if (alert_fd >= 0 && sendmsg(alert_fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return;
	v.iov_base = strstr(text, "event=");
	log_to_fd((void *)(intptr_t)STDERR_FILENO, LOG_LEVEL_ERROR, v.iov_base, strlen(v.iov_base) - 1);
}

static void
lose(struct gap *gap, const char *where, int error)
{
	int64_t none = 0;

	(void)atomic_compare_exchange_strong(&gap->since, &none, clock_ms());
	atomic_fetch_add(&gap->lost, 1);
	atomic_fetch_add(&gap->total, 1);
	alert(gap, where, error);
}

/* Says how many lines are missing, if any are. 0, or -errno while that cannot be written either. */
static int
report_gap(void)
{
	struct gap *gap = &gaps->log;
	uint64_t lost = atomic_load(&gap->lost) == 0 ? 0 : atomic_exchange(&gap->lost, 0);
	int64_t since = atomic_load(&gap->since);
	char text[160];
	int n, r;

	if (lost == 0)
		return 0;
	n = snprintf(text, sizeof text, "event=%s lost=%llu milliseconds=%lld", log_event_row(EVENT_LOG_GAP)->name,
	    (unsigned long long)lost, (long long)(since == 0 ? 0 : clock_ms() - since));
	r = write_line(LOG_LEVEL_ERROR, text, (size_t)n);
	if (r != 0) {
		atomic_fetch_add(&gap->lost, lost);
		return r;
	}
	atomic_store(&gap->since, 0);
	return 0;
}

static void
log_to_sink(void *context, enum log_level level, const char *text, size_t len)
{
	int r = report_gap();

	(void)context;
	if (r == 0)
		r = write_line(level, text, len);
	if (r != 0)
		lose(&gaps->log, sink_name, r);
	if (echoing && level == LOG_LEVEL_ERROR) {
		size_t used = strlen(echoed);

		/* What does not fit is in the log. */
		(void)str_format(echoed + used, sizeof echoed - used, "%.*s\n", (int)len, text);
	}
	if (echoing && level == LOG_LEVEL_ERROR && stream_fd != STDERR_FILENO && stream_fd != STDOUT_FILENO)
		log_to_fd((void *)(intptr_t)STDERR_FILENO, level, text, len);
}

void
log_echo(bool on)
{
	echoing = on;
}

const char *
log_echoed(void)
{
	return echoed;
}

bool
log_is_whole(void)
{
	return write_line == NULL || report_gap() == 0;
}

uint64_t
log_lost(void)
{
	return atomic_load(&gaps->log.total) + atomic_load(&gaps->transfers.total);
}

int
log_share(void)
{
	int fd = memfd_create("log-gaps", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof *gaps) < 0 || log_shared(fd) != 0) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	return fd;
}

int
log_shared(int fd)
{
	void *p = mmap(NULL, sizeof *gaps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	gaps = p;
	return 0;
}

/* ----------------------------------------------------------------------------- sinks */

/*
 * A datagram to a socket that is looked up each time, so that a log daemon may be started again.  Its queue is short,
 * and a process that logs much fills it for a moment: that is waited for, so that the lines of others are not lost.  A
 * daemon that hangs is waited for once, until lines get through again.
 */
static int
send_datagram(struct iovec *v, size_t count)
{
	struct msghdr h = { .msg_name = &sink_address, .msg_namelen = sizeof sink_address, .msg_iov = v, .msg_iovlen = count };
	ssize_t n = sendmsg(sink_fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN && atomic_load(&gaps->log.since) == 0)
		n = sendmsg(sink_fd, &h, MSG_NOSIGNAL);		/* for ROOM_MS, see open_socket() */
	return n < 0 ? -errno : 0;
}

/* RFC 3164 without a time: every daemon puts in its own. */
static int
to_syslog(enum log_level level, const char *text, size_t len)
{
	char head[64];
	int n = snprintf(head, sizeof head, "<%d>" LOG_NAME "[%ld]: ", FACILITY_FTP | priorities[level], (long)getpid());
	struct iovec v[] = { { head, (size_t)n }, { (void *)(uintptr_t)text, len } };

	return send_datagram(v, 2);
}

static int
to_journal(enum log_level level, const char *text, size_t len)
{
	char fields[3 * LOG_LINE_MAX];
	struct iovec v = { fields, log_line_to_journal(fields, sizeof fields, priorities[level], text, len) };

	return send_datagram(&v, 1);
}


static int
to_text(enum log_level level, const char *text, size_t len)
{
	char head[LOG_HEAD_MAX];
	size_t priority = log_priority(head, stream_fd, level), n = priority > 0 ? priority : log_head(head, level);
	struct iovec v[] = { { head, n }, { (void *)(uintptr_t)text, len }, { (void *)(uintptr_t)"\n", 1 } };

	return put_line(&gaps->log, stream_fd, v, 3);
}

static int
to_json(enum log_level level, const char *text, size_t len)
{
	char object[3 * LOG_LINE_MAX], head[LOG_HEAD_MAX + 32], stamp[LOG_HEAD_MAX], priority[LOG_HEAD_MAX];
	size_t p = log_priority(priority, stream_fd, level);
	int n;

	(void)log_head(stamp, level);
	n = snprintf(head, sizeof head, "{\"time\":\"%.24s\",\"level\":\"%s\",", stamp, log_level_word(level));
	len = log_line_to_json(object, sizeof object - 1, text, len);
	object[len++] = '\n';
	struct iovec v[] = { { priority, p }, { head, (size_t)n }, { object + 1, len - 1 } };
	return put_line(&gaps->log, stream_fd, v, 3);
}

/* Makes fd the sink and closes the one before, if it was ours. */
static void
use_sink(line_writer *writer, const char *where, int fd, int own_fd)
{
	if (sink_fd >= 0)
		close(sink_fd);
	sink_fd = own_fd;
	stream_fd = fd;
	write_line = writer;
	(void)str_copy(sink_name, sizeof sink_name, where);
	log_set_sink(log_to_sink, NULL);
}

/* The way to the system log, while there is one, for when our own log fails; opened before the sandbox closes. */
static void
open_alert(void)
{
	if (alert_fd < 0)
		alert_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int
open_socket(const char *where, const char *path, line_writer *writer)
{
	const struct timeval room = { .tv_usec = ROOM_MS * 1000 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &room, sizeof room);
	sink_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)str_copy(sink_address.sun_path, sizeof sink_address.sun_path, path);
	use_sink(writer, where, fd, fd);
	return 0;
}

static int
open_file(const char *path)
{
	return trusted_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, 0640);
}

static int
open_sink(const char *where, line_writer *writer)
{
	static const struct { const char *word; int fd; } streams[] = {
		{ "stdout", STDOUT_FILENO }, { "stderr", STDERR_FILENO }
	};
	int fd;

	open_alert();
	log_find_journal();
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
		if (strcmp(where, streams[i].word) == 0) {
			use_sink(writer, where, streams[i].fd, -1);
			return 0;
		}
	if (strcmp(where, "syslog") == 0)
		return open_socket(where, "/dev/log", to_syslog);
	if (strcmp(where, "journal") == 0)
		return open_socket(where, "/run/systemd/journal/socket", to_journal);
	if (where[0] != '/')
		return -EINVAL;
	fd = open_file(where);
	if (fd < 0)
		return fd;
	use_sink(writer, where, fd, fd);
	return 0;
}

int
log_open(const char *where)
{
	return open_sink(where, to_text);
}

int
log_open_json(const char *where)
{
	return open_sink(where, to_json);
}

int
log_fd(void)
{
	return sink_fd;
}

int
xferlog_open(const char *path)
{
	int fd = path == NULL ? -1 : open_file(path);

	if (path != NULL && fd < 0)
		return fd;
	if (transfer_fd >= 0)
		close(transfer_fd);
	transfer_fd = fd;
	return 0;
}

int
xferlog_fd(void)
{
	return transfer_fd;
}

/* The gap of the transfer log is told in the log: statistics know no such line. */
static void
report_transfer_gap(void)
{
	uint64_t lost = atomic_load(&gaps->transfers.lost) == 0 ? 0 : atomic_exchange(&gaps->transfers.lost, 0);
	struct log_line l;

	if (lost == 0)
		return;
	atomic_store(&gaps->transfers.alerted, 0);
	log_begin(&l, EVENT_XFERLOG_GAP);
	log_num(&l, FIELD_LOST, (int64_t)lost);
	log_end(&l);
}

int
xferlog_write(const char *line, size_t len)
{
	struct iovec v = { (void *)(uintptr_t)line, len };
	int r;

	if (transfer_fd < 0)
		return 0;
	r = put_line(&gaps->transfers, transfer_fd, &v, 1);
	if (r != 0)
		lose(&gaps->transfers, "xferlog", r);
	else
		report_transfer_gap();
	return r;
}
