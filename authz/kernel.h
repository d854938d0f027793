/*
 * What the kernel will say: mode bits, POSIX.1e ACLs, sticky folders,
 * capabilities, read-only mounts and the flags of chattr(1), predicted without
 * trying.  For explanations ("sallyctl why"), lint and tests; the real
 * decision is always the kernel's own.
 *
 * kernel_decide() touches nothing: facts in, answer and reason out.
 * kernel_look() collects those facts from a file system; it needs the right
 * to look everywhere (root) and /proc.  Facts and names are not trusted:
 * reasons bear them escaped by whoever prints them.
 *
 * The order of tests is that of Linux (fs/namei.c, fs/posix_acl.c), which
 * differs from acl(5) in one place: while the mask is empty the ACL is not
 * looked at, and whoever is not owner or in the owning group is judged by the
 * other entry.
 */
#ifndef AUTHZ_KERNEL_H
#define AUTHZ_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "authz/authz.h"
#include "authz/posixacl.h"

/* Capabilities that change an answer; or'ed. */
enum kernel_cap {
	KERNEL_DAC_OVERRIDE	= 1 << 0,	/* reads and writes everything, runs what anybody may run */
	KERNEL_DAC_READ_SEARCH	= 1 << 1,	/* reads files, lists and searches folders */
	KERNEL_FOWNER		= 1 << 2,	/* counts as owner */
	KERNEL_CHOWN		= 1 << 3,	/* gives files away */
	KERNEL_ALL_CAPS		= (1 << 4) - 1
};

/* Who asks. */
struct kernel_cred {
	uid_t uid;
	gid_t gid;
	const gid_t *groups;		/* supplementary */
	size_t group_count;
	unsigned caps;
};

enum kernel_flag {
	KERNEL_READ_ONLY	= 1 << 0,	/* the mount or the file system */
	KERNEL_IMMUTABLE	= 1 << 1,	/* chattr +i */
	KERNEL_APPEND_ONLY	= 1 << 2	/* chattr +a */
};

/* One object as the kernel sees it. */
struct kernel_node {
	const char *path;		/* for reasons */
	uint64_t device, inode;		/* is it the same folder? 0, 0: not known */
	mode_t mode;			/* type included */
	uid_t uid;
	gid_t gid;
	const struct pacl_row *acl;	/* the extended access ACL in canonical order; NULL: mode bits only */
	size_t acl_count;
	unsigned flags;			/* enum kernel_flag */
};

/* A path: the folders searched on the way, the parent last; and the object, NULL when missing. */
struct kernel_path {
	const struct kernel_node *folder;
	size_t folder_count;
	const struct kernel_node *object;
};

/* How reasons name users and groups. Returns dst. NULL in a request: numbers. */
typedef const char *kernel_namer(void *context, enum pacl_tag tag, uint32_t id, char *dst, size_t size);

/* What is asked. */
struct kernel_request {
	enum authz_op op;
	const struct kernel_path *path;		/* NULL for operations of the session */
	const struct kernel_path *other; /* RNFR: the target, RNTO: the source; NULL: not known (a rename in place) */
	uid_t new_uid;				/* CHOWN: (uid_t)-1 leaves it */
	gid_t new_gid;
	kernel_namer *namer;
	void *namer_context;
};

/*
 * May cred do this?  0, or the error that the system call would give: -EACCES,
 * -EPERM, -ENOENT, -EROFS, -ENOTDIR, ...  text (may be NULL) gets the
 * deciding fact in one line, for 0 too:
 * `/srv/x: user:bob:rw- mask r-- -> r--, wanted w`.
 */
int kernel_decide(const struct kernel_request *, const struct kernel_cred *, char *text, size_t size);

/* The access check of one object alone; want is PACL_READ and so on, or'ed. 0 or -EACCES, -EPERM, -EROFS. */
int kernel_access(const struct kernel_node *, const struct kernel_cred *, unsigned want);

/* Whether an operation looks at a symbolic link itself instead of what it points to. */
bool kernel_op_on_link(enum authz_op);

/* Names as the system's name services know them, for struct kernel_request. */
kernel_namer kernel_nss_name;

/* ------------------------------------------------------------------ looking */

/* Facts of a path, collected by kernel_look(). */
struct kernel_facts;

/*
 * Walks path below root ("/" or a jail's folder) as the agent does: symbolic
 * links are resolved inside root, at most 40; the last one is left alone when
 * on_link.  A missing last part is no error (kernel_facts_path() then has no
 * object); -ENOENT and -ENOTDIR mean a part before it.  *out is ended with
 * kernel_facts_free().
 */
int kernel_look(const char *root, const char *path, bool on_link, struct kernel_facts **out);
/* The facts as kernel_decide() wants them; they live as long as the facts. */
const struct kernel_path *kernel_facts_path(const struct kernel_facts *);
/* What the path is, for the policy layers. */
enum authz_kind kernel_facts_kind(const struct kernel_facts *);
/* The path below root after links were resolved, canonical. */
const char *kernel_facts_resolved(const struct kernel_facts *);
void kernel_facts_free(struct kernel_facts *);

/*
 * Both in one: would the kernel let this subject, without capabilities, do op
 * on path below root?  other: a rename's other path (RNFR: the target, RNTO:
 * the source), NULL where there is none.  1 yes, 0 no, -errno when it cannot be
 * told; text is filled in every case.  A way that ends before the object
 * (missing folders, files in their place, links in a circle) is a no.
 */
int kernel_predict(const struct authz_subject *who, const char *root, enum authz_op op, const char *path,
    const char *other, kernel_namer *namer, char *text, size_t size);

#endif
