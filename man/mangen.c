/*
 * Makes a manual page out of its template: a line that is @NAME@ becomes what
 * the generator of that name prints from one of the tables; @word@ within a
 * line becomes a path or the version.  An unknown name is an error.
 *
 *	mangen < page.in > page
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "man/mdoc.h"

static const struct { const char *name, *value;
} words[] = {
	{ "sysconfdir", SP_SYSCONFDIR },
	{ "libexecdir", SP_LIBEXECDIR },
	{ "statedir", SP_STATEDIR },
	{ "logdir", SP_LOGDIR },
	{ "rundir", SP_RUNDIR },
	{ "sbindir", SP_SBINDIR },
	{ "version", PACKAGE_VERSION },
};

static const struct generator *const generators[] = { conf_generators, verb_generators, role_generators, ctl_generators, log_generators,
	authz_generators };

/* Prints escaped for mdoc. quoted: within "...". */
static void
put_escaped(const char *s, size_t n, bool quoted)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\')
			fputs("\\e", stdout);
		else if (s[i] == '"' && quoted)
			fputs("\\(dq", stdout);
		else if (s[i] == '~')
			fputs("\\(ti", stdout);
		else if (s[i] == '^')
			fputs("\\(ha", stdout);
		else if (s[i] == '-' && quoted)
			fputs("\\-", stdout);
		else
			putchar(s[i]);
	}
}

/* Does a sentence end at p (a full stop, then a blank and a capital)? */
static bool
sentence_ends(const char *p)
{
	return p[0] == '.' && p[1] == ' ' &&
	       ((p[2] >= 'A' && p[2] <= 'Z') || (p[2] >= '0' && p[2] <= '9') || p[2] == '.' || p[2] == '$');
}

void
mdoc_text(const char *s)
{
	while (*s != '\0') {
		const char *end = s;

		while (*end != '\0' && !sentence_ends(end))
			end++;
		end += *end != '\0';
		if (*s == '.' || *s == '\'')
			fputs("\\&", stdout);
		put_escaped(s, (size_t)(end - s), false);
		putchar('\n');
		s = end + strspn(end, " ");
	}
}

void
mdoc_macro(const char *name, ...)
{
	va_list ap;
	const char *arg;

	printf(".%s", name);
	va_start(ap, name);
	while ((arg = va_arg(ap, const char *)) != NULL) {
		fputs(" \"", stdout);
		put_escaped(arg, strlen(arg), true);
		putchar('"');
	}
	va_end(ap);
	putchar('\n');
}

void
mdoc_value(const char *lead, const char *value)
{
	printf(".No %s Ql \"", lead);
	put_escaped(value, strlen(value), true);
	puts("\" .");
}

void
mdoc_list_begin(const char *width)
{
	printf(".Bl -tag -width %s\n", width);
}

void
mdoc_list_end(void)
{
	puts(".El");
}

/* Runs the generator of a line. false: there is none. */
static bool
generate(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof generators / sizeof *generators; i++)
		for (const struct generator *g = generators[i]; g->name != NULL; g++)
			if (strlen(g->name) == n && strncmp(g->name, name, n) == 0) {
				g->print();
				return true;
			}
	return false;
}

/* Replaces @word@ in a line. false: an unknown one. */
static bool
substitute(const char *line)
{
	const char *at, *end;
	size_t i;

	while ((at = strchr(line, '@')) != NULL && (end = strchr(at + 1, '@')) != NULL) {
		fwrite(line, 1, (size_t)(at - line), stdout);
		for (i = 0; i < sizeof words / sizeof *words; i++)
			if (strncmp(at + 1, words[i].name, (size_t)(end - at - 1)) == 0 &&
			    words[i].name[end - at - 1] == '\0')
				break;
		if (i == sizeof words / sizeof *words)
			return false;
		fputs(words[i].value, stdout);
		line = end + 1;
	}
	fputs(line, stdout);
	return true;
}

int
main(void)
{
	char line[2048];
	bool ok = true;

	while (ok && fgets(line, sizeof line, stdin) != NULL) {
		size_t n = strcspn(line, "\n");

		if (n > 2 && line[0] == '@' && line[n - 1] == '@' &&
		    strspn(line + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == n - 2)
			ok = generate(line + 1, n - 2);
		else
			ok = substitute(line);
		if (!ok)
			fprintf(stderr, "mangen: nothing is known of %s", line);
	}
	return ok && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
