/*
 * Tables of values separated by commas, as spreadsheets write them (RFC 4180): values may stand in quotation marks, and
 * then hold commas, line ends, and quotation marks written twice.  Semicolons separate where the heading has them, and
 * a byte order mark in front is skipped.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "ctl/account.h"

#define FIELDS_MAX 200

struct csv {
	FILE *in;
	char *text; /* of the record, values ended by NUL */
	size_t len, room;
	size_t at[FIELDS_MAX]; /* where its values begin */
	size_t n;
	unsigned long line; /* that is being read */
	int separator;      /* 0: not known yet */
	bool no_memory;
};

static void
put(struct csv *c, char byte)
{
	if (c->len == c->room) {
		size_t room = c->room == 0 ? 4096 : 2 * c->room;
		char *more = malloc(room); /* not realloc(3): passwords in clear may stand here */

		if (more == NULL) {
			c->no_memory = true;
			return;
		}
		if (c->len > 0)
			memcpy(more, c->text, c->len);
		if (c->text != NULL)
			explicit_bzero(c->text, c->room);
		free(c->text);
		c->text = more;
		c->room = room;
	}
	c->text[c->len++] = byte;
}

/* The next byte; both ways to end a line are one. */
static int
get(struct csv *c)
{
	int byte = getc(c->in);

	if (byte == '\r') {
		byte = getc(c->in);
		if (byte != '\n') {
			(void)ungetc(byte, c->in);
			byte = '\n';
		}
	}
	if (byte == '\n')
		c->line++;
	return byte;
}

/* Between quotation marks; returns what follows the second one, or -2: it never came. */
static int
take_quoted(struct csv *c)
{
	int byte;

	while ((byte = get(c)) != EOF) {
		if (byte == '"') {
			byte = get(c);
			if (byte != '"')
				return byte;
		}
		put(c, (char)byte);
	}
	return -2;
}

static bool
is_separator(struct csv *c, int byte)
{
	if (c->separator == 0 && (byte == ',' || byte == ';'))
		c->separator = byte;
	return c->separator != 0 && byte == c->separator;
}

/* One value; returns what ended it: a separator, a line end, EOF, or -2: it is not whole. */
static int
take_value(struct csv *c)
{
	int byte = get(c);

	if (c->n == FIELDS_MAX)
		return -2;
	c->at[c->n++] = c->len;
	if (byte == '"') {
		byte = take_quoted(c);
	} else {
		for (; byte != EOF && byte != '\n' && !is_separator(c, byte); byte = get(c)) {
			if (byte == '"' || byte == '\0')
				return -2;
			put(c, (char)byte);
		}
	}
	put(c, '\0');
	return byte == EOF || byte == '\n' || is_separator(c, byte) ? byte : -2;
}

/* 1: a record; 0: the end; SP_EFORMAT; -ENOMEM. */
static int
take_record(struct csv *c)
{
	int end = 0;

	c->len = c->n = 0;
	do
		end = take_value(c);
	while (end >= 0 && end != '\n');
	if (c->no_memory)
		return -ENOMEM;
	if (end == -2)
		return SP_EFORMAT;
	return end == EOF && c->n == 1 && c->text[0] == '\0' ? 0 : 1;
}

static void
skip_mark(FILE *in)
{
	int first = getc(in);

	if (first == 0xef) {
		(void)getc(in);
		(void)getc(in);
	} else if (first != EOF) {
		(void)ungetc(first, in);
	}
}

int
csv_read(FILE *in, csv_record *record, void *context, unsigned long *line)
{
	struct csv c = { .in = in, .line = 1 };
	char *field[FIELDS_MAX];
	bool more = true;
	int r = 1;

	skip_mark(in);
	while (more && (*line = c.line, r = take_record(&c)) == 1) {
		for (size_t i = 0; i < c.n; i++)
			field[i] = c.text + c.at[i];
		if (c.n > 1 || (c.n == 1 && field[0][0] != '\0')) /* else an empty line */
			more = record(context, *line, c.n, field);
	}
	if (c.text != NULL)
		explicit_bzero(c.text, c.room);
	free(c.text);
	return r == 1 ? 0 : r == 0 && ferror(in) ? -EIO : r;
}
