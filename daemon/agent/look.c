/*
 * What one entry of a listing is, and what may be done with it.
 *
 * A symbolic link is two things: a name, which DELE and RNFR act on, and what
 * it leads to, which all else acts on.  Clients that remove a folder with all
 * that is in it descend into whatever a listing calls a folder, so a link to a
 * folder is never called one: it is told as the link that DELE removes.  A
 * link to a file is shown as that file, because clients then fetch the right
 * number of bytes, and DELE removes the link all the same.  One that leads
 * nowhere the client may go is no empty file, which a mirror would then hold.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/listing.h"

#define STAT_FLAGS	(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)
#define STAT_MASK	(STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_MTIME | STATX_INO | STATX_SIZE)

static struct place behind;	/* where the link looked at last leads; too large for the stack */

/* Where a link leads, when listings show that and the policy grants it; otherwise NULL. */
static const char *
target_of(const struct agent *a, int fd, struct authz_listing *rules, const char *name)
{
	static char target[ROOT_PATH_MAX + 1];
	ssize_t n;

	if (!a->set->show_links || (authz_listing_rights(rules, name, AUTHZ_FILE, NULL) & AUTHZ_READLINK) == 0)
		return NULL;
	n = readlinkat(fd, name, target, sizeof target - 1);
	target[n > 0 ? n : 0] = '\0';
	return n > 0 ? target : NULL;
}

/* A link whose target is not told: shown as the file it leads to, otherwise as a link. */
static void
follow(struct agent *a, const char *folder, const char *name, struct looked *out)
{
	int r;

	root_leave(&behind);
	r = root_find(&a->root, folder, name, ROOT_FOLLOW, &behind);
	out->name_uid = out->st.stx_uid;
	out->link = LINK_TO_NOTHING;
	out->st.stx_size = 0;	/* that of a target that is not told */
	if (r != 0 || behind.error != 0 || !behind.found)
		return;
	if (root_is_folder(&behind)) {
		out->link = LINK_TO_FOLDER;
	} else {
		out->link = LINK_TO_FILE;
		out->st = behind.st;
	}
}

void
listing_look_done(void)
{
	root_leave(&behind);
}

int
listing_look(struct agent *a, int fd, const char *folder, struct authz_listing *rules, const struct entry *entry,
    struct looked *out)
{
	struct statx *st = &out->st;

	out->link = LINK_NONE;
	out->target = NULL;
	if (statx(fd, entry->name, STAT_FLAGS, STAT_MASK, st) < 0) {
		if (errno == ENOENT)
			return 1;
		/* A mount that does not answer, for instance: it is there, and that is all we know. */
		memset(st, 0, sizeof *st);
		st->stx_mode = entry->type == DT_UNKNOWN ? S_IFREG : (uint16_t)DTTOIF(entry->type);
	}
	out->name_uid = st->stx_uid;
	if (!S_ISLNK(st->stx_mode))
		return 0;
	if ((out->target = target_of(a, fd, rules, entry->name)) != NULL)
		out->link = LINK_TOLD;
	else
		follow(a, folder, entry->name, out);
	return 0;
}

const char *
listing_look_perm(struct agent *a, struct authz_listing *rules, const char *name, const struct looked *e, bool can_change,
    bool sticky)
{
	enum authz_kind kind = S_ISDIR(e->st.stx_mode) ? AUTHZ_FOLDER : AUTHZ_FILE;
	struct perm_of p = { .st = &e->st, .name_uid = e->name_uid, .can_change = can_change, .sticky = sticky };

	p.rights = p.name_rights = authz_listing_rights(rules, name, kind, &p.inside);
	if (e->link == LINK_TO_FILE && a->set->link_policy == CONF_LINK_BOTH) {
		p.rights &= gate_rights(a, &behind);
		policy_list_on(a);
	}
	return listing_perm(a, &p);
}
