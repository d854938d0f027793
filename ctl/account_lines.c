/*
 * Lines of other programs' account files.  The fields come from those
 * programs' manuals; what they mean to us is set as keys of sallyport.conf(5).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
#include "common/str.h"
#include "ctl/account.h"

#define FIELDS_MAX 24

/* Splits "a:b:c" in place; what is not there is "". Returns how many there are. */
static size_t
split(char *line, char *field[FIELDS_MAX])
{
	static char nothing[1];
	size_t n = 0;
	char *next;

	for (size_t i = 0; i < FIELDS_MAX; i++)
		field[i] = nothing;
	while (line != NULL && n < FIELDS_MAX) {
		next = strchr(line, ':');
		if (next != NULL)
			*next++ = '\0';
		field[n++] = line;
		line = next;
	}
	return line == NULL ? n : FIELDS_MAX + 1;
}

static int __attribute__((format(printf, 2, 3)))
wrong(struct imported *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a->why, sizeof(a->why), fmt, ap);
	va_end(ap);
	return -1;
}

void
imported_set(struct imported *a, const char *key, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (a->count == IMPORTED_SETTINGS_MAX)
		return;
	va_start(ap, fmt);
	n = vsnprintf(a->text[a->count], sizeof(a->text[0]), fmt, ap);
	va_end(ap);
	if (n <= 0 || (size_t)n >= sizeof(a->text[0]))
		return;
	a->settings[a->count] = (struct conf_pair){ key, a->text[a->count] };
	a->count++;
}

/* A number, all of the text. -1: it is none. */
static int64_t
number(const char *text)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ? -1 : n;
}

/*
 * A hash, or a sign that no password fits. A hash of a kind that we do not know is kept: the log
 * names it at a login.
 */
static int
take_hash(struct imported *a, const char *field)
{
	if (field[0] == '*' || field[0] == '!' || strcmp(field, "x") == 0 || field[0] == '\0')
		return 0;
	if (field[0] != '$' && field[0] != '_' && password_kind(field) == NULL)
		return wrong(a, "the password field holds no hash");
	a->verifier = field;
	return 0;
}

static int
take_identity(struct imported *a, const char *uid, const char *gid)
{
	if (number(uid) < 0 || number(gid) < 0 || number(uid) >= UINT32_MAX || number(gid) >= UINT32_MAX)
		return wrong(a, "user and group ids must be numbers");
	imported_set(a, "run_as", "%s:%s", uid, gid);
	return 0;
}

static int
take_home(struct imported *a, char *home)
{
	char *mark = strstr(home, "/./");

	/* Before the mark lies the jail, behind it the folder to start in. */
	if (mark != NULL) {
		*mark = '\0';
		if (mark[3] != '\0')
			imported_set(a, "start", "/%s", mark + 3);
	}
	if (home[0] != '/' && mark != home)
		return wrong(a, "the home folder must be an absolute path");
	imported_set(a, "home", "%s", home[0] == '\0' ? "/" : home);
	return 0;
}

/* name:password:uid:gid:comment:home:shell, as passwd(5) and ProFTPD's AuthUserFile have it */
static int
passwd_line(struct imported *a, char *line)
{
	char *field[FIELDS_MAX];
	size_t n = split(line, field);

	if (n != 7)
		return wrong(a, "seven fields were expected");
	a->name = field[0];
	if (take_hash(a, field[1]) != 0 || take_identity(a, field[2], field[3]) != 0 || take_home(a, field[5]) != 0)
		return -1;
	imported_set(a, "comment", "%s", field[4]);
	return 1;
}

/* One to four digits, hours and minutes, up to that end; what follows them is returned, NULL if they are wrong. */
static const char *
take_time(const char *text, char end, unsigned *time)
{
	size_t n = strspn(text, "0123456789");

	*time = 0;
	if (n == 0 || n > 4 || text[n] != end)
		return NULL;
	for (size_t i = 0; i < n; i++)
		*time = *time * 10 + (unsigned)(text[i] - '0');
	return *time <= 2400 && *time % 100 < 60 ? text + n + (end != '\0') : NULL;
}

/* 0830-1745 */
static int
take_hours(struct imported *a, const char *text)
{
	unsigned from, to;
	const char *second;

	if (text[0] == '\0')
		return 0;
	second = take_time(text, '-', &from);
	if (second == NULL || take_time(second, '\0', &to) == NULL)
		return wrong(a, "the time of day must look like 0830-1745");
	imported_set(a, "login_hours", "%02u:%02u-%02u:%02u", from / 100, from % 100, to / 100, to % 100);
	return 0;
}

/* The limits of pure-ftpd's password file: field, key. Empty and 0 mean none there. */
static const struct { unsigned field; const char *key; } pure_limits[] = {
	{ 6, "rate_up" }, { 7, "rate_down" }, { 10, "max_sessions_per_user" }, { 11, "quota_files" }, { 12,
	    "quota_bytes" }
};

/*
 * account:password:uid:gid:comment:home:up:down:ratio up:ratio down:sessions:files:size:local allowed:local
 * refused:clients allowed:clients refused:time, of which only the first six must be there
 */
static int
pure_line(struct imported *a, char *line)
{
	char *field[FIELDS_MAX];
	size_t n = split(line, field);

	if (n < 6 || n > 18)
		return wrong(a, "six to eighteen fields were expected");
	a->name = field[0];
	if (take_hash(a, field[1]) != 0 || take_identity(a, field[2], field[3]) != 0 || take_home(a, field[5]) != 0)
		return -1;
	imported_set(a, "comment", "%s", field[4]);
	for (size_t i = 0; i < sizeof(pure_limits) / sizeof(*pure_limits); i++) {
		const char *text = field[pure_limits[i].field];

		if (text[0] != '\0' && number(text) < 0)
			return wrong(a, "field %u must be a number", pure_limits[i].field + 1);
		if (number(text) > 0)
			imported_set(a, pure_limits[i].key, "%s", text);
	}
	if (number(field[8]) > 0 || number(field[9]) > 0)
		(void)str_copy(a->remark, sizeof(a->remark), "ratios are not taken over");
	if (field[13][0] != '\0' || field[14][0] != '\0')
		(void)str_copy(a->remark, sizeof(a->remark), "limits by the server's own address are not taken over");
	imported_set(a, "allowed_networks", "%s", field[15]);
	imported_set(a, "rejected_networks", "%s", field[16]);
	return take_hours(a, field[17]) != 0 ? -1 : 1;
}

/* name:password:uid:home, the password in clear or hashed; one character means locked */
static int
cluster_line(struct imported *a, char *line)
{
	char *field[FIELDS_MAX];
	struct secret secret;
	size_t n = split(line, field);
	int r;

	if (strcmp(field[0], "_") == 0)
		return 0;
	if (n != 4 || number(field[2]) < 0)
		return wrong(a, "four fields with a number in the third were expected");
	a->name = field[0];
	imported_set(a, "cluster_uid", "%s", field[2]);
	imported_set(a, "start", "%s", field[3]);
	if (number(field[2]) == 0)
		imported_set(a, "administrator", "yes");
	if (password_is_hash(field[1])) {
		a->verifier = field[1];
		return 1;
	}
	if (strlen(field[1]) == 1)
		return 1;
	r = secret_set(&secret, field[1], strlen(field[1]));
	if (r == 0)
		r = password_make(&secret, a->hash, sizeof(a->hash));
	secret_clear(&secret);
	a->verifier = a->hash;
	return r == 0 ? 1 : wrong(a, "no hash can be made of the password");
}

/* name:password:uid:gid,gid,...:real name:folder:shell and what follows: user permission strings */
static int
ncftpd_line(struct imported *a, char *line)
{
	char *field[FIELDS_MAX], *groups;
	size_t n = split(line, field);

	if (n < 6 || n > FIELDS_MAX)
		return wrong(a, "at least six fields were expected");
	a->name = field[0];
	groups = strchr(field[3], ',');
	if (groups != NULL)
		*groups++ = '\0';
	if (take_hash(a, field[1]) != 0 || take_identity(a, field[2], field[3]) != 0 || take_home(a, field[5]) != 0)
		return -1;
	if (groups != NULL)
		imported_set(a, "extra_groups", "%s", groups);
	imported_set(a, "comment", "%s", field[4]);
	for (size_t i = 7; i < n; i++) {
		if (field[i][0] == '+' || field[i][0] == '-' || field[i][0] == '=')
			imported_set(a, "layer", "ups %s", field[i]);
		else if (field[i][0] != '\0')
			(void)str_format(a->remark, sizeof(a->remark), "field %zu is not taken over", i + 1);
	}
	return 1;
}

static const struct {
	const char *name;
	account_format *format;
} formats[] = {
	{ "passwd", passwd_line },
	{ "proftpd", passwd_line },
	{ "pure-ftpd", pure_line },
	{ "ftpcluster", cluster_line },
	{ "ncftpd", ncftpd_line }
};

account_format *
import_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].format;
	return NULL;
}
