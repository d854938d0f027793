/* Reads ftpcluster's .permissions files (dialects 4.1, 4.2). */
#include "authz/ftpcluster.h"

#include <string.h>

const struct letter cluster_letters[] = {
	{ 'l', AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_CHDIR | AUTHZ_STAT | AUTHZ_READLINK | AUTHZ_GETACL },
	{ 'r', AUTHZ_READ },
	{ 'w', AUTHZ_CREATE | AUTHZ_APPNEW | AUTHZ_RENTO },
	{ 'd', AUTHZ_DELFILE },
	{ 'm', AUTHZ_MKDIR },
	{ 's', AUTHZ_DELDIR },
	{ 'n', AUTHZ_RENFROM },
	{ 'a', AUTHZ_CHOWN },
};
const size_t cluster_letter_count = sizeof(cluster_letters) / sizeof(cluster_letters[0]);

#define LETTER_W (1u << 2)
#define LETTER_D (1u << 3)

uint32_t
cluster_rights(uint32_t letters, uint32_t choices)
{
	uint32_t rights = 0;

	for (size_t i = 0; i < cluster_letter_count; i++)
		if (letters & 1u << i)
			rights |= cluster_letters[i].rights;
	/* Overwriting is deleting and storing. */
	if ((letters & LETTER_W) && (letters & LETTER_D))
		rights |= AUTHZ_OVERWRITE | AUTHZ_APPEND | AUTHZ_RENREPL;
	if ((choices & AUTHZ_CLUSTER_APPEND_W) && (letters & LETTER_W))
		rights |= AUTHZ_APPEND;
	if (choices & AUTHZ_CLUSTER_CHOWN_ADMIN)
		rights &= ~(uint32_t)AUTHZ_CHOWN;
	return rights;
}

static bool
parse_letters(struct span s, uint32_t *letters)
{
	*letters = 0;
	for (size_t i = 0; i < s.len; i++) {
		size_t n = 0;

		while (n < cluster_letter_count && cluster_letters[n].letter != s.at[i])
			n++;
		if (n == cluster_letter_count)
			return false;
		*letters |= 1u << n;
	}
	return true;
}

/* A subject: a number, or "*" (then *everybody). */
static bool
parse_subject(struct span s, uint32_t *uid, bool *everybody)
{
	uint64_t v = 0;

	*everybody = span_is(s, "*");
	if (*everybody)
		return true;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.at[i] - '0');
		if (v >= AUTHZ_NOBODY)
			return false;
	}
	*uid = (uint32_t)v;
	return s.len > 0;
}

/* The last entry of a subject counts; one with an unknown letter leaves him nothing from this file. */
static void
enter(struct cluster_entry *e, bool good, uint32_t letters, unsigned line)
{
	e->present = true;
	e->bad |= !good;
	e->letters = letters;
	e->line = line;
}

static void
parse_line(struct span s, unsigned line, uint32_t uid, struct cluster_file *f, cluster_complain *say, void *context)
{
	const char *comment = memchr(s.at, '#', s.len);
	struct span rest = { s.at, comment ? (size_t)(comment - s.at) : s.len }, subject = span_word(&rest);
	uint32_t letters = 0, who = AUTHZ_NOBODY;
	bool everybody, good;

	if (subject.len == 0)
		return;
	if (!parse_subject(subject, &who, &everybody)) {
		if (!f->malformed)
			f->malformed_line = line;
		f->malformed = true;
		if (say)
			say(context, line, true, "the subject is neither a number nor *", subject);
		return;
	}
	rest = span_trim(rest);
	good = parse_letters(rest, &letters);
	if (!good && say)
		say(context, line, false, "letters out of lrwdmsna were expected", rest);
	if (everybody)
		enter(&f->everybody, good, letters, line);
	else if (who == uid && uid != AUTHZ_NOBODY)
		enter(&f->own, good, letters, line);
}

void
cluster_parse(const char *text, size_t len, uint32_t uid, struct cluster_file *f, cluster_complain *say, void *context)
{
	const char *end = text + len;
	unsigned line = 1;

	memset(f, 0, sizeof(*f));
	if (memchr(text, '\0', len)) {
		f->malformed = true;
		f->malformed_line = 1;
		if (say)
			say(context, 1, true, "the file holds a NUL byte", (struct span){ "", 0 });
		return;
	}
	for (; text < end; line++) {
		const char *next = memchr(text, '\n', (size_t)(end - text));
		size_t n = next ? (size_t)(next - text) : (size_t)(end - text);
		struct span s = { text, n };

		if (s.len && s.at[s.len - 1] == '\r')
			s.len--;
		parse_line(s, line, uid, f, say, context);
		text += n + 1;
	}
}
