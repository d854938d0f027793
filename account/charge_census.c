/* Counting anew: what lies on the disk becomes the total, and what is being written keeps its place in the table. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "account/charge_record.h"
#include "account/charge_table.h"
#include "account/ledger_private.h"
#include "common/reserved.h"

struct listed {
	uint32_t at;
	bool dead, met;
	struct table_slot slot;
	struct ledger costs;
};

struct lost {
	struct charge_id id;
	struct ledger costs;
};

struct charge_census {
	struct charge owner;
	uint64_t number;
	struct ledger sum;
	struct listed *listed;
	size_t listed_count;
	struct record_found *found;
	size_t found_count;
	struct lost *lost;	/* temporary files of nobody */
	size_t lost_count;
	uint64_t *linked;	/* files with several names that were counted: inode, device */
	size_t linked_count;
};

/* The table as it stands. 0 or -ENOMEM. */
static int
read_table(struct charge_census *c)
{
	struct table_walk w;
	struct table_slot *slot;

	table_walk(&w, c->owner.fd);
	while ((slot = table_next(&w)) != NULL) {
		struct listed *more;

		if (slot->kind == CHARGE_NONE)
			continue;
		more = realloc(c->listed, (c->listed_count + 1) * sizeof *more);
		if (more == NULL)
			return -ENOMEM;
		c->listed = more;
		more[c->listed_count++] = (struct listed){ .at = w.at, .slot = *slot,
		    .dead = table_is_dead(c->owner.fd, w.at), .costs = table_charged(slot, c->number) };
	}
	return 0;
}

int
charge_census_begin(struct charge_census **out, int ledger_fd, bool hold)
{
	struct charge_census *c = *out = calloc(1, sizeof *c);
	struct ledger_entry e;
	int older, r;

	if (c == NULL)
		return -ENOMEM;
	charge_init(&c->owner, ledger_fd);
	if ((r = charge_lock_wait(&c->owner)) != 0 || (r = ledger_read_entry(ledger_fd, &e, &older)) != 0)
		return r;
	c->number = e.number;
	r = read_table(c);
	if (!hold)
		charge_unlock(&c->owner);
	return r;
}

/* Was this file counted by another of its names? 1, 0 or -ENOMEM. */
static int
counted(struct charge_census *c, const struct statx *st)
{
	uint64_t device = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor, *more;

	if (st->stx_nlink < 2 || S_ISDIR(st->stx_mode))
		return 0;
	for (size_t i = 0; i < c->linked_count; i++)
		if (c->linked[2 * i] == st->stx_ino && c->linked[2 * i + 1] == device)
			return 1;
	if ((c->linked_count & (c->linked_count - 1)) == 0) {
		more = realloc(c->linked, (c->linked_count == 0 ? 1 : 2 * c->linked_count) * 2 * sizeof *more);
		if (more == NULL)
			return -ENOMEM;
		c->linked = more;
	}
	c->linked[2 * c->linked_count] = st->stx_ino;
	c->linked[2 * c->linked_count++ + 1] = device;
	return 0;
}

static struct listed *
find_listed(struct charge_census *c, const struct statx *st)
{
	struct charge_id id = table_id(st);

	for (size_t i = 0; i < c->listed_count; i++)
		if (!table_is_intent(&c->listed[i].slot) && table_same(&c->listed[i].slot.id, &id))
			return &c->listed[i];
	return NULL;
}

/* A temporary file that the table has lost lies on the disk all the same. Its removal gives back what it costs. */
static int
add_lost(struct charge_census *c, const struct statx *st)
{
	struct lost *more = realloc(c->lost, (c->lost_count + 1) * sizeof *more);

	if (more == NULL)
		return -ENOMEM;
	c->lost = more;
	more[c->lost_count++] = (struct lost){ table_id(st), { st->stx_size, 1 } };
	return 0;
}

static int
add_found(struct charge_census *c, const struct statx *st, const struct ledger *costs)
{
	struct record_found *more;

	if ((c->found_count & (c->found_count - 1)) == 0) {
		more = realloc(c->found, (c->found_count == 0 ? 1 : 2 * c->found_count) * sizeof *more);
		if (more == NULL)
			return -ENOMEM;
		c->found = more;
	}
	c->found[c->found_count++] = (struct record_found){ table_id(st), *costs };
	return 0;
}

int
charge_census_file(struct charge_census *c, const struct statx *st, const char *name)
{
	struct listed *l = find_listed(c, st);
	struct ledger costs = charge_costs(st);
	bool reserved = strncmp(name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) == 0;
	/* A link that has not got its name yet, and what costs nothing. */
	int r = costs.files == 0 || (reserved && !S_ISREG(st->stx_mode)) ? 1 : counted(c, st);

	if (r != 0)
		return r < 0 ? r : 0;
	if (l == NULL && reserved && (r = add_lost(c, st)) != 0)
		return r;
	if (l != NULL) {
		l->met = true;
		if (l->dead)
			l->costs = costs;
		/* Whatever was there before its upload is counted now like everything else. */
		l->costs.bytes += l->dead ? 0 : l->slot.uncharged.bytes;
		l->costs.files += l->dead ? 0 : l->slot.uncharged.files;
		l->slot.uncharged = (struct ledger){ 0, 0 };
		costs = l->costs;
	}
	if ((r = add_found(c, st, &costs)) != 0)
		return r;
	c->sum.bytes += costs.bytes;
	c->sum.files += costs.files;
	return 0;
}

/* Did anybody write a total or a place of the table since? */
static bool
is_as_before(const struct charge_census *c, const struct ledger_entry *e)
{
	struct table_walk w;
	struct table_slot *slot;
	size_t n = 0;

	table_walk(&w, c->owner.fd);
	while ((slot = table_next(&w)) != NULL)
		if (slot->kind != CHARGE_NONE && (n == c->listed_count || c->listed[n++].slot.sum != slot->sum))
			return false;
	return n == c->listed_count && e->number == c->number;
}

/* What a dead session left costs what was found of it; what was not found is no longer there. */
static int
correct_table(const struct charge_census *c)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->listed_count; i++) {
		const struct listed *l = &c->listed[i];

		if (!l->dead) {
			if (l->met)
				r = table_charge(c->owner.fd, l->at, &l->slot, c->number, &l->costs);
			continue;
		}
		r = l->met && l->slot.kind == CHARGE_TEMPORARY
		    ? table_charge(c->owner.fd, l->at, &l->slot, c->number, &l->costs) : table_free(c->owner.fd, l->at);
	}
	return r;
}

/* A place without a path, which is met by the file's number alone. */
static int
list_lost(const struct charge_census *c)
{
	static const struct charge_id nowhere;
	static const struct ledger nothing;
	int at, r = 0;

	for (size_t i = 0; r == 0 && i < c->lost_count; i++) {
		at = table_take(c->owner.fd, CHARGE_TEMPORARY, &c->lost[i].id, &nowhere, &c->lost[i].costs, &nothing, c->number, "");
		if (at < 0)
			r = at;
		else
			table_release(c->owner.fd, (uint32_t)at);
	}
	return r;
}

int
charge_census_end(struct charge_census *c, struct ledger *now)
{
	struct ledger_entry e;
	int older, r = charge_lock_wait(&c->owner);

	if (r == 0)
		r = ledger_lock_total(c->owner.fd, F_WRLCK);
	if (r == 0 && (r = ledger_read_entry(c->owner.fd, &e, &older)) == 0 && !is_as_before(c, &e))
		r = -EAGAIN;
	if (r == 0 && (r = correct_table(c)) == 0 && (r = list_lost(c)) == 0 &&
	    (r = record_replace(c->owner.fd, &e, c->found, c->found_count)) == 0) {
		e.bytes = c->sum.bytes;
		e.files = c->sum.files;
		r = ledger_write_entry(c->owner.fd, &e, older);
		*now = c->sum;
	}
	(void)ledger_lock_total(c->owner.fd, F_UNLCK);
	charge_unlock(&c->owner);
	return r;
}

void
charge_census_free(struct charge_census *c)
{
	if (c == NULL)
		return;
	charge_unlock(&c->owner);
	free(c->listed);
	free(c->lost);
	free(c->found);
	free(c->linked);
	free(c);
}
