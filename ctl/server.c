/*
 * Commands that the running server carries out.  sallyctl sends COMMAND with
 * its own name as verb and its arguments, one a line, and prints the texts of
 * the REPORTs in the order in which they come, on standard error if they bear
 * an exit code other than 0; the last one's is sallyctl's.  With --json the
 * texts together are one JSON document, which the listener writes.  Who may do
 * this is a matter of the socket's mode.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/server.h"
#include "privsep/chan.h"

/* Connects to the control socket. A descriptor or -errno. */
static int
reach(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, error;

	if (str_copy(sun.sun_path, sizeof(sun.sun_path), path) != 0)
		return -ENAMETOOLONG;
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int
unreachable(const struct invocation *inv, const char *path, int code)
{
	if (code == -EACCES || code == -EPERM)
		return ctl_fail(inv, CTL_DENIED, "%s: %s: only root and the socket's group may control the server",
		    path, sp_strerror(code));
	return ctl_fail(inv, CTL_NOSERVER, "%s: %s%s", path, sp_strerror(code),
	    code == -ENOENT || code == -ECONNREFUSED ? ": the server is not running, or --socket names another place"
						     : "");
}

/* Before argument i: each has a line of its own, but a message is one, of as many words as the shell made of it. */
static const char *
separator(const struct invocation *inv, int i)
{
	return i == 0 ? "" : i > 1 && inv->command->most < 0 ? " " : "\n";
}

/* One argument a line; an argument with a newline has no place there. */
static int
join(const struct invocation *inv, char *dst, size_t size)
{
	size_t len = 0;

	dst[0] = '\0';
	for (int i = 0; i < inv->argc; i++) {
		if (strchr(inv->argv[i], '\n') != NULL || len + strlen(inv->argv[i]) + 2 > size)
			return SP_ERANGE;
		len += (size_t)snprintf(dst + len, size - len, "%s%s", separator(inv, i), inv->argv[i]);
	}
	return 0;
}

/* What the server refused is an error like ours; in JSON it is the answer that was asked for. The last character. */
static char
print_report(const struct invocation *inv, const struct msg_report *report)
{
	size_t n = strlen(report->text);

	if (inv->json)
		fputs(report->text, stdout);
	else if (report->status == CTL_OK)
		ctl_print_safe(report->text);
	else {
		(void)ctl_fail(inv, report->status, "%s",
		    n > 0 ? report->text : "the server has no memory for its answer");
		return '\n';
	}
	return n > 0 ? report->text[n - 1] : '\0';
}

/* Prints REPORTs until the last. Returns its status, or an exit code of ours. */
static int
print_reports(const struct invocation *inv, struct chan *c, struct msg *m)
{
	char last = '\n', printed;
	int error, status, end;

	for (;;) {
		if ((error = chan_receive(c, m, ST_AWAIT)) == -EINTR)
			continue;
		if (error != 0)
			return ctl_fail_code(inv, CTL_FAILED, "the server broke off its answer", error);
		if (m->type != MSG_REPORT)
			return ctl_fail(inv, CTL_FAILED, "the server answered with %s", msg_name(m->type));
		printed = print_report(inv, &m->report);
		last = printed != '\0' ? printed : last;
		status = m->report.status;
		end = m->report.end;
		msg_close(m);
		if (end)
			break;
		fflush(stdout);
	}
	if (last != '\n')
		fputc('\n', stdout);
	return status;
}

/* Sends one command. 0, and the channel is to be closed; or a negative code. */
static int
send_command(const struct invocation *inv, const char *verb, const char *argument, bool json, struct chan *c)
{
	static struct msg_command question;
	char path[256];
	int fd, result;

	(void)str_copy(question.verb, sizeof(question.verb), verb);
	(void)str_copy(question.argument, sizeof(question.argument), argument);
	question.json = json;
	if ((fd = reach(ctl_conf_socket(inv, path, sizeof(path)))) < 0)
		return fd;
	chan_init(c, fd, CH_CONTROL, ROLE_CTL);
	if ((result = chan_tell(c, MSG_COMMAND, &question)) != 0)
		chan_close(c);
	return result;
}

/* Sends one command and prints its answer. Returns an exit code. */
static int
ask(const struct invocation *inv, const char *verb, const char *argument)
{
	static struct msg answer;
	struct chan c;
	int result;

	if ((result = send_command(inv, verb, argument, inv->json, &c)) != 0)
		return server_unreachable(inv, result);
	result = print_reports(inv, &c, &answer);
	chan_close(&c);
	return result;
}

int
server_command(struct invocation *inv)
{
	static char argument[sizeof(((struct msg_command *)0)->argument)];

	if (join(inv, argument, sizeof(argument)) != 0)
		return ctl_fail(inv, CTL_USAGE, "the arguments are too long or contain a line break");
	return ask(inv, inv->command->name, argument);
}

int
bans_command(struct invocation *inv)
{
	bool nft = inv->count[OPT_NFT] > 0;

	if (nft && inv->json)
		return ctl_fail(inv, CTL_USAGE, "--nft has a form of its own: without --json");
	return ask(inv, "bans", nft ? "nft" : "");
}

int
metrics_command(struct invocation *inv)
{
	return inv->count[OPT_HTTP] > 0 ? scrape_answer(inv, inv->value[OPT_HTTP]) : server_command(inv);
}

/* Collects the texts of REPORTs until the last. Its status, or a negative code. */
static int
collect(struct chan *c, struct msg *m, FILE *out)
{
	int error, status;
	bool end;

	do {
		while ((error = chan_receive(c, m, ST_AWAIT)) == -EINTR)
			;
		if (error != 0)
			return error;
		if (m->type != MSG_REPORT) {
			msg_close(m);
			return SP_EFORMAT;
		}
		fputs(m->report.text, out);
		status = m->report.status;
		end = m->report.end;
		msg_close(m);
	} while (!end);
	return status;
}

int
server_ask(const struct invocation *inv, const char *verb, const char *arguments, char **text)
{
	static struct msg answer;
	struct chan c;
	FILE *out;
	size_t size;
	int result;

	*text = NULL;
	if ((result = send_command(inv, verb, arguments, true, &c)) != 0)
		return result;
	if ((out = open_memstream(text, &size)) == NULL) {
		chan_close(&c);
		return -ENOMEM;
	}
	result = collect(&c, &answer, out);
	chan_close(&c);
	if (fclose(out) != 0 && result >= 0)
		result = -ENOMEM;
	return result;
}

int
server_unreachable(const struct invocation *inv, int code)
{
	char path[256];

	return unreachable(inv, ctl_conf_socket(inv, path, sizeof(path)), code);
}
