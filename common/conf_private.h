/*
 * What the parts of the configuration (common/conf_*.c) share.  Nobody else
 * includes it.
 */
#ifndef COMMON_CONF_PRIVATE_H
#define COMMON_CONF_PRIVATE_H

#include "common/arena.h"
#include "common/conf.h"

#define CONF_LINE_MAX	60000		/* bytes of one line */
#define CONF_TEXT_MAX	(4u << 20)	/* bytes of one value, continuation lines included: a layer may be a long list */
#define CONF_STRING_MAX	4096	/* of a STRING */
#define CONF_NAME_MAX	320	/* of an account; other sections: CONF_SHORT_NAME_MAX */
#define CONF_SHORT_NAME_MAX 64
#define CONF_KINDS	6	/* kinds of sections */

/* A key in a section. data points to what struct settings gets, of the key's size. */
struct conf_value {
	enum conf_key_id key;
	unsigned line;
	const char *file;
	const char *text;
	const void *data;
};

struct conf_section {
	enum conf_scope kind;		/* SC_SERVER holds the keys of [tls], too */
	const char *name, *label, *file;
	unsigned line;
	size_t n, size;
	struct conf_value *v;
	struct conf_section *same_bucket, *next_of_kind;
	struct conf_resolved *resolved;	/* of a listener, conf_prepare_listeners(); NULL: not yet */
};

struct conf {
	struct arena *arena;
	struct conf_section **sections;
	struct conf_section *first[CONF_KINDS], *last[CONF_KINDS];	/* of each kind, in order */
	size_t n, size;
	struct conf_section **buckets;	/* by kind and name */
	size_t bucket_count;
	struct conf_problem *problems;
	size_t problem_count, problem_size, error_count;
	struct settings base;		/* defaults */
	struct conf_resolved server;
};

/* Why a text is refused. */
struct conf_why {
	char bad[160];			/* the offending piece, raw */
	char what[320];
	char hint[200];
};

/* The row itself, from its number. */
#define CONF_ROW(id) (&conf_keys[id])

/* Words of kinds of sections: "server", "listener", ... NULL: no such kind. */
const char *conf_kind_word(enum conf_scope);
/* 0 when there is no such word. */
enum conf_scope conf_kind_parse(const char *word);
/* Does the kind of section have a name? */
bool conf_kind_named(enum conf_scope);
/* "[server], [listener NAME]" for a mask of scopes. */
void conf_scope_text(unsigned scopes, char *dst, size_t size);

/* A key under a name that is no longer used: the row and what to put before its value. NULL: none. */
const struct conf_key *conf_old_name(const char *name, const char **before);
/* What another server's setting of that name is here. NULL: unknown. */
const char *conf_foreign_name(const char *name);
/* The key whose name is most like it and may stand in scope (0: any); NULL: nothing alike. */
const struct conf_key *conf_nearest_key(const char *name, unsigned scope);
/* The same for a list of words. */
const char *conf_nearest_word(const struct conf_word *, const char *word);
/* conf_words_LIST, each ended by a NULL word. */
#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc)
#define WORDS(list, words) extern const struct conf_word conf_words_##list[];
#include "common/config.def"
#undef WORDS
#undef KEY
/* The number of a word in a list; -1: none. */
int conf_word_find(const struct conf_word *, const char *word);
/* How many letters must be changed, added, dropped or swapped to make b of a; a large number when that is too many. */
unsigned conf_distance(const char *a, const char *b);

/*
 * Parses a text into out (of the key's size); what out points to comes from
 * the arena.  0, SP_EFORMAT with *why filled, or -ENOMEM.  file and line are
 * remembered in layers.
 */
int conf_value_parse(struct arena *, const struct conf_key *, const char *text, const char *file, unsigned line,
    void *out, struct conf_why *why);
/* Notes what is wrong with a value, and what would be right. Always SP_EFORMAT. */
int conf_refuse(struct conf_why *, const char *bad, const char *what, const char *hint);
/* Rules of single keys beyond their type. 0 or SP_EFORMAT. */
int conf_value_rules(const struct conf_key *, const void *value, struct conf_why *why);
/* May the text be shown? */
bool conf_is_secret(const struct conf_key *);

/* Finds or makes a section. NULL: no memory. */
struct conf_section *conf_section_make(struct conf *, enum conf_scope kind, const char *name, const char *file,
    unsigned line, bool *made);
/* Appends a parsed value. 0 or -ENOMEM. */
int conf_section_put(struct conf *, struct conf_section *, const struct conf_value *);
/* The value of a key in that very section, NULL: not set there. */
const struct conf_value *conf_section_get(const struct conf_section *, enum conf_key_id);
/* Parses and appends: 0, SP_EFORMAT with *why, -ENOMEM. */
int conf_section_set(struct conf *, struct conf_section *, const struct conf_key *, const char *text, const char *file,
    unsigned line, struct conf_why *why);
/* Brings conf_server() up to date. */
int conf_refresh(struct conf *);

/*
 * Reads the text of a file, called name in messages; what is wrong in it becomes
 * problems of the configuration. 0 or -ENOMEM.
 */
int conf_read_text(struct conf *, const char *name, const char *text, size_t len);
/* Reports a mistake at a value. */
void conf_complain(struct conf *, const struct conf_value *, const char *what, const char *hint);
/* What contradicts what; files: look at the files that are named, too. */
void conf_crosscheck(struct conf *, bool files);

#endif
