#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/charge.h"
#include "account/charge_record.h"
#include "account/charge_step.h"
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
	*c = (struct charge){ .fd = ledger_fd, .slot = -1, .own_fd = -1, .intent = -1, .witness = -1 };
}

void
charge_share(struct charge *c, int witness_fd)
{
	c->witness = witness_fd;
}

int
charge_lock(struct charge *c)
{
	int r;

	if (c->locked)
		return 0;
	if ((r = ledger_lock_range(c->fd, F_WRLCK, DEED_AT, 1, false)) != 0)
		return r;
	c->locked = true;
	if (c->witness >= 0 && (ledger_is_locked(c->witness) ||
	    ledger_lock_range(c->witness, F_RDLCK, 0, 1, false) != 0)) {
		charge_unlock(c);
		return -EAGAIN;
	}
	return 0;
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
	if (c->locked && c->witness >= 0)
		(void)ledger_lock_range(c->witness, F_UNLCK, 0, 1, false);
	if (c->locked)
		(void)ledger_lock_range(c->fd, F_UNLCK, DEED_AT, 1, false);
	c->locked = false;
}

/* ------------------------------------------------------------------- one file */

/* What is known of an object. */
struct look {
	struct charge_id id;
	struct ledger costs;
	unsigned names;		/* 0: it is gone; a directory has one */
	bool is_file;
};

struct ledger
charge_costs(const struct statx *st)
{
	switch (st->stx_mode & S_IFMT) {
	case S_IFREG:
		return (struct ledger){ st->stx_size, 1 };
	case S_IFDIR:
	case S_IFLNK:
		return (struct ledger){ 0, 1 };
	default:	/* which no client can make */
		return (struct ledger){ 0, 0 };
	}
}

static int
look_at(int fd, struct look *l)
{
	struct statx st;

	*l = (struct look){ .names = 0 };
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -errno;
	l->id = table_id(&st);
	l->is_file = S_ISREG(st.stx_mode);
	l->names = S_ISDIR(st.stx_mode) && st.stx_nlink > 0 ? 1 : st.stx_nlink;
	l->costs = (struct ledger){ 0, 0 };
	if (st.stx_nlink > 0)
		l->costs = charge_costs(&st);
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

/* ------------------------------------------------------------------ what it costs */

/* What a file that does not stand in the table is charged with, and what of it is not: others put that there. */
static void
find_charge(const struct charge *c, const struct ledger_entry *e, const struct look *l, struct ledger *charged,
    struct ledger *uncharged)
{
	*charged = l->costs;
	*uncharged = (struct ledger){ 0, 0 };
	/* Nobody has been charged with anything yet; nor with directories and links before there were records. */
	if (e->number == 0 || (e->records == 0 && !l->is_file))
		*charged = *uncharged;
	else
		(void)record_find(c->fd, e, &l->id, charged);
	uncharged->bytes = step_more(charged->bytes, l->costs.bytes);
	uncharged->files = step_more(charged->files, l->costs.files);
}

static struct ledger
without(const struct ledger *costs, const struct ledger *uncharged)
{
	return (struct ledger){ step_more(uncharged->bytes, costs->bytes), step_more(uncharged->files, costs->files) };
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
	if (s.after.files != s.before.files && (r = step_write(c, &s, 1, limit, now)) != 0) {
		(void)table_free(c->fd, (uint32_t)at);
		c->slot = -1;
		return r;
	}
	c->kind = kind;
	c->own_fd = fd;
	c->made = c->made || kind == CHARGE_NEW;
	*now = (struct ledger){ e.bytes, e.files + (s.after.files - s.before.files) };
	return 0;
}

static int
add_file(struct charge *c, int fd, unsigned parts, const struct ledger_entry *e, struct look *l)
{
	struct charge_file *f = &c->files[c->count];
	int r = look_at(fd, l);

	if (r != 0)
		return r;
	f->fd = fd;
	f->id = l->id;
	f->named = false;
	find_charge(c, e, l, &f->before, &f->uncharged);
	if ((parts & CHARGE_LEFTOVER) != 0) {
		f->before = (struct ledger){ 0, 0 };
		f->uncharged = l->costs;
	}
	/* What this account has made is its own from the beginning. */
	if ((parts & CHARGE_MAKES) != 0 && (l->is_file || e->records != 0 || e->number == 0))
		f->uncharged = (struct ledger){ 0, 0 };
	(void)table_find(c->fd, &l->id, e->number, &f->before, &f->uncharged);
	c->count++;
	return 0;
}

/* What the second file is going to cost. */
static struct ledger
foresee(const struct charge_file *f, const struct look *l, unsigned parts, uint64_t size)
{
	const struct ledger then = { l->is_file ? size : 0, 1 };

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

/* The files of the deed, and what each is going to cost, one that is about to be made too. How many, or -errno. */
static int
gather(struct charge *c, unsigned parts, int other, uint64_t size, const struct ledger_entry *e,
    struct step s[2])
{
	struct look l;
	unsigned i;
	int r = 0;

	c->count = 0;
	if ((parts & CHARGE_OWN) != 0) {
		if ((r = add_file(c, c->own_fd, 0, e, &l)) != 0)
			return r;
		s[0] = (struct step){ l.id, c->files[0].before, without(&l.costs, &c->files[0].uncharged), false };
	}
	i = c->count;
	if (other < 0) {
		s[i] = (struct step){ .after = { 0, (parts & CHARGE_MAKES) != 0 } };
		return (int)(i + ((parts & CHARGE_MAKES) != 0));
	}
	if ((r = add_file(c, other, parts, e, &l)) != 0)
		return r;
	c->files[i].named = (parts & CHARGE_GROWS) != 0;
	s[i] = (struct step){ l.id, c->files[i].before, foresee(&c->files[i], &l, parts, size), false };
	/* One file in both roles counts once. */
	if (i == 1 && table_same(&s[0].id, &s[1].id)) {
		close(other);
		c->count = 1;
	}
	return (int)c->count;
}

int
charge_begin(struct charge *c, unsigned parts, int other, uint64_t size, const struct ledger *limit, uint64_t *keep,
    struct ledger *now)
{
	struct ledger_entry e;
	struct step s[2] = { 0 };
	int older, r = 0;

	*keep = 0;
	end_deed(c);	/* another one was named, and not done */
	if (!c->locked || ((parts & CHARGE_OWN) != 0 && c->slot < 0))
		r = -EPERM;
	if (r == 0 && (r = ledger_read_entry(c->fd, &e, &older)) == 0)
		r = gather(c, parts, other, size, &e, s);
	if (r < 0) {
		if (other >= 0)
			close(other);
		return r;
	}
	c->deed = true;
	c->makes = (parts & CHARGE_MAKES) != 0 && other < 0;
	c->made = c->made || ((parts & CHARGE_MAKES) != 0 && other >= 0);
	if ((parts & CHARGE_OWN) != 0)
		*keep = s[0].before.bytes + c->files[0].uncharged.bytes;
	r = step_add(&e, s, (unsigned)r, limit);
	*now = (struct ledger){ e.bytes, e.files };
	return r;
}

/* What the deed was is of no more interest. */
static void
drop_intent(struct charge *c, int at)
{
	if (at < 0)
		return;
	(void)table_free(c->fd, (uint32_t)at);
	table_release(c->fd, (uint32_t)at);
}

/* The second file of the deed, or its only one; NULL: it is about to be made. */
static const struct charge_file *
named_file(const struct charge *c)
{
	return c->makes || c->count == 0 ? NULL : &c->files[c->count - 1];
}

/* What has several names, or several that are its own, may live on under one that nobody looks for. */
static enum charge_kind
intent_of(const struct charge_file *f)
{
	struct look l;

	if (f == NULL)
		return CHARGE_MADE;
	return look_at(f->fd, &l) == 0 && l.names == 1 ? CHARGE_OTHER : CHARGE_EXISTING;
}

int
charge_intend(struct charge *c, int folder_fd, const char *path)
{
	static const struct charge_file nothing;
	const struct charge_file *f = named_file(c);
	struct ledger_entry e;
	struct look folder;
	int older, at, r, before = c->intent;

	if (!c->locked || !c->deed)
		return -EPERM;
	if (f == NULL && !c->makes)
		return -EINVAL;
	if ((r = look_at(folder_fd, &folder)) != 0 || (r = ledger_read_entry(c->fd, &e, &older)) != 0)
		return r;
	at = table_take(c->fd, intent_of(f), f == NULL ? &nothing.id : &f->id, &folder.id,
	    f == NULL ? &nothing.before : &f->before, f == NULL ? &nothing.uncharged : &f->uncharged, e.number, path);
	if (at < 0)
		return at;
	c->intent = at;
	drop_intent(c, before);
	return 0;
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
	r = step_write(c, s, c->count, &unlimited, now);
	for (unsigned i = 0; r == 0 && i < c->count; i++)
		c->files[i].before = s[i].after;	/* it may be measured again */
	return r;
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

/* An entry was to be made, and not named afterwards: nobody's word counts that there is none. */
static bool
may_have_made(const struct charge *c)
{
	return c->intent >= 0 && !c->made && table_kind(c->fd, (uint32_t)c->intent) == CHARGE_MADE;
}

/* Kept, it is settled by whoever takes the lock next. */
static void
end_intent(struct charge *c, bool keep)
{
	if (keep && c->intent >= 0)
		table_release(c->fd, (uint32_t)c->intent);
	else
		drop_intent(c, c->intent);
	c->intent = -1;
	c->made = false;
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
	end_intent(c, r != 0 || may_have_made(c));
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
	int r;

	if (c->fd < 0)
		return;
	if (c->slot >= 0)
		for (int i = 0; charge_lock(c) == -EAGAIN && i < ABANDON_TRIES; i++)
			(void)poll(NULL, 0, ABANDON_MS);
	if (c->locked && !c->deed && c->slot >= 0)
		(void)charge_begin(c, CHARGE_OWN, -1, 0, &unlimited, &keep, &now);
	r = c->deed ? measure(c, &now) : 0;
	end_deed(c);
	end_intent(c, r != 0 || may_have_made(c));
	(void)end_upload(c, true);
	charge_unlock(c);
}

/* --------------------------------------------------------------------- what was left */

static bool
find_dead(struct charge *c, bool intents, uint32_t *at, enum charge_kind *kind, struct charge_id *id,
    char path[CHARGE_PATH_MAX + 1])
{
	struct table_walk w;
	struct table_slot *slot;

	if (!c->locked)
		return false;
	table_walk(&w, c->fd);
	while ((slot = table_next(&w)) != NULL) {
		if (w.at < *at || slot->kind == CHARGE_NONE || (int)w.at == c->slot || (int)w.at == c->intent ||
		    (intents && !table_is_intent(slot)) || !table_is_dead(c->fd, w.at))
			continue;
		*at = w.at + 1;
		*kind = (enum charge_kind)slot->kind;
		*id = slot->id;
		return table_path(c->fd, w.at, path) == 0;
	}
	return false;
}

bool
charge_find_left(struct charge *c, uint32_t *at, enum charge_kind *kind, struct charge_id *id,
    char path[CHARGE_PATH_MAX + 1])
{
	return find_dead(c, false, at, kind, id, path);
}

bool
charge_find_intent(struct charge *c, uint32_t *at, enum charge_kind *kind, struct charge_id *id,
    char path[CHARGE_PATH_MAX + 1])
{
	return find_dead(c, true, at, kind, id, path);
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

	if (!c->locked || (int)at == c->slot || (int)at == c->intent)
		return -EPERM;
	if ((r = table_read(c->fd, at, &slot)) != 0 || (r = look_at(folder_fd, &folder)) != 0 ||
	    (r = ledger_read_entry(c->fd, &e, &older)) != 0)
		return r;
	if (slot.kind == CHARGE_NONE || !table_is_dead(c->fd, at))
		return 0;
	/*
	 * A file in place may have another name by now; and a directory that was made anew says nothing of the old
	 * one.
	 */
	if ((slot.kind != CHARGE_TEMPORARY && !table_is_intent(&slot)) || !table_same(&folder.id, &slot.folder))
		return -ESTALE;
	/* What it had made is charged before it is forgotten. */
	if (slot.kind == CHARGE_MADE)
		return c->deed && (r = measure(c, &now)) != 0 ? r : table_free(c->fd, at);
	s.id = slot.id;
	s.before = table_charged(&slot, e.number);
	return step_write(c, &s, 1, &unlimited, &now);
}
