/*
 * Paths and wild cards of clients.  What becomes of a path is absolute, has no
 * empty, "." or ".." part, is within its bounds, and stays the same when made
 * normal again; a name without wild cards matches itself alone.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "authz/root.h"
#include "daemon/agent/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_normal(const char *path, int len)
{
	static char again[ROOT_PATH_MAX + 1];
	size_t n = strlen(path);

	if (n != (size_t)len || n > ROOT_PATH_MAX || path[0] != '/' || (n > 1 && path[n - 1] == '/'))
		abort();
	if (strstr(path, "//") != NULL || strstr(path, "/./") != NULL || strstr(path, "/../") != NULL)
		abort();
	if (n >= 2 && strcmp(path + n - 2, "/.") == 0)
		abort();
	if (n >= 3 && strcmp(path + n - 3, "/..") == 0)
		abort();
	if (root_normal("/some/where", path, again) != len || strcmp(again, path) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char cwd[ROOT_PATH_MAX + 1], out[ROOT_PATH_MAX + 1];
	char *text = malloc(size + 1), *second;
	int len;

	memcpy(text, data, size);
	text[size] = '\0';
	second = text + strlen(text) + (strlen(text) < size);
	len = root_normal("/", text, cwd);
	if (len > 0) {
		check_normal(cwd, len);
		len = root_normal(cwd, second, out);
		if (len > 0)
			check_normal(out, len);
	}
	(void)match_name(text, second);
	if (!match_is_pattern(text) && strchr(text, '\\') == NULL && !match_name(text, text))
		abort();
	free(text);
	return 0;
}
