/*
 * What the sources database and postgresql have in common: the same tables,
 * looked up by name in a connection that lives for one login.  A template only
 * looks once, to know what hashes are like.  Only the two source files use it.
 */
#ifndef ACCOUNT_SOURCE_TABLES_H
#define ACCOUNT_SOURCE_TABLES_H

#include "account/password.h"
#include "account/source.h"
#include "account/store.h"

typedef int db_opener(const char *where, bool to_write, struct db **);

/* The state of such a source. */
struct tables {
	const char *where;	/* path or parameters; the configuration's */
	const char *origin;
	db_opener *open;
	uint64_t (*stamp)(const char *where);
	bool may_be_missing;	/* no tables yet: no accounts, but no breakage */
	struct db *changing;	/* the connection for changes; NULL: none yet */
};

/* Makes the state, a copy of model, and looks once. 0 or -ENOMEM. */
int tables_open(struct tables model, void **state);

/* Everything else of struct account_source; open, name and doc are the source's own. */
enum account_result tables_find(void *, const struct account_query *, struct account *, enum account_reason *why);
int tables_hashes(void *, const struct account_query *, void (*each)(const char *hash));
uint64_t tables_stamp(void *, const struct account_query *);
int tables_begin(void *);
int tables_end(void *, bool commit);
int tables_create(void *, const char *name, const char *verifier);
int tables_set_verifier(void *, const char *name, const char *verifier);
int tables_set(void *, const char *name, const char *key, const char *value);
int tables_append(void *, const char *name, const char *key, const char *value);
int tables_remove(void *, const char *name);
int tables_list(void *, int (*each)(void *, const struct account *), void *context);
int tables_add(void *, const char *name, const struct secret *, const char *home, int64_t *id);
int tables_set_password(void *, const char *name, const struct secret *);
void tables_close(void *);

#define TABLES_FUNCTIONS								\
	.find = tables_find, .hashes = tables_hashes, .stamp = tables_stamp, .close = tables_close,	\
	.add = tables_add, .set_password = tables_set_password,				\
	.begin = tables_begin, .end = tables_end, .create = tables_create,		\
	.set_verifier = tables_set_verifier, .set = tables_set, .append = tables_append, \
	.remove = tables_remove, .list = tables_list

#endif
