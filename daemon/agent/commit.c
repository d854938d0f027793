/*
 * The end of a transfer.  An upload is measured, charged, forced to disk,
 * closed and given its name, in this order; only when all of that went well
 * is it answered with DONE (a reply of 226 means no less).
 */
#include "config.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/agent/quota.h"
#include "daemon/agent/ratio.h"
#include "daemon/agent/upload.h"

#define ERRNO_MAX 4095	/* the kernel's MAX_ERRNO */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
transfer_forget(struct agent *a)
{
	struct transfer *t = &a->transfer;

	close_fd(&t->fd);
	close_fd(&t->dir_fd);
	close_fd(&t->victim_fd);
	t->kind = TRANSFER_NONE;
	t->temp[0] = '\0';
	a->states = (a->states & ~(unsigned)ST_TRANSFER) | ST_LIVE;
}

int
transfer_disturbed(struct agent *a, const char *text)
{
	int r = agent_refuse(a, FAIL_SYSTEM, text);

	a->refusal_error = EBUSY;
	return r;
}

/* Is the file still what its name stands for? Another session may have removed or replaced it. */
static bool
has_its_name(const struct transfer *t)
{
	struct stat st, named;

	return fstat(t->fd, &st) == 0 && fstatat(t->dir_fd, t->leaf, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == named.st_ino && st.st_dev == named.st_dev;
}

/*
 * Names the upload's file to the monitor, under the lock.  false: there is no monitor to charge what is done now.  Then
 * nothing is touched, and the next session of the account finds the file in the table.
 */
static bool
may_settle(struct agent *a)
{
	if (quota_lock(a) != 0)
		return false;
	return quota_deed(a, CHARGE_OWN, -1, 0, NULL) != SP_ECLOSED;
}

/*
 * In place, once the upload's file has been named to the monitor: whoever comes after a killed one knows that it
 * may be gone.
 */
static void
remove_own(struct agent *a)
{
	struct transfer *t = &a->transfer;

	if (!a->quota_opened || quota_intend(a, t->dir_fd, t->path) == 0)
		(void)unlinkat(t->dir_fd, t->leaf, 0);
}

/* Takes a file away that nothing is to stay of, and its charge; the lock is held, or taken and given back. */
int
transfer_give_up(struct agent *a, int code)
{
	struct transfer *t = &a->transfer;

	if (a->quota_opened && !may_settle(a)) {
		transfer_forget(a);
		return code;
	}
	if (t->temp[0] != '\0')
		(void)unlinkat(t->dir_fd, t->temp, 0);
	else if (!t->existed && t->fd >= 0 && has_its_name(t))
		remove_own(a);
	(void)quota_settle(a, true);
	transfer_forget(a);
	return code;
}

/* ----------------------------------------------------------------------- end */

static int
rename_at(int dir_fd, const char *from, const char *to, unsigned flags)
{
	if (renameat2(dir_fd, from, dir_fd, to, flags) == 0)
		return 0;
	/* A file system without flags: what they guard against is then only looked for. */
	if (errno == EINVAL && flags == RENAME_NOREPLACE) {
		if (faccessat(dir_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return -EEXIST;
		return renameat(dir_fd, from, dir_fd, to) < 0 ? -errno : 0;
	}
	return -errno;
}

/* The temporary file takes its name, as far as the rights go. */
static int
take_name(struct transfer *t, bool complete)
{
	int r;

	if (!complete || !t->may_replace || t->append)
		return rename_at(t->dir_fd, t->temp, t->leaf, RENAME_NOREPLACE);
	if (t->may_create || !t->existed)
		return rename_at(t->dir_fd, t->temp, t->leaf, 0);
	/* Only replacing is granted: should the old file be gone, no new one may appear. */
	r = rename_at(t->dir_fd, t->temp, t->leaf, RENAME_EXCHANGE);
	if (r == -EINVAL)
		return rename_at(t->dir_fd, t->temp, t->leaf, 0);
	return r == 0 && unlinkat(t->dir_fd, t->temp, 0) < 0 ? -errno : r;
}

/* The temporary file for reading, which the worker could not do with its descriptor. Or -errno. */
static int
open_temp(const struct transfer *t)
{
	int fd = root_open_entry(t->dir_fd, t->temp, O_RDONLY);
	struct stat written, found;

	if (fd < 0 || (fstat(t->fd, &written) == 0 && fstat(fd, &found) == 0 && written.st_dev == found.st_dev &&
	    written.st_ino == found.st_ino))
		return fd;
	/* Somebody else who may write to the folder has put another one in its place. */
	close(fd);
	return -ESTALE;
}

int
transfer_copy(int from, int to, uint64_t size)
{
	off_t in = 0, out = 0;
	ssize_t n = 1;

	while ((uint64_t)in < size && n > 0) {
		n = copy_file_range(from, &in, to, &out, (size_t)(size - (uint64_t)in), 0);
		if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		return -errno;
	/* Nothing failed: the file has become shorter since it was measured. */
	return (uint64_t)in < size ? -ESTALE : 0;
}

/* Writes the temporary file's content over that of the file that keeps its owner and its links. */
static int
copy_over(struct transfer *t, uint64_t size)
{
	int fd = open_temp(t), r;

	if (fd < 0)
		return fd;
	r = transfer_copy(fd, t->victim_fd, size);
	close(fd);
	if (r == 0 && ftruncate(t->victim_fd, (off_t)size) < 0)
		r = -errno;
	return r;
}

static int
sync_file(struct agent *a, int fd)
{
	return a->set->fsync != CONF_FSYNC_NONE && fsync(fd) < 0 ? -errno : 0;
}

/* O_PATH descriptors cannot be synced. */
static int
sync_folder(struct agent *a)
{
	int fd, r = 0;

	if (a->set->fsync != CONF_FSYNC_DIR)
		return 0;
	fd = root_open_entry(a->transfer.dir_fd, ".", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* The content is on its way to the disk and the file is closed, without an error having been kept from us. */
static int
close_file(int *fd)
{
	int r = close(*fd) < 0 && errno != EINTR ? -errno : 0;

	*fd = -1;
	return r;
}

/*
 * APPE to a name that has appeared meanwhile: the bytes go behind those that are there, as they would have, had the
 * file been there before.  The kernel finds the end for each piece, for others may append too.
 */
static int
append_bytes(int from, int to)
{
	static char block[65536];
	ssize_t n, put;

	while ((n = read(from, block, sizeof block)) > 0)
		for (ssize_t at = 0; at < n; at += put)
			if ((put = write(to, block + at, (size_t)(n - at))) < 0)
				return -errno;
	return n < 0 ? -errno : 0;
}

static int
append_to(struct agent *a, int from, int to)
{
	struct stat st, now, more;
	int r;

	if (fstat(to, &st) < 0 || fstat(from, &more) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EEXIST;
	/* Beside others that append, but not while somebody writes at a place. */
	if (flock(to, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return transfer_disturbed(a, "another session is writing to the file");
	if ((r = quota_change(a, CHARGE_GROWS, to, (uint64_t)(st.st_size + more.st_size),
	    a->transfer.dir_fd, a->transfer.path)) != 0)
		return r;
	r = append_bytes(from, to);
	/* A piece is worse than nothing, where nobody else has gone on behind it. */
	if (r != 0 && fstat(to, &now) == 0 && now.st_size > st.st_size && now.st_size <= st.st_size + more.st_size &&
	    ftruncate(to, st.st_size) < 0)
		log_problem(EVENT_UPLOAD_NOT_UNDONE, a->transfer.path, -errno);
	return r;
}

static int
append_to_name(struct agent *a)
{
	struct transfer *t = &a->transfer;
	int from = -1, to, r;

	if (!t->may_replace)	/* the right to append to what is there */
		return -EEXIST;
	to = root_open_entry(t->dir_fd, t->leaf, O_WRONLY | O_APPEND);
	r = to < 0 ? to : (from = root_open_entry(t->dir_fd, t->temp, O_RDONLY)) < 0 ? from : append_to(a, from, to);
	if (r == 0)
		r = sync_file(a, to);
	if (from >= 0)
		close(from);
	if (to >= 0 && close(to) < 0 && errno != EINTR && r == 0)
		r = -errno;
	return r;
}

/* How long the file is when nobody else has written to it. */
static uint64_t
own_size(const struct transfer *t, uint64_t at)
{
	return t->old_size > at ? t->old_size : at;
}

/* In place: what lies behind the last byte is cut off, once a byte has arrived. */
static int
cut_tail(struct agent *a, uint64_t at, bool complete, uint64_t *size)
{
	struct transfer *t = &a->transfer;

	if (t->commit != COMMIT_NONE || t->append || at >= *size || (at == t->offset && !complete))
		return 0;
	if ((a->set->rest_keeps_tail && t->offset > 0) || *size != own_size(t, at))
		return 0;
	*size = at;
	return ftruncate(t->fd, (off_t)at) < 0 ? -errno : 0;
}

/* In place: is the complete file what the client thinks it is? 0 or what to answer. */
static int
check_in_place(struct agent *a, uint64_t at, uint64_t size)
{
	struct transfer *t = &a->transfer;

	if (t->commit != COMMIT_NONE)
		return 0;
	if (!has_its_name(t))
		return transfer_disturbed(a, "the file was removed or replaced meanwhile");
	if (t->append ? size < at && at > t->offset : size != own_size(t, at))
		return transfer_disturbed(a, "another session wrote to the file meanwhile");
	return 0;
}

/*
 * Closes a temporary file, for the file system's last word on its content, and stays its owner all the same:
 * closing one of two descriptors reports what closing the last one would, and the lock lasts as long as the other.
 * A temporary file without a lock is a dead session's, which anybody's listing removes.
 */
static int
close_temp(struct transfer *t)
{
	int lock = fcntl(t->fd, F_DUPFD_CLOEXEC, 0), r;

	if (lock < 0)
		return -errno;
	r = close_file(&t->fd);
	t->fd = lock;
	return r;
}

/* Before the lock of the account, for it takes time: the content is on the disk, and a temporary file is closed. */
static int
make_durable(struct agent *a, bool complete)
{
	struct transfer *t = &a->transfer;
	int r = 0;

	/* Whoever wrote the whole content is its owner, where a permission language keeps owners. */
	if (complete && t->commit == COMMIT_NONE && t->offset == 0 && !t->append)
		policy_own(a, t->fd);
	if (complete && t->commit != COMMIT_COPY)
		r = sync_file(a, t->fd);
	if (r == 0 && t->commit == COMMIT_RENAME)
		r = close_temp(t);
	return r;
}

/* Under the lock: the temporary file takes its name, or its content goes where it belongs. */
static int
commit_rename(struct agent *a, bool complete)
{
	struct transfer *t = &a->transfer;
	int victim = a->quota_locked ? root_open_entry(t->dir_fd, t->leaf, O_PATH) : -1;
	int r = victim < 0 ? quota_deed(a, CHARGE_OWN, -1, 0, NULL)
	    : quota_change(a, CHARGE_OWN, victim, 0, t->dir_fd, t->path);

	if (victim >= 0)
		close(victim);
	if (r == 0 && (r = take_name(t, complete)) == 0)
		t->temp[0] = '\0';
	return r == -EEXIST && t->append && complete ? append_to_name(a) : r;
}

static int
commit_copy(struct agent *a, uint64_t size)
{
	struct transfer *t = &a->transfer;
	int r = quota_change(a, CHARGE_GROWS, t->victim_fd, size, t->dir_fd, t->path);

	if (r == 0)
		r = copy_over(t, size);
	if (r == 0)
		policy_own(a, t->victim_fd);
	if (r == 0)
		r = sync_file(a, t->victim_fd);
	return r == 0 ? close_file(&t->victim_fd) : r;
}

static int
commit(struct agent *a, bool complete, uint64_t size, uint64_t *keep)
{
	switch (a->transfer.commit) {
	case COMMIT_RENAME:
		return commit_rename(a, complete);
	case COMMIT_COPY:
		return commit_copy(a, size);
	default:
		return quota_deed(a, CHARGE_OWN, -1, 0, keep);
	}
}

/* The errno of a failure: ours, or the one that the worker met, which is no more than a number in the log. 0: none. */
static uint32_t
error_of(const struct agent *a, const struct msg_finish *f, int code)
{
	if (code == SP_EDENIED)
		return (uint32_t)a->refusal_error;
	if (code != 0)
		return code > SP_EBASE ? (uint32_t)-code : 0;
	return f->complete == 0 && f->error <= ERRNO_MAX ? f->error : 0;
}

/*
 * Tells the monitor of a transfer that has ended, each one and before the worker
 * hears of it: as the worker says (f), but for what only we know: code, and of an
 * upload the bytes.
 */
static void
record(struct agent *a, uint8_t direction, const struct msg_finish *f, uint64_t bytes, int code)
{
	struct msg_transfer_record *m = &a->out.record;
	struct transfer *t = &a->transfer;

	if ((a->flags & PROFILE_RECORDS) == 0)
		return;
	m->direction = direction;
	m->complete = f->complete != 0 && code == 0;
	m->ascii = f->ascii;
	m->how = m->complete ? FINISH_OK : f->complete == 0 ? f->how : code == SP_EDENIED ? FINISH_NO_ROOM : FINISH_NOT_KEPT;
	m->error = error_of(a, f, code);
	m->bytes = bytes;
	(void)str_copy(m->limit, sizeof m->limit, direction == TRANSFER_IN && m->how == FINISH_NO_ROOM ? t->limit_name : "");
	m->milliseconds = (uint64_t)(clock_ms() - t->began);
	(void)str_copy(m->path, sizeof m->path, t->path);
	(void)chan_tell(&a->monitor, MSG_TRANSFER_RECORD, m);
}

/* Is there anything to keep of an upload that is not complete? In place it is there already. */
static bool
keeps_partial(const struct agent *a, uint64_t received)
{
	const struct transfer *t = &a->transfer;

	if (t->commit == COMMIT_NONE)
		return t->existed || (a->set->keep_partial && received > 0);
	return t->commit == COMMIT_RENAME && !t->existed && a->set->keep_partial && received > 0;
}

/*
 * Nothing of the upload is to stay.  In place, where there is a quota, the file goes back to what it is charged with,
 * whoever else writes to it: they will notice.  Elsewhere it goes back to its old length, unless somebody else has
 * changed that.
 */
static void
take_back(struct agent *a, uint64_t at, uint64_t keep)
{
	struct transfer *t = &a->transfer;
	struct stat st;

	if (t->commit != COMMIT_NONE || t->fd < 0 || fstat(t->fd, &st) < 0)
		return;
	if (!a->quota_locked && (uint64_t)st.st_size != (t->append ? at : own_size(t, at)))
		return;
	if (!t->existed && keep == 0 && has_its_name(t))
		remove_own(a);
	else if ((uint64_t)st.st_size > keep && ftruncate(t->fd, (off_t)keep) < 0)
		log_problem(EVENT_UPLOAD_NOT_UNDONE, t->path, -errno);
}

/*
 * The worker's descriptor cannot be taken back, but it is this same open file:
 * from now on it writes to the end only.  What the reply of 226 speaks of cannot
 * be changed by it any more; it cannot be mapped, because it was never open for
 * reading, and the worker's filter has no other way to write at a place.
 */
static void
seal_written(const struct transfer *t)
{
	(void)fcntl(t->fd, F_SETFL, O_APPEND | O_NONBLOCK);
}

/* Under the account's lock: what is kept is charged, what is not is taken back. 0 or what to answer. */
static int
settle(struct agent *a, bool keeps, bool complete, uint64_t at, uint64_t size)
{
	uint64_t keep = a->transfer.old_size;
	int r = quota_lock(a), r2;

	if (r == 0 && keeps)
		r = commit(a, complete, size, &keep);
	else if (r == 0 && a->quota_locked && quota_deed(a, CHARGE_OWN, -1, 0, &keep) == SP_ECLOSED)
		r = SP_ECLOSED;
	/* Without a monitor nothing is touched: it has charged what there is. */
	if (r == SP_ECLOSED)
		return r;
	if (r != 0 || !keeps)
		take_back(a, at, keep);
	if (a->transfer.temp[0] != '\0')
		(void)unlinkat(a->transfer.dir_fd, a->transfer.temp, 0);
	r2 = quota_settle(a, true);
	return r != 0 ? r : r2;
}

/* 0, or why the upload is not what the client thinks it is; *arrived: the bytes that were received. */
static int
settle_upload(struct agent *a, const struct msg_finish *f, uint64_t *arrived)
{
	struct transfer *t = &a->transfer;
	struct stat st;
	off_t at = lseek(t->fd, 0, SEEK_CUR);
	uint64_t size, received;
	bool keeps;
	int r, r2;

	seal_written(t);
	if (at < 0 || fstat(t->fd, &st) < 0)
		return transfer_give_up(a, -errno);
	size = (uint64_t)st.st_size;
	*arrived = received = (uint64_t)at > t->offset ? (uint64_t)at - t->offset : 0;
	r = f->complete != 0 ? check_in_place(a, (uint64_t)at, size) : 0;
	keeps = f->complete != 0 || (f->no_room == 0 && keeps_partial(a, received));
	if (r == 0 && keeps)
		r = cut_tail(a, (uint64_t)at, f->complete != 0, &size);
	if (r == 0 && size > t->limit && (t->commit != COMMIT_NONE || size > t->old_size)) {
		r = upload_refuse_size(a, "the file");
		keeps = false;
	}
	if (r == 0 && keeps)
		r = make_durable(a, f->complete != 0);
	/* Of a file that others have changed there is nothing to take back. */
	r2 = settle(a, r == 0 ? keeps : keeps && t->commit == COMMIT_NONE, f->complete != 0, (uint64_t)at, size);
	if (r == 0)
		r = r2;
	if (r == 0 && f->complete)
		r = sync_folder(a);
	if (t->fd >= 0 && (r2 = close_file(&t->fd)) != 0 && r == 0)
		r = r2;
	if (r == 0)
		ratio_add(&a->uploaded, received);
	if (f->complete && r == 0)
		(void)authz_set_last_upload(a->policy, t->path);
	transfer_forget(a);
	return r;
}

static int
end_upload(struct agent *a, const struct msg_finish *f)
{
	uint64_t arrived = 0;
	int r = settle_upload(a, f, &arrived);

	record(a, TRANSFER_IN, f, arrived, r);
	return r;
}

static void
end_download(struct agent *a, const struct msg_finish *f)
{
	record(a, TRANSFER_OUT, f, f->bytes, 0);
	ratio_add(&a->downloaded, f->bytes);
	transfer_forget(a);
}

void
transfer_begin_read(struct agent *a, int fd, uint64_t offset)
{
	struct transfer *t = &a->transfer;

	t->kind = TRANSFER_READ;
	t->fd = fd;
	t->offset = offset;
	t->began = clock_ms();
	memcpy(t->path, a->place.path, a->place.path_len + 1);
	inflight_begin(a->inflight, TRANSFER_OUT, t->path, t->began);
	a->states = (a->states & ~(unsigned)ST_LIVE) | ST_TRANSFER;
}

int
handle_finish(struct agent *a, const struct msg *m)
{
	if (a->transfer.kind == TRANSFER_WRITE)
		return end_upload(a, &m->finish);
	end_download(a, &m->finish);
	return ANSWERED;
}

/* Of a file that the worker, who has the same open file, was sending. */
static uint64_t
bytes_sent(const struct transfer *t)
{
	off_t at = lseek(t->fd, 0, SEEK_CUR);

	return at > 0 && (uint64_t)at > t->offset ? (uint64_t)at - t->offset : 0;
}

/* A worker that ends in order has said FINISH before. */
void
transfer_abandon(struct agent *a)
{
	struct msg_finish killed = { .how = FINISH_KILLED };

	if (a->transfer.kind == TRANSFER_WRITE && quota_is_orphaned(a))
		transfer_forget(a);
	else if (a->transfer.kind == TRANSFER_WRITE)
		(void)end_upload(a, &killed);
	else if (a->transfer.kind == TRANSFER_READ) {
		killed.bytes = bytes_sent(&a->transfer);
		end_download(a, &killed);
	}
}
