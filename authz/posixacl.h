/*
 * POSIX.1e access control lists: a small C API over libacl with everything
 * that Python's posix1e module offers, plus what that library does not catch
 * (numbers that wrap, duplicate qualifiers, default ACLs through a
 * descriptor).  Whoever shows, changes or explains an ACL uses it: the agent,
 * sallyctl, tests.
 *
 * What it trusts: nothing of a text or of an attribute read from a file
 * system.  A frozen ACL (pacl_thaw) must come from this machine, not from a
 * client: only its length and its entries' kinds are checked.
 *
 * Inside a chroot, without /proc and without name services, everything but
 * pacl_nss and texts with names works.  Functions return 0 or a negative
 * code; -EINVAL is an ACL that is not valid, -EOPNOTSUPP a file system
 * without ACLs.  Objects belong to the caller, who ends them with pacl_free().
 */
#ifndef AUTHZ_POSIXACL_H
#define AUTHZ_POSIXACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An attribute has at most 64 KiB: a header of 4 bytes and 8 bytes an entry. */
#define PACL_XATTR_MAX		65536
#define PACL_ENTRIES_MAX	((PACL_XATTR_MAX - 4) / 8)
#define PACL_NO_ID		UINT32_MAX

/* PACL_TAG(NAME, number in attributes, "word", qualified: has a uid or gid) */
#define PACL_TAGS(PACL_TAG)						\
	PACL_TAG(UNDEFINED,	0x00, "undefined", false)		\
	PACL_TAG(USER_OBJ,	0x01, "user",  false)			\
	PACL_TAG(USER,		0x02, "user",  true)			\
	PACL_TAG(GROUP_OBJ,	0x04, "group", false)			\
	PACL_TAG(GROUP,		0x08, "group", true)			\
	PACL_TAG(MASK,		0x10, "mask",  false)			\
	PACL_TAG(OTHER,		0x20, "other", false)

enum pacl_tag {
#define PACL_TAG(NAME, number, word, qualified) PACL_##NAME = number,
	PACL_TAGS(PACL_TAG)
#undef PACL_TAG
};

enum { PACL_READ = 4, PACL_WRITE = 2, PACL_EXECUTE = 1 };

enum pacl_type { PACL_ACCESS, PACL_DEFAULT };

/* PACL_FAULT(NAME, "word", "what is wrong") : the answers of pacl_check() */
#define PACL_FAULTS(PACL_FAULT)                                                                           \
	PACL_FAULT(FINE, "FINE", "the ACL is valid")                                                      \
	PACL_FAULT(MULTI, "MULTI", "more than one entry of a kind that may stand once")                   \
	PACL_FAULT(DUPLICATE, "DUPLICATE", "two entries for the same user or group")                      \
	PACL_FAULT(MISS, "MISS",                                                                          \
	    "a required entry is missing (owner, owning group, other, or the mask beside named entries)") \
	PACL_FAULT(ENTRY, "ENTRY", "an entry of an undefined kind")

enum pacl_fault {
#define PACL_FAULT(NAME, word, text) PACL_##NAME,
	PACL_FAULTS(PACL_FAULT)
#undef PACL_FAULT
};

/* Forms of text; or'ed. */
enum pacl_option {
	PACL_SOME_EFFECTIVE	= 1 << 0,	/* note what remains where the mask takes something away */
	PACL_ALL_EFFECTIVE	= 1 << 1,	/* the note on every entry under the mask */
	PACL_SMART_INDENT	= 1 << 2,	/* align the notes to the fourth tab stop */
	PACL_NUMERIC_IDS	= 1 << 3,	/* numbers; the only form that asks no name service */
	PACL_ABBREVIATE		= 1 << 4	/* u: instead of user: */
};

/* What this build can do (the HAS_ constants of posix1e). */
enum pacl_cap {
	PACL_HAS_ENTRY		= 1 << 0,	/* entries and permission sets (level 2) */
	PACL_HAS_FROM_MODE	= 1 << 1,
	PACL_HAS_CHECK		= 1 << 2,
	PACL_HAS_EXTENDED_CHECK	= 1 << 3,
	PACL_HAS_EQUIV_MODE	= 1 << 4,
	PACL_HAS_COPY_EXT	= 1 << 5
};

struct pacl;

/* A handle on one entry. It lives as long as the ACL and until the entry is deleted. */
struct pacl_entry {
	struct pacl *parent;
	void *handle;
};

/* A handle on an entry's permissions; lives as long as the entry. */
struct pacl_permset {
	struct pacl_entry entry;
	void *handle;
};

/* An entry by value: what attributes hold, in the order of the kernel. */
struct pacl_row {
	uint16_t tag;		/* enum pacl_tag */
	uint16_t perm;		/* PACL_READ and so on, or'ed */
	uint32_t id;		/* PACL_NO_ID unless the tag is qualified */
};

/* Turns names in a text into numbers. 0, or -ENOENT when there is no such name. tag: PACL_USER or PACL_GROUP. */
struct pacl_names {
	int (*find)(void *context, enum pacl_tag tag, const char *name, uint32_t *id);
	void *context;
};

/* Names as the system's name services know them. Not for use inside a jail. */
extern const struct pacl_names pacl_nss;

/* Where a text went wrong. */
struct pacl_error {
	size_t at;		/* offset of the first byte that does not fit */
	char text[200];		/* one sentence, without the text's own bytes escaped */
};

/* enum pacl_cap, or'ed. */
unsigned pacl_caps(void);

/* ------------------------------------------------------------- making one */

/* An ACL without entries. It is not valid before it has its three basic ones. */
int pacl_new(struct pacl **);
/* The basic ACL of a mode; set-id, sticky and type bits are ignored. */
int pacl_from_mode(mode_t, struct pacl **);
/*
 * Reads a text: entries separated by comma, blank or newline, long or short
 * tags, # to the end of the line is a comment.  A qualifier is a decimal
 * number below 2^32-1 or a name that names (NULL: no names) can find; \ooo in a
 * name is a byte in octal, as pacl_text() writes it.  Validity is not asked
 * for here: see pacl_check().  0; SP_EFORMAT with e (may be NULL) filled in; -ENOMEM.
 */
int pacl_parse(const char *text, const struct pacl_names *names, struct pacl **, struct pacl_error *e);
int pacl_dup(const struct pacl *, struct pacl **);
/* From rows, in any order. -EINVAL for more than PACL_ENTRIES_MAX or permissions that do not exist. */
int pacl_from_rows(const struct pacl_row *, size_t n, struct pacl **);
/* From the value of a system.posix_acl_* attribute (Linux, version 2). SP_EFORMAT, SP_ETRUNC, SP_ERANGE: hostile. */
int pacl_from_xattr(const void *, size_t len, struct pacl **);
/* libacl's own exchange format, for this machine only; see pacl_freeze(). */
int pacl_thaw(const void *, size_t len, struct pacl **);
void pacl_free(struct pacl *);

/* ------------------------------------------------------------ giving it out */

/* Writes rows in canonical order into row[max]; returns their number, which may be larger than max. */
size_t pacl_rows(const struct pacl *, struct pacl_row *row, size_t max);
/* Writes the attribute's value. Its length, or SP_ERANGE when it does not fit into size. */
ssize_t pacl_to_xattr(const struct pacl *, void *, size_t size);
/* A malloc'ed copy in libacl's exchange format and its length. */
int pacl_freeze(const struct pacl *, void **, size_t *len);
/* One entry a line, names where they exist. *text is the caller's to free(). */
int pacl_text(const struct pacl *, char **text);
/* prefix before each entry (NULL: none), separator between them, enum pacl_option or'ed. */
int pacl_text_as(const struct pacl *, const char *prefix, char separator, unsigned options, char **text);

/* -------------------------------------------------------- asking, computing */

size_t pacl_count(const struct pacl *);
/* PACL_FINE, or the first fault and (index may be NULL) the number of its entry as pacl_entry_at() counts. */
enum pacl_fault pacl_check(const struct pacl *, size_t *index);
bool pacl_valid(const struct pacl *);
const char *pacl_fault_word(enum pacl_fault);
const char *pacl_fault_text(enum pacl_fault);
/* Are they the same, entry for entry? */
bool pacl_equal(const struct pacl *, const struct pacl *);
/* The mode that it shows in a listing. 0: that mode says it all (a basic ACL). 1: it is an extended one. Or -errno. */
int pacl_equiv_mode(const struct pacl *, mode_t *);
/* Sets the mask to the union of named users and all groups; adds it when there is none. */
int pacl_calc_mask(struct pacl *);

/* -------------------------------------------------- entries and permissions */

/* The entry of that number. 0 or -ENOENT. Loops may be nested. */
int pacl_entry_at(const struct pacl *, size_t index, struct pacl_entry *);
/* The entry of that tag and id (ignored unless the tag is qualified). 0 or -ENOENT. */
int pacl_entry_find(const struct pacl *, enum pacl_tag, uint32_t id, struct pacl_entry *);
/* Adds an entry: a copy of like, or an undefined one (NULL). made may be NULL. */
int pacl_append(struct pacl *, const struct pacl_entry *like, struct pacl_entry *made);
/* Adds an entry with these values. */
int pacl_add(struct pacl *, enum pacl_tag, uint32_t id, unsigned perm);
/* Removes an entry and ends its handle. -EINVAL when it belongs to another ACL. */
int pacl_delete(struct pacl *, struct pacl_entry *);
/* Gives to the values of from, which may belong to another ACL. */
int pacl_entry_copy(struct pacl_entry *to, const struct pacl_entry *from);
struct pacl *pacl_entry_parent(const struct pacl_entry *);
enum pacl_tag pacl_entry_tag(const struct pacl_entry *);
int pacl_entry_set_tag(struct pacl_entry *, enum pacl_tag);
/* uid or gid. -EINVAL unless the tag is PACL_USER or PACL_GROUP. */
int pacl_entry_id(const struct pacl_entry *, uint32_t *id);
int pacl_entry_set_id(struct pacl_entry *, uint32_t id);
unsigned pacl_entry_perm(const struct pacl_entry *);
int pacl_entry_set_perm(struct pacl_entry *, unsigned perm);

int pacl_entry_permset(const struct pacl_entry *, struct pacl_permset *);
/* Copies a permission set, which may be another entry's. */
int pacl_entry_set_permset(struct pacl_entry *, const struct pacl_permset *);
/* perm: one or more of PACL_READ, PACL_WRITE, PACL_EXECUTE; -EINVAL for anything else. */
int pacl_perm_add(struct pacl_permset *, unsigned perm);
int pacl_perm_delete(struct pacl_permset *, unsigned perm);
int pacl_perm_clear(struct pacl_permset *);
/* Are all of perm in the set? */
bool pacl_perm_test(const struct pacl_permset *, unsigned perm);
/* The read, write and execute properties of posix1e. */
int pacl_perm_set(struct pacl_permset *, unsigned perm, bool on);

/* ---------------------------------------------------------------- on files */

/*
 * Where an ACL is.
 *   pacl_at_fd     the object itself, open for reading or writing; an O_PATH
 *                  descriptor will not do (EBADF, the kernel's rule).
 *   pacl_at_leaf   an entry of an open folder (O_PATH will do), one name without
 *                  slash, or "."; a symbolic link is not followed (-ELOOP).
 *                  Needs no right on the object, as the kernel itself needs
 *                  none to show an ACL.  It changes the working directory
 *                  to that folder: for processes that do not use theirs.
 *   pacl_at_path   a path; symbolic links are followed.  For administrators.
 */
struct pacl_place {
	int fd;			/* -1: a path */
	const char *name;	/* NULL: fd itself */
};

struct pacl_place pacl_at_fd(int fd);
struct pacl_place pacl_at_leaf(int folder_fd, const char *leaf);
struct pacl_place pacl_at_path(const char *path);

/*
 * Reads an ACL.  Without one, or on a file system that has none, the access
 * ACL is that of the mode; a folder without a default ACL gives an empty one,
 * anything else than a folder -EACCES.
 */
int pacl_get(struct pacl_place, enum pacl_type, struct pacl **);
/*
 * Sets an ACL, of the type asked for also through a descriptor, after pacl_check()
 * (-EINVAL).  An empty default ACL removes the default ACL.  A basic one on a
 * file system without ACLs becomes a mode (set-id and sticky bits stay).
 */
int pacl_apply(struct pacl_place, enum pacl_type, const struct pacl *);
/* Removes the default ACL of a folder; none there is no error. */
int pacl_drop_default(struct pacl_place);
/* Has it more than a mode? access: an extended access ACL; def: a default ACL. Either may be NULL. */
int pacl_extended(struct pacl_place, bool *access, bool *def);

#endif
