/* ftpcluster's .permissions as hostile bytes, for every kind of subject. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/ftpcluster.h"

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

	memcpy(text, data, size);
	text[size] = '\0';
	cluster_parse(text, size, 1003, &f, note_mistake, NULL);
	if (f.own.letters >> cluster_letter_count)
		abort();
	cluster_parse(text, size, AUTHZ_NOBODY, &f, NULL, NULL);
	if (f.own.present)
		abort();
	free(text);
	return 0;
}
