/* pyftpdlib's overrides and hooks that a renamed folder would leave behind; see move.c. */
#include "authz/pyftpdlib.h"

#include <string.h>

#include "common/str.h"

/* Letters at a path with something behind it; false: too long to be told. */
static bool
rights_at(const struct letters *s, const char *dir, size_t len, const char *tail, enum authz_kind kind, uint32_t *rights)
{
	const struct override *o;
	char path[4096 + 8];

	if (str_format(path, sizeof(path), "%.*s%s", (int)len, dir, tail) != 0)
		return false;
	o = pyftpdlib_covering(s, path, strlen(path), kind);
	*rights = o ? o->rights : s->base;
	return true;
}

/* The rights of two folders are the same, and those of what may be in them and further below. */
static bool
same_rights(const struct letters *s, const char *a, size_t a_len, const char *b)
{
	static const struct {
		const char *tail;
		enum authz_kind kind;
	} places[] = { { "", AUTHZ_FOLDER }, { "/x", AUTHZ_FILE }, { "/x", AUTHZ_FOLDER }, { "/x/x", AUTHZ_FILE } };
	uint32_t x, y;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!rights_at(s, a, a_len, places[i].tail, places[i].kind, &x) ||
		    !rights_at(s, b, strlen(b), places[i].tail, places[i].kind, &y) || x != y)
			return false;
	return true;
}

static bool
hook_below(const struct letters *s, const char *dir, size_t len, const char *rest, size_t rest_len)
{
	for (size_t i = 0; i < s->hook_count; i++) {
		const struct span *p = &s->hooks[i].prefix;

		if (p->len <= len + rest_len && memcmp(p->at, dir, p->len < len ? p->len : len) == 0 &&
		    (p->len <= len || memcmp(p->at + len, rest, p->len - len) == 0))
			return true;
	}
	return false;
}

bool
pyftpdlib_escapes(struct layer *l, const char *from, const char *to, const uint32_t *but, struct authz_hit *hit)
{
	const struct letters *s = l->state;
	size_t len = strlen(from);
	char there[4096];

	/* Hooks only take away. */
	for (size_t i = 0; i < s->hook_count && !but; i++) {
		const struct span *p = &s->hooks[i].prefix;

		if (p->len <= len || memcmp(p->at, from, len) != 0 || p->at[len] != '/' ||
		    (to && hook_below(s, to, strlen(to), p->at + len, p->len - len)))
			continue;
		*hit = (struct authz_hit){ .rule = &s->hooks[i], .a = BY_HOOK };
		return true;
	}
	for (uint32_t i = 0; i < s->override_count; i++) {
		const struct override *o = &s->overrides[i];

		if (o->len <= len || !path_within(o->dir, o->len, from, len) || (but && !(o->rights & ~*but)) ||
		    pyftpdlib_covering(s, o->dir, o->len, AUTHZ_FOLDER) != o ||
		    (to && str_format(there, sizeof(there), "%s%.*s", to, (int)(o->len - len), o->dir + len) == 0 &&
			same_rights(s, o->dir, o->len, there)))
			continue;
		*hit = (struct authz_hit){ .rule = o, .a = BY_OVERRIDE };
		return true;
	}
	return false;
}
