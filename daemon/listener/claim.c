#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bucket.h"
#include "daemon/listener/claim.h"

#define CHAINS		1024
#define LINGER_MAX	8	/* processes of a user that a file system holds, until it gets no more sessions */

struct name {
	struct name *next;
	unsigned count;
	int memory_fd;
	char text[];
};

struct claim_table {
	struct name *users[CHAINS], *classes[CHAINS], *lingering[CHAINS];
};

struct claim_table *
claim_new(void)
{
	return calloc(1, sizeof(struct claim_table));
}

static void
free_chain(struct name *n)
{
	while (n != NULL) {
		struct name *next = n->next;

		if (n->memory_fd >= 0)
			close(n->memory_fd);
		free(n);
		n = next;
	}
}

void
claim_free(struct claim_table *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < CHAINS; i++) {
		free_chain(c->users[i]);
		free_chain(c->classes[i]);
		free_chain(c->lingering[i]);
	}
	free(c);
}

static size_t
chain_of(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h % CHAINS;
}

static struct name **
place_of(struct name *const *table, const char *text)
{
	struct name **at = (struct name **)(uintptr_t)&table[chain_of(text)];

	while (*at != NULL && strcmp((*at)->text, text) != 0)
		at = &(*at)->next;
	return at;
}

static int
add(struct name **table, const char *text)
{
	struct name **at = place_of(table, text);
	size_t len = strlen(text) + 1;

	if (*at == NULL) {
		*at = malloc(sizeof **at + len);
		if (*at == NULL)
			return -ENOMEM;
		(*at)->next = NULL;
		(*at)->count = 0;
		(*at)->memory_fd = -1;
		memcpy((*at)->text, text, len);
	}
	(*at)->count++;
	return 0;
}

static void
take_off(struct name **table, const char *text)
{
	struct name **at = place_of(table, text), *n = *at;

	if (n == NULL || --n->count > 0)
		return;
	*at = n->next;
	n->next = NULL;
	free_chain(n);
}

static unsigned
count_of(struct name *const *table, const char *text)
{
	const struct name *n = *place_of(table, text);

	return n == NULL ? 0 : n->count;
}

unsigned
claim_users(const struct claim_table *c, const char *user)
{
	return count_of(c->users, user);
}

unsigned
claim_classes(const struct claim_table *c, const char *class)
{
	return count_of(c->classes, class);
}

int
claim_take(struct claim_table *c, const char *user, const char *class, unsigned max_user, unsigned max_class)
{
	int r;

	if (count_of(c->lingering, user) >= LINGER_MAX)
		return CLAIM_LINGERING;
	if (max_user > 0 && claim_users(c, user) >= max_user)
		return CLAIM_USER_FULL;
	if (max_class > 0 && *class != '\0' && claim_classes(c, class) >= max_class)
		return CLAIM_CLASS_FULL;
	r = add(c->users, user);
	if (r == 0 && *class != '\0' && (r = add(c->classes, class)) != 0)
		take_off(c->users, user);
	return r == 0 ? CLAIM_COUNTED : r;
}

void
claim_release(struct claim_table *c, const char *user, const char *class)
{
	take_off(c->users, user);
	if (*class != '\0')
		take_off(c->classes, class);
}

int
claim_linger(struct claim_table *c, const char *user)
{
	return add(c->lingering, user);
}

void
claim_linger_end(struct claim_table *c, const char *user)
{
	take_off(c->lingering, user);
}

int
claim_memory_of(const struct claim_table *c, const char *user)
{
	const struct name *n = *place_of(c->users, user);

	return n == NULL ? -1 : n->memory_fd;
}

void
claim_adopt(struct claim_table *c, const char *user, int fd)
{
	struct name *n = *place_of(c->users, user);
	struct stat st;

	/* Another size: another version knows other buckets. */
	if (n == NULL || n->memory_fd >= 0 || fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(struct bucket_pair))
		close(fd);
	else
		n->memory_fd = fd;
}

int
claim_memory(struct claim_table *c, const char *user, uint64_t up, uint64_t down)
{
	struct bucket_pair rates;
	struct name *n = *place_of(c->users, user);
	int fd;

	if (n == NULL || n->memory_fd >= 0)
		return n == NULL ? -1 : n->memory_fd;
	bucket_init(&rates.up, up);
	bucket_init(&rates.down, down);
	fd = memfd_create("rates", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (pwrite(fd, &rates, sizeof rates, 0) != (ssize_t)sizeof rates ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		close(fd);
		return -1;
	}
	n->memory_fd = fd;
	return fd;
}
