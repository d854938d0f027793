/* SFTPPlus's path rules: what other files of authz/ need of them. */
#ifndef AUTHZ_SFTPPLUS_H
#define AUTHZ_SFTPPLUS_H

#include "authz/dateglob.h"
#include "authz/glob.h"
#include "authz/regex.h"
#include "authz/ruleindex.h"

enum method { METHOD_GLOB, METHOD_REGEX, METHOD_NOT_REGEX, METHOD_DATE };

/* A set of permissions: the globals, or what one rule gives. */
struct permission_set {
	uint32_t rights;
	struct span text;		/* as written */
	const struct source *source;	/* NULL: built in */
	unsigned line;
};

struct path_rule {
	struct permission_set set;
	struct span expression;
	enum method method;
	struct glob glob;
	struct regex *regex;
	struct dateglob *date;
	struct pairs_needed pairs;	/* of the pattern, before any negation */
};

struct sftpplus {
	struct permission_set globals;
	struct path_rule *rules;
	uint32_t rule_count;
	struct rule_index index;
	uint32_t *scanned;		/* rules the index does not hold, rising */
	uint32_t scanned_count;
};

/*
 * Reads one line "expression, permission, ..." (dialects 3.1); mistakes go to
 * the compiler.  False when the rule is not usable.
 */
bool sftpplus_parse_rule(struct compiler *, const struct source *, const struct lines *, struct path_rule *);
/* Reads "permission, permission". False when one is unknown. */
bool sftpplus_parse_set(
    struct compiler *, const struct source *, const struct lines *, struct span, struct permission_set *);
/* Whether the words begin like a list of permissions. */
bool sftpplus_is_permission(struct span);

/* What a hit's a says; b is the number of the rule. */
enum { BY_GLOBALS, BY_RULE, BY_LIMIT };
/* struct dialect's escapes. */
bool sftpplus_escapes(struct layer *, const char *from, const char *to, const uint32_t *but, struct authz_hit *);
/* struct dialect's opens. */
bool sftpplus_opens(struct layer *, const char *from, const char *to, bool alone, struct authz_hit *);
/* Frees what a rule has outside of the arena. */
void sftpplus_free_rule(struct path_rule *);

/* Names of permissions, in the documents' order, with their rights (without CHDIR). */
struct permission_row {
	const char *name;
	uint32_t rights;
};
extern const struct permission_row sftpplus_permissions[];
extern const size_t sftpplus_permission_count;

#endif
