/* Fixtures of vector rows; see world.h. */
#include "tests/authz/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

/* Appends a line to a text. */
static void
append(char **text, const char *line)
{
	size_t old = *text ? strlen(*text) : 0, n = strlen(line);

	*text = realloc(*text, old + n + 2);
	memcpy(*text + old, line, n);
	memcpy(*text + old + n, "\n", 2);
}

static struct world_object *
enter(struct world *w, const char *path, enum authz_kind kind)
{
	struct world_object *o = (struct world_object *)world_find(w, path);
	char parent[4096];
	char *slash;

	if (o)
		return o;
	if (w->object_count == WORLD_MAX || str_copy(parent, sizeof(parent), path) != 0)
		exit(2);
	o = &w->objects[w->object_count++];
	*o = (struct world_object){ .path = strdup(path), .kind = kind, .owner = AUTHZ_NOBODY };
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		enter(w, parent, AUTHZ_FOLDER);
	}
	return (struct world_object *)world_find(w, path);
}

const struct world_object *
world_find(const struct world *w, const char *path)
{
	for (size_t i = 0; i < w->object_count; i++)
		if (strcmp(w->objects[i].path, path) == 0)
			return &w->objects[i];
	return NULL;
}

/* Cuts the last word off, when there is more than one; paths may hold blanks. */
static char *
last_word(char *args)
{
	char *blank = strrchr(args, ' ');

	if (!blank)
		return NULL;
	*blank = '\0';
	return blank + 1;
}

static bool
is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

/* PATH [OWNER] */
static void
add_object(struct world *w, char *args, enum authz_kind kind)
{
	const char *blank = strrchr(args, ' ');
	const char *owner = blank && is_number(blank + 1) ? last_word(args) : NULL;
	struct world_object *o = enter(w, args, kind);

	o->kind = kind;
	o->declared = true;
	if (owner)
		o->owner = (uint32_t)strtoul(owner, NULL, 10);
}

/* PATH TARGET */
static void
add_link(struct world *w, char *args)
{
	const char *target = last_word(args);
	struct world_object *o = enter(w, args, AUTHZ_FILE);

	o->declared = true;
	o->target = strdup(target ? target : "/");
}

static void
add_user(struct world *w, char *args)
{
	char *rest = args, *name = strsep(&rest, " "), *password = rest ? strsep(&rest, " ") : NULL;

	if (w->user_count == WORLD_MAX)
		exit(2);
	w->users[w->user_count].name = strdup(name);
	w->users[w->user_count].password = strdup(password ? password : "");
	w->users[w->user_count++].shell = strdup(rest ? rest : "");
}

static void
add_groups(struct world *w, char *args)
{
	char *rest = args, *name;

	while ((name = strsep(&rest, ", ")))
		if (*name && w->group_count < WORLD_MAX)
			w->groups[w->group_count++] = strdup(name);
}

static void
set_uploaded(struct world *w, char *path)
{
	free(w->uploaded);
	w->uploaded = strdup(path);
}

static void
add_folder(struct world *w, char *args)
{
	add_object(w, args, AUTHZ_FOLDER);
}

static void
add_file(struct world *w, char *args)
{
	add_object(w, args, AUTHZ_FILE);
}

static char **
begin_passwd(struct world *w, char *args)
{
	(void)args;
	return &w->passwd;
}

static char **
begin_permissions(struct world *w, char *folder)
{
	struct world_file *f;

	if (w->permission_count == WORLD_MAX)
		exit(2);
	f = &w->permissions[w->permission_count++];
	f->folder = strdup(folder);
	f->text = strdup("");
	if (strcmp(folder, "/") != 0)
		enter(w, folder, AUTHZ_FOLDER);
	return &f->text;
}

/* A line with a fact, or the beginning of a file whose lines follow. */
static const struct fixture {
	const char *word;
	void (*note)(struct world *, char *args);
	char **(*begin)(struct world *, char *args);
} fixtures[] = {
	{ "@dir", add_folder, NULL },
	{ "@file", add_file, NULL },
	{ "@link", add_link, NULL },
	{ "@sysuser", add_user, NULL },
	{ "@groups", add_groups, NULL },
	{ "@uploaded", set_uploaded, NULL },
	{ "@passwd", NULL, begin_passwd },
	{ "@permissions", NULL, begin_permissions },
};

/* Handles a fixture line; *into is where the lines behind it go.  False: the line is none. */
static bool
fixture(struct world *w, char *line, char ***into)
{
	size_t n = strcspn(line, " ");

	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		const struct fixture *f = &fixtures[i];
		char *args = line + n + (line[n] == ' ');

		if (strlen(f->word) != n || memcmp(line, f->word, n) != 0)
			continue;
		if (f->begin) {
			*into = f->begin(w, args);
			return true;
		}
		*into = NULL;
		f->note(w, args);
		return true;
	}
	return false;
}

void
world_read(struct world *w, const char *policy)
{
	char *copy = strdup(policy), *rest = copy, *line;
	char **into = NULL;

	memset(w, 0, sizeof(*w));
	w->policy = strdup("");
	while ((line = strsep(&rest, "\n")))
		if (!fixture(w, line, &into))
			append(into ? into : &w->policy, line);
	free(copy);
}

void
world_free(struct world *w)
{
	for (size_t i = 0; i < w->object_count; i++) {
		free(w->objects[i].path);
		free(w->objects[i].target);
	}
	for (size_t i = 0; i < w->permission_count; i++) {
		free(w->permissions[i].folder);
		free(w->permissions[i].text);
	}
	for (size_t i = 0; i < w->user_count; i++) {
		free(w->users[i].name);
		free(w->users[i].password);
		free(w->users[i].shell);
	}
	for (size_t i = 0; i < w->group_count; i++)
		free(w->groups[i]);
	free(w->passwd);
	free(w->uploaded);
	free(w->policy);
}

static int
tree_control(void *context, const char *folder, const char *name, const struct authz_identity *known,
    struct authz_identity *found, char *text, size_t *len)
{
	const struct world *w = context;

	(void)name;
	for (size_t i = 0; i < w->permission_count; i++) {
		if (strcmp(w->permissions[i].folder, folder) != 0)
			continue;
		found->inode = i + 1;
		if (known && memcmp(known, found, sizeof(*found)) == 0)
			return 1;
		*len = strlen(w->permissions[i].text);
		if (*len > AUTHZ_CONTROL_MAX)
			return -EFBIG;
		memcpy(text, w->permissions[i].text, *len);
		return 0;
	}
	return -ENOENT;
}

static int
tree_owner(void *context, const char *path, uint32_t *owner)
{
	const struct world_object *o = world_find(context, path);

	if (!o)
		return -ENOENT;
	*owner = o->owner;
	return 0;
}

void
world_tree(struct world *w, struct authz_tree *tree)
{
	*tree = (struct authz_tree){ .context = w, .control = tree_control, .owner = tree_owner };
}

/* Appends the parts of text to the canonical path dst. */
static void
join(char *dst, const char *text)
{
	char copy[4096], *rest = copy, *part;

	if (str_copy(copy, sizeof(copy), text) != 0)
		exit(2);
	while ((part = strsep(&rest, "/"))) {
		size_t n = strlen(dst);

		if (*part == '\0' || strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			while (n > 1 && dst[n - 1] != '/')
				n--;
			dst[n > 1 ? n - 1 : 1] = '\0';
			continue;
		}
		if (str_format(dst + n, 4096 - n, "%s%s", n > 1 ? "/" : "", part) != 0)
			exit(2);
	}
}

static void
set(char *dst, const char *path)
{
	if (str_copy(dst, 4096, path) != 0)
		exit(2);
}

/* Follows the first link in the parts of a canonical path; false: there is none. */
static bool
follow_one(const struct world *w, const char *path, bool last, char *out)
{
	char todo[4096], *rest = todo + 1, *part;

	set(todo, path);
	set(out, "/");
	while ((part = strsep(&rest, "/"))) {
		const struct world_object *o;

		join(out, part);
		o = world_find(w, out);
		if (!o || !o->target || (!rest && !last))
			continue;
		if (o->target[0] == '/')
			set(out, "/");
		else
			join(out, "..");
		join(out, o->target);
		if (rest)
			join(out, rest);
		return true;
	}
	return false;
}

static void
follow_links(const struct world *w, const char *path, bool last, char *out)
{
	char now[4096];

	set(now, path);
	for (int links = 0; links < 40 && follow_one(w, now, last, out); links++)
		set(now, out);
}

enum authz_kind
world_walk(const struct world *w, const char *typed, bool follow, char *path, char *resolved)
{
	const struct world_object *o;

	set(path, "/");
	if (strcmp(typed, "-") != 0)
		join(path, typed);
	follow_links(w, path, follow, resolved);
	if (strcmp(resolved, "/") == 0)
		return AUTHZ_FOLDER;
	o = world_find(w, resolved);
	return o ? o->kind : AUTHZ_MISSING;
}
