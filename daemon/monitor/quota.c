/*
 * The agent's deeds that cost the account something: it says when, and hands
 * over the files; what they cost is measured here.
 */
#include "config.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "account/charge.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"
#include "daemon/monitor/monitor.h"

static const struct msg_done done;

static struct ledger
limit_of(const struct monitor *s)
{
	const struct settings *set = &s->account.resolved->s;

	return (struct ledger){ set->quota_bytes, (uint64_t)set->quota_files };
}

static bool
is_limited(const struct monitor *s)
{
	struct ledger limit = limit_of(s);

	return limit.bytes != 0 || limit.files != 0;
}

/* From now on what comes in is counted, but nobody has counted what was there: that is for root to ask for. */
static void
log_new(const struct monitor *s)
{
	struct log_line l;

	log_begin(&l, EVENT_QUOTA_NEW);
	log_str(&l, FIELD_ABOUT, s->account.name);
	log_str(&l, FIELD_HINT, "the quota starts at 0: sallyctl quota recount counts what is in the home already");
	log_end(&l);
}

/* The directory is made where only it is missing, and one above it never. */
static void
log_unusable(const struct monitor *s, const char *directory, int error)
{
	struct log_line l;

	log_begin(&l, EVENT_QUOTA_LEDGER_UNUSABLE);
	log_str(&l, FIELD_ABOUT, s->account.name);
	log_str(&l, FIELD_PATH, directory);
	log_str(&l, FIELD_ERROR, sp_strerror(error));
	log_end(&l);
}

int
monitor_open_ledger(struct monitor *s)
{
	const char *directory = conf_server(monitor_prepared.conf)->quota_directory;
	struct ledger before;
	int fd, witness = -1;
	bool is_new;

	if (!is_limited(s))
		return 0;
	is_new = ledger_peek(directory, s->account.name, &before) == -ENOENT;
	fd = ledger_open(directory, s->account.name);
	if (fd >= 0 && (witness = ledger_open_witness(directory, s->account.name)) < 0) {
		close(fd);
		fd = witness;
	}
	if (fd < 0) {
		log_unusable(s, directory, fd);
		return fd;
	}
	if (is_new)
		log_new(s);
	charge_init(&s->charge, fd);
	charge_share(&s->charge, witness);
	return 0;
}

/*
 * The kernel asks for CAP_SYS_RESOURCE, which many containers lack, or for the other process's real ids: those are
 * taken on for this one call.  Everything else goes by the effective ones, which stay root's.
 */
static int
limit_size(pid_t pid, uint64_t most)
{
	const struct role_id *id = &monitor_prepared.worker_id;
	const struct rlimit l = { .rlim_cur = most, .rlim_max = most };
	bool root = geteuid() == 0;
	int r = 0;

	if (root && (setresgid(id->gid, (gid_t)-1, (gid_t)-1) < 0 || setresuid(id->uid, (uid_t)-1, (uid_t)-1) < 0))
		r = -errno;
	if (r == 0 && prlimit(pid, RLIMIT_FSIZE, &l, NULL) < 0)
		r = -errno;
	if (r != 0)
		log_problem(EVENT_WORKER_NOT_LIMITED, NULL, r);
	if (root && (setresuid(0, (uid_t)-1, (uid_t)-1) < 0 || setresgid(0, (gid_t)-1, (gid_t)-1) < 0))
		return -errno;
	return 0;
}

/*
 * A worker holds descriptors of files for writing and keeps to the limits by itself; one that was taken over does not.
 * No file that it writes may become longer than the account's whole quota, or than max_file_size.
 */
int
monitor_limit_worker(const struct monitor *s)
{
	const struct settings *set = &s->account.resolved->s;
	uint64_t most = set->quota_bytes == 0 ? UINT64_MAX : set->quota_bytes;

	if (set->max_file_size != 0 && set->max_file_size < most)
		most = set->max_file_size;
	return most == UINT64_MAX || s->worker_pid <= 0 ? 0 : limit_size(s->worker_pid, most);
}

/* ------------------------------------------------------------------------ answers */

static uint64_t
left_of(uint64_t limit, uint64_t used)
{
	return limit == 0 ? UINT64_MAX : used < limit ? limit - used : 0;
}

static int
answer_left(struct monitor *s, struct msg *m, const struct ledger *now)
{
	static struct msg_quota_left answer;
	struct ledger limit = limit_of(s);

	answer.bytes = left_of(limit.bytes, now->bytes);
	answer.files = left_of(limit.files, now->files);
	return chan_answer(&s->agent, m, MSG_QUOTA_LEFT, &answer, NULL, 0);
}

/* Names the limit that would be passed. The other one is not near: one of the two was found too small. */
static void
name_limit(const struct monitor *s, const struct ledger *now, char *text, size_t size)
{
	struct ledger limit = limit_of(s);

	(void)str_copy(text, size, limit.files != 0 && now->files >= limit.files ? CHARGE_FULL_FILES : CHARGE_FULL_BYTES);
}

static int
refuse(struct monitor *s, struct msg *m, int code, const struct ledger *now)
{
	char text[200];

	if (code == -EAGAIN)
		return chan_refuse(&s->agent, m, FAIL_BUSY, EAGAIN, NULL);
	if (code == -ESTALE)
		return chan_refuse(&s->agent, m, FAIL_SYSTEM, ESTALE, NULL);
	if (code == -EDQUOT && now != NULL) {
		name_limit(s, now, text, sizeof text);
		return chan_refuse(&s->agent, m, FAIL_QUOTA, EDQUOT, text);
	}
	log_problem(EVENT_QUOTA_LEDGER_UNUSABLE, s->account.name, code);
	return chan_refuse(&s->agent, m, FAIL_SYSTEM, -code > 4095 ? EIO : -code, NULL);
}

/* An agent that lies gets no further than to its own account's ledger. */
static bool
has_ledger(struct monitor *s, struct msg *m, int *r)
{
	ration_agent(s, RATION_RECORD);
	if (s->charge.fd >= 0)
		return true;
	*r = refuse(s, m, -EPERM, NULL);
	return false;
}

/* ----------------------------------------------------------------------- requests */

int
monitor_quota(struct monitor *s, struct msg *m)
{
	struct ledger now = { 0, 0 };
	int r = 0;

	ration_agent(s, RATION_RECORD);
	if (s->charge.fd >= 0)
		r = ledger_read(s->charge.fd, &now);
	return r == 0 ? answer_left(s, m, &now) : refuse(s, m, r, &now);
}

/* What charge_find_left() and its like have found, with a descriptor for the agent where it has none yet. */
static int
answer_found(struct monitor *s, struct msg *m, uint32_t from,
    bool (*find)(struct charge *, uint32_t *, enum charge_kind *, struct charge_id *, char *))
{
	static struct msg_quota_found f;
	enum charge_kind kind = CHARGE_NONE;
	struct charge_id id = { 0 };
	uint32_t at = from;
	unsigned count = s->witness_given ? 0 : 1;

	f.path[0] = '\0';
	f.found = find(&s->charge, &at, &kind, &id, f.path);
	f.place = f.found ? at - 1 : 0;
	f.kind = (uint8_t)kind;
	f.inode = id.inode;
	f.born = (uint64_t)id.born_s;
	f.born_ns = id.born_ns;
	s->witness_given = true;
	return chan_answer(&s->agent, m, MSG_QUOTA_FOUND, &f, &s->charge.witness, count);
}

int
monitor_quota_lock(struct monitor *s, struct msg *m)
{
	int r;

	if (!has_ledger(s, m, &r))
		return r;
	r = charge_lock(&s->charge);
	return r == 0 ? answer_found(s, m, m->quota_lock.from, charge_find_intent) : refuse(s, m, r, NULL);
}

int
monitor_quota_open(struct monitor *s, struct msg *m)
{
	struct ledger limit = limit_of(s), now = { 0, 0 };
	enum charge_kind kind = (enum charge_kind)m->quota_open.kind;
	int r;

	if (!has_ledger(s, m, &r))
		return r;
	if (kind == CHARGE_NONE || kind >= CHARGE_KINDS)
		return SP_ERANGE;
	r = charge_open(&s->charge, m->fd[0], kind, m->fd[1], m->quota_open.path, &limit, &now);
	if (r != 0)
		return refuse(s, m, r, &now);
	(void)msg_take_fd(m, 0);
	return answer_left(s, m, &now);
}

int
monitor_quota_deed(struct monitor *s, struct msg *m)
{
	static struct msg_quota_verdict v;
	struct ledger limit = limit_of(s), now = { 0, 0 };
	int r, fd;

	if (!has_ledger(s, m, &r))
		return r;
	fd = m->fd_count > 0 ? msg_take_fd(m, 0) : -1;
	r = charge_begin(&s->charge, m->quota_deed.parts, fd, m->quota_deed.size, &limit, &v.keep, &now);
	if (r != 0 && r != -EDQUOT)
		return refuse(s, m, r, &now);
	v.refused = r != 0;
	v.text[0] = '\0';
	if (r != 0)
		name_limit(s, &now, v.text, sizeof v.text);
	return chan_answer(&s->agent, m, MSG_QUOTA_VERDICT, &v, NULL, 0);
}

int
monitor_quota_intend(struct monitor *s, struct msg *m)
{
	int r;

	if (!has_ledger(s, m, &r))
		return r;
	r = charge_intend(&s->charge, m->fd[0], m->quota_intend.path);
	return r == 0 ? chan_answer(&s->agent, m, MSG_DONE, &done, NULL, 0) : refuse(s, m, r, NULL);
}

int
monitor_quota_settle(struct monitor *s, struct msg *m)
{
	struct ledger now = { 0, 0 };
	int r;

	if (!has_ledger(s, m, &r))
		return r;
	r = charge_settle(&s->charge, m->quota_settle.close != 0, &now);
	return r == 0 ? chan_answer(&s->agent, m, MSG_DONE, &done, NULL, 0) : refuse(s, m, r, &now);
}

int
monitor_quota_find(struct monitor *s, struct msg *m)
{
	int r;

	return has_ledger(s, m, &r) ? answer_found(s, m, m->quota_find.from, charge_find_left) : r;
}

int
monitor_quota_gone(struct monitor *s, struct msg *m)
{
	int r;

	if (!has_ledger(s, m, &r))
		return r;
	r = charge_forget_left(&s->charge, m->quota_gone.place, m->fd[0]);
	return r == 0 ? chan_answer(&s->agent, m, MSG_DONE, &done, NULL, 0) : refuse(s, m, r, NULL);
}
