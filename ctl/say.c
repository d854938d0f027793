/* Messages and answers: what reaches a terminal is escaped first. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "ctl/ctl.h"

/* Control bytes and broken UTF-8 as \xHH; quotes and backslashes stay, they do no harm to a terminal. */
static void
print_line(FILE *out, const char *line, size_t n)
{
	char safe[1024];
	size_t part;

	while (n > 0) {
		part = strcspn(line, "\"\\");
		part = part > n ? n : part;
		if (part == 0) {
			fputc(*line, out);
			part = 1;
		} else {
			/* Four characters a byte at most; cut between sequences, not inside one. */
			part = part > sizeof(safe) / 4 - 1 ? sizeof(safe) / 4 - 1 : part;
			while (part > 1 && part < n && ((unsigned char)line[part] & 0xc0) == 0x80)
				part--;
			str_escape(safe, sizeof(safe), line, part);
			fputs(safe, out);
		}
		line += part;
		n -= part;
	}
}

static void
print_lines(FILE *out, const char *head, const char *text)
{
	const char *end;

	for (; *text != '\0'; text = *end == '\0' ? end : end + 1) {
		end = text + strcspn(text, "\n");
		fputs(head, out);
		for (const char *tab; (tab = memchr(text, '\t', (size_t)(end - text))) != NULL; text = tab + 1) {
			print_line(out, text, (size_t)(tab - text));
			fputc('\t', out);
		}
		print_line(out, text, (size_t)(end - text));
		if (*end == '\n' || *head != '\0')
			fputc('\n', out);
	}
}

int
ctl_fail(const struct invocation *inv, int code, const char *fmt, ...)
{
	char head[96], *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	(void)str_format(head, sizeof(head), "sallyctl%s%s: ", inv != NULL && inv->command != NULL ? " " : "",
	    inv != NULL && inv->command != NULL ? inv->command->name : "");
	fflush(stdout);
	print_lines(stderr, head, text != NULL ? text : "out of memory");
	free(text);
	return code;
}

void
ctl_finding(
    const struct invocation *inv, const char *path, unsigned line, const char *name, const char *value, const char *why)
{
	char at[16] = "";

	if (line > 0)
		(void)str_format(at, sizeof(at), "%u:", line);
	(void)ctl_fail(inv, CTL_OK, "%s:%s %s %s: %s", path, at, name, value, why);
}

int
ctl_fail_code(const struct invocation *inv, int exit_code, const char *what, int code)
{
	return ctl_fail(inv, exit_code, "%s: %s", what, sp_strerror(code));
}

static void
drop_line(void *context, enum log_level level, const char *text, size_t len)
{
	(void)context;
	(void)level;
	(void)text;
	(void)len;
}

void
ctl_hush_log(bool hush)
{
	log_set_sink(hush ? drop_line : log_to_fd, hush ? NULL : (void *)(intptr_t)STDERR_FILENO);
}

void
ctl_print_safe(const char *text)
{
	print_lines(stdout, "", text);
}

void
ctl_print_name(const char *name)
{
	print_line(stdout, name, strlen(name));
}

int
ctl_print_json(const struct invocation *inv, struct json *j)
{
	const char *text = json_text(j);
	int code = j->error;

	if (text != NULL)
		puts(text);
	json_free(j);
	return text != NULL ? CTL_OK : ctl_fail_code(inv, CTL_FAILED, "answer", code);
}
