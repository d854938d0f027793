/*
 * Renaming a folder above a rule: rules that name paths stay where they are while what they protect moves away.  The
 * originals let that happen; here the rename is refused, with the rule as the reason (choice RENAME_ORIGINAL).
 * So is the one that brings something under a rule that gives more, without a word of that rule about the folder itself.
 */
#include "authz/layer.h"

#include <string.h>

#include "common/str.h"

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

	if (!l->dialect->escapes || l->error || !reaches(l, from) || !reaches(l, to) ||
	    str_format(member, sizeof(member), "%s/sallyport-member", from) != 0)
		return false;
	r.len = strlen(member);
	memset(hit, 0, sizeof(*hit));
	held = l->dialect->rights(l, &r, hit);
	memset(hit, 0, sizeof(*hit));
	return l->dialect->escapes(l, to, from, &held, hit);
}

static bool
escapes(struct authz_policy *p, const char *from, const char *to, struct authz_verdict *v)
{
	for (size_t i = 0; i < p->layer_count && v->allow; i++) {
		struct layer *l = &p->layers[i];

		v->into = false;
		if (!layer_escapes(l, from, to, &v->hit) && !(v->into = layer_gives(l, from, to, &v->hit)))
			continue;
		v->layer = (int)i;
		v->allow = false;
		v->missing = AUTHZ_RENFROM;
		v->granted &= ~(uint32_t)AUTHZ_RENFROM;
	}
	return !v->allow;
}

bool
authz_decide_move(
    struct authz_policy *p, const struct authz_object *from, const struct authz_object *to, struct authz_verdict *v)
{
	bool typed = p->subject.choices & AUTHZ_LINKS_TYPED;

	*v = (struct authz_verdict){ .allow = true, .moved = true, .layer = -1, .op = AUTHZ_OP_RNFR, .granted = p->base };
	/* Where only typed paths count, a link is a folder to whoever goes through it. */
	if ((p->subject.choices & AUTHZ_RENAME_ORIGINAL) || (from->kind != AUTHZ_FOLDER && !typed))
		return true;
	if (escapes(p, from->path, to->path, v) || typed || (!from->resolved && !to->resolved))
		return v->allow;
	v->on_resolved = escapes(p, from->resolved ? from->resolved : from->path,
	    to->resolved ? to->resolved : to->path, v) && from->resolved;
	return v->allow;
}
