#include "config.h"

#include <string.h>

#include "account/account.h"
#include "common/str.h"

bool
account_name_ok(const char *name)
{
	char escaped[4 * ACCOUNT_NAME_MAX + 1];
	size_t n = strlen(name);

	if (n == 0 || n > ACCOUNT_NAME_MAX || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	/* What a log would have to write as \xHH is no text: control bytes and what is not UTF-8. */
	str_escape(escaped, sizeof escaped, name, n);
	for (const char *p = escaped; (p = strchr(p, '\\')) != NULL; p += 2)
		if (p[1] == 'x')
			return false;
	return true;
}
