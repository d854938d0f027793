/* Accounts in SQLite: the file is the setting accounts_database. */
#include "config.h"

#include "account/hashes.h"
#include "account/source_tables.h"
#include "common/str.h"

/* The file and its log of changes. */
static uint64_t
stamp_of_files(const char *where)
{
	char log[4096];

	if (where == NULL || str_format(log, sizeof log, "%s-wal", where) != 0)
		return hashes_stamp(0, "");
	return hashes_stamp(hashes_stamp(0, where), log);
}

static int
open_database(const struct conf *conf, void **state)
{
	return tables_open((struct tables){ .where = conf_server(conf)->accounts_database, .origin = "accounts.db",
		.open = db_open_sqlite, .stamp = stamp_of_files, .may_be_missing = true }, state);
}

const struct account_source source_database = {
	.name = "database",
	.doc = "The SQLite database accounts_database.",
	.open = open_database,
	TABLES_FUNCTIONS
};
