#include "config.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "account/store.h"
#include "common/err.h"
#include "common/str.h"
#include "tests/unit/account.h"

#define HASH "$1$saltsalt$9xy1btjgzLYfb7hivXtC//"	/* secret */

static char path[300];

/* A path whose file is not there. */
static const char *
fresh(void)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };
	char name[320];

	(void)str_format(path, sizeof path, "%s/accounts.db", test_dir);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		(void)str_format(name, sizeof name, "%s%s", path, ends[i]);
		(void)unlink(name);
	}
	return path;
}

static struct db *
made(void)
{
	struct db *db;

	ck_assert_int_eq(db_open_sqlite(fresh(), true, &db), 0);
	ck_assert_int_eq(store_migrate(db), 0);
	return db;
}

static void
done(struct db *db)
{
	db->kind->close(db);
	(void)fresh();
}

static const char *
pair(const struct account *a, const char *key)
{
	for (size_t i = 0; i < a->pair_count; i++)
		if (strcmp(a->pairs[i].key, key) == 0)
			return a->pairs[i].value;
	return NULL;
}

static unsigned long
count(struct db *db)
{
	unsigned long n = 0;

	ck_assert_int_eq(store_count(db, &n), 0);
	return n;
}

START_TEST(keeps_what_it_is_given)
{
	struct db *db = made();
	struct account a;

	ck_assert_int_eq(store_add(db, "pat", HASH), 0);
	ck_assert_int_eq(store_add(db, "pat", NULL), -EEXIST);
	ck_assert_int_eq(store_set(db, "pat", "home", "/srv/pat"), 0);
	ck_assert_int_eq(store_set(db, "pat", "home", "/srv/patricia"), 0);
	ck_assert_int_eq(store_append(db, "pat", "layer", "pyftpdlib elr"), 0);
	ck_assert_int_eq(store_append(db, "pat", "layer", "ups -W"), 0);
	account_init(&a, "pat");
	ck_assert_int_eq(store_find(db, "pat", &a), 0);
	ck_assert_uint_eq(a.pair_count, 4);
	ck_assert_str_eq(pair(&a, "password"), HASH);
	ck_assert_str_eq(pair(&a, "home"), "/srv/patricia");
	ck_assert_str_eq(a.pairs[2].value, "pyftpdlib elr");
	ck_assert_str_eq(a.pairs[3].value, "ups -W");
	account_free(&a);
	ck_assert_int_eq(store_remove(db, "pat"), 0);
	ck_assert_int_eq(store_add(db, "pat", NULL), 0);
	account_init(&a, "pat");
	ck_assert_int_eq(store_find(db, "pat", &a), 0);
	ck_assert_uint_eq(a.pair_count, 0);	/* what a former account of that name had is gone */
	account_free(&a);
	done(db);
}
END_TEST

START_TEST(tells_what_is_not_there)
{
	struct db *db = made();
	struct account a;

	account_init(&a, "nobody");
	ck_assert_int_eq(store_find(db, "nobody", &a), -ENOENT);
	ck_assert_int_eq(store_remove(db, "nobody"), -ENOENT);
	ck_assert_int_eq(store_set(db, "nobody", "home", "/"), -ENOENT);
	ck_assert_int_eq(store_set_password(db, "nobody", HASH), -ENOENT);
	ck_assert_int_ne(store_append(db, "nobody", "home", "/"), 0);
	ck_assert_uint_eq(count(db), 0);
	account_free(&a);
	done(db);
	ck_assert_int_eq(db_open_sqlite(fresh(), false, &db), -ENOENT);
}
END_TEST

/* Names and values that mean something to SQL, to printf or to a shell are texts like others. */
static const char *const odd[] = {
	"'; DROP TABLE sallyport_accounts; --", "\" OR 1=1", "%s%n%p", "a b", "with:colon", "ünï-cödé", "$1",
	    "${USER}", "-rf", "NULL", ""
};

START_TEST(takes_every_text_literally)
{
	struct db *db = made();
	struct account a;

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		ck_assert_int_eq(store_add(db, odd[i], odd[i]), 0);
		ck_assert_int_eq(store_set(db, odd[i], "comment", odd[i]), 0);
	}
	ck_assert_uint_eq(count(db), sizeof odd / sizeof *odd);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		account_init(&a, odd[i]);
		ck_assert_int_eq(store_find(db, odd[i], &a), 0);
		ck_assert_str_eq(pair(&a, "password"), odd[i]);
		ck_assert_str_eq(pair(&a, "comment"), odd[i]);
		account_free(&a);
	}
	done(db);
}
END_TEST

static int
count_pairs(void *context, const struct account *a)
{
	*(size_t *)context += 100 + a->pair_count;
	return 0;
}

static int
stop_at_once(void *context, const struct account *a)
{
	(void)context;
	(void)a;
	return 7;
}

START_TEST(lists)
{
	struct db *db = made();
	size_t sum = 0;

	ck_assert_int_eq(store_list(db, count_pairs, &sum), 0);
	ck_assert_uint_eq(sum, 0);
	ck_assert_int_eq(store_add(db, "a", NULL), 0);
	ck_assert_int_eq(store_add(db, "b", HASH), 0);
	ck_assert_int_eq(store_set(db, "b", "home", "/b"), 0);
	ck_assert_int_eq(store_set(db, "b", "umask", "022"), 0);
	ck_assert_int_eq(store_list(db, count_pairs, &sum), 0);
	ck_assert_uint_eq(sum, 202);
	ck_assert_int_eq(store_list(db, stop_at_once, NULL), 7);
	done(db);
}
END_TEST

START_TEST(undoes_a_transaction)
{
	struct db *db = made();

	ck_assert_int_eq(store_begin(db), 0);
	ck_assert_int_eq(store_add(db, "a", NULL), 0);
	ck_assert_int_eq(store_end(db, false), 0);
	ck_assert_uint_eq(count(db), 0);
	ck_assert_int_eq(store_begin(db), 0);
	ck_assert_int_eq(store_add(db, "a", NULL), 0);
	ck_assert_int_eq(store_end(db, true), 0);
	ck_assert_uint_eq(count(db), 1);
	done(db);
}
END_TEST

static void
run_sql(const char *sql)
{
	sqlite3 *h;

	ck_assert_int_eq(sqlite3_open(path, &h), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

/* A database as the first version made it. */
START_TEST(migrates)
{
	struct db *db;
	struct account a;

	(void)fresh();
	run_sql("CREATE TABLE sallyport_schema (version INTEGER NOT NULL); INSERT INTO sallyport_schema VALUES (1);"
	    "CREATE TABLE sallyport_accounts (name TEXT NOT NULL PRIMARY KEY, password TEXT);"
	    "CREATE TABLE sallyport_settings (account TEXT NOT NULL REFERENCES sallyport_accounts (name) ON DELETE CASCADE, "
	    "key TEXT NOT NULL, position INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (account, key, position));"
	    "INSERT INTO sallyport_accounts VALUES ('old', 'x'); INSERT INTO sallyport_settings VALUES ('old', 'home', 0, '/old')");
	ck_assert_int_eq(db_open_sqlite(path, true, &db), 0);
	ck_assert_int_eq(store_migrate(db), 0);
	ck_assert_int_eq(store_migrate(db), 0);
	ck_assert_int_eq(store_set(db, "old", "umask", "022"), 0);
	account_init(&a, "old");
	ck_assert_int_eq(store_find(db, "old", &a), 0);
	ck_assert_str_eq(pair(&a, "home"), "/old");
	account_free(&a);
	db->kind->close(db);
	run_sql("UPDATE sallyport_schema SET version = 99");
	ck_assert_int_eq(db_open_sqlite(path, true, &db), 0);
	ck_assert_int_eq(store_migrate(db), SP_EVERSION);
	done(db);
}
END_TEST

START_TEST(is_for_nobody_else_to_read)
{
	struct db *db = made();
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	done(db);
}
END_TEST

enum { WRITERS = 8, EACH = 40 };

static void
write_many(int who)
{
	struct db *db;
	char name[32];

	if (db_open_sqlite(path, true, &db) != 0 || store_migrate(db) != 0)
		_exit(1);
	for (int i = 0; i < EACH; i++) {
		(void)str_format(name, sizeof name, "w%d-%d", who, i);
		if (store_add(db, name, HASH) != 0 || store_set(db, name, "home", "/srv") != 0)
			_exit(2);
	}
	db->kind->close(db);
	_exit(0);
}

/* They even make the tables all at once. */
START_TEST(has_many_writers)
{
	struct db *db;
	pid_t children[WRITERS];
	int status;

	(void)fresh();
	for (int i = 0; i < WRITERS; i++)
		if ((children[i] = fork()) == 0)
			write_many(i);
	for (int i = 0; i < WRITERS; i++) {
		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(db_open_sqlite(path, true, &db), 0);
	ck_assert_uint_eq(count(db), WRITERS * EACH);
	done(db);
}
END_TEST

/* Pairs of accounts, so that a half is seen; a byte into the pipe for each that was written. */
static void
write_for_ever(int done_fd)
{
	struct db *db;
	char name[32];

	if (db_open_sqlite(path, true, &db) != 0)
		_exit(1);
	for (int i = 0;; i++) {
		(void)store_begin(db);
		for (int k = 0; k < 2; k++) {
			(void)str_format(name, sizeof name, "p%d-%d-%d", (int)getpid(), i, k);
			(void)store_add(db, name, HASH);
		}
		if (store_end(db, true) == 0 && write(done_fd, "", 1) != 1)
			_exit(2);
	}
}

START_TEST(survives_a_kill)
{
	struct db *db = made(), *reader;
	struct account a;

	db->kind->close(db);
	for (int i = 0; i < 20; i++) {
		struct timespec wait = { .tv_nsec = 3000000 + i * 1700000 };
		int ends[2], made_one = pipe(ends);
		pid_t child = fork();
		char byte;

		ck_assert_int_eq(made_one, 0);
		if (child == 0)
			write_for_ever(ends[1]);
		ck_assert_int_eq((int)read(ends[0], &byte, 1), 1);
		nanosleep(&wait, NULL);
		ck_assert_int_eq(kill(child, SIGKILL), 0);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		close(ends[0]);
		close(ends[1]);
		/* A reader that may not write finds it whole at once. */
		ck_assert_int_eq(db_open_sqlite(path, false, &reader), 0);
		account_init(&a, "x");
		ck_assert_int_eq(store_find(reader, "x", &a), -ENOENT);
		account_free(&a);
		ck_assert_uint_eq(count(reader) % 2, 0);
		reader->kind->close(reader);
	}
	ck_assert_int_eq(db_open_sqlite(path, true, &db), 0);
	ck_assert_uint_gt(count(db), 0);
	done(db);
}
END_TEST

static void
fill(struct db *db, int accounts)
{
	char name[32];

	ck_assert_int_eq(store_begin(db), 0);
	for (int i = 0; i < accounts; i++) {
		(void)str_format(name, sizeof name, "user%06d", i);
		ck_assert_int_eq(store_add(db, name, HASH), 0);
		ck_assert_int_eq(store_append(db, name, "home", "/srv"), 0);
	}
	ck_assert_int_eq(store_end(db, true), 0);
}

/* Processor time of 50 look-ups in the data base of that path. */
static double
lookup_seconds(const char *file, int accounts)
{
	struct timespec from, to;
	struct account a;
	char name[32];

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (int i = 0; i < 50; i++) {
		struct db *one;

		(void)str_format(name, sizeof name, "user%06d", (i * 7919) % accounts);
		ck_assert_int_eq(db_open_sqlite(file, false, &one), 0);
		account_init(&a, name);
		ck_assert_int_eq(store_find(one, name, &a), 0);
		account_free(&a);
		one->kind->close(one);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* A look-up that reads the whole table would take a thousand times as long.  The shortest of several rounds counts. */
START_TEST(cost_of_a_lookup_does_not_grow)
{
	enum { FEW = 100, MANY = 100000 };
	double few = 1e9, many = 1e9;
	struct db *db = made();
	char small[320];

	fill(db, FEW);
	db->kind->close(db);
	(void)str_format(small, sizeof small, "%s.small", path);
	ck_assert_int_eq(rename(path, small), 0);
	db = made();
	fill(db, MANY);
	for (int round = 0; round < 40 && many >= few * 4; round++) {
		double f = lookup_seconds(small, FEW), m = lookup_seconds(path, MANY);

		few = f < few ? f : few;
		many = m < many ? m : many;
	}
	ck_assert_msg(many < few * 4, "50 look-ups: %f s among %d accounts, %f s among %d", few, FEW, many, MANY);
	(void)unlink(small);
	done(db);
}
END_TEST

static const char config[] =
	"[server]\naccounts = database\naccounts_database = %s\nvirtual_user = 4000:4001\nuid_min = 1000\n";

START_TEST(accounts_of_it_log_in)
{
	struct db *db = made();
	enum account_reason why;
	struct account a;
	char text[600];

	ck_assert_int_eq(store_add(db, "pat", HASH), 0);
	ck_assert_int_eq(store_set(db, "pat", "home", "/srv/pat"), 0);
	ck_assert_int_eq(store_add(db, "alice", HASH), 0);	/* there is a system user of that name */
	ck_assert_int_eq(store_add(db, "none", NULL), 0);
	ck_assert_int_eq(store_add(db, "wrong", HASH), 0);
	ck_assert_int_eq(store_set(db, "wrong", "umask", "what"), 0);
	(void)str_format(text, sizeof text, config, path);
	ck_assert_int_eq(test_login(test_sources(text), "pat", "secret", &a, &why), ACCOUNT_FOUND);
	ck_assert_str_eq(a.resolved->s.home, "/srv/pat");
	if (geteuid() == 0) {
		ck_assert_uint_eq(a.uid, 4000);
		ck_assert_uint_eq(a.gid, 4001);
	}
	account_free(&a);
	ck_assert_int_eq(test_login(test_sources(text), "alice", "secret", &a, &why), ACCOUNT_FOUND);
	if (geteuid() == 0)
		ck_assert_uint_eq(a.uid, 4000);
	account_free(&a);
	ck_assert_int_eq(test_login(test_sources(text), "pat", "wrong", &a, &why), ACCOUNT_REFUSED);
	account_free(&a);
	ck_assert_int_eq(test_login(test_sources(text), "none", "", &a, &why), ACCOUNT_REFUSED);
	account_free(&a);
	ck_assert_int_eq(test_login(test_sources(text), "wrong", "secret", &a, &why), ACCOUNT_REFUSED);
	account_free(&a);
	ck_assert_int_eq(test_login(test_sources(text), "nobody", "secret", &a, &why), ACCOUNT_UNKNOWN);
	account_free(&a);
	done(db);
	ck_assert_int_eq(test_login(test_sources(text), "pat", "secret", &a, &why), ACCOUNT_UNKNOWN);
	account_free(&a);
	test_write("accounts.db",
	    "this is no database, but long enough to be looked at by SQLite as one, which it does not like at all");
	ck_assert_int_eq(test_login(test_sources(text), "pat", "secret", &a, &why), ACCOUNT_UNAVAILABLE);
	account_free(&a);
	(void)fresh();
}
END_TEST

Suite *
account_store_suite(void)
{
	Suite *s = suite_create("account/store");
	TCase *t = tcase_create("store");

	tcase_add_test(t, keeps_what_it_is_given);
	tcase_add_test(t, tells_what_is_not_there);
	tcase_add_test(t, takes_every_text_literally);
	tcase_add_test(t, lists);
	tcase_add_test(t, undoes_a_transaction);
	tcase_add_test(t, migrates);
	tcase_add_test(t, is_for_nobody_else_to_read);
	tcase_add_test(t, has_many_writers);
	tcase_add_test(t, survives_a_kill);
	tcase_add_test(t, cost_of_a_lookup_does_not_grow);
	tcase_add_test(t, accounts_of_it_log_in);
	suite_add_tcase(s, t);
	return s;
}
