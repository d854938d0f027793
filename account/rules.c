#include "config.h"

#include <string.h>
#include <unistd.h>

#include "account/account.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/hours.h"
#include "common/str.h"

/* -------------------------------------------------------------------- rules */

/* Hours that cannot be read let nobody in. */
static bool
hours_allow(const char *text, time_t now)
{
	struct hours hours;
	const char *bad;
	struct tm tm;

	return hours_parse(&hours, text, &bad) == 0 && localtime_r(&now, &tm) != NULL && hours_have(&hours, &tm);
}

static enum account_reason
check_time(const struct account *a, time_t now)
{
	const struct settings *s = &a->resolved->s;

	if (a->expires != 0 && now >= a->expires)
		return REASON_EXPIRED;
	if (s->expires != 0 && now >= s->expires)
		return REASON_EXPIRED;
	if (s->login_hours != NULL && !hours_allow(s->login_hours, now))
		return REASON_TIME;
	return REASON_NONE;
}

static enum account_reason
check_address(const struct account_query *q, const struct settings *s)
{
	if (s->allowed_networks.n > 0 && (q->peer == NULL || !addr_nets_have(&s->allowed_networks, q->peer)))
		return REASON_ADDRESS;
	if (s->rejected_networks.n > 0 && (q->peer == NULL || addr_nets_have(&s->rejected_networks, q->peer)))
		return REASON_ADDRESS;
	return REASON_NONE;
}

/* Nobody is served as root or one of the system's own users, whatever a source says. */
static enum account_reason
check_identity(const struct account_query *q, const struct account *a)
{
	if (a->uid == ACCOUNT_ID_NONE)
		return REASON_UID;
	if (geteuid() != 0)
		return REASON_NONE;	/* there is no other identity than our own */
	if (a->uid == 0 || (a->uid < (uint64_t)q->base->uid_min && (a->flags & ACCOUNT_ANONYMOUS) == 0))
		return REASON_UID;
	return unix_group_forbidden(a->gid) ? REASON_GROUP : REASON_NONE;
}

enum account_reason
account_check_rules(const struct account_query *q, const struct account *a, time_t now)
{
	const struct settings *s = &a->resolved->s;
	enum account_reason r;

	if (!a->enabled || !s->enabled)
		return REASON_DISABLED;
	if (a->barred != REASON_NONE)
		return a->barred;
	r = check_identity(q, a);
	if (r != REASON_NONE)
		return r;
	if (s->tls >= CONF_TLS_CONTROL && !q->tls)
		return REASON_TLS;
	if (s->certificate_login == CONF_CERTLOGIN_AND && !account_certificate_fits(q, s))
		return REASON_CERTIFICATE;
	r = check_time(a, now);
	return r != REASON_NONE ? r : check_address(q, s);
}

/* ------------------------------------------------------------- placeholders */

/* A name as one path component: what means something to a shell or another system's paths becomes a dot. */
static int
safe_component(const char *name, char *out, size_t size)
{
	if (str_copy(out, size, name) != 0)
		return SP_ERANGE;
	for (char *p = out; *p != '\0'; p++)
		if (strchr("\\/:*?\"<>|", *p) != NULL || (unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '.';
	/* Names that turn out as "." or ".." would lead out of the folder that they are to name. */
	return out[0] == '\0' || strspn(out, ".") == strlen(out) ? SP_EFORMAT : 0;
}

/* The text of a placeholder "${NAME}" of n bytes. */
static int
placeholder(const struct account *a, const char *p, size_t n, char *out, size_t size)
{
	if (n == 7 && strncmp(p, "${USER}", n) == 0)
		return safe_component(a->name, out, size);
	if (n == 10 && strncmp(p, "${OS_HOME}", n) == 0 && a->home != NULL)
		return str_copy(out, size, a->home) == 0 ? 0 : SP_ERANGE;
	return SP_EFORMAT;
}

int
account_expand(const struct account *a, const char *text, char *out, size_t size)
{
	size_t used = 0;

	while (*text != '\0') {
		const char *end = text[0] == '$' && text[1] == '{' ? strchr(text, '}') : NULL;
		int r;

		if (size - used < 2)
			return SP_ERANGE;
		if (end == NULL) {
			out[used++] = *text++;
			continue;
		}
		r = placeholder(a, text, (size_t)(end - text) + 1, out + used, size - used);
		if (r != 0)
			return r;
		used += strlen(out + used);
		text = end + 1;
	}
	out[used] = '\0';
	return 0;
}
