#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authz/authz.h"
#include "authz/posixacl.h"
#include "common/str.h"
#include "tests/authz/posix1e_act.h"
#include "tests/authz/posix1e_text.h"

static int
result_of(int r)
{
	return r < 0 ? -errno : 0;
}

static int
do_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : close(fd), fd < 0 ? -errno : 0;
}

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static int
do_retr(const struct posix1e_action *a)
{
	struct stat st;

	return stat(a->path, &st) == 0 && S_ISDIR(st.st_mode) ? -EISDIR : do_open(a->path, O_RDONLY);
}
static int do_rdwr(const struct posix1e_action *a) { return do_open(a->path, O_RDWR); }
static int
do_stor(const struct posix1e_action *a)
{
	return do_open(a->path, exists(a->path) ? O_WRONLY | O_TRUNC : O_WRONLY | O_CREAT | O_EXCL);
}
static int
do_rest(const struct posix1e_action *a)
{
	return do_open(a->path, exists(a->path) ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL);
}
static int
do_appe(const struct posix1e_action *a)
{
	return do_open(a->path, exists(a->path) ? O_WRONLY | O_APPEND : O_WRONLY | O_CREAT | O_EXCL);
}
static int do_stat(const struct posix1e_action *a) { struct stat st; return result_of(stat(a->path, &st)); }
static int do_cwd(const struct posix1e_action *a) { return result_of(chdir(a->path)); }
static int do_dele(const struct posix1e_action *a) { return result_of(unlink(a->path)); }
static int do_rmd(const struct posix1e_action *a) { return result_of(rmdir(a->path)); }
static int do_mkd(const struct posix1e_action *a) { return result_of(mkdir(a->path, 0777)); }
static int do_rename(const struct posix1e_action *a) { return result_of(rename(a->path, a->target)); }
static int do_chmod(const struct posix1e_action *a) { return result_of(chmod(a->path, (mode_t)strtol(a->argument, NULL, 8))); }
static int do_symlink(const struct posix1e_action *a) { return result_of(symlink(a->path, a->target)); }
static int
do_readlink(const struct posix1e_action *a)
{
	char b[64];
	return result_of(readlink(a->path, b, sizeof(b)) < 0 && errno != EINVAL ? -1 : 0);
}
static int do_umask(const struct posix1e_action *a) { umask((mode_t)strtol(a->argument, NULL, 8)); return 0; }

static int
do_mtime(const struct posix1e_action *a)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { 1000000000, 0 } };

	return result_of(utimensat(AT_FDCWD, a->path, t, 0));
}

/* Names and facts: for facts every member is looked at. */
static int
list_folder(const char *path, bool facts)
{
	struct dirent *e;
	struct stat st;
	int error = 0;
	DIR *d;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return 0;
	if ((d = opendir(path)) == NULL)
		return -errno;
	while (facts && error == 0 && (e = readdir(d)) != NULL)
		error = result_of(fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW));
	closedir(d);
	return error;
}

static int do_list(const struct posix1e_action *a) { return list_folder(a->path, true); }
static int do_nlst(const struct posix1e_action *a) { return list_folder(a->path, false); }

/* Temporary file and rename, and nothing else. */
static int
do_atomic(const struct posix1e_action *a)
{
	char temporary[POSIX1E_PATH];
	int error;

	(void)str_format(temporary, sizeof(temporary), "%s.tmp", a->path);
	if ((error = do_open(temporary, O_WRONLY | O_CREAT | O_EXCL)) != 0)
		return error;
	error = result_of(rename(temporary, a->path));
	if (error != 0)
		(void)unlink(temporary);
	return error;
}

static int
do_chown(const struct posix1e_action *a)
{
	char owner[64];
	gid_t gid = (gid_t)-1;
	char *group;

	(void)str_copy(owner, sizeof(owner), a->argument);
	if ((group = strchr(owner, ':')) != NULL)
		*group++ = '\0';
	if (group != NULL && !posix1e_group(group, &gid, false))
		return -EINVAL;
	return result_of(chown(a->path, posix1e_user(owner) < 0 ? 0 : POSIX1E_FIRST_UID + (uid_t)posix1e_user(owner), gid));
}

static int
do_chgrp(const struct posix1e_action *a)
{
	gid_t gid;

	return posix1e_group(a->argument, &gid, false) ? result_of(chown(a->path, (uid_t)-1, gid)) : -EINVAL;
}

/* As the agent has it: the folder by an O_PATH descriptor, and the leaf. */
static int
enter(const char *path, struct pacl_place *place)
{
	static char folder[POSIX1E_PATH];
	char *slash;
	int fd;

	(void)str_copy(folder, sizeof(folder), path);
	if ((slash = strrchr(folder, '/')) != NULL)
		*slash = '\0';
	fd = open(slash != NULL ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*place = pacl_at_leaf(fd, slash != NULL ? slash + 1 : path);
	return fd < 0 ? -errno : 0;
}

/* "default " in front of an ACL text or alone. */
static enum pacl_type
take_type(const char **argument)
{
	if (strncmp(*argument, "-e", 2) == 0)
		*argument += 2 + strspn(*argument + 2, " ");
	if (strncmp(*argument, "default", 7) != 0)
		return PACL_ACCESS;
	*argument += 7 + strspn(*argument + 7, " ");
	return PACL_DEFAULT;
}

static int
do_getfacl(const struct posix1e_action *a)
{
	const char *argument = a->argument;
	enum pacl_type type = take_type(&argument);
	struct pacl_place place;
	struct pacl *acl = NULL;
	int error = enter(a->path, &place);

	if (error == 0)
		error = pacl_get(place, type, &acl);
	pacl_free(acl);
	return error;
}

static int
do_setfacl(const struct posix1e_action *a)
{
	const char *argument = a->argument;
	enum pacl_type type = take_type(&argument);
	struct pacl_place place;
	struct pacl *acl = posix1e_parse(argument);
	int error = acl == NULL ? -EINVAL : enter(a->path, &place);

	if (error == 0)
		error = pacl_apply(place, type, acl);
	pacl_free(acl);
	return error;
}

static int
do_deldefacl(const struct posix1e_action *a)
{
	struct pacl_place place;
	int error = enter(a->path, &place);

	return error != 0 ? error : pacl_drop_default(place);
}

static int
do_hasext(const struct posix1e_action *a)
{
	bool access = false, def = false;
	struct pacl_place place;
	int error = enter(a->path, &place);

	if (error == 0)
		error = pacl_extended(place, &access, &def);
	return error != 0 ? error : access || def ? 0 : -ENODATA;
}

/* The longer of two names that begin alike stands first. */
static const struct posix1e_row_of rows[] = {
	{ "RETR", do_retr, AUTHZ_OP_RETR },
	{ "HASH", do_retr, AUTHZ_OP_RETR },
	{ "RDWR", do_rdwr, POSIX1E_NO_OP },
	{ "STOR atomic", do_atomic, POSIX1E_NO_OP },
	{ "REST+STOR", do_rest, AUTHZ_OP_RESUME },
	{ "STOR", do_stor, AUTHZ_OP_STOR },
	{ "STOU", do_stor, AUTHZ_OP_STOR },
	{ "APPE", do_appe, AUTHZ_OP_APPE },
	{ "SIZE", do_stat, AUTHZ_OP_STAT },
	{ "MDTM", do_stat, AUTHZ_OP_STAT },
	{ "MLST", do_stat, AUTHZ_OP_STAT },
	{ "STAT", do_stat, AUTHZ_OP_STAT },
	{ "LIST", do_list, AUTHZ_OP_LIST },
	{ "MLSD", do_list, AUTHZ_OP_LIST },
	{ "NLST", do_nlst, AUTHZ_OP_NLST },
	{ "CWD", do_cwd, AUTHZ_OP_CWD },
	{ "XCWD", do_cwd, AUTHZ_OP_CWD },
	{ "DELE", do_dele, AUTHZ_OP_DELE },
	{ "RMD", do_rmd, AUTHZ_OP_RMD },
	{ "XRMD", do_rmd, AUTHZ_OP_RMD },
	{ "MKD", do_mkd, AUTHZ_OP_MKD },
	{ "XMKD", do_mkd, AUTHZ_OP_MKD },
	{ "RNFR+RNTO", do_rename, AUTHZ_OP_RNFR },
	{ "SITE CHMOD", do_chmod, AUTHZ_OP_CHMOD },
	{ "MFMT", do_mtime, AUTHZ_OP_MTIME },
	{ "SITE UTIME", do_mtime, AUTHZ_OP_MTIME },
	{ "SITE CHGRP", do_chgrp, POSIX1E_NO_OP },
	{ "SITE CHOWN", do_chown, POSIX1E_NO_OP },
	{ "SITE SYMLINK", do_symlink, POSIX1E_NO_OP },
	{ "SITE READLINK", do_readlink, AUTHZ_OP_READLINK },
	{ "SITE UMASK", do_umask, POSIX1E_NO_OP },
	{ "SITE GETFACL", do_getfacl, AUTHZ_OP_GETACL },
	{ "SITE SETFACL", do_setfacl, POSIX1E_NO_OP },
	{ "SITE DELDEFACL", do_deldefacl, POSIX1E_NO_OP },
	{ "ACL HASEXT", do_hasext, POSIX1E_NO_OP },
};

const struct posix1e_row_of *
posix1e_find(const char *command, struct posix1e_action *a)
{
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = strlen(rows[i].name);
		if (strncmp(command, rows[i].name, n) == 0 && (command[n] == '\0' || command[n] == ' ')) {
			a->argument = command + n + strspn(command + n, " ");
			return &rows[i];
		}
	}
	return NULL;
}
