/* Lint of renames: directories that could be moved away from a rule, or to where one gives more; see move.c. */
#include <stdlib.h>
#include <string.h>

#include "authz/lint_rules.h"
#include "common/str.h"

/* A place where no rule is meant; and the same within a directory. */
#define ELSEWHERE "/sallyport-renamed"

#define PATH_MAX_LINT	1024
#define WORK_MAX	100000		/* names looked at for all renames of a policy that are tried */

/* A path that a rule names, and the line where it does. */
struct name {
	char *path;
	const char *file;
	unsigned line;
	size_t told;			/* length of the directory above that was reported, 0: none */
	bool plain;			/* because of a rule that would be left behind: told for each of them */
};

/* A name that something may be given. */
struct target {
	char *path;
	bool inside;			/* a name within a directory that a rule names */
};

struct renaming {
	struct authz_policy *policy;
	lint_found *found;
	void *context;
	struct name *names;
	struct target *targets;
	size_t name_count, target_count;
	size_t left;			/* of WORK_MAX */
	unsigned untried;		/* names that were not tried with all targets */
	bool original;			/* such renames are done */
};

/* ------------------------------------------------------------------ what rules name */

static void
keep_name(void *context, const struct lint_folder *f)
{
	struct renaming *r = context;
	struct name *more = realloc(r->names, (r->name_count + 1) * sizeof(*more));
	char *path = strdup(f->path);

	if (more)
		r->names = more;
	if (!more || !path) {
		free(path);
		r->untried++;
		return;
	}
	r->names[r->name_count++] = (struct name){ .path = path, .file = f->file, .line = f->line };
}

static void
keep_target(struct renaming *r, const char *dir, bool inside)
{
	char path[PATH_MAX_LINT + sizeof(ELSEWHERE)];
	struct authz_object to = { .path = path, .kind = AUTHZ_MISSING };
	struct authz_verdict v;
	struct target *t = &r->targets[r->target_count];

	if (str_format(path, sizeof(path), "%s%s", dir, inside ? ELSEWHERE : "") != 0)
		return;
	for (size_t i = 0; i < r->target_count; i++)
		if (strcmp(r->targets[i].path, path) == 0)
			return;
	if (!authz_decide(r->policy, AUTHZ_OP_RNTO, &to, &v) || (t->path = strdup(path)) == NULL)
		return;
	t->inside = inside;
	r->target_count++;
}

/* Elsewhere comes first: the plainest answer. */
static bool
collect(struct renaming *r)
{
	lint_names(r->policy, keep_name, r);
	r->targets = calloc(1 + 2 * r->name_count, sizeof(*r->targets));
	r->target_count = 0;
	if (!r->targets)
		return false;
	keep_target(r, "", true);
	for (size_t i = 0; i < r->name_count && r->left > r->target_count; i++) {
		r->left -= r->target_count;
		keep_target(r, r->names[i].path, false);
		keep_target(r, r->names[i].path, true);
	}
	return true;
}

/* ------------------------------------------------------------------ what is refused */

static void
report(struct renaming *r, struct name *n, const struct authz_object *from, const struct target *t,
    const struct authz_verdict *v)
{
	bool plain = !v->into && strcmp(t->path, ELSEWHERE) == 0;
	enum lint_id id = v->into ? r->original ? LINT_ID_RENAME_OPENS : LINT_ID_RENAME_INTO
	    : r->original	  ? LINT_ID_RENAME_ESCAPES : LINT_ID_RENAME_ABOVE;
	size_t dir = strlen(t->path) - (t->inside ? strlen(ELSEWHERE) : 0);
	char why[640];

	n->told = strlen(from->path);
	n->plain = plain;
	if (plain) {
		lint_report(r->found, r->context, id, n->file, n->line,
		    "%s can be renamed, and what the rule is about with it", from->path);
		return;
	}
	lint_report(r->found, r->context, id, n->file, n->line, "%s could be renamed%s%.*s: %s", from->path,
	    dir == 0 ? "" : t->inside ? " into " : " to ", (int)dir, t->path,
	    authz_reason(r->policy, from, v, why, sizeof(why)));
}

/* Is the rename allowed but for what it would take along? */
static bool
try_targets(struct renaming *r, struct name *n, const char *above)
{
	struct authz_object from = { .path = above, .kind = AUTHZ_FOLDER };
	struct authz_verdict v;

	if (!authz_decide(r->policy, AUTHZ_OP_RNFR, &from, &v))
		return false;
	for (size_t i = 0; i < r->target_count; i++) {
		const struct target *t = &r->targets[i];
		struct authz_object to = { .path = t->path, .kind = AUTHZ_MISSING };

		if (path_within(t->path, strlen(t->path), above, strlen(above)) ||
		    path_within(above, strlen(above), t->path, strlen(t->path)))
			continue;
		if (i > 0 && r->left < r->name_count) {
			r->untried++;
			return false;
		}
		r->left -= i > 0 ? r->name_count : 0;
		if (!authz_decide_move(r->policy, &from, &to, &v)) {
			report(r, n, &from, t, &v);
			return true;
		}
	}
	return false;
}

/* What was found for an earlier name above which the same directory is; NULL: it was not tried yet. */
static const struct name *
earlier(const struct renaming *r, const struct name *n, const char *above, size_t len)
{
	for (const struct name *e = r->names; e < n; e++)
		if (path_within(e->path, strlen(e->path), above, len))
			return e;
	return NULL;
}

/* The topmost directory above what a rule names; each one once, but for rules that would be left behind. */
static void
look_above(struct renaming *r, struct name *name)
{
	size_t len = strlen(name->path);
	char above[PATH_MAX_LINT];

	for (size_t n = 1; n <= len && n < sizeof(above); n++) {
		const struct name *before;

		if (name->path[n] != '/' && name->path[n] != '\0')
			continue;
		memcpy(above, name->path, n);
		above[n] = '\0';
		before = earlier(r, name, above, n);
		if (before && before->told == n && !before->plain)
			return;
		if ((!before || before->told == n) && try_targets(r, name, above))
			return;
	}
}

void
lint_renames(struct authz_policy *p, lint_found *found, void *context)
{
	struct renaming r = { .policy = p, .found = found, .context = context, .left = WORK_MAX };
	const uint32_t choices = p->subject.choices;
	const struct authz_tree tree = p->tree;

	/* The rules alone are looked at, not a tree. */
	memset(&p->tree, 0, sizeof(p->tree));
	p->subject.choices &= ~(uint32_t)AUTHZ_RENAME_ORIGINAL;
	r.original = choices & AUTHZ_RENAME_ORIGINAL;
	if (collect(&r))
		for (size_t i = 0; i < r.name_count; i++)
			look_above(&r, &r.names[i]);
	if (r.untried)
		lint_report(found, context, LINT_ID_RENAME_UNTRIED, NULL, 0,
		    "of %zu paths that rules name, %u were not tried with each other as the new name", r.name_count,
		    r.untried);
	for (size_t i = 0; i < r.name_count; i++)
		free(r.names[i].path);
	for (size_t i = 0; i < r.target_count; i++)
		free(r.targets[i].path);
	free(r.names);
	free(r.targets);
	p->subject.choices = choices;
	p->tree = tree;
}
