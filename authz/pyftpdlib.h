/*
 * pyftpdlib's permission letters: what other files of authz/ need of them.
 */
#ifndef AUTHZ_PYFTPDLIB_H
#define AUTHZ_PYFTPDLIB_H

#include "authz/layer.h"

extern const struct letter pyftpdlib_letters[];
extern const size_t pyftpdlib_letter_count;

/* "elr" to rights; "-" is no letter. False with *bad at the first unknown letter. */
bool pyftpdlib_parse_letters(struct span, uint32_t *rights, const char **bad);

/* "uploads", "/uploads" or "=/real/path" to a canonical virtual folder in dst. NULL, or why not. */
const char *pyftpdlib_folder(struct span, const char *home, char *dst, size_t size);

struct override {
	const char *dir;
	size_t len;
	uint32_t rights;
	uint32_t order;			/* among all overrides */
	unsigned line;
	bool recursive;
	struct span text;		/* as written, for citations */
	struct override *next;		/* in the hash bucket */
};

struct hook {
	struct span prefix;
	unsigned line;
};

struct letters {
	uint32_t base;
	struct span base_text;
	unsigned base_line;
	struct override *overrides, **buckets;
	uint32_t override_count, bucket_mask;
	struct hook *hooks;
	size_t hook_count;
};

/* What a hit's a says. */
enum { BY_BASE, BY_OVERRIDE, BY_HOOK };

/* The override made earliest among those that cover the path (2.3); NULL: the base letters count. */
const struct override *pyftpdlib_covering(const struct letters *, const char *path, size_t len, enum authz_kind);
/* struct dialect's escapes. */
bool pyftpdlib_escapes(struct layer *, const char *from, const char *to, const uint32_t *but, struct authz_hit *);

#endif
