#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/idle.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/worker/ask.h"
#include "daemon/worker/digest.h"
#include "daemon/worker/pulse.h"
#include "daemon/worker/session.h"
#include "daemon/worker/transfer.h"
#include "daemon/worker/verb_tls.h"

#define TYPED_SHOWN 500	/* as in the agent's records */
#define FACTS_DEFAULT (FACT_TYPE | FACT_SIZE | FACT_MODIFY | FACT_PERM | FACT_UNIQUE | FACT_MODE)

void
session_forget(struct session *s)
{
	s->user_given = false;
	s->user[0] = s->host[0] = '\0';
	s->type = REP_ASCII;
	s->restart = s->allocated = 0;
	s->range_first = 0;
	s->range_last = -1;
	s->facts = FACTS_DEFAULT;
	s->hash = DIGEST_DEFAULT;
}

void
session_init(struct session *s, const struct settings *set, const int *fds, unsigned n)
{
	s->set = set;
	chan_init(&s->login, n > 0 ? fds[0] : -1, CH_LOGIN, ROLE_WORKER);
	chan_init(&s->log, n > 1 ? fds[1] : -1, CH_LOG, ROLE_WORKER);
	chan_init(&s->files, n > 2 ? fds[2] : -1, CH_FILES, ROLE_WORKER);
	chan_init(&s->sign, n > 3 ? fds[3] : -1, CH_SIGN, ROLE_WORKER);
	stream_open(&s->control, -1);
	data_init(&s->data);
	line_init(&s->in);
	session_forget(s);
	s->exit_code = SP_EXIT_NOAUTH;
	session_settle(s);
}

void
session_settle(struct session *s)
{
	const struct settings *set = s->set;

	s->idle_ms = s->idle_max_ms = (int64_t)set->idle_timeout * 1000;
	s->stall_ms = set->stall_timeout * 1000;
	bucket_init(&s->up.own, set->rate_up);
	bucket_init(&s->down.own, set->rate_down);
	s->convert = set->ascii == CONF_ASCII_ON;
}

void
session_end(struct session *s, enum sp_exit code)
{
	s->ending = true;
	s->exit_code = code;
}

void
session_stop(struct session *s, const char *text, enum sp_exit code)
{
	if (s->ending)
		return;
	reply(s, 421, "%s", text[0] == '\0' ? "The server ends this session." : text);
	session_end(s, code);
}

void
session_hang_up(struct session *s, const char *text)
{
	s->interrupted = true;
	pulse_end(s, PULSE_HUNG_UP);
	session_stop(s, text, s->live ? SP_EXIT_OK : SP_EXIT_NOAUTH);
}

/* Is the word there, in any case? */
static bool
holds_word(const uint8_t *bytes, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++)
		if (strncasecmp((const char *)bytes + i, word, len) == 0)
			return true;
	return false;
}

/*
 * How many of the bytes that have arrived may be read now.  What follows a REIN is for another session, and stays
 * where only that one will find it: while there may be a REIN among them, they are read line by line.  Under TLS
 * there is none that could be obeyed.
 */
static size_t
own_bytes(const struct session *s, uint8_t *at, size_t space)
{
	ssize_t n = s->tls == NULL ? recv(s->control.fd, at, space, MSG_PEEK | MSG_DONTWAIT) : 0;

	if (n <= 0 || (!line_begins(&s->in, "REIN") && !holds_word(at, (size_t)n, "REIN")))
		return space;
	return line_length(&s->in, at, (size_t)n);
}

ssize_t
session_read(struct session *s)
{
	size_t space;
	uint8_t *at = line_room(&s->in, &space);
	ssize_t n;

	if (space == 0)
		return -EAGAIN;
	space = own_bytes(s, at, space);
	n = stream_read(&s->control, at, space);
	if (n > 0)
		line_filled(&s->in, (size_t)n);
	return n;
}

/* ------------------------------------------------------------------- one command */

/*
 * Where the verb begins: clients that follow the Telnet Synch put bytes before
 * an ABOR that no Telnet reader understands after the urgent mark is lost.
 */
static size_t
skip_synch(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && i < 4 && (unsigned char)line[i] >= 0x80)
		i++;
	return i;
}

/* Up to the first blank or the end. */
static size_t
word_length(const char *text, size_t len)
{
	const char *blank = memchr(text, ' ', len);

	return blank == NULL ? len : (size_t)(blank - text);
}

/* Takes the line apart: the argument begins after exactly one blank and keeps all others. */
static const struct verb *
take_apart(char *line, size_t len, const char **name, size_t *name_len, char **argument)
{
	size_t start = skip_synch(line, len), n = word_length(line + start, len - start);

	*name = line + start;
	*name_len = n;
	*argument = line + start + n + (line[start + n] == ' ');
	return verb_find(*name, n);
}

static bool
all_blank(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return *text == '\0';
}

/* The command that the line begins with; *end: where its name ends. NULL: none that is known. */
static const struct verb *
line_verb(const char *line, size_t len, size_t *end)
{
	size_t start = skip_synch(line, len), n = word_length(line + start, len - start);

	*end = start + n;
	return verb_find(line + start, n);
}

bool
session_can_return(const struct session *s)
{
	return s->live && s->tls == NULL;
}

const char *
session_last_word(const struct session *s, const char *line, size_t len)
{
	size_t end;
	const struct verb *v = line_verb(line, len, &end);

	if (v == &verb_table[VERB_QUIT])
		return "QUIT";
	return v == &verb_table[VERB_REIN] && session_can_return(s) && all_blank(line + end) ? "REIN" : NULL;
}

bool
session_urgent(const char *line, size_t len)
{
	size_t end;
	const struct verb *v = line_verb(line, len, &end);

	if (v == NULL || (v->states & NOW) == 0)
		return false;
	return v->argument == ARG_IGNORED || all_blank(line + end);
}

static void
unknown_verb(struct session *s, const char *name, size_t n)
{
	struct log_line l;

	s->unknown++;
	if (verb_foreign(name, n) || (!s->live && s->unknown >= SESSION_UNKNOWN_MAX)) {
		log_begin(&l, EVENT_NOT_FTP);
		log_bytes(&l, FIELD_COMMAND, name, n < 32 ? n : 32);
		log_end(&l);
		session_hang_up(s, "This is an FTP server.");
		return;
	}
	reply(s, 500, "Unknown command.");
}

/* A decimal number of at most 63 bits and what follows it. */
static bool
take_number(struct session *s, const char *text)
{
	int64_t n = 0;

	text += strspn(text, " ");
	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *text - '0', &n))
			return false;
	s->number = n;
	s->number_rest = text;
	return *text == '\0' || *text == ' ';
}

bool
session_argument_fits(struct session *s, const struct verb *v, const char *argument)
{
	switch (v->argument) {
	case ARG_NONE:
		return all_blank(argument);
	case ARG_REQUIRED:
		return !all_blank(argument);
	case ARG_PATH:	/* how long it may be is the agent's to say, in words */
		return *argument != '\0';
	case ARG_NUMBER:
		return take_number(s, argument);
	case ARG_OPTIONAL:
	case ARG_IGNORED:
	case ARG_SECRET:
		break;
	}
	return true;
}

/* Blanks at the end, which clients send by mistake, are dropped where the row says so: names may consist of them. */
static void
strip_blanks(const struct verb *v, char *argument)
{
	size_t n = strlen(argument);

	while ((v->states & TRIM) != 0 && n > 0 && argument[n - 1] == ' ')
		argument[--n] = '\0';
}

/* The monitor passes no event of the worker on as access or transfer: those names are for what the agent decided. */
void
session_record_refusal(const struct session *s, const char *typed, const char *reason)
{
	const struct verb *v = s->verb;
	struct log_line l;

	if (v != &verb_table[VERB_RETR] && v != &verb_table[VERB_STOR] && v != &verb_table[VERB_STOU] &&
	    v != &verb_table[VERB_APPE])
		return;
	log_begin(&l, EVENT_COMMAND_REFUSED);
	log_str(&l, FIELD_OP, v->name);
	log_cut(&l, FIELD_TYPED, typed, TYPED_SHOWN);
	log_str(&l, FIELD_REASON, reason);
	log_end(&l);
}

/* Everything that the table says must hold before the handler runs. The order tells the client what to do next. */
static bool
gates_open(struct session *s, const struct verb *v, const char *argument)
{
	if (!s->live && (v->states & BEFORE) == 0)
		reply(s, 530, "Log in first, with USER and PASS.");
	else if (s->live && (v->states & AFTER) == 0)
		reply(s, 503, "%s is not possible after the login.", v->name);
	else if (!session_argument_fits(s, v, argument))
		reply(s, 501, "Usage: %s%s%s", v->name, *v->syntax == '\0' ? "" : " ", v->syntax);
	else if ((v->states & DATA) != 0 && s->data.way == DATA_NONE) {
		session_record_refusal(s, argument, "no-data-connection");
		reply(s, 425, "Prepare a data connection first, with EPSV, PASV, EPRT or PORT.");
	} else
		return true;
	return false;
}

/* RFC 959, 4.1.3: RNFR "must be immediately followed" by RNTO. What a client's timer sends is no change of mind. */
static bool
follows_rename(const struct verb *v)
{
	return v != NULL && (v == &verb_table[VERB_RNTO] || (v->states & KEEP) != 0);
}

void
session_command(struct session *s, char *line, size_t len)
{
	const struct verb *outer = s->verb, *v;
	const char *name;
	size_t name_len;
	char *argument;

	v = take_apart(line, len, &name, &name_len, &argument);
	if (s->rename_from && !follows_rename(v))
		s->rename_from = false;
	if (v == NULL) {
		unknown_verb(s, name, name_len);
		return;
	}
	s->verb = v;
	strip_blanks(v, argument);
	if (gates_open(s, v, argument))
		v->handler(s, argument);
	if ((v->states & DATA) != 0)
		transfer_refused(s);
	if (v == &verb_table[VERB_RNTO])
		s->rename_from = false;
	s->verb = outer;
	if (v->argument == ARG_SECRET || v == &verb_table[VERB_SITE]) {
		explicit_bzero(line, len);
		line_wipe(&s->in);
	}
}

/* --------------------------------------------------------------------- the loop */

static void
too_long(struct session *s)
{
	if (++s->too_long >= SESSION_LONG_MAX)
		session_hang_up(s, "Too many over-long lines.");
	else
		reply(s, 500, "The line is too long.");
}

static void
serve_line(struct session *s, enum line_result r, char *text, size_t len)
{
	if (r != LINE_COMMAND)
		s->rename_from = false;
	if (r == LINE_COMMAND)
		session_command(s, text, len);
	else if (r == LINE_CROWDED)
		reply(s, 450, "Too many commands were waiting for the end of a transfer; send this one again.");
	else if (r == LINE_BAD)
		reply(s, 501, "NUL, CR and LF cannot stand in a command.");
	else if (r == LINE_TOO_LONG)
		too_long(s);
	else
		session_hang_up(s, "No end of line in sight.");
}

/* A command that waited for the end of a transfer, or the next one that has arrived. */
static bool
serve_waiting(struct session *s)
{
	static char command[LINE_MAX_BYTES + 1];
	char *text;
	size_t len;
	enum line_result r = queue_take(&s->later, command, &len);

	if (r != LINE_NONE) {
		serve_line(s, r, command, len);
		return true;
	}
	r = line_next(&s->in, &text, &len);
	if (r == LINE_NONE)
		return false;
	/* A copy: while it is served, transfers and checksums read the lines that follow. */
	if (r == LINE_COMMAND)
		memcpy(command, text, len + 1);
	serve_line(s, r, command, r == LINE_COMMAND ? len : 0);
	return true;
}

static void
client_gone(struct session *s)
{
	stream_close(&s->control);
	session_end(s, s->live ? SP_EXIT_OK : SP_EXIT_NOAUTH);
}

static void
too_idle(struct session *s)
{
	pulse_end(s, PULSE_IDLE);
	session_stop(s, "Nothing was said for too long.", s->live ? SP_EXIT_OK : SP_EXIT_NOAUTH);
}

#define HEARD 3		/* descriptors that say something */

/*
 * poll() for that time.  Connections to the passive port are dealt with meanwhile and do not shorten it: strangers can
 * make as many as they like.
 */
static int
wait_some(struct session *s, struct pollfd p[HEARD + 1], int64_t ms)
{
	int64_t until = clock_ms() + ms;
	int r;

	for (;;) {
		p[HEARD] = (struct pollfd){ .fd = data_watched(&s->data), .events = POLLIN };
		r = poll(p, HEARD + 1, ms > INT32_MAX ? -1 : (int)ms);
		if (r <= 0 || p[HEARD].revents == 0)
			return r;
		data_attend(s);
		if (r > 1)
			return r;
		ms = until - clock_ms();
		if (ms < 0)
			return 0;
	}
}

/* Waits until the client has been idle for too long; what is needed only at work is given back before. */
static int
wait_long(struct session *s, struct pollfd p[HEARD + 1])
{
	int64_t ms = s->idle_ms;
	int r;

	if (ms > IDLE_AFTER_MS) {
		r = wait_some(s, p, IDLE_AFTER_MS);
		if (r != 0)
			return r;
		ms -= IDLE_AFTER_MS;
		idle_give_back(&s->request, sizeof s->request);
		idle_give_back(&s->answer, sizeof s->answer);
		chan_idle();
		idle_give_back_stack();
	}
	return wait_some(s, p, ms);
}

#define QUICK_MS 20	/* in which most clients send their next command */

/*
 * As poll().  When the client is not quick, what the agent is still to be told is told, and the passive port is looked
 * after; not before, or each transfer would cost another wake-up for the connection that the client makes for it.
 */
static int
wait_idle(struct session *s, struct pollfd p[HEARD + 1])
{
	int r = 0;

	if (s->finish_due || data_watched(&s->data) >= 0)
		r = poll(p, HEARD, QUICK_MS);
	if (r == 0) {
		ask_flush(s);
		r = s->ending ? -1 : wait_long(s, p);
	}
	return r;
}

/* Waits for bytes of the client or a word of the server, and takes them in. */
static void
wait_for_more(struct session *s)
{
	struct pollfd p[HEARD + 1] = {
		{ .fd = s->control.fd, .events = POLLIN },
		{ .fd = s->live ? s->files.fd : s->login.fd, .events = POLLIN },
		{ .fd = s->live ? s->log.fd : -1, .events = POLLIN },
	};
	ssize_t n;
	int r = 1;

	if (stream_pending(&s->control) > 0)
		p[0].revents = POLLIN;
	else
		r = wait_idle(s, p);
	if (r < 0)
		return;
	if (r == 0) {
		too_idle(s);
		return;
	}
	if (p[1].revents != 0 && !session_news(s))
		return;
	if (p[2].revents != 0 && !pulse_hear(s))
		return;
	if (p[0].revents == 0)
		return;
	n = session_read(s);
	if (n <= 0 && n != -EAGAIN)
		client_gone(s);
}

/* While many commands wait, the server's word is not left to wait behind them. */
static void
hear_the_server(struct session *s)
{
	struct pollfd p = { .fd = s->live ? s->files.fd : s->login.fd, .events = POLLIN };

	if (poll(&p, 1, 0) > 0)
		(void)session_news(s);
}

#define NEWS_EVERY 64	/* commands */

void
session_serve(struct session *s)
{
	unsigned served = 0;

	s->since = clock_ms();
	if (s->set->implicit_tls)
		tls_serve_implicit(s);
	if (!s->ending)
		reply_text(s, 220, s->set->banner == NULL ? "Ready." : s->set->banner);
	while (!s->ending) {
		if (s->stop)
			session_stop(s, s->stop_text, SP_EXIT_OK);
		else if (!serve_waiting(s))
			wait_for_more(s);
		else if (++served % NEWS_EVERY == 0 && !s->ending)
			hear_the_server(s);
		if (s->control.fd < 0 && !s->ending)
			session_end(s, s->live ? SP_EXIT_OK : SP_EXIT_NOAUTH);
	}
	ask_flush(s);
	queue_clear(&s->later);
	data_close(&s->data);
	/*
	 * The listener has a copy, for the case that this process cannot end: closing ours would not tell the
	 * client.
	 */
	if (s->control.fd >= 0) {
		(void)stream_shutdown(&s->control);
		(void)shutdown(s->control.fd, SHUT_WR);
	}
	/* Nobody else waits for what a client says to the wind. */
	chan_close(&s->files);
	chan_close(&s->login);
	if (s->interrupted)
		stream_linger(&s->control);
	stream_close(&s->control);
}
