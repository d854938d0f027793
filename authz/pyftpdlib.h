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

#endif
