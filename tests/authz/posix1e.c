#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "authz/kernel.h"
#include "authz/posixacl.h"
#include "common/str.h"
#include "tests/authz/posix1e.h"
#include "tests/authz/posix1e_act.h"
#include "tests/authz/posix1e_text.h"

#define FIRST_GID	3001
#define GROUPS_MAX	16

/* The cast: a uid each, the primary group has its number; groups get theirs as they appear. */
static const char *const cast[] = { "alice", "bob", "carol", "dave", "eve" };
#define CAST (sizeof(cast) / sizeof(cast[0]))

static struct {
	char base[POSIX1E_PATH];
	char group[GROUPS_MAX][32];
	unsigned groups;
	gid_t member[CAST][GROUPS_MAX];
	unsigned members[CAST];
	mode_t umask;
	char *why;
	size_t why_size;
} stage;

int
posix1e_tell(int result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(stage.why, stage.why_size, fmt, ap);
	va_end(ap);
	return result;
}

int
posix1e_user(const char *name)
{
	for (size_t i = 0; i < CAST; i++)
		if (strcmp(cast[i], name) == 0)
			return (int)i;
	return -1;
}

bool
posix1e_group(const char *name, gid_t *gid, bool add)
{
	int user = posix1e_user(name);

	for (unsigned i = 0; i < stage.groups; i++)
		if (strcmp(stage.group[i], name) == 0) {
			*gid = FIRST_GID + i;
			return true;
		}
	if (user >= 0)
		*gid = POSIX1E_FIRST_UID + (gid_t)user;
	if (user >= 0 || !add || stage.groups == GROUPS_MAX)
		return user >= 0;
	(void)str_copy(stage.group[stage.groups], sizeof(stage.group[0]), name);
	*gid = FIRST_GID + stage.groups++;
	return true;
}

/* Names in ACL texts: the cast, then the system. */
int
posix1e_name(void *context, enum pacl_tag tag, const char *name, uint32_t *id)
{
	int user = posix1e_user(name);
	gid_t gid;

	(void)context;
	if (tag == PACL_USER && user >= 0)
		*id = POSIX1E_FIRST_UID + (uint32_t)user;
	else if (tag == PACL_GROUP && posix1e_group(name, &gid, false))
		*id = gid;
	else
		return pacl_nss.find(NULL, tag, name, id);
	return 0;
}

static const struct pacl_names names = { posix1e_name, NULL };

struct pacl *
posix1e_parse(const char *text)
{
	struct pacl_error e = { 0, "" };
	struct pacl *acl;

	if (pacl_parse(text, &names, &acl, &e) == 0)
		return acl;
	(void)posix1e_tell(0, "at %zu: %s", e.at, e.text);
	return NULL;
}

/* ------------------------------------------------------------------ the stage */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	if (where->level > 0)
		(void)remove(path);
	return 0;
}

void
posix1e_clear(void)
{
	gid_t ignored;

	(void)nftw(stage.base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	stage.groups = 0;
	memset(stage.members, 0, sizeof(stage.members));
	stage.umask = 022;
	(void)posix1e_group("staff", &ignored, true);
	(void)posix1e_group("dev", &ignored, true);
	(void)posix1e_group("ops", &ignored, true);
}

static bool
open_stage(void)
{
	const char *tmp = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";

	if (stage.base[0] != '\0')
		return true;
	(void)str_format(stage.base, sizeof(stage.base), "%s/posix1e.XXXXXX", tmp);
	if (mkdtemp(stage.base) == NULL || chmod(stage.base, 0755) < 0) {
		stage.base[0] = '\0';
		return false;
	}
	return true;
}

void
posix1e_end(void)
{
	if (stage.base[0] == '\0')
		return;
	posix1e_clear();
	(void)rmdir(stage.base);
	stage.base[0] = '\0';
}

static int
real_path(const char *path, char dst[POSIX1E_PATH])
{
	return str_format(dst, POSIX1E_PATH, "%s/%s", stage.base, path[0] == '/' ? path + 1 : path);
}

static int
set_acl(const char *path, const char *text, enum pacl_type type)
{
	struct pacl *acl = posix1e_parse(text);
	int error;

	if (acl == NULL)
		return -1;
	if ((error = pacl_apply(pacl_at_path(path), type, acl)) != 0)
		(void)posix1e_tell(-1, "%s: %s cannot be set: %s", path, text, strerror(-error));
	pacl_free(acl);
	return error != 0 ? -1 : 0;
}

/* OWNER:GROUP and mode=, acl=, default= of an object. */
static int
dress(const char *path, char *words)
{
	const char *acl = NULL, *def = NULL, *owner = NULL;
	long mode = -1;
	char *group, *w;
	int user;
	gid_t gid;

	while ((w = strsep(&words, " ")) != NULL) {
		if (*w == '\0')
			continue;
		if (strncmp(w, "mode=", 5) == 0)
			mode = strtol(w + 5, NULL, 8);
		else if (strncmp(w, "acl=", 4) == 0)
			acl = w + 4;
		else if (strncmp(w, "default=", 8) == 0)
			def = w + 8;
		else
			owner = w;
	}
	if (owner != NULL && (group = strchr(owner, ':')) != NULL) {
		*group++ = '\0';
		user = posix1e_user(owner);
		if (!posix1e_group(group, &gid, true) || (user < 0 && strcmp(owner, "root") != 0) ||
		    chown(path, user < 0 ? 0 : POSIX1E_FIRST_UID + (uid_t)user, gid) < 0)
			return posix1e_tell(-1, "owner %s:%s cannot be set", owner, group);
	}
	if (mode >= 0 && chmod(path, (mode_t)mode) < 0)
		return posix1e_tell(-1, "mode cannot be set");
	if (acl != NULL && set_acl(path, acl, PACL_ACCESS) != 0)
		return -1;
	return def != NULL ? set_acl(path, def, PACL_DEFAULT) : 0;
}

static int
make_object(char *line, bool folder)
{
	char path[POSIX1E_PATH], *rest = line + strcspn(line, " ");
	int fd;

	if (*rest != '\0')
		*rest++ = '\0';
	if (real_path(line, path) != 0)
		return posix1e_tell(-1, "path too long");
	umask(022);
	if (folder ? mkdir(path, 0755) < 0 && errno != EEXIST : (fd = open(path, O_WRONLY | O_CREAT, 0644)) < 0)
		return posix1e_tell(-1, "%s: %s", path, strerror(errno));
	if (!folder)
		close(fd);
	return dress(path, rest);
}

/* @user NAME groups=a,b */
static int
enrol(char *line)
{
	char *list = strstr(line, " groups="), *g;
	int user;
	gid_t gid;

	line[strcspn(line, " ")] = '\0';
	if ((user = posix1e_user(line)) < 0)
		return posix1e_tell(-1, "%s is not of the cast", line);
	list = list == NULL ? NULL : list + 8;
	while ((g = strsep(&list, ",")) != NULL)
		if (posix1e_group(g, &gid, true) && stage.members[user] < GROUPS_MAX)
			stage.member[user][stage.members[user]++] = gid;
	return 0;
}

/* ------------------------------------------------------------------- acting */

/* Becomes the user for good. */
static bool
become(int user)
{
	uid_t uid = POSIX1E_FIRST_UID + (uid_t)user;

	umask(stage.umask);
	if (chdir(stage.base) < 0)
		return false;
	return user < 0 || (setgroups(stage.members[user], stage.member[user]) == 0 &&
	    setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
}

static int
perform(const struct posix1e_row_of *row, const struct posix1e_action *a, int user)
{
	int status;
	pid_t pid;

	fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(become(user) ? -row->run(a) : 255);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 255)
		return -1000;
	return -WEXITSTATUS(status);
}

/* What authz/kernel says beforehand: 1, 0, or -1 when there is nothing to compare. */
static int
predict(const struct posix1e_row_of *row, const struct posix1e_action *a, int user, char *text, size_t size)
{
	struct authz_subject who = { .uid = POSIX1E_FIRST_UID + (uid_t)user, .gid = POSIX1E_FIRST_UID + (gid_t)user,
		.groups = user < 0 ? NULL : stage.member[user], .group_count = user < 0 ? 0 : stage.members[user] };
	int answer;

	/* Whether there can be a default list is no question of rights. */
	if (row->op == POSIX1E_NO_OP || user < 0 || strstr(a->argument, "default") != NULL)
		return -1;
	answer = kernel_predict(&who, stage.base, (enum authz_op)row->op, a->path, a->target, NULL, text, size);
	if (answer == 1 && row->op == AUTHZ_OP_RNFR)
		answer = kernel_predict(&who, stage.base, AUTHZ_OP_RNTO, a->target, a->path, NULL, text, size);
	return answer;
}

/* "source -> target" or one path; both relative. */
static void
split_paths(char *path, struct posix1e_action *a)
{
	char *arrow = strstr(path, " -> ");

	if (arrow != NULL)
		*arrow = '\0';
	a->path = path + (path[0] == '/' && path[1] != '\0');
	a->path = strcmp(a->path, "/") == 0 ? "." : a->path;
	a->target = arrow == NULL ? NULL : arrow + 4 + (arrow[4] == '/');
}

static int
act(const char *name, const char *command, const char *path)
{
	char paths[POSIX1E_PATH], text[512] = "";
	int user = posix1e_user(name), told, error;
	const struct posix1e_row_of *row;
	struct posix1e_action a;

	row = posix1e_find(command, &a);
	if (row == NULL || (user < 0 && strcmp(name, "root") != 0))
		return posix1e_tell(
		    -1, "no such %s: %s", row == NULL ? "command" : "user", row == NULL ? command : name);
	if (str_copy(paths, sizeof(paths), path) != 0)
		return posix1e_tell(-1, "path too long");
	split_paths(paths, &a);
	told = predict(row, &a, user, text, sizeof(text));
	if ((error = perform(row, &a, user)) == -1000)
		return posix1e_tell(-1, "no process with this identity");
	if (error == -EOPNOTSUPP)
		return posix1e_tell(-1, "no ACLs on this file system");
	(void)posix1e_tell(0, "kernel: %s; predicted: %s", error == 0 ? "done" : strerror(-error), text);
	if (told >= 0 && told != (error == 0) && (error == 0 || error == -EACCES || error == -EPERM))
		return posix1e_tell(error != 0, "kernel: %s, but predicted otherwise: %s",
		    error == 0 ? "done" : strerror(-error), text);
	return error == 0;
}

/* @do USER COMMAND PATH: its result does not matter. */
static int
act_before(char *line)
{
	char *command = line + strcspn(line, " "), *path;

	if (*command != '\0')
		*command++ = '\0';
	if ((path = strstr(command, " /")) == NULL)
		path = command + strlen(command);
	else
		*path++ = '\0';
	return act(line, command, path) < 0 ? -1 : 0;
}

static int
set_stage(char *policy)
{
	char *line;
	int error = 0;

	while (error == 0 && (line = strsep(&policy, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		if (strncmp(line, "@user ", 6) == 0)
			error = enrol(line + 6);
		else if (strncmp(line, "@file ", 6) == 0 || strncmp(line, "@dir ", 5) == 0)
			error = make_object(strchr(line, ' ') + 1, line[1] == 'd');
		else if (strncmp(line, "@umask ", 7) == 0)
			stage.umask = (mode_t)strtol(line + 7, NULL, 8);
		else if (strncmp(line, "@do ", 4) == 0)
			error = act_before(line + 4);
		else
			error = posix1e_tell(-1, "unknown fixture: %s", line);
	}
	return error;
}

static int
run_on_files(const char *policy, const char *user, const char *command, const char *path)
{
	char *copy;
	int result;

	if (geteuid() != 0)
		return posix1e_tell(-1, "only root can run rows with files");
	if (!open_stage() || (copy = strdup(policy)) == NULL)
		return posix1e_tell(-1, "no temporary folder");
	posix1e_clear();
	result = set_stage(copy) < 0 ? -1 : act(user, command, path);
	free(copy);
	return result;
}

int
posix1e_row(const char *policy, const char *user, const char *command, const char *path, char *why, size_t size)
{
	stage.why = why;
	stage.why_size = size;
	if (size > 0)
		why[0] = '\0';
	if (strncmp(command, "ACL ", 4) == 0 && policy[0] != '@')
		return posix1e_text_row(policy, command);
	return run_on_files(policy, user, command, path);
}
