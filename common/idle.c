#include "config.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/idle.h"

#define STACK_REACH 65536	/* bytes below the caller that calls may have used; a stack is mapped for more */
#define RED_ZONE 4096		/* of this function and what it calls */

static void
give_back(uintptr_t start, uintptr_t end)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (start + page - 1) & ~(page - 1), to = end & ~(page - 1);

	if (from < to)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

void
idle_give_back(void *start, size_t size)
{
	give_back((uintptr_t)start, (uintptr_t)start + size);
}

void
idle_give_back_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	/* Where no more than this is mapped the call gives back what is. */
	give_back(here - STACK_REACH, here - RED_ZONE);
}
