#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "account/store.h"
#include "common/err.h"
#include "common/str.h"

/* -------------------------------------------------------------------- schema */

/* What leads from version i to i + 1. Rows are only ever added: they have run on people's data. */
static const char *const steps[][2] = {
	{ "CREATE TABLE sallyport_accounts (name TEXT NOT NULL PRIMARY KEY, password TEXT)",
	  "CREATE TABLE sallyport_settings (account TEXT NOT NULL REFERENCES sallyport_accounts (name) ON DELETE CASCADE, "
	  "key TEXT NOT NULL, position INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (account, key, position))" },
	{ "ALTER TABLE sallyport_accounts ADD COLUMN changed BIGINT NOT NULL DEFAULT 0", NULL }
};

#define SCHEMA_VERSION ((long)(sizeof steps / sizeof *steps))

static int
run(struct db *db, const char *sql)
{
	return db->kind->run(db, sql, NULL, 0, NULL, NULL);
}

/* A statement with up to three parameters, NULL-ended: SQL's NULL is never a parameter but of run_null(). */
static int
run_with(struct db *db, const char *sql, const char *a, const char *b, const char *c, const char *d)
{
	const char *const parameters[DB_PARAMETERS_MAX] = { a, b, c, d };
	unsigned n = d != NULL ? 4 : c != NULL ? 3 : b != NULL ? 2 : 1;

	return db->kind->run(db, sql, parameters, n, NULL, NULL);
}

static int
take_number(void *context, const char *const *columns)
{
	*(long *)context = columns[0] == NULL ? 0 : strtol(columns[0], NULL, 10);
	return 0;
}

static int
set_version(struct db *db, long version)
{
	char text[24];
	int r = run(db, "DELETE FROM sallyport_schema");

	(void)str_format(text, sizeof text, "%ld", version);
	return r != 0 ? r : run_with(db, "INSERT INTO sallyport_schema (version) VALUES (CAST($1 AS INTEGER))", text,
	    NULL, NULL, NULL);
}

/* Inside a transaction that nobody else can have at the same time. */
static int
migrate(struct db *db)
{
	long version = 0;
	int r = db->kind->serialize == NULL ? 0 : run(db, db->kind->serialize);

	if (r == 0)
		r = run(db, "CREATE TABLE IF NOT EXISTS sallyport_schema (version INTEGER NOT NULL)");
	if (r == 0)
		r = db->kind->run(db, "SELECT version FROM sallyport_schema", NULL, 0, take_number, &version);
	if (r != 0 || version == SCHEMA_VERSION)
		return r;
	if (version > SCHEMA_VERSION || version < 0)
		return SP_EVERSION;
	for (long v = version; r == 0 && v < SCHEMA_VERSION; v++)
		for (unsigned i = 0; r == 0 && i < 2 && steps[v][i] != NULL; i++)
			r = run(db, steps[v][i]);
	return r != 0 ? r : set_version(db, SCHEMA_VERSION);
}

int
store_begin(struct db *db)
{
	return run(db, db->kind->begin);
}

int
store_end(struct db *db, bool commit)
{
	return run(db, commit ? "COMMIT" : "ROLLBACK");
}

int
store_migrate(struct db *db)
{
	long version = 0;
	int r = db->kind->run(db, "SELECT version FROM sallyport_schema", NULL, 0, take_number, &version), end;

	/* Nothing to do is the rule: no lock then, nobody waits. */
	if (r == 0 && version == SCHEMA_VERSION)
		return 0;
	if (r != 0 && r != -ENOENT)
		return r;
	r = store_begin(db);
	if (r != 0)
		return r;
	r = migrate(db);
	end = store_end(db, r == 0);
	return r != 0 ? r : end;
}

/* -------------------------------------------------------------------- reading */

struct reading {
	struct account *a;
	bool found;
};

/* password, key, value */
static int
take_setting(void *context, const char *const *columns)
{
	struct reading *r = context;
	int e = 0;

	if (!r->found && columns[0] != NULL)
		e = account_add_pair(r->a, "password", columns[0]);
	r->found = true;
	if (e == 0 && columns[1] != NULL && columns[2] != NULL)
		e = account_add_pair(r->a, columns[1], columns[2]);
	return e;
}

int
store_find(struct db *db, const char *name, struct account *a)
{
	static const char sql[] =
		"SELECT a.password, s.key, s.value FROM sallyport_accounts a LEFT JOIN sallyport_settings s ON s.account = a.name "
		"WHERE a.name = $1 ORDER BY s.key, s.position";
	struct reading reading = { .a = a };
	int r = db->kind->run(db, sql, &name, 1, take_setting, &reading);

	a->verifier_kind = VERIFY_HASH;
	return r != 0 ? r : reading.found ? 0 : -ENOENT;
}

struct listing {
	struct account a;
	bool open;
	int (*each)(void *, const struct account *);
	void *context;
};

static int
finish_account(struct listing *l)
{
	int r = l->open ? l->each(l->context, &l->a) : 0;

	if (l->open)
		account_free(&l->a);
	l->open = false;
	return r;
}

/* name, password, key, value: the rows of an account follow each other */
static int
take_listed(void *context, const char *const *columns)
{
	struct listing *l = context;
	int r = 0;

	if (!l->open || strcmp(l->a.name, columns[0]) != 0) {
		r = finish_account(l);
		if (r != 0)
			return r;
		account_init(&l->a, columns[0]);
		l->open = true;
		l->a.verifier_kind = VERIFY_HASH;
		if (columns[1] != NULL && (l->a.verifier = account_keep(&l->a, columns[1])) == NULL)
			return -ENOMEM;
	}
	if (columns[2] != NULL && columns[3] != NULL)
		r = account_add_pair(&l->a, columns[2], columns[3]);
	return r;
}

int
store_list(struct db *db, int (*each)(void *, const struct account *), void *context)
{
	static const char sql[] =
		"SELECT a.name, a.password, s.key, s.value FROM sallyport_accounts a LEFT JOIN sallyport_settings s "
		"ON s.account = a.name ORDER BY a.name, s.key, s.position";
	struct listing l = { .each = each, .context = context };
	int r = db->kind->run(db, sql, NULL, 0, take_listed, &l);

	if (r == 0)
		return finish_account(&l);
	if (l.open)
		account_free(&l.a);
	return r;
}

int
store_count(struct db *db, unsigned long *n)
{
	long count = 0;
	int r = db->kind->run(db, "SELECT count(*) FROM sallyport_accounts", NULL, 0, take_number, &count);

	*n = (unsigned long)count;
	return r;
}

struct page {
	char last[ACCOUNT_NAME_MAX + 1];
	unsigned rows;
	void (*each)(const char *);
};

/* name, password */
static int
take_hash(void *context, const char *const *columns)
{
	struct page *p = context;

	p->rows++;
	p->each(columns[1] == NULL ? "" : columns[1]);
	return str_copy(p->last, sizeof p->last, columns[0]);
}

int
store_hashes(struct db *db, void (*each)(const char *))
{
	/* By pages, since a library may keep the whole of an answer in memory. */
	static const char sql[] = "SELECT name, password FROM sallyport_accounts WHERE name > $1 ORDER BY name LIMIT 1000";
	struct page p = { .each = each };
	int r = 0;

	do {
		char from[sizeof p.last];
		const char *parameter = from;

		(void)str_copy(from, sizeof from, p.last);
		p.rows = 0;
		r = db->kind->run(db, sql, &parameter, 1, take_hash, &p);
	} while (r == 0 && p.rows == 1000);
	return r;
}

/* -------------------------------------------------------------------- writing */

static void
now_text(char *out, size_t size)
{
	(void)str_format(out, size, "%lld", (long long)time(NULL));
}

static int
take_any(void *context, const char *const *columns)
{
	(void)columns;
	*(bool *)context = true;
	return 0;
}

static const char look[] = "SELECT 1 FROM sallyport_accounts WHERE name = $1";

/* Notes the time of the change; -ENOENT when there is no such account. */
static int
touch(struct db *db, const char *name)
{
	static const char mark[] = "UPDATE sallyport_accounts SET changed = CAST($2 AS BIGINT) WHERE name = $1";
	char now[24];
	bool found = false;
	int r = db->kind->run(db, look, &name, 1, take_any, &found);

	if (r != 0 || !found)
		return r != 0 ? r : -ENOENT;
	now_text(now, sizeof now);
	return run_with(db, mark, name, now, NULL, NULL);
}

int
store_add(struct db *db, const char *name, const char *hash)
{
	static const char bare[] = "INSERT INTO sallyport_accounts (name, changed) VALUES ($1, CAST($2 AS BIGINT))";
	static const char full[] =
		"INSERT INTO sallyport_accounts (name, changed, password) VALUES ($1, CAST($2 AS BIGINT), $3)";
	char now[24];
	bool found = false;
	int r = db->kind->run(db, look, &name, 1, take_any, &found);

	/* Looked for first: in PostgreSQL a refused row would end the transaction. */
	if (r != 0 || found)
		return r != 0 ? r : -EEXIST;
	now_text(now, sizeof now);
	return run_with(db, hash == NULL ? bare : full, name, now, hash, NULL);
}

int
store_set_password(struct db *db, const char *name, const char *hash)
{
	int r = touch(db, name);

	return r != 0 ? r : run_with(db, "UPDATE sallyport_accounts SET password = $2 WHERE name = $1", name, hash,
	    NULL, NULL);
}

int
store_remove(struct db *db, const char *name)
{
	int r = touch(db, name);

	return r != 0 ? r : run_with(db, "DELETE FROM sallyport_accounts WHERE name = $1", name, NULL, NULL, NULL);
}

int
store_append(struct db *db, const char *name, const char *key, const char *value)
{
	/* The account that is just being made needs no look at it: the reference of the tables sees to that. */
	return run_with(db, "INSERT INTO sallyport_settings (account, key, position, value) SELECT $1, $2, "
	    "coalesce(max(position) + 1, 0), $3 FROM sallyport_settings WHERE account = $1 AND key = $2", name, key,
	    value, NULL);
}

int
store_set(struct db *db, const char *name, const char *key, const char *value)
{
	int r = touch(db, name);

	if (r == 0)
		r = run_with(db, "DELETE FROM sallyport_settings WHERE account = $1 AND key = $2", name, key, NULL,
		    NULL);
	return r != 0 || value == NULL ? r : store_append(db, name, key, value);
}
