/*
 * A writer of JSON (RFC 8259) for the --json answers of the control program,
 * the listener's reports and the audit log.  It writes into memory that it
 * owns, puts commas and colons itself and carries a sticky error, so that
 * code is a straight list of calls.  Foreign bytes are safe: what is not
 * valid UTF-8 becomes \udcXX, as Python's surrogateescape has it, and
 * controls and turns of the direction of writing (str_hidden()) are escaped.
 *
 *	struct json j;
 *	json_init(&j);
 *	json_open(&j, NULL, '{');
 *	json_str(&j, "user", name);
 *	json_num(&j, "uid", uid);
 *	json_close(&j);
 *	if (json_text(&j) != NULL)
 *		puts(json_text(&j));
 *	json_free(&j);
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 32

struct json {
	char *text;
	size_t len, size;
	int error;			/* 0 or -ENOMEM or SP_ERANGE (nested too deep) */
	unsigned depth;
	bool filled[JSON_DEPTH_MAX];	/* something stands before at this depth */
	char closer[JSON_DEPTH_MAX];
};

void json_init(struct json *);
void json_free(struct json *);

/* Opens an object ('{') or a list ('['). key: NULL in lists and at the top. */
void json_open(struct json *, const char *key, char bracket);
/* Closes what was opened last. */
void json_close(struct json *);

/* Values. A NULL string is written as null. */
void json_str(struct json *, const char *key, const char *value);
void json_bytes(struct json *, const char *key, const void *value, size_t len);
void json_num(struct json *, const char *key, int64_t value);
void json_unsigned(struct json *, const char *key, uint64_t value);
void json_bool(struct json *, const char *key, bool value);

/* What another writer has written, which is closed; its error becomes this one's. */
void json_put(struct json *, const char *key, const struct json *other);

/* The text so far, ended by NUL; NULL after an error. It stays the writer's. */
const char *json_text(const struct json *);

#endif
