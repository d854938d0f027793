/*
 * Inside of the engine: what a permission language (dialect) has to supply and
 * what it gets.  Only authz/ includes this.
 */
#ifndef AUTHZ_LAYER_H
#define AUTHZ_LAYER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz.h"
#include "common/arena.h"

/* -------------------------------------------------------------------- text */

/* A bounded text being put together; what does not fit is cut. */
struct text {
	char *buf;
	size_t size, len;
};

void text_begin(struct text *, char *buf, size_t size);
void text_add(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds n foreign bytes, escaped. */
void text_add_escaped(struct text *, const char *, size_t n);

/* Lines of a rule text. */
struct lines {
	const char *next;		/* NULL: at the end */
	const char *start;		/* the current line, without its end */
	size_t len;
	unsigned number;		/* from 0 */
};

void lines_begin(struct lines *, const char *text);
bool lines_next(struct lines *);
size_t lines_count(const char *text);

/* A piece of a line. */
struct span {
	const char *at;
	size_t len;
};

bool blank(char c);
struct span span_trim(struct span);
bool span_is(struct span, const char *);
/* Cuts the first word (up to a blank) off *rest; an empty span at the end. */
struct span span_word(struct span *rest);
/* Cuts the last word off; what is in front may hold blanks, and loses those at its ends. */
struct span span_last_word(struct span *rest);

/* ------------------------------------------------------------------ layers */

/* One authz_source, copied. */
struct source {
	char *text, *file, *section;
	unsigned line;
	enum authz_scope scope;
};

struct layer {
	const struct dialect *dialect;
	struct authz_policy *policy;
	char *prefix;			/* NULL: everywhere */
	size_t prefix_len;
	struct source *sources;		/* more than one where the language itself inherits */
	size_t source_count;
	void *state;			/* the dialect's, in the policy's arena */
	char *error;			/* not NULL: failed to load, denies everything */
};

struct authz_policy {
	struct arena *arena;
	struct authz_subject subject;	/* copied; group ids and names too */
	struct authz_tree tree;
	struct layer *layers;
	size_t layer_count;
	uint32_t base;			/* what the account may have at most, whatever the layers say */
	struct authz_hit *hits;		/* what made each layer answer at the last decision */
	char *last_upload;		/* malloc'ed */
	uint32_t listing;		/* number of the listing being made, 0: none */
	uint32_t listings;		/* how many there were */
};

/* One question to a layer. */
struct request {
	const char *path;		/* canonical; evaluated for this one */
	size_t len;
	const char *typed;		/* as the client named it */
	enum authz_kind kind;
	bool self;			/* a folder is judged on itself */
	uint32_t want;			/* rights that matter; others may be left out */
	bool brief;			/* to be explained: the rule alone, no search for others */
};

/* Rights over what is there: what may be made beside it can be made without moving it. */
#define AUTHZ_OVER_MOVED \
	(AUTHZ_ALL_FILES & ~(uint32_t)(AUTHZ_CREATE | AUTHZ_APPNEW | AUTHZ_MKDIR | AUTHZ_RENTO | AUTHZ_SYMLINK | AUTHZ_UMASK))

/* A directory on its way. */
struct move {
	const struct authz_object *from, *to;	/* path is the one to be judged */
	bool own;				/* it and all directories in it are the account's */
};

/* What a compiler says about a text. */
struct compiler {
	struct layer *layer;
	struct authz_problems *problems;	/* may be NULL */
	unsigned errors;
};

/* Notes a mistake. line counts from the source's first (0), column from 1 or 0. */
void complain(struct compiler *, const struct source *, unsigned line, unsigned column, bool warning,
    const char *expected, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* A foreign piece of text for a message: escaped, cut to something readable, in quotes. */
#define QUOTED_MAX 96
const char *quoted(struct span, char buf[QUOTED_MAX]);

struct dialect {
	const char *name;
	/*
	 * The language's own inheritance; NULL: there is none.  joins: the source
	 * becomes part of a layer whose last source has that scope.  replaces: that
	 * layer is dropped in favour of the source.
	 */
	bool (*joins)(enum authz_scope last, const struct authz_source *next);
	bool (*replaces)(enum authz_scope last, const struct authz_source *next);
	/* Fills layer->state. 0, or -ENOMEM; mistakes go to the compiler. */
	int (*compile)(struct layer *, struct compiler *);
	/* What the layer grants on the path; hit tells cite() why. */
	uint32_t (*rights)(struct layer *, const struct request *, struct authz_hit *);
	uint32_t (*session)(struct layer *, struct authz_hit *);
	/* Why: missing == 0 explains what granted, otherwise why these are missing. */
	void (*cite)(
	    const struct layer *, const struct request *, const struct authz_hit *, uint32_t missing, struct text *);
	/*
	 * Whether all members of that kind (FILE or FOLDER, by name unknown) of
	 * the folder have the same rights; then *rights, and for folders *inside
	 * of a new member in them.  NULL: yes, and rights() of any member tells.
	 */
	bool (*uniform)(struct layer *, const char *folder, enum authz_kind, uint32_t *rights, uint32_t *inside);
	/*
	 * Whether a rule that does not decide about the folder from itself speaks of something below it, and would
	 * not of the same below to (NULL: a place beyond the layer); hit for cite().  Rules that give nothing but
	 * these rights are not meant (NULL: all are).  NULL: there are no such rules.
	 */
	bool (*escapes)(struct layer *, const char *from, const char *to, const uint32_t *but, struct authz_hit *);
	/*
	 * Whether something below from that no rule there lets be moved alone (alone: other layers would) would be
	 * decided below to (NULL: a place beyond the layer) by a rule that gives more; hit for cite().  NULL:
	 * generic names show it all.
	 */
	bool (*opens)(struct layer *, const char *from, const char *to, bool alone, struct authz_hit *);
	/*
	 * For rules in the tree: what the account may do with that which lies somewhere below the directory and is
	 * not its own, or (there) what it could do once that has been moved.  NULL: rights() tells, for names that
	 * no rule means.
	 */
	uint32_t (*moved)(struct layer *, const struct move *, bool there, struct authz_hit *);
	/* Rules stand in the tree and are moved with it: they go on to count where a layer of the language is. */
	bool rules_move;
	/* Whether the rules tell paths apart; NULL: never. */
	bool (*judges_paths)(const struct layer *);
	/* All that the layer can ever grant, wherever; rather too much than too little. NULL: everything. */
	uint32_t (*most)(const struct layer *);
	/* Frees what is not in the arena; may be NULL. */
	void (*release)(struct layer *);
};

extern const struct dialect dialect_pyftpdlib, dialect_sftpplus, dialect_ftpcluster, dialect_ups, dialect_kernel;

/* Rights of a layer, its prefix and load error taken into account. */
uint32_t layer_rights(struct layer *, const struct request *, struct authz_hit *);
/* The most a layer ever grants, on any path that it speaks about. */
uint32_t layer_most(const struct layer *);
/* Is the layer attached to a folder below this path, so that renaming it would take that one out of its reach? */
bool layer_is_below(const struct layer *, const struct request *);
/* The place of a source's line: `account partner, sallyport.conf:14`. */
void cite_place(struct text *, const struct source *, unsigned line);

/* ----------------------------------------------------------------- letters */

struct letter {
	char letter;
	uint32_t rights;
};

/* Rights of a letter, 0 when it is none of the table's. */
uint32_t letter_rights(const struct letter *, size_t n, char);
/* Writes the letters whose rights are all in the mask; false when they do not make up the mask exactly. */
bool letters_text(const struct letter *, size_t n, uint32_t rights, char *dst, size_t size);

/* True when path is dir or lies below it; "/" holds everything. */
bool path_within(const char *path, size_t len, const char *dir, size_t dir_len);
/* Length of the parent of a canonical path; 1 ("/") at the top, 0 for the root itself. */
size_t path_parent(const char *path, size_t len);
/* FNV-1a, letter by letter and of a whole text. */
#define HASH_START	2166136261u
#define HASH_STEP(h, c)	(((h) ^ (unsigned char)(c)) * 16777619u)
uint32_t hash_bytes(const char *, size_t n);

#endif
