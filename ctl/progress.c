#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "ctl/progress.h"

#define INTERVAL_MS	200

static struct {
	int terminal;		/* 0: not known yet, 1: standard error is one, -1: it is not */
	bool shown;
	int64_t last;
} line;

static bool
wanted(const struct invocation *inv)
{
	int64_t now;

	if (line.terminal == 0)
		line.terminal = isatty(STDERR_FILENO) ? 1 : -1;
	if (inv->quiet || inv->json || line.terminal < 0)
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
	if (wanted(inv))
		fprintf(stderr, "\r%lu %s ", n, what);
}

void
progress_of(const struct invocation *inv, const char *what, unsigned long n, unsigned long total)
{
	if (total > 0 && wanted(inv))
		fprintf(stderr, "\r%lu of %lu %s, %lu %% ", n, total, what, n * 100 / total);
}

void
progress_part(const struct invocation *inv, const char *what, unsigned long n, unsigned long done, unsigned long total)
{
	if (total == 0)
		progress_step(inv, what, n);
	else if (wanted(inv))
		fprintf(stderr, "\r%lu %s, %lu %% ", n, what, (unsigned long)((double)done / (double)total * 100));
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
