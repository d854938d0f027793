/*
 * Regular expressions as SFTPPlus writes them (Python's flavour, searched for
 * anywhere in the path).  PCRE2 without JIT does the work, within limits of
 * steps, depth and memory; plain text between optional anchors is compared
 * without it.
 */
#ifndef AUTHZ_REGEX_H
#define AUTHZ_REGEX_H

#include "authz/layer.h"
#include "authz/pairs.h"

struct regex;

enum regex_answer { REGEX_NO, REGEX_YES, REGEX_LIMIT };

/*
 * Compiles a pattern; "${USER}" is replaced by the quoted user.  NULL on
 * success, otherwise what is wrong (static text, or in why[]) with *at the
 * offset in the pattern.  "" : out of memory.
 */
const char *regex_compile(struct arena *, struct span pattern, bool caseless, const char *user,
    struct regex **, size_t *at, char why[120]);
/* Searches. ascii: the path holds nothing else, as text_fold() told. LIMIT: it cannot be told with bounded work. */
enum regex_answer regex_search(struct regex *, const char *path, size_t len, bool ascii);
/*
 * What an expression may say of paths below a folder (dir: with '/' at its end): NONE, a match would lie beyond the
 * folder's name, wherever that is; SOME, a match may begin in it; ALL, it matches already.
 */
enum regex_reach { REGEX_BELOW_NONE, REGEX_BELOW_SOME, REGEX_BELOW_ALL };
enum regex_reach regex_below(struct regex *, const char *dir, size_t len);
/* The expression as it was compiled. */
struct span regex_pattern(const struct regex *);

/* Pairs of letters that any match must hold; good for paths in ASCII only. */
void regex_pairs(const struct regex *, struct pairs_needed *);
void regex_free(struct regex *);

#endif
