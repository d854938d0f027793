#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "account/charge_table.h"
#include "account/ledger_private.h"

#define MAGIC		0x53504c544142u
#define SLOTS_AT	(2 * LEDGER_PAGE)
#define PATHS_AT	(SLOTS_AT + (off_t)TABLE_SLOTS * (off_t)sizeof(struct table_slot))
#define LOCKS_AT	((off_t)1 << 41)

_Static_assert(sizeof(struct table_slot) == 128, "places do not cross sectors");

static off_t
place(uint32_t at)
{
	return SLOTS_AT + (off_t)at * (off_t)sizeof(struct table_slot);
}

static uint64_t
sum_of(const struct table_slot *s)
{
	const uint64_t fields[] = { s->magic, s->kind, s->id.inode, (uint64_t)s->id.born_s, s->id.born_ns, s->was.bytes,
	    s->was.files, s->is.bytes, s->is.files, s->number };
	const uint64_t folder[] = { s->folder.inode, (uint64_t)s->folder.born_s, s->folder.born_ns };
	uint64_t h = LEDGER_SEED;

	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		h = ledger_mix(h, fields[i]);
	/* Places of versions that did not know the folder stay good. */
	if (s->uncharged.bytes != 0 || s->uncharged.files != 0)
		h = ledger_mix(ledger_mix(h, s->uncharged.bytes), s->uncharged.files);
	for (size_t i = 0; s->folder.inode != 0 && i < sizeof folder / sizeof *folder; i++)
		h = ledger_mix(h, folder[i]);
	return h;
}

struct charge_id
table_id(const struct statx *st)
{
	struct charge_id id;

	memset(&id, 0, sizeof id);
	id.inode = st->stx_ino;
	if ((st->stx_mask & STATX_BTIME) != 0) {
		id.born_s = st->stx_btime.tv_sec;
		id.born_ns = st->stx_btime.tv_nsec;
	}
	return id;
}

bool
table_same(const struct charge_id *a, const struct charge_id *b)
{
	return a->inode == b->inode && a->born_s == b->born_s && a->born_ns == b->born_ns;
}

/* ------------------------------------------------------------------ reading it */

void
table_walk(struct table_walk *w, int fd)
{
	w->fd = fd;
	w->at = w->next = w->have = 0;
}

struct table_slot *
table_next(struct table_walk *w)
{
	struct table_slot *s;

	if (w->next == TABLE_SLOTS)
		return NULL;
	if (w->next % TABLE_CHUNK == 0) {
		ssize_t n = pread(w->fd, w->chunk, sizeof w->chunk, place(w->next));

		w->have = w->next + (n > 0 ? (uint32_t)((size_t)n / sizeof *w->chunk) : 0);
	}
	if (w->next >= w->have)
		return NULL;
	s = &w->chunk[w->next % TABLE_CHUNK];
	if (s->magic == 0)
		return NULL;
	/* What is torn was being taken: nothing was charged yet. */
	if (s->magic != MAGIC || s->sum != sum_of(s) || s->kind >= CHARGE_KINDS)
		s->kind = CHARGE_NONE;
	w->at = w->next++;
	return s;
}

struct ledger
table_charged(const struct table_slot *s, uint64_t number)
{
	return number >= s->number ? s->is : s->was;
}

bool
table_find(int fd, const struct charge_id *id, uint64_t number, struct ledger *charged, struct ledger *uncharged)
{
	struct table_walk w;
	struct table_slot *s;

	table_walk(&w, fd);
	while ((s = table_next(&w)) != NULL)
		if (s->kind != CHARGE_NONE && table_same(&s->id, id)) {
			*charged = table_charged(s, number);
			*uncharged = s->uncharged;
			return true;
		}
	return false;
}

int
table_read(int fd, uint32_t at, struct table_slot *s)
{
	if (at >= TABLE_SLOTS)
		return -ERANGE;
	if (pread(fd, s, sizeof *s, place(at)) != sizeof *s)
		return -EIO;
	if (s->magic != MAGIC || s->sum != sum_of(s) || s->kind >= CHARGE_KINDS)
		s->kind = CHARGE_NONE;
	return 0;
}

bool
table_is_intent(const struct table_slot *s)
{
	return s->kind == CHARGE_OTHER || s->kind == CHARGE_MADE;
}

enum charge_kind
table_kind(int fd, uint32_t at)
{
	struct table_slot s;

	return table_read(fd, at, &s) == 0 ? (enum charge_kind)s.kind : CHARGE_NONE;
}

int
table_path(int fd, uint32_t at, char path[CHARGE_PATH_MAX + 1])
{
	ssize_t n = pread(fd, path, CHARGE_PATH_MAX, PATHS_AT + (off_t)at * (CHARGE_PATH_MAX + 1));

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	path[n] = '\0';
	return 0;
}

/* ------------------------------------------------------------------ changing it */

static int
put(int fd, uint32_t at, struct table_slot *s)
{
	s->magic = MAGIC;
	s->sum = sum_of(s);
	errno = EIO;
	return pwrite(fd, s, sizeof *s, place(at)) == sizeof *s ? 0 : -errno;
}

/* The first place that is free, used before or not; -EBUSY. */
static int
find_free(int fd)
{
	struct table_walk w;
	struct table_slot *s;

	table_walk(&w, fd);
	while ((s = table_next(&w)) != NULL)
		if (s->kind == CHARGE_NONE)
			return (int)w.at;
	return w.next < TABLE_SLOTS ? (int)w.next : -EBUSY;
}

int
table_take(int fd, enum charge_kind kind, const struct charge_id *id, const struct charge_id *folder,
    const struct ledger *charged, const struct ledger *uncharged, uint64_t number, const char *path)
{
	struct table_slot s = {
		.kind = kind, .id = *id, .folder = *folder, .was = *charged, .is = *charged, .number = number,
		.uncharged = *uncharged
	};
	size_t n = strlen(path) + 1;
	int at = find_free(fd), r;

	if (at < 0)
		return at;
	if (n > CHARGE_PATH_MAX + 1)
		return -ENAMETOOLONG;
	errno = EIO;
	if (pwrite(fd, path, n, PATHS_AT + (off_t)at * (CHARGE_PATH_MAX + 1)) != (ssize_t)n)
		return -errno;
	if ((r = ledger_lock_range(fd, F_WRLCK, LOCKS_AT + at, 1, false)) != 0)
		return r;
	if ((r = put(fd, (uint32_t)at, &s)) != 0)
		table_release(fd, (uint32_t)at);
	return r != 0 ? r : at;
}

int
table_charge(int fd, uint32_t at, const struct table_slot *old, uint64_t number_now, const struct ledger *charged)
{
	struct table_slot s = *old;

	s.was = table_charged(old, number_now);
	s.is = *charged;
	s.number = number_now + 1;
	return put(fd, at, &s);
}

int
table_free(int fd, uint32_t at)
{
	struct table_slot s = { .kind = CHARGE_NONE };

	return put(fd, at, &s);
}

void
table_release(int fd, uint32_t at)
{
	(void)ledger_lock_range(fd, F_UNLCK, LOCKS_AT + (off_t)at, 1, false);
}

bool
table_is_dead(int fd, uint32_t at)
{
	if (ledger_lock_range(fd, F_WRLCK, LOCKS_AT + (off_t)at, 1, false) != 0)
		return false;
	table_release(fd, at);
	return true;
}
