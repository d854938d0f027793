#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "daemon/agent/hold.h"
#include "daemon/agent/listing.h"
#include "daemon/agent/quota.h"

#define SWEEP_EVERY_MS	60000
#define SWEEP_MAX	256	/* files of dead sessions looked at in one go */

static bool
has_quota(const struct agent *a)
{
	return (a->flags & PROFILE_QUOTA) != 0;
}

/* Asks the monitor, and needs no more of its answer than that it came. */
static int
ask_about(struct agent *a, enum msg_type type, const void *body, const int *fds, unsigned count, enum msg_type want)
{
	int r = agent_ask(a, type, body, fds, count, want);

	if (r == 0)
		msg_close(&a->reply);
	return r;
}

static int
ask(struct agent *a, enum msg_type type, const void *body, int fd, enum msg_type want)
{
	return ask_about(a, type, body, &fd, fd >= 0 ? 1 : 0, want);
}

/* A refusal that is on its way to the client is not to be overwritten by what goes wrong here. */
struct refusal {
	enum fail_reason reason;
	int error;
	char text[sizeof ((struct agent *)NULL)->refusal_text];
};

static void
save_refusal(const struct agent *a, struct refusal *r)
{
	r->reason = a->refusal;
	r->error = a->refusal_error;
	memcpy(r->text, a->refusal_text, sizeof r->text);
}

static void
restore_refusal(struct agent *a, const struct refusal *r)
{
	a->refusal = r->reason;
	a->refusal_error = r->error;
	memcpy(a->refusal_text, r->text, sizeof r->text);
}

int
quota_left(struct agent *a, uint64_t *bytes, uint64_t *files)
{
	static const struct msg_quota nothing;
	int r;

	*bytes = *files = UINT64_MAX;
	if (!has_quota(a))
		return 0;
	if ((r = ask(a, MSG_QUOTA, &nothing, -1, MSG_QUOTA_LEFT)) != 0)
		return r;
	*bytes = a->reply.quota_left.bytes;
	*files = a->reply.quota_left.files;
	return 0;
}

bool
quota_is_orphaned(const struct agent *a)
{
	struct pollfd p = { .fd = a->monitor.fd };

	return has_quota(a) && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

int
quota_open(struct agent *a, int fd, enum charge_kind kind, int dir_fd, const char *path)
{
	struct msg_quota_open *m = &a->out.quota_open;
	const int fds[] = { fd, dir_fd };
	int r;

	if (!has_quota(a))
		return 0;
	if ((r = quota_lock(a)) != 0)
		return r;
	m->kind = (uint8_t)kind;
	memcpy(m->path, path, strlen(path) + 1);
	r = ask_about(a, MSG_QUOTA_OPEN, m, fds, 2, MSG_QUOTA_LEFT);
	/* A monitor that died before it answered may have charged a new file, which must then stay to be found. */
	a->quota_opened = r == 0 || (r == SP_ECLOSED && kind == CHARGE_NEW);
	return r;
}

int
quota_deed(struct agent *a, unsigned parts, int fd, uint64_t size, uint64_t *keep)
{
	struct msg_quota_deed m = { .parts = (uint8_t)parts, .size = size };
	int r;

	if (!has_quota(a))
		return 0;
	if (!a->quota_opened)
		m.parts &= (uint8_t)~CHARGE_OWN;
	if ((r = ask(a, MSG_QUOTA_DEED, &m, fd, MSG_QUOTA_VERDICT)) != 0)
		return r;
	if (keep != NULL)
		*keep = a->reply.quota_verdict.keep;
	return a->reply.quota_verdict.refused ? agent_refuse(a, FAIL_QUOTA, a->reply.quota_verdict.text) : 0;
}

int
quota_intend(struct agent *a, int dir_fd, const char *path)
{
	struct msg_quota_intend *m = &a->out.quota_intend;

	if (!a->quota_locked)
		return 0;
	memcpy(m->path, path, strlen(path) + 1);
	return ask(a, MSG_QUOTA_INTEND, m, dir_fd, MSG_DONE);
}

int
quota_change(struct agent *a, unsigned parts, int fd, uint64_t size, int dir_fd, const char *path)
{
	int r;

	if (!has_quota(a))
		return 0;
	r = quota_deed(a, parts, fd, size, NULL);
	return r != 0 ? r : quota_intend(a, dir_fd, path);
}

int
quota_settle(struct agent *a, bool close_upload)
{
	struct msg_quota_settle m = { .close = close_upload && a->quota_opened };
	struct refusal before;
	int r, error;

	if (!a->quota_locked)
		return 0;
	save_refusal(a, &before);
	r = ask(a, MSG_QUOTA_SETTLE, &m, -1, MSG_DONE);
	error = a->refusal_error;
	a->quota_locked = false;
	if (close_upload)
		a->quota_opened = false;
	if (r != 0)
		log_problem(EVENT_QUOTA_NOT_CHARGED, a->transfer.path, r == SP_EDENIED ? -error : r);
	restore_refusal(a, &before);
	return r == SP_EDENIED ? -EIO : r;
}

int
quota_make(struct agent *a, const struct place *p)
{
	int r = quota_lock(a);

	return r != 0 ? r : quota_change(a, CHARGE_MAKES, -1, 0, p->dir_fd, p->path);
}

/* It is there, maybe beyond the limit. From here on it is known by its number. */
static int
charge_made(struct agent *a, int fd, int dir_fd, const char *path)
{
	int r = quota_deed(a, CHARGE_MAKES | CHARGE_GROWS, fd, 0, NULL);

	if (r == SP_EDENIED && a->refusal == FAIL_QUOTA)
		r = 0;
	return r != 0 ? r : quota_intend(a, dir_fd, path);
}

/* What cannot be named now stands in the table, and is looked for by whoever takes the lock next. */
void
quota_made(struct agent *a, const struct place *p)
{
	int fd, r;

	if (!a->quota_locked)
		return;
	r = fd = root_open_entry(p->dir_fd, p->leaf, O_PATH);
	if (fd >= 0) {
		r = charge_made(a, fd, p->dir_fd, p->path);
		close(fd);
	}
	if (r != 0)
		log_problem(EVENT_QUOTA_CHARGED_LATER, p->path, r == SP_EDENIED ? -a->refusal_error : r);
}

int
quota_remove(struct agent *a, int dir_fd, const char *name, const char *path, int flags)
{
	int fd = -1, r;

	if ((r = quota_lock(a)) != 0)
		return r;
	if (a->quota_locked && (fd = root_open_entry(dir_fd, name, O_PATH)) >= 0)
		r = path == NULL ? quota_deed(a, CHARGE_LEFTOVER, fd, 0, NULL) : quota_change(a, 0, fd, 0, dir_fd, path);
	if (r == 0 && unlinkat(dir_fd, name, flags) < 0)
		r = -errno;
	(void)quota_settle(a, false);
	if (fd >= 0)
		close(fd);
	return r;
}

/* ------------------------------------------------------- what dead sessions have left */

static bool
is_that_file(int fd, const struct msg_quota_found *f)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0 || st.stx_ino != f->inode)
		return false;
	return (st.stx_mask & STATX_BTIME) == 0 ||
	    ((uint64_t)st.stx_btime.tv_sec == f->born && st.stx_btime.tv_nsec == f->born_ns);
}

/* The file, by any name in the folder: a temporary one may just have taken its own. A descriptor or -errno. */
static int
search(int dir_fd, const struct msg_quota_found *f)
{
	struct entries *e;
	struct entry found;
	int dir, fd = -ENOENT, r;

	if ((dir = root_open_entry(dir_fd, ".", O_RDONLY | O_DIRECTORY)) < 0)
		return dir;
	if ((e = malloc(sizeof *e)) == NULL || (r = entries_open(e, dir, NULL, false)) != 0) {
		if (e == NULL)
			close(dir);
		free(e);
		return -EACCES;
	}
	while (fd < 0 && (r = entries_next(e, &found)) == 1) {
		if (found.inode != f->inode || (fd = root_open_entry(dir_fd, found.name, O_PATH)) < 0 || is_that_file(fd, f))
			continue;
		close(fd);
		fd = -ENOENT;
	}
	entries_close(e);
	free(e);
	return fd < 0 && r < 0 ? r : fd;
}

/* It has become what it is, maybe beyond the limit, but there it is. */
static int
charge_as_it_is(struct agent *a, int fd)
{
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : quota_deed(a, CHARGE_GROWS, fd, (uint64_t)st.st_size, NULL);

	return r == SP_EDENIED && a->refusal == FAIL_QUOTA ? 0 : r;
}

static int
remove_left(struct agent *a, int dir_fd, const char *name, int fd)
{
	int r = quota_deed(a, CHARGE_LEFTOVER, fd, 0, NULL);

	return r == 0 && unlinkat(dir_fd, name, 0) < 0 ? -errno : r;
}

/* Of its name there is nothing, or another file. What is not proven to be gone stays charged. */
static int
settle_elsewhere(struct agent *a, int dir_fd, const struct msg_quota_found *f)
{
	const struct msg_quota_gone gone = { .place = f->place };
	int fd = search(dir_fd, f), r;

	if (fd == -ENOENT) {
		r = ask(a, MSG_QUOTA_GONE, &gone, dir_fd, MSG_DONE);
		return r == SP_EDENIED ? -ESTALE : r;
	}
	if (fd < 0)
		return fd;
	r = charge_as_it_is(a, fd);
	close(fd);
	return r;
}

/* Whatever has the name that an entry was about to be made with. */
static int
settle_made(struct agent *a, int dir_fd, const char *name, const struct msg_quota_found *f)
{
	const struct msg_quota_gone gone = { .place = f->place };
	int fd = root_open_entry(dir_fd, name, O_PATH), r = fd == -ENOENT ? 0 : fd;

	if (fd >= 0)
		r = charge_made(a, fd, dir_fd, f->path);
	if (r == 0)
		r = ask(a, MSG_QUOTA_GONE, &gone, dir_fd, MSG_DONE);
	if (fd >= 0)
		close(fd);
	return r;
}

/* A file that was written in place is charged with what it has become; a temporary one goes. */
static int
settle_left(struct agent *a, int dir_fd, const char *name, const struct msg_quota_found *f)
{
	int fd, r;

	if (f->kind == CHARGE_MADE)
		return settle_made(a, dir_fd, name, f);
	fd = root_open_entry(dir_fd, name, O_PATH);
	if (fd == -ENOENT || (fd >= 0 && !is_that_file(fd, f)))
		r = settle_elsewhere(a, dir_fd, f);
	else if (fd < 0)
		r = -EACCES;
	else if (f->kind == CHARGE_TEMPORARY)
		r = remove_left(a, dir_fd, name, fd);
	else
		r = charge_as_it_is(a, fd);
	if (fd >= 0)
		close(fd);
	return r;
}

/* Finds the folder again. Where it has gone elsewhere, the file stays charged: a listing there will find it. */
static int
find_left(struct agent *a, const struct msg_quota_found *f)
{
	static struct msg_quota_found found;
	static struct place place;	/* the agent's own may be a handler's */
	char *name;
	int dir_fd, r;

	found = *f;
	if ((name = strrchr(found.path, '/')) == NULL)
		return 0;	/* a recount lists files without a path */
	*name++ = '\0';
	r = root_find(&a->root, "/", found.path[0] == '\0' ? "/" : found.path, ROOT_FOLLOW, &place);
	if (r != 0)
		return r;
	dir_fd = root_open(&place, O_PATH | O_DIRECTORY, 0);
	root_leave(&place);
	if (dir_fd < 0)
		return dir_fd;
	name[-1] = '/';
	r = settle_left(a, dir_fd, name, &found);
	close(dir_fd);
	return r;
}

/* What the monitor has answered with. The lock is given back. */
static void
settle_dead(struct agent *a)
{
	int r = find_left(a, &a->reply.quota_found);

	if (r != 0)
		log_problem(EVENT_UPLOAD_LEFT_BEHIND, NULL, r == SP_EDENIED ? -a->refusal_error : r);
	(void)quota_settle(a, false);
}

static void
keep_witness(struct agent *a)
{
	if (a->reply.fd_count > 0 && a->quota_witness == 0)
		a->quota_witness = msg_take_fd(&a->reply, 0);
	msg_close(&a->reply);
}

/* However long another session needs it. */
static int
take_lock(struct agent *a, uint32_t from)
{
	const struct msg_quota_lock m = { .from = from };
	int r;

	for (unsigned try = 0;; try++) {
		r = agent_ask(a, MSG_QUOTA_LOCK, &m, NULL, 0, MSG_QUOTA_FOUND);
		if (r != SP_EDENIED || a->refusal != FAIL_BUSY)
			break;
		if (!hold_wait_turn(a, try))
			return SP_ECLOSED;
	}
	if (r == 0)
		keep_witness(a);
	a->quota_locked = r == 0;
	return r;
}

/* First of all what a killed session was at: nothing has been renamed since, so that it is found where it was. */
int
quota_lock(struct agent *a)
{
	struct refusal before;
	uint32_t from = 0;
	int r;

	if (!has_quota(a) || a->quota_locked)
		return 0;
	save_refusal(a, &before);
	while ((r = take_lock(a, from)) == 0 && a->reply.quota_found.found) {
		from = a->reply.quota_found.place + 1;
		settle_dead(a);
		restore_refusal(a, &before);
	}
	return r;
}

void
quota_sweep(struct agent *a)
{
	struct msg_quota_find m = { .from = 0 };
	int64_t now = clock_ms();
	bool more = true;

	if (!has_quota(a) || (a->quota_swept != 0 && now - a->quota_swept < SWEEP_EVERY_MS) || a->quota_opened)
		return;
	a->quota_swept = now;
	for (unsigned i = 0; more && i < SWEEP_MAX; i++) {
		more = quota_lock(a) == 0 && ask(a, MSG_QUOTA_FIND, &m, -1, MSG_QUOTA_FOUND) == 0 &&
		    a->reply.quota_found.found;
		m.from = a->reply.quota_found.place + 1;
		if (more)
			settle_dead(a);
		else
			(void)quota_settle(a, false);
	}
}
