/*
 * What a listing tells of an object beside its facts: who owns it, and what
 * the client may do with it (the perm fact; policy and kernel together).
 */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/listing.h"
#include "daemon/agent/names.h"
#include "privsep/msg.h"

/* The kernel's part of the perm fact, from the mode: advice, as the fact itself is. */
static uint32_t
kernel_grants(const struct agent *a, const struct statx *st, bool can_change, bool sticky)
{
	unsigned bits = st->stx_mode & 7;
	uint32_t grants = ~0u;

	if (st->stx_uid == a->uid) {
		bits = st->stx_mode >> 6 & 7;
	} else if (st->stx_gid == a->gid) {
		bits = st->stx_mode >> 3 & 7;
	} else {
		for (size_t i = 0; i < a->group_count; i++)
			if (a->groups[i] == st->stx_gid)
				bits = st->stx_mode >> 3 & 7;
	}
	if (!can_change || (sticky && st->stx_uid != a->uid))
		grants &= ~(uint32_t)(AUTHZ_DELFILE | AUTHZ_DELDIR | AUTHZ_RENFROM);
	if ((bits & 4) == 0)
		grants &= ~(uint32_t)(AUTHZ_READ | AUTHZ_LIST | AUTHZ_TRAVERSE);
	if ((bits & 2) == 0)
		grants &= ~(uint32_t)(AUTHZ_OVERWRITE | AUTHZ_APPEND);
	if ((bits & 1) == 0 && S_ISDIR(st->stx_mode))
		grants &= ~(uint32_t)(AUTHZ_CHDIR | AUTHZ_LIST | AUTHZ_TRAVERSE);
	return grants;
}

/* What may be done inside a folder, as far as its mode tells. */
static uint32_t
kernel_grants_inside(uint32_t grants)
{
	uint32_t needed = AUTHZ_OVERWRITE | AUTHZ_CHDIR;	/* w and x, read from the folder's own bits above */

	return (grants & needed) == needed ? ~0u : 0;
}

const char *
listing_perm(const struct agent *a, const struct statx *st, uint32_t rights, uint32_t inside, bool can_change, bool sticky)
{
	static char letters[AUTHZ_PERM_MAX];
	uint32_t grants = kernel_grants(a, st, can_change, sticky);

	return authz_perm(rights & grants, inside & kernel_grants_inside(grants),
	    S_ISDIR(st->stx_mode) ? AUTHZ_FOLDER : AUTHZ_FILE, letters);
}

void
listing_format(const struct agent *a, struct format *f, char owner[static 33])
{
	bool numbers = a->set->list_owner == CONF_OWNER_NUMBERS;

	(void)str_copy(owner, 33, a->user);
	for (char *p = owner; *p != '\0'; p++)
		if (*p == ' ' || *p == ';')
			*p = '_';
	format_init(f, time(NULL), a->unique_key, numbers ? NULL : owner, numbers ? NULL : owner);
}

bool
listing_may_change(int dir_fd)
{
	return dir_fd >= 0 && faccessat(dir_fd, ".", W_OK | X_OK, 0) == 0;
}

char *
listing_describe(struct agent *a, char *p, uint32_t facts)
{
	static char owner[33];
	struct format f;
	struct authz_object o = gate_object(a, &a->place);
	struct statx folder = { 0 };
	struct format_entry e = { .name = a->place.typed, .name_len = a->place.typed_len, .st = &a->place.st };
	uint32_t rights, inside;

	listing_format(a, &f, owner);
	if (a->set->list_owner == CONF_OWNER_NAMES) {
		f.owner = names_user(e.st->stx_uid);
		f.group = names_group(e.st->stx_gid);
	}
	if (facts & FACT_PERM) {
		rights = authz_rights(a->policy, &o);
		inside = o.kind == AUTHZ_FOLDER ? authz_child_rights(a->policy, &o) : 0;
		(void)statx(a->place.dir_fd, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID, &folder);
		e.perm = listing_perm(a, e.st, rights, inside, listing_may_change(a->place.dir_fd) && a->place.path_len > 1,
		    (folder.stx_mode & S_ISVTX) != 0 && folder.stx_uid != a->uid);
	}
	return format_facts(&f, p, &e, facts);
}
