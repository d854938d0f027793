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

static void
add_object(struct world *w, char *args, enum authz_kind kind)
{
	char *rest = args, *path = strsep(&rest, " ");
	struct world_object *o = enter(w, path, kind);

	o->kind = kind;
	o->declared = true;
	if (rest && *rest >= '0' && *rest <= '9')
		o->owner = (uint32_t)strtoul(rest, NULL, 10);
}

static void
add_link(struct world *w, char *args)
{
	char *rest = args, *path = strsep(&rest, " ");
	struct world_object *o = enter(w, path, AUTHZ_FILE);

	o->declared = true;
	o->target = strdup(rest ? rest : "/");
}

static void
add_user(struct world *w, char *args)
{
	char *rest = args, *name = strsep(&rest, " "), *password = rest ? strsep(&rest, " ") : NULL;

	w->users[w->user_count].name = strdup(name);
	w->users[w->user_count].password = strdup(password ? password : "");
	w->users[w->user_count++].shell = strdup(rest ? rest : "");
}

static void
add_groups(struct world *w, char *args)
{
	char *rest = args, *name;

	while ((name = strsep(&rest, ", ")))
		if (*name)
			w->groups[w->group_count++] = strdup(name);
}

/* Handles one fixture line; returns where the lines behind it go, or NULL: to the policy. */
static char **
fixture(struct world *w, char *line)
{
	char *rest = line, *word = strsep(&rest, " ");
	char nothing[1] = "";

	if (!rest)
		rest = nothing;
	if (strcmp(word, "@dir") == 0 || strcmp(word, "@file") == 0)
		add_object(w, rest, word[1] == 'd' ? AUTHZ_FOLDER : AUTHZ_FILE);
	else if (strcmp(word, "@link") == 0)
		add_link(w, rest);
	else if (strcmp(word, "@sysuser") == 0)
		add_user(w, rest);
	else if (strcmp(word, "@groups") == 0)
		add_groups(w, rest);
	else if (strcmp(word, "@uploaded") == 0)
		w->uploaded = strdup(rest);
	else if (strcmp(word, "@passwd") == 0)
		return &w->passwd;
	else if (strcmp(word, "@permissions") == 0) {
		struct world_file *f = &w->permissions[w->permission_count++];

		f->folder = strdup(rest);
		f->text = strdup("");
		if (strcmp(rest, "/") != 0)
			enter(w, rest, AUTHZ_FOLDER);
		return &f->text;
	}
	return NULL;
}

void
world_read(struct world *w, const char *policy)
{
	char *copy = strdup(policy), *rest = copy, *line;
	char **into = NULL;

	memset(w, 0, sizeof(*w));
	w->policy = strdup("");
	while ((line = strsep(&rest, "\n"))) {
		if (*line == '@')
			into = fixture(w, line);
		else
			append(into ? into : &w->policy, line);
	}
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
