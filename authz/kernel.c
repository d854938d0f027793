#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "authz/kernel.h"
#include "common/str.h"

#define R PACL_READ
#define W PACL_WRITE
#define X PACL_EXECUTE

/* What an operation needs beyond search on the way. */
enum need {
	NEED_OBJECT	= 1 << 0,	/* it must exist */
	NEED_ABSENCE	= 1 << 1,	/* it must not */
	NEED_R		= 1 << 2,	/* on the object */
	NEED_W		= 1 << 3,
	NEED_X		= 1 << 4,
	NEED_ENTRY	= 1 << 5,	/* w and x on the parent: a name appears */
	NEED_REMOVAL	= 1 << 6,	/* the same and the sticky rule: a name goes */
	NEED_OWNER	= 1 << 7,	/* be the owner */
	NEED_CHOWN	= 1 << 8,	/* the rules of chown(2) */
	NEED_MOVE	= 1 << 9,	/* w on a folder that changes its parent */
	NEED_FOLDER	= 1 << 10,	/* the object must be a folder */
	NEED_FILE	= 1 << 11,	/* it must not be one */
	ON_LINK		= 1 << 12,	/* a link itself is meant */
	NEED_DATA	= 1 << 13	/* NEED_W is for new content: append-only forbids it */
};

/* Needs of an operation when its target is missing, a file, a folder. */
static const unsigned needs[AUTHZ_OP_COUNT][AUTHZ_KINDS] = {
#define NEEDS(op, missing, file, folder) [AUTHZ_OP_##op] = { missing, file, folder },
#define SAME(op, need) NEEDS(op, need, need, need)
	SAME(RETR,	NEED_OBJECT | NEED_FILE | NEED_R)
	SAME(STAT,	NEED_OBJECT)
	SAME(MLST,	NEED_OBJECT)
	NEEDS(LIST,	NEED_OBJECT, NEED_OBJECT, NEED_R | NEED_X)
	NEEDS(NLST,	NEED_OBJECT, NEED_OBJECT, NEED_R)
	SAME(CWD,	NEED_OBJECT | NEED_FOLDER | NEED_X)
	NEEDS(STOR,	NEED_ENTRY, NEED_W | NEED_DATA, NEED_FILE)
	NEEDS(RESUME,	NEED_ENTRY, NEED_W | NEED_DATA, NEED_FILE)
	SAME(STOU,	NEED_ENTRY | NEED_ABSENCE)
	NEEDS(APPE,	NEED_ENTRY, NEED_W, NEED_FILE)
	SAME(DELE,	NEED_OBJECT | NEED_REMOVAL | NEED_FILE | ON_LINK)
	SAME(RMD,	NEED_OBJECT | NEED_REMOVAL | NEED_FOLDER | ON_LINK)
	SAME(MKD,	NEED_ABSENCE | NEED_ENTRY | ON_LINK)
	SAME(RNFR,	NEED_OBJECT | NEED_REMOVAL | NEED_MOVE | ON_LINK)
	NEEDS(RNTO,	NEED_ENTRY | ON_LINK, NEED_REMOVAL | ON_LINK, NEED_REMOVAL | ON_LINK)
	SAME(CHMOD,	NEED_OBJECT | NEED_OWNER)
	SAME(MTIME,	NEED_OBJECT | NEED_OWNER)
	SAME(CHOWN,	NEED_OBJECT | NEED_CHOWN)
	SAME(SYMLINK,	NEED_ABSENCE | NEED_ENTRY | ON_LINK)
	SAME(READLINK,	NEED_OBJECT | ON_LINK)
	SAME(GETACL,	NEED_OBJECT)
	SAME(SETACL,	NEED_OBJECT | NEED_OWNER)
#undef SAME
#undef NEEDS
};

/* One question on its way through the tests, and where its reason goes. */
struct question {
	const struct kernel_request *request;
	const struct kernel_cred *cred;
	char *text;
	size_t size;
};

bool
kernel_op_on_link(enum authz_op op)
{
	return (needs[op][AUTHZ_FILE] & ON_LINK) != 0;
}

static void
say(struct question *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct question *q, const char *fmt, ...)
{
	va_list ap;

	if (q->text == NULL || q->size == 0)
		return;
	va_start(ap, fmt);
	vsnprintf(q->text, q->size, fmt, ap);
	va_end(ap);
}

static const char *
letters(unsigned perm, char dst[4])
{
	dst[0] = (perm & R) != 0 ? 'r' : '-';
	dst[1] = (perm & W) != 0 ? 'w' : '-';
	dst[2] = (perm & X) != 0 ? 'x' : '-';
	dst[3] = '\0';
	return dst;
}

/* Only the letters that are there: "wx". */
static const char *
wanted(unsigned perm, char dst[4])
{
	size_t n = 0;

	for (unsigned i = 0; i < 3; i++)
		if ((perm & (R >> i)) != 0)
			dst[n++] = "rwx"[i];
	dst[n] = '\0';
	return dst;
}

const char *
kernel_nss_name(void *context, enum pacl_tag tag, uint32_t id, char *dst, size_t size)
{
	struct passwd *pw = tag == PACL_USER || tag == PACL_USER_OBJ ? getpwuid(id) : NULL;
	struct group *gr = tag == PACL_GROUP || tag == PACL_GROUP_OBJ ? getgrgid(id) : NULL;

	(void)context;
	if (pw != NULL || gr != NULL)
		(void)str_copy(dst, size, pw != NULL ? pw->pw_name : gr->gr_name);
	else
		(void)str_format(dst, size, "%u", id);
	return dst;
}

static const char *
name_of(const struct question *q, enum pacl_tag tag, uint32_t id, char *dst, size_t size)
{
	if (q->request != NULL && q->request->namer != NULL)
		return q->request->namer(q->request->namer_context, tag, id, dst, size);
	(void)str_format(dst, size, "%u", id);
	return dst;
}

static bool
in_group(const struct kernel_cred *cred, gid_t gid)
{
	if (cred->gid == gid)
		return true;
	for (size_t i = 0; i < cred->group_count; i++)
		if (cred->groups[i] == gid)
			return true;
	return false;
}

/* The entry that decided an access check. */
struct match {
	enum pacl_tag tag;
	uint32_t id;
	unsigned perm;		/* of the entry */
	int mask;		/* what it was cut down by, -1: nothing */
	const char *remark;
};

static const struct pacl_row *
find_row(const struct kernel_node *n, enum pacl_tag tag, uint32_t id)
{
	for (size_t i = 0; i < n->acl_count; i++)
		if (n->acl[i].tag == tag && (id == PACL_NO_ID || n->acl[i].id == id))
			return &n->acl[i];
	return NULL;
}

static bool
decided(struct match *m, enum pacl_tag tag, uint32_t id, unsigned perm, int mask, unsigned want)
{
	*m = (struct match){ tag, id, perm, mask, m->remark };
	return ((mask < 0 ? perm : perm & (unsigned)mask) & want) == want;
}

/* The groups of an extended ACL: one entry must hold all of want; any match shuts out the other entry. */
static int
check_groups(const struct kernel_node *n, const struct kernel_cred *cred, int mask, unsigned want, struct match *m)
{
	const struct pacl_row *row;
	bool hit = false;

	for (row = n->acl; row < n->acl + n->acl_count; row++) {
		if (!(row->tag == PACL_GROUP_OBJ && in_group(cred, n->gid)) &&
		    !(row->tag == PACL_GROUP && in_group(cred, row->id)))
			continue;
		if (!hit || (row->perm & want) == want)
			(void)decided(m, row->tag, row->tag == PACL_GROUP ? row->id : n->gid, row->perm, mask, want);
		hit = true;
		if ((row->perm & want) == want)
			return ((row->perm & (mask < 0 ? 7u : (unsigned)mask)) & want) == want;
	}
	return hit ? 0 : -1;
}

/* Mode bits and ACL; no capabilities. */
static bool
check_entries(const struct kernel_node *n, const struct kernel_cred *cred, unsigned want, struct match *m)
{
	const struct pacl_row *row;
	unsigned group_bits = n->mode >> 3 & 7;
	int mask = -1, answer;

	m->remark = "";
	if (cred->uid == n->uid)
		return decided(m, PACL_USER_OBJ, n->uid, n->mode >> 6 & 7, -1, want);
	if (n->acl != NULL && group_bits == 0)
		m->remark = " (the mask is empty: the kernel skips the ACL)";
	else if (n->acl != NULL) {
		if ((row = find_row(n, PACL_MASK, PACL_NO_ID)) != NULL)
			mask = row->perm;
		if ((row = find_row(n, PACL_USER, cred->uid)) != NULL)
			return decided(m, PACL_USER, row->id, row->perm, mask, want);
		if ((answer = check_groups(n, cred, mask, want, m)) >= 0)
			return answer > 0;
		return decided(m, PACL_OTHER, 0, n->mode & 7, -1, want);
	}
	if (in_group(cred, n->gid))
		return decided(m, PACL_GROUP_OBJ, n->gid, group_bits, -1, want);
	return decided(m, PACL_OTHER, 0, n->mode & 7, -1, want);
}

/* Capabilities that turn a refusal into consent; the name of the one that does, or NULL. */
static const char *
capable(const struct kernel_node *n, const struct kernel_cred *cred, unsigned want)
{
	bool folder = S_ISDIR(n->mode);

	if ((cred->caps & KERNEL_DAC_READ_SEARCH) != 0 && (folder ? (want & W) == 0 : want == R))
		return "CAP_DAC_READ_SEARCH";
	if ((cred->caps & KERNEL_DAC_OVERRIDE) != 0 && (folder || (want & X) == 0 || (n->mode & 0111) != 0))
		return "CAP_DAC_OVERRIDE";
	return NULL;
}

static void
say_match(struct question *q, const struct kernel_node *n, const struct match *m, unsigned want)
{
	char perm[4], mask[4], rest[4], want_text[4], name[64], whom[96] = "", cut[32] = "";
	const char *tag = m->tag == PACL_USER || m->tag == PACL_USER_OBJ ? "user"
			  : m->tag == PACL_OTHER                         ? "other"
									 : "group";
	bool named = m->tag == PACL_USER || m->tag == PACL_GROUP;

	if (q->text == NULL)
		return;
	if (m->tag != PACL_OTHER)
		name_of(q, m->tag, m->id, name, sizeof(name));
	if (m->tag == PACL_USER_OBJ || m->tag == PACL_GROUP_OBJ)
		(void)str_format(whom, sizeof(whom), m->tag == PACL_USER_OBJ ? ", %s is the owner" :
		    ", member of the owning group %s", name);
	if (m->mask >= 0)
		(void)str_format(cut, sizeof(cut), " mask %s -> %s", letters((unsigned)m->mask, mask),
		    letters(m->perm & (unsigned)m->mask, rest));
	say(q, "%s: %s:%s:%s%s%s%s, wanted %s", n->path, tag, named ? name : "", letters(m->perm, perm), cut, whom,
	    m->remark, wanted(want, want_text));
}

/* inode_permission(9) and its reason. */
static int
access_node(struct question *q, const struct kernel_node *n, unsigned want)
{
	struct match m = { .remark = "" };
	const char *cap;

	if ((want & W) != 0 && (n->flags & KERNEL_READ_ONLY) != 0) {
		say(q, "%s: mounted read-only, wanted w", n->path);
		return -EROFS;
	}
	if ((want & W) != 0 && (n->flags & KERNEL_IMMUTABLE) != 0) {
		say(q, "%s: immutable (chattr +i), wanted w", n->path);
		return -EPERM;
	}
	if (check_entries(n, q->cred, want, &m)) {
		say_match(q, n, &m, want);
		return 0;
	}
	if ((cap = capable(n, q->cred, want)) != NULL) {
		say(q, "%s: by %s", n->path, cap);
		return 0;
	}
	say_match(q, n, &m, want);
	return -EACCES;
}

int
kernel_access(const struct kernel_node *n, const struct kernel_cred *cred, unsigned want)
{
	struct question q = { NULL, cred, NULL, 0 };

	return access_node(&q, n, want);
}

static bool
is_owner(const struct question *q, const struct kernel_node *n)
{
	return q->cred->uid == n->uid || (q->cred->caps & KERNEL_FOWNER) != 0;
}

/* may_delete(): beyond w and x on the folder, the sticky rule and the flags of both. */
static int
check_removal(struct question *q, const struct kernel_node *folder, const struct kernel_node *n)
{
	char owner[64], folder_owner[64];
	int error = access_node(q, folder, W | X);

	if (error != 0)
		return error;
	if ((folder->flags & KERNEL_APPEND_ONLY) != 0 || (n->flags & (KERNEL_APPEND_ONLY | KERNEL_IMMUTABLE)) != 0) {
		say(q, "%s: %s, no name can be taken away", folder->flags & KERNEL_APPEND_ONLY ? folder->path : n->path,
		    (n->flags & KERNEL_IMMUTABLE) != 0 ? "immutable (chattr +i)" : "append-only (chattr +a)");
		return -EPERM;
	}
	if ((folder->mode & S_ISVTX) != 0 && q->cred->uid != folder->uid && !is_owner(q, n)) {
		say(q, "%s: sticky directory: only %s (owner of %s) or %s (owner of the directory) may take the name away",
		    folder->path, name_of(q, PACL_USER, n->uid, owner, sizeof(owner)), n->path,
		    name_of(q, PACL_USER, folder->uid, folder_owner, sizeof(folder_owner)));
		return -EPERM;
	}
	return 0;
}

/* What stands in the way of changing an inode, whoever asks. */
static int
check_changeable(struct question *q, const struct kernel_node *n)
{
	if ((n->flags & KERNEL_READ_ONLY) != 0) {
		say(q, "%s: mounted read-only", n->path);
		return -EROFS;
	}
	if ((n->flags & (KERNEL_IMMUTABLE | KERNEL_APPEND_ONLY)) != 0) {
		say(q, "%s: immutable or append-only (chattr)", n->path);
		return -EPERM;
	}
	return 0;
}

static int
check_owner(struct question *q, const struct kernel_node *n)
{
	int error = check_changeable(q, n);
	char owner[64];

	if (error != 0)
		return error;
	name_of(q, PACL_USER, n->uid, owner, sizeof(owner));
	if (!is_owner(q, n)) {
		say(q, "%s: only its owner %s may do this", n->path, owner);
		return -EPERM;
	}
	say(q, q->cred->uid == n->uid ? "%s: %s is the owner" : "%s: by CAP_FOWNER, the owner is %s", n->path, owner);
	return 0;
}

/* chown(2): only CAP_CHOWN gives away; the owner may choose one of his groups. */
static int
check_chown(struct question *q, const struct kernel_node *n)
{
	const struct kernel_request *r = q->request;
	bool capable_here = (q->cred->caps & KERNEL_CHOWN) != 0, owner = q->cred->uid == n->uid;
	int error = check_changeable(q, n);
	char name[64];

	if (error != 0)
		return error;
	if (r->new_uid != (uid_t)-1 && !capable_here && !(owner && r->new_uid == n->uid)) {
		say(q, "%s: only CAP_CHOWN may change the owner", n->path);
		return -EPERM;
	}
	if (r->new_gid != (gid_t)-1 && !capable_here &&
	    !(owner && (r->new_gid == n->gid || in_group(q->cred, r->new_gid)))) {
		say(q,
		    owner ? "%s: not a member of the new group %s"
			  : "%s: only its owner may choose another group than %s",
		    n->path, name_of(q, PACL_GROUP, owner ? r->new_gid : n->gid, name, sizeof(name)));
		return -EPERM;
	}
	say(q, "%s: %s", n->path, owner ? "the owner may choose this group" : "by CAP_CHOWN");
	return 0;
}

/* Search permission on every folder on the way. */
static int
check_way(struct question *q, const struct kernel_path *p)
{
	int error = 0;

	for (size_t i = 0; error == 0 && i < p->folder_count; i++) {
		if (!S_ISDIR(p->folder[i].mode)) {
			say(q, "%s: not a directory", p->folder[i].path);
			return -ENOTDIR;
		}
		error = access_node(q, &p->folder[i], X);
	}
	return error;
}

/* Existence and kind, in the order in which the kernel finds them out. */
static int
check_kind(struct question *q, const struct kernel_path *p, unsigned need)
{
	const struct kernel_node *n = p->object;

	if (n == NULL && (need & NEED_OBJECT) != 0) {
		say(q, "it does not exist");
		return -ENOENT;
	}
	if (n != NULL && (need & NEED_ABSENCE) != 0) {
		say(q, "%s: it exists", n->path);
		return -EEXIST;
	}
	if (n != NULL && (need & NEED_FOLDER) != 0 && !S_ISDIR(n->mode)) {
		say(q, "%s: not a directory", n->path);
		return -ENOTDIR;
	}
	if (n != NULL && (need & NEED_FILE) != 0 && S_ISDIR(n->mode)) {
		say(q, "%s: it is a directory", n->path);
		return -EISDIR;
	}
	return 0;
}

static bool
same_node(const struct kernel_node *a, const struct kernel_node *b)
{
	if (a->inode != 0 && b->inode != 0)
		return a->inode == b->inode && a->device == b->device;
	return strcmp(a->path, b->path) == 0;
}

/* A folder that gets another parent must let its ".." be changed. */
static int
check_move(struct question *q, const struct kernel_path *p)
{
	const struct kernel_path *other = q->request->other;

	if (!S_ISDIR(p->object->mode) || other == NULL || other->folder_count == 0 || p->folder_count == 0 ||
	    same_node(&p->folder[p->folder_count - 1], &other->folder[other->folder_count - 1]))
		return 0;
	return access_node(q, p->object, W);
}

/* Opening and searching are asked for one after the other, so two entries of a list may answer. */
static int
check_access(struct question *q, const struct kernel_node *n, unsigned want)
{
	int error = want != 0 ? access_node(q, n, want) : 0;

	if (error != -EACCES || (want & X) == 0 || want == X)
		return error;
	error = access_node(q, n, want & ~(unsigned)X);
	return error != 0 ? error : access_node(q, n, X);
}

static int
check_object(struct question *q, const struct kernel_node *n, unsigned need)
{
	unsigned want =
	    ((need & NEED_R) != 0 ? R : 0) | ((need & NEED_W) != 0 ? W : 0) | ((need & NEED_X) != 0 ? X : 0);
	int error = check_access(q, n, want);

	if (error == 0 && (need & NEED_DATA) != 0 && (n->flags & KERNEL_APPEND_ONLY) != 0) {
		say(q, "%s: append-only (chattr +a)", n->path);
		return -EPERM;
	}
	if (error == 0 && (need & NEED_OWNER) != 0)
		error = check_owner(q, n);
	if (error == 0 && (need & NEED_CHOWN) != 0)
		error = check_chown(q, n);
	return error;
}

/* Creating and removing names. */
static int
check_parent(struct question *q, const struct kernel_path *p, unsigned need)
{
	const struct kernel_node *parent;
	int error = 0;

	if ((need & (NEED_ENTRY | NEED_REMOVAL)) == 0)
		return 0;
	if (p->folder_count == 0) {
		say(q, "the root itself cannot be made, moved or removed");
		return -EBUSY;
	}
	parent = &p->folder[p->folder_count - 1];
	if ((need & NEED_ENTRY) != 0)
		error = access_node(q, parent, W | X);
	else
		error = check_removal(q, parent, p->object);
	if (error == 0 && (need & NEED_MOVE) != 0)
		error = check_move(q, p);
	return error;
}

/* rename(2) of an object to its own name, or to another name of the same file, does nothing and is not refused. */
static bool
renames_nothing(const struct kernel_request *r)
{
	return (r->op == AUTHZ_OP_RNFR || r->op == AUTHZ_OP_RNTO) && r->other != NULL && r->other->object != NULL &&
	    same_node(r->path->object, r->other->object);
}

int
kernel_decide(const struct kernel_request *request, const struct kernel_cred *cred, char *text, size_t size)
{
	struct question q = { request, cred, text, size };
	const struct kernel_path *p = request->path;
	enum authz_kind kind;
	unsigned need;
	int error;

	say(&q, "the kernel has no say in it");
	if (authz_op_session(request->op) || p == NULL)
		return 0;
	kind = p->object == NULL ? AUTHZ_MISSING : S_ISDIR(p->object->mode) ? AUTHZ_FOLDER : AUTHZ_FILE;
	need = needs[request->op][kind];
	if ((error = check_way(&q, p)) != 0)
		return error;
	if (p->object != NULL && renames_nothing(request)) {
		say(&q, "%s: source and target are the same", p->object->path);
		return 0;
	}
	if ((error = check_kind(&q, p, need & ~(unsigned)((need & NEED_REMOVAL) ? NEED_FOLDER | NEED_FILE : 0))) != 0 ||
	    (error = check_parent(&q, p, need)) != 0)
		return error;
	if ((error = check_kind(&q, p, need)) != 0)
		return error;
	return p->object != NULL ? check_object(&q, p->object, need) : 0;
}
