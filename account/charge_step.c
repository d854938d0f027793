/* What files are charged with changes: the total, the table and the records, which say it or do not say it together. */
#include "config.h"

#include <fcntl.h>
#include <stddef.h>

#include "account/charge_record.h"
#include "account/charge_step.h"
#include "account/charge_table.h"

uint64_t
step_more(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

int
step_add(struct ledger_entry *e, const struct step *s, unsigned n, const struct ledger *limit)
{
	struct ledger added = { 0, 0 }, removed = { 0, 0 };

	for (unsigned i = 0; i < n; i++) {
		added.bytes += step_more(s[i].before.bytes, s[i].after.bytes);
		removed.bytes += step_more(s[i].after.bytes, s[i].before.bytes);
		added.files += step_more(s[i].before.files, s[i].after.files);
		removed.files += step_more(s[i].after.files, s[i].before.files);
	}
	return ledger_apply(e, added.bytes, removed.bytes, added.files, removed.files, limit->bytes, limit->files);
}

/* Every place of the table that speaks of the file gets its new charge. */
static int
note_step(struct charge *c, const struct ledger_entry *e, const struct step *s)
{
	struct table_walk w;
	struct table_slot *slot;
	int r = 0;

	table_walk(&w, c->fd);
	while (r == 0 && (slot = table_next(&w)) != NULL)
		if (slot->kind != CHARGE_NONE && table_same(&slot->id, &s->id))
			r = table_charge(c->fd, w.at, slot, e->number, &s->after);
	return r;
}

/* Once the total is written: dead places that have nothing more to say of the file go. */
static void
forget_step(struct charge *c, const struct step *s)
{
	struct table_walk w;
	struct table_slot *slot;

	table_walk(&w, c->fd);
	while ((slot = table_next(&w)) != NULL)
		if (slot->kind != CHARGE_NONE && table_same(&slot->id, &s->id) &&
		    (slot->kind != CHARGE_TEMPORARY || s->named || s->after.files == 0) &&
		    (int)w.at != c->slot && (int)w.at != c->intent && table_is_dead(c->fd, w.at))
			(void)table_free(c->fd, w.at);
}

static bool
changes(const struct step *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (s[i].before.bytes != s[i].after.bytes || s[i].before.files != s[i].after.files)
			return true;
	return false;
}

/*
 * A session was killed before its total was written: what it had noted counts from a number on that the next total
 * is going to have, and must not.  Whatever it had noted of files has a place in the table, which is put right
 * last.
 */
static int
take_back(struct charge *c, const struct ledger_entry *e)
{
	struct table_walk w;
	struct table_slot *slot;
	struct ledger was;
	int r = 0;

	table_walk(&w, c->fd);
	while (r == 0 && (slot = table_next(&w)) != NULL) {
		if (slot->kind == CHARGE_NONE || slot->number <= e->number)
			continue;
		was = table_charged(slot, e->number);
		if ((r = record_take_back(c->fd, e, &slot->id)) == 0)
			r = table_charge(c->fd, w.at, slot, e->number, &was);
	}
	return r;
}

/* The table first: what is written there counts once the total has its new number. */
int
step_write(struct charge *c, const struct step *s, unsigned n, const struct ledger *limit, struct ledger *now)
{
	struct ledger_entry e;
	int older, r = ledger_lock_total(c->fd, F_WRLCK);

	if (r == 0 && (r = ledger_read_entry(c->fd, &e, &older)) == 0 && e.number == 0)
		(void)record_begin(c->fd, &e);	/* on a full disk there are none before a recount */
	if (r == 0)
		r = take_back(c, &e);
	if (r == 0) {
		r = step_add(&e, s, n, limit);
		*now = (struct ledger){ e.bytes, e.files };
		for (unsigned i = 0; r == 0 && i < n; i++)
			if ((r = note_step(c, &e, &s[i])) == 0)
				r = record_put(c->fd, &e, &s[i].id, &s[i].before, &s[i].after);
		if (r == 0 && changes(s, n))
			r = ledger_write_entry(c->fd, &e, older);
	}
	for (unsigned i = 0; r == 0 && i < n; i++)
		forget_step(c, &s[i]);
	(void)ledger_lock_total(c->fd, F_UNLCK);
	return r;
}
