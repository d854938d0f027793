#include "config.h"

#include <string.h>

#include "account/db.h"
#include "common/str.h"

static char said[600];

void
db_note(const char *message, const char *remedy)
{
	char line[400];

	/* Cut rather than refused: libraries' messages are as long as they like. */
	(void)str_copy(line, sizeof line, message);
	line[strcspn(line, "\r\n")] = '\0';
	(void)str_format(said, sizeof said, "%s%s%s", line, remedy == NULL ? "" : "; ", remedy == NULL ? "" : remedy);
}

const char *
db_said(void)
{
	return said;
}
