#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "account/source_tables.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

int
tables_open(struct tables model, void **state)
{
	struct tables *d = malloc(sizeof *d);

	if (d == NULL)
		return -ENOMEM;
	*d = model;
	*state = d;
	return 0;
}

enum account_result
tables_find(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	struct tables *d = state;
	struct db *db;
	int r = d->open(d->where, false, &db);

	if (r == 0) {
		r = store_find(db, q->user, a);
		db->kind->close(db);
		if (r == -ENOENT)	/* no such account, or not even tables */
			return ACCOUNT_UNKNOWN;
	}
	if (r == -ENOENT && d->may_be_missing)
		return ACCOUNT_UNKNOWN;
	a->origin = d->origin;
	a->flags |= ACCOUNT_VIRTUAL;
	if (r == 0)
		return ACCOUNT_FOUND;
	log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, d->origin, r);
	*why = REASON_UNAVAILABLE;
	return ACCOUNT_UNAVAILABLE;
}

/* Whatever is wrong may be right at the next login, and other sources work: it is logged only. */
int
tables_hashes(void *state, const struct account_query *q, void (*each)(const char *))
{
	struct tables *d = state;
	struct db *db;
	int r = d->open(d->where, false, &db);

	(void)q;
	if (r == 0) {
		r = store_hashes(db, each);
		db->kind->close(db);
	}
	if (r == -ENOENT && d->may_be_missing)
		return 0;
	if (r != 0)
		log_problem(EVENT_ACCOUNT_SOURCE_NOT_READY, d->origin, r);
	return r;
}

uint64_t
tables_stamp(void *state, const struct account_query *q)
{
	const struct tables *d = state;

	(void)q;
	return d->stamp(d->where);
}

void
tables_close(void *state)
{
	struct tables *d = state;

	if (d->changing != NULL)
		d->changing->kind->close(d->changing);
	free(d);
}

/* ------------------------------------------------------------------ management */

/* The connection for changes, made when first needed, with tables of the present version. */
static int
changing(struct tables *d, struct db **db)
{
	int r = 0;

	if (d->changing == NULL) {
		r = d->open(d->where, true, &d->changing);
		if (r == 0)
			r = store_migrate(d->changing);
		if (r == 0)
			db_note("", NULL);	/* that there had been no tables */
		if (r != 0 && d->changing != NULL) {
			d->changing->kind->close(d->changing);
			d->changing = NULL;
		}
	}
	*db = d->changing;
	return r;
}

int
tables_begin(void *state)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_begin(db);
}

int
tables_end(void *state, bool commit)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_end(db, commit);
}

int
tables_create(void *state, const char *name, const char *verifier)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_add(db, name, verifier);
}

int
tables_set_verifier(void *state, const char *name, const char *verifier)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_set_password(db, name, verifier);
}

int
tables_set(void *state, const char *name, const char *key, const char *value)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_set(db, name, key, value);
}

int
tables_append(void *state, const char *name, const char *key, const char *value)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_append(db, name, key, value);
}

int
tables_remove(void *state, const char *name)
{
	struct db *db;
	int r = changing(state, &db);

	return r != 0 ? r : store_remove(db, name);
}

int
tables_list(void *state, int (*each)(void *, const struct account *), void *context)
{
	struct tables *d = state;
	struct db *db = d->changing;
	int r = db != NULL ? 0 : d->open(d->where, false, &db);

	if (r == 0)
		r = store_list(db, each, context);
	if (db != NULL && db != d->changing)
		db->kind->close(db);
	return r == -ENOENT && d->may_be_missing ? 0 : r;
}

/* Over FTP: account and home are there together or not at all. */
int
tables_add(void *state, const char *name, const struct secret *password, const char *home, int64_t *id)
{
	char hash[PASSWORD_HASH_MAX];
	int r = password_make(password, hash, sizeof hash), end;

	*id = -1;
	if (r == 0)
		r = tables_begin(state);
	if (r != 0)
		return r;
	r = tables_create(state, name, hash);
	if (r == 0 && home[0] != '\0')
		r = tables_set(state, name, "home", home);
	end = tables_end(state, r == 0);
	return r != 0 ? r : end;
}

int
tables_set_password(void *state, const char *name, const struct secret *password)
{
	char hash[PASSWORD_HASH_MAX];
	int r = password_make(password, hash, sizeof hash);

	return r != 0 ? r : tables_set_verifier(state, name, hash);
}
