#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/cluster.h"

#define FIRST_NUMBER	1000	/* where a file without a counter begins */
#define NUMBER_MAX	4294967294

/* ---------------------------------------------------------------------- reading */

static bool
is_name(const char *p, size_t n)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789.+-";

	for (size_t i = 0; i < n; i++)
		if (p[i] == '\0' || strchr(alphabet, p[i]) == NULL)
			return false;
	return n > 0 && !(n == 1 && p[0] == '.') && !(n == 2 && p[0] == '.' && p[1] == '.');
}

bool
cluster_name_ok(const char *name)
{
	return is_name(name, strlen(name));
}

bool
cluster_field_ok(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == ':' || (unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int64_t
number_of(const char *p, size_t n)
{
	int64_t number = 0;

	if (n == 0 || n > 10)
		return -1;
	for (; n > 0; n--, p++) {
		if (*p < '0' || *p > '9')
			return -1;
		number = number * 10 + (*p - '0');
	}
	return number > NUMBER_MAX ? -1 : number;
}

/* The fields of a line of n bytes; returns how many, 5 for more. */
static unsigned
split(const char *line, size_t n, const char *field[4], size_t len[4])
{
	const char *end = line + n;
	unsigned count = 0;

	for (;;) {
		const char *colon = memchr(line, ':', (size_t)(end - line));

		if (count == 4)
			return 5;
		field[count] = line;
		len[count++] = (size_t)((colon == NULL ? end : colon) - line);
		if (colon == NULL)
			return count;
		line = colon + 1;
	}
}

static bool
parse_row(const char *line, size_t n, struct cluster_row *row)
{
	const char *field[4];
	size_t len[4];

	if (split(line, n, field, len) != 4 || !is_name(field[0], len[0]))
		return false;
	row->name = field[0];
	row->name_len = len[0];
	row->password = field[1];
	row->password_len = len[1];
	row->number = number_of(field[2], len[2]);
	row->home = field[3];
	row->home_len = len[3];
	return row->number >= 0;
}

static size_t
line_length(const char *line)
{
	return strcspn(line, "\n");
}

/* Without the carriage return that editors of other systems leave. */
static size_t
content_length(const char *line)
{
	size_t n = line_length(line);

	return n > 0 && line[n - 1] == '\r' ? n - 1 : n;
}

static bool
is_counter(const char *line)
{
	return line[0] == '_' && line[1] == ':';
}

bool
cluster_next(const char **at, unsigned *line, struct cluster_row *row, unsigned *wrong)
{
	while (**at != '\0') {
		const char *p = *at;
		size_t n = content_length(p);

		++*line;
		*at = p + line_length(p);
		*at += **at == '\n';
		row->line = *line;
		if (n == 0 || is_counter(p))
			continue;
		if (parse_row(p, n, row))
			return true;
		if (wrong != NULL)
			++*wrong;
	}
	return false;
}

bool
cluster_find(const char *text, const char *name, struct cluster_row *row)
{
	unsigned line = 0;

	while (cluster_next(&text, &line, row, NULL))
		if (strlen(name) == row->name_len && memcmp(name, row->name, row->name_len) == 0)
			return true;
	return false;
}

bool
cluster_is_locked(const struct cluster_row *row)
{
	return row->password_len == 1;
}

/* ---------------------------------------------------------------------- writing */

/*
 * As asprintf(), but for what that leaves in memory of texts on their way: passwords are among them. NULL: no
 * memory.
 */
static char * __attribute__((format(printf, 1, 2)))
made_of(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (out = malloc((size_t)n + 1)) == NULL)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(out, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return out;
}

/* text with the bytes from cut to end replaced. */
static char *
replaced(const char *text, const char *cut, const char *end, const char *with)
{
	return made_of("%.*s%s%s", (int)(cut - text), text, with, end);
}

char *
cluster_with_password(const char *text, const struct cluster_row *row, const char *password)
{
	return replaced(text, row->password, row->password + row->password_len, password);
}

/*
 * What the third field of a line says, whether the line is an account, the counter or nothing that can be used:
 * files may belong to that number.  -1: nothing; beyond NUMBER_MAX: more than there are.
 */
static int64_t
number_in(const char *line)
{
	const char *field[4];
	size_t len[4], n = content_length(line);

	if (split(line, n, field, len) < 3)
		return -1;
	if (len[2] > 0 && strspn(field[2], "0123456789") >= len[2]) {
		int64_t number = number_of(field[2], len[2]);

		return number < 0 ? NUMBER_MAX + 1 : number;
	}
	return -1;
}

/*
 * The number for one more account: what the counter says, but never 0, which is the administrator's, and never one that
 * a line holds or that lies below it, which would make the account somebody's twin.  *counter: its line, or NULL.
 */
static int64_t
next_number(const char *text, const char **counter)
{
	int64_t next = 1, number;

	*counter = NULL;
	for (const char *p = text; *p != '\0'; p += line_length(p), p += *p == '\n') {
		bool counts = is_counter(p);

		number = number_in(p);
		if (counts && *counter == NULL && number >= 0)
			*counter = p;
		number += !counts;	/* the counter's is free, an account's is not */
		next = number > next ? number : next;
	}
	return *counter == NULL && next < FIRST_NUMBER ? FIRST_NUMBER : next;
}

/* text with lines and the counter behind them, where the counter stood (NULL: at the end). */
static char *
counted(const char *text, const char *lines, const char *counter, int64_t next)
{
	const char *end = text + strlen(text), *at = counter == NULL ? end : counter, *behind = at + line_length(at);
	bool open_line = at > text && at[-1] != '\n';
	char *out, *with = made_of("%s%s_:-:%lld%s", open_line ? "\n" : "", lines, (long long)next, counter == NULL ? "\n" : "");

	if (with == NULL)
		return NULL;
	out = replaced(text, at, behind, with);
	explicit_bzero(with, strlen(with));
	free(with);
	return out;
}

char *
cluster_without(const char *text, const struct cluster_row *row)
{
	const char *end = row->home + line_length(row->home), *counter;
	int64_t next = next_number(text, &counter);
	char *left = replaced(text, row->name, end + (*end == '\n'), ""), *out;

	/* Nobody else is to get the number with the files that still belong to it. */
	if (left == NULL || next_number(left, &counter) == next)
		return left;
	out = counted(left, "", counter, next);
	explicit_bzero(left, strlen(left));
	free(left);
	return out;
}

char *
cluster_with_account(const char *text, const char *name, const char *password, const char *home, int64_t *number)
{
	const char *counter;
	char *line, *out;

	*number = next_number(text, &counter);
	if (*number > NUMBER_MAX || (line = made_of("%s:%s:%lld:%s\n", name, password, (long long)*number, home)) == NULL)
		return NULL;
	out = counted(text, line, counter, *number + 1);
	explicit_bzero(line, strlen(line));
	free(line);
	return out;
}
