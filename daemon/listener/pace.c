#include "config.h"

#include "daemon/listener/pace.h"

#define PAUSE_LEAST	1000
#define PAUSE_MOST	60000
#define FORGET_AFTER	60000	/* ms without an event after the pause */

bool
pace_allows(const struct pace *p, bool wanted, unsigned starting, int64_t now)
{
	if (now >= p->until)
		return true;
	return wanted && starting == 0 && now - p->tried >= PACE_TRY_MS;
}

void
pace_start(struct pace *p, int64_t now)
{
	p->tried = now;
}

bool
pace_failed(struct pace *p, int64_t now)
{
	if (now < p->until)
		return false;
	if (p->pause < PAUSE_LEAST || now - p->until > FORGET_AFTER)
		p->pause = PAUSE_LEAST;
	p->failed = now;
	p->until = now + p->pause;
	p->pause = p->pause * 2 < PAUSE_MOST ? p->pause * 2 : PAUSE_MOST;
	return true;
}

void
pace_worked(struct pace *p, int64_t started)
{
	if (started <= p->failed)
		return;
	p->pause = 0;
	p->until = 0;
}
