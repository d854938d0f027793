/*
 * The fixtures of one row of a vector file: objects with owners and links,
 * control files, system users; and the policy's own text without them.
 */
#ifndef TESTS_AUTHZ_WORLD_H
#define TESTS_AUTHZ_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "authz/authz.h"

#define WORLD_MAX 128

struct world_object {
	char *path, *target;		/* target: of a link */
	enum authz_kind kind;
	uint32_t owner;
	bool declared;			/* not just the parent of something */
};

struct world_file {
	char *folder, *text;
};

struct world {
	struct world_object objects[WORLD_MAX];
	size_t object_count;
	struct world_file permissions[WORLD_MAX];
	size_t permission_count;
	char *passwd;			/* NULL: none */
	struct { char *name, *password, *shell; } users[WORLD_MAX];
	size_t user_count;
	char *groups[WORLD_MAX];
	size_t group_count;
	char *uploaded;
	char *policy;			/* what is not a fixture */
};

/* Takes a row's policy apart. All memory is freed by world_free(). */
void world_read(struct world *, const char *policy);
void world_free(struct world *);

const struct world_object *world_find(const struct world *, const char *path);
/* The control files and owners of the world, for ftpcluster. */
void world_tree(struct world *, struct authz_tree *);
/*
 * A client's path made canonical, links followed (the last one too when
 * follow): path[] and resolved[] hold 4096 bytes each. Returns what it is.
 */
enum authz_kind world_walk(const struct world *, const char *typed, bool follow, char *path, char *resolved);

#endif
