#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "account/turn.h"

#define UNIT (UINT64_C(16) << 20) /* bytes of memory that one byte of the file stands for */

/* POSIX locks belong to a process and are not inherited: each child locks for itself in the file that all share. */
static int file = -1;
static uint64_t units;
static bool yields;

#define GATES (UINT64_C(1) << 40) /* bytes behind those of the budget: a place among those that yield */

int
turn_open(uint64_t memory)
{
	if (file >= 0)
		close(file);
	units = memory < UNIT ? 1 : memory / UNIT;
	file = memfd_create("turns", MFD_CLOEXEC);
	return file < 0 ? -errno : 0;
}

void
turn_close(void)
{
	if (file >= 0)
		close(file);
	file = -1;
}

static int
lock(int how, short type, uint64_t from, uint64_t count)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)from, .l_len = (off_t)count };

	while (fcntl(file, how, &l) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static uint64_t
units_of(uint64_t memory)
{
	return memory <= UNIT ? 1 : (memory - 1) / UNIT + 1;
}

bool
turn_fits(uint64_t memory)
{
	return file < 0 || units_of(memory) <= units;
}

void
turn_yield(bool how)
{
	yields = how;
}

/* One of so many places, beginning there, of a size: the first that is free; else in line for one of them. */
static int
lock_one(uint64_t from, uint64_t places, uint64_t size)
{
	uint64_t first = (uint64_t)getpid() % places; /* so that not all begin to look at the same place */

	for (uint64_t i = 0; i < places; i++)
		if (lock(F_SETLK, F_WRLCK, from + (first + i) % places * size, size) == 0)
			return 0;
	return lock(F_SETLKW, F_WRLCK, from + first * size, size);
}

int
turn_take(uint64_t memory)
{
	uint64_t need = units_of(memory), places;
	int r = 0;

	if (file < 0)
		return 0;
	if (need > units)
		return -E2BIG;
	places = units / need;
	if (yields)
		r = lock_one(GATES, places > 1 ? places / 2 : 1, 1);
	return r != 0 ? r : lock_one(0, places, need);
}

void
turn_end(void)
{
	if (file >= 0)
		(void)lock(F_SETLK, F_UNLCK, 0, 0);
}
