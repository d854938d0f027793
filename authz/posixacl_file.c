/*
 * ACLs on files, by the extended attributes in which Linux shows them.
 * libacl's calls for descriptors know no type and its calls for paths need a
 * path; the attribute has both forms and a small, fixed layout (version 2):
 * u32 version, then {u16 tag, u16 permissions, u32 id}, all little-endian.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "authz/posixacl.h"
#include "common/err.h"

#define XATTR_VERSION	2
#define XATTR_HEAD	4
#define XATTR_ENTRY	8
#define XATTR_FIRST_TRY	1024		/* 127 entries */

static const char *const attribute[] = { "system.posix_acl_access", "system.posix_acl_default" };

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static bool
tag_exists(unsigned tag)
{
#define PACL_TAG(NAME, number, word, qualified) || (tag == number && number != PACL_UNDEFINED)
	return false PACL_TAGS(PACL_TAG);
#undef PACL_TAG
}

int
pacl_from_xattr(const void *value, size_t len, struct pacl **out)
{
	const uint8_t *p = value;
	struct pacl_row row;
	int error;

	*out = NULL;
	if (len < XATTR_HEAD)
		return SP_ETRUNC;
	if (len > PACL_XATTR_MAX)
		return SP_ERANGE;
	if (get32(p) != XATTR_VERSION || (len - XATTR_HEAD) % XATTR_ENTRY != 0)
		return SP_EFORMAT;
	if ((error = pacl_new(out)) != 0)
		return error;
	for (size_t at = XATTR_HEAD; error == 0 && at < len; at += XATTR_ENTRY) {
		row.tag = (uint16_t)(p[at] | p[at + 1] << 8);
		row.perm = (uint16_t)(p[at + 2] | p[at + 3] << 8);
		row.id = get32(p + at + 4);
		error = !tag_exists(row.tag) || row.perm > 7 ? SP_EFORMAT :
		    pacl_add(*out, row.tag, row.id, row.perm);
	}
	if (error != 0) {
		pacl_free(*out);
		*out = NULL;
	}
	return error == -EINVAL ? SP_EFORMAT : error;
}

ssize_t
pacl_to_xattr(const struct pacl *acl, void *value, size_t size)
{
	size_t n = pacl_count(acl), len = XATTR_HEAD + n * XATTR_ENTRY;
	struct pacl_row *row;
	uint8_t *p = value;

	if (len > size || n > PACL_ENTRIES_MAX)
		return SP_ERANGE;
	if ((row = calloc(n + 1, sizeof(*row))) == NULL)
		return -ENOMEM;
	n = pacl_rows(acl, row, n);
	put32(p, XATTR_VERSION);
	p += XATTR_HEAD;
	for (size_t i = 0; i < n; i++, p += XATTR_ENTRY) {
		p[0] = (uint8_t)row[i].tag;
		p[1] = (uint8_t)(row[i].tag >> 8);
		p[2] = (uint8_t)row[i].perm;
		p[3] = 0;
		put32(p + 4, row[i].id);
	}
	free(row);
	return (ssize_t)len;
}

/* ------------------------------------------------------------------- places */

struct pacl_place
pacl_at_fd(int fd)
{
	return (struct pacl_place){ fd, NULL };
}

struct pacl_place
pacl_at_leaf(int folder_fd, const char *leaf)
{
	return (struct pacl_place){ folder_fd, leaf };
}

struct pacl_place
pacl_at_path(const char *path)
{
	return (struct pacl_place){ -1, path };
}

/* Makes the place reachable by the calls below: a leaf is reached from inside its folder. */
static int
approach(struct pacl_place at)
{
	if (at.fd < 0 || at.name == NULL)
		return at.fd < 0 && at.name == NULL ? -EBADF : 0;
	if (strchr(at.name, '/') != NULL || at.name[0] == '\0' || strcmp(at.name, "..") == 0)
		return -EINVAL;
	return fchdir(at.fd) < 0 ? -errno : 0;
}

static int
place_stat(struct pacl_place at, struct stat *st)
{
	int result = at.name == NULL ? fstat(at.fd, st) :
	    at.fd < 0 ? stat(at.name, st) : fstatat(at.fd, at.name, st, AT_SYMLINK_NOFOLLOW);

	if (result < 0)
		return -errno;
	return S_ISLNK(st->st_mode) ? -ELOOP : 0;
}

static ssize_t
get_attribute(struct pacl_place at, const char *name, void *value, size_t size)
{
	ssize_t n = at.name == NULL ? fgetxattr(at.fd, name, value, size) :
	    at.fd < 0 ? getxattr(at.name, name, value, size) : lgetxattr(at.name, name, value, size);

	return n < 0 ? -errno : n;
}

static int
set_attribute(struct pacl_place at, const char *name, const void *value, size_t size)
{
	int result = at.name == NULL ? fsetxattr(at.fd, name, value, size, 0) :
	    at.fd < 0 ? setxattr(at.name, name, value, size, 0) : lsetxattr(at.name, name, value, size, 0);

	return result < 0 ? -errno : 0;
}

static int
remove_attribute(struct pacl_place at, const char *name)
{
	int result = at.name == NULL ? fremovexattr(at.fd, name) :
	    at.fd < 0 ? removexattr(at.name, name) : lremovexattr(at.name, name);

	return result < 0 ? -errno : 0;
}

static int
read_attribute(struct pacl_place at, enum pacl_type type, struct pacl **out)
{
	uint8_t first[XATTR_FIRST_TRY], *large;
	ssize_t n;
	int error;

	if ((n = get_attribute(at, attribute[type], first, sizeof(first))) >= 0)
		return pacl_from_xattr(first, (size_t)n, out);
	if (n != -ERANGE)
		return (int)n;
	if ((large = malloc(PACL_XATTR_MAX)) == NULL)
		return -ENOMEM;
	n = get_attribute(at, attribute[type], large, PACL_XATTR_MAX);
	error = n < 0 ? (int)n : pacl_from_xattr(large, (size_t)n, out);
	free(large);
	return error;
}

int
pacl_get(struct pacl_place at, enum pacl_type type, struct pacl **out)
{
	struct stat st;
	int error;

	*out = NULL;
	if ((error = approach(at)) != 0)
		return error;
	if ((error = read_attribute(at, type, out)) != -ENODATA && error != -EOPNOTSUPP)
		return error;
	if (type == PACL_DEFAULT && error == -EOPNOTSUPP)
		return error;
	if ((error = place_stat(at, &st)) != 0)
		return error;
	if (type == PACL_ACCESS)
		return pacl_from_mode(st.st_mode, out);
	return S_ISDIR(st.st_mode) ? pacl_new(out) : -EACCES;
}

/* A basic ACL where there are no ACLs: its mode. */
static int
apply_mode(struct pacl_place at, const struct pacl *acl)
{
	struct stat st;
	mode_t mode;
	int error, fd = at.fd;

	if (pacl_equiv_mode(acl, &mode) != 0)
		return -EOPNOTSUPP;
	if ((error = place_stat(at, &st)) != 0)
		return error;
	mode |= st.st_mode & 07000;
	if (at.fd < 0)
		return chmod(at.name, mode) < 0 ? -errno : 0;
	/* fchmodat() would follow a link that takes the name's place meanwhile. */
	if (at.name != NULL && (fd = openat(at.fd, at.name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)) < 0)
		return -errno;
	error = fchmod(fd, mode) < 0 ? -errno : 0;
	if (fd != at.fd)
		close(fd);
	return error;
}

int
pacl_apply(struct pacl_place at, enum pacl_type type, const struct pacl *acl)
{
	uint8_t few[XATTR_FIRST_TRY], *value = few;
	size_t size = XATTR_HEAD + pacl_count(acl) * XATTR_ENTRY;
	ssize_t n;
	int error;

	if (type == PACL_DEFAULT && pacl_count(acl) == 0)
		return pacl_drop_default(at);
	if (pacl_check(acl, NULL) != PACL_FINE)
		return -EINVAL;
	if ((error = approach(at)) != 0)
		return error;
	if (size > sizeof(few) && (value = malloc(size)) == NULL)
		return -ENOMEM;
	n = pacl_to_xattr(acl, value, size);
	error = n < 0 ? (int)n : set_attribute(at, attribute[type], value, (size_t)n);
	if (value != few)
		free(value);
	if (error == -EOPNOTSUPP && type == PACL_ACCESS)
		error = apply_mode(at, acl);
	return error;
}

int
pacl_drop_default(struct pacl_place at)
{
	int error = approach(at);

	if (error == 0)
		error = remove_attribute(at, attribute[PACL_DEFAULT]);
	return error == -ENODATA || error == -EOPNOTSUPP ? 0 : error;
}

/* Is there such an attribute with more than a mode in it? On some file systems it repeats the mode. */
static int
has_attribute(struct pacl_place at, enum pacl_type type, bool *has)
{
	ssize_t n = get_attribute(at, attribute[type], NULL, 0);

	*has = n > (type == PACL_ACCESS ? XATTR_HEAD + 3 * XATTR_ENTRY : XATTR_HEAD);
	return n >= 0 || n == -ENODATA || n == -EOPNOTSUPP ? 0 : (int)n;
}

int
pacl_extended(struct pacl_place at, bool *access, bool *def)
{
	bool ignored;
	int error = approach(at);

	if (error == 0)
		error = has_attribute(at, PACL_ACCESS, access != NULL ? access : &ignored);
	if (error == 0)
		error = has_attribute(at, PACL_DEFAULT, def != NULL ? def : &ignored);
	return error;
}
