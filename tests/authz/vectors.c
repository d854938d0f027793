/*
 * vectors FILE...: runs the rows of vector files (tab-separated: dialect, id,
 * policy, user, command, path, expected, source, note; \n \t \\ are escapes)
 * through the engine.  Prints the ids that fail with what the engine said, and
 * last "N passed, N failed, N skipped".  Exit status 0 when none failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tests/authz/posix1e.h"
#include "tests/authz/run.h"

static int
run_row(const struct row *row, char *why, size_t size)
{
	struct run r = { .row = row };
	int answer;

	if (strcmp(row->dialect, "posix1e") == 0)
		return posix1e_row(row->policy, row->user, row->command, row->path, why, size);
	world_read(&r.world, row->policy);
	answer = run_language(&r);
	snprintf(why, size, "%s", r.why);
	authz_free(r.policy);
	world_free(&r.world);
	return answer;
}

/* \n, \t and \\ in place. */
static void
unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1]) {
			s++;
			*out++ = (char)(*s == 'n' ? '\n' : *s == 't' ? '\t' : *s);
		} else
			*out++ = *s;
	}
	*out = '\0';
}

/* Takes the end of the line off; a CR inside a field belongs to it. */
static void
strip_end(char *line)
{
	size_t n = strlen(line);

	if (n && line[n - 1] == '\n')
		line[--n] = '\0';
	if (n && line[n - 1] == '\r')
		line[n - 1] = '\0';
}

static bool
read_row(char *line, struct row *row)
{
	const char **fields[] = { &row->dialect, &row->id, &row->policy, &row->user, &row->command, &row->path,
		&row->expected };
	char *rest = line;

	strip_end(line);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char *field = strsep(&rest, "\t");

		if (!field)
			return false;
		unescape(field);
		*fields[i] = field;
	}
	return true;
}

struct count {
	unsigned passed, failed, skipped;
};

static void
run_line(char *line, struct count *count)
{
	struct row row;
	char why[1024] = "";
	int answer;

	if (*line == '#' || *line == '\n' || *line == '\0')
		return;
	if (!read_row(line, &row)) {
		printf("malformed line: %.60s\n", line);
		count->failed++;
		return;
	}
	answer = run_row(&row, why, sizeof(why));
	if (answer == SKIP) {
		count->skipped++;
		printf("%s: skipped: %s\n", row.id, why);
	} else if ((answer == ALLOW) == (strcmp(row.expected, "allow") == 0)) {
		count->passed++;
		if (getenv("VECTORS_VERBOSE"))
			printf("%s: %s: %s\n", row.id, row.expected, why);
	} else {
		count->failed++;
		printf("%s: failed: %s %s %s: expected %s: %s\n", row.id, row.user, row.command, row.path, row.expected,
		    why);
	}
}

static void
silent(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	(void)level;
	(void)text;
	(void)len;
}

static int
run_file(const char *name, struct count *count)
{
	FILE *in = fopen(name, "r");
	char *line = NULL;
	size_t size = 0;

	if (!in) {
		perror(name);
		return -1;
	}
	while (getline(&line, &size, in) >= 0)
		run_line(line, count);
	free(line);
	fclose(in);
	return 0;
}

int
main(int argc, char **argv)
{
	static const char *const own[] = { "vectors.tsv", "corners.tsv" };
	struct count count = { 0, 0, 0 };
	const char *top = getenv("top_srcdir");
	char name[4096];
	int bad = 0;

	log_set_sink(silent, NULL);
	for (size_t i = 0; argc < 2 && i < sizeof(own) / sizeof(own[0]); i++) {
		snprintf(name, sizeof(name), "%s/tests/authz/%s", top ? top : ".", own[i]);
		bad |= run_file(name, &count);
	}
	for (int i = 1; i < argc; i++)
		bad |= run_file(argv[i], &count);
	posix1e_end();
	printf("%u passed, %u failed, %u skipped\n", count.passed, count.failed, count.skipped);
	return bad || count.failed ? 1 : 0;
}
