/*
 * From a client's path to a descriptor, below one root and nowhere else.
 *
 * root.c is the only file of sallyport that opens what a client named.  One
 * walk yields the canonical virtual path, a descriptor of the folder that
 * holds the object, and the single name of the object in it.  What is decided
 * is decided on that path, what is done is done on that descriptor and name.
 *
 * Rules (DESIGN.md, "Files"): ".." is resolved textually and never leaves the
 * root; the root of an absolute symbolic link is the virtual one; at most
 * ROOT_LINKS_MAX links; a canonical path holds no link.  The kernel is asked
 * with openat2(2) RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, so that a link that
 * appears after it was looked at is met again, never followed.
 *
 * Used by the agent, and by sallyctl for the same answers without the server.
 * It trusts neither the paths nor the tree.
 */
#ifndef AUTHZ_ROOT_H
#define AUTHZ_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/reserved.h"

#define ROOT_PATH_MAX	4095	/* bytes of a virtual path */
#define ROOT_NAME_MAX	255
#define ROOT_LINKS_MAX	40
#define ROOT_WILD_CARDS	"*?["
#define ROOT_CHAIN_MAX	200	/* folders of one place that are held open; an agent has 1024 descriptors for four places */

/* Names that begin so are uploads that are not complete: no client can name them. */
#define ROOT_RESERVED	RESERVED_PREFIX

struct root {
	int fd;		/* the directory that clients see as "/"; belongs to whoever opened it */
	bool chain;	/* hold every folder on the way: a policy asks about them (tree.h) */
};

/* What stands at the end of the path. */
enum root_last {
	ROOT_FOLLOW,	/* the object itself: links are followed */
	ROOT_NAME	/* the name: a link there is the object */
};

struct place {
	int dir_fd;	/* folder of the object, O_PATH; -1 after an error */
	bool dir_owned;
	int error;	/* 0, or -errno: why the folder of the object cannot be reached */
	const char *leaf;	/* its name there, "." for the root itself; points into path */
	bool found;	/* it exists, and st tells what it is */
	struct statx st;
	unsigned chain_count;	/* with root.chain: folders held, from the root down; the last is dir_fd if nothing failed */
	int chain[ROOT_CHAIN_MAX];
	size_t typed_len, path_len;
	char typed[ROOT_PATH_MAX + 1];	/* as the client named it, made absolute and normal */
	char path[ROOT_PATH_MAX + 1];	/* canonical: without links */
};

/*
 * The folder of a path whose last name has wild cards: what LIST, NLST and STAT are about where nothing has that name.
 * 1: it is in folder; 0: there are no wild cards; -ENAMETOOLONG.
 */
int root_pattern_folder(const char *path, char folder[static ROOT_PATH_MAX + 1]);

/* Takes a directory descriptor, which stays the caller's. */
void root_init(struct root *, int fd);

/*
 * Joins path with the folder cwd (a normal path), drops "//", "." and
 * trailing slashes, resolves ".." textually.  Returns the length, or
 * SP_EFORMAT for CR or LF, -ENAMETOOLONG for a name or path beyond the
 * bounds.
 */
int root_normal(const char *cwd, const char *path, char out[static ROOT_PATH_MAX + 1]);

/*
 * Finds the place of a path.  0: place is filled in, and its error says
 * whether the folder was reached (a missing object is no error: found is
 * false).  Otherwise the path itself is of no use (SP_EFORMAT,
 * -ENAMETOOLONG) and place is closed.  After 0 the caller ends with
 * root_leave().
 */
int root_find(const struct root *, const char *cwd, const char *path, enum root_last, struct place *);
void root_leave(struct place *);

/* Was a link on the way, so that both paths are to be judged? */
bool root_by_link(const struct place *);

/*
 * From now on the place is as though its path ended in the folder above that level (1: the root). Nothing can be
 * done there.
 */
void root_forget(struct place *, unsigned level);

/* Is the object a folder, a regular file? */
bool root_is_folder(const struct place *);
bool root_is_file(const struct place *);

/*
 * Is the object still the one that was found?  Always true without root.chain: there what was asked about it depends on
 * its path alone.
 */
bool root_is_same(const struct place *);

/*
 * Opens the object; never follows a link, never waits for a FIFO. A descriptor or -errno; with root.chain -EAGAIN when
 * another object has taken the name since it was found.
 */
int root_open(const struct place *, int flags, mode_t mode);

/*
 * Opens a descriptor for one entry of a folder that root_open() gave, under
 * the same rules. A descriptor or -errno.
 */
int root_open_entry(int dir_fd, const char *name, int flags);

/* Makes a new file of that name in a folder, open for writing and nothing else. A descriptor or -errno. */
int root_create_entry(int dir_fd, const char *name, mode_t mode);

/* A descriptor of the place's folder that outlives root_leave(). It or -errno. */
int root_keep_folder(const struct place *);

/* The folders between the root and the object, the object itself counted: 0 for the root. */
unsigned root_depth(const struct place *);
/*
 * Opens the folder at that depth of the place: one that the walk went through, or the object (which is then still
 * the one that was found).  flags: O_PATH or O_RDONLY. A descriptor, which is the caller's, or -errno; -ESTALE: it
 * is not held.
 */
int root_open_level(const struct place *, unsigned depth, int flags);

/* Is that the name of an upload that is not complete? */
bool root_is_reserved(const char *name);

#endif
