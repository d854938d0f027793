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
probe(struct authz_policy *p, struct authz_listing_view *w, enum authz_kind kind)
{
	uint32_t rights = AUTHZ_ALL, inside = AUTHZ_ALL, r, in;

	w->known |= (uint8_t)(1u << kind);
	for (size_t i = 0; i < p->layer_count; i++) {
		if (!layer_uniform(&p->layers[i], w->path, kind, &r, &in))
			return;
		rights &= r;
		inside &= in;
	}
	if (p->layer_count == 0)
		rights = inside = AUTHZ_READ_ONLY;
	w->uniform |= (uint8_t)(1u << kind);
	w->rights[kind] = rights;
	w->inside[kind] = inside;
}

static bool
hides_control(const struct authz_policy *p, const char *path, size_t len)
{
	for (size_t i = 0; i < p->layer_count; i++) {
		const struct layer *layer = &p->layers[i];

		if (layer->dialect == &dialect_ftpcluster &&
		    (!layer->prefix || path_within(path, len, layer->prefix, layer->prefix_len)) &&
		    (p->subject.dialect_uid != 0 || (p->subject.choices & AUTHZ_CLUSTER_NO_ADMIN)))
			return true;
	}
	return false;
}

static void
add_view(struct authz_listing *l, const char *path)
{
	struct authz_listing_view *w = &l->views[l->count++];
	size_t len = strlen(path);

	w->path = path;
	w->uniform = w->known = 0;
	w->name = NULL;
	l->hide_control |= hides_control(l->policy, path, len);
	if (len < 4096) {
		memcpy(w->buffer, path, len);
		w->name = w->buffer + (len == 1 ? 0 : len);
		*w->name++ = '/';
	}
}

void
authz_listing_begin(struct authz_listing *l, struct authz_policy *p, const char *path, const char *resolved,
    uint32_t granted)
{
	l->policy = p;
	l->folders_only = (granted & AUTHZ_TRAVERSE) && !(granted & AUTHZ_LIST);
	l->hide_control = false;
	l->count = 0;
	p->listing = ++p->listings;
	add_view(l, path);
	if (resolved && !(p->subject.choices & AUTHZ_LINKS_TYPED) && strcmp(path, resolved) != 0)
		add_view(l, resolved);
}

bool
authz_listing_shows(const struct authz_listing *l, const char *name, bool folder)
{
	if (l->folders_only && !folder)
		return false;
	return !l->hide_control || name[0] != '.' ||
	    (strcmp(name, ".passwd") != 0 && strcmp(name, ".permissions") != 0);
}

static uint32_t
view_rights(struct authz_policy *p, struct authz_listing_view *w, const char *name, enum authz_kind kind,
    uint32_t *inside)
{
	struct authz_object o = { .path = w->buffer, .kind = kind };

	if (!(w->known & (1u << kind)))
		probe(p, w, kind);
	*inside = 0;
	if (w->uniform & (1u << kind)) {
		*inside = w->inside[kind];
		return w->rights[kind];
	}
	if (!w->name || str_copy(w->name, 256 + 1, name) != 0)
		return 0;
	p->listing = p->listings;
	if (kind == AUTHZ_FOLDER)
		*inside = authz_child_rights(p, &o);
	return authz_rights(p, &o);
}

uint32_t
authz_listing_rights(struct authz_listing *l, const char *name, enum authz_kind kind, uint32_t *inside)
{
	uint32_t rights = AUTHZ_ALL, within = AUTHZ_ALL, in;

	for (unsigned i = 0; i < l->count; i++) {
		rights &= view_rights(l->policy, &l->views[i], name, kind, &in);
		within &= in;
	}
	if (inside)
		*inside = within;
	return rights;
}
