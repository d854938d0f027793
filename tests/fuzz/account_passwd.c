/* ftpcluster's .passwd as hostile bytes: read, and changed in every way. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "account/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* An account is in a text, with that password, or not at all (NULL). */
static void
expect(const char *text, const char *name, const char *password)
{
	struct cluster_row row;
	bool there = cluster_find(text, name, &row);

	if (there != (password != NULL))
		abort();
	if (there && (row.password_len != strlen(password) || memcmp(row.password, password, row.password_len) != 0))
		abort();
}

static void
change(const char *text)
{
	struct cluster_row row;
	int64_t number;
	char *added = NULL, *changed, *without;

	if (cluster_find(text, "bob", &row))
		return;
	added = cluster_with_account(text, "bob", "first", "/home", &number);
	if (added == NULL) {
		if (number <= 4294967294)
			abort();
		return;
	}
	if (number <= 0)
		abort();
	expect(added, "bob", "first");
	if (!cluster_find(added, "bob", &row) || row.number != number)
		abort();
	changed = cluster_with_password(added, &row, "second");
	expect(changed, "bob", "second");
	without = cluster_without(added, &row);
	expect(without, "bob", NULL);
	free(added);
	free(changed);
	free(without);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	const char *at = text;
	struct cluster_row row;
	unsigned line = 0, wrong = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	while (cluster_next(&at, &line, &row, &wrong))
		if (row.home + row.home_len > text + size || row.number < 0 || row.name_len == 0 || row.line != line)
			abort();
	change(text);
	free(text);
	return 0;
}
