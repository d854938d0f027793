/* Accounts in PostgreSQL, for several machines that share them: the setting postgresql says where. */
#include "config.h"

#include "account/source_tables.h"

/* Whoever reads may write there: the data base's own rights decide. */
static int
connect_to(const char *parameters, bool to_write, struct db **db)
{
	(void)to_write;
	return db_open_postgresql(parameters, db);
}

static int
open_postgresql(const struct conf *conf, void **state)
{
	return tables_open((struct tables){ .where = conf_server(conf)->postgresql, .origin = "postgresql",
	    .open = connect_to },
	    state);
}

const struct account_source source_postgresql = {
	.name = "postgresql",
	.doc = "Tables in PostgreSQL.",
	.open = open_postgresql,
	TABLES_FUNCTIONS
};
