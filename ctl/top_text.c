/* The lines of sallyctl top, for any width. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "common/str.h"
#include "ctl/top_model.h"

/* How many columns the terminal gives a character of that many bytes; -1: it must not see it. */
static int
width_of(const char *text, size_t left, size_t *bytes)
{
	uint32_t code = 0;

	*bytes = str_utf8(text, left, &code);
	if (*bytes == 0 || str_hidden(code) || code == 0 || !iswprint((wint_t)code)) {
		*bytes = *bytes == 0 ? 1 : *bytes;
		return -1;
	}
	return wcwidth((wchar_t)code);
}

size_t
top_text(char *dst, size_t size, const char *text, size_t columns, bool fill)
{
	size_t len = 0, used = 0, left = strlen(text), n;
	char shown[4 * 4 + 1];
	int width;

	for (; left > 0; text += n, left -= n) {
		width = width_of(text, left, &n);
		if (width >= 0)
			(void)str_format(shown, sizeof shown, "%.*s", (int)n, text);
		else
			for (size_t i = 0; i < n; i++)
				(void)str_format(shown + 4 * i, sizeof shown - 4 * i, "\\x%02x", (unsigned char)text[i]);
		width = width < 0 ? (int)(4 * n) : width;
		if (used + (size_t)width > columns || len + strlen(shown) >= size)
			break;
		len += str_format(dst + len, size - len, "%s", shown) == 0 ? strlen(shown) : 0;
		used += (size_t)width;
	}
	for (; fill && used < columns && len + 1 < size; used++)
		dst[len++] = ' ';
	dst[len] = '\0';
	return used;
}

/* "12.3M": at most six characters. */
static void
amount(char *dst, size_t size, double bytes)
{
	static const char units[] = " KMGTPE";
	size_t i = 0;

	for (; bytes >= 999.5 && units[i + 1] != '\0'; i++)
		bytes /= 1024;
	if (i == 0)
		(void)str_format(dst, size, "%.0f", bytes);
	else
		(void)str_format(dst, size, "%.*f%c", bytes < 99.95 ? 1 : 0, bytes, units[i]);
}

static void
duration(char *dst, size_t size, int64_t seconds)
{
	if (seconds < 600)
		(void)str_format(dst, size, "%" PRId64 "s", seconds);
	else if (seconds < 36000)
		(void)str_format(dst, size, "%" PRId64 "m", seconds / 60);
	else
		(void)str_format(dst, size, "%" PRId64 "h", seconds / 3600);
}

/* ------------------------------------------------------------------------- columns */

enum { BAR_WIDTH = 10, CELL_SIZE = 2600 };

static double
rate_of(const struct top_session *s)
{
	return s->rate_in + s->rate_out;
}

static void
cell_session(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	(void)str_format(dst, CELL_SIZE, "%s", s->id);
}

static void
cell_user(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	(void)str_format(dst, CELL_SIZE, "%s", *s->user == '\0' ? "-" : s->user);
}

static void
cell_peer(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	(void)str_format(dst, CELL_SIZE, "%s", s->peer);
}

static void
cell_state(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	(void)str_format(dst, CELL_SIZE, "%s", s->state);
}

static void
cell_idle(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	duration(dst, CELL_SIZE, s->idle);
}

static void
cell_in(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	amount(dst, CELL_SIZE, s->rate_in);
}

static void
cell_out(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	amount(dst, CELL_SIZE, s->rate_out);
}

static void
cell_bytes(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	amount(dst, CELL_SIZE, (double)s->bytes_in + (double)s->bytes_out);
}

/* The fastest session of all has the whole bar, and a session that moves anything a mark of it. */
static void
cell_bar(const struct top *t, const struct top_session *s, char *dst)
{
	double most = 0;
	size_t n;

	for (size_t i = 0; i < t->n; i++)
		most = rate_of(&t->session[i]) > most ? rate_of(&t->session[i]) : most;
	n = most > 0 ? (size_t)(rate_of(s) / most * BAR_WIDTH + 0.5) : 0;
	n = n == 0 && rate_of(s) > 0 ? 1 : n;
	memset(dst, '#', n);
	dst[n] = '\0';
}

static void
cell_activity(const struct top *t, const struct top_session *s, char *dst)
{
	(void)t;
	(void)str_format(dst, CELL_SIZE, "%s", s->activity);
}

static const struct {
	const char *heading;
	size_t width;		/* 0: what is left */
	size_t from;		/* the terminal's width from which it is shown */
	bool right;		/* a number */
	void (*cell)(const struct top *, const struct top_session *, char *dst);
} cells[] = {
	{ "SESSION", 9, 60, false, cell_session },
	{ "USER", 14, 0, false, cell_user },
	{ "PEER", 24, 90, false, cell_peer },
	{ "STATE", 8, 24, false, cell_state },
	{ "IDLE", 5, 72, true, cell_idle },
	{ "IN/s", 6, 40, true, cell_in },
	{ "OUT/s", 6, 34, true, cell_out },
	{ "BYTES", 6, 110, true, cell_bytes },
	{ "", BAR_WIDTH, 80, false, cell_bar },
	{ "ACTIVITY", 0, 50, false, cell_activity },
};

/* One cell at the end of a line of *used columns. */
static size_t
put(char *dst, size_t size, size_t columns, size_t i, size_t *used, const char *text)
{
	size_t len = strlen(dst), room = columns - *used, width = cells[i].width, pad = 0;

	if (*used > 0 && room > 0 && len + 1 < size) {
		dst[len++] = ' ';
		(*used)++;
		room--;
	}
	width = width == 0 || width > room ? room : width;
	if (cells[i].right && strlen(text) < width)
		pad = width - strlen(text);
	if (len + pad + 1 > size)
		return len;
	memset(dst + len, ' ', pad);
	dst[len + pad] = '\0';
	*used += pad + top_text(dst + len + pad, size - len - pad, text, width - pad, true);
	return strlen(dst);
}

static void
line(const struct top *t, const struct top_session *s, char *dst, size_t size, size_t columns)
{
	char cell[CELL_SIZE];
	size_t used = 0;

	columns = columns > TOP_COLUMNS_MAX ? TOP_COLUMNS_MAX : columns;
	dst[0] = '\0';
	for (size_t i = 0; i < sizeof cells / sizeof *cells && used < columns; i++) {
		if (columns < cells[i].from)
			continue;
		if (s != NULL)
			cells[i].cell(t, s, cell);
		(void)put(dst, size, columns, i, &used, s == NULL ? cells[i].heading : cell);
	}
}

void
top_line_heading(char *dst, size_t size, size_t columns)
{
	line(NULL, NULL, dst, size, columns);
}

void
top_line_session(const struct top *t, const struct top_session *s, char *dst, size_t size, size_t columns)
{
	line(t, s, dst, size, columns);
}

/* -------------------------------------------------------------------------- totals */

static size_t
in_state(const struct top *t, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += strcmp(t->session[i].state, state) == 0;
	return n;
}

void
top_line_totals(const struct top *t, char *dst, size_t size, size_t columns)
{
	char text[400], in[16], out[16];
	double rate_in = 0, rate_out = 0;

	for (size_t i = 0; i < t->n; i++) {
		rate_in += t->session[i].rate_in;
		rate_out += t->session[i].rate_out;
	}
	amount(in, sizeof in, rate_in);
	amount(out, sizeof out, rate_out);
	(void)str_format(text, sizeof text,
	    "%zu sessions, in %s/s, out %s/s, %zu transfer, %zu blocked, %zu ending, "
	    "logins %.1f/s, failed %.1f/s, refused %.1f/s",
	    t->n, in, out, in_state(t, "transfer"), in_state(t, "blocked"), in_state(t, "ending"), t->logins.rate,
	    t->failures.rate, t->refusals.rate);
	(void)top_text(dst, size, text, columns, false);
}

void
top_line_order(const struct top *t, char *dst, size_t size, size_t columns)
{
	char text[200];

	(void)str_format(text, sizeof text, "by %s%s%s%s", top_order_name(t->order), t->reverse ? ", reversed" : "",
	    *t->filter != '\0' ? ", only " : "", t->filter);
	(void)top_text(dst, size, text, columns, false);
}
