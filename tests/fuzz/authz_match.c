/* Pattern, NUL, path: both matchers; the filter and the index must never lose a match. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/glob.h"
#include "authz/regex.h"
#include "authz/ruleindex.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
try_glob(struct arena *a, struct span pattern, const char *folded, size_t len, bool ascii)
{
	struct glob g;
	struct rule_index x = { 0 };
	struct pairs pairs;
	struct pairs_needed need;
	const char *at;
	bool match;

	if (glob_compile(a, pattern, "b*b", &g, &at) != NULL)
		return;
	match = glob_match(&g, folded, len) != g.negated;
	pairs_collect(&pairs, folded, len);
	glob_pairs(&g, &need);
	if (match && ascii && !pairs_possible(&pairs, &need))
		abort();
	if (g.count == 1 && index_begin(&x, a, 1) == 0 && index_add(&x, a, &g.alts[0], 0) == 1 &&
	    (index_find(&x, folded, len, 1) == 0) != match)
		abort();
}

static void
try_regex(struct arena *a, struct span pattern, const char *path, const char *folded, size_t len, bool ascii)
{
	struct regex *rx = NULL;
	struct pairs pairs;
	struct pairs_needed need;
	char why[120];
	size_t at;

	for (int caseless = 0; caseless < 2; caseless++) {
		if (regex_compile(a, pattern, caseless, "b*b", &rx, &at, why) == NULL) {
			pairs_collect(&pairs, folded, len);
			regex_pairs(rx, &need);
			if (regex_search(rx, path, len, ascii) == REGEX_YES && ascii && !pairs_possible(&pairs, &need))
				abort();
		}
		regex_free(rx);
		rx = NULL;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t n = nul ? (size_t)(nul - data) : size, len = nul ? size - n - 1 : 0;
	char *pattern = malloc(n + 1), *path = malloc(len + 1), *folded = malloc(len + 1);
	struct arena *a = arena_new();
	bool ascii;

	if (len > 4096)
		len = 4096;
	memcpy(pattern, data, n);
	pattern[n] = '\0';
	memcpy(path, nul ? (const char *)nul + 1 : "", len);
	path[len] = '\0';
	ascii = text_fold(folded, path, len);
	try_glob(a, (struct span){ pattern, n }, folded, len, ascii);
	if (n < 300)
		try_regex(a, (struct span){ pattern, n }, path, folded, len, ascii);
	arena_free(a);
	free(pattern);
	free(path);
	free(folded);
	return 0;
}
