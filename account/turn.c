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

int
turn_take(uint64_t memory)
{
	uint64_t need = units_of(memory), places, first;

	if (file < 0)
		return 0;
	if (need > units)
		return -E2BIG;
	places = units / need;
	first = (uint64_t)getpid() % places; /* so that not all begin to look at the same place */
	for (uint64_t i = 0; i < places; i++)
		if (lock(F_SETLK, F_WRLCK, (first + i) % places * need, need) == 0)
			return 0;
	/* All are taken: in line for one of them. */
	return lock(F_SETLKW, F_WRLCK, first * need, need);
}

void
turn_end(void)
{
	if (file >= 0)
		(void)lock(F_SETLK, F_UNLCK, 0, 0);
}
