/*
 * Attributes of one object: mode, time, owner, group, ACL; and the session's umask.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "authz/posixacl.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/agent/agent.h"
#include "daemon/agent/names.h"

#define NO_ID		UINT32_MAX
#define UMASK_TELL	UINT32_MAX	/* SET_UMASK: only tell the present one */

static int
must_exist(const struct agent *a)
{
	if (a->place.error != 0)
		return a->place.error;
	return a->place.found ? 0 : -ENOENT;
}

/* A descriptor for changing attributes: any way of opening will do. */
static int
open_any(const struct place *p)
{
	int fd = root_open(p, O_RDONLY, 0);

	return fd == -EACCES && !root_is_folder(p) ? root_open(p, O_WRONLY, 0) : fd;
}

/*
 * The mode of a file that even its owner may not open.  chmod(2) by name would
 * follow a link that takes its place; an ACL that says the same can be set without.
 */
static int
change_mode_unopened(const struct place *p, mode_t mode)
{
	struct pacl_place at = pacl_at_leaf(p->dir_fd, p->leaf);
	struct pacl_entry owner, group, other;
	struct pacl *acl;
	int r = pacl_get(at, PACL_ACCESS, &acl);

	if (r != 0)
		return r;
	/* As chmod(2) does it: where there is a mask, the group bits are the mask. */
	if (pacl_entry_find(acl, PACL_USER_OBJ, PACL_NO_ID, &owner) != 0 ||
	    pacl_entry_find(acl, PACL_OTHER, PACL_NO_ID, &other) != 0 ||
	    (pacl_entry_find(acl, PACL_MASK, PACL_NO_ID, &group) != 0 &&
	    pacl_entry_find(acl, PACL_GROUP_OBJ, PACL_NO_ID, &group) != 0) ||
	    pacl_entry_set_perm(&owner, mode >> 6 & 7) != 0 || pacl_entry_set_perm(&group, mode >> 3 & 7) != 0 ||
	    pacl_entry_set_perm(&other, mode & 7) != 0)
		r = -EACCES;
	else
		r = pacl_apply(at, PACL_ACCESS, acl);
	pacl_free(acl);
	return r;
}

/* Sets the permission bits without ever following a link. */
static int
change_mode(const struct place *p, mode_t mode)
{
	int r, fd = open_any(p);

	if (fd == -EACCES)
		return change_mode_unopened(p, mode);
	if (fd < 0)
		return fd;
	r = fchmod(fd, mode) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/*
 * The object that the policy was asked about, not the next one of its name: where rules ask about objects, an ACL
 * is that of an open file, and of one that cannot be opened as much as a name can tell.  *fd: the caller's to
 * close, or -1. 0, AGAIN or -errno.
 */
static int
acl_place(const struct place *p, int *fd, struct pacl_place *at)
{
	*fd = p->chain_count > 0 ? open_any(p) : -EACCES;
	if (*fd < 0 && *fd != -EACCES)
		return *fd == -EAGAIN ? AGAIN : *fd;
	*at = *fd >= 0 ? pacl_at_fd(*fd) : pacl_at_leaf(p->dir_fd, p->leaf);
	return *fd < 0 && !root_is_same(p) ? AGAIN : 0;
}

static void
acl_leave(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* File systems round times and have bits and years of their own: what they made of a change is what is told. */
static int
tell_object(struct agent *a)
{
	struct place *p = &a->place;

	if (statx(p->dir_fd, p->leaf, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &p->st) < 0)
		return -errno;
	return agent_answer(a, MSG_OBJECT, &(struct msg_object){ .file = root_is_file(p), .mode = p->st.stx_mode & 07777u,
	    .size = root_is_file(p) ? p->st.stx_size : 0, .mtime = (uint64_t)p->st.stx_mtime.tv_sec }, NULL, 0);
}

int
handle_change_mode(struct agent *a, const struct msg *m)
{
	struct place *p = &a->place;
	mode_t mode = m->change_mode.mode & 0777;
	int r = must_exist(a);

	if (r != 0)
		return r;
	/* Set-id and sticky bits are nothing that a client sets; a folder keeps those that it has. */
	if (root_is_folder(p))
		mode |= p->st.stx_mode & 07000;
	/* Nobody could undo it over FTP, or log in again. */
	if (p->path_len == 1 && (mode & 0100) == 0)
		return agent_refuse(a, FAIL_KIND, "the topmost directory must stay open to its owner");
	r = change_mode(p, mode);
	return r != 0 ? r : tell_object(a);
}

int
handle_set_time(struct agent *a, const struct msg *m)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)(int64_t)m->set_time.mtime } };
	int r = must_exist(a), fd;

	if (r != 0)
		return r;
	if ((fd = root_open(&a->place, O_PATH, 0)) < 0)
		return fd == -EAGAIN ? AGAIN : fd;
	r = utimensat(fd, "", t, AT_EMPTY_PATH) < 0 ? -errno : 0;
	close(fd);
	return r != 0 ? r : tell_object(a);
}

/* -------------------------------------------------------------- owner and group */

/* A number, or the name of a group of this system. NO_ID: neither. */
static uint32_t
group_of(const char *text)
{
	char *end;
	unsigned long id;

	errno = 0;
	id = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && id < NO_ID)
		return (uint32_t)id;
	return names_group_id(text);
}

/* The owner may give a file to a group that he is in; that needs nobody's help. */
static int
change_own_group(struct agent *a, const char *group)
{
	uint32_t gid = group_of(group);
	int fd, r;

	if (gid == NO_ID)
		return agent_refuse(a, FAIL_ARGUMENT, "there is no such group");
	if ((fd = root_open(&a->place, O_PATH, 0)) < 0)
		return fd == -EAGAIN ? AGAIN : fd;
	r = fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* The monitor knows accounts, and may have the privilege. */
static int
ask_for_owner(struct agent *a, const struct msg_change_owner *q)
{
	static struct msg_chown_file m;
	int r, fd = open_any(&a->place);

	if (fd == -EACCES)
		fd = root_open(&a->place, O_PATH, 0);	/* enough for changing the owner */
	if (fd < 0)
		return fd;
	memcpy(m.owner, q->owner, sizeof m.owner);
	memcpy(m.group, q->group, sizeof m.group);
	r = agent_ask(a, MSG_CHOWN_FILE, &m, &fd, 1, MSG_GIVEN);
	if (r == 0) {
		if (q->owner[0] != '\0')
			policy_give(a, fd, a->reply.given.dialect_uid, m.owner);
		msg_close(&a->reply);
	}
	close(fd);
	return r;
}

int
handle_change_owner(struct agent *a, const struct msg *m)
{
	const struct msg_change_owner *q = &m->change_owner;
	int r = must_exist(a);

	if (r != 0)
		return r;
	if (q->owner[0] == '\0' && q->group[0] == '\0')
		return agent_refuse(a, FAIL_ARGUMENT, "neither owner nor group is named");
	if ((a->flags & PROFILE_CHOWN) != 0)
		return ask_for_owner(a, q);
	if (q->owner[0] == '\0')
		return change_own_group(a, q->group);
	return agent_refuse(a, FAIL_ARGUMENT, "this account cannot give files to others");
}

/* ------------------------------------------------------------------------ umask */

/* Has the working directory an ACL that new files get whatever the umask is? */
static bool
has_default_acl(struct agent *a)
{
	bool found = false;
	int r = root_find(&a->root, "/", a->cwd, ROOT_FOLLOW, &a->place);

	if (r == 0 && a->place.error == 0)
		(void)pacl_extended(pacl_at_leaf(a->place.dir_fd, a->place.leaf), NULL, &found);
	return found;
}

int
handle_set_umask(struct agent *a, const struct msg *m)
{
	struct msg_text *t = &a->out.text;
	mode_t old = a->mask;
	char was[16] = "";

	if (m->set_umask.mask != UMASK_TELL) {
		if (m->set_umask.mask > 0777)
			return agent_refuse(a, FAIL_ARGUMENT, "a umask has three octal digits");
		a->mask = m->set_umask.mask;
		umask(a->mask);
	}
	if (a->mask != old)
		(void)str_format(was, sizeof was, " (was %03o)", (unsigned)old);
	(void)str_format(t->text, sizeof t->text, "The umask is %03o%s.%s", (unsigned)a->mask, was,
	    has_default_acl(a) ? "\nThis directory has a default ACL, which new files and directories get instead." : "");
	return agent_answer(a, MSG_TEXT, t, NULL, 0);
}

/* ------------------------------------------------------------------------- ACLs */

static enum pacl_type
type_of(uint8_t kind)
{
	return kind == 0 ? PACL_ACCESS : PACL_DEFAULT;
}

int
handle_acl_get(struct agent *a, const struct msg *m)
{
	const struct msg_acl_get *q = &m->acl_get;
	struct msg_text *t = &a->out.text;
	struct pacl *acl;
	struct pacl_place at;
	char *text;
	int r = must_exist(a), fd;

	if (r != 0)
		return r;
	if (q->kind > 1 || (q->kind == 1 && !root_is_folder(&a->place)))
		return agent_refuse(a, FAIL_KIND, "only directories have a default ACL");
	if ((r = acl_place(&a->place, &fd, &at)) == 0)
		r = pacl_get(at, type_of(q->kind), &acl);
	acl_leave(fd);
	if (r != 0)
		return r;
	r = pacl_text_as(acl, NULL, '\n', PACL_NUMERIC_IDS | (q->effective != 0 ? PACL_SOME_EFFECTIVE : 0u), &text);
	pacl_free(acl);
	if (r != 0)
		return r;
	r = str_copy(t->text, sizeof t->text, text);
	free(text);
	return r != 0 ? agent_refuse(a, FAIL_ARGUMENT, "the ACL is too long to be shown") :
	    agent_answer(a, MSG_TEXT, t, NULL, 0);
}

/*
 * Names in an ACL are those of the system, of users as of groups, as far as its files know them.  An account's
 * name is none: it may be that of another Unix user, or one of many for the same.
 */
static int
find_name(void *context, enum pacl_tag tag, const char *name, uint32_t *id)
{
	(void)context;
	*id = tag == PACL_USER ? names_user_id(name) : names_group_id(name);
	return *id == NO_ID ? -ENOENT : 0;
}

/* Reads the client's text into a valid ACL. 0 or a refusal that says what is wrong. */
static int
read_acl(struct agent *a, const char *text, bool access, struct pacl **acl)
{
	struct pacl_names names = { find_name, NULL };
	struct pacl_error e = { 0 };
	enum pacl_fault fault;
	char why[sizeof a->refusal_text];
	int r = pacl_parse(text, &names, acl, &e);

	if (r == SP_EFORMAT) {
		(void)str_format(why, sizeof why, "at character %zu: %s", e.at + 1, e.text);
		return agent_refuse(a, FAIL_ARGUMENT, why);
	}
	if (r != 0 || (!access && pacl_count(*acl) == 0))
		return r;
	fault = pacl_check(*acl, NULL);
	if (fault == PACL_MISS && a->set->acl_auto_mask && pacl_calc_mask(*acl) == 0)
		fault = pacl_check(*acl, NULL);
	if (fault == PACL_FINE)
		return 0;
	pacl_free(*acl);
	return agent_refuse(a, FAIL_ARGUMENT, pacl_fault_text(fault));
}

int
handle_acl_set(struct agent *a, const struct msg *m)
{
	const struct msg_acl_set *q = &m->acl_set;
	struct pacl_place at;
	struct pacl *acl;
	int r = must_exist(a), fd;

	if (r != 0)
		return r;
	if (q->kind > 1 || (q->kind == 1 && !root_is_folder(&a->place)))
		return agent_refuse(a, FAIL_KIND, "only directories have a default ACL");
	if ((r = read_acl(a, q->acl, q->kind == 0, &acl)) != 0)
		return r;
	if ((r = acl_place(&a->place, &fd, &at)) == 0)
		r = pacl_apply(at, type_of(q->kind), acl);
	acl_leave(fd);
	pacl_free(acl);
	return r;
}
