/*
 * Client certificates as part of a login.  The worker has verified the
 * certificate and says in plain lines what it is for; nothing here parses one.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "account/account.h"

/* Is one of the lines this text? */
static bool
says(const struct account_query *q, const char *id)
{
	const char *p = (const char *)q->certificate, *end = p + q->certificate_len;
	const size_t n = strlen(id);

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const size_t len = (size_t)((newline == NULL ? end : newline) - p);

		if (len == n && strncasecmp(p, id, n) == 0)
			return true;
		p += len + 1;
	}
	return false;
}

bool
account_certificate_fits(const struct account_query *q, const struct settings *s)
{
	if (q->certificate == NULL || q->certificate_len == 0 || !q->tls)
		return false;
	for (size_t i = 0; i < s->certificate_id.n; i++)
		if (*s->certificate_id.v[i] != '\0' && says(q, s->certificate_id.v[i]))
			return true;
	return false;
}
