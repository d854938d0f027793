/*
 * Lines of other programs' account files.  The fields come from those
 * programs' manuals; what they mean to us is set as keys of sallyport.conf(5).
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/password.h"
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

static int
take_identity(struct imported *a, const char *uid, const char *gid)
{
	if (number(uid) < 0 || number(gid) < 0 || number(uid) >= UINT32_MAX || number(gid) >= UINT32_MAX)
		return imported_wrong(a, "user and group ids must be numbers");
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
		return imported_wrong(a, "the home folder must be an absolute path");
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
		return imported_wrong(a, "seven fields were expected");
	if (imported_name(a, field[0]) != 0 || imported_hash(a, field[1]) != 0 ||
	    take_identity(a, field[2], field[3]) != 0 || take_home(a, field[5]) != 0)
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
		return imported_wrong(a, "the time of day must look like 0830-1745");
	imported_set(a, "login_hours", "%02u:%02u-%02u:%02u", from / 100, from % 100, to / 100, to % 100);
	return 0;
}

/* A limit in another server's file: field, key, and what the key counts in that one's unit. Empty and 0 mean none
 * there. */
struct foreign_limit {
	unsigned field;
	const char *key, *unit;
};

static int
take_limits(struct imported *a, char *field[FIELDS_MAX], const struct foreign_limit *limits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = field[limits[i].field];

		if (text[0] != '\0' && number(text) < 0)
			return imported_wrong(a, "field %u must be a number", limits[i].field + 1);
		if (number(text) > 0)
			imported_set(a, limits[i].key, "%s%s", text, limits[i].unit);
	}
	return 0;
}

/* Upload and download ratio only count together. */
static const struct foreign_limit pure_limits[] = { { 6, "rate_up", "" }, { 7, "rate_down", "" }, { 8, "ratio_up", "" },
	{ 9, "ratio_down", "" }, { 10, "max_sessions_per_user", "" }, { 11, "quota_files", "" },
	{ 12, "quota_bytes", "" } };

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
		return imported_wrong(a, "six to eighteen fields were expected");
	if (imported_name(a, field[0]) != 0 || imported_hash(a, field[1]) != 0 ||
	    take_identity(a, field[2], field[3]) != 0 || take_home(a, field[5]) != 0)
		return -1;
	imported_set(a, "comment", "%s", field[4]);
	if (take_limits(a, field, pure_limits, sizeof(pure_limits) / sizeof(*pure_limits)) != 0)
		return -1;
	if (field[13][0] != '\0' || field[14][0] != '\0')
		imported_remark(a, "limits by the server's own address are not taken over");
	imported_set(a, "allowed_networks", "%s", field[15]);
	imported_set(a, "rejected_networks", "%s", field[16]);
	return take_hours(a, field[17]) != 0 ? -1 : 1;
}

/* name:password:uid:home, the password in clear or hashed; one character means locked */
static int
cluster_line(struct imported *a, char *line)
{
	char *field[FIELDS_MAX];
	size_t n = split(line, field);

	if (strcmp(field[0], "_") == 0)
		return 0;
	if (n != 4 || number(field[2]) < 0)
		return imported_wrong(a, "four fields with a number in the third were expected");
	if (imported_name(a, field[0]) != 0)
		return -1;
	imported_set(a, "cluster_uid", "%s", field[2]);
	imported_set(a, "start", "%s", field[3]);
	if (number(field[2]) == 0)
		imported_set(a, "administrator", "yes");
	if (strlen(field[1]) == 1)
		return 1;
	return (password_is_hash(field[1]) ? imported_hash : imported_password)(a, field[1]) == 0 ? 1 : -1;
}

/* What follows the shell in NcFTPd's records: hard and soft limits, options, then kilobytes a second down and up. */
static const struct foreign_limit nc_limits[] = { { 7, "quota_bytes", "K" }, { 9, "quota_files", "" },
	{ 12, "rate_down", "K" }, { 13, "rate_up", "K" } };

/* Soft limits and options have no meaning there yet, either. */
static int
take_nc_extras(struct imported *a, char *field[FIELDS_MAX], size_t n)
{
	char *numbers[FIELDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < FIELDS_MAX; i++)
		numbers[i] = field[0] + strlen(field[0]); /* "" */
	for (size_t i = 7; i < n; i++) {
		if (field[i][0] == '+' || field[i][0] == '-' || field[i][0] == '=')
			imported_set(a, "layer", "ups %s", field[i]);
		else if (field[i][0] == '\0' || (count < 7 && number(field[i]) >= 0))
			numbers[7 + count++] = field[i];
		else
			imported_remark(a, "field %zu is not taken over", i + 1);
	}
	return take_limits(a, numbers, nc_limits, sizeof(nc_limits) / sizeof(*nc_limits));
}

/*
 * name:password:uid:gid,gid,...:real name:folder:shell, as ncftpd_passwd -x prints it, and what may follow: seven
 * numbers of the quota, and user permission strings
 */
static int
ncftpd_line(struct imported *a, char *line)
{
	char *field[FIELDS_MAX], *groups;
	size_t n = split(line, field);

	if (n < 6 || n > FIELDS_MAX)
		return imported_wrong(a, "at least six fields were expected");
	groups = strchr(field[3], ',');
	if (groups != NULL)
		*groups++ = '\0';
	if (imported_name(a, field[0]) != 0 || imported_hash(a, field[1]) != 0 ||
	    take_identity(a, field[2], field[3]) != 0 || take_home(a, field[5]) != 0)
		return -1;
	if (groups != NULL)
		imported_set(a, "extra_groups", "%s", groups);
	imported_set(a, "comment", "%s", field[4]);
	return take_nc_extras(a, field, n) == 0 ? 1 : -1;
}

static const struct {
	const char *name;
	account_format *format;
} formats[] = { { "passwd", passwd_line }, { "proftpd", passwd_line }, { "pure-ftpd", pure_line },
	{ "ftpcluster", cluster_line }, { "ncftpd", ncftpd_line } };

account_format *
import_format(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].format;
	return NULL;
}
