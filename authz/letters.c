/* Rights written in the four languages; see authz_in_language(). */
#include <string.h>

#include "authz/ftpcluster.h"
#include "authz/pyftpdlib.h"
#include "authz/sftpplus.h"
#include "authz/ups.h"

static bool
in_pyftpdlib(uint32_t rights, struct text *t)
{
	char letters[32];
	bool exact = letters_text(pyftpdlib_letters, pyftpdlib_letter_count, rights, letters, sizeof(letters));

	text_add(t, "%s", *letters ? letters : "-");
	return exact;
}

/* Letters may give more together than alone (n and m), so each is tried with those before it. */
static bool
in_ups(uint32_t rights, struct text *t)
{
	uint32_t state = 0;

	for (int i = 0; i < UPS_COUNT; i++)
		if ((ups_rights(state | 1u << i, 0) & ~rights) == 0)
			state |= 1u << i;
	ups_print(state, t);
	return ups_rights(state, 0) == rights;
}

static bool
in_ftpcluster(uint32_t rights, struct text *t)
{
	uint32_t letters = 0;

	for (size_t i = 0; i < cluster_letter_count; i++)
		if ((cluster_rights(letters | 1u << i, 0) & ~rights) == 0) {
			letters |= 1u << i;
			text_add(t, "%c", cluster_letters[i].letter);
		}
	return cluster_rights(letters, 0) == rights;
}

/* Any permission brings CHDIR, so without it nothing can be written. */
static bool
in_sftpplus(uint32_t rights, struct text *t)
{
	uint32_t made = 0;

	for (size_t i = 0; i < sftpplus_permission_count && made != rights; i++) {
		uint32_t one = sftpplus_permissions[i].rights | AUTHZ_CHDIR;

		if ((one & ~rights) || !(one & ~made))
			continue;
		text_add(t, "%sallow-%s", made ? ", " : "", sftpplus_permissions[i].name);
		made |= one;
	}
	if (!made)
		text_add(t, "deny-full-control");
	return made == rights;
}

bool
authz_in_language(const char *dialect, uint32_t rights, char *dst, size_t size)
{
	static const struct {
		const char *dialect;
		bool (*write)(uint32_t, struct text *);
	} rows[] = {
		{ "pyftpdlib", in_pyftpdlib }, { "ups", in_ups }, { "ftpcluster", in_ftpcluster }, { "sftpplus", in_sftpplus },
	};
	struct text t;

	text_begin(&t, dst, size);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].dialect, dialect) == 0)
			return rows[i].write(rights, &t);
	return false;
}
