/* Accounts in PostgreSQL, for several machines that share them: the setting postgresql says where. */
#include "config.h"

#include <malloc.h>
#include <time.h>

#include "account/source_tables.h"

#define SECONDS		60
#define OVERWRITTEN 0x5a	/* what freed memory is filled with; any byte but 0 */

/* Whoever reads may write there: the data base's own rights decide. */
static int
connect_to(const char *parameters, bool to_write, struct db **db)
{
	(void)to_write;
	return db_open_postgresql(parameters, db);
}

/* To ask whether anything has changed costs as much as to look at it all: so it is looked at from time to time. */
static uint64_t
stamp_by_time(const char *where)
{
	(void)where;
	return (uint64_t)time(NULL) / SECONDS + 1;
}

static int
open_postgresql(const struct conf *conf, void **state)
{
	/*
	 * libpq gives back what it has received as it is: passwords among it, in a process that lives as long as
	 * the session.
	 */
	(void)mallopt(M_PERTURB, OVERWRITTEN);
	return tables_open((struct tables){ .where = conf_server(conf)->postgresql, .origin = "postgresql",
	    .open = connect_to, .stamp = stamp_by_time }, state);
}

const struct account_source source_postgresql = {
	.name = "postgresql",
	.doc = "Tables in PostgreSQL.",
	.open = open_postgresql,
	TABLES_FUNCTIONS
};
