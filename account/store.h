/*
 * Accounts in tables, in SQLite or PostgreSQL: the same tables and the same
 * SQL.  Used by the sources database and postgresql and by sallyctl account;
 * trusts nothing of the texts that it is given, which are parameters only.
 *
 *	sallyport_schema	version
 *	sallyport_accounts	name, password (a hash; NULL: none), changed (seconds since 1970)
 *	sallyport_settings	account, key, position, value: a key of sallyport.conf(5), several
 *				positions where the key may stand several times
 */
#ifndef ACCOUNT_STORE_H
#define ACCOUNT_STORE_H

#include "account/account.h"
#include "account/db.h"

/*
 * Makes tables that are not there and brings old ones to the present version,
 * in one transaction.  0; SP_EVERSION when they are newer than this program; or as db_kind.run.
 */
int store_migrate(struct db *);

/*
 * A transaction: everything until store_end() is done or nothing.  Without
 * one each change is a transaction of its own.
 */
int store_begin(struct db *);
int store_end(struct db *, bool commit);

/* Fills in origin, verifier kind and pairs of a, among them password. 0, -ENOENT, or as db_kind.run. */
int store_find(struct db *, const char *name, struct account *a);

/* Makes an account. hash may be NULL. 0, -EEXIST, ... */
int store_add(struct db *, const char *name, const char *hash);
/* 0, -ENOENT, ... */
int store_set_password(struct db *, const char *name, const char *hash);
int store_remove(struct db *, const char *name);
/* Takes the values of a key away; with a value, puts it in their place. 0, -ENOENT for the account, ... */
int store_set(struct db *, const char *name, const char *key, const char *value);
/* Adds one more value of a key that may stand several times. */
int store_append(struct db *, const char *name, const char *key, const char *value);

/* Every account in the order of names, until each() returns non-zero. */
int store_list(struct db *, int (*each)(void *context, const struct account *), void *context);
/* How many there are. */
int store_count(struct db *, unsigned long *n);
/* What is stored as the password of every account, "" for none. */
int store_hashes(struct db *, void (*each)(const char *hash));

#endif
