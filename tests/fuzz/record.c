/* Lines of an audit log: reading ends inside the line, and values end inside it. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	struct record r;

	if (line == NULL)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	if (record_read(line, &r)) {
#define RECORD_FIELD(name) \
		if (r.name != NULL && (r.name < line || r.name + strlen(r.name) > line + size)) \
			abort();
		RECORD_FIELDS(RECORD_FIELD)
#undef RECORD_FIELD
	}
	free(line);
	return 0;
}
