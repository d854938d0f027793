/*
 * A hash table with room for 2^k records, k as the ledger's entry says, at a place of its own for each k: to grow it is
 * written anew at the next, and counts once the total is written that speaks of it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/charge_record.h"
#include "account/charge_table.h"

#define RECORDS_AT	((off_t)32 << 20)	/* behind the paths of the table */
#define SMALLEST	8			/* 2^k records */
#define LARGEST		28

enum { USED = 1, WAS_FILE = 2, IS_FILE = 4 };

/* As it stands in the file. As in the table: is, once the total has reached the number, and was before that. */
struct record {
	uint64_t inode;
	int64_t born_s;
	uint32_t born_ns, state;
	uint64_t was, is, number, sum, unused;
};
_Static_assert(sizeof(struct record) == 64, "records do not cross sectors");

static uint64_t
sum_of(const struct record *r)
{
	const uint64_t fields[] = { r->inode, (uint64_t)r->born_s, r->born_ns, r->state, r->was, r->is, r->number };
	uint64_t h = LEDGER_SEED;

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		h = ledger_mix(h, fields[i]);
	return h;
}

static off_t
place(uint64_t k, uint64_t at)
{
	return RECORDS_AT + (off_t)(((uint64_t)1 << k) + at) * (off_t)sizeof(struct record);
}

static uint64_t
first_place(uint64_t k, const struct charge_id *id)
{
	uint64_t h = ledger_mix(ledger_mix(LEDGER_SEED, id->inode), (uint64_t)id->born_s ^ id->born_ns);

	return (h ^ h >> 32) & (((uint64_t)1 << k) - 1);
}

static struct ledger
charge_of(const struct record *r, uint64_t number)
{
	bool is = number >= r->number;

	return (struct ledger){ is ? r->is : r->was, (r->state & (is ? IS_FILE : WAS_FILE)) != 0 };
}

static bool
is_of(const struct record *r, const struct charge_id *id)
{
	return r->inode == id->inode && r->born_s == id->born_s && r->born_ns == id->born_ns && r->sum == sum_of(r);
}

/* One that is torn was being written, and its total was not: like one of another file, but for being free. */
static bool
is_free(const struct record *r, uint64_t number)
{
	struct ledger l = charge_of(r, number);

	return r->sum != sum_of(r) || (number >= r->number && l.bytes == 0 && l.files == 0);
}

/*
 * The file's record, *at its place.  -ENOENT: it has none, and *at is where it may be put; *fresh: that place was never
 * used.  -ENOSPC: and there is none.
 */
static int
search(int fd, const struct ledger_entry *e, const struct charge_id *id, struct record *r, uint64_t *at, bool *fresh)
{
	uint64_t size = (uint64_t)1 << e->records, i = first_place(e->records, id);
	bool found = false;

	*fresh = false;
	for (uint64_t n = 0; n < size; n++, i = (i + 1) & (size - 1)) {
		ssize_t got = pread(fd, r, sizeof *r, place(e->records, i));

		if (got < 0)
			return -errno;
		if (got != sizeof *r || r->state == 0) {
			*fresh = !found;
			*at = found ? *at : i;
			return -ENOENT;
		}
		if (is_of(r, id)) {
			*at = i;
			return 0;
		}
		if (!found && is_free(r, e->number)) {
			found = true;
			*at = i;
		}
	}
	return found ? -ENOENT : -ENOSPC;
}

bool
record_find(int fd, const struct ledger_entry *e, const struct charge_id *id, struct ledger *charged)
{
	struct record r;
	uint64_t at;
	bool fresh;

	if (e->records == 0)
		return false;
	*charged = (struct ledger){ 0, 0 };
	if (search(fd, e, id, &r, &at, &fresh) == 0)
		*charged = charge_of(&r, e->number);
	return true;
}

static struct record
make(const struct charge_id *id, const struct ledger *was, const struct ledger *is, uint64_t number)
{
	struct record r = { .inode = id->inode, .born_s = id->born_s, .born_ns = id->born_ns, .was = was->bytes,
	    .is = is->bytes, .number = number };

	r.state = USED | (was->files != 0 ? WAS_FILE : 0) | (is->files != 0 ? IS_FILE : 0);
	r.sum = sum_of(&r);
	return r;
}

/* ------------------------------------------------------------------- all of them */

static void
insert(struct record *all, uint64_t k, const struct record *r)
{
	const struct charge_id id = { r->inode, r->born_s, r->born_ns };
	uint64_t i = first_place(k, &id);

	while (all[i].state != 0)
		i = (i + 1) & (((uint64_t)1 << k) - 1);
	all[i] = *r;
}

/* Writes a whole table, which nothing speaks of yet. */
static int
write_all(int fd, uint64_t k, const struct record *all)
{
	size_t left = sizeof *all << k, done = 0;

	while (left > 0) {
		ssize_t n = pwrite(fd, (const char *)all + done, left, place(k, 0) + (off_t)done);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
		left -= (size_t)n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int
adopt(int fd, struct ledger_entry *e, uint64_t k, struct record *all, uint64_t count)
{
	int r = write_all(fd, k, all);

	free(all);
	if (r != 0)
		return r;
	e->records = k;
	e->record_count = count;
	return 0;
}

/* Those that still say something, at the next place. */
static int
grow(int fd, struct ledger_entry *e)
{
	uint64_t k = e->records + 1, count = 0;
	struct record *all = k > LARGEST ? NULL : calloc((size_t)1 << k, sizeof *all), r;

	if (all == NULL)
		return -ENOMEM;
	for (uint64_t i = 0; i < (uint64_t)1 << e->records; i++) {
		if (pread(fd, &r, sizeof r, place(e->records, i)) != sizeof r) {
			free(all);
			return -EIO;
		}
		if (r.state == 0 || is_free(&r, e->number))
			continue;
		insert(all, k, &r);
		count++;
	}
	return adopt(fd, e, k, all, count);
}

int
record_put(int fd, struct ledger_entry *e, const struct charge_id *id, const struct ledger *was,
    const struct ledger *is)
{
	struct record r;
	uint64_t at;
	bool fresh;
	int x;

	if (e->records == 0)
		return 0;
	x = search(fd, e, id, &r, &at, &fresh);
	/* Without a record a file is never given back: that is the side to err on. */
	if (x == -ENOSPC || (x == -ENOENT && is->bytes == 0 && is->files == 0))
		return 0;
	if (x != 0 && x != -ENOENT)
		return x;
	r = make(id, was, is, e->number + 1);
	errno = EIO;
	if (pwrite(fd, &r, sizeof r, place(e->records, at)) != sizeof r)
		return -errno;
	/* While there is no room to grow, as on a full disk, the table fills up. */
	if (fresh && ++e->record_count > ((uint64_t)1 << e->records) / 4 * 3)
		(void)grow(fd, e);
	return 0;
}

int
record_take_back(int fd, const struct ledger_entry *e, const struct charge_id *id)
{
	struct record r;
	struct ledger was;
	uint64_t at = 0;
	bool fresh;

	if (e->records == 0 || search(fd, e, id, &r, &at, &fresh) != 0 || r.number <= e->number)
		return 0;
	was = charge_of(&r, e->number);
	r = make(id, &was, &was, e->number);
	errno = EIO;
	return pwrite(fd, &r, sizeof r, place(e->records, at)) == sizeof r ? 0 : -errno;
}

int
record_begin(int fd, struct ledger_entry *e)
{
	return record_replace(fd, e, NULL, 0);
}

int
record_replace(int fd, struct ledger_entry *e, const struct record_found *found, size_t count)
{
	struct record *all, r;
	uint64_t k = SMALLEST;

	while (k < LARGEST && (uint64_t)1 << k < 2 * (uint64_t)count)
		k++;
	k += k == e->records;	/* those that count now stay as they are until the new total is written */
	if ((uint64_t)1 << k <= count || (all = calloc((size_t)1 << k, sizeof *all)) == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		r = make(&found[i].id, &found[i].costs, &found[i].costs, e->number);
		insert(all, k, &r);
	}
	return adopt(fd, e, k, all, count);
}
