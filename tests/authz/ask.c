/* Puts the question of a vector row to the engine; see run.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "tests/authz/run.h"

/* Operations that act on a link itself. */
static bool
follows(enum authz_op op)
{
	return op != AUTHZ_OP_DELE && op != AUTHZ_OP_RNFR && op != AUTHZ_OP_RNTO && op != AUTHZ_OP_RMD &&
	       op != AUTHZ_OP_READLINK && op != AUTHZ_OP_SYMLINK && op != AUTHZ_OP_MKD;
}

static bool
ask(struct run *r, enum authz_op op, const char *typed)
{
	char path[4096], resolved[4096];
	struct authz_object o = { .path = path };
	struct authz_verdict v;
	bool allow;

	o.kind = world_walk(&r->world, typed, follows(op), path, resolved);
	if (strcmp(path, resolved) != 0)
		o.resolved = resolved;
	allow = authz_decide(r->policy, op, &o, &v);
	authz_reason(r->policy, &o, &v, r->why, sizeof(r->why));
	return allow;
}

/* "a -> b" */
static bool
split_pair(const char *path, char *first, char *second)
{
	const char *arrow = strstr(path, " -> ");

	if (!arrow)
		return false;
	snprintf(first, 4096, "%.*s", (int)(arrow - path), path);
	snprintf(second, 4096, "%s", arrow + 4);
	return true;
}

/* Every member of a folder is judged on its own path. */
static bool
ask_recursive(struct run *r, const char *path)
{
	for (size_t i = 0; i < r->world.object_count; i++) {
		const struct world_object *o = &r->world.objects[i];
		size_t n = strlen(path);

		if (strncmp(o->path, path, n) == 0 && (o->path[n] == '/' || o->path[n] == '\0') &&
		    !ask(r, o->kind == AUTHZ_FOLDER ? AUTHZ_OP_RMD : AUTHZ_OP_DELE, o->path))
			return false;
	}
	return true;
}

/* The operation of a command that may carry arguments: "SITE CHMOD 600". */
int
run_op(const char *command)
{
	char copy[256];
	int op;

	str_copy(copy, sizeof(copy), command);
	while ((op = authz_command(copy)) == AUTHZ_UNKNOWN_COMMAND) {
		char *cut = strrchr(copy, ' ');

		if (!cut)
			break;
		*cut = '\0';
	}
	return op;
}

int
run_ask(struct run *r, const char *command, const char *path)
{
	char first[4096], second[4096];
	int op = run_op(command);
	bool pair = split_pair(path, first, second);

	if (strcmp(command, "RNFR+RNTO") == 0)
		return pair && ask(r, AUTHZ_OP_RNFR, first) && ask(r, AUTHZ_OP_RNTO, second);
	if (strcmp(command, "SITE COPY") == 0 || strcmp(command, "CPFR+CPTO") == 0)
		return pair && ask(r, AUTHZ_OP_RETR, first) && ask(r, AUTHZ_OP_STOR, second);
	if (strcmp(command, "RMDA") == 0 || strcmp(command, "SITE RMDIR") == 0)
		return ask_recursive(r, path);
	if (op == AUTHZ_UNKNOWN_COMMAND) {
		snprintf(r->why, sizeof(r->why), "unknown command");
		return SKIP;
	}
	/* pyftpdlib's STAT takes no wild cards (dialects 2.3). */
	if (strcmp(command, "STAT") == 0 && strcmp(r->row->dialect, "pyftpdlib") == 0 && strpbrk(path, "*?["))
		return DENY;
	/* STAT without a path tells the server's state. */
	if (op == AUTHZ_NEVER_GATED || (strcmp(command, "STAT") == 0 && strcmp(path, "-") == 0))
		return ALLOW;
	if (strcmp(command, "CDUP") == 0 || strcmp(command, "XCUP") == 0) {
		snprintf(first, sizeof(first), "%s/..", path);
		return ask(r, op, strcmp(path, "-") == 0 ? "/" : first);
	}
	if (op == AUTHZ_OP_STOU && strcmp(path, "-") == 0)
		return ask(r, op, "/sallyport.1");
	return ask(r, op, pair ? second : path);
}

/* ------------------------------------------------------------------ policies */

int
run_compile(struct run *r, const struct authz_source *sources, size_t n, uint32_t dialect_uid, const char *home)
{
	struct authz_problems problems = { 0 };
	struct authz_subject who = { .user = r->row->user,
		.dialect_uid = dialect_uid,
		.may_change_password = true,
		.home = home,
		.choices = r->choices };
	struct authz_tree tree;
	int errors;

	who.group_names = (const char *const *)r->world.groups;
	who.group_name_count = r->world.group_count;
	world_tree(&r->world, &tree);
	r->policy = authz_compile(sources, n, &who, &tree, &problems);
	if (!r->policy)
		exit(2);
	if (r->world.uploaded)
		authz_set_last_upload(r->policy, r->world.uploaded);
	errors = (int)problems.errors;
	if (errors)
		snprintf(r->why, sizeof(r->why), "%s:%u:%u: %.190s", problems.list[0].file, problems.list[0].line,
		    problems.list[0].column, problems.list[0].text);
	authz_problems_clear(&problems);
	return errors;
}

int
run_decide(struct run *r, int errors)
{
	if (strcmp(r->row->command, "LOAD") == 0)
		return errors == 0;
	if (errors)
		return DENY;
	return run_ask(r, r->row->command, r->row->path);
}
