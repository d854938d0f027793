/*
 * A policy: layers are put together from their sources, asked one after the
 * other, and folded by AND.
 */
#include "authz/layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

static const struct dialect *const dialects[] = {
	&dialect_pyftpdlib, &dialect_sftpplus, &dialect_ftpcluster, &dialect_ups, &dialect_kernel,
};

static const struct dialect *
find_dialect(const char *name)
{
	if (strcmp(name, "kernel") == 0)
		return &dialect_kernel;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
		if (strcmp(dialects[i]->name, name) == 0)
			return dialects[i];
	return NULL;
}

/* ------------------------------------------------------------- compilation */

static int
copy_names(struct authz_policy *p, const struct authz_subject *s)
{
	const char **names = arena_alloc(p->arena, (s->group_name_count + 1) * sizeof(*names));
	gid_t *groups = arena_alloc(p->arena, (s->group_count + 1) * sizeof(*groups));

	if (!names || !groups)
		return -ENOMEM;
	for (size_t i = 0; i < s->group_name_count; i++) {
		names[i] = arena_strndup(p->arena, s->group_names[i], strlen(s->group_names[i]));
		if (!names[i])
			return -ENOMEM;
	}
	if (s->group_count)
		memcpy(groups, s->groups, s->group_count * sizeof(*groups));
	p->subject.group_names = names;
	p->subject.groups = groups;
	return 0;
}

static int
copy_subject(struct authz_policy *p, const struct authz_subject *s)
{
	const char *user = s->user ? s->user : "";

	p->subject = *s;
	p->subject.user = arena_strndup(p->arena, user, strlen(user));
	if (s->home)
		p->subject.home = arena_strndup(p->arena, s->home, strlen(s->home));
	if (!p->subject.user || (s->home && !p->subject.home))
		return -ENOMEM;
	return copy_names(p, s);
}

static char *
copy_or_null(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

/* A prefix without slashes at its end; "/" and nothing mean everywhere. */
static int
set_prefix(struct layer *l, const char *prefix)
{
	size_t n = prefix ? strlen(prefix) : 0;

	while (n && prefix[n - 1] == '/')
		n--;
	if (n == 0)
		return 0;
	l->prefix = arena_strndup(l->policy->arena, prefix, n);
	l->prefix_len = n;
	return l->prefix ? 0 : -ENOMEM;
}

static bool
same_prefix(const struct layer *l, const char *prefix)
{
	size_t n = prefix ? strlen(prefix) : 0;

	while (n && prefix[n - 1] == '/')
		n--;
	return n == l->prefix_len && (n == 0 || memcmp(prefix, l->prefix, n) == 0);
}

/* The layer this source is part of: one it joins by its language's inheritance, or a new one. */
static struct layer *
layer_for(struct authz_policy *p, const struct authz_source *s, const struct dialect *d, size_t capacity)
{
	struct layer *l;

	for (size_t i = 0; i < p->layer_count; i++) {
		l = &p->layers[i];
		if (l->dialect == d && d->joins && same_prefix(l, s->prefix) &&
		    d->joins(l->sources[l->source_count - 1].scope, s))
			return l;
	}
	l = &p->layers[p->layer_count++];
	l->dialect = d;
	l->policy = p;
	l->sources = arena_alloc(p->arena, capacity * sizeof(*l->sources));
	return l->sources && set_prefix(l, s->prefix) == 0 ? l : NULL;
}

/* Drops the layers that the source takes the place of in its language. */
static void
drop_replaced(struct authz_policy *p, const struct authz_source *s, const struct dialect *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->layer_count; i++) {
		struct layer *l = &p->layers[i];
		bool drop = d->replaces && l->dialect == d && same_prefix(l, s->prefix) &&
		    d->replaces(l->sources[l->source_count - 1].scope, s);

		if (!drop)
			p->layers[kept++] = *l;
	}
	memset(&p->layers[kept], 0, (p->layer_count - kept) * sizeof(*p->layers));
	p->layer_count = kept;
}

static int
add_source(struct authz_policy *p, const struct authz_source *s, size_t capacity, struct authz_problems *problems)
{
	const struct dialect *d = find_dialect(s->dialect ? s->dialect : "");
	struct compiler c = { NULL, problems, 0 };
	struct source *copy;
	struct layer *l;

	drop_replaced(p, s, d ? d : &dialect_kernel);
	c.layer = l = layer_for(p, s, d ? d : &dialect_kernel, capacity);
	if (!l)
		return -ENOMEM;
	copy = &l->sources[l->source_count++];
	copy->text = arena_strndup(p->arena, s->text ? s->text : "", s->text ? strlen(s->text) : 0);
	copy->file = copy_or_null(p->arena, s->file);
	copy->section = copy_or_null(p->arena, s->section);
	copy->line = s->line;
	copy->scope = s->scope;
	if (!copy->text || (s->file && !copy->file) || (s->section && !copy->section))
		return -ENOMEM;
	if (!d)
		complain(&c, copy, 0, 0, false, "pyftpdlib, sftpplus, ftpcluster, ups or kernel",
		    "unknown permission language \"%.32s\"", s->dialect ? s->dialect : "");
	if (s->prefix && s->prefix[0] && s->prefix[0] != '/')
		complain(
		    &c, copy, 0, 0, false, "a path that begins with /", "prefix \"%.80s\" is not absolute", s->prefix);
	return 0;
}

static int
add_sources(struct authz_policy *p, const struct authz_source *list, size_t n, struct authz_problems *problems)
{
	p->layers = arena_alloc(p->arena, (n + 1) * sizeof(*p->layers));
	p->hits = arena_alloc(p->arena, (n + 1) * sizeof(*p->hits));
	if (!p->layers || !p->hits)
		return -ENOMEM;
	for (int scope = AUTHZ_SCOPE_SERVER; scope <= AUTHZ_SCOPE_LOGIN; scope++)
		for (size_t i = 0; i < n; i++)
			if ((int)list[i].scope == scope && add_source(p, &list[i], n, problems) != 0)
				return -ENOMEM;
	return 0;
}

static int
compile_layers(struct authz_policy *p, struct authz_problems *problems)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		struct layer *l = &p->layers[i];
		struct compiler c = { l, problems, 0 };
		int r = l->error ? 0 : l->dialect->compile(l, &c);

		if (r != 0)
			return r;
		if (c.errors && !l->error)
			l->error = arena_strndup(p->arena, "the layer did not load", 22);
	}
	return 0;
}

bool
authz_judges_paths(const struct authz_policy *p)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		const struct layer *l = &p->layers[i];

		if (l->prefix || (!l->error && l->dialect->judges_paths && l->dialect->judges_paths(l)))
			return true;
	}
	return false;
}

/*
 * Without any layer an account may look and fetch.  Where links are judged by
 * their own path only, nobody who is bound by rules about paths can make them.
 */
static uint32_t
base_rights(const struct authz_policy *p)
{
	uint32_t rights = p->layer_count ? AUTHZ_ALL : AUTHZ_READ_ONLY | AUTHZ_PASSWD;

	if ((p->subject.choices & AUTHZ_LINKS_TYPED) && authz_judges_paths(p))
		rights &= ~(uint32_t)AUTHZ_SYMLINK;
	return p->subject.may_change_password ? rights : rights & ~(uint32_t)AUTHZ_PASSWD;
}

struct authz_policy *
authz_compile(const struct authz_source *list, size_t n, const struct authz_subject *subject,
    const struct authz_tree *tree, struct authz_problems *problems)
{
	struct authz_policy *p = calloc(1, sizeof(*p));

	if (!p || !(p->arena = arena_new())) {
		free(p);
		return NULL;
	}
	if (tree)
		p->tree = *tree;
	if (copy_subject(p, subject) == 0 && add_sources(p, list, n, problems) == 0 &&
	    compile_layers(p, problems) == 0) {
		p->base = base_rights(p);
		return p;
	}
	authz_free(p);
	return NULL;
}

void
authz_free(struct authz_policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->layer_count; i++)
		if (p->layers[i].dialect->release && p->layers[i].state)
			p->layers[i].dialect->release(&p->layers[i]);
	arena_free(p->arena);
	free(p->last_upload);
	free(p);
}

size_t
authz_layer_count(const struct authz_policy *p)
{
	return p->layer_count;
}

const char *
authz_layer_name(const struct authz_policy *p, size_t layer)
{
	return p->layers[layer].dialect->name;
}

bool
authz_needs_tree(const struct authz_policy *p)
{
	for (size_t i = 0; i < p->layer_count; i++)
		if (p->layers[i].dialect == &dialect_ftpcluster)
			return true;
	return false;
}

int
authz_set_last_upload(struct authz_policy *p, const char *path)
{
	char *copy = path ? strdup(path) : NULL;

	if (path && !copy)
		return -ENOMEM;
	free(p->last_upload);
	p->last_upload = copy;
	return 0;
}

bool
authz_heeds_last_upload(enum authz_op op)
{
	return op == AUTHZ_OP_MTIME;
}

bool
authz_is_last_upload(const struct authz_policy *p, enum authz_op op, const struct authz_object *o)
{
	return authz_heeds_last_upload(op) && p->last_upload != NULL && strcmp(p->last_upload, o->path) == 0;
}

/* ---------------------------------------------------------------- decision */

static bool
layer_applies(const struct layer *l, const struct request *r)
{
	return !l->prefix || path_within(r->path, r->len, l->prefix, l->prefix_len);
}

bool
layer_is_below(const struct layer *l, const struct request *r)
{
	return l->prefix && r->len < l->prefix_len && path_within(l->prefix, l->prefix_len, r->path, r->len);
}

uint32_t
layer_rights(struct layer *l, const struct request *r, struct authz_hit *hit)
{
	memset(hit, 0, sizeof(*hit));
	/* Under another name what lies there would be out of the layer's reach. */
	if (layer_is_below(l, r))
		return AUTHZ_ALL & ~(uint32_t)AUTHZ_RENFROM;
	if (!layer_applies(l, r))
		return AUTHZ_ALL;
	if (l->error)
		return 0;
	return l->dialect->rights(l, r, hit);
}

uint32_t
layer_most(const struct layer *l)
{
	if (l->error)
		return 0;
	return l->dialect->most ? l->dialect->most(l) : AUTHZ_ALL;
}

static bool
satisfied(const struct authz_need *need, uint32_t held)
{
	for (unsigned i = 0; i < need->n; i++)
		if ((need->alt[i] & ~held) == 0)
			return true;
	return need->n == 0;
}

/* Of the nearest alternative, what is not held. */
static uint32_t
missing_of(const struct authz_need *need, uint32_t held)
{
	uint32_t best = 0;

	for (unsigned i = 0; i < need->n; i++) {
		uint32_t m = need->alt[i] & ~held;

		if (i == 0 || __builtin_popcount(m) < __builtin_popcount(best))
			best = m;
	}
	return best;
}

/* What any state of the target may need: the system call, not an earlier look, shows which one it was. */
static uint32_t
wanted(enum authz_op op)
{
	uint32_t want = 0;

	for (int k = AUTHZ_MISSING; k < AUTHZ_KINDS; k++)
		want |= authz_need(op, k)->alt[0] | authz_need(op, k)->alt[1];
	return want;
}

static bool
op_judges_self(enum authz_op op)
{
	static const bool self[] = {
#define SELF true
#define ENTRY false
#define OP(op, missing, file, folder, on, text) on,
#include "authz/ops.def"
#undef OP
#undef SELF
#undef ENTRY
	};
	return self[op];
}

/* Folds all layers over one path into v; notes the first layer that denies. */
static void
fold(struct authz_policy *p, const struct request *r, const struct authz_need *need, struct authz_verdict *v)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		v->granted &= layer_rights(&p->layers[i], r, &p->hits[i]);
		if (v->layer < 0 && !satisfied(need, v->granted)) {
			v->layer = (int)i;
			v->hit = p->hits[i];
			v->allow = false;
			v->missing = missing_of(need, v->granted);
			return;
		}
	}
}

static bool
fold_session(struct authz_policy *p, const struct authz_need *need, struct authz_verdict *v)
{
	bool may = satisfied(need, v->granted);

	for (size_t i = 0; i < p->layer_count; i++) {
		struct layer *l = &p->layers[i];

		if (l->prefix)
			continue;
		memset(&p->hits[i], 0, sizeof(p->hits[i]));
		v->granted &= l->error ? 0 : l->dialect->session(l, &p->hits[i]);
		if (may && v->layer < 0 && !satisfied(need, v->granted)) {
			v->layer = (int)i;
			v->hit = p->hits[i];
		}
	}
	v->missing = missing_of(need, v->granted);
	return v->allow = satisfied(need, v->granted);
}

static bool
canonical(const char *path)
{
	size_t n = path ? strlen(path) : 0;

	return n && path[0] == '/' && (n == 1 || path[n - 1] != '/');
}

bool
authz_decide(struct authz_policy *p, enum authz_op op, const struct authz_object *o, struct authz_verdict *v)
{
	const struct authz_need *need = authz_need(op, o ? o->kind : AUTHZ_MISSING);
	struct request r = { .want = wanted(op) };

	memset(v, 0, sizeof(*v));
	v->layer = -1;
	v->op = op;
	v->granted = p->base;
	p->listing = 0;
	if (authz_op_session(op))
		return fold_session(p, need, v);
	if (!o || !canonical(o->path) || (o->resolved && !canonical(o->resolved))) {
		v->granted = 0;
		v->missing = missing_of(need, 0);
		return false;
	}
	v->allow = satisfied(need, v->granted);
	v->missing = missing_of(need, v->granted);
	if (!v->allow)
		return false;
	r.path = r.typed = o->path;
	r.len = strlen(r.path);
	r.kind = o->kind;
	r.self = o->kind == AUTHZ_FOLDER && op_judges_self(op);
	fold(p, &r, need, v);
	if (!v->allow || !o->resolved || (p->subject.choices & AUTHZ_LINKS_TYPED) || strcmp(o->resolved, o->path) == 0)
		return v->allow;
	r.path = o->resolved;
	r.len = strlen(r.path);
	fold(p, &r, need, v);
	v->on_resolved = !v->allow;
	return v->allow;
}

/* Rights that languages with rights on folders judge on a folder itself, not on its entry in the parent. */
#define SELF_RIGHTS (AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_CHDIR)

static uint32_t
rights_on(struct authz_policy *p, struct request *r)
{
	uint32_t rights = p->base;
	struct authz_hit hit;

	for (size_t i = 0; i < p->layer_count; i++) {
		uint32_t own;

		r->self = false;
		own = layer_rights(&p->layers[i], r, &hit);
		if (r->kind == AUTHZ_FOLDER && p->layers[i].dialect == &dialect_ftpcluster) {
			r->self = true;
			own = (own & ~(uint32_t)SELF_RIGHTS) | (layer_rights(&p->layers[i], r, &hit) & SELF_RIGHTS);
		}
		rights &= own;
	}
	return rights;
}

uint32_t
authz_rights(struct authz_policy *p, const struct authz_object *o)
{
	struct request r = { .path = o->path, .typed = o->path, .kind = o->kind, .want = AUTHZ_ALL };
	uint32_t rights;

	if (!canonical(o->path))
		return 0;
	r.len = strlen(r.path);
	rights = rights_on(p, &r);
	if (!o->resolved || (p->subject.choices & AUTHZ_LINKS_TYPED) || strcmp(o->resolved, o->path) == 0)
		return rights;
	r.path = o->resolved;
	r.len = strlen(r.path);
	return rights & rights_on(p, &r);
}

/* Rights that have no path. */
#define SESSION_RIGHTS (AUTHZ_UMASK | AUTHZ_PASSWD | AUTHZ_USERADM)

uint32_t
authz_session_rights(struct authz_policy *p)
{
	struct authz_verdict v;

	memset(&v, 0, sizeof(v));
	v.layer = -1;
	v.granted = p->base;
	fold_session(p, authz_need(AUTHZ_OP_UMASK, AUTHZ_MISSING), &v);
	return v.granted & SESSION_RIGHTS;
}

uint32_t
authz_possible_rights(struct authz_policy *p)
{
	uint32_t rights = p->base;

	/* Beside what it is attached to, a layer takes nothing away. */
	for (size_t i = 0; i < p->layer_count; i++)
		if (!p->layers[i].prefix)
			rights &= layer_most(&p->layers[i]);
	return (rights & ~(uint32_t)SESSION_RIGHTS) | authz_session_rights(p);
}

/* A name no rule means: what a new member would be allowed shows on it. */
#define PROBE "sallyport-new-member"

uint32_t
authz_child_rights(struct authz_policy *p, const struct authz_object *folder)
{
	char path[4096 + 64], resolved[4096 + 64];
	struct authz_object o = { .path = path, .kind = AUTHZ_MISSING };

	if (str_format(path, sizeof(path), "%s/" PROBE, strcmp(folder->path, "/") ? folder->path : "") != 0)
		return 0;
	if (folder->resolved) {
		if (str_format(resolved, sizeof(resolved), "%s/" PROBE,
			strcmp(folder->resolved, "/") ? folder->resolved : "") != 0)
			return 0;
		o.resolved = resolved;
	}
	return authz_rights(p, &o);
}
