/*
 * The configuration: every setting from one table (common/config.def), read
 * from INI files by libinih, every mistake found at once, resolved for one
 * session, and sealed into a memory file for each role that holds that role's
 * keys and no others.
 *
 * sallyportd and sallyctl read files (conf_load); the roles get theirs from a
 * descriptor (conf_unseal).  Both give the same struct conf, and conf_resolve()
 * says what holds for one listener, account or client.  Files are written by
 * an administrator but may be wrong in every way; a sealed blob that is not
 * exactly right is refused.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "common/addr.h"

/* Where a key may stand. */
enum conf_scope {
	SC_SERVER	= 1 << 0,
	SC_TLS		= 1 << 1,	/* [tls]: for the whole server, like SC_SERVER */
	SC_LISTENER	= 1 << 2,
	SC_CLASS	= 1 << 3,
	SC_GROUP	= 1 << 4,
	SC_ACCOUNT	= 1 << 5,
	SC_USER		= SC_CLASS | SC_GROUP | SC_ACCOUNT,
	SC_ANY		= SC_SERVER | SC_LISTENER | SC_USER
};

/* Who receives it. */
enum conf_audience {
	TO_NONE		= 0,
	TO_LISTENER	= 1 << 0,
	TO_MONITOR	= 1 << 1,
	TO_WORKER	= 1 << 2,
	TO_AGENT	= 1 << 3,
	TO_KEEPER	= 1 << 4
};

enum conf_reload { NEXT_SESSION, RESTART };

#define CONF_GOODBYE_MAX 1024	/* bytes of goodbye_message that clients are sent */

/* CONF_TYPE(name, C type, what the text looks like: for messages and the manual) */
#define CONF_TYPES(CONF_TYPE)								\
	CONF_TYPE(BOOL,    bool,	       "yes or no")				\
	CONF_TYPE(INT,     int64_t,	       "a whole number")			\
	CONF_TYPE(SECONDS, uint32_t, "a time: a number with s, m, h or d (90s, 1h30m); seconds without a letter") \
	CONF_TYPE(SIZE,    uint64_t,	       "bytes: a number, with K, M, G or T for powers of 1024") \
	CONF_TYPE(RATE,    uint64_t,	       "bytes a second: a number, with K, M or G for powers of 1024") \
	CONF_TYPE(OCTAL,   uint32_t,	       "octal digits, such as 022")		\
	CONF_TYPE(DATE,    int64_t,	       "a date YYYY-MM-DD, or YYYY-MM-DD HH:MM") \
	CONF_TYPE(STRING,  const char *,       "text, up to the end of the line")	\
	CONF_TYPE(PATH,    const char *,       "an absolute path")			\
	CONF_TYPE(ENUM,    int,		       "one of some words")			\
	CONF_TYPE(LIST,    struct conf_list,   "words separated by commas")		\
	CONF_TYPE(NETS,    struct addr_nets,   "networks or addresses separated by commas, such as 10.0.0.0/8, ::1") \
	CONF_TYPE(NETMAP,  struct addr_map,    "one address, or NETWORK = ADDRESS separated by commas") \
	CONF_TYPE(PORTS,   struct conf_ports,  "a range of ports LOW-HIGH, one port, or 0") \
	CONF_TYPE(LAYERS,  struct conf_layers, "[PREFIX] LANGUAGE RULES")

struct conf_list {
	size_t n;
	const char *const *v;
};

struct conf_ports {
	uint16_t low, high;	/* both included; low 0: any */
};

/* A policy layer in its own language. Line i (from 0) of text stood in line `line + i` of file. */
struct conf_layer {
	const char *dialect;
	const char *prefix;	/* "" : everywhere */
	const char *text;	/* verbatim, without the indentation of continuation lines */
	const char *file;	/* or the name of a database; "default" */
	unsigned line;
	enum conf_scope scope;	/* of the section it stands in; [server] for a default */
	const char *section;	/* "account partner" */
};

struct conf_layers {
	size_t n;
	const struct conf_layer *v;
};

enum conf_type {
#define CONF_TYPE(name, type, text) CONF_##name,
	CONF_TYPES(CONF_TYPE)
#undef CONF_TYPE
	CONF_TYPE_COUNT
};

#define CONF_T_BOOL	bool
#define CONF_T_INT	int64_t
#define CONF_T_SECONDS	uint32_t
#define CONF_T_SIZE	uint64_t
#define CONF_T_RATE	uint64_t
#define CONF_T_OCTAL	uint32_t
#define CONF_T_DATE	int64_t
#define CONF_T_STRING	const char *
#define CONF_T_PATH	const char *
#define CONF_T_ENUM(l)	int
#define CONF_T_LIST	struct conf_list
#define CONF_T_NETS	struct addr_nets
#define CONF_T_NETMAP	struct addr_map
#define CONF_T_PORTS	struct conf_ports
#define CONF_T_LAYERS	struct conf_layers

/* enum conf_tls_mode and so on, numbered in the order of the table. */
#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc)
#define W(constant, word, meaning) constant,
#define WORDS(list, words) enum conf_##list { words };
#include "common/config.def"
#undef WORDS
#undef W
#undef KEY

/*
 * What holds for one session (or, without a subject, for the server): a member
 * a key.  STRING and PATH are NULL when unset; lists are then empty, numbers 0.
 * Keys that the role does not receive have their default.
 */
struct settings {
#define WORDS(list, words)
#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc) CONF_T_##type name;
#include "common/config.def"
#undef KEY
#undef WORDS
};

enum conf_key_id {
#define WORDS(list, words)
#define KEY(name, type, scopes, audience, reload, value, low, high, example, doc) K_##name,
#include "common/config.def"
#undef KEY
#undef WORDS
	K_COUNT
};

struct conf_word {
	const char *word, *meaning;
};

/* A row of the table. */
struct conf_key {
	const char *name;
	enum conf_type type;
	const struct conf_word *words;	/* of an ENUM, ended by a NULL word */
	unsigned scopes, audience;
	enum conf_reload reload;
	const char *value;		/* the default, NULL: unset */
	int64_t low, high;
	const char *example, *doc;
	size_t offset;			/* in struct settings */
	size_t size;
};

extern const struct conf_key conf_keys[K_COUNT];

/* The row of a name; NULL: none. */
const struct conf_key *conf_key(const char *name);
/* What a text for this key must look like, for people. */
const char *conf_expected(const struct conf_key *, char *dst, size_t size);

struct conf;
struct arena;

/* A mistake or a remark, for a person. Texts are escaped and end without a newline. */
enum conf_severity { CONF_ERROR, CONF_WARNING };
struct conf_problem {
	enum conf_severity severity;
	const char *file;
	unsigned line;			/* 0: the file as a whole */
	const char *text;		/* the offending text, "" when there is none */
	const char *what;		/* what is wrong and what was expected */
	const char *hint;		/* a suggestion, "" when there is none */
};

/* A configuration that holds defaults only. NULL: no memory. */
struct conf *conf_new(void);
/* Clears every text before it is freed: passwords' hashes are among them. */
void conf_free(struct conf *);

/*
 * Reads the file and, when path is not NULL, the *.conf files of conf.d beside it
 * in the order of their names, then checks what contradicts what.  path NULL: defaults
 * only; so does a missing sallyport.conf of the installation itself.  Goes on after mistakes.  Returns the number of
 * errors (see conf_problem_at()), or -errno when the file cannot be read.
 */
int conf_load(struct conf *, const char *path);
/* The same from memory, without conf.d and without looking for other files. name stands in messages. */
int conf_load_text(struct conf *, const char *name, const char *text, size_t len);

size_t conf_problem_count(const struct conf *);
const struct conf_problem *conf_problem_at(const struct conf *, size_t);
/* Adds one: for checks of other modules, such as policies that do not compile. Texts are copied. */
void conf_problem_add(struct conf *, enum conf_severity, const char *file, unsigned line, const char *text,
    const char *what, const char *hint);
/* One line as check-config prints it; 0 or SP_ETRUNC. */
int conf_problem_text(const struct conf_problem *, char *dst, size_t size);

/* Sections. */
struct conf_section;
/* The sections of one kind in the order of the files; [server] is always there. */
const struct conf_section *conf_section_next(const struct conf *, enum conf_scope kind,
    const struct conf_section *after);
/* name may be NULL for SC_SERVER. NULL: there is none. */
const struct conf_section *conf_section_find(const struct conf *, enum conf_scope kind, const char *name);
const char *conf_section_name(const struct conf_section *);
const char *conf_section_file(const struct conf_section *);
unsigned conf_section_line(const struct conf_section *);
/* Does the section itself set the key? */
bool conf_section_sets(const struct conf_section *, enum conf_key_id);

/*
 * The i-th key that the section itself sets, in the order in which they stand there, and its value as it was
 * written, without the indentation of continuation lines. False: there are not so many.
 */
bool conf_section_value(const struct conf_section *, size_t i, enum conf_key_id *, const char **text);

/* A key and its text from elsewhere, such as an account database. */
struct conf_pair {
	const char *key, *value;
};

/* For whom. Members that are NULL or 0 are not known. */
struct conf_subject {
	const char *listener;			/* name of the section */
	const char *user;			/* the account */
	const struct addr *peer;
	/* Group sections, primary first; NULL: as the account's section or the pairs say. */
	const char *const *groups;
	size_t group_count;
	/* Names of Unix groups, for members = @NAME. */
	const char *const *unix_groups;
	size_t unix_group_count;
	/* What another source knows of the account; takes the place of an [account] section's own values. */
	const struct conf_pair *pairs;
	size_t pair_count;
	const char *pairs_origin;		/* "accounts.db" */
};

struct conf_origin {
	const char *file;	/* or "default", or the subject's pairs_origin */
	unsigned line;
	const char *section;	/* "account bob", "" for the default */
};

/* The settings of one subject and where each came from. The layers of all sections are gathered in settings.layer. */
struct conf_resolved {
	struct settings s;
	struct conf_origin origin[K_COUNT];
	const struct conf_section *class;	/* NULL: none */
	struct arena *arena;
	char error[256];			/* why conf_resolve() failed, for the log */
};

/*
 * Account over its groups in their order over class over listener over server
 * over default.  tls is the stricter of the account's and the listener's.
 * What r points to lives until conf_resolved_free() and conf_free().
 * 0; SP_EFORMAT when a pair is wrong (r->error says which): the login must
 * then be refused; -ENOMEM.
 */
int conf_resolve(const struct conf *, const struct conf_subject *, struct conf_resolved *r);
void conf_resolved_free(struct conf_resolved *);

/* section: the one that who is, NULL for the server; its kind is told by the member of who that is set. */
typedef void conf_subject_look(void *context, const struct conf_subject *who, const struct conf_section *section);
/*
 * Calls back for everybody whom sections say settings for: the server, then each listener, group and account.  A look
 * may add problems.
 */
void conf_each_subject(const struct conf *, conf_subject_look *, void *context);

/*
 * What of r a role cannot know from its own configuration: its keys that come
 * from class, group, account or pairs, as "key=value" lines for
 * conf_unpack().  Layers travel on their own.  0 or SP_ETRUNC.
 */
int conf_pack(const struct conf_resolved *r, enum conf_audience role, char *dst, size_t size);
/* Resolves for a listener (NULL: none) and applies what conf_pack() wrote. As conf_resolve(). */
int conf_unpack(const struct conf *, const char *listener, const char *packed, struct conf_resolved *r);

/* The settings of the server as a whole, for those who serve no session. */
const struct settings *conf_server(const struct conf *);

/*
 * Resolves what holds for each [listener] while nobody's account is known,
 * so that the sessions of a template find it done.  0 or -ENOMEM.
 */
int conf_prepare_listeners(struct conf *);
/*
 * That; what holds for the server where there is no such section, or nothing was prepared. Lives as long as the
 * configuration.
 */
const struct settings *conf_listener(const struct conf *, const char *name);

/* Origins without a file: what holds unless set, and what a caller has set. Layers have their key there instead. */
#define CONF_BY_DEFAULT	"default"
#define CONF_BY_CALL	"set"

/*
 * Sets one key from text: for account databases, --option and tests.  kind and
 * name say where (the section is made when there is none).  0, SP_EFORMAT,
 * SP_ERANGE or -ENOMEM; why, when not NULL, gets what was wrong.
 */
int conf_set(struct conf *, enum conf_scope kind, const char *name, const char *key, const char *value, char *why,
    size_t why_size);
/* Would the text do for this key in that scope? As conf_set(), without setting. */
int conf_check(enum conf_scope, const char *key, const char *value, char *why, size_t why_size);

/* The value as text that the parser would read the same. Returns dst; "" when unset. */
const char *conf_value_text(const struct settings *, enum conf_key_id, char *dst, size_t size);

/*
 * What changed between two configurations and only acts after a restart: the first such key behind after (NULL: of
 * all). NULL: there is none.
 */
const struct conf_key *conf_needs_restart(const struct conf *now, const struct conf *next, const struct conf_key *after);

/*
 * A memory file, sealed against every change, with what one role (one TO_*)
 * receives.  Returns the descriptor, close-on-exec, or -errno.
 */
int conf_seal(const struct conf *, enum conf_audience role);
/* Reads such a file. The descriptor stays the caller's. 0, -errno, or SP_E*: not a blob for this program and role. */
int conf_unseal(int fd, enum conf_audience role, struct conf **);

#endif
