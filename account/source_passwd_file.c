/*
 * The source passwd_file: ftpcluster's .passwd as it stands.  The folder that
 * holds it is the root of all its accounts, which share one Unix identity and
 * are told apart by their numbers.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/cluster.h"
#include "account/hashes.h"
#include "account/password.h"
#include "account/source.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/log.h"
#include "common/str.h"

#define FILE_SIZE_MAX	(64u << 20)
#define NEW_NAME	".passwd.new"
#define LOCK_MS		10
#define LOCK_MS_MAX	10000

struct passwd_file {
	const char *path;	/* that of the server, or of the listener of the login that is being decided */
	bool hash;		/* upgrade_passwords = yes: new passwords are stored as hashes */
};

static int
open_passwd(const struct conf *conf, void **state)
{
	struct passwd_file *f = malloc(sizeof *f);

	if (f == NULL)
		return -ENOMEM;
	*f = (struct passwd_file){ conf_server(conf)->passwd_file,
		conf_server(conf)->upgrade_passwords == CONF_UPGRADE_YES };
	*state = f;
	return 0;
}

static void
close_passwd(void *state)
{
	free(state);
}

/* A regular file under that very name: the folder may be writable for those whose accounts stand in it. */
static int
open_file(const struct passwd_file *f)
{
	struct stat st;
	int fd = f->path == NULL ? -1 : open(f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return f->path == NULL ? -ENOENT : -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

static int
read_file(const struct passwd_file *f, char **text, size_t *len)
{
	int fd = open_file(f), r;

	if (fd < 0)
		return fd;
	r = fd_read_file(fd, FILE_SIZE_MAX, text, len);
	close(fd);
	return r;
}

static void
forget(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* ------------------------------------------------------------------------- find */

/* A copy of a field in the account's pool. */
static const char *
field(struct account *a, const char *p, size_t n)
{
	char *copy = account_alloc(a, n + 1);

	return copy == NULL ? NULL : memcpy(copy, p, n);
}

static void
take_password(struct account *a, const struct cluster_row *row)
{
	a->verifier = field(a, row->password, row->password_len);
	if (a->verifier == NULL || cluster_is_locked(row))
		a->verifier_kind = VERIFY_NEVER;
	else
		a->verifier_kind = password_is_hash(a->verifier) ? VERIFY_HASH : VERIFY_CLEAR;
}

static int
fill_in(const struct passwd_file *f, struct account *a, const struct cluster_row *row)
{
	char copy[4096], origin[4200];
	const char *home = field(a, row->home, row->home_len);
	int r;

	if (str_copy(copy, sizeof copy, f->path) != 0 || home == NULL)
		return -ENAMETOOLONG;
	(void)str_format(origin, sizeof origin, "%s:%u", f->path, row->line);
	a->origin = account_keep(a, origin);
	a->flags |= ACCOUNT_VIRTUAL | (row->number == 0 ? ACCOUNT_ADMIN : 0);
	a->dialect_uid = row->number;
	take_password(a, row);
	r = account_add_pair(a, "home", dirname(copy));
	if (r == 0)
		r = account_add_pair(a, "start", home[0] == '\0' ? "/" : home);
	/*
	 * As in the original: everybody may ask; SITE CHOWN is decided by the policy, and changes
	 * no owner of the system's.
	 */
	if (r == 0)
		r = account_add_pair(a, "change_password", "yes");
	return r != 0 ? r : account_add_pair(a, "chown", "yes");
}

static enum account_result
find_passwd(void *state, const struct account_query *q, struct account *a, enum account_reason *why)
{
	struct passwd_file *f = state;
	struct cluster_row row;
	char *text = NULL;
	size_t len;
	enum account_result result = ACCOUNT_UNKNOWN;
	int r;

	f->path = q->base->passwd_file;
	r = read_file(f, &text, &len);
	if (r == 0 && cluster_find(text, q->user, &row)) {
		r = fill_in(f, a, &row);
		result = ACCOUNT_FOUND;
	}
	forget(text);
	if (r == 0)
		return result;
	log_problem(EVENT_ACCOUNT_SOURCE_UNUSABLE, f->path == NULL ? "(unset)" : f->path, r);
	*why = REASON_UNAVAILABLE;
	return ACCOUNT_UNAVAILABLE;
}

static int
list_passwd(void *state, int (*each)(void *, const struct account *), void *context)
{
	const struct passwd_file *f = state;
	struct cluster_row row;
	const char *at;
	char *text = NULL, name[ACCOUNT_NAME_MAX + 1];
	unsigned line = 0, wrong = 0;
	size_t len;
	int r = read_file(f, &text, &len);

	at = text;
	while (r == 0 && cluster_next(&at, &line, &row, &wrong)) {
		struct account a;

		if (row.name_len >= sizeof name)
			continue;
		(void)str_format(name, sizeof name, "%.*s", (int)row.name_len, row.name);
		account_init(&a, name);
		a.source = &source_passwd_file;
		r = fill_in(f, &a, &row);
		if (r == 0)
			r = each(context, &a);
		account_free(&a);
	}
	if (wrong > 0)
		log_problem(EVENT_PASSWD_FILE_HAS_WRONG_LINES, f->path, 0);
	forget(text);
	return r;
}

static int
passwd_hashes(void *state, const struct account_query *q, void (*each)(const char *))
{
	const struct passwd_file f = { .path = q->base->passwd_file };
	char text[PASSWORD_HASH_MAX], *content = NULL;
	struct cluster_row row;
	unsigned line = 0;
	size_t len;
	int r = read_file(&f, &content, &len);

	(void)state;
	for (const char *at = content; r == 0 && cluster_next(&at, &line, &row, NULL);)
		if (str_format(text, sizeof text, "%.*s", (int)row.password_len, row.password) == 0 &&
		    password_is_hash(text))
			each(text);
	explicit_bzero(text, sizeof text);
	forget(content);
	return r;
}

static uint64_t
passwd_stamp(void *state, const struct account_query *q)
{
	(void)state;
	return q->base->passwd_file == NULL ? 0 : hashes_stamp(0, q->base->passwd_file);
}

/* ---------------------------------------------------------------------- changes */

/*
 * The file, locked, and still under its name.  Whoever can read it can lock it, an upload to it does: others are
 * waited for as long as a data base's writers are.  A descriptor or -errno, -EBUSY when it stays locked.
 */
static int
lock_file(const struct passwd_file *f)
{
	for (int64_t end = clock_ms() + LOCK_MS_MAX; clock_ms() < end; (void)poll(NULL, 0, LOCK_MS)) {
		struct stat mine, named;
		int fd = open_file(f);

		if (fd < 0)
			return fd;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &mine) == 0 && lstat(f->path, &named) == 0 &&
		    mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
			return fd;
		close(fd);	/* another process has it, or has replaced it meanwhile */
	}
	return -EBUSY;
}

/* Writes the new file beside the old one, like it, and gives it the name when all of it is on the disk. */
static int
replace_file(const struct passwd_file *f, int old_fd, const char *text)
{
	char path[4096];
	struct stat st;
	int dir_fd, fd, r;

	if (str_copy(path, sizeof path, f->path) != 0 || fstat(old_fd, &st) < 0)
		return -ENAMETOOLONG;
	dir_fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	(void)unlinkat(dir_fd, NEW_NAME, 0);	/* of one who was killed: we hold the lock */
	fd = openat(dir_fd, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
	if (r == 0 && geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)
		r = -errno;
	if (r == 0 && (fchmod(fd, st.st_mode & 0777) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r == 0 && renameat(dir_fd, NEW_NAME, AT_FDCWD, f->path) < 0)
		r = -errno;
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	close(dir_fd);
	return r;
}

/* What a change makes of the text; NULL with *code set when it cannot be made. */
typedef char *change_function(const char *text, const void *what, int *code);

static int
change(const struct passwd_file *f, change_function *make, const void *what)
{
	char *text = NULL, *changed = NULL;
	size_t len;
	int fd = lock_file(f), r;

	if (fd < 0)
		return fd;
	r = fd_read_file(fd, FILE_SIZE_MAX, &text, &len);
	if (r == 0 && strlen(text) != len)
		r = -EINVAL;	/* a zero byte: the rest would be lost */
	if (r == 0) {
		r = -ENOMEM;
		changed = make(text, what, &r);
	}
	if (changed != NULL)
		r = replace_file(f, fd, changed);
	close(fd);
	forget(text);
	forget(changed);
	return r;
}

struct edit {
	const char *name, *password, *home;
	int64_t number;
};

static char *
make_password(const char *text, const void *what, int *code)
{
	const struct edit *e = what;
	struct cluster_row row;

	*code = -ENOENT;
	return cluster_find(text, e->name, &row) ? cluster_with_password(text, &row, e->password) : NULL;
}

static char *
make_without(const char *text, const void *what, int *code)
{
	const struct edit *e = what;
	struct cluster_row row;

	*code = -ENOENT;
	return cluster_find(text, e->name, &row) ? cluster_without(text, &row) : NULL;
}

static char *
make_account(const char *text, const void *what, int *code)
{
	struct edit *e = (struct edit *)(uintptr_t)what;
	struct cluster_row row;

	char *made;

	*code = -EEXIST;
	if (cluster_find(text, e->name, &row))
		return NULL;
	made = cluster_with_account(text, e->name, e->password, e->home, &e->number);
	*code = e->number >= UINT32_MAX ? -EOVERFLOW : -ENOMEM;
	return made;
}

/* Does a hash stand in the account's field? Then clear text must not take its place. */
static bool
is_hashed(const struct passwd_file *f, const char *name)
{
	struct cluster_row row;
	char *text = NULL;
	size_t len;
	bool hashed;

	hashed = read_file(f, &text, &len) == 0 && cluster_find(text, name, &row) && row.password_len > 1 &&
	    row.password[0] == '$';
	forget(text);
	return hashed;
}

/* The field for a password: itself, as that system has it; a hash where that is wanted or the only way to write it. */
static int
password_field(const struct secret *password, bool hash, char *out, size_t size)
{
	if (password->len == 1 || !password_storable(password))
		return -EINVAL;		/* one byte would lock the account */
	if (hash || password_is_hash(password->data) || !cluster_field_ok(password->data))
		return password_make(password, out, size);
	return str_copy(out, size, password->data) == 0 ? 0 : -EINVAL;
}

static int
add_passwd(void *state, const char *name, const struct secret *password, const char *home, int64_t *id)
{
	char text[SECRET_MAX + 1];
	const struct passwd_file *f = state;
	struct edit e = { .name = name, .password = text, .home = home };
	int r;

	if (!cluster_name_ok(name) || !cluster_field_ok(home) || (home[0] != '\0' && home[0] != '/'))
		return -EINVAL;
	r = password_field(password, f->hash, text, sizeof text);
	if (r == 0)
		r = change(state, make_account, &e);
	explicit_bzero(text, sizeof text);
	*id = e.number;
	return r;
}

static int
set_passwd(void *state, const char *name, const struct secret *password)
{
	char text[SECRET_MAX + 1];
	const struct passwd_file *f = state;
	struct edit e = { .name = name, .password = text };
	int r = password_field(password, f->hash || is_hashed(f, name), text, sizeof text);

	if (r == 0)
		r = change(state, make_password, &e);
	explicit_bzero(text, sizeof text);
	return r;
}

/* sallyctl gives hashes; without one the account is locked. */
static int
create_passwd(void *state, const char *name, const char *verifier)
{
	struct edit e = { .name = name, .password = verifier == NULL ? "*" : verifier, .home = "" };

	return cluster_name_ok(name) && cluster_field_ok(e.password) ? change(state, make_account, &e) : -EINVAL;
}

static int
set_verifier_passwd(void *state, const char *name, const char *verifier)
{
	struct edit e = { .name = name, .password = verifier == NULL ? "*" : verifier };

	return cluster_field_ok(e.password) ? change(state, make_password, &e) : -EINVAL;
}

static int
remove_passwd(void *state, const char *name)
{
	struct edit e = { .name = name };

	return change(state, make_without, &e);
}

const struct account_source source_passwd_file = {
	.name = "passwd_file",
	.doc = "A file in the format of ftpcluster's .passwd.",
	.open = open_passwd,
	.find = find_passwd, .hashes = passwd_hashes, .stamp = passwd_stamp,
	.add = add_passwd, .set_password = set_passwd,
	.create = create_passwd, .set_verifier = set_verifier_passwd, .remove = remove_passwd,
	.list = list_passwd,
	.close = close_passwd
};
