/*
 * Looks for rules that are accepted but hardly meant.  lint() sees the rules
 * alone; whoever can see files and other accounts adds his own findings, with
 * the ids of the same table.
 */
#ifndef AUTHZ_LINT_H
#define AUTHZ_LINT_H

#include <stdbool.h>
#include <stdint.h>

#include "authz/authz.h"

enum lint_severity { LINT_ERROR, LINT_WARNING, LINT_NOTE };

enum lint_id {
#define LINT(name, word, severity, text, remedy) LINT_ID_##name,
#include "authz/lint.def"
#undef LINT
	LINT_ID_COUNT
};

struct lint_row {
	const char *id;			/* "never-matches" */
	enum lint_severity severity;
	const char *text, *remedy;
};

extern const struct lint_row lint_rows[LINT_ID_COUNT];

struct lint_finding {
	enum lint_id id;
	const char *file;		/* may be NULL */
	unsigned line;
	char text[400];			/* about this place; escaped */
};

typedef void lint_found(void *context, const struct lint_finding *);

/* Reports everything about a policy's layers, one after the other. */
void lint(struct authz_policy *, lint_found *, void *context);

/* A folder that a rule names literally. */
struct lint_folder {
	const char *path;		/* canonical, as written */
	bool any_case;			/* the rule ignores letter case */
	bool must_exist;		/* the original insists on it */
	const char *file;
	unsigned line;
};
typedef void lint_folder_found(void *context, const struct lint_folder *);
/* Every folder that a rule names, for comparison with the tree. */
void lint_folders(struct authz_policy *, lint_folder_found *, void *context);

/* Whether any rule holds ${USER} under a glob: then account names must not differ by case only. */
bool lint_user_in_glob(const struct authz_policy *, const char **file, unsigned *line);

/* Fills a finding and reports it. */
void lint_report(lint_found *found, void *context, enum lint_id id, const char *file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#endif
