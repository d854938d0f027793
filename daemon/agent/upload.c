/*
 * Uploads: STORE, STORE_UNIQUE, APPEND. How they end stands in commit.c.
 *
 * What is new or replaced as a whole is written to a temporary file in the
 * same folder, which no client can name, and takes its name when it is
 * complete; resuming and appending write in place.  The kernel, not an earlier
 * look, decides which right was needed: a file that is there is opened without
 * O_CREAT, a new one with O_EXCL (and renamed with RENAME_NOREPLACE).
 *
 * The descriptor that the worker writes to is the same open file as ours, so
 * that its position tells where the worker stopped.
 */
#include "config.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/gate.h"
#include "daemon/agent/hidden.h"
#include "daemon/agent/quota.h"
#include "daemon/agent/temporary.h"
#include "daemon/agent/upload.h"

#define ACL_XATTR	"system.posix_acl_access"
#define ACL_SIZE_MAX	4096
#define UNIQUE_TRIES	1000
#define HELD		3	/* beside ANSWERED and AGAIN */

/* ---------------------------------------------------------------- beginning */

static int
begin(struct agent *a, uint32_t create, uint32_t replace)
{
	struct transfer *t = &a->transfer;
	const struct place *p = &a->place;

	if (p->error != 0)
		return p->error;
	if (p->found && !root_is_file(p))
		return agent_refuse(a, FAIL_KIND, NULL);
	t->kind = TRANSFER_WRITE;
	t->commit = COMMIT_NONE;
	t->existed = p->found;
	t->append = false;
	t->offset = t->old_size = 0;
	t->limit = UINT64_MAX;
	t->limit_name = "";
	t->temp[0] = '\0';
	t->may_create = (a->verdict.granted & create) != 0;
	t->may_replace = (a->verdict.granted & replace) != 0;
	t->began = clock_ms();
	memcpy(t->path, p->path, p->path_len + 1);
	(void)str_copy(t->leaf, sizeof t->leaf, p->leaf);
	t->dir_fd = root_keep_folder(p);
	return t->dir_fd < 0 ? t->dir_fd : 0;
}

/* The file that is there, for writing: the kernel decides whether it may be. */
static int
open_existing(struct agent *a, int flags)
{
	struct transfer *t = &a->transfer;
	struct stat st;

	t->fd = root_open(&a->place, flags, 0);
	if (t->fd == -ENOENT)
		return AGAIN;
	if (t->fd < 0)
		return t->fd;
	if (fstat(t->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return agent_refuse(a, FAIL_KIND, NULL);
	t->old_size = (uint64_t)st.st_size;
	return 0;
}

/*
 * A file that is written in place belongs to whoever writes it: appending goes along with appending, all else with
 * nothing.  HELD: somebody else writes at a place; see write_beside().  Where locks are not to be had, commit.c
 * notices most of what can go wrong.
 */
static int
hold_in_place(struct agent *a)
{
	struct transfer *t = &a->transfer;

	if (flock(t->fd, (t->append ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	if (!t->append && flock(t->fd, LOCK_SH | LOCK_NB) < 0)
		return HELD;
	return transfer_disturbed(a, "another session is writing to the file");
}

/* Made under the account's lock, so that nobody meets it before it is charged. */
static int
create_in_place(struct agent *a)
{
	struct transfer *t = &a->transfer;
	int r = quota_make(a, &a->place);

	if (r != 0) {
		(void)quota_settle(a, false);
		return r;
	}
	t->fd = root_open(&a->place, O_WRONLY | O_CREAT | O_EXCL | (t->append ? O_APPEND : 0), a->set->file_mode);
	if (t->fd >= 0) {
		(void)hold_in_place(a);	/* nobody else has had the time */
		return 0;
	}
	(void)quota_settle(a, false);
	return t->fd == -EEXIST ? AGAIN : t->fd;
}

/* ------------------------------------------------------------ temporary files */

static int
make_temp(struct agent *a, mode_t mode)
{
	struct transfer *t = &a->transfer;
	int fd;

	temporary_sweep_folder(a, t->dir_fd);
	fd = temporary_make(t->dir_fd, mode, t->temp);
	if (fd < 0) {
		t->temp[0] = '\0';
		return fd;
	}
	t->fd = fd;
	return 0;
}

static int
copy_acl(int from, int to)
{
	char acl[ACL_SIZE_MAX];
	ssize_t n = fgetxattr(from, ACL_XATTR, acl, sizeof acl);

	if (n > 0)
		return fsetxattr(to, ACL_XATTR, acl, (size_t)n, 0) < 0 ? -errno : 0;
	if (n < 0 && errno != ENODATA && errno != EOPNOTSUPP)
		return -errno;
	/* The folder's default ACL may have given the new file what the old one did not have. */
	if (fremovexattr(to, ACL_XATTR) < 0 && errno != ENODATA && errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

/* Owner, ACL and mode of the replaced file. -EPERM: it cannot have them. */
static int
dress(int victim, int temp)
{
	struct stat st, now;
	int r;

	if (fstat(victim, &st) < 0 || fstat(temp, &now) < 0)
		return -errno;
	if (st.st_nlink > 1)
		return -EPERM;
	if ((st.st_uid != now.st_uid || st.st_gid != now.st_gid) && fchown(temp, st.st_uid, st.st_gid) < 0)
		return -EPERM;
	if ((r = copy_acl(victim, temp)) != 0)
		return r;
	return fchmod(temp, st.st_mode & 01777) < 0 ? -errno : 0;
}

/*
 * Replacing: t->fd is the open victim, and becomes the temporary file.  Where
 * the folder takes no new file but the file may be written, it is written in place.
 */
static int
replace_later(struct agent *a)
{
	struct transfer *t = &a->transfer;
	int victim = t->fd, r;

	if ((r = make_temp(a, S_IRUSR | S_IWUSR)) != 0) {
		t->fd = victim;
		if (r == -ENOSPC || r == -EDQUOT)
			return r;
		log_problem(EVENT_UPLOAD_IN_PLACE, t->path, r);
		return hold_in_place(a);
	}
	t->commit = COMMIT_RENAME;
	r = dress(victim, t->fd);
	if (r == 0) {
		close(victim);
		return 0;
	}
	t->commit = COMMIT_COPY;
	t->victim_fd = victim;
	return 0;
}

/*
 * A client whose connection was lost resumes while its old session still holds the file, and is not to wait for that
 * one's end.  So the upload goes beside the file, on a copy of what it keeps of it, and replaces it when it is
 * complete: the old session finds its file replaced, and acknowledges nothing.
 */
static int
write_beside(struct agent *a)
{
	struct transfer *t = &a->transfer;
	uint64_t keep = a->set->rest_keeps_tail && t->offset > 0 ? t->old_size : t->offset;
	int from = root_open(&a->place, O_RDONLY, 0), r = from < 0 ? from : replace_later(a);

	if (r == 0 && t->commit == COMMIT_RENAME)
		r = transfer_copy(from, t->fd, keep);
	else if (r == 0 || r == -EACCES || r == HELD)
		r = transfer_disturbed(a, "another session is writing to the file");
	if (r == 0 && lseek(t->fd, (off_t)t->offset, SEEK_SET) < 0)
		r = -errno;
	if (from >= 0)
		close(from);
	return r;
}

static int
create_later(struct agent *a)
{
	int r = make_temp(a, a->set->file_mode);

	if (r == 0)
		a->transfer.commit = COMMIT_RENAME;
	return r;
}

/* -------------------------------------------------------------------- limits */

static uint64_t
add_up(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* What the ledger has left, before anything is changed. What is left at the end decides: others upload too. */
static int
ask_quota(struct agent *a)
{
	struct transfer *t = &a->transfer;
	uint64_t reached, bytes, files;
	int r = quota_left(a, &bytes, &files);

	if (r != 0)
		return r;
	if (!t->existed && files == 0)
		return agent_refuse(a, FAIL_QUOTA, CHARGE_FULL_FILES);
	reached = add_up(t->old_size, bytes);
	if (reached <= t->offset)
		return agent_refuse(a, FAIL_QUOTA, CHARGE_FULL_BYTES);
	if (reached < t->limit) {
		t->limit = reached;
		t->limit_name = "quota_bytes";
	}
	return 0;
}

/* From now on the ledger knows the file, and so does whoever removes it, or finds it when this session is dead. */
static int
open_account(struct agent *a)
{
	struct transfer *t = &a->transfer;
	enum charge_kind kind = t->temp[0] != '\0' ? CHARGE_TEMPORARY : t->existed ? CHARGE_EXISTING : CHARGE_NEW;
	char path[ROOT_PATH_MAX + sizeof t->temp];
	int r;

	(void)str_copy(path, sizeof path, t->path);
	if (kind == CHARGE_TEMPORARY)
		(void)str_copy(strrchr(path, '/') + 1, sizeof t->temp, t->temp);
	if (strlen(path) > ROOT_PATH_MAX)
		return -ENAMETOOLONG;
	if ((r = quota_open(a, t->fd, kind, t->dir_fd, path)) != 0)
		return r;
	return quota_settle(a, false);
}

int
upload_refuse_size(struct agent *a, const char *what)
{
	char text[128];

	(void)str_format(text, sizeof text, "%s is beyond the limit of this account (%s)", what, a->transfer.limit_name);
	return agent_refuse(a, FAIL_QUOTA, text);
}

static int
check_room(struct agent *a, uint64_t announced)
{
	struct transfer *t = &a->transfer;
	struct statvfs fs;

	if (a->set->max_file_size != 0 && a->set->max_file_size < t->limit) {
		t->limit = a->set->max_file_size;
		t->limit_name = "max_file_size";
	}
	if (t->limit != UINT64_MAX && add_up(t->offset, announced) > t->limit)
		return upload_refuse_size(a, "the announced size");
	if (announced != 0 && fstatvfs(t->fd, &fs) == 0 && announced > t->old_size &&
	    (announced - t->old_size) / fs.f_frsize > fs.f_bavail)
		return -ENOSPC;
	return 0;
}

/* Everything is ready: the worker gets the file. */
static int
hand_over(struct agent *a, uint64_t announced, const char *name)
{
	static struct msg_writing w;
	struct transfer *t = &a->transfer;
	int r;

	if ((r = ask_quota(a)) != 0 || (r = check_room(a, announced)) != 0 || (r = open_account(a)) != 0)
		return transfer_give_up(a, r);
	if (t->offset > 0 && t->commit == COMMIT_NONE && lseek(t->fd, (off_t)t->offset, SEEK_SET) < 0)
		return transfer_give_up(a, -errno);
	if (!t->existed || t->commit == COMMIT_RENAME)
		policy_own(a, t->fd);
	w.room = t->limit == UINT64_MAX ? UINT64_MAX : t->limit - t->offset;
	(void)str_copy(w.limit, sizeof w.limit, t->limit_name);
	if (str_copy(w.name, sizeof w.name, name) != 0)
		return transfer_give_up(a, -ENAMETOOLONG);
	inflight_begin(a->inflight, TRANSFER_IN, t->path, t->began);
	r = agent_answer(a, MSG_WRITING, &w, &t->fd, 1);
	if (r != ANSWERED) {
		inflight_undo(a->inflight);
		return transfer_give_up(a, r);
	}
	a->states = (a->states & ~(unsigned)ST_LIVE) | ST_TRANSFER;
	return ANSWERED;
}

int
handle_store(struct agent *a, const struct msg *m)
{
	struct transfer *t = &a->transfer;
	uint64_t offset = m->store.offset;
	int r = begin(a, AUTHZ_CREATE, AUTHZ_OVERWRITE);

	if (r == 0 && t->existed)
		r = open_existing(a, O_WRONLY);
	if (r == 0 && offset > t->old_size)
		r = agent_refuse(a, FAIL_ARGUMENT, "the restart offset is beyond the end of the file");
	t->offset = offset;
	if (r == 0 && t->existed)
		r = offset == 0 && a->set->atomic_uploads ? replace_later(a) : hold_in_place(a);
	else if (r == 0)
		r = a->set->atomic_uploads ? create_later(a) : create_in_place(a);
	if (r == HELD)
		r = write_beside(a);
	return r == 0 ? hand_over(a, m->store.announced, "") : transfer_give_up(a, r);
}

int
handle_append(struct agent *a, const struct msg *m)
{
	struct transfer *t = &a->transfer;
	int r = begin(a, AUTHZ_APPNEW, AUTHZ_APPEND);

	t->append = true;
	/* The kernel keeps the worker to the end of the file: what is there already is not granted by APPEND. */
	if (r == 0 && t->existed)
		r = open_existing(a, O_WRONLY | O_APPEND);
	else if (r == 0)
		r = a->set->atomic_uploads ? create_later(a) : create_in_place(a);
	if (r == 0 && t->existed)
		r = hold_in_place(a);
	t->offset = t->old_size;
	return r == 0 ? hand_over(a, m->append.announced, "") : transfer_give_up(a, r);
}

/*
 * The name of the i-th try: as wished, then with a number behind it, a random
 * one where numbers would tell which names are taken; for a folder, or for
 * nothing, a random one.  A name that has no room for the number is shortened,
 * not refused.  0 or a negative code.
 */
static int
unique_name(char *name, size_t size, const char *path, unsigned i, bool hidden)
{
	const char *slash = strrchr(path, '/'), *leaf = slash == NULL ? path : slash + 1;
	size_t folder = (size_t)(leaf - path), keep = strlen(leaf), room;
	char number[16] = "";
	uint32_t random;

	if ((*leaf == '\0' || hidden) && getrandom(&random, sizeof random, 0) != sizeof random)
		return -EIO;
	if (*leaf == '\0')
		return str_format(name, size, "%.*supload-%08x", (int)folder, path, random) != 0 ? -ENAMETOOLONG : 0;
	if (hidden)
		(void)str_format(number, sizeof number, ".%08x", random);
	else if (i > 0)
		(void)str_format(number, sizeof number, ".%u", i);
	room = ROOT_NAME_MAX - strlen(number);
	if (number[0] != '\0' && keep > room)
		for (keep = room; keep > room - 3 && ((unsigned char)leaf[keep] & 0xc0) == 0x80; keep--)
			;	/* not in the middle of a letter (UTF-8) */
	return str_format(name, size, "%.*s%s", (int)(folder + keep), path, number) != 0 ? -ENAMETOOLONG : 0;
}

/* Where the file is going to be, and the path by which the client can name it. */
static char unique[ROOT_PATH_MAX + 1];

int
subject_unique(struct agent *a, const struct msg *m, const char *path)
{
	bool hidden = false;
	int r = 0;

	(void)m;
	for (unsigned i = 0; i < UNIQUE_TRIES; i++) {
		if ((r = unique_name(unique, sizeof unique, path, i, hidden)) != 0)
			return r;
		r = subject_find(a, AUTHZ_OP_STOU, unique, ROOT_NAME, &a->place);
		if (r == 0 && i == 0 && (hidden = hidden_conceal(a, &a->place))) {
			root_leave(&a->place);
			continue;
		}
		if (r != 0 || a->place.error != 0 || !a->place.found)
			return r;
		root_leave(&a->place);
	}
	return -EEXIST;
}

int
handle_store_unique(struct agent *a, const struct msg *m)
{
	int r = begin(a, AUTHZ_CREATE, 0);

	/* The name is taken at once: nobody else may get it. */
	if (r == 0)
		r = create_in_place(a);
	return r == 0 ? hand_over(a, m->store_unique.announced, unique) : transfer_give_up(a, r);
}
