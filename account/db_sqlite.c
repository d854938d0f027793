#include "config.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "account/db.h"
#include "common/log.h"
#include "common/str.h"

#define MISSING		"no such table: "	/* so begins what SQLite says, which has no code of its own for it */
#define BUSY_MS		10000	/* writers wait for each other that long */
#define STATEMENTS	16
#define TRIES		200	/* of the change to WAL */
#define TRY_MS		50

struct sqlite {
	struct db db;
	sqlite3 *handle;
	struct { const char *sql; sqlite3_stmt *statement; } kept[STATEMENTS];
	unsigned count;
};

/* SQLite's result codes in ours. The first row that fits counts; other codes are breakage. remedy: may be NULL. */
static const struct {
	int theirs, ours;
	const char *remedy;
} codes[] = {
	{ SQLITE_CONSTRAINT,	-EEXIST,	NULL },
	{ SQLITE_BUSY,		-EBUSY,		NULL },
	{ SQLITE_LOCKED,	-EBUSY,		NULL },
	{ SQLITE_FULL,		-ENOSPC,	"make room in its file system" },
	{ SQLITE_NOMEM,		-ENOMEM,	NULL },
	{ SQLITE_READONLY,	-EROFS,		"changes need write access to the file and its directory" },
	{ SQLITE_PERM,		-EACCES,	"changes need write access to the file and its directory" },
	{ SQLITE_CANTOPEN,	-EACCES,	"its directory must exist, and neither file nor directory be a symbolic link" },
	{ SQLITE_NOTADB,	-EIO,		"restore the file from a backup, or set accounts_database to another" },
	{ SQLITE_CORRUPT,	-EIO,		"restore the file from a backup; sqlite3's .recover reads what is left of it" },
	{ SQLITE_ERROR,		-EIO,		"sallyport-accounts(5) has the tables; views can only be read" }
};

/* Keeps what SQLite says, with the file's name, for db_said(). */
static void
note(const struct sqlite *s, int result, const char *path)
{
	const char *remedy = NULL;
	char text[400];

	for (size_t i = sizeof codes / sizeof *codes; i-- > 0;)
		if ((result & 0xff) == codes[i].theirs)
			remedy = codes[i].remedy;
	(void)str_format(text, sizeof text, "%.200s: %s", path == NULL ? "" : path,
	    s->handle == NULL ? sqlite3_errstr(result) : sqlite3_errmsg(s->handle));
	db_note(text, remedy);
}

static int
code_of(const struct sqlite *s, int result)
{
	note(s, result, s->handle == NULL ? NULL : sqlite3_db_filename(s->handle, "main"));
	/* Whoever has to make room must know where. */
	if ((result & 0xff) == SQLITE_FULL && s->handle != NULL)
		log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, sqlite3_db_filename(s->handle, "main"), -ENOSPC);
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if ((result & 0xff) == codes[i].theirs && codes[i].ours != -EIO)
			return codes[i].ours;
	if (s->handle != NULL)
		log_problem(EVENT_DATABASE_ERROR, sqlite3_errmsg(s->handle), 0);
	return -EIO;
}

/* Has anybody made the tables yet? */
static bool
has_tables(const struct sqlite *s)
{
	sqlite3_stmt *probe;
	bool found = false;

	if (sqlite3_prepare_v2(s->handle, "SELECT 1 FROM sallyport_schema", -1, &probe, NULL) == SQLITE_OK) {
		found = sqlite3_step(probe) == SQLITE_ROW;
		sqlite3_finalize(probe);
	}
	return found;
}

static int
prepare(struct sqlite *s, const char *sql, sqlite3_stmt **statement)
{
	int r;

	for (unsigned i = 0; i < s->count; i++)
		if (s->kept[i].sql == sql) {
			*statement = s->kept[i].statement;
			return 0;
		}
	if (s->count == STATEMENTS)
		sqlite3_finalize(s->kept[--s->count].statement);
	r = sqlite3_prepare_v3(s->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
	/*
	 * A statement that does not compile: the one reason that is no breakage is that there are
	 * no tables, until this moment.
	 */
	if (r == SQLITE_ERROR && strncmp(sqlite3_errmsg(s->handle), MISSING, sizeof MISSING - 1) == 0 && !has_tables(s)) {
		db_note("there are no tables of sallyport in the database", "sallyctl account add makes them");
		return -ENOENT;
	}
	if (r == SQLITE_ERROR)
		r = sqlite3_prepare_v3(s->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
	if (r != SQLITE_OK)
		return code_of(s, r);
	s->kept[s->count].sql = sql;
	s->kept[s->count++].statement = *statement;
	return 0;
}

/* SQLite numbers named parameters in the order in which it meets them. */
static int
bind(sqlite3_stmt *statement, unsigned i, const char *value)
{
	const char name[] = { '$', (char)('1' + i), '\0' };

	return sqlite3_bind_text(statement, sqlite3_bind_parameter_index(statement, name), value, -1, SQLITE_STATIC) ==
	    SQLITE_OK ? 0 : -ENOMEM;
}

static int
give_row(sqlite3_stmt *statement, db_row *row, void *context)
{
	const char *columns[8] = { 0 };
	int n = sqlite3_column_count(statement);

	for (int i = 0; i < n && i < 8; i++)
		columns[i] = (const char *)sqlite3_column_text(statement, i);
	return row == NULL ? 0 : row(context, columns);
}

static int
run_sqlite(struct db *db, const char *sql, const char *const *parameters, unsigned n, db_row *row, void *context)
{
	struct sqlite *s = (struct sqlite *)(void *)db;
	sqlite3_stmt *statement;
	int r = prepare(s, sql, &statement), step = SQLITE_ROW;

	if (r != 0)
		return r;
	for (unsigned i = 0; i < n && r == 0; i++)
		r = bind(statement, i, parameters[i]);
	while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
		r = give_row(statement, row, context);
	if (r == 0 && step != SQLITE_DONE)
		r = code_of(s, step);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return r;
}

static void
close_sqlite(struct db *db)
{
	struct sqlite *s = (struct sqlite *)(void *)db;

	for (unsigned i = 0; i < s->count; i++)
		sqlite3_finalize(s->kept[i].statement);
	sqlite3_close(s->handle);
	free(s);
}

static const struct db_kind sqlite_kind = { run_sqlite, close_sqlite, "BEGIN IMMEDIATE", NULL };

/* ------------------------------------------------------------------ what it leaves behind */

static sqlite3_mem_methods usual;

static void
clear_and_free(void *p)
{
	explicit_bzero(p, (size_t)usual.xSize(p));
	usual.xFree(p);
}

static void *
clear_and_move(void *p, int size)
{
	int had = usual.xSize(p);
	void *to = size <= had ? NULL : usual.xMalloc(size);

	if (size <= had)
		return p;
	if (to == NULL)
		return NULL;
	memcpy(to, p, (size_t)had);
	clear_and_free(p);
	return to;
}

/*
 * Pages of the file hold passwords, and SQLite gives their memory back as it is: a session lives on with it. Done
 * once.
 */
static void
clear_what_is_freed(void)
{
	sqlite3_mem_methods own;

	if (usual.xFree != NULL || sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual) != SQLITE_OK)
		return;
	own = usual;
	own.xFree = clear_and_free;
	own.xRealloc = clear_and_move;
	(void)sqlite3_config(SQLITE_CONFIG_MALLOC, &own);
}

/* ------------------------------------------------------------------------------- opening */

/* The file holds hashes: nobody but root reads it. */
static int
open_file(struct sqlite *s, const char *path, bool to_write)
{
	int flags = to_write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	mode_t before = umask(077);
	int r = sqlite3_open_v2(path, &s->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_busy_timeout(s->handle, BUSY_MS);
	/*
	 * Readers never wait for a writer then, and a writer that was killed leaves nothing that a
	 * reader had to repair.
	 */
	for (int i = 0; r == SQLITE_OK && to_write && i < TRIES; i++) {
		r = sqlite3_exec(s->handle,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
		    NULL, NULL, NULL);
		if ((r & 0xff) != SQLITE_BUSY || i + 1 == TRIES)
			break;
		/* Two who make the file at once: SQLite does not wait by itself here. */
		(void)sqlite3_sleep(TRY_MS);
		r = SQLITE_OK;
	}
	(void)umask(before);
	return r;
}

/* A file that cannot be made: its directory is named where that is what is missing. */
static bool
note_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[300], text[400];
	struct stat st;

	if (slash == NULL || slash == path ||
	    str_format(directory, sizeof directory, "%.*s", (int)(slash - path), path) != 0 || stat(directory, &st) == 0 ||
	    errno != ENOENT)
		return false;
	(void)str_format(text, sizeof text, "%.80s: the directory %s is missing", path, directory);
	db_note(text, "make it, or set accounts_database to another file");
	return true;
}

int
db_open_sqlite(const char *path, bool to_write, struct db **out)
{
	struct sqlite *s;
	struct stat st;
	int r;

	clear_what_is_freed();
	db_note("", NULL);
	if (!to_write && stat(path, &st) < 0)
		return -errno;
	if ((s = calloc(1, sizeof *s)) == NULL)
		return -ENOMEM;
	s->db.kind = &sqlite_kind;
	r = open_file(s, path, to_write);
	if (r == SQLITE_OK) {
		*out = &s->db;
		return 0;
	}
	note(s, r, path);
	if ((r & 0xff) == SQLITE_CANTOPEN)
		r = note_directory(path) ? -ENOTDIR : -EACCES;
	else
		r = code_of(s, r);
	log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, path, r);
	close_sqlite(&s->db);
	return r;
}
