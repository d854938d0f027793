#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "ctl/progress.h"

#define INTERVAL_MS	200

static struct {
	bool shown;
	int64_t last;
} line;

static bool
wanted(const struct invocation *inv, unsigned long n)
{
	int64_t now;

	if (inv->quiet || inv->json || n % 64 != 0 || !isatty(STDERR_FILENO))
		return false;
	now = clock_ms();
	if (now - line.last < INTERVAL_MS)
		return false;
	line.last = now;
	line.shown = true;
	return true;
}

void
progress_step(const struct invocation *inv, const char *what, unsigned long n)
{
	if (wanted(inv, n))
		fprintf(stderr, "\r%lu %s ", n, what);
}

void
progress_of(const struct invocation *inv, const char *what, unsigned long n, unsigned long total)
{
	if (total > 0 && wanted(inv, n))
		fprintf(stderr, "\r%lu of %lu %s, %lu %% ", n, total, what, n * 100 / total);
}

void
progress_end(const struct invocation *inv)
{
	(void)inv;
	if (line.shown)
		fprintf(stderr, "\r%60s\r", "");
	line.shown = false;
	line.last = 0;
}
