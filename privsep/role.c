#include "config.h"

#include <errno.h>
#include <grp.h>
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
#define ROLE(role, name, program, users, caps, filters, flags, files, memory, doc) \
	{ role, name, program, users, caps, filters, flags, files, memory, doc },
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

enum msg_role
role_helper(enum msg_role role)
{
	return role == ROLE_MONITOR ? ROLE_CLERK : ROLE_ANY;
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

/* A number that fits an id, up to the end of the text. */
static int
parse_id(const char *text, uint32_t *id)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n >= UINT32_MAX)
		return SP_EFORMAT;
	*id = (uint32_t)n;
	return 0;
}

/* What the name service says when it does not know a name differs between systems (getpwnam(3)). */
static int
not_found(void)
{
	return errno == 0 || errno == ENOENT || errno == ESRCH || errno == EBADF || errno == EPERM ? -ENOENT : -errno;
}

static int
find_uid(const char *text, struct role_id *id)
{
	const struct passwd *p;
	int r = 0;

	if (*text >= '0' && *text <= '9') {
		r = parse_id(text, &id->uid);
		id->gid = id->uid;
		return r;
	}
	errno = 0;
	p = getpwnam(text);
	if (p == NULL)
		return not_found();
	id->uid = p->pw_uid;
	id->gid = p->pw_gid;
	return 0;
}

static int
find_gid(const char *text, struct role_id *id)
{
	const struct group *g;

	if (*text == '\0' || (*text >= '0' && *text <= '9'))
		return parse_id(text, &id->gid);
	errno = 0;
	g = getgrnam(text);
	if (g == NULL)
		return not_found();
	id->gid = g->gr_gid;
	return 0;
}

int
role_find_user(const char *text, struct role_id *id)
{
	char user[256];
	const char *colon;
	int r;

	if (text == NULL)
		return SP_EFORMAT;
	colon = strchrnul(text, ':');
	if (colon == text || (size_t)(colon - text) >= sizeof user)
		return SP_EFORMAT;
	memcpy(user, text, (size_t)(colon - text));
	user[colon - text] = '\0';
	r = find_uid(user, id);
	return r == 0 && *colon == ':' ? find_gid(colon + 1, id) : r;
}
