#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account/unix.h"
#include "common/err.h"
#include "common/log.h"
#include "common/str.h"

#define LOOKUP_MAX	(64 * 1024)	/* an entry of passwd or group that is longer is not one */
#define NAME_FILE_MAX	(1024 * 1024)
#define FORBIDDEN_MAX	32

static gid_t forbidden[FORBIDDEN_MAX];
static size_t forbidden_count;

/* Are the blank-separated words of a line, up to a comment, these? */
static bool
same_words(const char *line, const char *words)
{
	for (;; words++) {
		line += strspn(line, " \t");
		while (*words != '\0' && *words != ' ' && *line == *words)
			line++, words++;
		if (*words == '\0')
			return strchr(" \t\r\n#", *line) != NULL && strchr("\r\n#", line[strspn(line, " \t")]) != NULL;
		if (*words != ' ' || (*line != ' ' && *line != '\t'))
			return false;
	}
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/*
 * nss_systemd makes each look-up ten times as dear and each session's monitor
 * a third larger, and it knows nobody whom the files do not know, unless
 * somebody has described users to it: in drop-in files, or homes that it manages.
 */
static bool
systemd_knows_users(void)
{
	static const char *const describers[] = {
		"/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/local/lib/userdb", "/usr/lib/userdb",
		"/run/systemd/userdb/io.systemd.Home"
	};

	for (size_t i = 0; i < sizeof describers / sizeof *describers; i++)
		if (exists(describers[i]))
			return true;
	return false;
}

/* Where files and systemd are all that is configured, the files alone give the same answers. */
static void
shorten_lookups(void)
{
	static const char *const databases[] = { "passwd:", "group:", "shadow:" };
	char line[256];
	bool groups = false, own_initgroups = false;
	FILE *f = systemd_knows_users() ? NULL : fopen("/etc/nsswitch.conf", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		for (size_t i = 0; i < sizeof databases / sizeof *databases; i++) {
			size_t n = strlen(databases[i]);
			char name[8] = "";

			own_initgroups |= strncmp(line, "initgroups:", 11) == 0;
			if (strncmp(line, databases[i], n) != 0 || !same_words(line + n, "files systemd"))
				continue;
			memcpy(name, line, n - 1);
			groups |= strcmp(name, "group") == 0;
			(void)__nss_configure_lookup(name, "files");
		}
	if (f != NULL)
		fclose(f);
	if (groups && !own_initgroups)
		(void)__nss_configure_lookup("initgroups", "files");
}

void
unix_warm_up(void)
{
	gid_t groups[8];
	int n = 8;
	time_t now = time(NULL);
	struct tm tm;

	shorten_lookups();
	tzset();
	localtime_r(&now, &tm);
	(void)getpwnam("nobody");
	(void)getspnam("nobody");
	(void)getgrnam("nogroup");
	(void)getgrouplist("nobody", 65534, groups, &n);
}

static int
read_lines(struct name_file *f, int fd, size_t size)
{
	char *text = malloc(size + 1);
	ssize_t n;

	if (text == NULL)
		return -ENOMEM;
	n = read(fd, text, size);
	if (n < 0) {
		free(text);
		return -errno;
	}
	text[n] = '\n';
	f->text = text;
	f->len = (size_t)n + 1;
	/* Comments and blanks go; the rest of each line is a name. */
	for (char *line = text, *end; line < text + f->len; line = end + 1) {
		end = memchr(line, '\n', (size_t)(text + f->len - line));
		*end = '\0';
		line[strcspn(line, "# \t\r")] = '\0';
	}
	return 0;
}

static void
refresh(struct name_file *f)
{
	struct stat st;
	int fd, r;

	f->missing = stat(f->path, &st) < 0;
	if (f->missing) {
		name_file_free(f);
		return;
	}
	if (f->text != NULL && st.st_size == f->size && st.st_ino == f->inode &&
	    st.st_mtim.tv_sec == f->changed.tv_sec && st.st_mtim.tv_nsec == f->changed.tv_nsec)
		return;
	name_file_free(f);
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	r = fd < 0 ? -errno : fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) || st.st_size > NAME_FILE_MAX ? -EFBIG
	    : read_lines(f, fd, (size_t)st.st_size);
	if (fd >= 0)
		close(fd);
	if (r != 0) {
		log_problem(EVENT_NAME_LIST_UNREADABLE, f->path, r);
		return;
	}
	f->size = st.st_size;
	f->inode = st.st_ino;
	f->changed = st.st_mtim;
}

bool
name_file_has(struct name_file *f, const char *name)
{
	if (f->path == NULL)
		return false;
	refresh(f);
	for (size_t i = 0; i < f->len; i += strlen(f->text + i) + 1)
		if (strcmp(f->text + i, name) == 0 && name[0] != '\0')
			return true;
	return false;
}

void
name_file_free(struct name_file *f)
{
	free(f->text);
	f->text = NULL;
	f->len = 0;
}

/* getpwnam_r or getpwuid_r with as much memory as it takes; the text is freed by the caller. 0, -ENOENT or -errno. */
static int
look_up_user(const char *name, struct passwd *pw, char **text)
{
	struct passwd *found = NULL;
	int r = ERANGE;

	*text = NULL;
	for (size_t size = 1024; r == ERANGE && size <= LOOKUP_MAX; size *= 4) {
		free(*text);
		*text = malloc(size);
		if (*text == NULL)
			return -ENOMEM;
		r = getpwnam_r(name, pw, *text, size, &found);
	}
	if (r == 0 && found != NULL)
		return 0;
	free(*text);
	*text = NULL;
	/* getpwnam(3) lists what systems return for "no such user". */
	return r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM ? -ENOENT : -r;
}

enum account_result
unix_find(struct account *a, const char *user)
{
	struct passwd pw;
	char *text;
	int r = look_up_user(user, &pw, &text);

	if (r == -ENOENT)
		return ACCOUNT_UNKNOWN;
	if (r != 0) {
		log_problem(EVENT_NAME_SERVICE_FAILED, user, r);
		return ACCOUNT_UNAVAILABLE;
	}
	a->uid = pw.pw_uid;
	a->gid = pw.pw_gid;
	a->unix_name = account_keep(a, pw.pw_name);
	a->home = account_keep(a, pw.pw_dir);
	a->shell = account_keep(a, pw.pw_shell);
	free(text);
	return a->unix_name != NULL && a->home != NULL && a->shell != NULL ? ACCOUNT_FOUND : ACCOUNT_UNAVAILABLE;
}

/* A whole decimal id; -1 is none. */
static bool
parse_id(const char *s, size_t n, uint32_t *id)
{
	uint64_t v = 0;

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*id = (uint32_t)v;
	return v < UINT32_MAX;
}

int
unix_group_id(const char *name, gid_t *gid)
{
	struct group gr, *found = NULL;
	char *text = NULL;
	int r = ERANGE;

	*gid = (gid_t)-1;
	if (parse_id(name, strlen(name), gid))
		return 0;
	for (size_t size = 1024; r == ERANGE && size <= 16 * LOOKUP_MAX; size *= 4) {
		free(text);
		text = malloc(size);
		if (text == NULL)
			return -ENOMEM;
		r = getgrnam_r(name, &gr, text, size, &found);
	}
	if (r == 0 && found != NULL)
		*gid = gr.gr_gid;
	free(text);
	return r != 0 ? -r : found == NULL ? -ENOENT : 0;
}

/* "gid,gid,...": the first is the primary one. */
static int
parse_gids(struct account *a, const char *s)
{
	uint32_t id;
	bool first = true;

	a->groups = account_alloc(a, ACCOUNT_GROUPS_MAX * sizeof *a->groups);
	a->group_count = 0;
	if (a->groups == NULL)
		return -ENOMEM;
	for (;;) {
		size_t n = strcspn(s, ",");

		if (!parse_id(s, n, &id) || a->group_count == ACCOUNT_GROUPS_MAX)
			return SP_EFORMAT;
		if (first)
			a->gid = id;
		else
			a->groups[a->group_count++] = id;
		first = false;
		if (s[n] == '\0')
			return 0;
		s += n + 1;
	}
}

/* "No such file" would send the reader to the wrong place. */
static int
named(int group_code)
{
	return group_code == -ENOENT ? SP_ENOGROUP : group_code;
}

int
unix_run_as(struct account *a, const char *text)
{
	const char *colon = strrchr(text, ':'), *home = a->home, *shell = a->shell;
	size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
	char user[ACCOUNT_NAME_MAX + 1];
	enum account_result r;
	uint32_t id;

	if (n > ACCOUNT_NAME_MAX || n == 0)
		return SP_EFORMAT;
	if (parse_id(text, n, &id)) {
		a->uid = a->gid = id;
		a->unix_name = NULL;
		return colon == NULL ? 0 : parse_gids(a, colon + 1);
	}
	memcpy(user, text, n);
	user[n] = '\0';
	r = unix_find(a, user);
	a->shell = shell;
	if (home != NULL)
		a->home = home;
	if (r != ACCOUNT_FOUND)
		return r == ACCOUNT_UNKNOWN ? SP_ENOUSER : -EAGAIN;
	return colon == NULL ? 0 : named(unix_group_id(colon + 1, &a->gid));
}

int
unix_own_identity(struct account *a)
{
	gid_t groups[ACCOUNT_GROUPS_MAX];
	int n = getgroups(ACCOUNT_GROUPS_MAX, groups);

	if (n < 0)
		return -errno;
	a->uid = geteuid();
	a->gid = getegid();
	a->unix_name = NULL;
	a->groups = account_alloc(a, ((size_t)n + 1) * sizeof *groups);
	if (a->groups == NULL)
		return -ENOMEM;
	memcpy(a->groups, groups, (size_t)n * sizeof *groups);
	a->group_count = (unsigned)n;
	return 0;
}

/* getgrnam_r(3): the codes by which sources of groups say that there is none of that name. */
static bool
is_unknown(int r)
{
	return r == -ENOENT || r == -ESRCH || r == -EBADF || r == -EPERM;
}

int
unix_forbid_groups(const char *const *names, size_t n)
{
	gid_t gid;

	forbidden_count = 0;
	for (size_t i = 0; i < n; i++) {
		int r = unix_group_id(names[i], &gid);

		if (is_unknown(r))
			continue;
		if (r == 0 && forbidden_count == FORBIDDEN_MAX) {
			log_problem(EVENT_REFUSED_GROUPS_TOO_MANY, names[i], 0);
			return -E2BIG;
		}
		if (r != 0) {
			log_problem(EVENT_REFUSED_GROUP_LOOKUP_FAILED, names[i], r);
			return r;
		}
		forbidden[forbidden_count++] = gid;
	}
	return 0;
}

bool
unix_group_forbidden(gid_t gid)
{
	for (size_t i = 0; i < forbidden_count; i++)
		if (forbidden[i] == gid)
			return true;
	return gid == 0;
}

/* Groups given by number are filtered like those of the name service. */
static int
read_group_list(struct account *a, gid_t *groups, int *n)
{
	if (a->unix_name == NULL) {
		if (a->group_count > 0)
			memcpy(groups, a->groups, a->group_count * sizeof *groups);
		*n = (int)a->group_count;
		return 0;
	}
	*n = ACCOUNT_GROUPS_MAX;
	return getgrouplist(a->unix_name, a->gid, groups, n) < 0 ? -E2BIG : 0;
}

int
account_load_groups(struct account *a)
{
	gid_t groups[ACCOUNT_GROUPS_MAX];
	int n = 0, r;
	unsigned kept = 0;

	if (geteuid() != 0)
		return 0;	/* unix_own_identity() took those that cannot be given up */
	r = read_group_list(a, groups, &n);
	if (r != 0)
		return r;
	for (int i = 0; i < n; i++)
		if (groups[i] != a->gid && !unix_group_forbidden(groups[i]))
			groups[kept++] = groups[i];
	a->groups = account_alloc(a, (kept + 1) * sizeof *groups);
	if (a->groups == NULL)
		return -ENOMEM;
	memcpy(a->groups, groups, kept * sizeof *groups);
	a->group_count = kept;
	return 0;
}

/* Appends the name of a group, if it has one and it fits. */
static void
add_group_name(gid_t gid, char *out, size_t size)
{
	struct group *gr = getgrgid(gid);
	size_t used = strlen(out);

	if (gr == NULL || strchr(gr->gr_name, ',') != NULL || strlen(gr->gr_name) + 2 > size - used)
		return;
	(void)str_format(out + used, size - used, "%s%s", used == 0 ? "" : ",", gr->gr_name);
}

void
unix_group_names(const struct account *a, char *out, size_t size)
{
	add_group_name(a->gid, out, size);
	for (unsigned i = 0; i < a->group_count; i++)
		add_group_name(a->groups[i], out, size);
}

void
unix_see_as(const struct account *a, bool own)
{
	if (geteuid() != 0)
		return;
	(void)setgroups(own ? 0 : a->group_count, a->groups);
	setfsgid(own ? 0 : a->gid);
	setfsuid(own ? 0 : a->uid);
}
