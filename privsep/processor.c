#include "config.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "privsep/processor.h"

#define SESSIONS_A_TURN 16	/* to move costs a template its caches; to stay would crowd sessions that come together */

static struct {
	cpu_set_t all;
	unsigned count;		/* 0 or 1: there is no choice */
	unsigned turn;		/* of the processor that is bound to */
	int bound;		/* that processor; -1: none yet */
	bool away;		/* processor_leave() */
} place = { .bound = -1 };

/* The n-th of the allowed ones. */
static int
nth(unsigned n)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &place.all) && n-- == 0)
			return i;
	return -1;
}

static void
bind_to(int processor)
{
	cpu_set_t one;

	if (processor < 0)
		return;
	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	(void)sched_setaffinity(0, sizeof one, &one);
}

void
processor_prepare(void)
{
	if (sched_getaffinity(0, sizeof place.all, &place.all) == 0)
		place.count = (unsigned)CPU_COUNT(&place.all);
}

void
processor_take(uint64_t serial)
{
	unsigned turn;

	if (place.count < 2)
		return;
	turn = (unsigned)(serial / SESSIONS_A_TURN % place.count);
	if (place.bound >= 0 && turn == place.turn)
		return;
	place.turn = turn;
	place.bound = nth(turn);
	bind_to(place.bound);
}

void
processor_leave(void)
{
	if (place.bound < 0 || place.away)
		return;
	place.away = true;
	(void)sched_setaffinity(0, sizeof place.all, &place.all);
}

void
processor_return(void)
{
	place.away = false;
	bind_to(place.bound);
}
