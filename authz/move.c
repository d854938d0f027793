/*
 * Renaming a folder above a rule: rules that name paths stay where they are while what they protect moves away.  The
 * originals let that happen; here the rename is refused, with the rule as the reason (choice RENAME_ORIGINAL).
 */
#include "authz/layer.h"

#include <string.h>

static bool
layer_escapes(struct layer *l, const char *from, const char *to, struct authz_hit *hit)
{
	if (!l->dialect->escapes || l->error)
		return false;
	/* Above the prefix RENFROM is refused already (layer_rights()). */
	if (l->prefix && !path_within(from, strlen(from), l->prefix, l->prefix_len))
		return false;
	if (l->prefix && !path_within(to, strlen(to), l->prefix, l->prefix_len))
		to = NULL;
	memset(hit, 0, sizeof(*hit));
	return l->dialect->escapes(l, from, to, hit);
}

static bool
escapes(struct authz_policy *p, const char *from, const char *to, struct authz_verdict *v)
{
	for (size_t i = 0; i < p->layer_count && v->allow; i++)
		if (layer_escapes(&p->layers[i], from, to, &v->hit)) {
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
