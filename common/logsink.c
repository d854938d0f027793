#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/logsink.h"
#include "common/str.h"

#define LOG_NAME	"sallyport"
#define FACILITY_FTP	(11 << 3)	/* RFC 3164, 4.1.1 */

static int sink_fd = -1;
static int transfer_fd = -1;
static struct sockaddr_un sink_address;

static const int priorities[] = {
#define LEVEL_ROW(name, word, priority) [name] = priority,
	LOG_LEVELS(LEVEL_ROW)
#undef LEVEL_ROW
};

/* One key=value of a line; the value without its quotes, escapes still in it. */
struct pair {
	const char *key, *value;
	size_t key_len, value_len;
};

/* Takes the next pair off *line; false at the end. */
static bool
next_pair(const char **line, const char *end, struct pair *p)
{
	const char *s = *line;

	while (s < end && *s == ' ')
		s++;
	p->key = s;
	while (s < end && *s != '=' && *s != ' ')
		s++;
	p->key_len = (size_t)(s - p->key);
	if (s == end || *s != '=' || p->key_len == 0)
		return false;
	s++;
	if (s < end && *s == '"') {
		p->value = ++s;
		while (s < end && *s != '"')
			s += *s == '\\' && s + 1 < end ? 2 : 1;
		p->value_len = (size_t)(s - p->value);
		s += s < end;
	} else {
		p->value = s;
		while (s < end && *s != ' ')
			s++;
		p->value_len = (size_t)(s - p->value);
	}
	*line = s;
	return true;
}

/* A text being built: what does not fit as a whole is taken back to mark. */
struct text {
	char *out;
	size_t size, len;
	bool full;
};

static void
put(struct text *t, const char *s, size_t n)
{
	if (t->full || n > t->size - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->out + t->len, s, n);
	t->len += n;
}

/* The escapes of a log line are those of JSON, but for \xHH. */
static void
put_json_value(struct text *t, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] != '\\' || i + 1 == n) {
			put(t, s + i, 1);
		} else if (s[i + 1] == 'x') {
			put(t, "\\u00", 4);
			i++;
		} else {
			put(t, s + i, 2);
			i++;
		}
	}
}

size_t
log_line_to_json(char *out, size_t size, const char *line, size_t len)
{
	struct text t = { .out = out, .size = size - 1 };
	const char *end = line + len;
	struct pair p;

	put(&t, "{", 1);
	while (next_pair(&line, end, &p)) {
		size_t mark = t.len;

		put(&t, t.len > 1 ? ",\"" : "\"", t.len > 1 ? 2 : 1);
		put(&t, p.key, p.key_len);
		put(&t, "\":\"", 3);
		put_json_value(&t, p.value, p.value_len);
		put(&t, "\"}", 2);		/* the brace proves that it still fits */
		t.len = t.full ? mark : t.len - 1;
		t.full = false;
	}
	out[t.len] = '}';
	return t.len + 1;
}

static void
put_journal_key(struct text *t, const struct pair *p)
{
	for (size_t i = 0; i < p->key_len; i++) {
		char c = p->key[i];

		c = c >= 'a' && c <= 'z' ? (char)(c - 32) : (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
		put(t, &c, 1);
	}
}

size_t
log_line_to_journal(char *out, size_t size, int priority, const char *line, size_t len)
{
	char head[] = "PRIORITY=0\nSYSLOG_FACILITY=11\nSYSLOG_IDENTIFIER=" LOG_NAME "\nMESSAGE=";
	struct text t = { .out = out, .size = size };
	const char *end = line + len;
	struct pair p;

	head[9] = (char)('0' + priority);
	put(&t, head, sizeof head - 1);
	put(&t, line, len);
	put(&t, "\n", 1);
	while (next_pair(&line, end, &p)) {
		size_t mark = t.len;

		put(&t, "SALLYPORT_", 10);
		put_journal_key(&t, &p);
		put(&t, "=", 1);
		for (size_t i = 0; i < p.value_len; i++) {
			if (p.value[i] == '\\' && i + 1 < p.value_len && p.value[i + 1] != 'x')
				i++;
			put(&t, p.value + i, 1);
		}
		put(&t, "\n", 1);
		if (t.full)
			t.len = mark;
		t.full = false;
	}
	return t.len;
}

/* A datagram to a socket that is looked up each time, so that a log daemon may be started again. */
static void
send_datagram(struct iovec *v, size_t count)
{
	struct msghdr h = { .msg_name = &sink_address, .msg_namelen = sizeof sink_address, .msg_iov = v, .msg_iovlen = count };

	/* A log that cannot be written must not stop the server. */
	if (sendmsg(sink_fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

/* RFC 3164 without a time: every daemon puts in its own. */
static void
log_to_syslog(void *context, enum log_level level, const char *text, size_t len)
{
	char head[64];
	int n = snprintf(head, sizeof head, "<%d>" LOG_NAME "[%ld]: ", FACILITY_FTP | priorities[level], (long)getpid());
	struct iovec v[] = { { head, (size_t)n }, { (void *)(uintptr_t)text, len } };

	(void)context;
	send_datagram(v, 2);
}

static void
log_to_journal(void *context, enum log_level level, const char *text, size_t len)
{
	char fields[3 * LOG_LINE_MAX];
	struct iovec v = { fields, log_line_to_journal(fields, sizeof fields, priorities[level], text, len) };

	(void)context;
	send_datagram(&v, 1);
}

static void
log_to_json(void *context, enum log_level level, const char *text, size_t len)
{
	char object[2 * LOG_LINE_MAX], head[96];
	struct timespec now;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_utc(now.tv_sec, &tm);
	n = snprintf(head, sizeof head, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"level\":\"%s\",", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, log_level_word(level));
	len = log_line_to_json(object, sizeof object - 1, text, len);
	object[len++] = '\n';
	struct iovec v[] = { { head, (size_t)n }, { object + 1, len - 1 } };
	if (writev((int)(intptr_t)context, v, 2) < 0)
		return;
}

/* Makes fd the sink and closes the one before, if it was ours. */
static void
use_sink(log_sink *sink, int fd, int own_fd)
{
	if (sink_fd >= 0)
		close(sink_fd);
	sink_fd = own_fd;
	log_set_sink(sink, (void *)(intptr_t)fd);
}

static int
open_socket(const char *path, log_sink *sink)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	sink_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)str_copy(sink_address.sun_path, sizeof sink_address.sun_path, path);
	use_sink(sink, fd, fd);
	return 0;
}

static int
open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

static int
open_sink(const char *where, log_sink *write_line)
{
	static const struct { const char *word; int fd; } streams[] = {
		{ "stdout", STDOUT_FILENO }, { "stderr", STDERR_FILENO }
	};
	int fd;

	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
		if (strcmp(where, streams[i].word) == 0) {
			use_sink(write_line, streams[i].fd, -1);
			return 0;
		}
	if (strcmp(where, "syslog") == 0)
		return open_socket("/dev/log", log_to_syslog);
	if (strcmp(where, "journal") == 0)
		return open_socket("/run/systemd/journal/socket", log_to_journal);
	if (where[0] != '/')
		return -EINVAL;
	fd = open_file(where);
	if (fd < 0)
		return fd;
	use_sink(write_line, fd, fd);
	return 0;
}

int
log_open(const char *where)
{
	return open_sink(where, log_to_fd);
}

int
log_open_json(const char *where)
{
	return open_sink(where, log_to_json);
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

int
xferlog_write(const char *line, size_t len)
{
	if (transfer_fd < 0)
		return 0;
	return write(transfer_fd, line, len) < 0 ? -errno : 0;
}
