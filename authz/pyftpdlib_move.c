/* pyftpdlib's overrides and hooks that a renamed folder would leave behind; see move.c. */
#include "authz/pyftpdlib.h"

#include <string.h>

#include "common/str.h"

/* The rights of a folder and of a file in it are the same at two paths. */
static bool
same_rights(const struct letters *s, const char *a, size_t a_len, const char *b)
{
	const struct override *x, *y;
	char in_a[4096 + 2], in_b[4096 + 2];

	x = pyftpdlib_covering(s, a, a_len, AUTHZ_FOLDER);
	y = pyftpdlib_covering(s, b, strlen(b), AUTHZ_FOLDER);
	if ((x ? x->rights : s->base) != (y ? y->rights : s->base))
		return false;
	if (str_format(in_a, sizeof(in_a), "%.*s/x", (int)a_len, a) != 0 || str_format(in_b, sizeof(in_b), "%s/x", b) != 0)
		return false;
	x = pyftpdlib_covering(s, in_a, a_len + 2, AUTHZ_FILE);
	y = pyftpdlib_covering(s, in_b, strlen(in_b), AUTHZ_FILE);
	return (x ? x->rights : s->base) == (y ? y->rights : s->base);
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
pyftpdlib_escapes(struct layer *l, const char *from, const char *to, struct authz_hit *hit)
{
	const struct letters *s = l->state;
	size_t len = strlen(from);
	char there[4096];

	for (size_t i = 0; i < s->hook_count; i++) {
		const struct span *p = &s->hooks[i].prefix;

		if (p->len <= len || memcmp(p->at, from, len) != 0 || p->at[len] != '/' ||
		    (to && hook_below(s, to, strlen(to), p->at + len, p->len - len)))
			continue;
		*hit = (struct authz_hit){ .rule = &s->hooks[i], .a = BY_HOOK };
		return true;
	}
	for (uint32_t i = 0; i < s->override_count; i++) {
		const struct override *o = &s->overrides[i];

		if (o->len <= len || !path_within(o->dir, o->len, from, len) || pyftpdlib_covering(s, o->dir, o->len, AUTHZ_FOLDER) != o ||
		    (to && str_format(there, sizeof(there), "%s%.*s", to, (int)(o->len - len), o->dir + len) == 0 &&
			same_rights(s, o->dir, o->len, there)))
			continue;
		*hit = (struct authz_hit){ .rule = o, .a = BY_OVERRIDE };
		return true;
	}
	return false;
}
