/*
 * LIST NLST MLSD MLST STAT.  Lines come from the agent as they are sent.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/handlers.h"
#include "daemon/worker/session.h"
#include "daemon/worker/transfer.h"

/* Letters that ls-minded clients send; the ones without an option change nothing here. */
static const struct {
	char letter;
	uint32_t option;
} letters[] = {
	{ 'a', LIST_ALL }, { 'A', LIST_ALMOST_ALL }, { 'R', LIST_RECURSIVE }, { 't', LIST_BY_TIME }, { 'S', LIST_BY_SIZE },
	{ 'r', LIST_REVERSE }, { 'F', LIST_CLASSIFY }, { 'd', LIST_SELF },
	{ 'l', 0 }, { 'L', 0 }, { '1', 0 }, { 'C', 0 }, { 'n', 0 }, { 'h', 0 },
};

/* Takes one word such as -la. True when every letter is known. */
static bool
add_letters(const char *word, size_t n, uint32_t *options)
{
	bool all = true;

	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++) {
			if (letters[k].letter != word[i])
				continue;
			*options |= letters[k].option;
			known = true;
		}
		all = all && known;
	}
	return all;
}

static bool
exists(struct session *s, const char *path)
{
	struct msg_facts *const body = session_request(s);

	ask_path(body->path, sizeof body->path, path);
	return ask_agent(s, MSG_FACTS, body, MSG_OBJECT) == 0;
}

/*
 * Cuts options off the front.  "--" ends them.  What looks like options but
 * has letters that none has is a name when there is such a name; otherwise
 * unknown letters are ignored.  Blanks too many in front of options or behind
 * them, as some clients send, are no name.  Returns the path, "" for the
 * working directory.
 */
static char *
take_options(struct session *s, char *argument, uint32_t *options)
{
	char *at = argument + strspn(argument, " ");

	*options = 0;
	if (at != argument && (*at != '-' || exists(s, argument)))
		return argument;
	while (*at == '-' && at[1] != '\0') {
		size_t n = strcspn(at + 1, " ");
		uint32_t found = 0;
		bool known = add_letters(at + 1, n, &found), end = n == 1 && at[1] == '-';

		if (!known && !end && exists(s, at))
			return at;
		if (!end)
			*options |= found;
		at += 1 + n;
		at += *at == ' ';
		if (end)
			break;
	}
	return at[strspn(at, " ")] == '\0' ? at + strlen(at) : at;
}

/*
 * What people type has blanks at its end by accident, and some clients put them behind a command without an
 * argument: nothing but blanks is a name only where there is such a name.  What programs send (MLSD, MLST, AVBL,
 * STOU) is always a name.
 */
static char *
name_or_nothing(struct session *s, char *path)
{
	size_t n = strspn(path, " ");

	return n > 0 && path[n] == '\0' && !(s->live && exists(s, path)) ? path + n : path;
}

static bool
open_list(struct session *s, const char *path, enum list_format format, uint32_t options)
{
	struct msg_list_open *const body = session_request(s);

	body->format = (uint8_t)format;
	body->options = options;
	body->facts = s->facts;
	ask_path(body->path, sizeof body->path, path);
	return ask(s, MSG_LIST_OPEN, body, MSG_DONE);
}

void
verb_list(struct session *s, char *argument)
{
	uint32_t options;
	char *path = name_or_nothing(s, take_options(s, argument, &options));

	if (!s->ending && open_list(s, path, LIST_LONG, options))
		transfer_listing(s, path);
}

void
verb_nlst(struct session *s, char *argument)
{
	uint32_t options;
	char *path = name_or_nothing(s, take_options(s, argument, &options));
	struct msg_names_open *const body = session_request(s);

	body->options = options;
	ask_path(body->path, sizeof body->path, path);
	if (!s->ending && ask(s, MSG_NAMES_OPEN, body, MSG_DONE))
		transfer_listing(s, path);
}

void
verb_mlsd(struct session *s, char *argument)
{
	if (open_list(s, argument, LIST_FACTS, 0))
		transfer_listing(s, argument);
}

/* RFC 3659, 7.2: one line that begins with a blank. */
void
verb_mlst(struct session *s, char *argument)
{
	struct msg_mlst *const body = session_request(s);
	const struct msg_text *t = &s->answer.text;

	body->facts = s->facts;
	ask_path(body->path, sizeof body->path, *argument == '\0' ? "." : argument);
	if (!ask(s, MSG_MLST, body, MSG_TEXT))
		return;
	reply_begin(s, 250, "Listing");
	reply_name_lines(s, " ", t->text, strlen(t->text));
	reply_end(s, "End");
}

/* ------------------------------------------------------------------------------ STAT */

static void
stat_session(struct session *s)
{
	char text[ADDR_TEXT_MAX], line[512];

	reply_begin(s, 211, "Session:");
	reply_line(s, " Client %s, %s", addr_host(text, &s->peer), s->live ? "logged in" : "not logged in");
	if (s->live)
		reply_line(s, " Working directory %s", s->cwd);
	reply_line(s, " TYPE %s, STRU F, MODE S; control connection %s, data connections %s", s->type == REP_ASCII ? "A" : "I",
	    s->secure ? "under TLS" : "in clear", s->data_secure != NULL ? "under TLS" : "in clear");
	reply_line(s, " Idle limit %" PRId64 " s; so far %" PRIu64 " bytes received, %" PRIu64 " bytes sent in %" PRId64 " s",
	    s->idle_ms / 1000, s->bytes_in, s->bytes_out, (clock_ms() - s->since) / 1000);
	if (s->transfer != NULL) {
		transfer_describe(s->transfer, line, sizeof line);
		reply_line(s, " %s", line);
	}
	reply_end(s, "End");
}

/* RFC 959, 4.2: 212 is the status of a folder, 213 of a file. */
static void
put_lines(struct session *s, bool first)
{
	const struct msg_lines *m = &s->answer.lines;

	if (first)
		reply_begin(s, m->of_folder ? 212 : 213, "Status:");
	reply_name_lines(s, "", (const char *)m->text, m->text_len);
}

/* The lines that came before are shown, under the code that says that there should be more. */
static void
end_broken(struct session *s, bool begun)
{
	char why[512];

	ask_reason(s, &s->answer.failed, why, sizeof why);
	if (!begun) {
		reply(s, 451, "The listing is incomplete. %s", why);
		return;
	}
	reply_recode(s, 451);
	reply_end(s, "The listing is incomplete. %s", why);
}

/* Lists on the control connection: what does not fit into one reply is cut, and the reply says so. */
static void
stat_path(struct session *s)
{
	struct msg_list_next next = { .end_ = "" };
	struct msg_list_close close = { .end_ = "" };
	bool begun = false, end = false, cut = false;
	int e = 0;

	while (!end && !cut && (e = ask_agent(s, MSG_LIST_NEXT, &next, MSG_LINES)) == 0) {
		cut = begun && s->out.len + s->answer.lines.text_len + 1024 > sizeof s->out.text;
		if (!cut)
			put_lines(s, !begun);
		begun = true;
		end = s->answer.lines.end != 0;
	}
	if (e > 0)
		end_broken(s, begun);
	if (e != 0 || (!end && !ask_tell(s, MSG_LIST_CLOSE, &close)))
		return;
	reply_end(s, cut ? "End: cut here, use LIST for all" : "End");
}

void
verb_stat(struct session *s, char *argument)
{
	uint32_t options;
	char *path;

	path = name_or_nothing(s, argument);
	if (*path == '\0') {
		stat_session(s);
		return;
	}
	if (!s->live) {
		reply(s, 530, "Log in first, with USER and PASS.");
		return;
	}
	path = name_or_nothing(s, take_options(s, path, &options));
	if (!s->ending && open_list(s, path, LIST_LONG, options))
		stat_path(s);
}
