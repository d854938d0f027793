/* What lint asks each language; only authz/lint*.c and the languages include it. */
#ifndef AUTHZ_LINT_RULES_H
#define AUTHZ_LINT_RULES_H

#include "authz/layer.h"
#include "authz/lint.h"

struct lint_run {
	struct authz_policy *policy;
	lint_found *found;
	void *context;
	uint32_t others;		/* the most that all other layers ever grant */
	const char *taker;		/* the layer that grants least of them */
};

/* Reports a finding about a line of a source. */
#define LINT_AT(run, id, source, line_, ...) \
	lint_report((run)->found, (run)->context, LINT_ID_##id, (source) ? (source)->file : NULL, \
	    (source) ? (source)->line + (line_) : 0, __VA_ARGS__)

/* Rights that a rule gives and no other layer leaves. */
void lint_contradiction(
    const struct lint_run *, const struct source *, unsigned line, uint32_t rights, const char *rule);

void lint_sftpplus(struct layer *, const struct lint_run *);
void lint_pyftpdlib(struct layer *, const struct lint_run *);
void lint_ups(struct layer *, const struct lint_run *);
void folders_sftpplus(const struct layer *, lint_folder_found *, void *context);
void folders_pyftpdlib(const struct layer *, lint_folder_found *, void *context);
/* Every path that a rule names literally, or an alternative of it begins with: where renames may matter. */
void names_sftpplus(const struct layer *, lint_folder_found *, void *context);
void names_pyftpdlib(const struct layer *, lint_folder_found *, void *context);
void lint_names(struct authz_policy *, lint_folder_found *, void *context);

/* Renames between these paths that move.c refuses, up to a limit of work, which is reported. */
void lint_renames(struct authz_policy *, lint_found *, void *context);

/* Why an expression is dangerous or foreign; NULL: it is neither. */
const char *regex_foreign(const char *pattern, size_t len);
bool regex_backtracks(const char *pattern, size_t len, bool caseless);

#endif
