/*
 * What sallyctl top shows: the server's answers to "who" and "metrics" become sessions with rates, which are sorted,
 * filtered and written as lines of a given width.  Nothing here knows of a terminal.  Names and paths are their
 * clients' choice; no line has a byte that controls a terminal, whatever they are.
 */
#ifndef CTL_TOP_MODEL_H
#define CTL_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A session as the server told it, with what became of it since the snapshot before. Texts are cut, not yet escaped. */
struct top_session {
	char id[32], user[256], peer[80], state[16], activity[512];
	int64_t idle;				/* seconds */
	int64_t bytes_in, bytes_out;
	double rate_in, rate_out;		/* bytes a second; 0 for a session that was not there before */
};

/* Counters of the server that grow, and what they did in a second. */
struct top_counter {
	int64_t value;
	double rate;
};


/* What sessions can be sorted by. */
enum top_order {
	TOP_BY_RATE, TOP_BY_BYTES, TOP_BY_IDLE, TOP_BY_USER, TOP_BY_PEER, TOP_BY_STATE, TOP_ORDER_COUNT
};

struct top {
	struct top_session *session;		/* sorted by id */
	size_t n;
	const struct top_session **shown;	/* what passes the filter, in order */
	size_t shown_n;
	int64_t sessions_at, counters_at;	/* clock_ms() of the last answers; 0: none yet */
	struct top_counter logins, failures, refusals;
	enum top_order order;
	bool reverse;
	char filter[64];			/* "" or a part of user, peer, state or activity, whatever the case */
};

/* Takes the JSON answer to "who", at that time. 0, SP_EFORMAT or -ENOMEM; after an error the old sessions stay. */
int top_take_who(struct top *, const char *json, int64_t now_ms);
/* The same for "metrics". 0 or SP_EFORMAT. */
int top_take_metrics(struct top *, const char *json, int64_t now_ms);
/* Makes the list shown anew: after every change of order, reverse or filter. The pointers hold until the next take. */
void top_arrange(struct top *);
/* The place of a session in the list shown; shown_n: it is not there. */
size_t top_find(const struct top *, const char *id);
void top_free(struct top *);

const char *top_order_name(enum top_order);
/* The host of a session's peer, without the port. Returns dst. */
const char *top_host(char *dst, size_t size, const struct top_session *);

/*
 * Lines, cut to columns (those of the locale's wcwidth(3)) and ended by NUL; TOP_LINE_SIZE is enough for TOP_COLUMNS_MAX
 * columns.
 */
enum { TOP_COLUMNS_MAX = 1000, TOP_LINE_SIZE = 4 * TOP_COLUMNS_MAX + 64 };
void top_line_totals(const struct top *, char *dst, size_t size, size_t columns);
void top_line_order(const struct top *, char *dst, size_t size, size_t columns);
void top_line_heading(char *dst, size_t size, size_t columns);
void top_line_session(const struct top *, const struct top_session *, char *dst, size_t size, size_t columns);

/*
 * Writes foreign text, cut to columns and filled with blanks up to them where fill says so.  What does not print, is no
 * UTF-8, or turns the direction of writing is \xHH.  Returns the columns used.
 */
size_t top_text(char *dst, size_t size, const char *text, size_t columns, bool fill);

/* ctl/top_read.c: one member of a JSON object; text is NULL for what is no string. */
typedef void top_member(void *context, const char *key, const char *text, int64_t number);
/* Reads one object, or a list of objects with begin() before each. False: it is none. Nested values are passed over. */
bool top_read_object(const char *json, top_member *, void *context);
bool top_read_list(const char *json, bool (*begin)(void *context), top_member *, void *context);

#endif
