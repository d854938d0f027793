/* The files that a configuration is read from: one, then those of conf.d beside it. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_private.h"
#include "common/err.h"
#include "common/fdutil.h"
#include "common/str.h"

#define FILE_MAX	(64u << 20)

/* A password's hash is there for whoever can read the file, the server is anybody's who can write it. */
static void
check_mode(struct conf *c, int fd, const char *path)
{
	const struct conf_section *s = NULL;
	const struct conf_value *v;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return;
	if ((st.st_mode & 0002) != 0)
		conf_problem_add(c, CONF_ERROR, path, 0, "", S_ISDIR(st.st_mode) ? "everybody can put files into this folder"
		    : "everybody can write this file", "chmod o-w");
	/* He decides what root does next. */
	if (geteuid() == 0 && st.st_uid != 0)
		conf_problem_add(c, CONF_WARNING, path, 0, "", "this belongs to another user than root, who can thereby do "
		    "all that root can", "chown root");
	while ((st.st_mode & 0004) != 0 && (s = conf_section_next(c, SC_ACCOUNT, s)) != NULL) {
		v = conf_section_get(s, K_password);
		if (v != NULL && strcmp(v->file, path) == 0) {
			conf_problem_add(c, CONF_WARNING, path, v->line, "",
			    "everybody can read this file, and it holds password hashes", "chmod 0640");
			return;
		}
	}
}

static int
read_file(struct conf *c, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), e;
	char *text;
	size_t len;

	if (fd < 0)
		return -errno;
	e = fd_read_file(fd, FILE_MAX, &text, &len);
	if (e == 0) {
		e = conf_read_text(c, path, text, len);
		explicit_bzero(text, len);
		check_mode(c, fd, path);
	}
	free(text);
	close(fd);
	return e;
}

static int
is_fragment(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* conf.d beside the file, in the order of the names, whatever the locale. */
static int
read_fragments(struct conf *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096], file[4096 + 300];
	struct dirent **names;
	int n, e = 0, fd;

	if (str_format(dir, sizeof dir, "%.*sconf.d", slash == NULL ? 0 : (int)(slash - path + 1), path) != 0)
		return -ENAMETOOLONG;
	n = scandir(dir, &names, is_fragment, by_bytes);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		check_mode(c, fd, dir);
		close(fd);
	}
	for (int i = 0; i < n; i++) {
		if (e == 0 && str_format(file, sizeof file, "%s/%s", dir, names[i]->d_name) == 0 &&
		    (e = read_file(c, file)) != 0) {
			conf_problem_add(c, CONF_ERROR, file, 0, "", sp_strerror(e), "");
			e = e == -ENOMEM ? e : 0;
		}
		free(names[i]);
	}
	free(names);
	return e;
}

static int
finish(struct conf *c, int e, bool files)
{
	if (e != 0)
		return e;
	conf_crosscheck(c, files);
	e = conf_refresh(c);
	return e != 0 ? e : (int)c->error_count;
}

int
conf_load(struct conf *c, const char *path)
{
	int e = 0;

	if (path != NULL) {
		e = read_file(c, path);
		/* An installation without a file runs with the defaults; a file that was asked for must be there. */
		if (e == -ENOENT && strcmp(path, SP_SYSCONFDIR "/sallyport.conf") == 0)
			e = 0;
		if (e == 0)
			e = read_fragments(c, path);
	}
	return finish(c, e, true);
}

int
conf_load_text(struct conf *c, const char *name, const char *text, size_t len)
{
	return finish(c, conf_read_text(c, name, text, len), false);
}
