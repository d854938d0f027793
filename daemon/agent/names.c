#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "daemon/agent/names.h"

#define CACHE 64
#define NAME_MAX_SHOWN 32

struct cache {
	int fd;
	struct {
		bool known;
		uint32_t id;
		char name[NAME_MAX_SHOWN + 1];
	} slot[CACHE];
};

static struct cache users = { .fd = -1 }, groups = { .fd = -1 };

void
names_open(void)
{
	users.fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	groups.fd = open("/etc/group", O_RDONLY | O_CLOEXEC);
}

/* What is looked for, and what was found. */
struct wanted {
	bool by_name;
	uint32_t id;
	char name[NAME_MAX_SHOWN + 1];
};

/* A line "name:x:id:..." of the file: fills in the other half of w when it is the one. */
static bool
line_is(const char *line, size_t len, struct wanted *w)
{
	const char *end = line + len, *colon = memchr(line, ':', len), *second;
	uint64_t value = 0;

	if (colon == NULL || (second = memchr(colon + 1, ':', (size_t)(end - colon - 1))) == NULL)
		return false;
	if (++second == end || *second < '0' || *second > '9')
		return false;
	for (; second < end && *second >= '0' && *second <= '9' && value <= UINT32_MAX; second++)
		value = value * 10 + (uint64_t)(*second - '0');
	if (value > UINT32_MAX || colon - line > NAME_MAX_SHOWN)
		return false;
	if (w->by_name) {
		w->id = (uint32_t)value;
		return strlen(w->name) == (size_t)(colon - line) && memcmp(line, w->name, strlen(w->name)) == 0;
	}
	if (value != w->id)
		return false;
	memcpy(w->name, line, (size_t)(colon - line));
	w->name[colon - line] = '\0';
	return true;
}

/* Reads the file in pieces; a line longer than one is passed over. */
static bool
search(int fd, struct wanted *w)
{
	char buf[4096];
	size_t have = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf + have, sizeof buf - have, at)) > 0) {
		char *line = buf, *end;

		at += n;
		have += (size_t)n;
		while ((end = memchr(line, '\n', have - (size_t)(line - buf))) != NULL) {
			if (line_is(line, (size_t)(end - line), w))
				return true;
			line = end + 1;
		}
		have -= (size_t)(line - buf);
		if (have == sizeof buf)
			have = 0;
		memmove(buf, line, have);
	}
	return false;
}

static const char *
find(struct cache *c, uint32_t id)
{
	size_t i = id % CACHE;

	struct wanted w = { .id = id };

	if (!c->slot[i].known || c->slot[i].id != id) {
		if (c->fd >= 0 && search(c->fd, &w))
			(void)str_copy(c->slot[i].name, sizeof c->slot[i].name, w.name);
		else
			(void)str_format(c->slot[i].name, sizeof c->slot[i].name, "%u", id);
		c->slot[i].known = true;
		c->slot[i].id = id;
	}
	return c->slot[i].name;
}

const char *
names_user(uint32_t uid)
{
	return find(&users, uid);
}

const char *
names_group(uint32_t gid)
{
	return find(&groups, gid);
}

static uint32_t
find_id(const struct cache *c, const char *name)
{
	struct wanted w = { .by_name = true };

	if (c->fd < 0 || name[0] == '\0' || str_copy(w.name, sizeof w.name, name) != 0 || !search(c->fd, &w))
		return UINT32_MAX;
	return w.id;
}

uint32_t
names_user_id(const char *name)
{
	return find_id(&users, name);
}

uint32_t
names_group_id(const char *name)
{
	return find_id(&groups, name);
}
