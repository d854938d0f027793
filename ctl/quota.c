/* sallyctl quota: what accounts have stored, as the server counts it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/charge.h"
#include "account/ledger.h"
#include "common/trusted.h"
#include "ctl/account.h"
#include "ctl/conf.h"
#include "ctl/progress.h"
#include "ctl/tree.h"

/* All accounts, and the answer. */
struct books {
	struct invocation *inv;
	struct conf *conf;
	struct account_sources sources;
	struct json j;
	unsigned long over, looked;
};

/* What an account may store; 0: no limit. */
struct limits {
	uint64_t bytes, files;
};

static int
books_open(struct invocation *inv, struct books *b)
{
	int r = ctl_conf_load(inv, &b->conf);

	b->inv = inv;
	b->over = b->looked = 0;
	if (r != CTL_OK)
		return r;
	r = account_sources_open(&b->sources, b->conf);
	if (r != 0) {
		r = ctl_fail_code(inv, CTL_FAILED, "accounts", r);
		account_sources_close(&b->sources);
		conf_free(b->conf);
		return r;
	}
	json_init(&b->j);
	return CTL_OK;
}

static int
books_close(struct books *b, int r)
{
	progress_end(b->inv);
	if (r == CTL_OK && b->inv->json)
		r = ctl_print_json(b->inv, &b->j);
	else
		json_free(&b->j);
	account_sources_close(&b->sources);
	conf_free(b->conf);
	return r;
}

/* a is to be freed in any case. */
static bool
find(const struct books *b, const char *name, struct account *a)
{
	struct account_query q = { .user = name, .listener = "", .base = conf_server(b->conf), .host = "" };
	enum account_reason why = REASON_NONE;

	account_init(a, account_name_ok(name) ? name : "");
	return account_name_ok(name) && account_find(&b->sources, &q, a, &why) == ACCOUNT_FOUND;
}

/* Opens the account's ledger. A descriptor, or -1 after a message and with *r. */
static int
open_ledger(const struct books *b, const char *name, int *r)
{
	const char *directory = conf_server(b->conf)->quota_directory;
	int fd = ledger_open(directory, name);

	if (fd == -EACCES || fd == -EPERM)
		*r = ctl_fail_code(b->inv, CTL_DENIED, directory, fd);
	else if (fd < 0)
		*r = ctl_fail_code(b->inv, CTL_FAILED, directory, fd);
	return fd;
}

/* ------------------------------------------------------------------------ showing */

static unsigned
percent(uint64_t used, uint64_t limit)
{
	return limit == 0 ? 0 : used >= limit * 9 ? 900 : (unsigned)((double)used * 100 / (double)limit);
}

static void
print_count(uint64_t used, uint64_t limit, const char *what)
{
	if (limit != 0)
		printf(" %20" PRIu64 " of %-14" PRIu64 " %s %3u %%", used, limit, what, percent(used, limit));
	else
		printf(" %20" PRIu64 " %-17s %s      ", used, "", what);
}

static void
show(struct books *b, const char *name, const struct ledger *l, const struct limits *limit)
{
	if (b->inv->json) {
		json_open(&b->j, NULL, '{');
		json_str(&b->j, "name", name);
		json_unsigned(&b->j, "bytes", l->bytes);
		json_unsigned(&b->j, "files", l->files);
		json_unsigned(&b->j, "quota_bytes", limit->bytes);
		json_unsigned(&b->j, "quota_files", limit->files);
		json_close(&b->j);
		return;
	}
	ctl_print_name(name);
	printf("%*s", strlen(name) < 24 ? (int)(24 - strlen(name)) : 0, "");
	print_count(l->bytes, limit->bytes, "bytes");
	print_count(l->files, limit->files, "entries");
	putchar('\n');
}

static struct limits
limits_of(const struct account *a)
{
	return (struct limits){ a->resolved->s.quota_bytes, (uint64_t)a->resolved->s.quota_files };
}

/* ---------------------------------------------------------------- one after the other */

/* Does something with an account and its ledger, and leaves in *l what the latter says then. 0 or a negative code. */
typedef int quota_work(const struct books *, const struct account *, int fd, struct ledger *l);

static int
do_one(struct books *b, const char *name, quota_work *work)
{
	struct ledger l = { 0, 0 };
	struct account a;
	struct limits limit;
	int fd, code, r = CTL_OK;

	if (!find(b, name, &a)) {
		r = manage_fail(b->inv, name, -ENOENT);
	} else if ((fd = open_ledger(b, a.name, &r)) >= 0) {
		code = work(b, &a, fd, &l);
		limit = limits_of(&a);
		if (code == 0)
			show(b, a.name, &l, &limit);
		else
			r = ctl_fail_code(b->inv, CTL_FAILED, name, code);
		close(fd);
	}
	account_free(&a);
	return r;
}

/* All names, even after one that failed. */
static int
do_names(struct invocation *inv, int n, quota_work *work)
{
	struct books b;
	int r = books_open(inv, &b), one;

	if (r != CTL_OK)
		return r;
	if (n > 1)
		json_open(&b.j, NULL, '[');
	for (int i = 0; i < n; i++)
		if ((one = do_one(&b, inv->argv[i], work)) != CTL_OK)
			r = one;
	if (n > 1)
		json_close(&b.j);
	return books_close(&b, r);
}

static int
read_it(const struct books *b, const struct account *a, int fd, struct ledger *l)
{
	(void)b;
	(void)a;
	return ledger_read(fd, l);
}

int
quota_show_command(struct invocation *inv)
{
	return do_names(inv, inv->argc, read_it);
}

static bool
parse(const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static int
set_it(const struct books *b, const struct account *a, int fd, struct ledger *l)
{
	(void)a;
	(void)parse(b->inv->argv[1], &l->bytes);
	(void)parse(b->inv->argv[2], &l->files);
	return ledger_set(fd, l);
}

int
quota_set_command(struct invocation *inv)
{
	struct ledger l;

	if (!parse(inv->argv[1], &l.bytes) || !parse(inv->argv[2], &l.files))
		return ctl_fail(inv, CTL_USAGE, "two numbers were expected: bytes and files");
	return do_names(inv, 1, set_it);
}

/* What has been found so far. */
struct tally {
	const struct invocation *inv;
	struct charge_census *census;
	unsigned long files;
};

static int
count_one(void *context, const struct tree_entry *e)
{
	const char *slash = strrchr(e->path, '/');
	struct tally *t = context;
	struct statx st;

	if (statx(e->fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return -errno;
	progress_step(t->inv, "files", ++t->files);
	return charge_census_file(t->census, &st, slash == NULL ? e->path : slash + 1);
}

/* A number that is too small would be a present. */
static int
stop_counting(void *context, const char *path, int error)
{
	struct tally *t = context;

	progress_end(t->inv);
	(void)ctl_fail_code(t->inv, CTL_FAILED, path, error);
	return error;
}

/*
 * Files, directories and links below the folder, on its file system, however deep; the tree is the account's to
 * tamper with.
 */
static int
count(const struct invocation *inv, const char *home, struct charge_census *census)
{
	struct tally t = { inv, census, 0 };
	const struct tree_walk walk = {
		.path = home, .one_device = true, .links = true, .visit = count_one, .trouble = stop_counting, .context = &t
	};
	int fd = trusted_walk(home), r = fd < 0 ? fd : tree_walk(&walk, fd);

	if (fd >= 0)
		close(fd);
	progress_end(inv);
	return r;
}

/* The last try keeps the account's sessions waiting at the ends of their uploads, so that the count comes to an end. */
#define COUNT_TRIES	3

static int
recount_it(const struct books *b, const struct account *a, int fd, struct ledger *l)
{
	const char *text = a->resolved->s.home != NULL ? a->resolved->s.home : a->home;
	char home[4096];
	int r = text == NULL ? -ENOENT : account_expand(a, text, home, sizeof(home));

	for (int i = 1; i <= COUNT_TRIES && (i == 1 ? r == 0 : r == -EAGAIN); i++) {
		struct charge_census *census;

		r = charge_census_begin(&census, fd, i == COUNT_TRIES);
		if (r == 0)
			r = count(b->inv, home, census);
		if (r == 0)
			r = charge_census_end(census, l);
		charge_census_free(census);
	}
	return r;
}

int
quota_recount_command(struct invocation *inv)
{
	return do_names(inv, inv->argc, recount_it);
}

/* ----------------------------------------------------------------------------- list */

static int
list_one(void *context, const char *name, const struct ledger *l)
{
	struct books *b = context;
	struct limits limit = { 0, 0 };
	struct account a;

	if (!isatty(STDOUT_FILENO))
		progress_step(b->inv, "accounts", ++b->looked);
	if (b->inv->argc > 0 && fnmatch(b->inv->argv[0], name, FNM_NOESCAPE) != 0)
		return 0;
	if (find(b, name, &a))
		limit = limits_of(&a);
	account_free(&a);
	if (percent(l->bytes, limit.bytes) >= b->over || percent(l->files, limit.files) >= b->over)
		show(b, name, l, &limit);
	return ferror(stdout) ? -EIO : 0;
}

int
quota_list_command(struct invocation *inv)
{
	const char *over = inv->value[OPT_OVER], *directory;
	uint64_t least = 0;
	struct books b;
	int r;

	if (over != NULL && (!parse(over, &least) || least > 100))
		return ctl_fail(inv, CTL_USAGE, "--over %s: a number of percent from 0 to 100 was expected", over);
	if ((r = books_open(inv, &b)) != CTL_OK)
		return r;
	b.over = (unsigned long)least;
	directory = conf_server(b.conf)->quota_directory;
	json_open(&b.j, NULL, '[');
	r = ledger_list(directory, list_one, &b);
	json_close(&b.j);
	if (r != 0 && r != -ENOENT)	/* no directory yet: nobody has stored anything */
		r = ctl_fail_code(inv, r == -EACCES ? CTL_DENIED : CTL_FAILED, directory, r);
	return books_close(&b, r == -ENOENT ? CTL_OK : r);
}
