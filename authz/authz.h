/*
 * The authorization engine: who may do what to which path, decided by layers
 * of rules in the permission languages of five other servers, and why.
 *
 * It knows nothing of FTP, processes or sockets and never touches a file: what
 * it must know of the tree comes through struct authz_tree.  Anyone may call
 * it; one policy belongs to one thread.  Rules are trusted to be what the
 * administrator wrote, paths and names are not trusted at all: every decision
 * does bounded work, and what cannot be decided is denied.
 *
 *	struct authz_policy *p = authz_compile(sources, n, &subject, &tree, &problems);
 *	struct authz_object o = { .path = "/inbox/x", .kind = AUTHZ_FILE };
 *	struct authz_verdict v;
 *	if (!authz_decide(p, AUTHZ_OP_DELE, &o, &v))
 *		authz_reason(p, &v, text, sizeof text);
 *
 * Composition: the answer is the AND of all layers; a layer can only take
 * away.  The kernel is the last layer and speaks for itself (kernel.h).
 */
#ifndef AUTHZ_AUTHZ_H
#define AUTHZ_AUTHZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ------------------------------------------------------------------ rights */

/* AUTHZ_READ, AUTHZ_STAT, ...: one bit each, meanings in rights.def. */
enum authz_right {
#define RIGHT(name, bit, word, where, text) AUTHZ_##name = 1 << bit,
#include "authz/rights.def"
#undef RIGHT
};

/* Everything one can do to objects, SITE UMASK included; and the two account rights on top. */
#define AUTHZ_ALL_FILES	((1u << 23) - 1)
#define AUTHZ_ALL	((1u << 25) - 1)
/* What an account may do that has no layer at all: look and fetch. */
#define AUTHZ_READ_ONLY	(AUTHZ_READ | AUTHZ_STAT | AUTHZ_LIST | AUTHZ_TRAVERSE | AUTHZ_CHDIR | AUTHZ_READLINK | AUTHZ_GETACL)

/* The word of the lowest right in the mask ("read", "delete-file"); "none" for 0. */
const char *authz_right_word(uint32_t rights);
/* The bit of such a word, 0 when there is none. */
uint32_t authz_right_parse(const char *word);
/* Writes all words of a mask, separated by blanks; always terminated. Returns dst. */
char *authz_rights_text(uint32_t rights, char *dst, size_t size);

/*
 * Writes rights in a language ("pyftpdlib" letters, "ups" string, "ftpcluster"
 * letters, "sftpplus" permissions): the most that grants nothing beyond the
 * mask.  True when it is exactly the mask; an unknown language gives false
 * and "".
 */
bool authz_in_language(const char *dialect, uint32_t rights, char *dst, size_t size);

/* -------------------------------------------------------------- operations */

/* AUTHZ_OP_RETR, ...: ops.def.  privsep's GATE(x) is AUTHZ_OP_x. */
enum authz_op {
#define OP(name, missing, file, folder, self, text) AUTHZ_OP_##name,
#include "authz/ops.def"
#undef OP
	AUTHZ_OP_COUNT
};

/* The state of the target when the request is decided. */
enum authz_kind { AUTHZ_MISSING, AUTHZ_FILE, AUTHZ_FOLDER, AUTHZ_KINDS };

/* n alternatives, one of which must be held completely; n == 0: nothing is needed. */
struct authz_need {
	unsigned n;
	uint32_t alt[2];
};

const struct authz_need *authz_need(enum authz_op, enum authz_kind);
const char *authz_op_name(enum authz_op);
/* Whether the operation has no path: SITE UMASK and the account operations. */
bool authz_op_session(enum authz_op);

#define AUTHZ_NEVER_GATED	(-1)
#define AUTHZ_UNKNOWN_COMMAND	(-2)
/* What a command of a client asks for ("STOR", "SITE CHMOD", "MLSD"; letter case ignored): an enum authz_op or one of
 * the above. */
int authz_command(const char *command);
/* Whether the command takes a name that is not there for a pattern, and lists its folder (LIST, NLST, STAT). */
bool authz_command_expands(const char *command);

/* ----------------------------------------------------------------- subject */

#define AUTHZ_NOBODY UINT32_MAX		/* no number in the ftpcluster's sense */

/* Who asks.  authz_compile() copies it. */
struct authz_subject {
	const char *user;
	uint32_t dialect_uid;			/* ftpcluster: number in .passwd, or AUTHZ_NOBODY */
	uid_t uid;				/* the identity the session's agent has */
	gid_t gid;
	const gid_t *groups;
	size_t group_count;
	const char *const *group_names;		/* Unix group names, for user classes of UPS */
	size_t group_name_count;
	bool may_change_password;		/* the account option; otherwise PASSWD is never granted */
	const char *home;			/* real path of "/", or NULL; only to read "=" folders of pyftpdlib */
	uint32_t choices;			/* enum authz_choice, or'ed */
};

/* AUTHZ_LINKS_TYPED, ...: readings of unclear rules that differ from the default; choices.def. */
enum authz_choice {
#define CHOICE(name, bit, key, value, other, text) AUTHZ_##name = 1 << bit,
#include "authz/choices.def"
#undef CHOICE
};

/* ------------------------------------------------------------------ layers */

/*
 * Where a layer was attached; inheritance inside one language follows this
 * order.  GROUP is the account's primary group, OTHER_GROUP any further one,
 * LOGIN the answer of an external authenticator.
 */
enum authz_scope {
	AUTHZ_SCOPE_SERVER,
	AUTHZ_SCOPE_CLASS,
	AUTHZ_SCOPE_GROUP,
	AUTHZ_SCOPE_OTHER_GROUP,
	AUTHZ_SCOPE_ACCOUNT,
	AUTHZ_SCOPE_LOGIN
};

/*
 * One layer as its administrator wrote it.  dialect: "pyftpdlib", "sftpplus",
 * "ftpcluster", "ups", or "posix1e" (also "kernel"), which leaves the decision
 * to the system's permissions.
 */
struct authz_source {
	const char *dialect;
	const char *text;		/* the rules, verbatim, lines separated by LF */
	const char *prefix;		/* only for paths at or below it; NULL or "": all */
	const char *file;		/* where it stands, for citations */
	unsigned line;			/* number of the first line of text */
	enum authz_scope scope;
	const char *section;		/* "account partner", "group staff"; for citations; may be NULL */
};

/* A mistake in a layer's text. All are reported, not the first. */
struct authz_problem {
	const char *file;
	unsigned line, column;		/* column counts bytes from 1; 0: the whole line */
	bool warning;			/* accepted; otherwise the layer denies everything */
	char text[192];			/* what is wrong, with the offending text escaped */
	char expected[192];		/* what was expected, or "" */
};

struct authz_problems {
	size_t count, errors;		/* errors: how many are not warnings */
	struct authz_problem *list;	/* at most AUTHZ_PROBLEMS_MAX are kept, count goes on */
};
#define AUTHZ_PROBLEMS_MAX 500
void authz_problems_clear(struct authz_problems *);

/* --------------------------------------------------------- facts of the tree */

#define AUTHZ_CONTROL_MAX 65536		/* longest control file that is read */

/* Tells whether a control file changed: compared byte by byte, zero it first. */
struct authz_identity {
	uint64_t device, inode, size;
	int64_t ctime_s, ctime_ns;
};

/*
 * What the engine must know of the tree, supplied by the caller; needed by
 * ftpcluster only and called only where such a layer exists.  Both take
 * canonical virtual paths and must not be fooled by links the client made:
 * use the same walk as for opening.  NULL members: no control files, no owners.
 */
struct authz_tree {
	void *context;
	/*
	 * The control file folder/name.  known: what is cached, or NULL.
	 * Returns 0: *found and text[*len] (at most AUTHZ_CONTROL_MAX bytes) are filled;
	 * 1: it is still the known one; -ENOENT (or -ENOTDIR): there is none;
	 * any other negative code: it cannot be read, and nobody gets anything from it.
	 */
	int (*control)(void *context, const char *folder, const char *name, const struct authz_identity *known,
	    struct authz_identity *found, char *text, size_t *len);
	/* The ftpcluster number of the owner, AUTHZ_NOBODY when unknown. 0, or -ENOENT. */
	int (*owner)(void *context, const char *path, uint32_t *owner);
	/*
	 * From now on the questions are about the object with that place, one of two. NULL: that goes without
	 * saying.
	 */
	void (*turn)(void *context, const void *place);
	/*
	 * Are the directory and all directories below it that owner's?  false: no, or it cannot be told. NULL: it
	 * never can.
	 */
	bool (*owns_all)(void *context, const char *path, uint32_t owner);
};

/* ------------------------------------------------------------------ policy */

struct authz_policy;

/*
 * Compiles the layers, in order of scope and of the array, for one subject.
 * n == 0 gives the read-only default.  A layer with errors denies everything
 * and carries its first error as the reason; problems (may be NULL) is
 * appended to.  tree may be NULL; it and its context are kept by reference.
 * Strings are copied.  NULL only when memory is exhausted.
 */
struct authz_policy *authz_compile(const struct authz_source *, size_t n, const struct authz_subject *,
    const struct authz_tree *, struct authz_problems *);
void authz_free(struct authz_policy *);

size_t authz_layer_count(const struct authz_policy *);
/* "ups", "sftpplus", ... */
const char *authz_layer_name(const struct authz_policy *, size_t layer);
/* Whether any layer's answer depends on the path. */
bool authz_judges_paths(const struct authz_policy *);
/* Whether any layer needs struct authz_tree: saves its preparation otherwise. */
bool authz_needs_tree(const struct authz_policy *);

/* The canonical path of the file this session uploaded last, complete or NULL: UPS lets it be stamped. Copied. */
int authz_set_last_upload(struct authz_policy *, const char *path);

/* ---------------------------------------------------------------- decision */

/*
 * The target of a request.  path is canonical: absolute, no empty, "." or ".."
 * parts, no slash at the end but for "/".  resolved: the same after links were
 * followed, NULL where nothing differs; both must pass.
 */
struct authz_object {
	const char *path;
	const char *resolved;
	enum authz_kind kind;
	const void *place;	/* for turn() of struct authz_tree, when this is one of two */
};

/* What made a layer answer as it did; points into the policy, valid until the next decision. */
struct authz_hit {
	const void *rule;
	uint32_t a, b;
};

struct authz_verdict {
	bool allow;
	bool on_resolved;	/* denied on the resolved path, not on the typed one */
	bool moved;		/* of authz_decide_move() */
	bool into;		/* the rule speaks of what lies below the new name, not the old one */
	int layer;		/* the first layer that denies; -1: none does */
	enum authz_op op;
	uint32_t granted;	/* what all layers together grant on the object */
	uint32_t missing;	/* of the needed rights, those not granted */
	struct authz_hit hit;	/* of the deciding layer */
};

/* Can it matter for this operation whether the object is the file that the session uploaded last? */
bool authz_heeds_last_upload(enum authz_op);
/* It is, and it matters. For the record, by which the decision can be taken again. */
bool authz_is_last_upload(const struct authz_policy *, enum authz_op, const struct authz_object *);

/* Decides one operation on one object; object may be NULL for session operations. Returns verdict->allow. */
bool authz_decide(struct authz_policy *, enum authz_op, const struct authz_object *, struct authz_verdict *);

/*
 * Decides what the two operations of a rename cannot: whether moving a folder takes something in it out of the
 * reach of a rule, or under one that gives more.  To be asked when both are allowed; denies with that rule, about
 * from.
 */
bool authz_decide_move(
    struct authz_policy *, const struct authz_object *from, const struct authz_object *to, struct authz_verdict *);

/*
 * The deciding rule in one line, without the layer's number:
 * `ups: d removed by "-W +c" (account partner, sallyport.conf:14)`.
 * For an allowed request the rule by which each layer granted it, separated by
 * "; ".  To be called before the next decision. Returns dst.
 */
char *authz_reason(
    struct authz_policy *, const struct authz_object *, const struct authz_verdict *, char *dst, size_t size);

/* All rights on an object, every layer folded: for the "perm" fact, UNIX.mode of listings and the like. */
uint32_t authz_rights(struct authz_policy *, const struct authz_object *);
/* Rights without a path: UMASK, PASSWD, USERADM. */
uint32_t authz_session_rights(struct authz_policy *);
/*
 * Rights that the account may have anywhere, those without a path included: what is not among them no rule grants
 * on any path.  The rules alone are looked at, so there may be no object for which they grant it.
 */
uint32_t authz_possible_rights(struct authz_policy *);

/* Room for the letters of MLSx "perm" (RFC 3659, 7.5.5). */
#define AUTHZ_PERM_MAX 12
/*
 * Letters of the "perm" fact.  inside: rights of a new member of the folder
 * (authz_child_rights()), ignored for files. Returns dst.
 */
char *authz_perm(uint32_t rights, uint32_t inside, enum authz_kind, char dst[AUTHZ_PERM_MAX]);
/* The rights a new member of this folder would have. */
uint32_t authz_child_rights(struct authz_policy *, const struct authz_object *folder);

/* ---------------------------------------------------------------- listings */

/* One path of the folder. */
struct authz_listing_view {
	const char *path;
	uint8_t uniform;		/* bit of enum authz_kind: cached below */
	uint8_t known;			/* bit of enum authz_kind: computed already */
	uint32_t rights[AUTHZ_KINDS], inside[AUTHZ_KINDS];
	char *name;			/* where a member's name goes in buffer */
	char buffer[4096 + 256 + 32];	/* not initialised beyond what is used */
};

/*
 * A listing decides 20,000 members at the price of a few: where no rule tells
 * members of this folder apart, the answer is computed once.
 */
struct authz_listing {
	struct authz_policy *policy;
	bool folders_only;		/* only TRAVERSE is held */
	bool hide_control;		/* .passwd and .permissions are not shown */
	unsigned count;			/* of views: two when the folder was reached over a link and both paths count */
	struct authz_listing_view views[2];
};

/*
 * Begins: granted is authz_verdict.granted of the LIST or NLST; path and
 * resolved are those of its object and are kept by reference.
 */
void authz_listing_begin(struct authz_listing *, struct authz_policy *, const char *path, const char *resolved,
    uint32_t granted);
/* Whether the member is shown at all. */
bool authz_listing_shows(const struct authz_listing *, const char *name, bool folder);
/* Rights of a member, and (folders) of a new member in it; inside may be NULL. */
uint32_t authz_listing_rights(struct authz_listing *, const char *name, enum authz_kind, uint32_t *inside);

/* ------------------------------------------------------------- explanation */

/* The kernel's part, predicted or observed by the caller. */
struct authz_kernel {
	bool known;		/* false: it could not be told, text says why */
	bool allow;
	const char *text;	/* "/srv/x/inbox: user::rwx, uid 2001 is the owner" */
};

#define AUTHZ_ROLE_PATTERN "folder of the pattern"

/* One step of an operation: a rename has two. */
struct authz_step {
	const char *role;	/* "source", "target", AUTHZ_ROLE_PATTERN, or NULL */
	enum authz_op op;
	struct authz_object object;
	struct authz_kernel kernel;
	const void *place;		/* as that of the object: both sides of a rename are asked about as alone */
};

enum authz_outcome { AUTHZ_ALLOW = 0, AUTHZ_DENY = 1, AUTHZ_CANNOT_TELL = 2 };

/*
 * Explains steps as "sallyctl why" prints it: verdict, deciding layer and rule,
 * every other layer, the kernel.  *text is malloc'ed (the caller frees it), in
 * lines or as one JSON object.  CANNOT_TELL when a layer failed to load or the
 * kernel's answer is not known and everything else allows. -ENOMEM otherwise.
 */
int authz_explain(struct authz_policy *, const struct authz_step *, size_t n, bool json, char **text);

#endif
