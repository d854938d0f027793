/*
 * The table of commands (verbs.def, sites.def) as data: what dispatch, HELP,
 * FEAT, the manual and the tests read.  No handler is called from here.
 */
#ifndef WORKER_VERBS_H
#define WORKER_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "privsep/msg.h"

struct session;
struct verb;

#define VERB_NAME_MAX	8
#define VERB_MESSAGES	4

enum verb_states {
	BEFORE	= 1 << 0,
	AFTER	= 1 << 1,
	BOTH	= BEFORE | AFTER,
	DATA	= 1 << 2,
	NOW	= 1 << 3,
	KEEP	= 1 << 4,
	TRIM	= 1 << 5
};

enum verb_argument { ARG_NONE, ARG_IGNORED, ARG_OPTIONAL, ARG_REQUIRED, ARG_PATH, ARG_NUMBER, ARG_SECRET };

/* Gets the argument without its leading blank, "" when there is none; may change it. */
typedef void verb_handler(struct session *, char *argument);

/* A piece of text being written, always ended by NUL. */
struct piece {
	size_t size, len;
	char *text;
};

/* Whether a command is of use in this session; may add to its line of FEAT. */
typedef bool verb_feature(const struct session *, const struct verb *, struct piece *);

struct verb {
	const char *name;
	verb_handler *handler;
	unsigned states;
	enum verb_argument argument;
	enum msg_type uses[VERB_MESSAGES];
	const char *syntax, *feature;
	verb_feature *useful;
	const char *doc;
};

enum verb_id {
#define VERB(NAME, handler, states, argument, messages, syntax, feature, if_, doc) VERB_##NAME,
#define ALIAS(text, NAME)
#define FEATURE(text, doc)
#include "daemon/worker/verbs.def"
#undef VERB
#undef ALIAS
#undef FEATURE
	VERB_COUNT
};

enum site_id {
#define SITE(NAME, handler, argument, messages, syntax, if_, doc) SITE_##NAME,
#define SITE_ALIAS(text, NAME)
#include "daemon/worker/sites.def"
#undef SITE
#undef SITE_ALIAS
	SITE_COUNT
};

extern const struct verb verb_table[VERB_COUNT];
extern const struct verb site_table[SITE_COUNT];

/* To be called once, before the first look-up (a template's warm-up). */
void verbs_init(void);

/* The row of a command or an alias, in any case; NULL: none. name is n bytes. */
const struct verb *verb_find(const char *name, size_t n);
const struct verb *site_find(const char *name, size_t n);

/* Number i of the aliases: its text and its row. NULL: there are no more. */
const char *verb_alias(size_t i, const struct verb **);
/* Number i of the lines of FEAT without a command. NULL: no more. */
const char *verb_extra_feature(size_t i, const char **doc);

/*
 * Can a session that has no rights (authz) anywhere but these ever be allowed
 * this command?  Computed from the gates of the messages it uses.
 */
bool verb_possible(const struct verb *, uint32_t rights);

/* Says of what comes from another protocol (HTTP, SMTP, SSH) whether it does: the session must end (ALPACA). */
bool verb_foreign(const char *name, size_t n);

#endif
