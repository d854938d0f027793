/*
 * sallyctl replay: the decisions of yesterday's audit log taken again under a
 * candidate configuration, and what would change.  Equal decisions are taken
 * once; nothing of the tree is looked at but ftpcluster's control files.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz/kernel.h"
#include "common/err.h"
#include "common/str.h"
#include "ctl/conf.h"
#include "ctl/policy.h"
#include "ctl/progress.h"
#include "ctl/record.h"

/* A decision that stands in the log once or many times. */
struct decision {
	char *user, *path, *resolved;	/* path "": of the session; resolved NULL: as path */
	int op;
	enum authz_kind kind;
	bool allowed;
	enum { UNTOLD, NO, YES } last_upload;	/* was it the file that the session had uploaded last? */
	unsigned long first, count;	/* line number, how often */
};

struct replay {
	struct invocation *inv;
	struct decision *table;		/* open addressing; user NULL: free */
	size_t used, size;		/* size: a power of two */
	unsigned long lines, records;
	unsigned long changed, unknown;	/* decisions that change; that cannot be told */
	struct json json;
};

static uint64_t
mix(uint64_t h, const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h ^ 0xff;
}

static uint64_t
hash(const struct decision *d)
{
	uint64_t h = mix(mix(mix(UINT64_C(0xcbf29ce484222325), d->user), d->path), d->resolved);

	h = (h ^ ((unsigned)d->op << 6 | (unsigned)d->last_upload << 4 | (unsigned)d->kind << 1 | d->allowed)) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same(const struct decision *a, const struct decision *b)
{
	return a->op == b->op && a->kind == b->kind && a->allowed == b->allowed &&
	    a->last_upload == b->last_upload && strcmp(a->user, b->user) == 0 &&
	    strcmp(a->path, b->path) == 0 && same_text(a->resolved, b->resolved);
}

static struct decision *
place_of(struct decision *table, size_t size, const struct decision *d)
{
	size_t i = hash(d) & (size - 1);

	while (table[i].user != NULL && !same(&table[i], d))
		i = (i + 1) & (size - 1);
	return &table[i];
}

static int
grow(struct replay *r)
{
	size_t size = r->size == 0 ? 4096 : r->size * 2;
	struct decision *table = calloc(size, sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < r->size; i++)
		if (r->table[i].user != NULL)
			*place_of(table, size, &r->table[i]) = r->table[i];
	free(r->table);
	r->table = table;
	r->size = size;
	return 0;
}

static int
keep(struct replay *r, const struct decision *d)
{
	struct decision *at;

	if (r->used * 4 >= r->size * 3 && grow(r) != 0)
		return -ENOMEM;
	at = place_of(r->table, r->size, d);
	if (at->user == NULL) {
		*at = *d;
		at->user = strdup(d->user);
		at->path = strdup(d->path);
		at->resolved = d->resolved != NULL ? strdup(d->resolved) : NULL;
		if (at->user == NULL || at->path == NULL || (d->resolved != NULL && at->resolved == NULL))
			return -ENOMEM;
		at->first = r->lines;
		r->used++;
	}
	at->count++;
	return 0;
}

static int
operation(const char *name)
{
	for (int op = 0; op < AUTHZ_OP_COUNT; op++)
		if (strcmp(authz_op_name((enum authz_op)op), name) == 0)
			return op;
	return -1;
}

static enum authz_kind
kind_of(const char *word)
{
	return word != NULL && strcmp(word, "missing") == 0 ? AUTHZ_MISSING :
	    word != NULL && strcmp(word, "folder") == 0 ? AUTHZ_FOLDER : AUTHZ_FILE;
}

/* A line of the log; what is no decision of a policy is passed over. */
static int
take_line(struct replay *r, char *line)
{
	struct record rec;
	struct decision d;

	r->lines++;
	if (!record_read(line, &rec) || rec.event == NULL || strcmp(rec.event, "access") != 0 || rec.op == NULL ||
	    rec.user == NULL || rec.verdict == NULL || (d.op = operation(rec.op)) < 0)
		return 0;
	r->records++;
	d.user = rec.user;
	d.path = rec.path != NULL ? rec.path : (char *)(uintptr_t)"";
	d.resolved = rec.resolved;
	d.kind = kind_of(rec.kind);
	d.allowed = strcmp(rec.verdict, "allow") == 0;
	d.last_upload = rec.last_upload == NULL ? UNTOLD : strcmp(rec.last_upload, "yes") == 0 ? YES : NO;
	d.first = d.count = 0;
	return keep(r, &d);
}

static int
read_log(struct replay *r, const char *path)
{
	FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int error = in == NULL ? -errno : grow(r);

	while (error == 0 && getline(&line, &size, in) > 0) {
		progress_step(r->inv, "lines", r->lines);
		error = take_line(r, line);
	}
	progress_end(r->inv);
	free(line);
	if (in != NULL && in != stdin)
		fclose(in);
	return error;
}

static int
by_user(const void *a, const void *b)
{
	const struct decision *x = a, *y = b;
	int order;

	if (x->user == NULL || y->user == NULL)
		return (x->user == NULL) - (y->user == NULL);
	order = strcmp(x->user, y->user);
	return order != 0 ? order : x->first < y->first ? -1 : x->first > y->first;
}

static void
report(struct replay *r, const struct decision *d, const char *now, const char *reason)
{
	char line[64];

	if (r->inv->json) {
		json_open(&r->json, NULL, '{');
		json_str(&r->json, "user", d->user);
		json_str(&r->json, "op", authz_op_name((enum authz_op)d->op));
		json_str(&r->json, "path", d->path);
		json_str(&r->json, "was", d->allowed ? "allow" : "deny");
		json_str(&r->json, "now", now);
		json_str(&r->json, "reason", reason);
		json_unsigned(&r->json, "count", d->count);
		json_unsigned(&r->json, "line", d->first);
		json_close(&r->json);
		return;
	}
	ctl_print_name(d->user);
	printf(" %s ", authz_op_name((enum authz_op)d->op));
	ctl_print_name(d->path);
	snprintf(line, sizeof(line), "%lu time%s, line %lu", d->count, str_plural(d->count), d->first);
	printf(": %s -> %s (%s): ", d->allowed ? "allow" : "deny", now, line);
	ctl_print_name(reason);
	putchar('\n');
}

/* As if the session had, or had not, uploaded this file last. */
static bool
decide_as(struct view *v, const struct decision *d, const struct authz_object *o, bool last, struct authz_verdict *verdict)
{
	(void)authz_set_last_upload(v->policy, last ? d->path : NULL);
	return authz_decide(v->policy, (enum authz_op)d->op, o, verdict);
}

/* Does the answer depend on what a log of an earlier sallyport does not have? */
static bool
depends_on_upload(struct view *v, const struct decision *d, const struct authz_object *o)
{
	struct authz_verdict unused;

	return authz_heeds_last_upload((enum authz_op)d->op) && d->last_upload == UNTOLD &&
	    decide_as(v, d, o, true, &unused) != decide_as(v, d, o, false, &unused);
}

static void
decide(struct replay *r, struct view *v, const struct decision *d)
{
	struct authz_object o = { .path = d->path, .resolved = d->resolved, .kind = d->kind };
	bool session = authz_op_session((enum authz_op)d->op);
	struct authz_verdict verdict;
	char reason[1024];
	static struct place place;
	bool allow, untold;

	if (!session && d->path[0] != '/') {
		r->unknown++;
		report(r, d, "unknown", "the line has no path");
		return;
	}
	/* What the rules in the tree say today; nothing else of it is looked at. */
	tree_at(&v->tree, v->walk.chain && root_find(&v->walk, "/", session ? "/" : d->path,
	    kernel_op_on_link((enum authz_op)d->op) ? ROOT_NAME : ROOT_FOLLOW, &place) == 0 ? &place : NULL);
	untold = !session && depends_on_upload(v, d, &o);
	allow = decide_as(v, d, session ? NULL : &o, d->last_upload == YES, &verdict);
	root_leave(&place);
	if (untold) {
		r->unknown++;
		report(r, d, "unknown", "the line does not say whether the session had uploaded this file last");
		return;
	}
	if (allow == d->allowed)
		return;
	r->changed++;
	report(r, d, allow ? "allow" : "deny",
	    authz_reason(v->policy, session ? NULL : &o, &verdict, reason, sizeof(reason)));
}

/* All decisions of one user, one account at a time. */
static void
decide_all(struct replay *r, struct conf *conf)
{
	struct view v = { .root_fd = -1 };
	const char *user = NULL;
	bool known = false;

	view_begin(&v, r->inv, conf);
	qsort(r->table, r->size, sizeof(*r->table), by_user);
	for (size_t i = 0; i < r->used; i++) {
		const struct decision *d = &r->table[i];

		progress_of(r->inv, "decisions", i, r->used);
		if (user == NULL || strcmp(user, d->user) != 0)
			known = view_take(&v, d->user) == CTL_OK && v.policy != NULL;
		user = d->user;
		if (known)
			decide(r, &v, d);
		else {
			r->unknown++;
			report(r, d, "unknown", v.why[0] != '\0' ? v.why : "no such account");
		}
	}
	progress_end(r->inv);
	view_end(&v);
}

static int
finish(struct replay *r)
{
	int result = r->unknown > 0 ? CTL_FAILED : r->changed > 0 ? CTL_NO : CTL_OK;

	json_close(&r->json);
	json_unsigned(&r->json, "lines", r->lines);
	json_unsigned(&r->json, "records", r->records);
	json_unsigned(&r->json, "decisions", r->used);
	json_unsigned(&r->json, "changed", r->changed);
	json_unsigned(&r->json, "unknown", r->unknown);
	json_close(&r->json);
	if (r->inv->json)
		return ctl_print_json(r->inv, &r->json) == CTL_OK ? result : CTL_FAILED;
	printf("%lu line%s, %lu record%s, %zu different decision%s: %lu would change, %lu cannot be told\n", r->lines,
	    str_plural(r->lines), r->records, str_plural(r->records), r->used, str_plural(r->used), r->changed, r->unknown);
	return result;
}

int
replay_command(struct invocation *inv)
{
	struct replay r = { .inv = inv };
	struct conf *conf = NULL;
	int error, result;

	inv->config = inv->argv[1];
	if ((result = ctl_conf_load(inv, &conf)) != CTL_OK)
		return result;
	json_init(&r.json);
	json_open(&r.json, NULL, '{');
	json_open(&r.json, "changes", '[');
	if ((error = read_log(&r, inv->argv[0])) != 0)
		result = ctl_fail_code(inv, CTL_FAILED, inv->argv[0], error);
	else {
		decide_all(&r, conf);
		result = finish(&r);
	}
	for (size_t i = 0; i < r.size; i++) {
		free(r.table[i].user);
		free(r.table[i].path);
		free(r.table[i].resolved);
	}
	free(r.table);
	json_free(&r.json);
	conf_free(conf);
	return result;
}
