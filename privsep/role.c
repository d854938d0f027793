#include "config.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "privsep/role.h"

#define C(x)		(UINT64_C(1) << CAP_##x)
#define ALL_CAPS	(~UINT64_C(0))
#define AGENT_CAPS	(C(SETUID) | C(SETGID) | C(SETPCAP) | C(SYS_CHROOT))
/* What PAM's usual modules do: faillock and lastlog, limits, login uid, helpers, home folders. */
#define MONITOR_CAPS	(AGENT_CAPS | C(CHOWN) | C(DAC_OVERRIDE) | C(DAC_READ_SEARCH) | C(FOWNER) | C(FSETID) | \
			 C(KILL) | C(NET_BIND_SERVICE) | C(SYS_RESOURCE) | C(AUDIT_WRITE) | C(AUDIT_CONTROL))
/* SYS_ADMIN makes the empty network namespaces of templates and keeper. */
#define LISTENER_CAPS	(MONITOR_CAPS | C(SYS_ADMIN))

#define USERS(...)	{ __VA_ARGS__ }
#define CAPS(...)	{ __VA_ARGS__ }
#define FILTERS(...)	{ __VA_ARGS__ }

static const struct role_row rows[] = {
#define ROLE(role, name, program, users, caps, filters, flags, files, doc) \
	{ role, name, program, users, caps, filters, flags, files, doc },
#include "privsep/roles.def"
#undef ROLE
};

const struct role_row *
role_row(enum msg_role role)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].role == role)
			return &rows[i];
	return NULL;
}

unsigned
role_filters(const struct role_row *row, enum role_phase phase)
{
	unsigned n = 0;

	for (int i = 0; i <= (int)phase; i++)
		n += row->filter[i] != FILTER_NONE;
	return n;
}

const char *
role_phase_name(enum role_phase phase)
{
	static const char *const names[PHASE_COUNT] = { "template", "spare", "live" };

	return names[phase];
}

const char *
role_user_name(enum role_user user)
{
	static const char *const names[] = { "root", "worker_user", "monitor_user", "keeper_user", "session" };

	return names[user];
}

/* "uid" or "uid:gid". */
static int
parse_numbers(const char *text, struct role_id *id)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || n >= UINT32_MAX)
		return SP_EFORMAT;
	id->uid = id->gid = (uid_t)n;
	if (*end == '\0')
		return 0;
	if (*end != ':' || end[1] < '0' || end[1] > '9')
		return SP_EFORMAT;
	n = strtoul(end + 1, &end, 10);
	if (errno != 0 || n >= UINT32_MAX || *end != '\0')
		return SP_EFORMAT;
	id->gid = (gid_t)n;
	return 0;
}

int
role_find_user(const char *text, struct role_id *id)
{
	const struct passwd *p;

	if (text == NULL || *text == '\0')
		return SP_EFORMAT;
	if (*text >= '0' && *text <= '9')
		return parse_numbers(text, id);
	errno = 0;
	p = getpwnam(text);
	if (p == NULL)
		return errno != 0 && errno != ENOENT && errno != ESRCH ? -errno : -ENOENT;
	id->uid = p->pw_uid;
	id->gid = p->pw_gid;
	return 0;
}
