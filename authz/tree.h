/*
 * What a policy asks of the tree - control files, owners - answered through the
 * descriptors of the place that is decided on, never by a path: a folder that
 * is renamed meanwhile takes its rules along, and what is decided on is what is
 * acted on (DESIGN.md, invariant 3).
 *
 * Used by the agent and by sallyctl, so that both give the same answers.  The
 * places must come from a root with root.chain; nothing of the tree is trusted.
 */
#ifndef AUTHZ_TREE_H
#define AUTHZ_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "authz/authz.h"
#include "authz/root.h"

#define TREE_OWNER	"user.sallyport.owner"	/* extended attribute: the owner's number, where a language keeps owners */

struct tree {
	struct authz_tree hooks;	/* for authz_compile() */
	uid_t uid;
	uint32_t dialect_uid;
	const struct place *at;		/* what is asked about; NULL: nothing */
	bool changed;			/* an object was no longer the one that was found: find and decide anew */

	/* While a folder is listed, which is the object of at. */
	int list_fd;			/* -1: none */
	uint32_t list_owner;
	const char *entry;		/* the entry in hand, NULL: none */
	uid_t entry_uid;
};

/* uid, dialect_uid: whose policy it is. The structure must stay where it is as long as the policy lives. */
void tree_init(struct tree *, uid_t uid, uint32_t dialect_uid);

/*
 * From now on questions are about this place; kept by reference. NULL: about none, and everything is denied.  Never
 * two: over links, the path of one may be a name for a folder of the other.
 */
void tree_at(struct tree *, const struct place *);

/*
 * The members of the folder that tree_at() named last are listed; fd stays the caller's, -1 ends it.  Changes the
 * process's working directory, which nothing else may rely on.
 */
void tree_list(struct tree *, int fd);
/* The member in hand and its Unix owner; NULL: none. */
void tree_list_entry(struct tree *, const char *name, uid_t uid);

/*
 * Finds a path of a client's for an operation (enum authz_op, or negative), as root_find() does from the working
 * directory cwd.  "~" and what begins with "~/" mean the directory start, in which the session began, where the
 * working directory has no such name.
 */
int tree_find(const struct root *, const char *cwd, const char *start, int op, const char *path, enum root_last, struct place *);

/* The object of a place as the engine wants it. resolved: links count, so that both paths are judged. */
struct authz_object tree_object(const struct place *, bool resolved);

#endif
