#include "config.h"

#include <acl/libacl.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acl.h>

#include "authz/posixacl.h"
#include "common/err.h"

/* libacl's numbers are the kernel's and ours; a table that drifts must not compile. */
_Static_assert(PACL_UNDEFINED == ACL_UNDEFINED_TAG && PACL_USER_OBJ == ACL_USER_OBJ && PACL_USER == ACL_USER &&
    PACL_GROUP_OBJ == ACL_GROUP_OBJ && PACL_GROUP == ACL_GROUP && PACL_MASK == ACL_MASK && PACL_OTHER == ACL_OTHER,
    "tags");
_Static_assert(PACL_READ == ACL_READ && PACL_WRITE == ACL_WRITE && PACL_EXECUTE == ACL_EXECUTE, "permissions");

#define PERM_ALL (PACL_READ | PACL_WRITE | PACL_EXECUTE)

struct pacl {
	acl_t acl;
};

unsigned
pacl_caps(void)
{
	return PACL_HAS_ENTRY | PACL_HAS_FROM_MODE | PACL_HAS_CHECK | PACL_HAS_EXTENDED_CHECK | PACL_HAS_EQUIV_MODE |
	    PACL_HAS_COPY_EXT;
}

/* Takes over acl, which is NULL after a failed call with errno set. */
static int
wrap(acl_t acl, struct pacl **out)
{
	int error = errno;

	*out = NULL;
	if (acl == NULL)
		return error > 0 ? -error : -ENOMEM;
	if ((*out = malloc(sizeof(**out))) == NULL) {
		acl_free(acl);
		return -ENOMEM;
	}
	(*out)->acl = acl;
	return 0;
}

int
pacl_new(struct pacl **out)
{
	return wrap(acl_init(4), out);
}

int
pacl_from_mode(mode_t mode, struct pacl **out)
{
	return wrap(acl_from_mode(mode & 0777), out);
}

int
pacl_dup(const struct pacl *acl, struct pacl **out)
{
	return wrap(acl_dup(acl->acl), out);
}

void
pacl_free(struct pacl *acl)
{
	if (acl != NULL)
		acl_free(acl->acl);
	free(acl);
}

int
pacl_from_rows(const struct pacl_row *row, size_t n, struct pacl **out)
{
	int error = n > PACL_ENTRIES_MAX ? -EINVAL : 0;
	struct pacl *acl;

	*out = NULL;
	if (error != 0 || (error = pacl_new(&acl)) != 0)
		return error;
	assert(acl != NULL);
	for (size_t i = 0; error == 0 && i < n; i++)
		error = pacl_add(acl, row[i].tag, row[i].id, row[i].perm);
	if (error == 0)
		*out = acl;
	else
		pacl_free(acl);
	return error;
}

int
pacl_freeze(const struct pacl *acl, void **out, size_t *len)
{
	ssize_t size = acl_size(acl->acl);

	*out = NULL;
	if (size < 0)
		return -errno;
	if ((*out = calloc(1, (size_t)size)) == NULL)
		return -ENOMEM;
	*len = (size_t)size;
	/* Some releases return 0 instead of the length. */
	if (acl_copy_ext(*out, acl->acl, size) < 0) {
		size = -errno;
		free(*out);
		*out = NULL;
		return (int)size;
	}
	return 0;
}

/*
 * The exchange format begins with its own length as size_t, which
 * acl_copy_int(3) believes: it must be the length that we were given.
 */
int
pacl_thaw(const void *frozen, size_t len, struct pacl **out)
{
	size_t claimed;
	void *aligned;
	int error;

	*out = NULL;
	if (len < sizeof(claimed) || len > sizeof(claimed) + PACL_ENTRIES_MAX * 16)
		return SP_ERANGE;
	memcpy(&claimed, frozen, sizeof(claimed));
	if (claimed != len)
		return SP_EFORMAT;
	if ((aligned = malloc(len)) == NULL)
		return -ENOMEM;
	memcpy(aligned, frozen, len);
	error = wrap(acl_copy_int(aligned), out);
	free(aligned);
	return error;
}

/* Order of the kernel: by tag, then by id. Tags ascend in that order by their numbers. */
static int
by_order(const void *a, const void *b)
{
	const struct pacl_row *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

size_t
pacl_rows(const struct pacl *acl, struct pacl_row *row, size_t max)
{
	struct pacl_entry e = { .parent = (struct pacl *)(uintptr_t)acl };
	acl_entry_t handle;
	size_t n = 0;

	for (int more = acl_get_entry(acl->acl, ACL_FIRST_ENTRY, &handle); more == 1;
	    more = acl_get_entry(acl->acl, ACL_NEXT_ENTRY, &handle), n++) {
		if (n >= max)
			continue;
		e.handle = handle;
		row[n].tag = (uint16_t)pacl_entry_tag(&e);
		row[n].perm = (uint16_t)pacl_entry_perm(&e);
		if (pacl_entry_id(&e, &row[n].id) != 0)
			row[n].id = PACL_NO_ID;
	}
	qsort(row, n < max ? n : max, sizeof(*row), by_order);
	return n;
}

int
pacl_text_as(const struct pacl *acl, const char *prefix, char separator, unsigned options, char **out)
{
	static const struct { unsigned ours; int theirs; } map[] = {
		{ PACL_SOME_EFFECTIVE, TEXT_SOME_EFFECTIVE }, { PACL_ALL_EFFECTIVE, TEXT_ALL_EFFECTIVE },
		{ PACL_SMART_INDENT, TEXT_SMART_INDENT }, { PACL_NUMERIC_IDS, TEXT_NUMERIC_IDS },
		{ PACL_ABBREVIATE, TEXT_ABBREVIATE },
	};
	int flags = 0;
	char *text;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		flags |= (options & map[i].ours) != 0 ? map[i].theirs : 0;
	*out = NULL;
	if ((text = acl_to_any_text(acl->acl, prefix, separator, flags)) == NULL)
		return errno != 0 ? -errno : -ENOMEM;
	*out = strdup(text);
	acl_free(text);
	return *out != NULL ? 0 : -ENOMEM;
}

int
pacl_text(const struct pacl *acl, char **out)
{
	return pacl_text_as(acl, NULL, '\n', 0, out);
}

size_t
pacl_count(const struct pacl *acl)
{
	int n = acl_entries(acl->acl);

	return n < 0 ? 0 : (size_t)n;
}

enum pacl_fault
pacl_check(const struct pacl *acl, size_t *index)
{
	int last = 0;
	enum pacl_fault fault;

	switch (acl_check(acl->acl, &last)) {
	case 0:
		fault = PACL_FINE;
		break;
	case ACL_MULTI_ERROR:
		fault = PACL_MULTI;
		break;
	case ACL_DUPLICATE_ERROR:
		fault = PACL_DUPLICATE;
		break;
	case ACL_MISS_ERROR:
		fault = PACL_MISS;
		break;
	default:
		fault = PACL_ENTRY;
	}
	if (index != NULL)
		*index = last < 0 ? 0 : (size_t)last;
	return fault;
}

bool
pacl_valid(const struct pacl *acl)
{
	return acl_valid(acl->acl) == 0;
}

static const struct {
	const char *word, *text;
} faults[] = {
#define PACL_FAULT(NAME, word, text) { word, text },
	PACL_FAULTS(PACL_FAULT)
#undef PACL_FAULT
};

const char *
pacl_fault_word(enum pacl_fault fault)
{
	return faults[fault].word;
}

const char *
pacl_fault_text(enum pacl_fault fault)
{
	return faults[fault].text;
}

bool
pacl_equal(const struct pacl *a, const struct pacl *b)
{
	return acl_cmp(a->acl, b->acl) == 0;
}

int
pacl_equiv_mode(const struct pacl *acl, mode_t *mode)
{
	int answer = acl_equiv_mode(acl->acl, mode);

	return answer < 0 ? -errno : answer;
}

int
pacl_calc_mask(struct pacl *acl)
{
	return acl_calc_mask(&acl->acl) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------ entries */

int
pacl_entry_at(const struct pacl *acl, size_t index, struct pacl_entry *e)
{
	acl_entry_t handle;
	int more = acl_get_entry(acl->acl, ACL_FIRST_ENTRY, &handle);

	while (more == 1 && index-- > 0)
		more = acl_get_entry(acl->acl, ACL_NEXT_ENTRY, &handle);
	if (more != 1)
		return -ENOENT;
	e->parent = (struct pacl *)(uintptr_t)acl;
	e->handle = handle;
	return 0;
}

int
pacl_entry_find(const struct pacl *acl, enum pacl_tag tag, uint32_t id, struct pacl_entry *e)
{
	acl_entry_t handle;
	uint32_t has = PACL_NO_ID;

	e->parent = (struct pacl *)(uintptr_t)acl;
	for (int more = acl_get_entry(acl->acl, ACL_FIRST_ENTRY, &handle); more == 1;
	    more = acl_get_entry(acl->acl, ACL_NEXT_ENTRY, &handle)) {
		e->handle = handle;
		if (pacl_entry_tag(e) == tag && (pacl_entry_id(e, &has) != 0 || has == id))
			return 0;
	}
	return -ENOENT;
}

int
pacl_append(struct pacl *acl, const struct pacl_entry *like, struct pacl_entry *made)
{
	acl_entry_t handle;

	if (pacl_count(acl) >= PACL_ENTRIES_MAX)
		return -ENOSPC;
	if (acl_create_entry(&acl->acl, &handle) < 0)
		return -errno;
	if (like != NULL && acl_copy_entry(handle, like->handle) < 0)
		return -errno;
	if (made != NULL)
		*made = (struct pacl_entry){ acl, handle };
	return 0;
}

int
pacl_add(struct pacl *acl, enum pacl_tag tag, uint32_t id, unsigned perm)
{
	struct pacl_entry e = { acl, NULL };
	int error;

	if ((perm & ~(unsigned)PERM_ALL) != 0)
		return -EINVAL;
	if ((error = pacl_append(acl, NULL, &e)) != 0)
		return error;
	if ((error = pacl_entry_set_tag(&e, tag)) == 0 && (tag == PACL_USER || tag == PACL_GROUP))
		error = pacl_entry_set_id(&e, id);
	if (error == 0)
		error = pacl_entry_set_perm(&e, perm);
	if (error != 0)
		(void)pacl_delete(acl, &e);
	return error;
}

int
pacl_delete(struct pacl *acl, struct pacl_entry *e)
{
	if (e->parent != acl || e->handle == NULL)
		return -EINVAL;
	if (acl_delete_entry(acl->acl, e->handle) < 0)
		return -errno;
	e->handle = NULL;
	return 0;
}

int
pacl_entry_copy(struct pacl_entry *to, const struct pacl_entry *from)
{
	return acl_copy_entry(to->handle, from->handle) < 0 ? -errno : 0;
}

struct pacl *
pacl_entry_parent(const struct pacl_entry *e)
{
	return e->parent;
}

enum pacl_tag
pacl_entry_tag(const struct pacl_entry *e)
{
	acl_tag_t tag;

	if (e->handle == NULL)
		return PACL_UNDEFINED;
	return acl_get_tag_type(e->handle, &tag) < 0 ? PACL_UNDEFINED : (enum pacl_tag)tag;
}

int
pacl_entry_set_tag(struct pacl_entry *e, enum pacl_tag tag)
{
	return acl_set_tag_type(e->handle, (acl_tag_t)tag) < 0 ? -errno : 0;
}

int
pacl_entry_id(const struct pacl_entry *e, uint32_t *id)
{
	enum pacl_tag tag = pacl_entry_tag(e);
	id_t *has;

	if (tag != PACL_USER && tag != PACL_GROUP)
		return -EINVAL;
	if ((has = acl_get_qualifier(e->handle)) == NULL)
		return -errno;
	*id = *has;
	acl_free(has);
	return 0;
}

int
pacl_entry_set_id(struct pacl_entry *e, uint32_t id)
{
	enum pacl_tag tag = pacl_entry_tag(e);
	id_t want = id;

	if ((tag != PACL_USER && tag != PACL_GROUP) || id == PACL_NO_ID)
		return -EINVAL;
	return acl_set_qualifier(e->handle, &want) < 0 ? -errno : 0;
}

unsigned
pacl_entry_perm(const struct pacl_entry *e)
{
	struct pacl_permset set = { *e, NULL };
	unsigned perm = 0;

	if (pacl_entry_permset(e, &set) == 0)
		for (unsigned bit = PACL_EXECUTE; bit <= PACL_READ; bit <<= 1)
			perm |= pacl_perm_test(&set, bit) ? bit : 0;
	return perm;
}

int
pacl_entry_set_perm(struct pacl_entry *e, unsigned perm)
{
	struct pacl_permset set = { *e, NULL };
	int error = (perm & ~(unsigned)PERM_ALL) != 0 ? -EINVAL : pacl_entry_permset(e, &set);

	if (error == 0 && (error = pacl_perm_clear(&set)) == 0 && perm != 0)
		error = pacl_perm_add(&set, perm);
	return error;
}

int
pacl_entry_permset(const struct pacl_entry *e, struct pacl_permset *set)
{
	acl_permset_t handle;

	*set = (struct pacl_permset){ *e, NULL };
	if (acl_get_permset(e->handle, &handle) < 0)
		return -errno;
	set->handle = handle;
	return 0;
}

int
pacl_entry_set_permset(struct pacl_entry *e, const struct pacl_permset *set)
{
	return acl_set_permset(e->handle, set->handle) < 0 ? -errno : 0;
}

static bool
perm_exists(unsigned perm)
{
	return perm != 0 && (perm & ~(unsigned)PERM_ALL) == 0;
}

int
pacl_perm_add(struct pacl_permset *set, unsigned perm)
{
	return !perm_exists(perm) ? -EINVAL : acl_add_perm(set->handle, perm) < 0 ? -errno : 0;
}

int
pacl_perm_delete(struct pacl_permset *set, unsigned perm)
{
	return !perm_exists(perm) ? -EINVAL : acl_delete_perm(set->handle, perm) < 0 ? -errno : 0;
}

int
pacl_perm_clear(struct pacl_permset *set)
{
	return acl_clear_perms(set->handle) < 0 ? -errno : 0;
}

bool
pacl_perm_test(const struct pacl_permset *set, unsigned perm)
{
	if (!perm_exists(perm))
		return false;
	for (unsigned bit = PACL_EXECUTE; bit <= PACL_READ; bit <<= 1)
		if ((perm & bit) != 0 && acl_get_perm(set->handle, bit) != 1)
			return false;
	return true;
}

int
pacl_perm_set(struct pacl_permset *set, unsigned perm, bool on)
{
	return on ? pacl_perm_add(set, perm) : pacl_perm_delete(set, perm);
}
