/*
 * How much of this process, of its log and of the listener's time worker and agent may use.  A
 * worker is not waited for: what is too much of its lines is dropped and
 * counted.  What an agent says is evidence, so nothing of it is dropped: the monitor
 * takes a rest from it, the agent waits in turn, and with it whoever makes it talk.
 */
#include "config.h"

#include "common/clock.h"
#include "daemon/monitor/monitor.h"

#define REST_MS 10

static const struct {
	unsigned at_once, per_second;
} rations[] = {
	[RATION_WORKER_LINE]	= { 200, 10 },
	[RATION_REFUSAL]	= { 500, 100 },		/* warnings and refused requests of the agent */
	[RATION_RECORD]		= { 20000, 2000 },	/* its other lines, records, and requests */
	[RATION_ADMIN]		= { 20, 1 },		/* each may cost a tenth of a second for the hash */
	[RATION_NOTE]		= { 20, 8 },		/* told to the listener, which serves everybody; the last of them always is, later */
};

bool
ration_spend(struct monitor *s, enum ration which)
{
	struct monitor_budget *b = &s->budgets[which];
	unsigned most = rations[which].at_once, rate = rations[which].per_second;
	int64_t now = clock_ms(), earned;

	if (b->since == 0) {
		b->since = now;
		b->tokens = most;
	}
	earned = (now - b->since) * rate / 1000;
	if (earned > 0) {
		b->tokens = earned >= most - (int64_t)b->tokens ? most : b->tokens + (unsigned)earned;
		b->since += earned * 1000 / rate;
	}
	if (b->tokens == 0)
		return false;
	b->tokens--;
	return true;
}

void
ration_agent(struct monitor *s, enum ration which)
{
	int64_t wait = 1000 / rations[which].per_second;

	if (ration_spend(s, which))
		return;
	/* It has happened: what is earned during the rest is spent already. */
	s->budgets[which].since += wait;
	s->agent_rests_until = clock_ms() + (wait > REST_MS ? wait : REST_MS);
}

int64_t
ration_rest(const struct monitor *s)
{
	int64_t left = s->agent_rests_until == 0 || s->stopping ? 0 : s->agent_rests_until - clock_ms();

	return left > 0 ? left : 0;
}
