#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/tree.h"

/* A folder on the way down. */
struct level {
	dev_t dev;
	ino_t ino;
	char **names;		/* of what is in it, sorted */
	size_t count, next;
	size_t path_len;	/* of the folder's path */
};

struct state {
	const struct tree_walk *walk;
	int fd;			/* the deepest folder, O_PATH */
	dev_t device;		/* of the top */
	struct level *levels;
	size_t depth, room;
	char *path;
	size_t path_room;
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
add_name(struct level *l, size_t *room, const char *name)
{
	char **more;

	if (l->count == *room) {
		*room = *room == 0 ? 64 : *room * 2;
		if ((more = realloc(l->names, *room * sizeof(*more))) == NULL)
			return -ENOMEM;
		l->names = more;
	}
	if ((l->names[l->count] = strdup(name)) == NULL)
		return -ENOMEM;
	l->count++;
	return 0;
}

/* The names in the folder folder_fd, sorted, so that output can be compared. */
static int
read_names(int folder_fd, struct level *l)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t room = 0;

	if (d == NULL) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (error == 0 && (errno = 0, e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			error = add_name(l, &room, e->d_name);
	if (error == 0 && errno != 0)
		error = -errno;
	closedir(d);
	if (l->count > 0)
		qsort(l->names, l->count, sizeof(*l->names), by_name);
	return error;
}

static void
drop_level(struct state *s)
{
	struct level *l = &s->levels[--s->depth];

	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
}

/* Puts a name behind the path of the deepest folder. */
static int
name_path(struct state *s, const char *name)
{
	size_t len = s->levels[s->depth - 1].path_len, n = strlen(name);
	char *longer;

	if (len + n + 2 > s->path_room) {
		s->path_room = (len + n + 2) * 2;
		if ((longer = realloc(s->path, s->path_room)) == NULL)
			return -ENOMEM;
		s->path = longer;
	}
	if (len == 0 || s->path[len - 1] != '/')
		s->path[len++] = '/';
	memcpy(s->path + len, name, n + 1);
	return 0;
}

/* Goes down into a folder, whose path stands in s->path; fd becomes ours. */
static int
go_down(struct state *s, int fd, const struct stat *st)
{
	struct level *more, *l;
	int error;

	if (s->depth == s->room) {
		s->room = s->room == 0 ? 32 : s->room * 2;
		if ((more = realloc(s->levels, s->room * sizeof(*more))) == NULL) {
			close(fd);
			return -ENOMEM;
		}
		s->levels = more;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	l = &s->levels[s->depth++];
	*l = (struct level){ .dev = st->st_dev, .ino = st->st_ino, .path_len = strlen(s->path) };
	error = read_names(fd, l);
	return error == 0 || error == -ENOMEM ? error : s->walk->trouble(s->walk->context, s->path, error);
}

/* Back to the folder above, if it is still the one that we came from. */
static int
go_up(struct state *s)
{
	struct level *above;
	struct stat st;
	int fd;

	drop_level(s);
	if (s->depth == 0)
		return 0;
	above = &s->levels[s->depth - 1];
	s->path[above->path_len] = '\0';
	fd = openat(s->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != above->dev || st.st_ino != above->ino) {
		if (fd >= 0)
			close(fd);
		/* Where it has gone is not ours to look for: the walk ends here. */
		return -EAGAIN;
	}
	close(s->fd);
	s->fd = fd;
	return 0;
}

/* One name of the deepest folder. */
static int
take_name(struct state *s, const char *name)
{
	struct tree_entry e = { .fd = openat(s->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) };
	int error = name_path(s, name);

	if (e.fd < 0 || fstat(e.fd, &e.st) < 0) {
		if (error == 0 && errno != ENOENT)
			error = s->walk->trouble(s->walk->context, s->path, -errno);
		if (e.fd >= 0)
			close(e.fd);
		return error;
	}
	e.path = s->path;
	if (error == 0 && (s->walk->links || !S_ISLNK(e.st.st_mode)) &&
	    (!s->walk->one_device || e.st.st_dev == s->device)) {
		error = s->walk->visit(s->walk->context, &e);
		if (error == 0 && S_ISDIR(e.st.st_mode))
			return go_down(s, e.fd, &e.st);
	}
	close(e.fd);
	return error;
}

int
tree_walk(const struct tree_walk *walk, int top_fd)
{
	struct state s = { .walk = walk, .fd = -1, .path_room = strlen(walk->path) + 1 };
	int fd = openat(top_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), error = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (s.path = strdup(walk->path)) == NULL) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return walk->trouble(walk->context, walk->path, error);
	}
	s.device = st.st_dev;
	error = go_down(&s, fd, &st);
	while (error == 0 && s.depth > 0) {
		struct level *l = &s.levels[s.depth - 1];

		error = l->next < l->count ? take_name(&s, l->names[l->next++]) : go_up(&s);
	}
	while (s.depth > 0)
		drop_level(&s);
	if (s.fd >= 0)
		close(s.fd);
	free(s.levels);
	free(s.path);
	return error;
}
