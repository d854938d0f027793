#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/hashes.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"

#define STAMPS 32	/* more than there are sources and listeners with files of their own */

/* What the processes of a template know together: the file's content. */
static struct known {
	uint64_t stamps[STAMPS];	/* of what has been read; the oldest is given up first */
	uint64_t next;
	struct hash_known at[PASSWORD_WORKS];
} known;

static int file = -1;

int
hashes_open(void)
{
	hashes_close();
	memset(&known, 0, sizeof known);
	file = memfd_create("hashes", MFD_CLOEXEC);
	if (file < 0)
		return -errno;
	return pwrite(file, &known, sizeof known, 0) == sizeof known ? 0 : -EIO;
}

void
hashes_close(void)
{
	if (file >= 0)
		close(file);
	file = -1;
}

/* ----------------------------------------------------------------------- the file */

/* The lock is the process's: it ends with it, however it ends. */
static bool
lock(short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	while (file >= 0 && fcntl(file, F_SETLKW, &l) < 0)
		if (errno != EINTR)
			return false;
	return file >= 0;
}

static void
load(void)
{
	if (pread(file, &known, sizeof known, 0) != sizeof known)
		log_problem(EVENT_HASHES_NOT_SHARED, NULL, errno == 0 ? -EIO : -errno);
}

/* What this process has found, on top of what others have found meanwhile. */
static void
publish(int place, uint64_t stamp)
{
	struct hash_known mine = place >= 0 ? known.at[place] : (struct hash_known){ .work = 0 };

	if (!lock(F_WRLCK)) {
		if (stamp != 0)
			known.stamps[known.next++ % STAMPS] = stamp;
		return;
	}
	load();
	if (place >= 0 && mine.work > known.at[place].work)
		known.at[place] = mine;
	if (stamp != 0)
		known.stamps[known.next++ % STAMPS] = stamp;
	if (pwrite(file, &known, sizeof known, 0) != sizeof known)
		log_problem(EVENT_HASHES_NOT_SHARED, NULL, errno == 0 ? -EIO : -errno);
	(void)lock(F_UNLCK);
}

/* ---------------------------------------------------------------------- taking note */

uint64_t
hashes_stamp(uint64_t before, const char *path)
{
	const uint64_t prime = UINT64_C(1099511628211);		/* FNV-1a, by words */
	struct stat st;
	uint64_t h = before ^ UINT64_C(14695981039346656037);

	if (stat(path, &st) < 0 || st.st_size == 0)
		return h * prime;
	h = (h ^ (uint64_t)st.st_mtim.tv_sec) * prime;
	h = (h ^ (uint64_t)st.st_mtim.tv_nsec) * prime;
	return (h ^ (uint64_t)st.st_size) * prime;
}

/* Computes it once. false: it cannot be, whatever it looks like. */
static bool
try_out(struct hash_known *h)
{
	static const struct secret any = { .len = 0 };
	int64_t began = clock_cpu_us();

	if (password_check(&any, h->hash) == PASSWORD_UNSUPPORTED)
		return false;
	h->us = clock_cpu_us() - began;
	return true;
}

void
hashes_meet(const char *hash)
{
	int place = password_place(hash);
	struct hash_known h = { .work = password_work(hash) };

	if (place < 0 || h.work <= known.at[place].work || !password_affordable(hash) ||
	    str_copy(h.hash, sizeof h.hash, hash) != 0)
		return;
	password_mask(h.hash);
	if (!try_out(&h))
		return;
	known.at[place] = h;
	publish(place, 0);
}

static bool
has_stamp(uint64_t stamp)
{
	for (size_t i = 0; i < STAMPS; i++)
		if (known.stamps[i] == stamp)
			return true;
	return false;
}

void
hashes_update(const struct account_sources *s, const struct account_query *q)
{
	if (lock(F_RDLCK)) {
		load();
		(void)lock(F_UNLCK);
	}
	for (unsigned i = 0; i < s->count; i++) {
		const struct account_opened *e = &s->entry[i];
		uint64_t stamp = e->source->stamp == NULL ? 0 : e->source->stamp(e->state, q);

		if (stamp == 0 || has_stamp(stamp))
			continue;
		if (e->source->hashes(e->state, q, hashes_meet) == 0)
			publish(-1, stamp);
	}
}

const struct hash_known *
hashes_at(int place)
{
	return place < 0 || known.at[place].work == 0 ? NULL : &known.at[place];
}
