/*
 * Listings: LIST, MLSD, NLST and STAT with a path, pulled by the worker in
 * pieces of up to LISTING_CHUNK bytes (listing.c); entries in their order
 * (entries.c).  A listing that cannot be completed ends with FAILED, never
 * short.  Used by the agent only; names in the tree are not trusted.
 */
#ifndef AGENT_LISTING_H
#define AGENT_LISTING_H

#include "daemon/agent/agent.h"
#include "daemon/agent/entries.h"
#include "daemon/agent/format.h"

#define LISTING_CHUNK	61440

/* Writes the MLST line of agent->place: facts, a blank, the path as typed. Returns its end. */
char *listing_describe(struct agent *, char *p, uint32_t facts);

/* ---- perm.c -------------------------------------------------------------------- */

/* What the perm fact is made of. */
struct perm_of {
	const struct statx *st;	/* the object, behind a link */
	uid_t name_uid;		/* who owns what DELE, RMD and RNFR would act on: the object, or the link */
	uint32_t rights;	/* on the object */
	uint32_t name_rights;	/* on its name: for DELE, RMD and RNFR */
	uint32_t inside;	/* of new members (folders) */
	bool can_change;	/* names in its folder may be added and removed */
	bool sticky;		/* only by their owners */
};

/*
 * The letters of the perm fact: what the policy grants, less what the kernel
 * would refuse as far as modes tell.  Valid until the next call.
 */
const char *listing_perm(const struct agent *, const struct perm_of *);
/* Prepares lines as the settings want owners shown; owner is the room for the account's own name. */
void listing_format(const struct agent *, struct format *, char owner[static 33]);
/* May names be added and removed in the folder? */
bool listing_may_change(int dir_fd);

/* ---- look.c: what an entry is --------------------------------------------------- */

enum link {
	LINK_NONE,		/* no link */
	LINK_TOLD,		/* shown with its target */
	LINK_TO_FILE,		/* shown as what it leads to */
	LINK_TO_FOLDER,		/* shown as a link, the target is not told */
	LINK_TO_NOTHING		/* the same: nowhere that the client could go */
};

struct looked {
	struct statx st;	/* what is shown */
	uid_t name_uid;		/* the owner of the name itself */
	enum link link;
	const char *target;	/* of LINK_TOLD, valid until the next call; otherwise NULL */
};

/*
 * Looks at an entry of an open folder, whose canonical path and rules are
 * given.  0, or 1 when it has vanished.
 */
int listing_look(struct agent *, int fd, const char *folder, struct authz_listing *, const struct entry *, struct looked *);
/* Lets go of what the last look found behind a link. */
void listing_look_done(void);
/* The perm fact of the entry that was looked at last. can_change, sticky: as in struct perm_of. */
const char *listing_look_perm(struct agent *, struct authz_listing *, const char *name, const struct looked *,
    bool can_change, bool sticky);

#endif
