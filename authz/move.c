/*
 * Renaming a folder above a rule: rules that name paths stay where they are while what they protect moves away.
 * The originals let that happen; here the rename is refused, with the rule as the reason (choice RENAME_ORIGINAL).
 * So is the one that brings something under a rule that gives more, without a word of that rule about the folder
 * itself.
 */
#include "authz/layer.h"

#include <string.h>

#include "common/str.h"

/* Of what may be in the folder; no rule means it. */
#define NAME "/sallyport-member"

static bool
reaches(const struct layer *l, const char *path)
{
	return !l->prefix || path_within(path, strlen(path), l->prefix, l->prefix_len);
}

/* Will what is moved there be judged by the same rules, which are moved along? */
static bool
rules_count_there(const struct layer *l, const char *to)
{
	for (size_t i = 0; l->dialect->rules_move && i < l->policy->layer_count; i++)
		if (l->policy->layers[i].dialect == l->dialect && reaches(&l->policy->layers[i], to))
			return true;
	return false;
}

static bool
layer_escapes(struct layer *l, const char *from, const char *to, struct authz_hit *hit)
{
	/* Above the prefix RENFROM is refused already (layer_rights()). */
	if (!l->dialect->escapes || l->error || !reaches(l, from))
		return false;
	if (!reaches(l, to) && !rules_count_there(l, to))
		to = NULL;
	memset(hit, 0, sizeof(*hit));
	return l->dialect->escapes(l, from, to, NULL, hit);
}

/*
 * The other way round: a rule speaks of something below the new name, does not decide about that itself, and gives what
 * nothing gives below the old one.
 */
static bool
layer_gives(struct layer *l, const char *from, const char *to, struct authz_hit *hit)
{
	char member[4096];
	struct request r = { .path = member, .typed = member, .kind = AUTHZ_FILE, .want = AUTHZ_ALL };
	uint32_t held;

	if (!l->dialect->escapes || l->dialect->rules_move || l->error || !reaches(l, from) || !reaches(l, to) ||
	    str_format(member, sizeof(member), "%s" NAME, from) != 0)
		return false;
	r.len = strlen(member);
	memset(hit, 0, sizeof(*hit));
	held = l->dialect->rights(l, &r, hit);
	memset(hit, 0, sizeof(*hit));
	return l->dialect->escapes(l, to, from, &held, hit);
}

/* ------------------------------------------------------------------ more rights */

/* Names that no rule means, at several depths. */
static const struct member {
	const char *tail;
	enum authz_kind kind;
} members[] = {
	{ NAME, AUTHZ_FILE },
	{ NAME, AUTHZ_FOLDER },
	{ NAME NAME, AUTHZ_FILE },
	{ NAME NAME NAME, AUTHZ_FILE },
};

/* What a layer gives there, by the rules as they would be then: those that stand in the tree go along. */
static uint32_t
member_rights(struct layer *l, const struct move *mv, bool there, const struct member *m, struct authz_hit *hit)
{
	const char *dir = there ? mv->to->path : mv->from->path;
	char path[2 * 4096];
	struct request r = { .path = path, .typed = path, .kind = m->kind, .want = AUTHZ_ALL };

	if (l->dialect->moved)
		return l->error ? 0 : reaches(l, dir) ? l->dialect->moved(l, mv, there, hit) : AUTHZ_ALL;
	if (str_format(path, sizeof(path), "%s%s", dir, m->tail) != 0)
		return 0;
	r.len = strlen(path);
	return layer_rights(l, &r, hit);
}

/* What all layers but one (NULL: none is left out) leave together. */
static uint32_t
folded(struct authz_policy *p, const struct layer *but, const struct move *mv, bool there, const struct member *m)
{
	uint32_t rights = p->base;
	struct authz_hit hit;

	for (size_t i = 0; i < p->layer_count; i++)
		if (&p->layers[i] != but)
			rights &= member_rights(&p->layers[i], mv, there, m, &hit);
	return rights;
}

static bool
moves_alone(uint32_t here, uint32_t there)
{
	return (here & AUTHZ_RENFROM) && (there & AUTHZ_RENTO);
}

/* Which rule gives a member more than it has, though it could not be moved alone. */
static bool
member_gains(struct authz_policy *p, const struct move *mv, const struct member *m, struct authz_verdict *v)
{
	uint32_t here = folded(p, NULL, mv, false, m), there = folded(p, NULL, mv, true, m);
	uint32_t more = there & ~here & AUTHZ_OVER_MOVED;

	for (size_t i = 0; i < p->layer_count && more && !moves_alone(here, there); i++) {
		struct layer *l = &p->layers[i];
		struct authz_hit old, new;

		if (!(more & ~member_rights(l, mv, false, m, &old)))
			continue;
		v->into = reaches(l, mv->to->path);
		if (v->into)
			(void)member_rights(l, mv, true, m, &new);
		v->hit = v->into ? new : old;
		v->layer = (int)i;
		return true;
	}
	return false;
}

/* The same for names that a layer's rules do mean. */
static bool
layer_opens(struct authz_policy *p, struct layer *l, const struct move *mv, struct authz_verdict *v)
{
	const char *from = mv->from->path, *to = mv->to->path;
	bool alone = true;

	if (!l->dialect->opens || l->error || !reaches(l, from))
		return false;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		alone &= moves_alone(folded(p, l, mv, false, &members[i]), folded(p, l, mv, true, &members[i]));
	v->into = reaches(l, to);
	return l->dialect->opens(l, from, v->into ? to : NULL, alone, &v->hit);
}

/* ------------------------------------------------------------------ decision */

static bool
find_rule(struct authz_policy *p, const struct move *mv, struct authz_verdict *v)
{
	const char *from = mv->from->path, *to = mv->to->path;

	for (size_t i = 0; i < p->layer_count; i++) {
		struct layer *l = &p->layers[i];

		v->layer = (int)i;
		v->into = false;
		if (layer_escapes(l, from, to, &v->hit) || (v->into = layer_gives(l, from, to, &v->hit)) ||
		    layer_opens(p, l, mv, v))
			return true;
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (member_gains(p, mv, &members[i], v))
			return true;
	v->layer = -1;
	return v->into = false;
}

/* Does all that is moved, files in directories, lie in directories of the account's? */
static bool
owns_all(struct authz_policy *p, const struct authz_object *from)
{
	const struct authz_tree *t = &p->tree;
	bool asks = false;

	for (size_t i = 0; i < p->layer_count; i++)
		asks |= p->layers[i].dialect->moved != NULL;
	if (!asks || !t->owns_all || p->subject.dialect_uid == AUTHZ_NOBODY)
		return false;
	if (t->turn)
		t->turn(t->context, from->place);
	return t->owns_all(t->context, from->path, p->subject.dialect_uid);
}

/* The tree is searched only where it matters: what is the account's own it could have moved file by file. */
static bool
escapes(struct authz_policy *p, struct move mv, struct authz_verdict *v)
{
	if (!v->allow)
		return true;
	if (!find_rule(p, &mv, v))
		return false;
	if (owns_all(p, mv.from)) {
		mv.own = true;
		if (!find_rule(p, &mv, v))
			return false;
	}
	v->allow = false;
	v->missing = AUTHZ_RENFROM;
	v->granted &= ~(uint32_t)AUTHZ_RENFROM;
	return true;
}

bool
authz_decide_move(
    struct authz_policy *p, const struct authz_object *from, const struct authz_object *to, struct authz_verdict *v)
{
	bool typed = p->subject.choices & AUTHZ_LINKS_TYPED;
	struct authz_object a = *from, b = *to;

	*v = (struct authz_verdict){ .allow = true, .moved = true, .layer = -1, .op = AUTHZ_OP_RNFR, .granted = p->base };
	/* Where only typed paths count, a link is a folder to whoever goes through it. */
	if ((p->subject.choices & AUTHZ_RENAME_ORIGINAL) || (from->kind != AUTHZ_FOLDER && !typed))
		return true;
	if (escapes(p, (struct move){ &a, &b, false }, v) || typed || (!from->resolved && !to->resolved))
		return v->allow;
	a.path = from->resolved ? from->resolved : from->path;
	b.path = to->resolved ? to->resolved : to->path;
	v->on_resolved = escapes(p, (struct move){ &a, &b, false }, v) && from->resolved;
	return v->allow;
}
