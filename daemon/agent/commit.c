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
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/str.h"
#include "daemon/agent/ratio.h"
#include "daemon/agent/upload.h"

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
transfer_give_up(struct agent *a, int code)
{
	struct transfer *t = &a->transfer;

	if (t->temp[0] != '\0')
		(void)unlinkat(t->dir_fd, t->temp, 0);
	else if (!t->existed && t->fd >= 0)
		(void)unlinkat(t->dir_fd, t->leaf, 0);
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

	if (!complete || !t->may_replace)
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

/* Writes the temporary file's content over that of the file that keeps its owner and its links. */
static int
copy_over(struct transfer *t, uint64_t size)
{
	int fd = open_temp(t), r = 0;
	off_t in = 0, out = 0;
	ssize_t n = 1;

	if (fd < 0)
		return fd;
	while ((uint64_t)in < size && n > 0) {
		n = copy_file_range(fd, &in, t->victim_fd, &out, (size_t)(size - (uint64_t)in), 0);
		if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0)
		r = -errno;
	else if ((uint64_t)in < size)
		r = -EIO;
	close(fd);
	if (r == 0 && ftruncate(t->victim_fd, (off_t)size) < 0)
		r = -errno;
	return r;
}

/* In place: what lies behind the last byte is cut off, once a byte has arrived. */
static int
cut_tail(struct agent *a, uint64_t at, bool complete, uint64_t *size)
{
	struct transfer *t = &a->transfer;

	if (t->commit != COMMIT_NONE || t->append || at >= *size || (at == t->offset && !complete))
		return 0;
	if (a->set->rest_keeps_tail && t->offset > 0)
		return 0;
	*size = at;
	return ftruncate(t->fd, (off_t)at) < 0 ? -errno : 0;
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

static int
commit(struct agent *a, bool complete, uint64_t size)
{
	struct transfer *t = &a->transfer;
	int r = 0;

	if (t->commit == COMMIT_COPY)
		r = copy_over(t, size);
	/* Whoever wrote the whole content is its owner, where a permission language keeps owners. */
	if (r == 0 && complete && t->offset == 0 && !t->append && t->commit != COMMIT_RENAME)
		policy_own(a, t->commit == COMMIT_COPY ? t->victim_fd : t->fd);
	if (r == 0 && complete)
		r = sync_file(a, t->commit == COMMIT_COPY ? t->victim_fd : t->fd);
	if (r == 0 && t->commit == COMMIT_COPY)
		r = close_file(&t->victim_fd);
	if (r == 0)
		r = close_file(&t->fd);
	if (r == 0 && t->commit == COMMIT_RENAME && (r = take_name(t, complete)) == 0)
		t->temp[0] = '\0';
	return r == 0 && complete ? sync_folder(a) : r;
}

/* What the ledger is charged with. Refused: the upload is not kept. */
static int
charge(struct agent *a, uint64_t size)
{
	struct msg_quota q = { 0 };
	struct transfer *t = &a->transfer;
	int r;

	if ((a->flags & PROFILE_QUOTA) == 0)
		return 0;
	q.bytes_added = size > t->old_size ? size - t->old_size : 0;
	q.bytes_removed = size < t->old_size ? t->old_size - size : 0;
	q.files_added = t->existed ? 0 : 1;
	if ((r = agent_ask(a, MSG_QUOTA, &q, NULL, 0, MSG_QUOTA_LEFT)) == 0)
		msg_close(&a->reply);
	return r;
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
	m->error = code == SP_EDENIED ? (uint32_t)a->refusal_error : code < 0 && code > SP_EBASE ? (uint32_t)-code : 0;
	m->bytes = bytes;
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

/* More than was allowed has come. What was written in place is cut back to what may be there, and charged. */
static int
refuse_excess(struct agent *a, uint64_t size)
{
	struct transfer *t = &a->transfer;
	uint64_t keep = t->limit > t->old_size ? t->limit : t->old_size;

	if (t->commit == COMMIT_NONE && size > keep && ftruncate(t->fd, (off_t)keep) == 0)
		(void)charge(a, keep);
	return agent_refuse(a, FAIL_QUOTA, "the file is larger than this account may store");
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

/* 0, or why the upload is not what the client thinks it is; *arrived: the bytes that were received. */
static int
settle_upload(struct agent *a, bool complete, uint64_t *arrived)
{
	struct transfer *t = &a->transfer;
	struct stat st;
	off_t at = lseek(t->fd, 0, SEEK_CUR);
	uint64_t size, received;
	int r = 0;

	seal_written(t);
	if (at < 0 || fstat(t->fd, &st) < 0)
		return transfer_give_up(a, -errno);
	size = (uint64_t)st.st_size;
	*arrived = received = (uint64_t)at > t->offset ? (uint64_t)at - t->offset : 0;
	r = cut_tail(a, (uint64_t)at, complete, &size);
	if (r == 0 && size > t->limit)
		r = refuse_excess(a, size);
	if (r == 0 && (complete || keeps_partial(a, received)) && (r = charge(a, size)) == 0)
		r = commit(a, complete, size);
	else if (r == 0 && t->commit == COMMIT_NONE && !t->existed)
		return transfer_give_up(a, 0);
	if (r == 0)
		ratio_add(&a->uploaded, received);
	if (complete && r == 0)
		(void)authz_set_last_upload(a->policy, t->path);
	if (t->temp[0] != '\0')
		(void)unlinkat(t->dir_fd, t->temp, 0);
	transfer_forget(a);
	return r;
}

static int
end_upload(struct agent *a, const struct msg_finish *f)
{
	uint64_t arrived = 0;
	int r = settle_upload(a, f->complete != 0, &arrived);

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
transfer_begin_read(struct agent *a)
{
	struct transfer *t = &a->transfer;

	t->kind = TRANSFER_READ;
	t->began = clock_ms();
	memcpy(t->path, a->place.path, a->place.path_len + 1);
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

void
transfer_abandon(struct agent *a)
{
	static const struct msg_finish stopped = { .how = FINISH_STOPPED };

	if (a->transfer.kind == TRANSFER_WRITE)
		(void)end_upload(a, &stopped);
	else if (a->transfer.kind == TRANSFER_READ)
		end_download(a, &stopped);
}
