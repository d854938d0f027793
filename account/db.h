/*
 * A connection to a data base with accounts, whichever kind: SQL with
 * parameters $1, $2, ... in, rows of texts out.  Only account/store.c speaks SQL;
 * only the two files db_*.c know a library.  Every text is a parameter,
 * never part of a statement.
 *
 * A connection belongs to the process that opened it: it is opened after the
 * fork, for one login or one command, never in a template.
 */
#ifndef ACCOUNT_DB_H
#define ACCOUNT_DB_H

#include <stdbool.h>
#include <stddef.h>

#define DB_PARAMETERS_MAX 4

struct db;

/*
 * Receives a row; columns are NULL for SQL's NULL and live until it returns. Non-zero ends the
 * statement with that code.
 */
typedef int db_row(void *context, const char *const *columns);

struct db_kind {
	/*
	 * Runs one statement, prepared once a connection and then kept by the address of its text.
	 * 0; the row function's code; -EEXIST: a key that is there already; -ENOENT:
	 * the tables are not there; -EBUSY: locked for too long; -ENOSPC; -EIO for anything else, which is logged.
	 */
	int (*run)(struct db *, const char *sql, const char *const *parameters, unsigned n, db_row *, void *context);
	void (*close)(struct db *);
	const char *begin;	/* starts a transaction that nobody else's can make fail at its end */
	const char *serialize;	/* in a transaction: nobody else changes tables until its end; NULL: begin has done it */
};

struct db {
	const struct db_kind *kind;
};

/*
 * What a database of this process said last, as one line without passwords, and what can be done about it; "": nothing.
 * For who reports a failure of a function here or in store.h to an administrator: the codes tell less.  Opening a
 * database forgets it.  db_note() is for those who speak to databases; remedy may be NULL.
 */
const char *db_said(void);
void db_note(const char *message, const char *remedy);

/*
 * SQLite.  to_write: the file is made when it is not there (mode 0600, its
 * folder must exist).  0, -ENOENT when there is none, or another negative code (logged).
 */
int db_open_sqlite(const char *path, bool to_write, struct db **);

#ifdef HAVE_PQ
/* PostgreSQL; parameters as libpq reads them. 0 or a negative code (logged). */
int db_open_postgresql(const char *parameters, struct db **);
#endif

#endif
