#include "config.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "account/account.h"
#include "account/unix.h"
#include "common/err.h"
#include "common/str.h"

/* -------------------------------------------------------------- login_hours */

static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* A day's three letters; -1: none. */
static int
take_day(const char **s)
{
	for (int i = 0; i < 7; i++)
		if (strncasecmp(*s, day_names[i], 3) == 0) {
			*s += 3;
			return i;
		}
	return -1;
}

/* "Mon", "Mon-Fri", or nothing: every day. A mask of days, 0 when malformed. */
static unsigned
take_days(const char **s)
{
	int first, last;
	unsigned mask = 0;

	if (**s >= '0' && **s <= '9')
		return 0x7f;
	first = take_day(s);
	if (first < 0)
		return 0;
	last = first;
	if (**s == '-') {
		++*s;
		last = take_day(s);
		if (last < 0)
			return 0;
	}
	for (int d = first;; d = (d + 1) % 7) {
		mask |= 1u << d;
		if (d == last)
			return mask;
	}
}

/* "07:00" in minutes, at most 24:00; -1: malformed. */
static int
take_time(const char **s)
{
	const char *p = *s;
	int minutes;

	for (int i = 0; i < 5; i++)
		if (i == 2 ? p[i] != ':' : p[i] < '0' || p[i] > '9')
			return -1;
	minutes = ((p[0] - '0') * 10 + p[1] - '0') * 60 + (p[3] - '0') * 10 + p[4] - '0';
	*s += 5;
	return p[3] > '5' || minutes > 24 * 60 ? -1 : minutes;
}

/* One "Mon-Fri 07:00-19:30". A range that passes midnight belongs to the day it begins on. */
static int
take_range(const char **s, const struct tm *now)
{
	int minute = now->tm_hour * 60 + now->tm_min, from = 0, to = 24 * 60;
	unsigned days = take_days(s), today = 1u << now->tm_wday, yesterday = 1u << ((now->tm_wday + 6) % 7);

	*s = skip_blanks(*s);
	if (**s >= '0' && **s <= '9') {
		from = take_time(s);
		if (from < 0 || **s != '-')
			return SP_EFORMAT;
		++*s;
		to = take_time(s);
	}
	*s = skip_blanks(*s);
	if (days == 0 || to < 0 || (**s != ',' && **s != '\0'))
		return SP_EFORMAT;
	if (from <= to)
		return (days & today) != 0 && minute >= from && minute < to;
	return ((days & today) != 0 && minute >= from) || ((days & yesterday) != 0 && minute < to);
}

int
account_hours_include(const char *hours, const struct tm *now)
{
	int result = 0;

	for (const char *s = skip_blanks(hours);; s = skip_blanks(s + 1)) {
		int r = take_range(&s, now);

		if (r < 0)
			return r;
		result |= r;
		if (*s == '\0')
			return result;
	}
}

/* -------------------------------------------------------------------- rules */

static enum account_reason
check_time(const struct account *a, time_t now)
{
	const struct settings *s = &a->resolved->s;
	struct tm tm;

	if (a->expires != 0 && now >= a->expires)
		return REASON_EXPIRED;
	if (s->expires != 0 && now >= s->expires)
		return REASON_EXPIRED;
	if (s->login_hours != NULL && (localtime_r(&now, &tm) == NULL || account_hours_include(s->login_hours, &tm) != 1))
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
	r = check_identity(q, a);
	if (r != REASON_NONE)
		return r;
	if (s->tls >= CONF_TLS_CONTROL && !q->tls)
		return REASON_TLS;
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
