/* Accounts in SQLite: the file is the setting accounts_database. */
#include "config.h"

#include "account/source_tables.h"

static int
open_database(const struct conf *conf, void **state)
{
	return tables_open((struct tables){ .where = conf_server(conf)->accounts_database, .origin = "accounts.db",
		.open = db_open_sqlite, .may_be_missing = true }, state);
}

const struct account_source source_database = {
	.name = "database",
	.doc = "The SQLite database accounts_database.",
	.open = open_database,
	TABLES_FUNCTIONS
};
