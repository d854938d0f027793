/*
 * Path globs as SFTPPlus writes them: '*' and '?' stand for any character, '/'
 * included, letter case does not matter, [x] quotes, alternatives are separated
 * by '|', a leading '!' negates them all.  The whole path must match.  Work is
 * bounded by the length of the path times that of the pattern.
 */
#ifndef AUTHZ_GLOB_H
#define AUTHZ_GLOB_H

#include "authz/layer.h"
#include "authz/pairs.h"

enum glob_shape {
	GLOB_LITERAL,			/* no wild card */
	GLOB_PREFIX,			/* literal, then one '*' */
	GLOB_SUFFIX,			/* one '*', then literal */
	GLOB_GENERAL,
};

struct glob_token;

struct glob_alt {
	enum glob_shape shape;
	const struct glob_token *tokens;
	size_t count;
	struct span head, tail;		/* literal text at the beginning and the end, folded; may overlap for LITERAL */
};

struct glob {
	bool negated;
	struct glob_alt *alts;
	size_t count;
};

/*
 * Compiles a pattern; "${USER}" stands for user, letter by letter.  Returns
 * NULL, or what is wrong with *at the place ("" and a NULL *at: out of memory).
 */
const char *glob_compile(struct arena *, struct span pattern, const char *user, struct glob *, const char **at);

/* Matches a path that text_fold() prepared. */
bool glob_match(const struct glob *, const char *folded, size_t len);
bool glob_alt_match(const struct glob_alt *, const char *folded, size_t len);

/*
 * How far an alternative can have come behind a folder (folded, with '/' at its end): a byte of states is 1 for
 * each place in the pattern from which it may go on.  Two folders below which it matches the same have the same
 * states.  Returns how many there are, 0 when there is no room for them; *all: whatever lies below the folder
 * matches.
 */
#define GLOB_STATES_MAX 4096
size_t glob_alt_states(const struct glob_alt *, const char *folded, size_t len, uint8_t states[GLOB_STATES_MAX], bool *all);

/* Pairs of letters that any match of the patterns (before negation) must hold. */
void glob_pairs(const struct glob *, struct pairs_needed *);

/*
 * Lower case, byte for byte: ASCII, and the two-byte letters of Latin, Greek
 * and Cyrillic.  dst may be src.  Returns whether all of it is ASCII.
 */
bool text_fold(char *dst, const char *src, size_t len);

#endif
