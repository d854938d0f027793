/*
 * A tree that belongs to somebody else, gone through by root: from descriptor
 * to descriptor, one name at a time, no link followed.  Neither the depth of
 * the tree nor the length of its paths is limited: beside the folder that is being looked at
 * none is held open.  The way back is the entry ".." of a folder, which must
 * be the one that was come from: a folder that is moved meanwhile is not followed elsewhere.
 */
#ifndef CTL_TREE_H
#define CTL_TREE_H

#include <stdbool.h>
#include <sys/stat.h>

/* An object below the top. All of it is the walk's. */
struct tree_entry {
	int fd;			/* the object itself, O_PATH; a symbolic link only where the walk wants them */
	struct stat st;		/* of that descriptor */
	const char *path;	/* for messages only */
};

struct tree_walk {
	const char *path;	/* the top as messages name it */
	bool one_device;	/* other file systems are left out */
	bool links;		/* visit is given symbolic links too, which are not followed */
	/* For each object, a folder before what is in it. 0, or what the walk is to end with. */
	int (*visit)(void *context, const struct tree_entry *);
	/* Something could not be looked at; visit's answers end the walk without this. 0: go on. */
	int (*trouble)(void *context, const char *path, int error);
	void *context;
};

/*
 * Walks over everything below the folder top_fd (O_PATH will do), in the order of names; left out is what vanishes
 * meanwhile.  0, or what visit or trouble answered, -ENOMEM, or -EAGAIN: a folder that the walk was in has been
 * moved.
 */
int tree_walk(const struct tree_walk *, int top_fd);

#endif
