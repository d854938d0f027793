#include "config.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "account/db.h"
#include "common/log.h"
#include "common/str.h"

#define STATEMENTS	16
#define CONNECT_SECONDS	"5"

struct postgresql {
	struct db db;
	PGconn *connection;
	const char *kept[STATEMENTS];	/* texts of what is prepared under the name "s" and the index */
	unsigned count;
};

#define THE_PAGE "sallyport-accounts(5)"

/*
 * SQLSTATE classes or codes in ours, and what an administrator can do. remedy NULL: the code says all, and there is
 * nothing to tell of the database. quiet: not for the log, as callers expect it.
 */
static const struct {
	const char *state;
	int code;
	bool quiet;
	const char *remedy;
} codes[] = {
	{ "23505", -EEXIST, true, NULL },	/* unique_violation */
	{ "23503", -ENOENT, true, NULL },	/* foreign_key_violation: no such account */
	{ "42P01", -ENOENT, true,		/* undefined_table */
	    "make the tables as " THE_PAGE " says, or name their schema in the parameters (options=-csearch_path=NAME)" },
	{ "55P03", -EBUSY, true, NULL },	/* lock_not_available */
	{ "40", -EBUSY, true, NULL },		/* transaction rolled back */
	{ "53100", -ENOSPC, true, "make room on the database's disk" },	/* disk_full */
	{ "25006", -EROFS, true, "name the primary server in the parameters" },	/* read_only_sql_transaction */
	{ "42501", -EACCES, false,		/* insufficient_privilege */
	    "grant the role that right, or make the tables as the database's owner: " THE_PAGE " has the statements" },
	{ "55000", -EPERM, false,		/* object_not_in_prerequisite_state: a view that cannot be written */
	    "these are views: change accounts by the program that their tables belong to" },
	{ "42P07", -EPERM, false,		/* duplicate_table, and no sallyport_schema: views */
	    "these are views: change accounts by the program that their tables belong to" },
	{ "42", -EIO, false, "tables or views lack what " THE_PAGE " describes" },	/* syntax error or access rule violation */
};

static void
log_message(const char *message)
{
	char line[512];

	/* One line; libpq's messages have several and end with a newline. */
	(void)str_copy(line, sizeof line, message == NULL ? "" : message);
	line[strcspn(line, "\n")] = '\0';
	log_problem(EVENT_DATABASE_ERROR, line, 0);
}

static int
code_of(const struct postgresql *p, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	size_t i = 0;

	while (i < sizeof codes / sizeof *codes &&
	    (state == NULL || strncmp(state, codes[i].state, strlen(codes[i].state)) != 0))
		i++;
	if (i == sizeof codes / sizeof *codes) {
		/* A connection that is lost has no result, and no fields. */
		log_message(PQerrorMessage(p->connection));
		db_note(message != NULL ? message : PQerrorMessage(p->connection), NULL);
		return -EIO;
	}
	if (!codes[i].quiet)
		log_message(PQresultErrorMessage(result));
	if (codes[i].remedy != NULL)
		db_note(message == NULL ? "" : message, codes[i].remedy);
	return codes[i].code;
}

/* Finishes a result that has no rows. */
static int
finish(const struct postgresql *p, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	int r = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : code_of(p, result);

	PQclear(result);
	return r;
}

/* The name under which the text is prepared. */
static int
prepare(struct postgresql *p, const char *sql, unsigned n, char *name, size_t size)
{
	int r;

	for (unsigned i = 0; i < p->count; i++)
		if (p->kept[i] == sql)
			return str_format(name, size, "s%u", i);
	if (p->count == STATEMENTS)
		return str_copy(name, size, "");
	(void)str_format(name, size, "s%u", p->count);
	r = finish(p, PQprepare(p->connection, name, sql, (int)n, NULL));
	if (r == 0)
		p->kept[p->count++] = sql;
	return r;
}

static int
give_rows(const PGresult *result, db_row *row, void *context)
{
	const char *columns[8] = { 0 };
	int r = 0;

	for (int i = 0; r == 0 && row != NULL && i < PQntuples(result); i++) {
		for (int k = 0; k < PQnfields(result) && k < 8; k++)
			columns[k] = PQgetisnull(result, i, k) ? NULL : PQgetvalue(result, i, k);
		r = row(context, columns);
	}
	return r;
}

static int
run_postgresql(struct db *db, const char *sql, const char *const *parameters, unsigned n, db_row *row, void *context)
{
	struct postgresql *p = (struct postgresql *)(void *)db;
	PGresult *result;
	char name[16];
	int r = prepare(p, sql, n, name, sizeof name);

	if (r != 0)
		return r;
	result = name[0] != '\0' ? PQexecPrepared(p->connection, name, (int)n, parameters, NULL, NULL, 0)
	    : PQexecParams(p->connection, sql, (int)n, NULL, parameters, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		return finish(p, result);
	r = give_rows(result, row, context);
	PQclear(result);
	return r;
}

static void
close_postgresql(struct db *db)
{
	struct postgresql *p = (struct postgresql *)(void *)db;

	PQfinish(p->connection);
	free(p);
}

/* The lock's number is the project's own; it is held until the transaction ends. */
static const struct db_kind postgresql_kind = {
	run_postgresql, close_postgresql, "BEGIN", "SELECT pg_advisory_xact_lock(5730129)"
};

static void
drop_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

int
db_open_postgresql(const char *parameters, struct db **out)
{
	/* The administrator's own parameters come last and count more. */
	static const char *const keys[] = { "connect_timeout", "client_encoding", "application_name", "dbname", NULL };
	const char *const values[] = { CONNECT_SECONDS, "UTF8", "sallyport", parameters == NULL ? "" : parameters,
	    NULL };
	struct postgresql *p = calloc(1, sizeof *p);

	if (p == NULL)
		return -ENOMEM;
	db_note("", NULL);
	p->db.kind = &postgresql_kind;
	p->connection = PQconnectdbParams(keys, values, 1);
	if (p->connection == NULL || PQstatus(p->connection) != CONNECTION_OK) {
		log_message(PQerrorMessage(p->connection));
		db_note(PQerrorMessage(p->connection), "look at the setting postgresql, and at the database's pg_hba.conf");
		close_postgresql(&p->db);
		return -EHOSTDOWN;
	}
	(void)PQsetNoticeReceiver(p->connection, drop_notice, NULL);
	*out = &p->db;
	return 0;
}
