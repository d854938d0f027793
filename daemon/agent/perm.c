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

#define NAME_RIGHTS	((uint32_t)(AUTHZ_DELFILE | AUTHZ_DELDIR | AUTHZ_RENFROM))

/* The kernel's part of the perm fact, from the mode: advice, as the fact itself is. */
static uint32_t
kernel_grants(const struct agent *a, const struct statx *st)
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
listing_perm(const struct agent *a, const struct perm_of *p)
{
	static char letters[AUTHZ_PERM_MAX];
	uint32_t grants = kernel_grants(a, p->st), rights = p->rights & grants & ~NAME_RIGHTS;

	/* Of a socket, a device or a link that leads nowhere clients can have the name only. */
	if (!S_ISREG(p->st->stx_mode) && !S_ISDIR(p->st->stx_mode))
		rights = 0;
	if (p->can_change && !(p->sticky && p->name_uid != a->uid))
		rights |= p->name_rights & NAME_RIGHTS;
	return authz_perm(rights, p->inside & kernel_grants_inside(grants), S_ISDIR(p->st->stx_mode) ? AUTHZ_FOLDER : AUTHZ_FILE,
	    letters);
}

void
listing_format(const struct agent *a, struct format *f, char owner[static 33])
{
	bool numbers = a->set->list_owner == CONF_OWNER_NUMBERS;

	(void)str_copy(owner, 33, a->user);
	format_init(f, time(NULL), a->unique_key, numbers ? NULL : owner, numbers ? NULL : owner);
}

bool
listing_may_change(int dir_fd)
{
	return dir_fd >= 0 && faccessat(dir_fd, ".", W_OK | X_OK, 0) == 0;
}

/* What DELE, RMD and RNFR would act on when they are given the path of agent->place: it, or the link that led to it. */
static void
look_at_name(struct agent *a, struct perm_of *p)
{
	struct place *name = &a->source;
	struct authz_object o;
	struct statx folder = { 0 };

	if (root_find(&a->root, "/", a->place.typed, ROOT_NAME, name) != 0 || name->error != 0 || !name->found)
		return;
	p->can_change = name->path_len > 1 && listing_may_change(name->dir_fd);
	p->name_uid = name->st.stx_uid;
	(void)statx(name->dir_fd, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID, &folder);
	p->sticky = (folder.stx_mode & S_ISVTX) != 0 && folder.stx_uid != a->uid;
	if (!S_ISLNK(name->st.stx_mode))
		return;
	o = gate_object(a, name);
	tree_at(&a->tree, name);
	p->name_rights = authz_rights(a->policy, &o);
	if (S_ISDIR(p->st->stx_mode))	/* RMD removes no link, and the d of a folder is RMD's */
		p->name_rights &= ~(uint32_t)AUTHZ_DELDIR;
}

static const char *
perm_of_place(struct agent *a)
{
	struct authz_object o = gate_object(a, &a->place);
	struct perm_of p = { .st = &a->place.st };

	p.rights = p.name_rights = authz_rights(a->policy, &o);
	p.inside = o.kind == AUTHZ_FOLDER ? authz_child_rights(a->policy, &o) : 0;
	look_at_name(a, &p);
	return listing_perm(a, &p);
}

char *
listing_describe(struct agent *a, char *p, uint32_t facts)
{
	static char owner[33];
	struct format f;
	struct format_entry e = { .name = a->place.typed, .name_len = a->place.typed_len, .st = &a->place.st };

	listing_format(a, &f, owner);
	if (a->set->list_owner == CONF_OWNER_NAMES) {
		f.owner = names_user(e.st->stx_uid);
		f.group = names_group(e.st->stx_gid);
	}
	if (facts & FACT_PERM)
		e.perm = perm_of_place(a);
	return format_facts(&f, p, &e, facts);
}
