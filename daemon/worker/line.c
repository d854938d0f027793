#include "config.h"

#include <string.h>
#include <strings.h>

#include "daemon/worker/line.h"

/* Telnet, RFC 854: WILL WONT DO DONT carry an option byte; below SE nothing is a command. */
enum { TELNET_SE = 240, TELNET_WILL = 251, TELNET_DONT = 254, TELNET_IAC = 255 };

void
line_init(struct line_reader *l)
{
	l->pos = l->end = 0;
	l->state = LINE_TEXT;
	l->len = l->seen = 0;
	l->bad = l->too_long = l->argument = l->strict = false;
}

void
line_discard(struct line_reader *l)
{
	explicit_bzero(l->raw, l->end);
	line_init(l);
}

bool
line_begins(const struct line_reader *l, const char *verb)
{
	size_t i = 0, n = strlen(verb);

	if (l->seen == 0)
		return false;
	/* Bytes in front of a verb are none of it (Telnet Synch). */
	while (i < l->len && (unsigned char)l->text[i] >= 0x80)
		i++;
	return l->len == i || strncasecmp(l->text + i, verb, l->len - i < n ? l->len - i : n) == 0;
}

bool
line_more(const struct line_reader *l)
{
	return l->pos != l->end;
}

/* Does the argument of the line that has begun, or goes on with these bytes, begin in them?  As add() sees it. */
static bool
reaches_argument(const struct line_reader *l, const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while ((l->seen == 0 || l->len == 0) && i < n && (bytes[i] == ' ' || bytes[i] == '\t'))
		i++;
	return l->argument || memchr(bytes + i, ' ', n - i) != NULL;
}

size_t
line_length(const struct line_reader *l, const uint8_t *bytes, size_t n)
{
	const uint8_t *at = bytes, *lf;

	while ((lf = memchr(at, '\n', n - (size_t)(at - bytes))) != NULL) {
		bool after_cr = lf > bytes ? lf[-1] == '\r' : l->state == LINE_CR;

		at = lf + 1;
		if (after_cr || !l->strict || !reaches_argument(l, bytes, (size_t)(lf - bytes)))
			return (size_t)(at - bytes);
	}
	return n;
}

uint8_t *
line_room(struct line_reader *l, size_t *space)
{
	if (l->pos == l->end)
		l->pos = l->end = 0;
	*space = sizeof l->raw - l->end;
	return l->raw + l->end;
}

void
line_filled(struct line_reader *l, size_t n)
{
	l->end += n;
}

/* One byte of text. Blanks before the verb do not count; what does not fit condemns the line. */
static void
add(struct line_reader *l, uint8_t c)
{
	if (l->len == 0 && (c == ' ' || c == '\t'))
		return;
	if (c == ' ')
		l->argument = true;
	if (l->len < LINE_MAX_BYTES)
		l->text[l->len++] = (char)c;
	else
		l->too_long = true;
}

/*
 * A byte after IAC; true when it has been dealt with.  Before the argument, an
 * IAC with no command behind it is a mark whose other half went as urgent
 * data.  In the argument, it is a 0xFF that the client did not double.
 */
static bool
after_iac(struct line_reader *l, uint8_t c)
{
	if (c == TELNET_IAC || l->argument)
		add(l, TELNET_IAC);
	if (c == TELNET_IAC)
		return true;
	if (l->argument || c < TELNET_SE)
		return false;
	if (c >= TELNET_WILL && c <= TELNET_DONT)
		l->state = LINE_IAC_OPTION;
	return true;
}

/*
 * Does this LF end the line?  With the CR before it, it does.  Alone it does for clients that know nothing else, and
 * where it is the last that has come: a person or a careless program waits for the reply there.  In the middle of what
 * a client sent that has ended a line with CR LF before, it is part of a name, and the rest of that name is no command.
 * A verb holds no name.  Where a read or a segment may have ended in the middle of a line, nothing is the last.
 */
static bool
ends_line(struct line_reader *l, bool after_cr)
{
	bool last = l->pos == l->end && l->end < sizeof l->raw && l->seen <= LINE_SEGMENT;

	if (after_cr)
		l->strict = true;
	return after_cr || !l->strict || !l->argument || last;
}

/* True at the end of a line. */
static bool
eat(struct line_reader *l, uint8_t c)
{
	enum line_state was = l->state;

	l->seen++;
	l->state = LINE_TEXT;
	if (was == LINE_IAC_OPTION)
		return false;
	if (was == LINE_IAC && after_iac(l, c))
		return false;
	if (was == LINE_CR) {
		if (c == '\0') {
			add(l, '\r');
			return false;
		}
		if (c != '\n')
			l->bad = true;
	}
	if (c == '\n' && ends_line(l, was == LINE_CR))
		return true;
	if (c == '\r')
		l->state = LINE_CR;
	else if (c == TELNET_IAC)
		l->state = LINE_IAC;
	else if (c == '\0' || c == '\n')
		l->bad = true;
	else
		add(l, c);
	return false;
}

/* The verdict on a finished line; the next one starts afresh. */
static enum line_result
finish(struct line_reader *l)
{
	enum line_result r = LINE_COMMAND;

	if (l->too_long)
		r = LINE_TOO_LONG;
	else if (l->bad)
		r = LINE_BAD;
	else if (l->len == 0)
		r = LINE_NONE;
	l->bad = l->too_long = l->argument = false;
	l->seen = 0;
	return r;
}

enum line_result
line_next(struct line_reader *l, char **text, size_t *len)
{
	while (l->pos < l->end) {
		enum line_result r;

		if (l->seen == 0)
			l->len = 0;
		if (!eat(l, l->raw[l->pos++])) {
			if (l->seen > LINE_FLOOD)
				return LINE_FLOODED;
			continue;
		}
		r = finish(l);
		if (r == LINE_NONE)
			continue;
		l->text[l->len] = '\0';
		*text = l->text;
		*len = l->len;
		return r;
	}
	return LINE_NONE;
}

void
line_wipe(struct line_reader *l)
{
	explicit_bzero(l->text, l->len);
	explicit_bzero(l->raw, l->pos);
}
