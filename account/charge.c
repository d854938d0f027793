#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/charge.h"
#include "account/charge_record.h"
#include "account/charge_table.h"
#include "account/ledger_private.h"
#include "common/clock.h"

#define DEED_AT		((off_t)1 << 40)	/* the byte that is locked for a deed; no file is so long */
#define ABANDON_TRIES	200
#define ABANDON_MS	10
#define WAIT_MS		10
#define WAIT_MS_MAX	30000	/* a session that has the lock may hang in its own file system */

void
charge_init(struct charge *c, int ledger_fd)
{
	*c = (struct charge){ .fd = ledger_fd, .slot = -1, .own_fd = -1 };
}

int
charge_lock(struct charge *c)
{
	int r;

	if (c->locked)
		return 0;
	r = ledger_lock_range(c->fd, F_WRLCK, DEED_AT, 1, false);
	c->locked = r == 0;
	return r;
}

int
charge_lock_wait(struct charge *c)
{
	int64_t end = clock_ms() + WAIT_MS_MAX;
	int r;

	while ((r = charge_lock(c)) == -EAGAIN && clock_ms() < end)
		(void)poll(NULL, 0, WAIT_MS);
	return r == -EAGAIN ? -EBUSY : r;
}

void
charge_unlock(struct charge *c)
{
	if (c->locked)
		(void)ledger_lock_range(c->fd, F_UNLCK, DEED_AT, 1, false);
	c->locked = false;
}

/* ------------------------------------------------------------------- one file */

/* What is known of a file: regular files with a name count, others do not. */
struct look {
	struct charge_id id;
	struct ledger costs;
	unsigned names;
};

static int
look_at(int fd, struct look *l)
{
	struct statx st;

	*l = (struct look){ .names = 0 };
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -errno;
	l->id = table_id(&st);
	l->names = st.stx_nlink;
	l->costs = (struct ledger){ 0, 0 };
	if (S_ISREG(st.stx_mode) && st.stx_nlink > 0)
		l->costs = (struct ledger){ st.stx_size, 1 };
	return 0;
}

int
charge_identify(int fd, struct charge_id *id)
{
	struct look l;
	int r = look_at(fd, &l);

	*id = l.id;
	return r;
}

/* ----------------------------------------------------------- the total and the table */

static uint64_t
more(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* What a file that does not stand in the table is charged with, and what of it is not: others put that there. */
static void
find_charge(const struct charge *c, const struct ledger_entry *e, const struct look *l, struct ledger *charged,
    struct ledger *uncharged)
{
	*charged = l->costs;
	*uncharged = (struct ledger){ 0, 0 };
	if (e->number == 0)
		*charged = *uncharged;	/* nobody has been charged with anything yet */
	else
		(void)record_find(c->fd, e, &l->id, charged);
	uncharged->bytes = more(charged->bytes, l->costs.bytes);
	uncharged->files = more(charged->files, l->costs.files);
}

static struct ledger
without(const struct ledger *costs, const struct ledger *uncharged)
{
	return (struct ledger){ more(uncharged->bytes, costs->bytes), more(uncharged->files, costs->files) };
}

/* What a file is going to be charged with, before and after. */
struct step {
	struct charge_id id;
	struct ledger before, after;
	bool named;
};

static int
add_steps(struct ledger_entry *e, const struct step *s, unsigned n, const struct ledger *limit)
{
	struct ledger added = { 0, 0 }, removed = { 0, 0 };

	for (unsigned i = 0; i < n; i++) {
		added.bytes += more(s[i].before.bytes, s[i].after.bytes);
		removed.bytes += more(s[i].after.bytes, s[i].before.bytes);
		added.files += more(s[i].before.files, s[i].after.files);
		removed.files += more(s[i].after.files, s[i].before.files);
	}
	return ledger_apply(e, added.bytes, removed.bytes, added.files, removed.files, limit->bytes, limit->files);
}

/* Every place of the table that speaks of the file gets its new charge; dead ones that have nothing more to say go. */
static int
note_step(struct charge *c, const struct ledger_entry *e, const struct step *s)
{
	struct table_walk w;
	struct table_slot *slot;
	int r = 0;

	table_walk(&w, c->fd);
	while (r == 0 && (slot = table_next(&w)) != NULL) {
		bool dead;

		if (slot->kind == CHARGE_NONE || !table_same(&slot->id, &s->id))
			continue;
		dead = (int)w.at != c->slot && table_is_dead(c->fd, w.at);
		if (dead && (slot->kind != CHARGE_TEMPORARY || s->named || s->after.files == 0))
			r = table_free(c->fd, w.at);
		else
			r = table_charge(c->fd, w.at, slot, e->number, &s->after);
	}
	return r;
}

static bool
changes(const struct step *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (s[i].before.bytes != s[i].after.bytes || s[i].before.files != s[i].after.files)
			return true;
	return false;
}

/* The table first: what is written there counts once the total has its new number. */
static int
write_steps(struct charge *c, const struct step *s, unsigned n, const struct ledger *limit, struct ledger *now)
{
	struct ledger_entry e;
	int older, r = ledger_lock_total(c->fd, F_WRLCK);

	if (r == 0 && (r = ledger_read_entry(c->fd, &e, &older)) == 0 && e.number == 0)
		(void)record_begin(c->fd, &e);	/* on a full disk there are none before a recount */
	if (r == 0) {
		r = add_steps(&e, s, n, limit);
		*now = (struct ledger){ e.bytes, e.files };
		for (unsigned i = 0; r == 0 && i < n; i++)
			if ((r = note_step(c, &e, &s[i])) == 0)
				r = record_put(c->fd, &e, &s[i].id, &s[i].before, &s[i].after);
		if (r == 0 && changes(s, n))
			r = ledger_write_entry(c->fd, &e, older);
	}
	(void)ledger_lock_total(c->fd, F_UNLCK);
	return r;
}

/* ------------------------------------------------------------------------- deeds */

int
charge_open(struct charge *c, int fd, enum charge_kind kind, int folder_fd, const char *path,
    const struct ledger *limit, struct ledger *now)
{
	struct ledger_entry e = { 0 };
	struct ledger uncharged = { 0, 0 };
	struct look l, folder;
	struct step s;
	int older, at, r;
	bool listed;

	if (!c->locked || c->slot >= 0)
		return -EPERM;
	if ((r = look_at(fd, &l)) != 0 || (r = look_at(folder_fd, &folder)) != 0 ||
	    (r = ledger_read_entry(c->fd, &e, &older)) != 0)
		return r;
	s = (struct step){ .id = l.id };
	listed = table_find(c->fd, &l.id, e.number, &s.before, &uncharged);
	if (!listed && kind == CHARGE_EXISTING)
		find_charge(c, &e, &l, &s.before, &uncharged);
	s.after = s.before;
	if (kind == CHARGE_NEW)
		s.after.files = 1;
	if ((at = table_take(c->fd, kind, &l.id, &folder.id, &s.before, &uncharged, e.number, path)) < 0)
		return at;
	c->slot = at;
	if (s.after.files != s.before.files && (r = write_steps(c, &s, 1, limit, now)) != 0) {
		(void)table_free(c->fd, (uint32_t)at);
		c->slot = -1;
		return r;
	}
	c->kind = kind;
	c->own_fd = fd;
	*now = (struct ledger){ e.bytes, e.files + (s.after.files - s.before.files) };
	return 0;
}

static int
add_file(struct charge *c, int fd, bool leftover, const struct ledger_entry *e, struct look *l)
{
	struct charge_file *f = &c->files[c->count];
	int r = look_at(fd, l);

	if (r != 0)
		return r;
	f->fd = fd;
	f->id = l->id;
	f->named = false;
	find_charge(c, e, l, &f->before, &f->uncharged);
	if (leftover) {
		f->before = (struct ledger){ 0, 0 };
		f->uncharged = l->costs;
	}
	(void)table_find(c->fd, &l->id, e->number, &f->before, &f->uncharged);
	c->count++;
	return 0;
}

/* What the second file is going to cost. */
static struct ledger
foresee(const struct charge_file *f, const struct look *l, unsigned parts, uint64_t size)
{
	const struct ledger then = { size, 1 };

	if ((parts & CHARGE_GROWS) != 0)
		return without(&then, &f->uncharged);
	return l->names == 1 ? (struct ledger){ 0, 0 } : f->before;
}

static void
end_deed(struct charge *c)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->files[i].fd != c->own_fd)
			close(c->files[i].fd);
	c->count = 0;
	c->deed = false;
}

/* The files of the deed, and what each is going to cost. */
static int
gather(struct charge *c, unsigned parts, int other, uint64_t size, const struct ledger_entry *e,
    struct step s[2])
{
	struct look l;
	unsigned i;
	int r = 0;

	c->count = 0;
	if ((parts & CHARGE_OWN) != 0) {
		if ((r = add_file(c, c->own_fd, false, e, &l)) != 0)
			return r;
		s[0] = (struct step){ l.id, c->files[0].before, without(&l.costs, &c->files[0].uncharged), false };
	}
	if (other < 0)
		return 0;
	i = c->count;
	if ((r = add_file(c, other, (parts & CHARGE_LEFTOVER) != 0, e, &l)) != 0)
		return r;
	c->files[i].named = (parts & CHARGE_GROWS) != 0;
	s[i] = (struct step){ l.id, c->files[i].before, foresee(&c->files[i], &l, parts, size), false };
	/* One file in both roles counts once. */
	if (i == 1 && table_same(&s[0].id, &s[1].id)) {
		close(other);
		c->count = 1;
	}
	return 0;
}

int
charge_begin(struct charge *c, unsigned parts, int other, uint64_t size, const struct ledger *limit, uint64_t *keep,
    struct ledger *now)
{
	struct ledger_entry e;
	struct step s[2];
	int older, r = 0;

	*keep = 0;
	end_deed(c);	/* another one was named, and not done */
	if (!c->locked || ((parts & CHARGE_OWN) != 0 && c->slot < 0))
		r = -EPERM;
	if (r == 0 && (r = ledger_read_entry(c->fd, &e, &older)) == 0)
		r = gather(c, parts, other, size, &e, s);
	if (r != 0) {
		if (other >= 0)
			close(other);
		return r;
	}
	c->deed = true;
	if ((parts & CHARGE_OWN) != 0)
		*keep = s[0].before.bytes + c->files[0].uncharged.bytes;
	r = add_steps(&e, s, c->count, limit);
	*now = (struct ledger){ e.bytes, e.files };
	return r;
}

static int
measure(struct charge *c, struct ledger *now)
{
	static const struct ledger unlimited;
	struct step s[2];
	struct look l;
	int r = 0;

	for (unsigned i = 0; i < c->count; i++) {
		if ((r = look_at(c->files[i].fd, &l)) != 0)
			return r;
		s[i] = (struct step){ c->files[i].id, c->files[i].before, without(&l.costs, &c->files[i].uncharged),
		    c->files[i].named };
	}
	return write_steps(c, s, c->count, &unlimited, now);
}

/* The upload is over: its place in the table becomes free, or stays for whoever finds the file. */
static int
end_upload(struct charge *c, bool keep)
{
	int r = 0;

	if (c->slot < 0)
		return 0;
	if (!keep)
		r = table_free(c->fd, (uint32_t)c->slot);
	table_release(c->fd, (uint32_t)c->slot);
	close(c->own_fd);
	c->own_fd = c->slot = -1;
	c->kind = CHARGE_NONE;
	return r;
}

int
charge_settle(struct charge *c, bool close_upload, struct ledger *now)
{
	struct ledger_entry e;
	int older, r = 0, r2;

	if (!c->locked)
		return -EPERM;
	if (c->deed)
		r = measure(c, now);
	else if ((r = ledger_read_entry(c->fd, &e, &older)) == 0)
		*now = (struct ledger){ e.bytes, e.files };
	end_deed(c);
	if (close_upload && (r2 = end_upload(c, r != 0)) != 0 && r == 0)
		r = r2;
	charge_unlock(c);
	return r;
}

/*
 * The worker may write for another moment, so the file stays listed, and is looked at again by the next session.
 * So it does where another session holds the lock for two seconds, with the old charge.
 */
void
charge_abandon(struct charge *c)
{
	static const struct ledger unlimited;
	struct ledger now;
	uint64_t keep;

	if (c->fd < 0)
		return;
	if (c->slot >= 0)
		for (int i = 0; charge_lock(c) == -EAGAIN && i < ABANDON_TRIES; i++)
			(void)poll(NULL, 0, ABANDON_MS);
	if (c->locked && !c->deed && c->slot >= 0)
		(void)charge_begin(c, CHARGE_OWN, -1, 0, &unlimited, &keep, &now);
	if (c->deed)
		(void)measure(c, &now);
	end_deed(c);
	(void)end_upload(c, true);
	charge_unlock(c);
}

/* --------------------------------------------------------------------- what was left */

bool
charge_find_left(struct charge *c, uint32_t *at, enum charge_kind *kind, struct charge_id *id,
    char path[CHARGE_PATH_MAX + 1])
{
	struct table_walk w;
	struct table_slot *slot;

	if (!c->locked)
		return false;
	table_walk(&w, c->fd);
	while ((slot = table_next(&w)) != NULL) {
		if (w.at < *at || slot->kind == CHARGE_NONE || (int)w.at == c->slot || !table_is_dead(c->fd, w.at))
			continue;
		*at = w.at + 1;
		*kind = (enum charge_kind)slot->kind;
		*id = slot->id;
		return table_path(c->fd, w.at, path) == 0;
	}
	return false;
}

int
charge_forget_left(struct charge *c, uint32_t at, int folder_fd)
{
	static const struct ledger unlimited;
	struct table_slot slot;
	struct ledger_entry e;
	struct ledger now;
	struct step s = { .after = { 0, 0 } };
	struct look folder;
	int older, r;

	if (!c->locked || (int)at == c->slot)
		return -EPERM;
	if ((r = table_read(c->fd, at, &slot)) != 0 || (r = look_at(folder_fd, &folder)) != 0 ||
	    (r = ledger_read_entry(c->fd, &e, &older)) != 0)
		return r;
	if (slot.kind == CHARGE_NONE || !table_is_dead(c->fd, at))
		return 0;
	/* A file in place may have another name by now; and a directory that was made anew says nothing of the old one. */
	if (slot.kind != CHARGE_TEMPORARY || !table_same(&folder.id, &slot.folder))
		return -ESTALE;
	s.id = slot.id;
	s.before = table_charged(&slot, e.number);
	return write_steps(c, &s, 1, &unlimited, &now);
}
