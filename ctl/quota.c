/* sallyctl quota: what accounts have stored, as the server counts it. */
#include "config.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/ledger.h"
#include "ctl/account.h"
#include "ctl/conf.h"
#include "ctl/progress.h"

/* An account with its ledger. */
struct book {
	struct conf *conf;
	struct account_sources sources;
	struct account a;
	int fd;
};

static void
book_close(struct book *b)
{
	if (b->fd >= 0)
		close(b->fd);
	account_free(&b->a);
	account_sources_close(&b->sources);
	conf_free(b->conf);
}

static int
book_open(const struct invocation *inv, struct book *b)
{
	struct account_query q = { .user = inv->argv[0], .listener = "", .host = "" };
	enum account_reason why = REASON_NONE;
	int r = ctl_conf_load(inv, &b->conf);

	if (r != CTL_OK)
		return r;
	b->fd = -1;
	account_init(&b->a, inv->argv[0]);
	q.base = conf_server(b->conf);
	if ((r = account_sources_open(&b->sources, b->conf)) != 0)
		r = ctl_fail_code(inv, CTL_FAILED, "accounts", r);
	else if (!account_name_ok(inv->argv[0]) || account_find(&b->sources, &q, &b->a, &why) != ACCOUNT_FOUND)
		r = manage_fail(inv, inv->argv[0], -ENOENT);
	else if ((b->fd = ledger_open(q.base->quota_directory, b->a.name)) < 0)
		r = manage_fail(inv, q.base->quota_directory, b->fd);
	if (r != CTL_OK)
		book_close(b);
	return r;
}

static void
print_line(const char *what, uint64_t used, uint64_t limit)
{
	if (limit != 0)
		printf("%s: %" PRIu64 " of %" PRIu64 "\n", what, used, limit);
	else
		printf("%s: %" PRIu64 ", no limit\n", what, used);
}

static int
show(const struct invocation *inv, const struct book *b)
{
	const struct settings *s = &b->a.resolved->s;
	struct ledger l;
	struct json j;
	int r = ledger_read(b->fd, &l);

	if (r != 0)
		return manage_fail(inv, inv->argv[0], r);
	if (!inv->json) {
		print_line("bytes", l.bytes, s->quota_bytes);
		print_line("files", l.files, (uint64_t)s->quota_files);
		return CTL_OK;
	}
	json_init(&j);
	json_open(&j, NULL, '{');
	json_str(&j, "name", b->a.name);
	json_unsigned(&j, "bytes", l.bytes);
	json_unsigned(&j, "files", l.files);
	json_unsigned(&j, "quota_bytes", s->quota_bytes);
	json_num(&j, "quota_files", s->quota_files);
	json_close(&j);
	return ctl_print_json(inv, &j);
}

int
quota_show_command(struct invocation *inv)
{
	struct book b;
	int r = book_open(inv, &b);

	if (r != CTL_OK)
		return r;
	r = show(inv, &b);
	book_close(&b);
	return r;
}

static bool
parse(const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

int
quota_set_command(struct invocation *inv)
{
	struct ledger l;
	struct book b;
	int r;

	if (!parse(inv->argv[1], &l.bytes) || !parse(inv->argv[2], &l.files))
		return ctl_fail(inv, CTL_USAGE, "two numbers were expected: bytes and files");
	r = book_open(inv, &b);
	if (r != CTL_OK)
		return r;
	r = ledger_set(b.fd, &l);
	r = r != 0 ? manage_fail(inv, inv->argv[0], r) : CTL_OK;
	book_close(&b);
	return r;
}

/* Regular files below the folder, on its file system; symbolic links are not followed. */
static int
count(const struct invocation *inv, char *home, struct ledger *l)
{
	char *const paths[] = { home, NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	FTSENT *e;
	int r = 0;

	*l = (struct ledger){ 0, 0 };
	if (walk == NULL)
		return -errno;
	while (r == 0 && (e = fts_read(walk)) != NULL) {
		if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR || e->fts_info == FTS_NS)
			r = -e->fts_errno;
		if (e->fts_info != FTS_F || !S_ISREG(e->fts_statp->st_mode))
			continue;
		l->bytes += (uint64_t)e->fts_statp->st_size;
		progress_step(inv, "files", ++l->files);
	}
	fts_close(walk);
	progress_end(inv);
	return r;
}

int
quota_recount_command(struct invocation *inv)
{
	char home[4096];
	const char *text;
	struct ledger l;
	struct book b;
	int r = book_open(inv, &b);

	if (r != CTL_OK)
		return r;
	text = b.a.resolved->s.home != NULL ? b.a.resolved->s.home : b.a.home;
	r = text == NULL ? -ENOENT : account_expand(&b.a, text, home, sizeof(home));
	if (r == 0)
		r = count(inv, home, &l);
	if (r == 0)
		r = ledger_set(b.fd, &l);
	r = r != 0 ? ctl_fail_code(inv, CTL_FAILED, text != NULL ? text : inv->argv[0], r) : show(inv, &b);
	book_close(&b);
	return r;
}
