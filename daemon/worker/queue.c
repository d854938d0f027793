#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/worker/queue.h"

struct queue_row {
	struct queue_row *next;
	uint64_t count;			/* so many times */
	enum line_result result;
	size_t len;
	char text[];
};

static size_t
row_bytes(size_t len)
{
	return sizeof(struct queue_row) + len + 1;
}

bool
queue_empty(const struct queue *q)
{
	return q->first == NULL && q->refused == 0 && q->end == NULL;
}

static bool
is_repeated(const struct queue_row *row, enum line_result result, const char *text, size_t len)
{
	return row != NULL && row->result == result && row->len == len && memcmp(row->text, text, len) == 0;
}

/* NULL: no room, neither here nor anywhere. */
static struct queue_row *
new_row(const struct queue *q, enum line_result result, const char *text, size_t len)
{
	struct queue_row *row = q->bytes + row_bytes(len) > QUEUE_MAX_BYTES ? NULL : malloc(row_bytes(len));

	if (row == NULL)
		return NULL;
	*row = (struct queue_row){ .count = 1, .result = result, .len = len };
	memcpy(row->text, text, len);
	row->text[len] = '\0';
	return row;
}

void
queue_put(struct queue *q, enum line_result result, const char *text, size_t len)
{
	struct queue_row *row;

	if (q->end != NULL)
		return;
	if (q->refused == 0 && is_repeated(q->last, result, text, len)) {
		q->last->count++;
		return;
	}
	row = q->refused > 0 ? NULL : new_row(q, result, text, len);
	if (row == NULL) {
		q->refused++;
		return;
	}
	if (q->last != NULL)
		q->last->next = row;
	else
		q->first = row;
	q->last = row;
	q->bytes += row_bytes(len);
}

void
queue_put_end(struct queue *q, const char *text)
{
	if (q->end == NULL)
		q->end = text;
}

/* It may hold a password. */
static void
drop_first(struct queue *q)
{
	struct queue_row *row = q->first;

	q->first = row->next;
	if (q->first == NULL)
		q->last = NULL;
	q->bytes -= row_bytes(row->len);
	explicit_bzero(row->text, row->len);
	free(row);
}

/* What stands behind the rows. */
static enum line_result
take_tail(struct queue *q, char *text, size_t *len)
{
	if (q->refused > 0) {
		q->refused--;
		return LINE_CROWDED;
	}
	if (q->end == NULL)
		return LINE_NONE;
	*len = strlen(q->end);
	memcpy(text, q->end, *len + 1);
	q->end = NULL;
	return LINE_COMMAND;
}

enum line_result
queue_take(struct queue *q, char *text, size_t *len)
{
	struct queue_row *row = q->first;
	enum line_result result;

	*len = 0;
	if (row == NULL)
		return take_tail(q, text, len);
	result = row->result;
	*len = row->len;
	memcpy(text, row->text, row->len + 1);
	if (--row->count == 0)
		drop_first(q);
	return result;
}

void
queue_clear(struct queue *q)
{
	while (q->first != NULL)
		drop_first(q);
	q->refused = 0;
	q->end = NULL;
}
