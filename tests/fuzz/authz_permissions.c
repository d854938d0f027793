/* ftpcluster's two files as hostile bytes: .permissions for every kind of subject, and .passwd. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/ftpcluster.h"
#include "common/clusterpasswd.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
note_mistake(void *context, unsigned line, bool whole_file, const char *what, struct span text)
{
	(void)context;
	(void)whole_file;
	if (line == 0 || !what || (text.len && !text.at))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct cluster_file f;
	struct clusterpasswd e;

	memcpy(text, data, size);
	text[size] = '\0';
	cluster_parse(text, size, 1003, &f, note_mistake, NULL);
	if (f.own.letters >> cluster_letter_count)
		abort();
	cluster_parse(text, size, AUTHZ_NOBODY, &f, NULL, NULL);
	if (f.own.present)
		abort();
	if (clusterpasswd_find(text, size, "bob", &e, NULL, NULL) && (e.home + e.home_len > text + size || clusterpasswd_check(&e, "x")) &&
	    e.password_len == 1)
		abort();
	(void)clusterpasswd_next(text, size);
	free(text);
	return 0;
}
