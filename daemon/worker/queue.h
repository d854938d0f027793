/*
 * Commands that came while a transfer runs and must wait for its end, in
 * order.  The control connection is read on and on, so that ABOR, STAT, QUIT
 * and the client's end are seen behind any number of them; memory is bounded
 * all the same: the same line many times over (NOOP) is one row with a count,
 * of what does not fit only the number is kept, each to be refused in its
 * turn, and nothing is kept that follows QUIT or REIN.
 */
#ifndef WORKER_QUEUE_H
#define WORKER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/worker/line.h"

#define QUEUE_MAX_BYTES (64u << 10)	/* of memory, what rows need beside their text included */

struct queue_row;

/* All zero: empty. */
struct queue {
	struct queue_row *first, *last;
	size_t bytes;
	uint64_t refused;	/* lines behind the rows that found no room */
	const char *end;	/* the last of all: QUIT or REIN; NULL: neither came */
};

bool queue_empty(const struct queue *);
/* Keeps a copy of the line, or counts it as refused: once one was, all others are until the queue is empty. */
void queue_put(struct queue *, enum line_result, const char *text, size_t len);
/* The command that ends the session (its text stays the caller's): whatever is put behind it does not count. */
void queue_put_end(struct queue *, const char *text);
/*
 * The oldest: text has room for LINE_MAX_BYTES + 1, *len is its length (0 for what is no command).  LINE_CROWDED: a
 * line that was refused.  LINE_NONE when empty.
 */
enum line_result queue_take(struct queue *, char *text, size_t *len);
void queue_clear(struct queue *);

#endif
