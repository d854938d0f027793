/*
 * Commands that came while a transfer runs and must wait for its end, in
 * order.  Bounded: when it is full, the control connection is not read.
 */
#ifndef WORKER_QUEUE_H
#define WORKER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/worker/line.h"

#define QUEUE_MAX 64

struct queue {
	unsigned first, count;
	struct {
		enum line_result result;
		char *text;
		size_t len;
	} row[QUEUE_MAX];
};

bool queue_full(const struct queue *);
/* Copies the line. 0, -ENOSPC or -ENOMEM. */
int queue_put(struct queue *, enum line_result, const char *text, size_t len);
/* The oldest: its text is the caller's to free. LINE_NONE when empty. */
enum line_result queue_take(struct queue *, char **text, size_t *len);
/* Is there a command of this name, such as "QUIT"? */
bool queue_holds(const struct queue *, const char *verb);
void queue_clear(struct queue *);

#endif
