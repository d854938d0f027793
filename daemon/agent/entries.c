#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "daemon/agent/entries.h"

#define BLOCK_SIZE	65536
#define KEY_FLAGS	(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

/* Names that must outlive the buffer. */
struct entries_block {
	struct entries_block *next;
	size_t used;
	char text[BLOCK_SIZE - sizeof(void *) - sizeof(size_t)];
};

/* What the kernel writes (getdents64(2)). */
struct record {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

/* Fills the buffer from `at` on. 0 or -errno. */
static int
fill(struct entries *e, size_t at)
{
	long n = syscall(SYS_getdents64, e->fd, e->buffer + at, sizeof e->buffer - at);

	if (n < 0 && errno != ENOENT)
		return -errno;
	if (n < 0)
		n = 0;	/* the folder itself was removed */
	e->ended = n == 0;
	e->got = at + (size_t)n;
	return 0;
}

static bool
is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* The next record in the buffer. */
static bool
take(struct entries *e, struct entry *out)
{
	while (e->at < e->got) {
		const struct record *r = (const struct record *)(const void *)(e->buffer + e->at);

		e->at += r->length;
		if (is_dots(r->name))
			continue;
		*out = (struct entry){ .name = r->name, .type = r->type, .inode = r->inode };
		return true;
	}
	return false;
}

/* ------------------------------------------------------------------- sorting */

static int
by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int
append(struct entries *e, size_t *room, const struct entry *entry)
{
	struct entry *grown;

	if (e->count == *room) {
		*room = *room == 0 ? 256 : *room * 2;
		grown = realloc(e->sorted, *room * sizeof *grown);
		if (grown == NULL)
			return -ENOMEM;
		e->sorted = grown;
	}
	e->sorted[e->count++] = *entry;
	return 0;
}

static const char *
keep(struct entries *e, const char *name)
{
	size_t n = strlen(name) + 1;
	struct entries_block *b = e->names;

	if (b == NULL || sizeof b->text - b->used < n) {
		b = malloc(sizeof *b);
		if (b == NULL)
			return NULL;
		b->next = e->names;
		b->used = 0;
		e->names = b;
	}
	memcpy(b->text + b->used, name, n);
	b->used += n;
	return b->text + b->used - n;
}

static void
drop_sorted(struct entries *e)
{
	struct entries_block *b;

	while ((b = e->names) != NULL) {
		e->names = b->next;
		free(b);
	}
	free(e->sorted);
	e->sorted = NULL;
	e->count = e->next = 0;
}

/* Everything is in the buffer: the names may stay there. */
static int
sort_buffer(struct entries *e)
{
	struct entry entry;
	size_t room = 0;
	int r = 0;

	while (r == 0 && take(e, &entry))
		r = append(e, &room, &entry);
	if (r == 0 && e->count > 1)
		qsort(e->sorted, e->count, sizeof *e->sorted, by_key);
	return r;
}

static int
collect(struct entries *e, entries_key *key)
{
	struct entry entry;
	size_t room = 0;
	int r = 0;

	do {
		while (r == 0 && take(e, &entry)) {
			entry.key = key(e->fd, entry.name);
			if (entry.key == INT64_MIN)
				continue;
			entry.name = keep(e, entry.name);
			r = entry.name == NULL ? -ENOMEM : append(e, &room, &entry);
			if (e->count > ENTRIES_SORT_MAX)
				return 1;
		}
		e->at = 0;
		if (r == 0)
			r = fill(e, 0);
	} while (r == 0 && !e->ended);
	if (r == 0 && e->count > 1)
		qsort(e->sorted, e->count, sizeof *e->sorted, by_key);
	return r;
}

/* Too many to sort: from the beginning, as they come. */
static int
start_again(struct entries *e)
{
	drop_sorted(e);
	e->got = e->at = 0;
	e->ended = false;
	return lseek(e->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* ---------------------------------------------------------------- public part */

int64_t
entries_by_time(int fd, const char *name)
{
	struct statx st;

	if (statx(fd, name, KEY_FLAGS, STATX_MTIME, &st) < 0)
		return errno == ENOENT ? INT64_MIN : INT64_MIN + 1;
	return st.stx_mtime.tv_sec;
}

int64_t
entries_by_size(int fd, const char *name)
{
	struct statx st;

	if (statx(fd, name, KEY_FLAGS, STATX_SIZE, &st) < 0)
		return errno == ENOENT ? INT64_MIN : INT64_MIN + 1;
	return (int64_t)st.stx_size;
}

int
entries_open(struct entries *e, int fd, entries_key *key, bool reverse)
{
	int r;

	e->fd = fd;
	e->got = e->at = e->count = e->next = 0;
	e->sorted = NULL;
	e->names = NULL;
	e->reverse = reverse;
	r = fill(e, 0);
	/* Is that all? The kernel says so only when asked again. */
	if (r == 0 && !e->ended && sizeof e->buffer - e->got > sizeof(struct record) + NAME_MAX + 8)
		r = fill(e, e->got);
	if (r == 0 && key != NULL && (r = collect(e, key)) == 1)
		r = start_again(e);
	else if (r == 0 && key == NULL && e->ended)
		r = sort_buffer(e);
	if (r != 0)
		entries_close(e);
	return r;
}

int
entries_next(struct entries *e, struct entry *out)
{
	int r;

	if (e->sorted != NULL) {
		if (e->next == e->count)
			return 0;
		*out = e->sorted[e->reverse ? e->count - 1 - e->next : e->next];
		e->next++;
		return 1;
	}
	while (!take(e, out)) {
		if (e->ended)
			return 0;
		e->at = 0;
		if ((r = fill(e, 0)) != 0)
			return r;
	}
	return 1;
}

void
entries_close(struct entries *e)
{
	drop_sorted(e);
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}
