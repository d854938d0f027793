#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/worker/queue.h"

bool
queue_full(const struct queue *q)
{
	return q->count == QUEUE_MAX;
}

int
queue_put(struct queue *q, enum line_result result, const char *text, size_t len)
{
	unsigned i = (q->first + q->count) % QUEUE_MAX;
	char *copy;

	if (queue_full(q))
		return -ENOSPC;
	copy = malloc(len + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	q->row[i].result = result;
	q->row[i].text = copy;
	q->row[i].len = len;
	q->count++;
	return 0;
}

enum line_result
queue_take(struct queue *q, char **text, size_t *len)
{
	unsigned i = q->first;

	if (q->count == 0)
		return LINE_NONE;
	q->first = (i + 1) % QUEUE_MAX;
	q->count--;
	*text = q->row[i].text;
	*len = q->row[i].len;
	return q->row[i].result;
}

bool
queue_holds(const struct queue *q, const char *verb)
{
	size_t n = strlen(verb);

	for (unsigned k = 0; k < q->count; k++) {
		const char *text = q->row[(q->first + k) % QUEUE_MAX].text;

		if (strncasecmp(text, verb, n) == 0 && (text[n] == '\0' || text[n] == ' '))
			return true;
	}
	return false;
}

void
queue_clear(struct queue *q)
{
	char *text;
	size_t len;

	while (queue_take(q, &text, &len) != LINE_NONE)
		free(text);
}
