/*
 * The layer "posix1e": mode bits and POSIX.1e lists decide
 * alone, because the session runs as the user.  It grants everything here; an
 * account with only this layer behaves as under a plain FTP daemon.
 */
#include "authz/layer.h"

#include <stddef.h>

static int
system_compile(struct layer *l, struct compiler *c)
{
	for (size_t i = 0; i < l->source_count; i++) {
		struct lines lines;

		lines_begin(&lines, l->sources[i].text);
		while (lines_next(&lines)) {
			struct span s = span_trim((struct span){ lines.start, lines.len });
			char q[QUOTED_MAX];

			if (s.len)
				complain(c, &l->sources[i], lines.number, 1, false, "nothing after the word posix1e",
				    "the system's permissions take no rules: %s", quoted(s, q));
		}
	}
	return 0;
}

static uint32_t
system_rights(struct layer *l, const struct request *r, struct authz_hit *hit)
{
	(void)l;
	(void)r;
	(void)hit;
	return AUTHZ_ALL;
}

static uint32_t
system_session(struct layer *l, struct authz_hit *hit)
{
	(void)l;
	(void)hit;
	return AUTHZ_ALL;
}

static void
system_cite(
    const struct layer *l, const struct request *r, const struct authz_hit *hit, uint32_t missing, struct text *t)
{
	(void)l;
	(void)r;
	(void)hit;
	(void)missing;
	text_add(t, "left to the system's permissions");
}

const struct dialect dialect_kernel = {
	.name = "posix1e",
	.compile = system_compile,
	.rights = system_rights,
	.session = system_session,
	.cite = system_cite,
};
