/* Rights of the members of a folder, at the price of a few decisions where rules do not tell them apart. */
#include "authz/layer.h"

#include <string.h>

#include "common/str.h"

/* Whether the layer's prefix leaves the folder's members, or what is in them, apart. */
static bool
prefix_splits(const struct layer *l, const char *path, size_t len)
{
	return l->prefix && !path_within(path, len, l->prefix, l->prefix_len) &&
	    path_within(l->prefix, l->prefix_len, path, len);
}

static bool
layer_uniform(struct layer *l, const char *path, enum authz_kind kind, uint32_t *rights, uint32_t *inside)
{
	size_t len = strlen(path);

	*rights = *inside = AUTHZ_ALL;
	if (l->prefix) {
		if (prefix_splits(l, path, len))
			return false;
		if (!path_within(path, len, l->prefix, l->prefix_len))
			return true;
	}
	if (l->error) {
		*rights = *inside = 0;
		return true;
	}
	if (l->dialect->uniform)
		return l->dialect->uniform(l, path, kind, rights, inside);
	struct request r = { .path = path, .len = len, .typed = path, .kind = kind, .want = AUTHZ_ALL };
	struct authz_hit hit;
	*rights = *inside = l->dialect->rights(l, &r, &hit);
	return true;
}

/* Tries once per kind to find one answer for all members. */
static void
probe(struct authz_listing *l, enum authz_kind kind)
{
	struct authz_policy *p = l->policy;
	uint32_t rights = AUTHZ_ALL, inside = AUTHZ_ALL, r, in;

	l->known |= (uint8_t)(1u << kind);
	for (size_t i = 0; i < p->layer_count; i++) {
		if (!layer_uniform(&p->layers[i], l->path, kind, &r, &in))
			return;
		rights &= r;
		inside &= in;
	}
	if (p->layer_count == 0)
		rights = inside = AUTHZ_READ_ONLY;
	l->uniform |= (uint8_t)(1u << kind);
	l->rights[kind] = rights;
	l->inside[kind] = inside;
}

void
authz_listing_begin(struct authz_listing *l, struct authz_policy *p, const char *path, uint32_t granted)
{
	size_t len = strlen(path);

	l->policy = p;
	l->path = path;
	l->folders_only = (granted & AUTHZ_TRAVERSE) && !(granted & AUTHZ_LIST);
	l->hide_control = false;
	l->uniform = l->known = 0;
	l->name = NULL;
	p->listing = ++p->listings;
	for (size_t i = 0; i < p->layer_count; i++) {
		const struct layer *layer = &p->layers[i];

		if (layer->dialect == &dialect_ftpcluster &&
		    (!layer->prefix || path_within(path, len, layer->prefix, layer->prefix_len)) &&
		    (p->subject.dialect_uid != 0 || (p->subject.choices & AUTHZ_CLUSTER_NO_ADMIN)))
			l->hide_control = true;
	}
	if (len < 4096) {
		memcpy(l->buffer, path, len);
		l->name = l->buffer + (len == 1 ? 0 : len);
		*l->name++ = '/';
	}
}

bool
authz_listing_shows(const struct authz_listing *l, const char *name, bool folder)
{
	if (l->folders_only && !folder)
		return false;
	return !l->hide_control || name[0] != '.' ||
	    (strcmp(name, ".passwd") != 0 && strcmp(name, ".permissions") != 0);
}

uint32_t
authz_listing_rights(struct authz_listing *l, const char *name, enum authz_kind kind, uint32_t *inside)
{
	struct authz_object o = { .path = l->buffer, .kind = kind };

	if (!(l->known & (1u << kind)))
		probe(l, kind);
	if (l->uniform & (1u << kind)) {
		if (inside)
			*inside = l->inside[kind];
		return l->rights[kind];
	}
	if (inside)
		*inside = 0;
	if (!l->name || str_copy(l->name, 256 + 1, name) != 0)
		return 0;
	l->policy->listing = l->policy->listings;
	if (inside && kind == AUTHZ_FOLDER)
		*inside = authz_child_rights(l->policy, &o);
	return authz_rights(l->policy, &o);
}
