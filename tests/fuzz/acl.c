/*
 * ACL texts, ACL attributes and frozen ACLs: whatever they hold, reading ends,
 * and what was read survives being written and read again.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/posixacl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
find(void *context, enum pacl_tag tag, const char *name, uint32_t *id)
{
	(void)context;
	*id = tag == PACL_USER ? 7 : 8;
	return strlen(name) < 8 ? 0 : -1;
}

static const struct pacl_names names = { find, NULL };

static void
again(struct pacl *acl)
{
	uint8_t value[4096];
	struct pacl *other;
	char *text;
	ssize_t n;

	(void)pacl_valid(acl);
	if (pacl_text_as(acl, NULL, '\n', PACL_NUMERIC_IDS, &text) == 0) {
		if (pacl_check(acl, NULL) == PACL_FINE) {
			if (pacl_parse(text, NULL, &other, NULL) != 0 || !pacl_equal(acl, other))
				abort();
			pacl_free(other);
		}
		free(text);
	}
	if ((n = pacl_to_xattr(acl, value, sizeof(value))) > 0 && pacl_check(acl, NULL) == PACL_FINE) {
		if (pacl_from_xattr(value, (size_t)n, &other) != 0 || !pacl_equal(acl, other))
			abort();
		pacl_free(other);
	}
	(void)pacl_calc_mask(acl);
	pacl_free(acl);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pacl_error e;
	struct pacl *acl;
	char *text;

	if (size == 0)
		return 0;
	if (data[0] == 'x' && pacl_from_xattr(data + 1, size - 1, &acl) == 0)
		again(acl);
	if (data[0] == 'z' && pacl_thaw(data + 1, size - 1, &acl) == 0)
		again(acl);
	if (data[0] == 'x' || data[0] == 'z')
		return 0;
	if ((text = malloc(size + 1)) == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (pacl_parse(text, &names, &acl, &e) == 0)
		again(acl);
	else if (e.at > strlen(text))
		abort();
	free(text);
	return 0;
}
