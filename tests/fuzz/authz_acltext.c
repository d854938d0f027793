/* POSIX.1e ACL text as hostile bytes: what is accepted and valid must survive being written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/posixacl.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
round_trip(const struct pacl *acl)
{
	struct pacl *again = NULL;
	char *text = NULL;
	size_t at;

	if (pacl_text_as(acl, "", '\n', PACL_NUMERIC_IDS, &text) != 0)
		return;
	if (pacl_parse(text, NULL, &again, NULL) != 0 || pacl_check(again, &at) != pacl_check(acl, &at))
		abort();
	pacl_free(again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct pacl *acl = NULL;

	memcpy(text, data, size);
	text[size] = '\0';
	if (pacl_parse(text, NULL, &acl, NULL) == 0) {
		round_trip(acl);
		pacl_free(acl);
	}
	free(text);
	return 0;
}
