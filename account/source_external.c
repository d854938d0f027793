/*
 * The source external: a program behind a Unix socket that speaks the protocol
 * of pure-authd, one connection a login.  What we send is lines; no name or
 * password can contain what ends a line.  What it answers is believed as far as
 * it is well formed: a malformed value of a key that we know refuses the login,
 * no answer, or half of one, is breakage and not a refusal.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "account/source.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

#define ANSWER_MAX	65536
#define LAYER_MAX	16384

/* ------------------------------------------------------------------ conversation */

static int
wait_for(int fd, short what, int64_t end)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t left = end - clock_ms();
	int n = left <= 0 ? 0 : poll(&p, 1, (int)left);

	return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

static int
call(const char *path, int64_t end)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, r = 0;

	if (path == NULL || str_copy(a.sun_path, sizeof a.sun_path, path) != 0)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A full backlog is the one reason to wait here, and then there is nothing to wait on. */
	while (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && (r = -errno) == -EAGAIN && clock_ms() < end)
		(void)poll(NULL, 0, 20);
	if (r == -EAGAIN && clock_ms() < end)
		r = 0;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static int
send_all(int fd, const char *text, size_t n, int64_t end)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (sent > 0) {
			text += sent;
			n -= (size_t)sent;
		} else {
			int r = wait_for(fd, POLLOUT, end);

			if (r != 0)
				return r;
		}
	}
	return 0;
}

/* Is the line that ends an answer there? Returns what stands before it as a length, or -1. */
static ssize_t
complete(const char *text)
{
	const char *p = strncmp(text, "end\n", 4) == 0 ? text : strstr(text, "\nend\n");

	return p == NULL ? -1 : p == text ? 0 : p - text + 1;
}

/* Reads the answer, ended by NUL instead of its last line. */
static int
receive_all(int fd, char *text, int64_t end)
{
	size_t n = 0;

	for (;;) {
		ssize_t got, done;
		int r = wait_for(fd, POLLIN, end);

		if (r != 0)
			return r;
		got = recv(fd, text + n, ANSWER_MAX - n, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0)
			return got < 0 ? -errno : SP_ECLOSED;
		n += (size_t)got;
		text[n] = '\0';
		done = complete(text);
		if (done >= 0) {
			text[done] = '\0';
			return 0;
		}
		if (n == ANSWER_MAX)
			return SP_ERANGE;
	}
}

static size_t
write_question(const struct account_query *q, char *out, size_t size)
{
	char local[ADDR_TEXT_MAX] = "", peer[ADDR_TEXT_MAX] = "";
	int n;

	if (q->local != NULL)
		addr_host(local, q->local);
	if (q->peer != NULL)
		addr_host(peer, q->peer);
	n = snprintf(out, size,
	    "account:%s\npassword:%s\nlocalhost:%s\nlocalport:%u\npeer:%s\nencrypted:%d\n%s%s%send\n", q->user,
	    q->password->data, local, q->local == NULL ? 0u : (unsigned)addr_port(q->local), peer, q->tls,
	    q->host[0] != '\0' ? "sni_name:" : "", q->host, q->host[0] != '\0' ? "\n" : "");
	return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

static int
ask(const struct account_query *q, char *answer)
{
	char question[4096];
	int64_t end = clock_ms() + (int64_t)q->base->external_timeout * 1000;
	size_t n = write_question(q, question, sizeof question);
	int fd = n == 0 ? SP_ERANGE : call(q->base->external_socket, end), r;

	if (fd < 0)
		return fd;
	r = send_all(fd, question, n, end);
	explicit_bzero(question, sizeof question);
	if (r == 0)
		r = receive_all(fd, answer, end);
	close(fd);
	return r;
}

/* ------------------------------------------------------------------------ answer */

struct answer {
	struct account *a;
	int verdict;		/* auth_ok; 2: not told */
	char sftpplus[LAYER_MAX];	/* its rules come one a line */
};

typedef int take_value(struct answer *, const char *key, const char *value);

static int
take_verdict(struct answer *n, const char *key, const char *value)
{
	(void)key;
	n->verdict = strcmp(value, "1") == 0 ? 1 : strcmp(value, "0") == 0 ? 0 : strcmp(value, "-1") == 0 ? -1 : 2;
	return n->verdict == 2 ? SP_EFORMAT : 0;
}

static int
take_id(struct answer *n, const char *key, const char *value)
{
	char *end;
	unsigned long long id;

	errno = 0;
	id = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || id == 0 || id >= UINT32_MAX)
		return SP_EFORMAT;
	if (key[0] == 'u')
		n->a->uid = (uid_t)id;
	else
		n->a->gid = (gid_t)id;
	return 0;
}

/* A setting of ours, checked as in a file. */
static int
take_setting(struct answer *n, const char *key, const char *value)
{
	char why[256];

	return conf_check(SC_ACCOUNT, key, value, why, sizeof why) != 0 ? SP_EFORMAT : account_add_pair(n->a, key,
	    value);
}

/* "/srv/jail/./start" */
static int
take_dir(struct answer *n, const char *key, const char *value)
{
	const char *mark = strstr(value, "/./");
	char home[4096];
	int r;

	(void)key;
	if (value[0] != '/' || str_copy(home, sizeof home, value) != 0)
		return SP_EFORMAT;
	if (mark != NULL)
		home[mark - value] = '\0';
	r = take_setting(n, "home", home[0] == '\0' ? "/" : home);
	return r != 0 || mark == NULL ? r : take_setting(n, "start", mark + 2);
}

static int
take_layer(struct answer *n, const char *key, const char *value)
{
	char layer[LAYER_MAX + 32];

	return str_format(layer, sizeof layer, "%s %s", key, value) != 0 ? SP_ERANGE : take_setting(n, "layer", layer);
}

static int
take_rule(struct answer *n, const char *key, const char *value)
{
	size_t used = strlen(n->sftpplus);

	(void)key;
	return str_format(n->sftpplus + used, sizeof n->sftpplus - used, "%s%s", used == 0 ? "" : "\n", value);
}

/* Keys that we know. setting: the key of ours; NULL: as it is called there. zero: 0 means that there is none. */
static const struct {
	const char *key;
	take_value *take;
	const char *setting;
	bool zero;
} keys[] = {
	{ "auth_ok",			take_verdict,	NULL, false },
	{ "uid",			take_id,	NULL, false },
	{ "gid",			take_id,	NULL, false },
	{ "dir",			take_dir,	NULL, false },
	{ "throttling_bandwidth_ul",	take_setting,	"rate_up", true },
	{ "throttling_bandwidth_dl",	take_setting,	"rate_down", true },
	{ "user_quota_size",		take_setting,	"quota_bytes", true },
	{ "user_quota_files",		take_setting,	"quota_files", true },
	{ "ratio_upload",		take_setting,	"ratio_up", true },
	{ "ratio_download",		take_setting,	"ratio_down", true },
	{ "radio_download",		take_setting,	"ratio_down", true },	/* so it stands in its manual */
	{ "per_user_max",		take_setting,	"max_sessions_per_user", true },
	{ "ups",			take_layer,	NULL, false },
	{ "pyftpdlib",			take_layer,	NULL, false },
	{ "sftpplus",			take_rule,	NULL, false },
	{ "groups",			take_setting,	NULL, false },
	{ "login_message",		take_setting,	NULL, false },
	{ "goodbye_message",		take_setting,	NULL, false }
};

static int
take_line(struct answer *n, char *line)
{
	char *value = strchr(line, ':');

	if (value == NULL)
		return 0;
	*value++ = '\0';
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (strcmp(keys[i].key, line) != 0)
			continue;
		if (keys[i].zero && strcmp(value, "0") == 0)
			return 0;
		return keys[i].take(n, keys[i].setting != NULL ? keys[i].setting : line, value);
	}
	return 0;
}

static int
take_answer(struct answer *n, char *text)
{
	char *line;
	int r = 0;

	while (r == 0 && (line = strsep(&text, "\n")) != NULL) {
		r = take_line(n, line);
		if (r != 0)
			log_problem(EVENT_EXTERNAL_ANSWER_MALFORMED, line, 0);
	}
	if (r == 0 && n->sftpplus[0] != '\0')
		r = take_layer(n, "sftpplus", n->sftpplus);
	return r;
}

/* ------------------------------------------------------------------------ source */

static enum account_result
judge(struct answer *n, int r, enum account_reason *why)
{
	bool whole = n->a->uid != ACCOUNT_ID_NONE && n->a->gid != (gid_t)-1 && n->a->pair_count > 0;

	if (r == 0 && n->verdict == 0)
		return ACCOUNT_UNKNOWN;
	*why = REASON_SOURCE;
	if (r != 0 || n->verdict != 1 || !whole)
		return ACCOUNT_REFUSED;
	*why = REASON_NONE;
	n->a->proven = true;		/* the program has seen the password */
	n->a->verifier_kind = VERIFY_SOURCE;
	n->a->flags |= ACCOUNT_VIRTUAL;
	n->a->origin = "external";
	return ACCOUNT_FOUND;
}

static enum account_result
find_external(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	static char text[ANSWER_MAX + 1];
	static struct answer answer;
	enum account_result result;
	int r;

	(void)state;
	/* The program is asked with a password or not at all; one of several lines cannot be sent. */
	if (q->password == NULL || (q->password->len == 0 && !q->base->allow_empty_passwords) || strpbrk(q->password->data, "\r\n") != NULL)
		return ACCOUNT_UNKNOWN;
	r = ask(q, text);
	if (r != 0) {
		log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, q->base->external_socket, r);
		*why = REASON_UNAVAILABLE;
		return ACCOUNT_UNAVAILABLE;
	}
	answer.a = a;
	answer.verdict = 2;
	answer.sftpplus[0] = '\0';
	r = take_answer(&answer, text);
	result = judge(&answer, r, why);
	explicit_bzero(text, sizeof text);
	return result;
}

/* It was, by find(). */
static enum account_result
verify_external(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	(void)state;
	(void)q;
	(void)a;
	*why = REASON_NONE;
	return ACCOUNT_FOUND;
}

const struct account_source source_external = {
	.name = "external",
	.doc = "A program behind a Unix socket, in the protocol of pure-authd.",
	.find = find_external,
	.verify = verify_external
};
